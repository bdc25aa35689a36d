# SPDX-License-Identifier: Apache-2.0
"""The golden tiny model: parameters by a closed formula, and numbers it must give.

The expected numbers come from a NumPy implementation with a hand-written backward, checked by central
differences and, for the encoder, against the original PyTorch port. `python golden_tiny.py OUT` compares
reference_model.py with all of them, writes the fixtures with every parameter's gradient, and fails on any
difference beyond the printed digits.
"""

import dataclasses
import math
import sys

import numpy as np
import torch

import fixture
import reference_model as model

CONFIG = model.Config(
    vocab=13, embedding_width=8, width=8, heads=2, head_width=4, inner=16,
    block_layers=(2, 1, 1), block_repeats=(1, 2, 1), decoder_layers=1,
)  # fmt: skip
INPUT_IDS = [[3, 5, 7, 2, 9, 4, 6, 0], [3, 8, 1, 10, 2, 11, 5, 12]]
SEGMENTS = [[2, 0, 0, 0, 1, 1, 0, 0], [2, 0, 0, 1, 1, 1, 1, 1]]
HIDDEN = [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0, 0]]
POSITIONS, TARGETS = [[1, 4, 6], [2, 5, 7]], [[5, 9, 6], [1, 11, 12]]
LABELS = [[1, 1, 0, 1, 0, 1, 1, 1], [1, 0, 1, 1, 1, 0, 1, 1]]
WEIGHT = 50.0

COLUMNS = {
    "truncate": dict(separate_cls=True, truncate_seq=True),
    "no_truncate": dict(separate_cls=True, truncate_seq=False),
    "no_separate_cls": dict(separate_cls=False, truncate_seq=True),
}
LAYER_0, LAYER_2 = "encoder/block_0/layer_0", "encoder/block_1/layer_0"
NORMS = {
    "table": "embedding/table",
    "W_r 0": LAYER_0 + "/attention/position/kernel",
    "r_w 0": LAYER_0 + "/attention/content_bias",
    "r_r 0": LAYER_0 + "/attention/position_bias",
    "r_s 0": LAYER_0 + "/attention/segment_bias",
    "seg 0": LAYER_0 + "/attention/segment_embedding",
    "W_q 2": LAYER_2 + "/attention/query/kernel",
    "W_r 2": LAYER_2 + "/attention/position/kernel",
    "W_k 2": LAYER_2 + "/attention/key/kernel",
    "W_1 decoder": "decoder/layer_0/feed_forward/up/kernel",
}
EXPECTED = {
    "truncate": {
        "lengths": [8, 4, 2], "mlm": 3.480711057964, "discriminator": 44.431443164391,
        "global": (4.9142190128, 60.6798613342),
        "enc[1,1]": [0.7898038065, -0.7464321248, 0.0893477721, 1.4653647551],
        "dec[1,7]": [-0.1077538706, 0.0140576610, -1.0920606750, -0.5033806283],
        "table": (1.8527487208, 17.4396929573), "W_r 0": (0.0141630501, 0.4038506470),
        "r_w 0": (0.0327473206, 1.8120228804), "r_r 0": (0.0072662261, 0.1733807149),
        "r_s 0": (0.0017064644, 0.1001246587), "seg 0": (0.0120682108, 0.1120248339),
        "W_q 2": (0.0093113630, 0.2256788073), "W_r 2": (0.0026156778, 0.0469358378),
        "W_k 2": (0.0057781275, 0.1049570069), "W_1 decoder": (0.6143610154, 7.3825561992),
    },
    "no_truncate": {
        "lengths": [8, 5, 3], "mlm": 3.210566132825, "discriminator": 46.028914975701,
        "global": (3.2894673765, 66.9970639210),
        "enc[1,1]": [0.7936899389, -0.7433677322, 0.0694327076, 1.4754132033],
        "dec[1,7]": [0.5365840994, -0.3937180129, -0.8114383020, 0.1378295299],
        "table": (1.1997010347, 14.1518614465), "W_r 0": (0.0106010709, 0.3446936658),
        "r_w 0": (0.0309607698, 1.9134450353), "r_r 0": (0.0041085152, 0.1861701986),
        "r_s 0": (0.0012458605, 0.1028386324), "seg 0": (0.0071595761, 0.1101111349),
        "W_q 2": (0.0073322229, 0.2768691802), "W_r 2": (0.0039398963, 0.0770637208),
        "W_k 2": (0.0063243430, 0.1231322118), "W_1 decoder": (0.2721781734, 9.1583362279),
    },
    "no_separate_cls": {
        "lengths": [8, 4, 2], "mlm": 3.251262500428, "discriminator": 45.524767336680,
        "global": (3.2648093526, 75.7343923832),
        "enc[1,1]": [0.5567273427, -0.8895151479, 0.1009471049, 1.3089548318],
        "dec[1,7]": [0.4281153936, -0.3481458239, -0.7557261335, 0.1226792693],
        "table": (1.2136480820, 17.6634349388), "W_r 0": (0.0129415584, 0.3970502997),
        "r_w 0": (0.0402542847, 2.3376971527), "r_r 0": (0.0061781808, 0.2330538961),
        "r_s 0": (0.0023461342, 0.1175591831), "seg 0": (0.0089855532, 0.1334669382),
        "W_q 2": (0.0270451084, 0.5694870821), "W_r 2": (0.0091039851, 0.1412708629),
        "W_k 2": (0.0293255246, 0.6229387786), "W_1 decoder": (0.2721518178, 9.8324122315),
    },
}  # fmt: skip
ALSO_IN_FIRST_TWO = {
    "enc[0,0]": [0.7682217482, -1.0914276465, -0.1289201879, 1.3621074004, -1.1262818042,
                 -0.3574271153, 1.3820260094, -0.5480955648],
    "block0[0,1]": [1.3461790314, 0.1157317352, 0.8832445054, -0.1311373246],
    "dec[0,3]": [0.3951578321, -0.3719356464, -0.9472023748, 0.5632773213],
}  # fmt: skip


def parameters():
    """Tensor t = 1, 2, ... in declaration order: sin(1.3 t + 0.61 i + 0.05 t (i mod 7)), scaled."""
    shapes = [
        *model.embedding_shapes(CONFIG),
        *model.network_shapes(CONFIG),
        *model.mlm_head_shapes(CONFIG),
        *model.discriminator_head_shapes(CONFIG),
    ]
    result = {}
    for t, (name, shape) in enumerate(shapes, start=1):
        i = np.arange(math.prod(shape))
        x = np.sin(1.3 * t + 0.61 * i + 0.05 * t * (i % 7))
        x = 1 + 0.2 * x if name.endswith("gamma") else 0.35 * x
        result[name] = torch.tensor(x.reshape(shape), requires_grad=True)
    return result


class Report:
    def __init__(self):
        self.misses = 0
        self.worst = 0.0

    def compare(self, what, expected, found, digits=10):
        difference = float(np.max(np.abs(np.asarray(expected) - np.asarray(found))))
        # Half a unit in the last printed digit, and a little for the summation order.
        good = difference <= 0.55 * 10.0**-digits
        self.misses += not good
        self.worst = max(self.worst, difference)
        print(f"  {'ok  ' if good else 'MISS'} {what:24} difference {difference:.1e}")


def run_column(column, report, folder):
    config = dataclasses.replace(CONFIG, **COLUMNS[column])
    expected = EXPECTED[column]
    p = parameters()
    network = model.Network(p, config)
    ids, segments, hidden, positions, targets, labels = (
        torch.tensor(x) for x in (INPUT_IDS, SEGMENTS, HIDDEN, POSITIONS, TARGETS, LABELS)
    )
    blocks, decoded = network.run(ids, segments, hidden)
    losses = {
        "mlm": network.mlm_loss(decoded, positions, targets),
        "discriminator": WEIGHT * network.discriminator_loss(decoded, labels, hidden),
    }
    print(column)
    array = lambda x: x.detach().numpy()
    report.compare("lengths", expected["lengths"], [b.shape[1] for b in blocks])
    report.compare("enc[1,1]", expected["enc[1,1]"], array(blocks[-1][1, 1, :4]))
    report.compare("dec[1,7]", expected["dec[1,7]"], array(decoded[1, 7, :4]))
    if column != "no_separate_cls":
        report.compare("enc[0,0]", ALSO_IN_FIRST_TWO["enc[0,0]"], array(blocks[-1][0, 0]))
        # Printed by the PyTorch port, whose scores are rounded to fp32 and whose epsilon is 1e-9.
        found = array(blocks[0][0, 1, :4])
        report.compare("block0[0,1]", ALSO_IN_FIRST_TWO["block0[0,1]"], found, digits=7)
        report.compare("dec[0,3]", ALSO_IN_FIRST_TWO["dec[0,3]"], array(decoded[0, 3, :4]))
    outputs = {f"block_{b}": x for b, x in enumerate(blocks)} | {"decoder": decoded}
    inputs = dict(input_ids=ids, segments=segments, hidden=hidden)
    own_inputs = {
        "mlm": dict(positions=positions, targets=targets),
        "discriminator": dict(labels=labels),
    }
    for objective_index, (objective, loss) in enumerate(losses.items()):
        report.compare(f"{objective} loss", expected[objective], loss.item(), digits=12)
        for tensor in p.values():
            tensor.grad = None
        loss.backward(retain_graph=True)
        norm = math.sqrt(sum(float((t.grad**2).sum()) for t in p.values() if t.grad is not None))
        report.compare(f"{objective} global norm", expected["global"][objective_index], norm)
        for label, name in NORMS.items():
            norm = float(torch.linalg.vector_norm(p[name].grad))
            report.compare(f"{objective} {label}", expected[label][objective_index], norm)
        attributes = fixture.config_attributes(config)
        attributes |= dict(objective=objective, loss=loss.item())
        if objective == "discriminator":
            attributes["discriminator_weight"] = WEIGHT
        path = f"{folder}/tiny_{objective}_{column}.h5"
        fixture.write(path, attributes, inputs | own_inputs[objective], outputs, p)


def main(folder):
    report = Report()
    p = parameters()
    print("parameters")
    assert len(p) == 112 and sum(t.numel() for t in p.values()) == 3782
    first_row = [0.3372453649, 0.3238240323, 0.1743915748, -0.0482880535]
    query = [-0.3092091295, -0.0944299946, 0.1789904628, 0.3412572819]
    report.compare("table row 0", first_row, p["embedding/table"].detach().numpy()[0, :4])
    found = p[LAYER_0 + "/attention/query/kernel"].detach().numpy()[0, :4]
    report.compare("W_q 0, first row", query, found)
    for column in COLUMNS:
        run_column(column, report, folder)
    print(f"{report.misses} misses, worst difference {report.worst:.1e}")
    sys.exit(1 if report.misses else 0)


if __name__ == "__main__":
    main(sys.argv[1])
