# SPDX-License-Identifier: Apache-2.0
"""Fixtures from Hugging Face transformers' Funnel classes: `python hf_funnel.py OUT`.

Every case is a model with random weights in float64 and evaluation mode. Its loss is either the sum of
the last hidden state times a random cotangent, or the discriminator's binary cross-entropy as transformers
computes it. Before a case is written, reference_model.py must give the same outputs and gradients, and the
"factorized" attention of transformers the same outputs as "relative_shift".

Cases keep to what transformers and the original TensorFlow code agree on, except for what the attributes
say: layer_norm_epsilon 1e-9, and cls_mask_always 0 (no CLS mask without separate_cls). Two traps:
  * transformers pools its keep-mask with a minimum, so that a window of a token and a padding is masked,
    where the original masks a window only if all of it is padding: padding here fills whole windows of
    every block;
  * transformers adds the wrong hidden state in the decoder if block 0 repeats its layers.
"""

import math
import sys
import zlib

import torch
import transformers

import fixture
import reference_model as model

# transformers rounds attention scores to fp32 before the softmax; this keeps them in float64.
torch.Tensor.float = torch.Tensor.double

TOLERANCE = 1e-10
LAYER_NAMES = {
    "attention/query/kernel": "attention.q_head.weight",
    "attention/key/kernel": "attention.k_head.weight",
    "attention/key/bias": "attention.k_head.bias",
    "attention/value/kernel": "attention.v_head.weight",
    "attention/value/bias": "attention.v_head.bias",
    "attention/output/kernel": "attention.post_proj.weight",
    "attention/output/bias": "attention.post_proj.bias",
    "attention/position/kernel": "attention.r_kernel",
    "attention/content_bias": "attention.r_w_bias",
    "attention/position_bias": "attention.r_r_bias",
    "attention/segment_bias": "attention.r_s_bias",
    "attention/segment_embedding": "attention.seg_embed",
    "attention/norm/gamma": "attention.layer_norm.weight",
    "attention/norm/beta": "attention.layer_norm.bias",
    "feed_forward/up/kernel": "ffn.linear_1.weight",
    "feed_forward/up/bias": "ffn.linear_1.bias",
    "feed_forward/down/kernel": "ffn.linear_2.weight",
    "feed_forward/down/bias": "ffn.linear_2.bias",
    "feed_forward/norm/gamma": "ffn.layer_norm.weight",
    "feed_forward/norm/beta": "ffn.layer_norm.bias",
}


def names(config, head):
    """Our names of all parameters, with those of transformers."""
    yield "embedding/table", "funnel.embeddings.word_embeddings.weight"
    yield "embedding/norm/gamma", "funnel.embeddings.layer_norm.weight"
    yield "embedding/norm/beta", "funnel.embeddings.layer_norm.bias"
    layers = {
        f"encoder/block_{block}/layer_{layer}/": f"funnel.encoder.blocks.{block}.{layer}."
        for block, size in enumerate(config.block_layers)
        for layer in range(size)
    }
    if len(config.block_layers) > 1:
        for layer in range(config.decoder_layers):
            layers[f"decoder/layer_{layer}/"] = f"funnel.decoder.layers.{layer}."
    for ours, theirs in layers.items():
        for name, their_name in LAYER_NAMES.items():
            yield ours + name, theirs + their_name
    if head:
        yield "discriminator_head/dense/kernel", "discriminator_predictions.dense.weight"
        yield "discriminator_head/dense/bias", "discriminator_predictions.dense.bias"
        yield "discriminator_head/weight", "discriminator_predictions.dense_prediction.weight"
        yield "discriminator_head/bias", "discriminator_predictions.dense_prediction.bias"


def our_layout(name, tensor):
    if name.endswith("position/kernel"):
        return tensor.reshape(tensor.shape[0], -1)
    if name.endswith("kernel"):
        return tensor.T
    return tensor[0] if name == "discriminator_head/weight" else tensor


class Discriminator(torch.nn.Module):
    """FunnelForPreTraining, or the encoder alone where there is a single block."""

    def __init__(self, config, attention_type="relative_shift"):
        super().__init__()
        hf = transformers.FunnelConfig(
            vocab_size=config.vocab,
            block_sizes=list(config.block_layers),
            block_repeats=list(config.block_repeats),
            num_decoder_layers=config.decoder_layers,
            d_model=config.width,
            n_head=config.heads,
            d_head=config.head_width,
            d_inner=config.inner,
            pooling_type="max" if config.max_pooling else "mean",
            attention_type=attention_type,
            separate_cls=config.separate_cls,
            truncate_seq=config.truncate_seq,
            pool_q_only=config.pool_query_only,
        )
        assert hf.layer_norm_eps == config.layer_norm_epsilon
        if len(config.block_layers) > 1:
            whole = transformers.FunnelForPreTraining(hf)
            self.funnel, self.discriminator_predictions = whole.funnel, whole.discriminator_predictions
            self.whole = [whole]  # in a list, so that parameters are not registered twice
        else:
            self.funnel = transformers.FunnelBaseModel(hf)
        self.double().eval()

    def forward(self, ids, segments, hidden):
        out = self.funnel(
            input_ids=ids,
            attention_mask=1 - hidden,
            token_type_ids=segments,
            output_hidden_states=True,
        )
        return out.last_hidden_state, out.hidden_states

    def discriminator_loss(self, ids, segments, hidden, labels):
        out = self.whole[0](
            input_ids=ids, attention_mask=1 - hidden, token_type_ids=segments, labels=labels
        )
        return out.loss


def randomise(network, generator):
    for name, p in network.named_parameters():
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if "layer_norm.weight" in name:
            p.data = 1 + 0.2 * noise
        elif "word_embeddings" in name or ".r_" in name and "kernel" not in name or "seg_embed" in name:
            p.data = 0.5 * noise
        elif p.dim() > 1:
            fan_in = p.shape[0] if "r_kernel" in name else p.shape[-1]
            p.data = noise * 0.8 / math.sqrt(fan_in)
        else:
            p.data = 0.2 * noise


def text(config, batch, seq, padding, generator):
    ids = torch.randint(2, config.vocab, (batch, seq), generator=generator)
    segments, hidden = torch.zeros_like(ids), torch.zeros_like(ids)
    for b in range(batch):
        real = seq - padding[b]
        segments[b, real // 2 : real] = 1
        hidden[b, real:] = 1
        ids[b, real:] = 0
    ids[:, 0], segments[:, 0] = 1, 2
    return ids, segments, hidden


def check_equal(what, a, b):
    difference = float((a - b).detach().abs().max())
    if difference > TOLERANCE:
        sys.exit(f"{what}: {difference:.1e} between the two implementations")


def check_reference(config, parameters, inputs, cotangent, block_outputs, last, loss):
    """reference_model.py gives the same outputs, loss and gradients."""
    p = {name: x.detach().clone().requires_grad_() for name, x in parameters.items()}
    network = model.Network(p, config)
    ids, segments, hidden = (inputs[x] for x in ("input_ids", "segments", "hidden"))
    blocks, decoded = network.run(ids, segments, hidden)
    for b, (ours, theirs) in enumerate(zip(blocks, block_outputs, strict=True)):
        check_equal(f"block {b}", ours, theirs)
    check_equal("last hidden state", decoded, last)
    if cotangent is None:
        ours = network.discriminator_loss(decoded, inputs["labels"], hidden)
    else:
        ours = (decoded * cotangent).sum()
    check_equal("loss", ours, loss)
    ours.backward()
    for name, x in p.items():
        check_equal("gradient of " + name, x.grad, parameters[name].grad)


def write(folder, name, seq, padding=(0, 0), discriminator=False, **changes):
    config = model.Config(
        **{
            "vocab": 31, "embedding_width": 8, "width": 8, "heads": 2, "head_width": 4, "inner": 16,
            "block_layers": (1, 1, 1), "block_repeats": (1, 1, 1), "decoder_layers": 1,
            "cls_mask_always": False, "layer_norm_epsilon": 1e-9,
            **changes,
        }
    )  # fmt: skip
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    network = Discriminator(config)
    randomise(network, generator)
    ids, segments, hidden = text(config, 2, seq, padding, generator)
    inputs = dict(input_ids=ids, segments=segments, hidden=hidden)
    last, states = network(ids, segments, hidden)

    factorized = Discriminator(config, "factorized")
    factorized.load_state_dict(network.state_dict())
    check_equal("factorized attention", factorized(ids, segments, hidden)[0], last)

    cotangent = None
    if discriminator:
        inputs["labels"] = torch.randint(2, ids.shape, generator=generator)
        loss = network.discriminator_loss(ids, segments, hidden, inputs["labels"])
    else:
        cotangent = torch.randn(last.shape, generator=generator, dtype=torch.float64)
        inputs["cotangent"] = cotangent
        loss = (last * cotangent).sum()
    loss.backward()

    # The embedding's output comes first, then every layer application.
    applications = [n * r for n, r in zip(config.block_layers, config.block_repeats)]
    block_outputs = [states[sum(applications[: b + 1])] for b in range(len(applications))]
    theirs = dict(network.named_parameters())
    parameters = {}
    for ours, their_name in names(config, head=discriminator):
        p = theirs.pop(their_name)
        parameters[ours] = our_layout(ours, p.detach()).contiguous()
        parameters[ours].grad = our_layout(ours, p.grad).contiguous()
    assert all(x.startswith("discriminator_predictions") for x in theirs), theirs.keys()
    check_reference(config, parameters, inputs, cotangent, block_outputs, last, loss)

    attributes = fixture.config_attributes(config)
    attributes |= dict(objective="hidden", loss=loss.item(), transformers=transformers.__version__)
    if discriminator:
        attributes |= dict(objective="discriminator", discriminator_weight=1.0)
    outputs = {f"block_{b}": x for b, x in enumerate(block_outputs)} | {"decoder": last}
    fixture.write(f"{folder}/{name}.h5", attributes, inputs, outputs, parameters)


def main(folder):
    write(folder, "hf_base", 8)
    write(folder, "hf_padding_discriminator", 12, padding=(0, 3), discriminator=True)
    write(folder, "hf_truncate_odd", 9, heads=3)
    write(folder, "hf_no_truncate_odd", 11, padding=(6, 2), truncate_seq=False)
    write(folder, "hf_no_separate_cls", 12, padding=(4, 0), separate_cls=False)
    write(
        folder, "hf_repeats", 10,
        block_layers=(1, 2, 1), block_repeats=(1, 2, 1), decoder_layers=2,
    )  # fmt: skip
    write(folder, "hf_max_pooling_discriminator", 10, max_pooling=True, discriminator=True)
    write(folder, "hf_pooled_keys", 12, padding=(3, 0), pool_query_only=False)
    write(
        folder, "hf_one_block", 7, padding=(0, 2),
        block_layers=(2,), block_repeats=(2,), decoder_layers=0,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
