"""One working, one set of operations, every array library: the strictest reading of the array API first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import array_api_strict as strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from msgspec import Struct

from clearhead.deviations import deviate
from clearhead.ops import Operation
from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary
from clearhead.trace import Trace, to_numpy
from clearhead.working import Working

from .. import rounding
from .operands import Array, examples, operands_for

pytestmark = pytest.mark.sweep(3)

Arrays = dict[str, Any]


def run(working: Working, arrays: Arrays) -> Trace:
    """Runs a working."""
    return working.run(arrays)


def run_compiled(working: Working, arrays: Arrays) -> Trace:
    """Runs a working compiled as a whole by JAX; operation by operation it would compile for most of the time."""
    return Trace(working, jax.jit(lambda given: dict(working.run(given)))(arrays))


class Library(Struct, frozen=True):
    """An array library: its type of array, how one is made, what holds meanwhile, and how a working is run on them."""

    array: type
    make: Callable[[Array], Any]
    setting: Callable[[], AbstractContextManager[Any]] = nullcontext
    run: Callable[[Working, Arrays], Trace] = run


def strictly(version: str) -> Library:
    """array-api-strict, which has what this version of the standard has and nothing else."""
    return Library(type(strict.asarray(0.0)), strict.asarray, lambda: strict.ArrayAPIStrictFlags(api_version=version))


LIBRARIES = {
    "array-api-strict-2024.12": strictly("2024.12"),
    "array-api-strict-2025.12": strictly("2025.12"),
    "numpy": Library(np.ndarray, np.array),
    "torch": Library(torch.Tensor, torch.tensor),
    "jax": Library(jax.Array, jnp.asarray, lambda: jax.enable_x64(True), run_compiled),
}

LARGEST = Attention(
    heads=4,
    kv_heads=2,
    softcap=3.0,
    causal=True,
    window=2,
    mask="boolean",
    padding=True,
    alibi=True,
    rotary=Rotary("half", width=4),
    qk_norm=Norm("rms"),
    bias=("query", "key", "value", "output"),
    cache=True,
)

WORKINGS: dict[str, Working] = {
    "all of attention": Block(LARGEST, norm=Norm("layer"), positions=Positions("sinusoidal")).working(),
    "cross-attention": Attention(heads=4, scale=0.3, mask="additive", memory=True).working(),
    "pre-norm gated block": Block(
        Attention(heads=4, rotary=Rotary("interleaved", offset=3)),
        norm=Norm("rms"),
        placement="pre",
        mlp=Mlp("silu", gated=True),
    ).working(),
    "deviations": deviate(
        Block(Attention(heads=4), norm=Norm("layer"), mlp=Mlp("gelu", bias=True)).working(),
        "softmax-over-queries",
        "scale-after-softmax",
        "norm-over-matrix",
        "round:line=value@2,decimals=1",
        "round:line=mlp.active,decimals=2",
    ),
}

WORDS = {"head": 4, "group": 2, "token": 3, "query": 3, "key": 5, "past": 2, "depth": 6, "model": 7, "hidden": 11}
WORDS["head*depth"] = WORDS["head"] * WORDS["depth"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Each array library in turn, with what must hold while it is used."""
    chosen = LIBRARIES[request.param]
    with chosen.setting():
        yield chosen


def given_arrays(working: Working) -> dict[str, Array]:
    """Numbers for a working, and masks in which a query may attend to nothing."""
    random = np.random.default_rng(0)
    shapes = {given.name: tuple(WORDS[word] for word in given.axes) for given in working.givens}
    return {
        given.name: random.normal(size=shapes[given.name])
        if given.holds == "numbers"
        else random.random(shapes[given.name]) < 0.5
        for given in working.givens
    }


def assert_unchanged(made: Any, original: Array) -> None:
    """An array still holds what it was made of."""
    np.testing.assert_array_equal(to_numpy(made), original)


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float64") for name in WORKINGS), ("all of attention", "float32")]
)
def test_workings(library: Library, name: str, dtype: str) -> None:
    """Lines are arrays of the caller's library and type, with NumPy's numbers and notes; inputs stay as they are."""
    working, arrays = WORKINGS[name], given_arrays(WORKINGS[name])
    arrays = {key: array if array.dtype == bool else array.astype(dtype) for key, array in arrays.items()}
    expected = working.run({key: array.astype(array.dtype) for key, array in arrays.items()})
    bounds = rounding.expected(working, arrays)
    made = {key: library.make(array) for key, array in arrays.items()}
    trace = library.run(working, made)
    assert trace.keys() == expected.keys()
    for line in working.lines:
        assert isinstance(trace[line.name], library.array), line.name
        assert trace.numpy(line.name).dtype == dtype, line.name
        if dtype == "float64":
            np.testing.assert_allclose(trace.numpy(line.name), expected[line.name], 1e-13, 1e-13, err_msg=line.name)
        else:
            rounding.assert_rounded(trace.numpy(line.name), bounds[line.name], line.name)
    assert trace.notes == expected.notes
    for key, array in arrays.items():
        assert_unchanged(made[key], array)


@pytest.mark.parametrize(("operation", "parameters"), examples(), ids=str)
def test_operations(library: Library, operation: Operation, parameters: dict[str, Any]) -> None:
    """Every operation gives NumPy's numbers in the caller's library; operands stay as they are."""
    random = np.random.default_rng(1)
    arrays = operands_for(operation.name, parameters, lambda shape: random.normal(size=(2, *shape)))
    expected = operation(*(array.copy() for array in arrays), **parameters)
    made = [library.make(array) for array in arrays]
    found = operation(*made, **parameters)
    assert isinstance(found, library.array)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-13, atol=1e-13)
    for one, array in zip(made, arrays, strict=True):
        assert_unchanged(one, array)


def test_keeping_one_line_under_jit() -> None:
    """A working that keeps one line can be compiled as well, though it has no numbers to take notes of."""
    working = WORKINGS["all of attention"]
    arrays = given_arrays(working)
    expected = working.run(arrays)
    with jax.enable_x64(True):
        made = {name: jnp.asarray(array) for name, array in arrays.items()}
        found = jax.jit(lambda given: working.run(given, keep="norm")["norm"])(made)
    np.testing.assert_allclose(found, expected["norm"], rtol=1e-13, atol=1e-13)
