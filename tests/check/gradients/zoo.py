"""Backward passes as people write them, right and wrong, in plain NumPy.

Most of the wrong ones follow a public report, which stands beside them.
"""

import math

import numpy as np

erf = np.vectorize(math.erf)


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def t(a):
    return a.swapaxes(-1, -2)


def allowed(s):
    n, m = s.shape[-2:]
    return np.tri(n, m, m - n, dtype=bool)


class Heads:
    """Attention of heads: queries, keys and values in, heads out."""

    def __init__(self, *, causal=False, cap=0.0, **faults):
        self.causal, self.cap, self.do = causal, cap, faults

    def weights(self, q, k, times):
        s = q @ t(np.repeat(k, times, -3)) * self.do.get("factor", q.shape[-1] ** -0.5)
        capped = self.cap * np.tanh(s / self.cap) if self.cap else s
        seen = allowed(s) if self.causal else np.ones_like(s, dtype=bool)
        return softmax(np.where(seen, capped, -np.inf)), capped

    def forward(self, q, k, v):
        times = q.shape[-3] // k.shape[-3]
        return self.weights(q, k, times)[0] @ np.repeat(v, times, -3)

    def backward(self, q, k, v, do):
        times, fault = q.shape[-3] // k.shape[-3], self.do.get
        p, capped = self.weights(q, k, times)
        p = fault("again", lambda p, s: p)(p, capped)
        kk, vv = np.repeat(k, times, -3), np.repeat(v, times, -3)
        dv = fault("dv", lambda p, do: t(p) @ do)(p, do)
        dp = do @ t(vv)
        ds = fault("softmax", lambda p, dp: p * (dp - (dp * p).sum(-1, keepdims=True)))(p, dp)
        if self.cap:
            ds = fault("uncap", lambda d, c: d * (1 - (c / self.cap) ** 2))(ds, capped)
        scale = self.do.get("factor", q.shape[-1] ** -0.5)
        sq, sk = fault("scales", lambda scale: (scale, scale))(scale)
        dq = fault("dq", lambda ds, kk, p, do, vv: ds @ kk)(ds, kk, p, do, vv) * sq
        dk = fault("dk", lambda ds, q: t(ds) @ q)(ds, q) * sk
        group = fault("group", lambda d, n: d.reshape(*d.shape[:-3], n, -1, *d.shape[-2:]).sum(-3))
        return dq, *(fault("store", lambda d: d)(group(d, k.shape[-3])) for d in (dk, dv))


def by_blocks(q, k, v, do, size=2):
    """Causal attention in blocks of keys, from the logsumexp and the row sums of do*o, as FlashAttention does it."""
    scale = q.shape[-1] ** -0.5
    s = np.where(allowed(q @ t(k)), q @ t(k) * scale, -np.inf)
    m = s.max(-1, keepdims=True)
    lse = m + np.log(np.exp(s - m).sum(-1, keepdims=True))
    delta = (do * (np.exp(s - lse) @ v)).sum(-1, keepdims=True)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for start in range(0, k.shape[-2], size):
        at = np.s_[..., start : start + size, :]
        p = np.exp(s[..., start : start + size] - lse)
        dv[at] = t(p) @ do
        ds = p * (do @ t(v[at]) - delta) * scale
        dq += ds @ k[at]
        dk[at] = t(ds) @ q
    return dq, dk, dv


def left(s, p):
    return np.where(np.tri(*s.shape[-2:], dtype=bool), p, 0)


def with_kept_sums(p, s):
    """The weights from the sums that were kept of causal rows, without the mask."""
    return np.exp(s - np.log(np.where(allowed(s), np.exp(s), 0).sum(-1, keepdims=True)))


def interleaved(d, n):
    """The gradients of shared heads, added where head h belongs to group h mod n."""
    return d.reshape(*d.shape[:-3], -1, n, *d.shape[-2:]).sum(-4)


def half_of_values(ds, kk, p, do, vv):
    """The gradient of queries with the first half of the values' features alone."""
    dp = do[..., : vv.shape[-1] // 2] @ t(vv[..., : vv.shape[-1] // 2])
    return p * (dp - (dp * p).sum(-1, keepdims=True)) @ kk


def as_wide_as_keys(ds, kk, p, do, vv):
    """The gradient of queries with as many features of the values as keys have; right where they have no more."""
    width = kk.shape[-1]
    dp = do[..., :width] @ t(vv[..., :width])
    return p * (dp - (dp * p).sum(-1, keepdims=True)) @ kk


CAUSAL = {"causal": True}
GROUPS = {"causal": True, "kv_heads": 2, "heads": 4}

WRONG_HEADS = {
    "sum missing (CoLT5-attention#8)": (
        CAUSAL, {"softmax": lambda p, dp: p * dp}, "grad-softmax-sum-missing", "query key"),
    "plain sum": (
        {}, {"softmax": lambda p, dp: p * (dp - dp.sum(-1, keepdims=True))}, "grad-softmax-sum-unweighted",
        "query key"),
    "p(1 - p)": ({}, {"softmax": lambda p, dp: dp * p * (1 - p)}, "grad-softmax-diagonal", "query key"),
    "scale missing in dq": (CAUSAL, {"scales": lambda s: (1, s)}, "grad-scale-missing-in-queries", "query"),
    "scale missing in dk": (CAUSAL, {"scales": lambda s: (s, 1)}, "grad-scale-missing-in-keys", "key"),
    "scale twice": ({}, {"scales": lambda s: (s * s, s * s)}, "grad-scale-twice", "query key"),
    "scale twice in dq alone": (CAUSAL, {"scales": lambda s: (s * s, s)}, "grad-scale-twice-in-queries", "query"),
    "scale twice in dk alone": ({}, {"scales": lambda s: (s, s * s)}, "grad-scale-twice-in-keys", "key"),
    "dv = mean over queries": (
        CAUSAL, {"dv": lambda p, do: t(p) @ do / p.shape[-2]}, "grad-values-averaged", "value"),
    "dk = mean over queries": ({}, {"dk": lambda ds, q: t(ds) @ q / ds.shape[-2]}, "grad-keys-averaged", "key"),
    "dv = p do": (CAUSAL, {"dv": lambda p, do: p @ do}, "grad-values-not-transposed", "value"),
    "dk = ds q": (CAUSAL, {"dk": lambda ds, q: ds @ q}, "grad-keys-not-transposed", "key"),
    "no mask in the backward": (CAUSAL, {"again": with_kept_sums}, "grad-causal-forgotten", "query key value"),
    "mask in the backward only (triton#5660)": (
        {}, {"again": lambda p, s: left(s, p)}, "grad-causal-added", "query key value"),
    "last head of a group": (
        GROUPS, {"group": lambda d, n: d.reshape(*d.shape[:-3], n, -1, *d.shape[-2:])[..., -1, :, :]},
        "grad-group-overwritten", "key value"),
    "mean of a group": (
        GROUPS, {"group": lambda d, n: d.reshape(*d.shape[:-3], n, -1, *d.shape[-2:]).mean(-3)},
        "grad-group-averaged", "key value"),
    "heads of groups interleaved (native-sparse-attention-triton#27)": (
        GROUPS, {"group": interleaved}, "grad-group-interleaved", "key value"),
    "half of the values' features in dq": (CAUSAL, {"dq": half_of_values}, None, "query"),
    "values as wide as keys in dq (native-sparse-attention-triton#27)": (
        CAUSAL, {"dq": as_wide_as_keys}, None, "query"),
    "keys stored with other strides (pytorch#146377)": (
        {}, {"dk": lambda ds, q: t(t(ds) @ q).reshape(q.shape)}, None, "key"),
    "no gradient through softmax (candle#3724)": (
        {}, {"softmax": lambda p, dp: 0 * dp}, "grad-detached:line=weights", "query key"),
    "soft-cap's factor missing": (
        {"causal": True, "cap": 2.0}, {"uncap": lambda d, c: d}, "grad-softcap-missing", "query key"),
    "last token's key forgotten": (
        {}, {"dk": lambda ds, q: np.concatenate([(t(ds) @ q)[..., :-1, :], 0 * q[..., -1:, :]], -2)}, None, "key"),
}  # fmt: skip
"""The spec, what is done otherwise, the deviation (None: it has no name), and which gradients are then wrong."""

RIGHT_HEADS = {
    "plain": {},
    "causal": CAUSAL,
    "groups": GROUPS,
    "capped": {"causal": True, "cap": 2.0},
}


def standard(x, eps):
    centred = x - x.mean(-1, keepdims=True)
    std = np.sqrt((centred**2).mean(-1, keepdims=True) + np.asarray(eps, x.dtype))
    return centred / std, std


def norm(x, gain, bias, eps=1e-5):
    return standard(x, eps)[0] * gain + bias


def norm_back(x, gain, bias, dy, *, eps=1e-5, of=None):
    y, std = standard(x, eps)
    d = dy * gain
    dx = (of or (lambda d, y, std: (d - d.mean(-1, keepdims=True) - y * (d * y).mean(-1, keepdims=True)) / std))(
        d, y, std
    )
    lead = tuple(range(dy.ndim - 1))
    return dx, (dy * y).sum(lead), dy.sum(lead)


def of_input(x, gain, bias, dy):
    """The gain's gradient from the input (unsloth PR#4550)."""
    dx, _, dbias = norm_back(x, gain, bias, dy)
    return dx, (dy * x).sum(tuple(range(dy.ndim - 1))), dbias


def gelu(x):
    return x * (1 + erf(x / math.sqrt(2))).astype(x.dtype) / 2


def gelu_slope(x):
    return ((1 + erf(x / math.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)).astype(x.dtype)


def tanh_slope(x):
    inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return (1 + inner) / 2 + x / 2 * (1 - inner**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def mlp(x, up, down):
    return gelu(x @ up) @ down


def mlp_back(x, up, down, dy, slope=gelu_slope):
    hidden = x @ up
    dhidden = dy @ down.T * slope(hidden)
    flat = [a.reshape(-1, a.shape[-1]) for a in (x, dhidden, gelu(hidden), dy)]
    return dhidden @ up.T, flat[0].T @ flat[1], flat[2].T @ flat[3]


def in_type(function, dtype):
    """The function computing in another type of numbers."""
    return lambda *arrays: function(*(a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays))
