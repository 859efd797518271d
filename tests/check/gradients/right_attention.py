"""Right gradients of attention, as people write them in plain NumPy: in blocks, loops, einsums, with every option."""

import numpy as np
from tests.check.gradients.right import HEADS, Right
from tests.check.gradients.zoo import Heads, allowed, by_blocks, softmax, t

from clearhead import Attention, Rotary

WINDOW, CAP, RATE, EPS = 3, 2.0, 0.25, 1e-5


def root(x):
    return np.sqrt(x.shape[-1]).astype(x.dtype)


def weights(q, k, seen=None, bias=0):
    s = q @ t(k) / root(q) + bias
    return softmax(s if seen is None else np.where(seen, s, -np.inf))


def through(p, q, k, v, do):
    """The gradients of queries, keys, values and scores from the weights."""
    dp = do @ t(v)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return ds @ k / root(q), t(ds) @ q / root(q), t(p) @ do, ds


def plain(q, k, v):
    return weights(q, k) @ v


def causal(q, k, v):
    return weights(q, k, allowed(q @ t(k))) @ v


def einsums(q, k, v, do):
    p = weights(q, k)
    dv = np.einsum("...qk,...qd->...kd", p, do)
    dp = np.einsum("...qd,...kd->...qk", do, v)
    ds = p * dp - p * np.einsum("...qk,...qk->...q", p, dp)[..., None]
    dq, dk = np.einsum("...qk,...kd->...qd", ds, k), np.einsum("...qk,...qd->...kd", ds, q)
    return dq / root(q), dk / root(q), dv


def whole_jacobian(q, k, v, do):
    p = weights(q, k)
    jacobian = p[..., None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]
    ds = (jacobian @ (do @ t(v))[..., None])[..., 0] / root(q)
    return ds @ k, t(ds) @ q, t(p) @ do


def one_query_at_a_time(q, k, v, do):
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for at in np.ndindex(q.shape[:-1]):
        lead = at[:-1]
        s = k[lead] @ q[at] / root(q)
        p = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
        dp = v[lead] @ do[at]
        ds = p * (dp - p @ dp) / root(q)
        dq[at] = ds @ k[lead]
        dk[lead] += np.outer(ds, q[at])
        dv[lead] += np.outer(p, do[at])
    return dq, dk, dv


def blocks_of_queries(q, k, v, do, size=2):
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    seen = allowed(q @ t(k))
    for start in range(0, q.shape[-2], size):
        at = np.s_[..., start : start + size, :]
        p = weights(q[at], k, seen[start : start + size])
        dq[at], more_k, more_v, _ = through(p, q[at], k, v, do[at])
        dk += more_k
        dv += more_v
    return dq, dk, dv


def not_normalized(q, k, v, do):
    """Exponentials, their sum, and the quotient rule."""
    e = np.exp(q @ t(k) / root(q))
    total = e.sum(-1, keepdims=True)
    de = do @ t(v) / total - (do * (e @ v)).sum(-1, keepdims=True) / total**2
    ds = e * de / root(q)
    return ds @ k, t(ds) @ q, t(e / total) @ do


def of_logarithms(q, k, v, do):
    """The weights as exp(log_softmax), whose gradient is the gradient of the logarithm without its mean."""
    s = q @ t(k) / root(q)
    logs = s - s.max(-1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(-1, keepdims=True))
    dlogs = (do @ t(v)) * np.exp(logs)
    ds = (dlogs - np.exp(logs) * dlogs.sum(-1, keepdims=True)) / root(q)
    return ds @ k, t(ds) @ q, t(np.exp(logs)) @ do


def scaled_queries(q, k, v, do):
    """The scale is in the queries, so the keys' gradient reads scaled ones, and the queries' is scaled at the end."""
    small = q / root(q)
    p = softmax(small @ t(k))
    ds = p * (do @ t(v) - (do * (p @ v)).sum(-1, keepdims=True))
    return ds @ k / root(q), t(ds) @ small, t(p) @ do


def quarter_roots(q, k, v, do):
    """Queries and keys each with the root of the scale."""
    fourth = np.sqrt(root(q))
    a, b = q / fourth, k / fourth
    p = softmax(a @ t(b))
    ds = p * (do @ t(v) - (do * (p @ v)).sum(-1, keepdims=True))
    return ds @ b / fourth, t(ds) @ a / fourth, t(p) @ do


def groups_as_axis(q, k, v, do):
    """Query heads of a group as an axis of its own, and nothing repeated."""
    groups = k.shape[-3]
    split = [a.reshape(*a.shape[:-3], groups, -1, *a.shape[-2:]) for a in (q, do)]
    p = weights(split[0], k[..., None, :, :], allowed(split[0] @ t(k[..., None, :, :])))
    dq, dk, dv, _ = through(p, split[0], k[..., None, :, :], v[..., None, :, :], split[1])
    return dq.reshape(q.shape), dk.sum(-3), dv.sum(-3)


def groups_as_rows(q, k, v, do):
    """Query heads of a group as more rows of one product."""
    groups, times = k.shape[-3], q.shape[-3] // k.shape[-3]
    rows, up = (a.reshape(*a.shape[:-3], groups, -1, a.shape[-1]) for a in (q, do))
    seen = np.tile(allowed(q[..., :1, :, :] @ t(k[..., :1, :, :])), (times, 1))
    dq, dk, dv, _ = through(weights(rows, k, seen), rows, k, v, up)
    return dq.reshape(q.shape), dk, dv


def add_to_groups(q, k, v, do):
    """One head after another, whose gradients are added to those of its group."""
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    times = q.shape[-3] // k.shape[-3]
    for head in range(q.shape[-3]):
        of, to = np.s_[..., head, :, :], np.s_[..., head // times, :, :]
        p = weights(q[of], k[to], allowed(q[of] @ t(k[to])))
        dq[of], more_k, more_v, _ = through(p, q[of], k[to], v[to], do[of])
        dk[to] += more_k
        dv[to] += more_v
    return dq, dk, dv


def near(s):
    n, m = s.shape[-2:]
    distance = np.arange(n)[:, None] + m - n - np.arange(m)
    return (distance >= 0) & (distance < WINDOW)


def windowed(q, k, v):
    return weights(q, k, near(q @ t(k))) @ v


def of_windowed(q, k, v, do):
    return through(weights(q, k, near(q @ t(k))), q, k, v, do)[:3]


def window_by_slices(q, k, v, do):
    """Each query reads only the keys of its window."""
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    past = k.shape[-2] - q.shape[-2]
    for i in range(q.shape[-2]):
        end = i + past + 1
        row, keys = np.s_[..., i : i + 1, :], np.s_[..., max(0, end - WINDOW) : end, :]
        dq[row], more_k, more_v, _ = through(weights(q[row], k[keys]), q[row], k[keys], v[keys], do[row])
        dk[keys] += more_k
        dv[keys] += more_v
    return dq, dk, dv


def sink_as_column(q, k, v, sink, do):
    """The sink as one more column of scores, which is dropped after the softmax."""
    s = np.concatenate([q @ t(k) / root(q), np.broadcast_to(sink[:, None, None], (*q.shape[:-1], 1))], -1)
    p = softmax(s)
    dp = np.concatenate([do @ t(v), np.zeros((*q.shape[:-1], 1), q.dtype)], -1)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True))
    lead = tuple(range(q.ndim - 3))
    ds, dsink = ds[..., :-1] / root(q), ds[..., -1].sum((*lead, -1))
    return ds @ k, t(ds) @ q, t(p[..., :-1]) @ do, dsink


def with_sink(q, k, v, sink):
    s = np.concatenate([q @ t(k) / root(q), np.broadcast_to(sink[:, None, None], (*q.shape[:-1], 1))], -1)
    return softmax(s)[..., :-1] @ v


def with_mask(q, k, v, mask):
    return weights(q, k, mask) @ v


def of_mask(q, k, v, mask, do):
    return through(weights(q, k, mask), q, k, v, do)[:3]


def with_bias(q, k, v, mask):
    return weights(q, k, None, mask) @ v


def of_bias(q, k, v, mask, do):
    dq, dk, dv, ds = through(weights(q, k, None, mask), q, k, v, do)
    return dq, dk, dv, ds.sum(tuple(range(ds.ndim - 2)))


def with_padding(q, k, v, real):
    return weights(q, k, real[..., None, None, :]) @ v


def of_padding(q, k, v, real, do):
    """What is hidden is left out, and its gradient is 0."""
    p = np.exp(q @ t(k) / root(q)) * real[..., None, None, :]
    return through(p / p.sum(-1, keepdims=True), q, k, v, do)[:3]


def slopes(q):
    heads, n = q.shape[-3:-1]
    return -(2.0 ** (-8 * np.arange(1, heads + 1) / heads))[:, None, None].astype(q.dtype), n


def alibi(q, k):
    slope, n = slopes(q)
    distance = np.abs(np.arange(n)[:, None] + k.shape[-2] - n - np.arange(k.shape[-2]))
    return weights(q, k, allowed(q @ t(k)), (slope * distance).astype(q.dtype))


def with_alibi(q, k, v):
    return alibi(q, k) @ v


def of_alibi(q, k, v, do):
    return through(alibi(q, k), q, k, v, do)[:3]


def dropped(q, k, v, keep):
    return (weights(q, k) * keep / (1 - RATE)) @ v


def of_dropped(q, k, v, keep, do):
    p = weights(q, k)
    dp = do @ t(v) * keep / (1 - RATE)
    ds = p * (dp - (do * dropped(q, k, v, keep)).sum(-1, keepdims=True)) / root(q)
    return ds @ k, t(ds) @ q, t(p * keep / (1 - RATE)) @ do


def turned(x, sign=1, past=0):
    half = x.shape[-1] // 2
    angle = (past + np.arange(x.shape[-2]))[:, None] * 10000.0 ** (-np.arange(half) / half)
    cos, sin = np.cos(angle).astype(x.dtype), sign * np.sin(angle).astype(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def rotated(q, k, v):
    return causal(turned(q), turned(k), v)


def of_rotated(q, k, v, do):
    a, b = turned(q), turned(k)
    dq, dk, dv, _ = through(weights(a, b, allowed(a @ t(b))), a, b, v, do)
    return turned(dq, -1), turned(dk, -1), dv


def turned_pairs(x, back=False):
    """Neighbouring pairs as complex numbers."""
    pairs = x[..., ::2] + 1j * x[..., 1::2]
    turn = np.exp(1j * np.arange(x.shape[-2])[:, None] * 10000.0 ** (-2 * np.arange(x.shape[-1] // 2) / x.shape[-1]))
    found = pairs * (turn.conj() if back else turn)
    return np.stack([found.real, found.imag], -1).reshape(x.shape).astype(x.dtype)


def rotated_pairs(q, k, v):
    return plain(turned_pairs(q), turned_pairs(k), v)


def of_rotated_pairs(q, k, v, do):
    a, b = turned_pairs(q), turned_pairs(k)
    dq, dk, dv, _ = through(weights(a, b), a, b, v, do)
    return turned_pairs(dq, back=True), turned_pairs(dk, back=True), dv


def projected(x, wq, wk, wv):
    x = x[..., None, :, :]
    return plain(x @ wq, x @ wk, x @ wv)


def of_projected(x, wq, wk, wv, do):
    """Projections of one input, whose gradient comes through all three."""
    tokens = x[..., None, :, :]
    q, k, v = tokens @ wq, tokens @ wk, tokens @ wv
    grads = through(weights(q, k), q, k, v, do)[:3]
    dx = sum((d @ t(w)).sum(-3) for d, w in zip(grads, (wq, wk, wv), strict=True))
    return dx, *((t(tokens) @ d).sum(tuple(range(x.ndim - 2))) for d in grads)


TWO, CAUSAL, GROUPS = Attention(2).working(), Attention(2, causal=True).working(), Attention(4, kv_heads=2, causal=True)
grouped, capped = Heads(causal=True).forward, Heads(causal=True, cap=CAP)
FED = ("input", "query.weight", "key.weight", "value.weight")

ATTENTION = {
    **{each.__name__: Right(TWO, each, plain) for each in (
        einsums, whole_jacobian, one_query_at_a_time, not_normalized, of_logarithms, scaled_queries, quarter_roots)},
    **{each.__name__: Right(CAUSAL, each, causal) for each in (blocks_of_queries, by_blocks)},
    **{each.__name__: Right(GROUPS.working(), each, grouped) for each in (
        groups_as_axis, groups_as_rows, add_to_groups)},
    "one key for all": Right(Attention(3, kv_heads=1, causal=True).working(), groups_as_rows, grouped),
    "window": Right(Attention(2, causal=True, window=WINDOW).working(), of_windowed, windowed),
    "window by slices": Right(Attention(2, causal=True, window=WINDOW).working(), window_by_slices, windowed),
    "soft-cap": Right(Attention(2, causal=True, softcap=CAP).working(), capped.backward, capped.forward),
    "sink": Right(Attention(2, sink=True).working(), sink_as_column, with_sink, (*HEADS, "sink")),
    "mask": Right(Attention(2, mask="boolean").working(), of_mask, with_mask, (*HEADS, "mask")),
    "bias of scores": Right(Attention(2, mask="additive").working(), of_bias, with_bias, (*HEADS, "mask")),
    "padding": Right(Attention(2, padding=True).working(), of_padding, with_padding, (*HEADS, "padding")),
    "ALiBi": Right(Attention(4, causal=True, alibi=True).working(), of_alibi, with_alibi),
    "dropout": Right(Attention(2, dropout=RATE).working(), of_dropped, dropped, (*HEADS, "weights.keep")),
    "rotary in halves": Right(Attention(2, causal=True, rotary=Rotary()).working(), of_rotated, rotated),
    "rotary in pairs": Right(Attention(2, rotary=Rotary("interleaved")).working(), of_rotated_pairs, rotated_pairs),
    "projections": Right(TWO, of_projected, projected, FED),
}  # fmt: skip
"""Gradients of attention in NumPy, by what they do."""
