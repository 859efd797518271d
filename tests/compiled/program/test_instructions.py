"""Instructions: each gives the numbers that the operation's own array code gives in float64, wherever arrays lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.compiled.program import run_planned
from clearhead.compiled.program.emit import BY_PANELS, EMIT, ENDINGS
from clearhead.compiled.program.program import View, Writer, view
from clearhead.compiled.program.schedule import Compiled, plan_of
from clearhead.compiled.program.sizes import Sizes
from clearhead.compiled.simd import WIDTH
from clearhead.line import Given, line
from clearhead.ops.panels import Panels
from clearhead.ops.textbook import linear, positions, tokens
from clearhead.plan import steps_of
from clearhead.working import Working

from ...rounding import assert_rounded, expected

SIGNATURES = {
    linear.matmul: ("token model, model hidden", "token hidden", {}),
    linear.matmul_transposed: ("token model, hidden model", "token hidden", {}),
    linear.weighted_sum: ("head query key, head key depth", "head query depth", {}),
    linear.project: ("token model, head model depth", "head token depth", {}),
    linear.concat: ("head token depth", "token head*depth", {}),
    linear.repeat: ("group token depth", "head token depth", {"times": 3}),
    linear.add: ("token model, token model", "token model", {}),
    linear.multiply: ("token model, token model", "token model", {}),
    linear.bias: ("token model, model", "token model", {}),
    linear.head_bias: ("head token depth, head depth", "head token depth", {}),
    tokens.gain: ("token model, model", "token model", {}),
    tokens.layer_scale: ("token model, model", "token model", {}),
    tokens.gain_and_bias: ("token model, model, model", "token model", {}),
    tokens.layer_norm: ("token model", "token model", {"eps": 1e-5}),
    tokens.rms_norm: ("token model", "token model", {"eps": 1e-6}),
    tokens.silu: ("token model", "token model", {}),
    tokens.gelu: ("token model", "token model", {}),
    tokens.gelu_tanh: ("token model", "token model", {}),
    tokens.relu: ("token model", "token model", {}),
    positions.rotate_half: ("head token depth, token pair, token pair", "head token depth", {}),
}


def test_every_instruction_is_tried():
    """No operation has instructions that the test below does not run."""
    assert SIGNATURES.keys() == EMIT.keys() | ENDINGS.keys()


def laid(array, way):
    """The same numbers elsewhere in memory: in order, transposed, a part of something larger, or all the same row."""
    if way == "transposed" and array.ndim > 1:
        return np.ascontiguousarray(array.mT).mT
    if way == "part":
        larger = np.zeros(tuple(n + 3 for n in array.shape), np.float32)
        inner = larger[tuple(slice(2, 2 + n) for n in array.shape)]
        inner[...] = array
        return inner
    if way == "one row" and array.ndim > 1:
        return np.broadcast_to(array[..., :1, :], array.shape)
    return array


@pytest.mark.parametrize("operation", SIGNATURES, ids=lambda each: each.name)
@given(data=st.data())
def test_instructions_are_the_operations(operation, data):
    """Sizes that fill vectors and sizes that do not, one row or many, arrays in any order: the same numbers."""
    read, made, parameters = SIGNATURES[operation]
    some = st.integers(1, 40)
    size = {word: data.draw(some) for word in ("token", "model", "hidden", "query", "key", "depth")}
    size |= {"head": data.draw(st.integers(1, 4)), "group": data.draw(st.integers(1, 3))}
    size["pair"] = data.draw(st.integers(1, max(1, size["depth"] // 2)))
    size["depth"] = max(size["depth"], 2 * size["pair"])
    size["head"] = 3 * size["group"] if operation is linear.repeat else size["head"]
    names = tuple("abc"[: read.count(",") + 1])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale = data.draw(st.sampled_from([1e-3, 1.0, 30.0]))
    arrays = {
        name: laid(
            rng.normal(scale=scale, size=[size[word] for word in words.split()]).astype(np.float32),
            data.draw(st.sampled_from(["in order", "transposed", "part", "one row"])),
        )
        for name, words in zip(names, read.split(","), strict=True)
    }
    working = Working(
        tuple(Given(name, tuple(words.split())) for name, words in zip(names, read.split(","), strict=True)),
        (line("out", operation, " ".join(names), made, **parameters),),
    )
    found = by_program(working, arrays)["out"]
    if operation in BY_PANELS:
        laid_out = by_program(working, {**arrays, "b": Panels(arrays["b"], WIDTH, turned=BY_PANELS[operation])})["out"]
        np.testing.assert_allclose(laid_out, found, rtol=0, atol=1e-6 * size["model"] * np.abs(found).max() + 1e-30)
    exact = operation(*(array.astype(np.float64) for array in arrays.values()), **parameters)
    # Of what is subtracted somewhere, one of the two signs makes a sum.
    *others, last = (np.abs(array.astype(np.float64)) for array in arrays.values())
    bound = np.maximum(*(np.abs(operation(*others, sign * last, **parameters)) for sign in (1, -1)))
    if "norm" in operation.name:
        # The mean and the spread of a row are as exact as its largest number.
        bound = np.maximum(bound, np.abs(exact).max(axis=-1, keepdims=True, initial=0))
    close = 4e-6 if "norm" in operation.name else 1e-6 * (1 + size["model"] ** 0.5)
    allowed = close * (np.abs(exact) + np.where(np.isfinite(bound), bound, 0)) + 1e-30
    assert found.shape == exact.shape
    assert found.dtype == np.float32
    assert (np.abs(found - exact) <= allowed).all()


def sizes_of(working, arrays):
    """The sizes of a working for some arrays."""
    return Sizes(working.axes, working.shapes({name: array.shape for name, array in arrays.items()}))


def by_program(working, arrays, keep=None):
    """All lines as a program gives them, however small they are."""
    kept = set(working.names) if keep is None else set(keep)
    steps = steps_of(working.lines, kept, {each.name for each in working.givens}, fuse=True)
    plan = plan_of(steps, kept | arrays.keys(), sizes_of(working, arrays), arrays)
    values, flags = dict(arrays), {}
    run_planned(plan, values, flags)
    return values


def test_endings_join_the_instruction_before():
    """A product, a bias, an activation, a gate and a residual of which only the end is kept are one instruction."""
    lines = (
        line("product", linear.matmul, "x w", "token hidden"),
        line("biased", linear.bias, "product b", "token hidden"),
        line("active", tokens.silu, "biased", "token hidden"),
        line("gated", linear.multiply, "gate active", "token hidden"),
        line("out", linear.add, "gated gate", "token hidden"),
    )
    givens = (
        Given("x", ("token", "model")),
        Given("w", ("model", "hidden")),
        Given("b", ("hidden",)),
        Given("gate", ("token", "hidden")),
    )
    working = Working(givens, lines)
    rng = np.random.default_rng(0)
    sizes = {"token": 70, "model": 20, "hidden": 33}
    arrays = {each.name: rng.normal(size=[sizes[w] for w in each.axes]).astype(np.float32) for each in givens}
    steps = steps_of(lines, {"out"}, arrays.keys(), fuse=True)
    plan = plan_of(steps, {"out"}, sizes_of(working, arrays), arrays)
    (stage,) = plan.stages
    assert isinstance(stage, Compiled)
    assert len(stage.program.numbers) == 1
    values = dict(arrays)
    run_planned(plan, values, {})
    assert values.keys() == {*arrays, "out"}
    exact, every = expected(working, arrays), by_program(working, arrays)
    assert_rounded(values["out"], exact["out"])
    assert_rounded(every["gated"], exact["gated"])


def test_memory_is_used_again_only_when_it_is_free():
    """Two arrays that are needed at one time lie apart; one that is given back makes room for the next of its size."""
    writer = Writer()
    first, second = writer.room((5, 7)), writer.room((5, 7))
    assert first.offset != second.offset
    writer.free(first)
    assert writer.room((7, 5)).offset == first.offset
    assert writer.room((7, 5)).offset not in (first.offset, second.offset)
    writer.free(view("kept", (5, 7)))
    assert isinstance(writer.room((5, 7)), View)
    assert writer.size == 4 * 192
