# SPDX-License-Identifier: Apache-2.0
"""Fixtures of reference_model.py for what the golden tiny model leaves out: `python reference_cases.py OUT`.

MLM: a projection after the embedding, heads * head_width different from width, max pooling, pooled keys,
odd and very short lengths, one block and four, repeats in the first block and in the decoder. ELECTRA: the
whole joint step with the generator's samples given, so that no random number matters.
"""

import dataclasses
import math
import sys
import zlib

import torch

import fixture
import reference_model as model

BASE = model.Config(
    vocab=31, embedding_width=8, width=8, heads=2, head_width=4, inner=12,
    block_layers=(1, 1, 1), block_repeats=(1, 1, 1), decoder_layers=1,
)  # fmt: skip
DISCRIMINATOR_WEIGHT = 50.0
GENERATOR_RATIO = 0.5


def parameter(name, shape, generator):
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    if name.endswith("gamma"):
        return 1 + 0.2 * noise
    if name.endswith(("kernel", "discriminator_head/weight")):
        return noise * 0.8 / math.sqrt(shape[0])
    if name.endswith(("content_bias", "position_bias", "segment_bias", "segment_embedding", "table")):
        return 0.5 * noise
    return 0.2 * noise


def parameters(shapes, generator):
    values = {name: parameter(name, shape, generator) for name, shape in shapes}
    return {name: value.requires_grad_() for name, value in values.items()}


def text(config, batch, seq, padding, generator):
    """Ids, segments (CLS 2, then 0s and 1s, 0 under padding) and the padding itself."""
    ids = torch.randint(5, config.vocab, (batch, seq), generator=generator)
    segments = torch.zeros(batch, seq, dtype=torch.long)
    hidden = torch.zeros(batch, seq, dtype=torch.long)
    for b in range(batch):
        real = seq - padding[b]
        segments[b, real // 2 : real] = 1
        ids[b, real:] = 0
        hidden[b, real:] = 1
    ids[:, 0], segments[:, 0] = 1, 2
    return ids, segments, hidden


def selection(batch, count, seq, padding, generator):
    rows = [1 + torch.randperm(seq - padding[b] - 1, generator=generator)[:count] for b in range(batch)]
    return torch.stack(rows).sort(1).values


def write_mlm(folder, name, seq, padding=(0, 3), hide=(), **changes):
    config = dataclasses.replace(BASE, **changes)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    shapes = [*model.embedding_shapes(config), *model.network_shapes(config)]
    p = parameters([*shapes, *model.mlm_head_shapes(config)], generator)
    ids, segments, hidden = text(config, 2, seq, padding, generator)
    for b, t in hide:
        hidden[b, t] = 1
    positions = selection(2, min(3, seq - max(padding) - 1), seq, padding, generator)
    targets = torch.randint(config.vocab, positions.shape, generator=generator)
    network = model.Network(p, config)
    blocks, decoded = network.run(ids, segments, hidden)
    loss = network.mlm_loss(decoded, positions, targets)
    loss.backward()
    attributes = fixture.config_attributes(config) | dict(objective="mlm", loss=loss.item())
    inputs = dict(
        input_ids=ids, segments=segments, hidden=hidden, positions=positions, targets=targets
    )
    outputs = {f"block_{b}": x for b, x in enumerate(blocks)} | {"decoder": decoded}
    fixture.write(f"{folder}/{name}.h5", attributes, inputs, outputs, p)


def electra_shapes(config, small):
    yield from model.embedding_shapes(config)
    yield from model.network_shapes(config)
    yield from model.discriminator_head_shapes(config)
    for name, shape in [*model.network_shapes(small), *model.mlm_head_shapes(small)]:
        yield "generator/" + name, shape


def write_electra(folder, name, seq, padding, **changes):
    config = dataclasses.replace(BASE, **changes)
    small = config.scaled(GENERATOR_RATIO)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    p = parameters(electra_shapes(config, small), generator)
    original, segments, hidden = text(config, 2, seq, padding, generator)
    positions = selection(2, 4, seq, padding, generator)
    targets = original.gather(1, positions)
    corrupted, replaced = original.clone(), original.clone()
    # A mask, a random token, a kept token, a mask; the second of the four samples hits the original.
    inputs_at = targets.clone()
    inputs_at[:, 0], inputs_at[:, 1], inputs_at[:, 3] = 4, (targets[:, 1] + 7) % config.vocab, 4
    corrupted.scatter_(1, positions, inputs_at)
    samples = torch.randint(5, config.vocab, positions.shape, generator=generator)
    samples[:, 1] = targets[:, 1]
    replaced.scatter_(1, positions, samples)
    labels = (replaced == original).long()

    small_network = model.Network(p, small, "generator/")
    _, generated = small_network.run(corrupted, segments, hidden)
    generator_loss = small_network.mlm_loss(generated, positions, targets)
    network = model.Network(p, config)
    _, decoded = network.run(replaced, segments, hidden)
    discriminator_loss = network.discriminator_loss(decoded, labels, hidden)
    loss = generator_loss + DISCRIMINATOR_WEIGHT * discriminator_loss
    loss.backward()

    attributes = fixture.config_attributes(config) | dict(
        objective="electra",
        generator_width_ratio=GENERATOR_RATIO,
        discriminator_weight=DISCRIMINATOR_WEIGHT,
        loss=loss.item(),
        generator_loss=generator_loss.item(),
        discriminator_loss=discriminator_loss.item(),
    )
    inputs = dict(
        original_ids=original, corrupted_ids=corrupted, replaced_ids=replaced, segments=segments,
        hidden=hidden, positions=positions, targets=targets, samples=samples, labels=labels,
    )  # fmt: skip
    outputs = dict(
        generator_decoder=generated,
        generator_logits=small_network.mlm_logits(generated, positions),
        decoder=decoded,
    )
    fixture.write(f"{folder}/{name}.h5", attributes, inputs, outputs, p)


def main(folder):
    write_mlm(folder, "mlm_projection", 9, embedding_width=6, heads=3)
    write_mlm(folder, "mlm_max_pooling", 11, max_pooling=True, truncate_seq=False)
    write_mlm(folder, "mlm_pooled_keys", 9, pool_query_only=False)
    write_mlm(folder, "mlm_no_separate_cls_pooled_keys", 11, separate_cls=False, pool_query_only=False)
    write_mlm(
        folder, "mlm_one_block", 7, hide=((0, 4),),
        block_layers=(2,), block_repeats=(1,), decoder_layers=0,
    )  # fmt: skip
    write_mlm(
        folder, "mlm_repeats", 10, truncate_seq=False,
        block_layers=(2, 1), block_repeats=(2, 3), decoder_repeats=2,
    )  # fmt: skip
    # Lengths 5, 3, 2, 1: pooling goes on down to CLS alone.
    write_mlm(
        folder, "mlm_four_blocks_short", 5, padding=(0, 2),
        block_layers=(1, 1, 1, 1), block_repeats=(1, 1, 1, 1),
    )  # fmt: skip
    write_electra(folder, "electra_truncate", 12, padding=(0, 4))
    write_electra(
        folder, "electra_no_truncate_odd", 11, padding=(2, 0),
        embedding_width=6, truncate_seq=False, block_layers=(1, 1, 1), block_repeats=(1, 2, 1),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
