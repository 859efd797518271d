"""Workings by compiled code: the numbers, the notes and what is kept are those of array code."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from clearhead import Attention, Block, Mlp, Norm, Rotary, SpecError, UnknownName, deviate
from clearhead.compiled import program as native
from clearhead.compiled.program import blas
from clearhead.compiled.program.schedule import ByArrayCode, Compiled
from clearhead.line import Given, line
from clearhead.ops.textbook import linear, tables, tokens
from clearhead.working import Working

from ...rounding import assert_rounded, expected

SIZES = {"model": 24, "depth": 8, "head*depth": 48, "hidden": 40, "past": 5}


@pytest.fixture(autouse=True)
def _however_small(monkeypatch):
    """Small workings are compiled, too."""
    monkeypatch.setattr(native, "MIN_CELLS", 1)


def drawn(working, tokens, seed=0):
    """Arrays for a working, in float32."""
    rng = np.random.default_rng(seed)
    keys = tokens + (SIZES["past"] if any("past" in each.axes for each in working.givens) else 0)
    sizes = {**SIZES, **working.sizes, "token": tokens, "key": keys}
    return {
        each.name: rng.normal(scale=0.5, size=[sizes[word] for word in each.axes]).astype(np.float32)
        if each.holds == "numbers"
        else np.arange(keys) < max(1, keys - 1)
        for each in working.givens
    }


ATTENTIONS = st.builds(
    Attention,
    heads=st.just(6),
    kv_heads=st.sampled_from([None, 1, 3]),
    scale=st.sampled_from([None, 0.3]),
    softcap=st.sampled_from([None, 2.0]),
    causal=st.booleans(),
    window=st.sampled_from([None, 3]),
    padding=st.booleans(),
    alibi=st.booleans(),
    rotary=st.sampled_from([None, Rotary(), Rotary(layout="interleaved"), Rotary(width=4)]),
    qk_norm=st.sampled_from([None, Norm("rms")]),
    bias=st.sampled_from([(), ("query", "key", "value", "output"), ("value",)]),
    cache=st.booleans(),
)
BLOCKS = st.builds(
    Block,
    attention=ATTENTIONS,
    norm=st.sampled_from([None, Norm(), Norm("rms"), Norm(eps=1e-3)]),
    placement=st.sampled_from(["post", "pre", "sandwich", "parallel"]),
    mlp=st.one_of(
        st.none(),
        st.builds(
            Mlp,
            activation=st.sampled_from(["gelu", "gelu-tanh", "silu", "relu"]),
            gated=st.booleans(),
            bias=st.booleans(),
        ),
    ),
)
KEEPS = st.sampled_from([None, ["weights"], ["residual"], ["weights", "head", "value"], ["scores", "output"]])


@given(block=BLOCKS, tokens=st.sampled_from([1, 7, 33, 70]), keep=KEEPS)
def test_blocks_come_out_the_same(block, tokens, keep):
    """Any block, of few or many tokens, all lines kept or some: the same arrays within rounding, the same notes."""
    working = block.working()
    arrays = drawn(working, tokens)
    names = None if keep is None else [n for n in working.names if any(n.endswith(each) for each in keep)]
    plain, compiled = (working.run(arrays, keep=names, engine=each) for each in ("array", "auto"))
    exact = expected(working, arrays)
    assert list(plain.working.names) == list(compiled.working.names)
    assert list(plain) == list(compiled)
    for name in plain:
        assert compiled[name].dtype == plain[name].dtype
        for found in (plain, compiled):
            assert_rounded(found[name], exact[name], name)
    assert [str(note) for note in compiled.notes] == [str(note) for note in plain.notes]


def test_a_usual_block_is_one_program():
    """Attention, its positions and the MLP of a block are one program; only the angles are worked out by array code."""
    mlp = Mlp("silu", gated=True)
    working = Block(Attention(heads=6, kv_heads=3, causal=True, rotary=Rotary()), Norm("rms"), "pre", mlp).working()
    plan = working._compiled_plan(("weights", "residual"), drawn(working, 70), "auto")
    assert sum(isinstance(stage, Compiled) for stage in plan.stages) == 1
    assert isinstance(plan.stages[-1], Compiled)
    names = [stage.step.name.rpartition(".")[2] for stage in plan.stages if isinstance(stage, ByArrayCode)]
    assert names == ["position", "angle", "cos", "sin"]


def test_what_array_code_makes_of_a_program_is_its_own():
    """A step behind a program is done behind it, and keeps its numbers when memory is used again."""
    block = Block(Attention(heads=6), Norm(), "post").working()
    working = Working(block.givens, (*block.lines, line("first", tables.first_token, "norm", "token model")))
    arrays = drawn(working, 40)
    plain, compiled = (working.run(arrays, keep=["first"], engine=each)["first"] for each in ("array", "auto"))
    for found in (plain, compiled):
        assert_rounded(found, expected(working, arrays)["first"])
    assert compiled.base is None


def test_float64_and_other_batches_are_left_to_array_code():
    """What compiled code is not made for goes the usual way, to the bit."""
    working = Block(Attention(heads=6, padding=True), Norm()).working()
    arrays = drawn(working, 40)
    double = {name: array.astype(np.float64) for name, array in arrays.items() if array.dtype == np.float32}
    batch = {**arrays, "input": np.stack([[arrays["input"]] * 2] * 3), "padding": np.stack([arrays["padding"]] * 2)}
    for each in ({**arrays, **double}, batch):
        assert working._compiled_plan(None, each, "auto") is None
        np.testing.assert_array_equal(working.run(each, engine="auto")["norm"], working.run(each)["norm"])


@given(block=BLOCKS, tokens=st.sampled_from([1, 7, 33, 70]), keep=KEEPS, lead=st.sampled_from([(3,), (1,), (2, 2)]))
@settings(max_examples=30)
def test_examples_of_a_batch_have_the_numbers_they_have_alone(block, tokens, keep, lead):
    """To the last bit, wherever padding stands; and within rounding those of array code, with its notes."""
    working, rng = block.working(), np.random.default_rng(tokens)
    shared = drawn(working, tokens)
    own = [name for name in ("input", "padding", "past.key", "past.value") if name in shared]
    alone = {at: {name: drawn(working, tokens, seed)[name] for name in own} for seed, at in enumerate(np.ndindex(lead))}
    for each in alone.values():
        if "padding" in own:
            each["padding"] = rng.random(len(each["padding"])) < 0.6
    arrays = shared | {
        name: np.reshape([each[name] for each in alone.values()], (*lead, *shared[name].shape)) for name in own
    }
    plain, compiled = (working.run(arrays, keep=keep, engine=each) for each in ("array", "compiled"))
    assert [str(note) for note in compiled.notes] == [str(note) for note in plain.notes]
    exact = expected(working, arrays)
    for name in compiled:
        assert compiled[name].shape == plain[name].shape
        if name not in arrays:
            assert_rounded(compiled[name], exact[name])
    for at, each in alone.items():
        for name, array in working.run(shared | each, keep=keep, engine="compiled").items():
            batched = compiled[name].ndim > array.ndim
            np.testing.assert_array_equal(compiled[name][at] if batched else compiled[name], array)


def test_a_usual_block_of_a_padded_batch_is_one_program():
    """The mask of padding is part of the instruction for weights, and shares the program with what is around it."""
    working = Block(Attention(heads=6, padding=True), Norm(), "post", Mlp("gelu")).working()
    plan = working._compiled_plan(("weights", "mlp.norm"), drawn(working, 40), "auto")
    assert [type(stage) for stage in plan.stages] == [Compiled]


@pytest.mark.parametrize("id", ["attention-over-batch", "padding-tiled-over-heads", "padding-taken-by-head"])
def test_lines_that_mix_the_examples_of_a_batch_are_left_to_array_code(id):
    """Where an operation reads other examples, compiled code says so, and array code computes them together."""
    working = deviate(Block(Attention(heads=6, padding=id.startswith("padding"))).working(), id)
    arrays = drawn(working, 6)  # as many as examples
    of_each = {"padding": np.random.default_rng(0).random((6, 6)) < 0.8, "input": np.stack([arrays["input"]] * 6)}
    batch = arrays | {name: array for name, array in of_each.items() if name in arrays}
    np.testing.assert_array_equal(working.run(batch, engine="auto")["weights"], working.run(batch)["weights"])
    with pytest.raises(SpecError, match=r"it computes the examples of a batch one by one, and .* reads several"):
        working.run(batch, engine="compiled")


@pytest.mark.parametrize("id", ["softcap-after-mask", "softcap-before-scale", "scale-squared", "scale-after-mask"])
def test_deviations_of_scores_are_computed_in_their_order(id):
    """What stands between scores and weights in another order than usual is computed in that order."""
    softcap = 1.0 if "softcap" in id else None
    working = deviate(Block(Attention(heads=6, causal=True, softcap=softcap)).working(), id)
    arrays = drawn(working, 33)
    found = working.run(arrays, keep=["weights"], engine="compiled")["weights"]
    assert_rounded(found, expected(working, arrays)["weights"])


def test_rows_that_are_flat_and_queries_that_see_nothing_are_noted():
    """Remarks are found by the program, whether a line is kept or not."""
    block = Block(Attention(heads=6, causal=True, memory=True), Norm(eps=0.0), "pre")
    working = block.working()
    arrays = drawn(working, 40)
    arrays["memory"] = arrays["memory"][:30]
    arrays["input"][3] = 1.5
    for keep in (None, ["output"], ["weights"]):
        plain, compiled = (working.run(arrays, keep=keep, engine=each) for each in ("array", "auto"))
        assert [str(note) for note in compiled.notes] == [str(note) for note in plain.notes]
        assert len(compiled.notes) == 2


def test_numbers_that_are_none_are_passed_on():
    """NaN and infinity in the input come out where array code has them."""
    working = Block(Attention(heads=6), Norm(), "post", Mlp("gelu")).working()
    for value in (np.nan, np.inf):
        arrays = drawn(working, 70)
        arrays["input"][11, 2] = value
        plain, compiled = (
            working.run(arrays, keep=["mlp.norm"], engine=each)["mlp.norm"] for each in ("array", "auto")
        )
        np.testing.assert_array_equal(np.isfinite(compiled), np.isfinite(plain))


def test_several_threads_may_run_at_once():
    """Programs that run side by side do not disturb each other, and the BLAS gets its threads back."""
    working = Block(Attention(heads=6, causal=True), Norm(), "post", Mlp("gelu")).working()
    inputs = [drawn(working, 70, seed) for seed in range(6)]
    before = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
    alone = [working.run(arrays, engine="auto")["mlp.norm"] for arrays in inputs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda arrays: working.run(arrays, engine="auto")["mlp.norm"], inputs * 4))
    for found, by_itself in zip(together, alone * 4, strict=True):
        np.testing.assert_array_equal(found, by_itself)
    assert [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"] == before


def test_an_interruption_ends_the_threads(monkeypatch):
    """When waiting is interrupted the threads leave what is not begun, and are free for the next run."""
    working = Block(Attention(heads=6), Norm(), "post", Mlp("gelu")).working()
    arrays = drawn(working, 300)
    expected = working.run(arrays, engine="auto")["mlp.norm"]
    begun = []

    def interrupt(future):
        begun.append(future)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            working.run(arrays, engine="auto")
    assert begun
    assert begun[0].done()
    np.testing.assert_array_equal(working.run(arrays, engine="auto")["mlp.norm"], expected)


def test_without_a_blas_that_can_be_called_array_code_does_it(monkeypatch):
    """Where the product is not found, or a package is missing, nothing is compiled, and nothing is wrong."""
    working = Block(Attention(heads=6), Norm()).working()
    arrays = drawn(working, 40)
    native._is_possible.cache_clear()
    monkeypatch.setattr(blas, "NAMES", ())
    blas.sgemm.cache_clear()
    try:
        assert working._compiled_plan(None, arrays, "auto") is None
        np.testing.assert_array_equal(working.run(arrays, engine="auto")["norm"], working.run(arrays)["norm"])
    finally:
        native._is_possible.cache_clear()
        blas.sgemm.cache_clear()


def test_an_engine_that_cannot_be_used_is_refused():
    """An engine that is asked for by name is used whatever the size, or the error says why it cannot be."""
    working = Block(Attention(heads=6), Norm()).working()
    arrays = drawn(working, 3)
    assert any(working._compiled_plan(None, arrays, "compiled").stages)
    double = {name: array.astype(np.float64) for name, array in arrays.items()}
    with pytest.raises(SpecError, match="it is for float32, and input is float64"):
        working.run(double, engine="compiled")
    batches = {name: array[(None,) * (1 + (name == "input"))] for name, array in arrays.items()}
    with pytest.raises(SpecError, match=r"one kind of batch, and there are \(1,\) and \(1, 1\)"):
        working.run(batches, engine="compiled")
    with pytest.raises(SpecError, match="NumPy arrays, and there is one of torch"):
        working.run({name: torch.asarray(array) for name, array in arrays.items()}, engine="compiled")
    with pytest.raises(UnknownName, match=r"engine: nothing is called 'numba'\. There are: array, auto, compiled"):
        working.run(arrays, engine="numba")


@pytest.mark.parametrize("keep", ["*", "last"])
@pytest.mark.parametrize("ending", ["silu", "multiply", "gain"])
def test_endings_of_products_whose_heads_lie_side_by_side(ending, keep):
    """An activation, a product with another line, or a gain behind a projection reads the cells it should."""
    axes = "head token depth"
    lines = [
        line("one", linear.project, "input one.weight", axes),
        line("two", linear.project, "input two.weight", axes),
        {
            "silu": line("last", tokens.silu, "two", axes),
            "multiply": line("last", linear.multiply, "two one", axes),
            "gain": line("last", tokens.gain, "two gain", axes),
        }[ending],
    ]
    givens = [Given(f"{name}.weight", ("head", "model", "depth"), (("head", 3),)) for name in ("one", "two")]
    working = Working((Given("input", ("token", "model")), *givens, Given("gain", ("depth",))), tuple(lines))
    arrays = drawn(working, 7)
    compiled = working.run(arrays, keep=keep, engine="compiled")
    np.testing.assert_allclose(compiled["last"], working.run(arrays)["last"], rtol=1e-5, atol=1e-5)
