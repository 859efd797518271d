"""Whole blocks in plain NumPy as people write them, and the ways they got them wrong: norms, residuals, batches."""

import math

import numpy as np

from .wild import attend, merge, qkv, scores, softmax, split
from .wild_positions import angles, turn

EPS = 0.01


def layer_norm(x, gain=1.0, bias=0.0):
    """As in the paper."""
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + EPS) * gain + bias


def normed(norm):
    """Post-norm attention whose norm is something else: norm(x, gain, bias)."""

    def run(g):
        return norm(g.x + attend(g, *qkv(g)), g.gain, g.bias)

    return run


def by_mean_and_spread(mean, spread):
    """A norm from a mean and a divisor of the whole array."""
    return normed(lambda x, gain, bias: (x - mean(x)) / spread(x) * gain + bias)


def _mean(x):
    return x.mean(axis=-1, keepdims=True)


def _var(x, ddof=0):
    return x.var(axis=-1, keepdims=True, ddof=ddof)


def rms(x, gain, bias):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + EPS) * gain + bias


NORMS = {
    "norm-over-matrix": by_mean_and_spread(np.mean, lambda x: np.sqrt(np.var(x) + EPS)),
    "norm-over-tokens": by_mean_and_spread(lambda x: x.mean(axis=0), lambda x: np.sqrt(x.var(axis=0) + EPS)),
    "norm-sample-std": by_mean_and_spread(_mean, lambda x: np.sqrt(_var(x, ddof=1) + EPS)),
    "norm-of-other-kind": normed(rms),
    "norm-eps:eps=1e-05": by_mean_and_spread(_mean, lambda x: np.sqrt(_var(x) + 1e-5)),
    "norm-eps:eps=0.0": by_mean_and_spread(_mean, lambda x: x.std(axis=-1, keepdims=True)),
    "norm-eps-outside-root": by_mean_and_spread(_mean, lambda x: x.std(axis=-1, keepdims=True) + EPS),
    "norm-root-missing": by_mean_and_spread(_mean, lambda x: _var(x) + EPS),
    "norm-squared": by_mean_and_spread(_mean, lambda x: (_var(x) + EPS) ** 2),
    "norm-missing": normed(lambda x, gain, bias: x * gain + bias),
    "norm-gain-missing": normed(lambda x, gain, bias: layer_norm(x) + bias),
    "norm-bias-missing": normed(lambda x, gain, bias: layer_norm(x) * gain),
    "norm-gain-and-bias-missing": normed(lambda x, gain, bias: layer_norm(x)),
    "norm-gain-and-bias-exchanged": normed(lambda x, gain, bias: layer_norm(x, bias, gain)),
    "norm-gain-plus-one": normed(lambda x, gain, bias: layer_norm(x) * (1 + gain) + bias),
    "residual-missing:line=residual": lambda g: layer_norm(attend(g, *qkv(g)), g.gain, g.bias),
    "residual-doubled:line=residual": lambda g: layer_norm(g.x + (g.x + attend(g, *qkv(g))), g.gain, g.bias),
    "norm-left-out:line=norm": normed(lambda x, gain, bias: x),
    "norm-not-divided": by_mean_and_spread(_mean, lambda x: 1),
    "norm-inside-residual": lambda g: g.x + layer_norm(attend(g, *qkv(g)), g.gain, g.bias),
    "norm-placement": lambda g: g.x + attend(g, *qkv(g, layer_norm(g.x, g.gain, g.bias))),
}
"""With the norm behind the residual."""


def sample_std_outside(x, gain, bias):
    return (x - _mean(x)) / (x.std(axis=-1, keepdims=True, ddof=1) + EPS) * gain + bias


def lecture(x, gain, bias):
    return (x - np.mean(x)) / (np.std(x) + EPS) * gain + bias


TOGETHER = {
    ("norm-sample-std", "norm-eps-outside-root"): normed(sample_std_outside),
    ("norm-over-matrix", "norm-eps-outside-root"): normed(lecture),
    ("norm-sample-std", "norm-over-matrix"): by_mean_and_spread(np.mean, lambda x: np.sqrt(np.var(x, ddof=1) + EPS)),
    ("norm-of-other-kind", "norm-eps-outside-root"): normed(
        lambda x, gain, bias: x / (np.sqrt(np.mean(x**2, axis=-1, keepdims=True)) + EPS) * gain + bias
    ),
}
"""Several at once in one norm, as in the Annotated Transformer and in the lecture behind the notebook."""


def pre_norm_from_norm(g):
    x = layer_norm(g.x, g.gain, g.bias)
    return x + attend(g, *qkv(g, x))


PRE_NORM = {
    "residual-from-norm": pre_norm_from_norm,
    "norm-placement": lambda g: layer_norm(g.x + attend(g, *qkv(g)), g.gain, g.bias),
}
"""With the norm before the attention."""


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def block(activation=gelu, first=("gain", "bias"), second=("mlp_gain", "mlp_bias")):
    """A post-norm block with an MLP; which arrays each norm takes may be chosen."""

    def run(g):
        one, other = ([getattr(g, name) for name in names] for names in (first, second))
        x = layer_norm(g.x + attend(g, *qkv(g)), *one)
        return layer_norm(x + activation(x @ g.up) @ g.down, *other)

    return run


def with_first_input(g):
    x = layer_norm(g.x + attend(g, *qkv(g)), g.gain, g.bias)
    return layer_norm(g.x + gelu(x @ g.up) @ g.down, g.mlp_gain, g.mlp_bias)


def without_second_norm(g):
    x = layer_norm(g.x + attend(g, *qkv(g)), g.gain, g.bias)
    return x + gelu(x @ g.up) @ g.down


def without_norms(g):
    x = g.x + attend(g, *qkv(g))
    return x + gelu(x @ g.up) @ g.down


def gated(product):
    """A pre-norm block whose MLP has a gate: product(gate, up), as it should be silu(gate) * up."""

    def run(g):
        x = g.x + attend(g, *qkv(g, layer_norm(g.x, g.gain, g.bias)))
        y = layer_norm(x, g.mlp_gain, g.mlp_bias)
        return x + product(y @ g.gate, y @ g.up) @ g.down

    return run


def silu(x):
    return x / (1 + np.exp(-x))


GATED = {
    "gate-exchanged": gated(lambda gate, up: gate * silu(up)),
    "gate-missing:kept=gate": gated(lambda gate, up: silu(gate)),
    "gate-missing:kept=up": gated(lambda gate, up: silu(up)),
    "activation-of-other-kind:to=gelu": gated(lambda gate, up: gelu(gate) * up),
}
"""With a gated MLP and its norms before."""


def without_second_residual(g):
    x = layer_norm(g.x + attend(g, *qkv(g)), g.gain, g.bias)
    return layer_norm(gelu(x @ g.up) @ g.down, g.mlp_gain, g.mlp_bias)


MLP = {
    "gelu-other-form": block(gelu_tanh),
    "gelu-by-sigmoid": block(lambda x: x / (1 + np.exp(-1.702 * x))),
    "activation-missing": block(lambda x: x),
    "norms-exchanged": block(first=("mlp_gain", "mlp_bias"), second=("gain", "bias")),
    "norm-shared:of=first": block(second=("gain", "bias")),
    "norm-shared:of=second": block(first=("mlp_gain", "mlp_bias")),
    "residual-missing:line=mlp.residual": without_second_residual,
    "residual-of-first-input": with_first_input,
    "norm-left-out:line=mlp.norm": without_second_norm,
    "norm-left-out:line=all": without_norms,
    "activation-of-other-kind:to=relu": block(lambda x: np.maximum(x, 0)),
    "activation-of-other-kind:to=silu": block(silu),
}
"""With an MLP and two norms."""


def qk_normed(norm):
    """Attention with RMS norms of queries and keys: norm(x by head, gain)."""

    def run(g):
        q, k, v = qkv(g)
        return attend(g, norm(q, g.q_gain), norm(k, g.k_gain), v)

    return run


def keys_not_normed(g):
    q, k, v = qkv(g)
    return attend(g, rms(q, g.q_gain, 0.0), k, v)


def over_projection(x, gain):
    flat = merge(x)
    return split(flat / np.sqrt(np.mean(flat**2, axis=-1, keepdims=True) + EPS), len(x)) * gain


QK_NORM = {
    "qk-norm-missing": qk_normed(lambda x, gain: x),
    "qk-norm-missing-on-one-side:side=key": keys_not_normed,
    "qk-norm-over-projection": qk_normed(over_projection),
}
"""With RMS norms of queries and keys."""


def by_head(x, gain):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + EPS) * gain[:, None]


QK_NORM_OF_ALL = {"qk-norm-head-by-head": qk_normed(by_head)}
"""With RMS norms of all heads together."""


def turned_first(g):
    q, k, v = qkv(g)
    angle = angles(len(g.x), q.shape[-1])
    return attend(g, rms(turn(q, angle), g.q_gain, 0.0), rms(turn(k, angle), g.k_gain, 0.0), v)


QK_NORM_ROTARY = {"qk-norm-after-rotary": turned_first}
"""With rotary positions behind these norms."""


def biased(*left_out):
    """Attention with biases, some of them forgotten."""

    def run(g):
        bias = {name: 0.0 if name in left_out else getattr(g, f"b{name}") for name in "qkvo"}
        q, k, v = (split(g.x @ getattr(g, f"w{name}") + bias[name], g.h) for name in "qkv")
        return merge(softmax(scores(q, k)) @ v) @ g.wo + bias["o"]

    return run


BIASES = {
    "bias-missing:array=query.bias": biased("q"),
    "bias-missing:array=value.bias": biased("v"),
    "bias-missing:array=output.bias": biased("o"),
    "bias-missing:array=all": biased("q", "k", "v", "o"),
}
"""With biases in all projections."""


def over_batch(g):
    """Tokens of (token, batch, model) taken for examples: what nn.MultiheadAttention does without batch_first."""
    return np.stack([attend(g, *qkv(g, x)) for x in g.x.transpose(1, 0, 2)], axis=1)


def by_head_as_batch(g):
    """Heads concatenated along the batch, head by head, and taken apart as (batch, head)."""
    b, n, _ = g.x.shape
    q, k, v = (np.concatenate(np.split(g.x @ w, g.h, axis=2), axis=0) for w in (g.wq, g.wk, g.wv))
    o = (softmax(scores(q, k)) @ v).reshape(b, g.h, n, -1)
    return np.stack([merge(one) @ g.wo for one in o])


def merged_by_head(g):
    """Heads of shape (head, batch, token, depth) merged by lines for (batch, head, token, depth)."""
    b, n, _ = g.x.shape
    projected = [qkv(g, x) for x in g.x]
    o = np.stack([softmax(scores(q, k)) @ v for q, k, v in projected], axis=1)
    return o.transpose(0, 2, 1, 3).reshape(b, n, -1) @ g.wo


BATCH = {
    "attention-over-batch": over_batch,
    "batch-taken-for-heads": by_head_as_batch,
    "heads-merged-over-batch": merged_by_head,
}
"""With a batch, and no masks."""


def heads_first(g):
    """All heads and examples in one axis, head by head, with the rows of padding repeated as example by example."""
    b, n, _ = g.x.shape
    q, k, v = (np.concatenate(np.split(g.x @ w, g.h, axis=2), axis=0) for w in (g.wq, g.wk, g.wv))
    real = np.repeat(g.mask, g.h, axis=0)[:, None, :]
    o = softmax(np.where(real, scores(q, k), -np.inf)) @ v
    return np.stack([merge(one) @ g.wo for one in o.reshape(g.h, b, n, -1).swapaxes(0, 1)])


def padded_batch(rows_for):
    """All examples and heads in one axis, each with the row of padding that ``rows_for(mask, heads)`` gives it."""

    def run(g):
        b, n, _ = g.x.shape
        q, k, v = (np.concatenate([split(x @ w, g.h) for x in g.x]) for w in (g.wq, g.wk, g.wv))
        real = rows_for(g.mask, g.h)[:, None, :]
        o = softmax(np.where(real, scores(q, k), -np.inf)) @ v
        return np.stack([merge(one) @ g.wo for one in o.reshape(b, g.h, n, -1)])

    return run


PADDED_BATCH = {
    "padding-tiled-over-heads": padded_batch(lambda mask, h: np.tile(mask, (h, 1))),
    "padding-repeated-for-heads": heads_first,
    "padding-taken-by-head": padded_batch(lambda mask, h: np.concatenate([mask[:h]] * len(mask))),
}
"""With a batch of as many examples as heads, and padding."""


def batch_normed(g):
    x = g.x + np.stack([attend(g, *qkv(g, each)) for each in g.x])
    return (x - x.mean(axis=(0, 1))) / np.sqrt(x.var(axis=(0, 1)) + EPS) * g.gain + g.bias


BATCH_NORM = {"norm-over-batch": batch_normed}
"""With a batch, a residual and a norm."""
