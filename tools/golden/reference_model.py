# SPDX-License-Identifier: Apache-2.0
"""Funnel-Transformer, MLM and ELECTRA in float64, written for reading and not for speed.

Follows the TensorFlow code of laiguokun/Funnel-Transformer, in evaluation mode (no dropout). Relative
positions are taken straight from the difference of two absolute positions, never through a shifted
table. Gradients come from PyTorch's autograd. Parameters are a plain dict, by name, kernels [in, out].
"""

import dataclasses
import math

import torch


@dataclasses.dataclass(frozen=True)
class Config:
    vocab: int
    embedding_width: int
    width: int
    heads: int
    head_width: int
    inner: int
    block_layers: tuple
    block_repeats: tuple
    decoder_layers: int
    decoder_repeats: int = 1
    max_pooling: bool = False
    separate_cls: bool = True
    truncate_seq: bool = True
    pool_query_only: bool = True
    cls_mask_always: bool = True
    layer_norm_epsilon: float = 1e-8

    def scaled(self, ratio):
        """The generator's configuration."""
        return dataclasses.replace(
            self,
            width=int(self.width * ratio),
            inner=int(self.inner * ratio),
            heads=int(self.heads * ratio),
        )


def layer_norm(x, gamma, beta, epsilon):
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + epsilon) * gamma + beta


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def windows(length, config):
    """Members of each pooling window, as lists of indices."""
    if not config.separate_cls:
        indices, result = list(range(length)), []
    else:
        indices = list(range(1, length - 1 if config.truncate_seq else length))
        result = [[0]]
    return result + [indices[i : i + 2] for i in range(0, len(indices), 2)]


class Axis:
    """What attention knows about the tokens of one sequence axis."""

    def __init__(self, positions, segments, hidden):
        self.positions = positions  # [seq]
        self.segments = segments  # [batch, seq]
        self.hidden = hidden  # [batch, seq], 1 = may not be attended to

    def pooled(self, config, block):
        members = windows(len(self.positions), config)
        first = [w[0] for w in members]
        positions = self.positions[first].clone()
        if config.separate_cls:
            positions[0] = 1 - 2**block
        hidden = torch.stack([self.hidden[:, w].min(1).values for w in members], 1)
        return Axis(positions, self.segments[:, first], hidden)


def pool(x, config):
    reduce = (lambda y: y.amax(1)) if config.max_pooling else (lambda y: y.mean(1))
    return torch.stack([reduce(x[:, w]) for w in windows(x.shape[1], config)], 1)


def sinusoids(distances, width):
    frequencies = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    angles = distances.double()[..., None] * frequencies
    return torch.cat([torch.sin(angles), torch.cos(angles)], -1)


class Network:
    """One Funnel network: parameters p, their common prefix, a configuration."""

    def __init__(self, parameters, config, prefix=""):
        self.p, self.config, self.prefix = parameters, config, prefix

    def __getitem__(self, name):
        return self.p[self.prefix + name]

    def norm(self, name, x):
        return layer_norm(
            x, self[name + "/gamma"], self[name + "/beta"], self.config.layer_norm_epsilon
        )

    def dense(self, name, x):
        return x @ self[name + "/kernel"] + self[name + "/bias"]

    def attention(self, name, x_query, x_key, query, key):
        c = self.config
        split = lambda x: x.reshape(*x.shape[:-1], c.heads, c.head_width)
        s = 1 / math.sqrt(c.head_width)
        q = split(x_query @ self[name + "/query/kernel"]) * s
        k, v = (split(self.dense(f"{name}/{part}", x_key)) for part in ("key", "value"))

        distances = query.positions[:, None] - key.positions[None, :]
        r = split(sinusoids(distances, c.width) @ self[name + "/position/kernel"])
        content = torch.einsum("bind,bjnd->bnij", q + s * self[name + "/content_bias"], k)
        position = torch.einsum("bind,ijnd->bnij", q + s * self[name + "/position_bias"], r)

        of_query, of_key = query.segments[:, :, None], key.segments[:, None, :]
        same = (of_query == of_key) | (of_query == 2) | (of_key == 2)
        vectors = self[name + "/segment_embedding"][same.long()]
        segment = torch.einsum("bind,bijnd->bnij", q + s * self[name + "/segment_bias"], vectors)

        cls_mask = torch.ones(distances.shape, dtype=torch.float64)
        if c.separate_cls or c.cls_mask_always:
            cls_mask[0, :] = 0
            cls_mask[:, 0] = 0
        scores = content + cls_mask * (position + segment)
        scores = scores - 1e6 * key.hidden[:, None, None, :].double()
        context = torch.einsum("bnij,bjnd->bind", torch.softmax(scores, -1), v)
        output = self.dense(name + "/output", context.flatten(2))
        return self.norm(name + "/norm", x_query + output)

    def layer(self, name, x_query, x_key, query, key):
        u = self.attention(name + "/attention", x_query, x_key, query, key)
        inner = gelu(self.dense(name + "/feed_forward/up", u))
        return self.norm(name + "/feed_forward/norm", u + self.dense(name + "/feed_forward/down", inner))

    def encode(self, x, axis):
        """x [batch, seq, embedding_width]; the last hidden state of every block."""
        c = self.config
        if c.embedding_width != c.width:
            x = self.dense("input_projection", x)
        outputs = []
        for block, (layers, repeats) in enumerate(zip(c.block_layers, c.block_repeats)):
            pooling = block > 0
            for layer in range(layers):
                for _ in range(repeats):
                    name = f"encoder/block_{block}/layer_{layer}"
                    if pooling:
                        pooled, pooled_axis = pool(x, c), axis.pooled(c, block)
                        keys = (x, axis) if c.pool_query_only else (pooled, pooled_axis)
                        x = self.layer(name, pooled, keys[0], pooled_axis, keys[1])
                        axis, pooling = pooled_axis, False
                    else:
                        x = self.layer(name, x, x, axis, axis)
            outputs.append(x)
        return outputs

    def decode(self, block_outputs, axis):
        c = self.config
        if len(c.block_layers) == 1:
            return block_outputs[-1]
        first, last = block_outputs[0], block_outputs[-1]
        stride = 2 ** (len(c.block_layers) - 1)
        rows = []
        for t in range(first.shape[1]):
            source = t // stride
            if c.separate_cls:
                source = 0 if t == 0 else 1 + (t - 1) // stride
            found = source < last.shape[1]
            rows.append(first[:, t] + last[:, source] if found else first[:, t])
        x = torch.stack(rows, 1)
        for layer in range(c.decoder_layers):
            for _ in range(c.decoder_repeats):
                x = self.layer(f"decoder/layer_{layer}", x, x, axis, axis)
        return x

    def run(self, ids, segments, hidden):
        """The outputs of every block, and the decoder's."""
        table = self.p["embedding/table"]
        x = layer_norm(
            table[ids],
            self.p["embedding/norm/gamma"],
            self.p["embedding/norm/beta"],
            self.config.layer_norm_epsilon,
        )
        axis = Axis(torch.arange(ids.shape[1]), segments, hidden)
        blocks = self.encode(x, axis)
        return blocks, self.decode(blocks, axis)

    def mlm_logits(self, decoded, positions):
        selected = torch.stack([row[index] for row, index in zip(decoded, positions)])
        y = self.norm("mlm_head/norm", gelu(self.dense("mlm_head/dense", selected)))
        return y @ self.p["embedding/table"].T + self["mlm_head/vocab_bias"]

    def mlm_loss(self, decoded, positions, targets):
        """Mean over all selected positions."""
        log_probabilities = torch.log_softmax(self.mlm_logits(decoded, positions), -1)
        return -log_probabilities.gather(-1, targets[..., None]).mean()

    def discriminator_loss(self, decoded, labels, hidden):
        """Mean over the tokens that are not padding, unweighted."""
        z = gelu(self.dense("discriminator_head/dense", decoded))
        z = z @ self["discriminator_head/weight"] + self["discriminator_head/bias"]
        loss = torch.clamp(z, min=0) - z * labels + torch.log1p(torch.exp(-z.abs()))
        visible = 1.0 - hidden.double()
        return (loss * visible).sum() / visible.sum()


def layer_shapes(name, c):
    projected = c.heads * c.head_width
    attention = name + "/attention"
    yield attention + "/query/kernel", (c.width, projected)
    for part in ("key", "value"):
        yield f"{attention}/{part}/kernel", (c.width, projected)
        yield f"{attention}/{part}/bias", (projected,)
    yield attention + "/output/kernel", (projected, c.width)
    yield attention + "/output/bias", (c.width,)
    yield attention + "/position/kernel", (c.width, projected)
    for part in ("content_bias", "position_bias", "segment_bias"):
        yield f"{attention}/{part}", (c.heads, c.head_width)
    yield attention + "/segment_embedding", (2, c.heads, c.head_width)
    yield from norm_shapes(attention + "/norm", c.width)
    yield name + "/feed_forward/up/kernel", (c.width, c.inner)
    yield name + "/feed_forward/up/bias", (c.inner,)
    yield name + "/feed_forward/down/kernel", (c.inner, c.width)
    yield name + "/feed_forward/down/bias", (c.width,)
    yield from norm_shapes(name + "/feed_forward/norm", c.width)


def norm_shapes(name, width):
    yield name + "/gamma", (width,)
    yield name + "/beta", (width,)


def embedding_shapes(c):
    yield "embedding/table", (c.vocab, c.embedding_width)
    yield from norm_shapes("embedding/norm", c.embedding_width)


def network_shapes(c):
    if c.embedding_width != c.width:
        yield "input_projection/kernel", (c.embedding_width, c.width)
        yield "input_projection/bias", (c.width,)
    for block, layers in enumerate(c.block_layers):
        for layer in range(layers):
            yield from layer_shapes(f"encoder/block_{block}/layer_{layer}", c)
    if len(c.block_layers) > 1:
        for layer in range(c.decoder_layers):
            yield from layer_shapes(f"decoder/layer_{layer}", c)


def mlm_head_shapes(c):
    yield "mlm_head/dense/kernel", (c.width, c.embedding_width)
    yield "mlm_head/dense/bias", (c.embedding_width,)
    yield from norm_shapes("mlm_head/norm", c.embedding_width)
    yield "mlm_head/vocab_bias", (c.vocab,)


def discriminator_head_shapes(c):
    yield "discriminator_head/dense/kernel", (c.width, c.width)
    yield "discriminator_head/dense/bias", (c.width,)
    yield "discriminator_head/weight", (c.width,)
    yield "discriminator_head/bias", (1,)
