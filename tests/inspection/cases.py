"""Drawn cases: shapes, kinds of numbers, and every option in any combination."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import strategies as st

from .reference import Case

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
"""Where Triton's kernel runs: without a GPU in Triton's interpreter (tests/conftest.py)."""

KINDS = {
    "ordinary": lambda draw, shape: draw.normal(size=shape),
    "large": lambda draw, shape: draw.normal(size=shape) * 100,
    "denormal": lambda draw, shape: draw.normal(size=shape) * 1e-22,
    "ties": lambda draw, shape: draw.integers(-1, 2, size=shape),
    "spread": lambda draw, shape: draw.normal(size=shape) * np.exp(draw.normal(size=shape)),
}
"""The numbers of query and key: scores around 1, around 1e4, denormal in float32, equal to each other, of all sizes."""


@st.composite
def cases(draw, *, most=300):
    """Arguments of an inspection in float32; masks may leave a query nothing to see."""
    batch = draw(st.sampled_from([(), (2,), (2, 1)]))
    groups, shared = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    queries, keys = draw(st.integers(1, most // 2)), draw(st.integers(1, most))
    depth, features = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    numbers = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    heads = groups * shared
    options = {
        "causal": draw(st.booleans()),
        "window": draw(st.none() | st.integers(1, keys + 3)),
        "softcap": draw(st.sampled_from([None, 0.5, 30.0])),
        "scale": draw(st.sampled_from([None, 0.37, -1.0])),
        "mask": draw(st.sampled_from([None, boolean_mask, additive_mask])),
        "padding": draw(st.sampled_from([None, scattered, tail])),
        "bands": draw(st.sampled_from([None, (), (1,), (1, 8, 64), (2, 200)])),
    }
    if options["mask"]:
        whole = (*batch, heads, queries, keys)
        options["mask"] = options["mask"](rng, [draw(st.sampled_from([1, size])) for size in whole])
    if options["padding"]:
        options["padding"] = options["padding"](rng, (*batch, keys))
    options = {name: value for name, value in options.items() if value is not None}
    query, key = numbers(rng, (*batch, heads, queries, depth)), numbers(rng, (*batch, groups, keys, depth))
    value = rng.normal(size=(*batch, groups, keys, features))
    return Case(*(each.astype(np.float32) for each in (query, key, value)), options)


def boolean_mask(rng, shape):
    """True for some cells; whole rows may be False."""
    return rng.random(shape) < rng.choice([0.02, 0.5, 0.98])


def additive_mask(rng, shape):
    """Numbers, and minus infinity for some cells."""
    return np.where(rng.random(shape) < 0.3, -np.inf, rng.normal(size=shape)).astype(np.float32)


def scattered(rng, shape):
    """Real keys here and there, perhaps none."""
    return rng.random(shape) < rng.choice([0.0, 0.1, 0.9])


def tail(rng, shape):
    """Real keys first, then those that fill up; as many of them in each example as it happens."""
    return np.arange(shape[-1]) < rng.integers(0, shape[-1] + 1, size=(*shape[:-1], 1))
