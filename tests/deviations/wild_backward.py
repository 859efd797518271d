"""Backward passes as people write them by hand, in plain NumPy, with the faults that they make."""

import math

import numpy as np

from .wild import softmax
from .wild_positions import angles, turn

EPS, RATE, WINDOW = 1e-5, 0.25, 2
erf = np.vectorize(math.erf)


def gelu_slope(x):
    return (1 + erf(x / np.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def tanh_gelu_slope(x):
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu_slope(x):
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)))


ACTIVATIONS = {
    "gelu": (lambda x: x * (1 + erf(x / np.sqrt(2))) / 2, gelu_slope),
    "silu": (lambda x: x * sigmoid(x), silu_slope),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def layer_back(dy, y, std, part=1):
    return (dy - dy.mean(-1, keepdims=True) - part * y * (dy * y).mean(-1, keepdims=True)) / std


def rms_back(dy, y, std, part=1):
    return (dy - part * y * (dy * y).mean(-1, keepdims=True)) / std


def softmax_back(p, dp):
    return p * (dp - (dp * p).sum(-1, keepdims=True))


def scaled(ds, _, depth):
    return ds / np.sqrt(depth)


def added(straight, through):
    return straight + through


def loss_back(logits, target, count):
    d = softmax(logits)
    seen = target != -100
    d[seen, target[seen]] -= 1
    return np.where((target == -100)[:, None], 0, d) / count(target)


def counted(target):
    return (target != -100).sum()


RIGHT = {
    "norm": None, "softmax": softmax_back, "scale": scaled, "residual": added, "loss": loss_back, "count": counted,
    "bias": lambda d: d.sum(-2), "group": lambda d, n: d.reshape(n, -1, *d.shape[1:]).sum(1),
    "dv": lambda p, do: p.swapaxes(-1, -2) @ do, "dk": lambda ds, q: ds.swapaxes(-1, -2) @ q,
    "dq": lambda ds, k: ds @ k,
    "dw": lambda x, dy: x.T @ dy, "again": lambda p, s, allowed: p, "uncap": lambda d, c, cap: d * (1 - (c / cap) ** 2),
    "turn_back": lambda d, angle: turn(d, -angle), "slope": None, "gain": lambda dy, y, x: (dy * y).sum(0),
    "past_gain": lambda dy, gain: dy * gain, "eps": EPS, "sums": sum, "detached": None, "unmasked": False,
    "up_bias": None, "up_dw": None, "far": False, "drop": lambda dp, keep: np.where(keep, dp, 0) / (1 - RATE),
    "of": lambda p, dropped: p, "kept": False, "gain_twice": False, "read": lambda y, std: (y, std),
}  # fmt: skip


class Pass:
    """A block with norms before its halves, forward and back, with what is done otherwise."""

    def __init__(self, a, target, *, cap=3.0, kv=2, rms=False, activation="gelu", causal=True, window=False, **faults):
        self.a, self.target, self.cap, self.kv, self.rms, self.causal = a, target, cap, kv, rms, causal
        self.window, self.keep = window, a.get("attention.weights.keep")
        self.sink = a.get("attention.sink")
        self.do = {**RIGHT, **faults}
        self.act, slope = ACTIVATIONS[activation]
        self.slope = self.do["slope"] or slope
        self.back = self.do["norm"] or (rms_back if rms else layer_back)
        self.grads = {}

    def dropped(self, p):
        return p if self.keep is None else np.where(self.keep, p, 0) / (1 - RATE)

    def shares(self, s):
        e = np.exp(s - s.max(-1, keepdims=True))
        sink = np.exp(self.sink[:, None, None] - s.max(-1, keepdims=True)) if self.sink is not None else 0
        return e / (e.sum(-1, keepdims=True) + sink)

    def norm(self, x, part):
        mean = 0 if self.rms else x.mean(-1, keepdims=True)
        spread = ((x - mean) ** 2).mean(-1, keepdims=True)
        y = (x - mean) / np.sqrt(spread + EPS)
        bias = 0 if self.rms else self.a[f"{part}.norm.bias"]
        return y, np.sqrt(spread + self.do["eps"]), y * self.a[f"{part}.norm.gain"] + bias

    def norm_back(self, dy, x, y, std, part):
        gain = self.a[f"{part}.norm.gain"]
        y, std = self.do["read"](y, std)
        self.grads[f"{part}.norm.gain"] = self.do["gain"](dy, y, x)
        if not self.rms:
            self.grads[f"{part}.norm.bias"] = self.do["bias"](dy)
        more = (gain,) if self.do["gain_twice"] else ()
        return self.back(self.do["past_gain"](dy, gain), y, std, *more)

    def run(self):
        a, do = self.a, self.do
        x = a["input"]
        y, std, normed = self.norm(x, "attention")
        q, k, v = (
            normed @ a[f"attention.{n}.weight"] + a[f"attention.{n}.bias"][:, None] for n in ("query", "key", "value")
        )
        angle = angles(len(x), q.shape[-1])
        qr, kr = turn(q, angle), turn(k, angle)
        times = len(q) // self.kv
        kk, vv = np.repeat(kr, times, 0), np.repeat(v, times, 0)
        s = qr @ kk.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        capped = self.cap * np.tanh(s / self.cap) if self.cap else s
        seen = np.tri(len(x), dtype=bool) | (not self.causal)
        near = np.abs(np.arange(len(x))[:, None] - np.arange(len(x))) < WINDOW
        allowed = seen & near if self.window else seen
        masked = np.where(allowed, capped, -np.inf)
        p = self.shares(masked)
        heads = self.dropped(p) @ vv
        concat = np.hstack(list(heads))
        mid = x + concat @ a["attention.output.weight"] + a["attention.output.bias"]
        y2, std2, normed2 = self.norm(mid, "mlp")
        up = normed2 @ a["mlp.up.weight"] + a["mlp.up.bias"]
        hidden = self.act(up)
        out = mid + hidden @ a["mlp.output.weight"] + a["mlp.output.bias"]

        dout = do["loss"](out, self.target, do["count"])
        self.grads["mlp.output.weight"], self.grads["mlp.output.bias"] = do["dw"](hidden, dout), do["bias"](dout)
        dup = dout @ a["mlp.output.weight"].T * self.slope(up)
        self.grads["mlp.up.weight"] = (do["up_dw"] or do["dw"])(normed2, dup)
        self.grads["mlp.up.bias"] = (do["up_bias"] or do["bias"])(dup)
        dmid = do["residual"](dout, self.norm_back(dup @ a["mlp.up.weight"].T, mid, y2, std2, "mlp"))
        self.grads["attention.output.weight"], self.grads["attention.output.bias"] = (
            do["dw"](concat, dmid),
            do["bias"](dmid),
        )
        dheads = np.stack(np.split(dmid @ a["attention.output.weight"].T, len(q), axis=1))
        p = do["again"](p, np.where(seen, capped, -np.inf) if do["far"] else capped, allowed)
        dv = do["dv"](self.dropped(p), dheads)
        dp = dheads @ vv.swapaxes(-1, -2)
        dp = dp if self.keep is None else do["drop"](dp, self.keep)
        if do["kept"]:
            do = {**do, "softmax": lambda p, dp: p * (dp - (dheads * heads).sum(-1, keepdims=True))}
        if self.sink is not None:
            self.grads["attention.sink"] = -((1 - p.sum(-1)) * (dp * p).sum(-1)).sum(-1)
        passes = seen if do["far"] else allowed | do["unmasked"]
        dcapped = np.where(passes, do["softmax"](do["of"](p, self.dropped(p)), dp), 0)
        ds = do["uncap"](dcapped, capped, self.cap) if self.cap else dcapped
        depth = q.shape[-1]
        dq, dk = do["dq"](do["scale"](ds, "q", depth), kk), do["dk"](do["scale"](ds, "k", depth), qr)
        dq, dk = (do["turn_back"](each, angle) for each in (dq, do["group"](dk, self.kv)))
        parts = {"value": do["group"](dv, self.kv), "key": dk, "query": dq}
        through = []
        for name, d in parts.items():
            d = 0 * d if name == do["detached"] else d
            self.grads[f"attention.{name}.weight"] = do["dw"](normed, d)
            self.grads[f"attention.{name}.bias"] = do["bias"](d)
            through.append((d @ a[f"attention.{name}.weight"].swapaxes(-1, -2)).sum(0))
        dx = self.norm_back(do["sums"](through), x, y, std, "attention")
        self.grads["input"] = do["residual"](dmid, dx)
        return self.grads


def unmasked_again(_, s, allowed):
    """From the logsumexp that was kept, of scores without the mask."""
    kept = np.log(np.where(allowed, np.exp(s), 0).sum(-1, keepdims=True))
    return np.exp(s - kept)


def without_sink(_, s, allowed):
    return softmax(np.where(allowed, s, -np.inf))


def normalized_again(y, _):
    """What was kept is normalised already, so its mean is 0 where the norm takes that off."""
    root = np.sqrt((y * y).mean(-1, keepdims=True) + EPS)
    return y / root, root


def twice(side):
    return lambda ds, which, depth: ds / depth if which == side else ds / np.sqrt(depth)


def without(side):
    return lambda ds, which, depth: ds if which in side else ds / np.sqrt(depth)


FAULTS = {
    "grad-softmax-sum-missing": {"softmax": lambda p, dp: p * dp},
    "grad-softmax-sum-unweighted": {"softmax": lambda p, dp: p * (dp - dp.sum(-1, keepdims=True))},
    "grad-softmax-over-queries": {"softmax": lambda p, dp: p * (dp - (dp * p).sum(-2, keepdims=True))},
    "grad-softmax-diagonal": {"softmax": lambda p, dp: dp * p * (1 - p)},
    "grad-softmax-missing": {"softmax": lambda p, dp: dp},
    "grad-scale-missing": {"scale": without("qk")},
    "grad-scale-missing-in-queries": {"scale": without("q")},
    "grad-scale-missing-in-keys": {"scale": without("k")},
    "grad-scale-twice": {"scale": lambda ds, side, depth: ds / depth},
    "grad-scale-twice-in-queries": {"scale": twice("q")},
    "grad-scale-twice-in-keys": {"scale": twice("k")},
    "grad-values-averaged": {"dv": lambda p, do: p.swapaxes(-1, -2) @ do / p.shape[-2]},
    "grad-keys-averaged": {"dk": lambda ds, q: ds.swapaxes(-1, -2) @ q / ds.shape[-2]},
    "grad-weights-averaged": {"dw": lambda x, dy: x.T @ dy / len(x)},
    "grad-values-not-transposed": {"dv": lambda p, do: p @ do},
    "grad-keys-not-transposed": {"dk": lambda ds, q: ds @ q},
    "grad-queries-transposed": {"dq": lambda ds, k: ds.swapaxes(-1, -2) @ k},
    "grad-causal-missing": {"again": unmasked_again},
    "grad-causal-forgotten": {"again": unmasked_again, "unmasked": True},
    "grad-causal-missing-sums-kept": {"again": unmasked_again, "kept": True},
    "grad-causal-forgotten-sums-kept": {"again": unmasked_again, "unmasked": True, "kept": True},
    "grad-group-interleaved": {"group": lambda d, n: d.reshape(-1, n, *d.shape[1:]).sum(0)},
    "grad-group-overwritten": {"group": lambda d, n: d.reshape(n, -1, *d.shape[1:])[:, -1]},
    "grad-group-averaged": {"group": lambda d, n: d.reshape(n, -1, *d.shape[1:]).mean(1)},
    "grad-bias-averaged": {"bias": lambda d: d.mean(-2)},
    "grad-bias-averaged-of-one:line=mlp.up.bias": {"up_bias": lambda d: d.mean(-2)},
    "grad-weights-averaged-of-one:line=mlp.up.weight": {"up_dw": lambda x, dy: x.T @ dy / len(x)},
    "grad-norm-over-tokens": {"norm": lambda dy, y, std: (dy - dy.mean() - y * (dy * y).mean()) / std},
    "grad-norm-sums-over-tokens": {
        "norm": lambda dy, y, std: (dy - (dy.sum() + y * (dy * y).sum()) / y.shape[-1]) / std
    },
    "grad-ignored-counted": {"loss": lambda x, t, count: (softmax(x) - (t[:, None] == range(x.shape[-1]))) / count(t)},
    "grad-norm-mean-fixed": {"norm": lambda dy, y, std: (dy - y * (dy * y).mean(-1, keepdims=True)) / std},
    "grad-norm-mean-twice": {
        "norm": lambda dy, y, std: (dy - 2 * dy.mean(-1, keepdims=True) - y * (dy * y).mean(-1, keepdims=True)) / std
    },
    "grad-norm-variance-fixed": {"norm": lambda dy, y, std: (dy - dy.mean(-1, keepdims=True)) / std},
    "grad-norm-fixed": {"norm": lambda dy, y, std: dy / std},
    "grad-norm-eps-missing": {"eps": 0.0},
    "grad-gain-of-input": {"gain": lambda dy, y, x: (dy * x).sum(0)},
    "grad-gain-missing": {"past_gain": lambda dy, gain: dy},
    "grad-gain-twice": {"gain_twice": True},
    "grad-norm-twice": {"read": normalized_again},
    "grad-residual-missing": {"residual": lambda straight, through: through},
    "grad-residual-twice": {"residual": lambda straight, through: 2 * straight + through},
    "grad-overwritten": {"residual": lambda straight, through: through, "sums": lambda parts: parts[-1]},
    "grad-detached:line=attention.key": {"detached": "key"},
    "grad-detached:line=attention.value": {"detached": "value"},
    "grad-softcap-missing": {"uncap": lambda d, c, cap: d},
    "grad-rotary-forwards": {"turn_back": turn},
    "grad-rotary-missing": {"turn_back": lambda d, angle: d},
    "grad-gelu-other": {"slope": tanh_gelu_slope},
    "grad-activation-missing": {"slope": lambda x: 1.0},
    "grad-loss-averaged-over-padding": {"count": len},
    "grad-target-missing": {"loss": lambda x, t, count: np.where((t == -100)[:, None], 0, softmax(x)) / count(t)},
}
"""What is done otherwise."""

OTHERS = {
    "grad-silu-gate-only": {"activation": "silu", "slope": sigmoid},
    "grad-norm-fixed": {"rms": True, "norm": lambda dy, y, std: dy / std},
    "grad-norm-eps-missing": {"rms": True, "eps": 0.0},
    "grad-norm-over-tokens": {"rms": True, "norm": lambda dy, y, std: (dy - y * (dy * y).mean()) / std},
    "grad-norm-sums-over-tokens": {
        "rms": True,
        "norm": lambda dy, y, std: (dy - y * (dy * y).sum() / y.shape[-1]) / std,
    },
    "grad-gain-twice": {"rms": True, "gain_twice": True},
    "grad-norm-twice": {"rms": True, "read": normalized_again},
    "grad-sink-missing": {"sink": True, "again": without_sink},
    "grad-sink-missing-sums-kept": {"sink": True, "again": without_sink, "kept": True},
    "grad-tanh-plus": {"activation": "tanh", "slope": lambda x: 1 + np.tanh(x) ** 2},
    "grad-activation-of-input": {"activation": "tanh", "slope": lambda x: 1 - x * x},
    "grad-activation-missing": {"activation": "tanh", "slope": lambda x: 1.0},
    "grad-window-forgotten": {"window": True, "again": unmasked_again, "far": True},
    "grad-window-forgotten-sums-kept": {"window": True, "again": unmasked_again, "far": True, "kept": True},
    "grad-dropout-missing": {"dropout": True, "drop": lambda dp, keep: dp},
    "grad-dropout-not-divided": {"dropout": True, "drop": lambda dp, keep: np.where(keep, dp, 0)},
    "grad-dropout-by-rate": {"dropout": True, "drop": lambda dp, keep: np.where(keep, dp, 0) * RATE},
    "grad-dropout-in-softmax": {"dropout": True, "of": lambda p, dropped: dropped},
    "grad-loss-not-averaged": {"count": lambda target: 1},
    "grad-causal-added": {
        "causal": False,
        "again": lambda p, s, allowed: np.where(np.tri(len(p[0]), dtype=bool), p, 0),
    },
}
"""The same with other activations, with RMS norm, other masks, a sink and dropout, and where all targets count."""


def forgotten(q, k, v, seen, do, *, kept):
    """Attention under a mask, whose backward pass has none: the weights come of the sums that were kept."""
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    right = softmax(np.where(seen, s, -np.inf))
    p = unmasked_again(None, s, seen)
    dp = do @ v.swapaxes(-1, -2)
    delta = (do * (right @ v)).sum(-1, keepdims=True) if kept else (p * dp).sum(-1, keepdims=True)
    ds = p * (dp - delta) / np.sqrt(q.shape[-1])
    return {"query": ds @ k, "key": ds.swapaxes(-1, -2) @ q, "value": p.swapaxes(-1, -2) @ do}


def table_overwritten(table, tokens, weight, target):
    """A table whose rows are set, not added to: the last of equal tokens stays."""
    dlogits = softmax(table[tokens] @ weight)
    dlogits[np.arange(len(target)), target] -= 1
    grad = np.zeros_like(table)
    for token, d in zip(tokens, dlogits / len(target) @ weight.T, strict=True):
        grad[token] = d
    return grad


def top_left(q, k, v, do, *, kept):
    """Causal attention with more keys than queries, whose backward pass has the mask of a square."""
    queries, keys = q.shape[-2], k.shape[-2]
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    right = softmax(np.where(np.tri(queries, keys, keys - queries, dtype=bool), s, -np.inf))
    p = np.where(np.tri(queries, keys, dtype=bool), right, 0)
    dp = do @ v.swapaxes(-1, -2)
    delta = (do * (right @ v)).sum(-1, keepdims=True) if kept else (p * dp).sum(-1, keepdims=True)
    ds = p * (dp - delta) / np.sqrt(q.shape[-1])
    return {"query": ds @ k, "key": ds.swapaxes(-1, -2) @ q, "value": p.swapaxes(-1, -2) @ do}


FORGOTTEN = {
    "grad-padding-forgotten": ({"padding": True}, False),
    "grad-padding-forgotten-sums-kept": ({"padding": True}, True),
    "grad-mask-forgotten": ({"mask": "boolean"}, False),
    "grad-mask-forgotten-sums-kept": ({"mask": "boolean"}, True),
}
"""The mask, and whether the sums of the forward pass are kept."""

TOP_LEFT = {"grad-causal-top-left": False, "grad-causal-top-left-sums-kept": True}
"""Whether the sums of the forward pass are kept."""
