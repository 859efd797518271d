"""Parity with jax.nn.dot_product_attention: values and gradients, under jit.

JAX sets tokens before heads (batch, token, head, depth); heads stand before tokens here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from clearhead.spec import Attention
from clearhead.working import Working

from .. import rounding
from .agreement import assert_agree, few

Arrays = dict[str, Any]
Attend = Callable[[Arrays], Any]

POINTS = ("query", "key", "value")

QUICKLY = {"xla_backend_optimization_level": 0}
"""Compiling takes the time of these tests, so the compiler is told not to optimise."""


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    """JAX keeps float64 only where it is told to, here and nowhere else in the suite."""
    with jax.enable_x64(True):
        yield


class Drawn(Struct, frozen=True):
    """A drawn problem in both languages: sizes, options, the type of numbers and their seed."""

    batch: int
    groups: int
    times: int
    queries: int
    keys: int
    depth: int
    dtype: str
    seed: int
    scale: float | None = None
    masks: frozenset[str] = frozenset()

    def arrays(self) -> Arrays:
        """Queries, keys, values and all masks, laid out as here; key 0 may always be attended to."""
        random = np.random.default_rng(self.seed)
        heads = self.groups * self.times
        numbers = {
            "query": random.normal(size=(self.batch, heads, self.queries, self.depth)),
            "key": random.normal(size=(self.batch, self.groups, self.keys, self.depth)),
            "value": random.normal(size=(self.batch, self.groups, self.keys, self.depth)),
            "bias": random.normal(size=(self.batch, heads, self.queries, self.keys)),
        }
        booleans = {"mask": random.random((self.batch, heads, self.queries, self.keys)) < 0.6}
        booleans["mask"][..., 0] = True
        real = random.integers(1, self.keys + 1, size=self.batch)
        booleans["padding"] = np.arange(self.keys) < real[:, None]
        typed = {name: array.astype(self.dtype) for name, array in numbers.items()}
        return {name: jnp.asarray(array) for name, array in (typed | booleans).items()}

    def theirs(self, arrays: Arrays) -> Any:
        """What jax.nn.dot_product_attention makes of it, heads before tokens."""
        options: dict[str, Any] = {
            "causal": {"is_causal": True},
            "window": {"local_window_size": 2},
            "additive": {"bias": arrays["bias"]},
            "boolean": {"mask": arrays["mask"]},
            "padding": {"key_value_seq_lengths": arrays["padding"].sum(-1, dtype=jnp.int32)},
        }
        chosen = {key: value for kind in self.masks for key, value in options[kind].items()}
        swapped = [arrays[name].swapaxes(1, 2) for name in POINTS]
        return jax.nn.dot_product_attention(*swapped, scale=self.scale, **chosen).swapaxes(1, 2)

    @property
    def kind(self) -> str | None:
        """The kind of its mask."""
        return next((kind for kind in ("boolean", "additive") if kind in self.masks), None)

    def working(self) -> Working:
        """The same as lines; the window of 3 reaches 2 tokens to each side."""
        spec = Attention(
            heads=self.groups * self.times,
            kv_heads=self.groups,
            scale=self.scale,
            causal="causal" in self.masks,
            window=3 if "window" in self.masks else None,
            mask=self.kind,
            padding="padding" in self.masks,
            output=False,
        )
        return spec.working().starting_at(*POINTS)

    def given(self, arrays: Arrays) -> Arrays:
        """What the working asks for."""
        given = {name: arrays[name] for name in POINTS}
        if self.kind:
            given["mask"] = arrays["bias" if self.kind == "additive" else "mask"]
        if "padding" in self.masks:
            given["padding"] = arrays["padding"]
        return given

    def ours(self, arrays: Arrays) -> Any:
        """What the working makes of it."""
        return self.working().run(self.given(arrays))["head"]


def small(most: int) -> st.SearchStrategy[int]:
    """Sizes from 1."""
    return st.integers(1, most)


def drawn(**fixed: Any) -> st.SearchStrategy[Drawn]:
    """Problems, with these of their fields drawn otherwise."""
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "batch": small(3),
        "groups": small(2),
        "times": small(3),
        "queries": small(6),
        "keys": small(7),
        "depth": small(5),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": st.integers(0, 9999),
        "scale": st.sampled_from([None, 0.3]),
    }
    return st.builds(Drawn, **(strategies | fixed))


def subsets(*kinds: str) -> st.SearchStrategy[frozenset[str]]:
    """None, some or all of these."""
    return st.frozensets(st.sampled_from(kinds))


@few
@given(problem=st.one_of(drawn(masks=subsets("boolean", "padding")), drawn(masks=subsets("additive", "padding"))))
def test_masks(problem: Drawn) -> None:
    """Boolean mask, bias, lengths of keys, scale and shared heads give JAX's values and gradients."""
    assert_same(problem)


@few
@given(tokens=small(7), data=st.data())
def test_causal_and_window(tokens: int, data: st.DataObject) -> None:
    """Causal and windowed self-attention, alone and together and with a bias, give JAX's values and gradients."""
    masks = subsets("causal", "window", "additive")
    assert_same(data.draw(drawn(queries=st.just(tokens), keys=st.just(tokens), masks=masks)))


def assert_same(problem: Drawn) -> None:
    """Values and gradients, both compiled, agree; and the values are those of NumPy on the same numbers."""
    arrays = problem.arrays()
    pull = np.random.default_rng(1).normal(size=arrays["query"].shape)

    def differentiated(attend: Attend) -> tuple[Any, Arrays]:
        def pulled(leaves: Arrays) -> tuple[Any, Any]:
            head = attend({**arrays, **leaves})
            return (head * jnp.asarray(pull, head.dtype)).sum(), head

        leaves = {name: arrays[name] for name in POINTS}
        gradients, head = jax.jit(jax.grad(pulled, has_aux=True), compiler_options=QUICKLY)(leaves)
        return head, gradients

    (found, gradients), (expected, their_gradients) = differentiated(problem.ours), differentiated(problem.theirs)
    assert {array.dtype.name for array in (found, *gradients.values())} == {problem.dtype}
    working, given = problem.working(), problem.given(arrays)
    bounds = rounding.expected(working, given)["head"]
    near = rounding.nearness(working, given, {"head": pull})
    for each in (found, expected):  # JAX takes its softmax in float32, of float64 arrays too
        rounding.assert_rounded(each, bounds)
    for name in POINTS:
        np.testing.assert_allclose(gradients[name], their_gradients[name], rtol=0, atol=near, err_msg=name)
    again = problem.ours({name: np.asarray(array) for name, array in arrays.items()})
    if problem.dtype == "float64":
        assert_agree(found, again)
    else:
        rounding.assert_rounded(again, bounds)


def test_causal_of_fewer_queries() -> None:
    """With fewer queries than keys JAX's is_causal starts at the first key; a mask written out says the same here."""
    problem = Drawn(
        batch=2, groups=1, times=3, queries=4, keys=7, depth=5, dtype="float64", seed=4, masks=frozenset({"boolean"})
    )
    arrays = problem.arrays()
    top_left = np.broadcast_to(np.tri(4, 7, dtype=bool), arrays["mask"].shape)
    swapped = [arrays[name].swapaxes(1, 2) for name in POINTS]
    expected = jax.nn.dot_product_attention(*swapped, is_causal=True).swapaxes(1, 2)
    given = problem.given({**arrays, "mask": jnp.asarray(top_left)})
    bounds = rounding.expected(problem.working(), given)["head"]
    for each in (problem.working().run(given)["head"], expected):
        rounding.assert_rounded(each, bounds)


def test_queries_without_keys() -> None:
    """A query that may attend to nothing gives JAX the mean of all values, and 0 here."""
    problem = Drawn(
        batch=1, groups=2, times=1, queries=3, keys=5, depth=4, dtype="float64", seed=4, masks=frozenset({"boolean"})
    )
    arrays = problem.arrays()
    arrays["mask"] = arrays["mask"].at[:, :, 1].set(False)
    ours, theirs = problem.ours(arrays), problem.theirs(arrays)
    near = 8 * rounding.EPS["float32"] * float(abs(arrays["value"]).max())
    np.testing.assert_allclose(theirs[:, :, 1], arrays["value"].mean(-2), rtol=0, atol=near)
    assert abs(ours[:, :, 1]).max() == 0
    value, bound = rounding.expected(problem.working(), problem.given(arrays))["head"]
    rounding.assert_rounded(theirs[:, :, ::2], rounding.Expected(value[:, :, ::2], bound[:, :, ::2]))
