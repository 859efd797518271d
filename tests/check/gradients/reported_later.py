"""More wrong gradients from public reports, with their causes as the reports give them.

They were written down, with their causes, before any of them was probed, when `reported` was done. Of the 13 then none
was named. Of 2 a measurement said it (zeros), of 8 the right gradients and lines were said to be wrong without a cause,
1 was said to have another shape, 1 to run at equal sizes alone, and of 1 only that it differs with more keys than
queries. None was called something that it is not. What is said of each now is ``by`` and ``said``.
"""

import numpy as np
from tests.check.gradients.reported import (
    EPS,
    GATED,
    HEADS,
    PERCEPTRON,
    RMS,
    SCALARS,
    TWO,
    Report,
    gated,
    losses,
    norms,
    of_gated,
    of_rms,
    of_tanh,
    rms,
    tanh_mlp,
)
from tests.check.gradients.zoo import Heads, allowed, softmax, t

from clearhead import Attention, Embedding, Head, Transformer

# Attention

CAUSAL, PLAIN = Heads(causal=True), Heads()


def aligned_top_left(q, k, v, do):
    """The mask of the backward pass counts from the first key; sums that were kept are those of the forward pass."""
    n, m = q.shape[-2], k.shape[-2]
    s = q @ t(k) / np.sqrt(q.shape[-1])
    lse = np.log(np.where(allowed(s), np.exp(s), 0).sum(-1, keepdims=True))
    delta = (do * CAUSAL.forward(q, k, v)).sum(-1, keepdims=True)
    p = np.where(np.tri(n, m, dtype=bool), np.exp(s - lse), 0)
    d = p * (do @ t(v) - delta) / np.sqrt(q.shape[-1])
    return d @ k, t(d) @ q, t(p) @ do


def heads_and_tokens(q, k, v, do):
    """Keys and values are laid out anew once more: heads and tokens exchanged. It runs where there are as many."""
    dq, *rest = PLAIN.backward(q, *(a.swapaxes(-2, -3) for a in (k, v)), do)
    return dq, *(a.swapaxes(-2, -3) for a in rest)


def sunk(q, k, sink):
    e = np.exp(q @ t(k) / np.sqrt(q.shape[-1]))
    return e / (e.sum(-1, keepdims=True) + np.exp(sink)[:, None, None])


def with_sink(q, k, v, sink):
    return sunk(q, k, sink) @ v


def of_sink(q, k, v, sink, do, *, p=None, learnt=True):
    p = sunk(q, k, sink) if p is None else p
    delta = (do * with_sink(q, k, v, sink)).sum(-1, keepdims=True)
    d = p * (do @ t(v) - delta) / np.sqrt(q.shape[-1])
    dsink = -((1 - p.sum(-1, keepdims=True)) * delta).sum((-1, -2))
    return d @ k, t(d) @ q, t(p) @ do, dsink.sum(tuple(range(dsink.ndim - 1))) if learnt else 0 * sink


def without_sink(q, k, v, sink, do):
    """The weights of the backward pass leave the sink out of their denominator, and it gets no gradient."""
    return of_sink(q, k, v, sink, do, p=softmax(q @ t(k) / np.sqrt(q.shape[-1])), learnt=False)


# Norms, MLPs, tables, losses


def gain_twice(x, gain, dy):
    root = np.sqrt((x * x).mean(-1, keepdims=True) + EPS)
    y, d = x / root, dy * gain
    lead = tuple(range(dy.ndim - 1))
    return (d - gain * y * (d * y).mean(-1, keepdims=True)) / root, (dy * y).sum(lead)


def normed_twice(x, gain, dy):
    """What was kept is normalised already, and is normalised once more."""
    return of_rms(x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS), gain, dy)


def square_for_root(x, gain, dy):
    """The mean square was kept where 1/root is read."""
    scale = (x * x).mean(-1, keepdims=True)
    y, d = x * scale, dy * gain
    return scale * (d - y * (d * y).mean(-1, keepdims=True)), (dy * y).sum(tuple(range(dy.ndim - 1)))


def first_row(gate, up, dy):
    """Every row is stored in the first."""
    stored = [np.zeros_like(gate), np.zeros_like(up)]
    for out, grad in zip(stored, of_gated(gate, up, dy), strict=True):
        out[..., 0, :] = grad[..., -1, :]
    return tuple(stored)


def no_parentheses(x, up, bias, down, last, dy):
    y = np.tanh(x @ up + bias)
    dh = dy @ down.T * 1 - y**2
    lead = tuple(range(x.ndim - 2))
    _, _, _, *right = of_tanh(x, up, bias, down, last, dy)
    return dh @ up.T, (t(x) @ dh).sum(lead), dh.sum((*lead, -2)), *right


def plus(*arrays):
    return of_tanh(*arrays, slope=lambda h: 1 + np.tanh(h) ** 2)


def bias_of_each_token(x, up, bias, down, last, dy):
    dx, dup, _, *right = of_tanh(x, up, bias, down, last, dy)
    return dx, dup, dy @ down.T * (1 - np.tanh(x @ up + bias) ** 2), *right


def of_head_alone(table, token, dy):
    """The table's gradient as a look-up is replaced by its gradient as the last layer."""
    return np.einsum("...tv,...tm->vm", dy, table[token])


def of_both(table, token, dy):
    grad = of_head_alone(table, token, dy)
    np.add.at(grad, token, dy @ table)
    return grad


def tied(table, token):
    return table[token] @ table.T


def detached(logits, *_):
    return 0 * logits


SINK = Attention(heads=2, sink=True).working()
SUNK = (*HEADS, "sink")
TIED = Transformer(Embedding(), head=Head(tied=True)).working()
TABLE = ("embedding.weight", "token")

LATER = {
    "aligned top-left": Report(
        "xlite-dev/ffpa-attn PR#300", "With more keys than queries the mask of the backward pass is that of a square.",
        Attention(heads=2, causal=True).working(), HEADS, "head", aligned_top_left, HEADS,
        ("grad-causal-top-left-sums-kept",), CAUSAL.forward,
        said="key.grad is wrong in 144 of 168 numbers: it is 0 at token 5, 6 of 7"),
    "first row": Report(
        "ByteDance-Seed/Triton-distributed#180", "All rows of the gradient are stored in the first.",
        GATED, ("mlp.gate", "mlp.up"), "mlp.gated", first_row, ("mlp.gate", "mlp.up"), (), gated,
        said="it is 0 at token 1, 2, 3, 4 of 5"),
    "no sink in the backward": Report(
        "NVIDIA/cudnn-frontend PR#421", "The backward pass computes the weights again without the sink.",
        SINK, SUNK, "head", without_sink, SUNK, ("grad-sink-missing-sums-kept",), with_sink,
        said="it is scores, scaled or weights"),
    "head alone": Report(
        "NVIDIA/TransformerEngine#3437", "Of a tied table the later of two gradients replaces the earlier.",
        TIED, TABLE, "logits", of_head_alone, ("embedding.weight",), (), tied,
        said="it has the numbers of embedding.weight.grad.through_logits, which is only a part of the sum"),
    "plus": Report(
        "gy910210/neural-network-from-scratch#2", "The derivative of tanh is 1 + tanh^2.",
        norms("layer"), PERCEPTRON, "mlp.output", plus, ("mlp.norm", "mlp.up.weight", "mlp.up.bias"),
        ("grad-tanh-plus",), tanh_mlp, said="it is mlp.active.grad or mlp.up.grad"),
    "gain twice": Report(
        "NVIDIA/Megatron-LM PR#6859", "The gain is in the second term of the gradient once more.",
        norms("rms"), RMS, "attention.norm", gain_twice, ("input",), ("grad-gain-twice",), rms,
        said="it is attention.norm.normalized.grad or input.grad"),
    "no sink's gradient": Report(
        "ISEEKYAN/Megatron-LM PR#205", "The gradient of the sink is computed and not returned.",
        SINK, SUNK, "head", lambda *arrays: of_sink(*arrays, learnt=False), ("sink",), (), with_sink,
        said="it is 0 everywhere"),
    "square for root": Report(
        "flagos-ai/FlagGems PR#5771", "The backward pass reads the mean square where 1/root should be.",
        norms("rms"), RMS, "attention.norm", square_for_root, RMS, (), rms,
        said="it is attention.norm.normalized"),
    "bias of each token": Report(
        "AMD-AGI/Primus-Turbo PR#329", "The gradient of a bias is that of each token, not their sum.",
        norms("layer"), PERCEPTRON, "mlp.output", bias_of_each_token, (), (), tanh_mlp,
        said="It returns mlp.up.bias.grad as shape (3, 1, 5, 11)"),
    "normed twice": Report(
        "state-spaces/mamba PR#919", "The backward pass normalises what is normalised already.",
        norms("rms"), RMS, "attention.norm", normed_twice, RMS, ("grad-norm-twice",), rms,
        said="it is attention.norm.normalized"),
    "no parentheses": Report(
        "apache/tvm PR#7340", "The gradient of tanh is grad * 1 - tanh^2.",
        norms("layer"), PERCEPTRON, "mlp.output", no_parentheses, ("mlp.norm", "mlp.up.weight", "mlp.up.bias"), (),
        tanh_mlp, said="Fails: linear"),
    "detached": Report(
        "SKaiNET-developers/SKaiNET#862", "The loss is computed outside of what is differentiated.",
        SCALARS, ("output", "target"), "loss.token", detached, ("output",), (), losses, said="it is 0 everywhere"),
    "heads and tokens": Report(
        "huggingface/diffusers#14338", "Keys and values are laid out anew twice in the backward pass, queries once.",
        TWO, HEADS, "head", heads_and_tokens, HEADS, (), PLAIN.forward,
        said="It runs only where token and head have the same size"),
}  # fmt: skip
"""Wrong gradients, by what is wrong."""

RIGHT_LATER = {
    "sink": Report("", "Right.", SINK, SUNK, "head", of_sink, (), forward=with_sink),
    "tied table": Report("", "Right.", TIED, TABLE, "logits", of_both, (), forward=tied),
}
"""The same without what is wrong."""
