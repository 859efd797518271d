"""Exercises as pupils work them: every step in plain NumPy, and every common mistake as another way to do a step.

Nothing here is clearhead's. A step is a function of the numbers worked so far. Whoever works by hand rounds every
number that is written down, the exponentials and their sum too: ``n.short`` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from clearhead import Attention, Block, Mlp, Norm, Positions, Rotary

Numbers = SimpleNamespace
Step = Callable[[Numbers], Any]
EPS = 1e-5


@dataclass(frozen=True)
class Sheet:
    """An exercise: what it computes, its sizes, the lines that are handed in, its steps, and the mistakes that show."""

    name: str
    spec: Any
    sizes: Mapping[str, int]
    asked: tuple[str, ...]
    steps: Mapping[str, Step]
    mistakes: Mapping[str, Mapping[str, Step]]

    def given(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Arrays with one decimal, as exercises have them: gains around 1, and no exponential that is rounded to 0."""
        arrays = {}
        for each in self.spec.working().givens:
            drawn = rng.normal(size=[self.sizes[word] for word in each.axes]).round(1)
            small = each.name.endswith(("query.weight", "key.weight"))
            arrays[each.name] = (
                1 + drawn / 2 if each.name.endswith("gain") else (drawn / 2).round(1) if small else drawn
            )
        return arrays


def short_of(path: str) -> str:
    """The name of a step in Python: ``attention.weights`` is ``weights``, ``mlp.norm`` is ``mlp_norm``."""
    return path.removeprefix("attention.").replace(".", "_")


def worked(sheet, arrays, names=(), *, decimals=None, after=None, rng=None):
    """All numbers of a sheet by step: with mistakes, rounded as by hand, and each result changed by ``after``.

    With ``rng`` each number is rounded carelessly: off by up to half a unit either way, unless it is written in full.
    """
    n = Numbers(short=(lambda x: x) if decimals is None else rounding(decimals, rng))
    for name, array in arrays.items():
        setattr(n, short_of(name), array)
    instead = {step: way for name in names for step, way in sheet.mistakes[name].items()}
    done = {}
    for step, way in sheet.steps.items():
        result = np.asarray(n.short(instead.get(step, way)(n)), dtype=float)
        done[step] = after(step, result) if after else result
        setattr(n, short_of(step), done[step])
    return done


def rounding(decimals, rng):
    """To decimals: to the nearest number, or, with ``rng``, off by up to half a unit."""

    def short(x):
        near = np.round(x, decimals)
        if rng is None:
            return near
        return np.where(np.isclose(near, x, atol=1e-9), x, x + rng.uniform(-0.5, 0.5, np.shape(x)) * 10.0**-decimals)

    return short


# --- steps ------------------------------------------------------------------------------------------------------------


def projected(role):
    return lambda n: n.input @ getattr(n, f"{role}_weight")


def biased(role):
    return lambda n: n.input @ getattr(n, f"{role}_weight") + getattr(n, f"{role}_bias")[:, None, :]


def shares(n, s, axis=-1):
    """Softmax as one writes it down: the exponentials, their sum, the quotients."""
    e = n.short(np.exp(s))
    return e / np.maximum(n.short(e.sum(axis=axis, keepdims=True)), 1e-300)


def root(n, size):
    return n.short(np.sqrt(size))


def t(x):
    return np.swapaxes(x, -1, -2)


def merged(n):
    return np.concatenate(list(n.head), axis=-1)


def layer(x, gain=1.0, bias=0.0):
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS) * gain + bias


def tri(n, k=0):
    return np.tri(n.scaled.shape[-1], k=k, dtype=bool)


def future_hidden(n, s):
    return np.where(tri(n), s, -np.inf)


def turned(n, x, keep=False):
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] / 10000 ** (np.arange(half) / half)
    c, s = n.short(np.cos(angle)), n.short(np.sin(angle))
    if keep:  # pairs of neighbours instead of halves
        one, two = x[..., ::2], x[..., 1::2]
        return np.stack([one * c - two * s, two * c + one * s], -1).reshape(x.shape)
    one, two = x[..., :half], x[..., half:]
    return np.concatenate([one * c - two * s, two * c + one * s], -1)


def whole(n, role):
    """The projection of all heads side by side, before it is split."""
    return np.concatenate(list(n.input @ getattr(n, f"{role}_weight")), axis=-1)


def by_reshape(role):
    return lambda n: whole(n, role).reshape(len(getattr(n, f"{role}_weight")), len(n.input), -1)


def first_weight(role):
    return lambda n: np.stack([n.input @ getattr(n, f"{role}_weight")[0] for _ in getattr(n, f"{role}_weight")])


def with_weight(of, uses):
    return {f"projection-copied:of={of},uses={uses}": {of: projected(uses)}}


# --- mistakes ---------------------------------------------------------------------------------------------------------

SCALE = {
    "scale-missing": {"scaled": lambda n: n.scores},
    "scale-squared": {"scaled": lambda n: n.scores / n.query.shape[-1]},
    "scale-by-model": {"scaled": lambda n: n.scores / root(n, n.input.shape[-1])},
    "scale-by-keys": {"scaled": lambda n: n.scores / root(n, n.key.shape[-2])},
    "scale-inverted": {"scaled": lambda n: n.scores * root(n, n.query.shape[-1])},
}


def weighing(of):
    """Mistakes of the softmax of a step."""
    return {
        "softmax-over-queries": {"weights": lambda n: shares(n, of(n), axis=-2)},
        "softmax-over-matrix": {"weights": lambda n: shares(n, of(n), axis=(-2, -1))},
        "softmax-twice": {"weights": lambda n: shares(n, n.short(shares(n, of(n))))},
    }


PLAIN_WEIGHTS = {
    "softmax-missing": {"weights": lambda n: n.scaled},
    "softmax-without-exp": {"weights": lambda n: n.scaled / n.scaled.sum(axis=-1, keepdims=True)},
}

SCALED_AFTER = {
    "scale-after-softmax": {
        "scaled": lambda n: n.scores,
        "weights": lambda n: n.short(shares(n, n.scores)) / root(n, n.query.shape[-1]),
    }
}

ROLES = ("query", "key", "value")

INPUTS = {
    **with_weight("query", "key"), **with_weight("key", "value"), **with_weight("value", "key"),
    "query-key-exchanged": {"scores": lambda n: n.key @ t(n.query)},
    "weights-transposed": {"head": lambda n: t(n.weights) @ n.value},
}  # fmt: skip

HEADS = {
    "heads-split-by-reshape": {role: by_reshape(role) for role in ROLES},
    "heads-share-weights": {role: first_weight(role) for role in ROLES},
    "heads-merged-by-reshape": {"concat": lambda n: n.head.reshape(n.head.shape[1], -1)},
    "value-unprojected": {"value": lambda n: np.stack(np.split(n.input, len(n.value_weight), axis=-1))},
}

CAUSAL = {
    "causal-missing": {"masked": lambda n: n.scaled},
    "causal-transposed": {"masked": lambda n: np.where(tri(n).T, n.scaled, -np.inf)},
    "causal-off-by-one:by=1": {"masked": lambda n: np.where(tri(n, 1), n.scaled, -np.inf)},
    "causal-off-by-one:by=-1": {"masked": lambda n: np.where(tri(n, -1), n.scaled, -np.inf)},
    "mask-multiplied": {"masked": lambda n: n.scaled * tri(n)},
    "mask-after-softmax": {
        "masked": lambda n: n.scaled, "weights": lambda n: n.short(shares(n, n.scaled)) * tri(n),
    },
}  # fmt: skip

BIASES = {
    "bias-missing:array=query.bias": {"query": projected("query")},
    "bias-missing:array=value.bias": {"value": projected("value")},
    "bias-missing:array=output.bias": {"output": lambda n: n.concat @ n.output_weight},
    "bias-missing:array=all": {
        **{role: projected(role) for role in ROLES}, "output": lambda n: n.concat @ n.output_weight,
    },
}  # fmt: skip

TURNED = {
    "rotary-missing": {"query.rotated": lambda n: n.query, "key.rotated": lambda n: n.key},
    "rotary-one-sided": {"key.rotated": lambda n: n.key},
    "rotary-on-values": {"value": lambda n: turned(n, n.short(projected("value")(n)))},
    "rotary-other-layout": {
        "query.rotated": lambda n: turned(n, n.query, keep=True),
        "key.rotated": lambda n: turned(n, n.key, keep=True),
    },
    "groups-tiled": {
        "key.repeated": lambda n: np.tile(n.key_rotated, (2, 1, 1)),
        "value.repeated": lambda n: np.tile(n.value, (2, 1, 1)),
    },
}


def norms(step, before):
    """Mistakes of the norm of a step, by the step before it."""

    def way(norm):
        return {step: lambda n: norm(getattr(n, before), getattr(n, f"{name}_gain"), getattr(n, f"{name}_bias"))}

    name = short_of(step)
    return {
        "norm-over-matrix": way(lambda x, gain, bias: (x - x.mean()) / np.sqrt(x.var() + EPS) * gain + bias),
        "norm-missing": way(lambda x, gain, bias: x * gain + bias),
        "norm-of-other-kind": way(
            lambda x, gain, bias: x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * gain + bias
        ),
    }


def both_norms():
    """Each mistake of a norm, made in both norms of a block."""
    first, second = norms("attention.norm", "residual"), norms("mlp.norm", "mlp_residual")
    return {name: first[name] | second[name] for name in first}


BLOCK = {
    "positions-missing": {"input": lambda n: n.embedding},
    "residual-from-embedding": {"attention.residual": lambda n: n.embedding + n.output},
    "activation-missing": {"mlp.active": lambda n: n.mlp_up},
    **both_norms(),
}


def in_block(mistakes):
    """Mistakes of attention by the names that its steps have in a block."""
    return {name: {f"attention.{step}": way for step, way in each.items()} for name, each in mistakes.items()}


# --- sheets -----------------------------------------------------------------------------------------------------------

ATTEND = {
    "scores": lambda n: n.query @ t(n.key),
    "scaled": lambda n: n.scores / root(n, n.query.shape[-1]),
    "weights": lambda n: shares(n, n.scaled),
    "head": lambda n: n.weights @ n.value,
}
PROJECT = {role: projected(role) for role in ROLES}
OUTPUT = {"concat": merged, "output": lambda n: n.concat @ n.output_weight}
SIZES = {"head": 2, "token": 4, "query": 4, "key": 4, "model": 6, "depth": 3, "head*depth": 6}

PLAIN = Sheet(
    "plain", Attention(2), SIZES, ("scaled", "weights", "head", "output"), PROJECT | ATTEND | OUTPUT,
    INPUTS | SCALE | weighing(lambda n: n.scaled) | PLAIN_WEIGHTS | HEADS,
)  # fmt: skip

BIASED = Sheet(
    "biased", Attention(2, bias=True), SIZES | {"model": 5}, ("query", "scores", "weights", "output"),
    {role: biased(role) for role in ROLES}
    | ATTEND
    | OUTPUT
    | {"output": lambda n: n.short(n.concat @ n.output_weight) + n.output_bias},
    BIASES | SCALE | SCALED_AFTER | {name: INPUTS[name] for name in ("query-key-exchanged", "weights-transposed")},
)  # fmt: skip

SQUARE = Sheet(
    "square", Attention(1, output=False),
    {"head": 1, "token": 3, "query": 3, "key": 3, "model": 5, "depth": 3}, ("scores", "weights", "head"),
    PROJECT | ATTEND,
    {"keys-not-transposed": {"scores": lambda n: n.query @ n.key}} | INPUTS | SCALED_AFTER | PLAIN_WEIGHTS,
)  # fmt: skip

MASKED = Sheet(
    "masked", Attention(2, causal=True), SIZES, ("scaled", "weights", "head", "output"),
    PROJECT
    | {name: ATTEND[name] for name in ("scores", "scaled")}
    | {"masked": lambda n: future_hidden(n, n.scaled), "weights": lambda n: shares(n, n.masked)}
    | {"head": ATTEND["head"]}
    | OUTPUT,
    CAUSAL | weighing(lambda n: n.masked) | {name: SCALE[name] for name in ("scale-missing", "scale-by-model")},
)  # fmt: skip

ROTARY = Sheet(
    "rotary", Attention(4, kv_heads=2, rotary=Rotary(), output=False),
    {"head": 4, "group": 2, "token": 3, "query": 3, "key": 3, "model": 5, "depth": 4},
    ("query.rotated", "scores", "weights", "concat"),
    PROJECT
    | {"query.rotated": lambda n: turned(n, n.query), "key.rotated": lambda n: turned(n, n.key)}
    | {"key.repeated": lambda n: np.repeat(n.key_rotated, 2, 0), "value.repeated": lambda n: np.repeat(n.value, 2, 0)}
    | {
        "scores": lambda n: n.query_rotated @ t(n.key_repeated), "scaled": ATTEND["scaled"],
        "weights": ATTEND["weights"], "head": lambda n: n.weights @ n.value_repeated, "concat": merged,
    },
    TURNED | weighing(lambda n: n.scaled),
)  # fmt: skip

WIDE = Sheet(
    "wide", Attention(2), {**SIZES, "token": 3, "query": 3, "key": 3, "model": 4, "depth": 4, "head*depth": 8},
    ("scaled", "weights", "head", "output"), PROJECT | ATTEND | OUTPUT,
    {"heads-averaged": {"output": lambda n: n.head.mean(axis=0)}}
    | {name: HEADS[name] for name in ("heads-share-weights", "heads-merged-by-reshape")}
    | {name: SCALE[name] for name in ("scale-missing", "scale-by-keys")},
)  # fmt: skip

BLOCK_SHEET = Sheet(
    "block",
    Block(Attention(2), norm=Norm(), mlp=Mlp("relu"), positions=Positions()), SIZES | {"hidden": 5, "token": 3},
    ("input", "attention.weights", "attention.residual", "attention.norm", "mlp.active", "mlp.norm"),
    {"input": lambda n: n.embedding + n.position}
    | {f"attention.{step}": way for step, way in (PROJECT | ATTEND | OUTPUT).items()}
    | {
        "attention.residual": lambda n: n.input + n.output,
        "attention.norm": lambda n: layer(n.residual, n.norm_gain, n.norm_bias),
        "mlp.up": lambda n: n.norm @ n.mlp_up_weight,
        "mlp.active": lambda n: np.maximum(n.mlp_up, 0),
        "mlp.output": lambda n: n.mlp_active @ n.mlp_output_weight,
        "mlp.residual": lambda n: n.norm + n.mlp_output,
        "mlp.norm": lambda n: layer(n.mlp_residual, n.mlp_norm_gain, n.mlp_norm_bias),
    },
    BLOCK | in_block(weighing(lambda n: n.scaled)),
)  # fmt: skip

SHEETS = (PLAIN, BIASED, SQUARE, MASKED, ROTARY, WIDE, BLOCK_SHEET)
