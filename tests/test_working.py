"""Workings: from lines to numbers."""

import gc
import pickle
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from clearhead.errors import ShapeError, SpecError, UnknownName
from clearhead.line import Given, line
from clearhead.ops import Operation
from clearhead.ops.textbook import linear, scores
from clearhead.spec import Attention, Block, Mlp, Norm, Rotary
from clearhead.trace import Trace
from clearhead.working import Working

PLAIN = Attention(heads=2, output=False)


class Spy:
    """Puts an operation in the place of each of a working's, which counts its calls and watches its results."""

    def __init__(self, working):
        self.calls, self.results, self.alive = Counter(), {}, []
        self.working = working.rewrite(lambda each: [replace(each, operation=self.watched(each))])

    def watched(self, each):
        def code(xp, *operands, **parameters):
            gc.collect()
            self.alive.append({name for name, result in self.results.items() if result() is not None})
            self.calls[each.name] += 1
            out = each.operation.code(xp, *operands, **parameters)
            self.results[each.name] = weakref.ref(out)
            return out

        return Operation(code, each.operation._stated, each.operation.remark)


def names(working):
    """The names of the given arrays and of the lines, in order."""
    return [given.name for given in working.givens], [each.name for each in working.lines]


@pytest.mark.parametrize(
    ("entered", "givens", "lines"),
    [
        (("query", "key", "value"), ["query", "key", "value"], ["scores", "scaled", "weights", "head", "concat"]),
        (("scaled",), ["input", "value.weight", "scaled"], ["value", "weights", "head", "concat"]),
        (("weights", "value"), ["value", "weights"], ["head", "concat"]),
        (("concat",), ["concat"], []),
        (("input",), ["input", "query.weight", "key.weight", "value.weight"],
         ["query", "key", "value", "scores", "scaled", "weights", "head", "concat"]),
    ],
)  # fmt: skip
def test_a_working_can_be_entered_at_any_line(entered, givens, lines):
    """What leads up to the given lines, and to nothing else, is dropped."""
    assert names(PLAIN.working().starting_at(*entered)) == (givens, lines)


def test_given_lines_keep_their_axes_and_numbers(two_heads):
    """Entered in the middle with the numbers found there, a working ends up with the same."""
    whole = PLAIN.working().run(two_heads)
    entered = PLAIN.working().starting_at("scaled", "value")
    again = entered.run({"scaled": whole["scaled"], "value": whole["value"]})
    np.testing.assert_array_equal(again["concat"], whole["concat"])
    assert entered.axes["scaled"] == ("head", "query", "key")


def test_given_keeps_the_count_of_labels():
    """Where labels count from survives entering and rewriting."""
    working = replace(PLAIN.working(), label_base=0)
    assert working.starting_at("weights", "value").label_base == 0
    assert working.rewrite(lambda each: [each]).label_base == 0


def test_a_working_can_end_at_any_line(two_heads):
    """What comes behind the lines asked for is dropped, with the arrays it alone used; the numbers stay the same."""
    working = Attention(heads=2).working()
    assert names(working.ending_at("weights")) == (
        ["input", "query.weight", "key.weight"], ["query", "key", "scores", "scaled", "weights"],
    )  # fmt: skip
    upto = {name: two_heads[name] for name in ("input", "query.weight", "key.weight")}
    whole = PLAIN.working().run(two_heads)
    np.testing.assert_array_equal(working.ending_at("weights").run(upto)["weights"], whole["weights"])
    with pytest.raises(UnknownName, match="Did you mean weights"):
        working.ending_at("wieghts")


def test_given_by_an_ending():
    """Lines to enter at are found by unambiguous endings; a wrong name is answered."""
    block = Block(PLAIN, norm=Norm(gain=False), mlp=Mlp()).working()
    assert names(block.starting_at("attention.norm"))[0] == ["mlp.up.weight", "mlp.output.weight", "attention.norm"]
    assert names(block.starting_at("weights", "value"))[0][:3] == ["input", "mlp.up.weight", "mlp.output.weight"]
    with pytest.raises(UnknownName, match=r"Did you mean attention\.value"):
        block.starting_at("attention.valeu")


def test_rewriting_drops_arrays_that_nobody_needs():
    """Lines may be replaced, removed or multiplied; given arrays that become unused go."""
    working = PLAIN.working().starting_at("query", "key", "value")
    unscaled = working.rewrite(
        lambda each: [] if each.name == "scaled" else [replace(each, operands=("scores",))]
        if each.name == "weights" else [each]
    )  # fmt: skip
    assert names(unscaled) == (["query", "key", "value"], ["scores", "weights", "head", "concat"])
    only_scores = working.rewrite(lambda each: [each] if each.name == "scores" else [])
    assert names(only_scores) == (["query", "key"], ["scores"])


def test_workings_are_frozen_values():
    """Workings are equal where their lines are, hashable, and survive pickling, run or not."""
    working, again = PLAIN.working(), PLAIN.working()
    assert working == again
    assert hash(working) == hash(again)
    assert working != Attention(heads=3, output=False).working()
    working.shapes(shapes_of(working))
    pickled = pickle.loads(pickle.dumps(working))
    assert pickled == again
    assert pickled.lines[3].operation is linear.matmul_transposed
    with pytest.raises(AttributeError):
        working.label_base = 0


def shapes_of(working, **change):
    """Shapes for plain attention of 3 tokens, 5 inputs, 2 heads of 4 features."""
    shapes = {given.name: (2, 5, 4) for given in working.givens} | {"input": (3, 5)}
    return shapes | change


def test_shapes_before_numbers():
    """The shape of every line is known from those of the given arrays, a batch included."""
    working = PLAIN.working()
    shapes = working.shapes(shapes_of(working, input=(7, 3, 5)))
    assert shapes["scores"] == (7, 2, 3, 3)
    assert shapes["head"] == (7, 2, 3, 4)
    assert shapes["concat"] == (7, 3, 8)


def test_predicted_shapes_are_those_of_the_trace(rich, arrays_for, sizes):
    """What shapes() says is what run() gives, line by line, for a rich block in a batch."""
    working = rich.working()
    arrays = arrays_for(working, sizes)
    arrays["embedding"] = np.stack([arrays["embedding"], -arrays["embedding"]])
    trace = working.run(arrays)
    predicted = working.shapes({name: array.shape for name, array in arrays.items()})
    assert predicted == {name: trace[name].shape for name in trace}


WRONG_SHAPES = [
    ({"query.weight": (5, 4)}, "query.weight expects (head=2, model, depth), got shape (5, 4). Give one number per "
     "head and model and depth, the first of these outermost."),
    ({"query.weight": (3, 5, 4)}, "query.weight expects (head=2, model, depth), got shape (3, 5, 4)."),
    ({"query.weight": (2, 6, 4)}, "query: query.weight expects model=5, as input has, got (head=2, model=6, depth=4)."),
    ({"key.weight": (2, 5, 3)}, "scores: key expects depth=4, as query has, got (head=2, token=3, depth=3)."),
    ({"input": (5,)}, "input expects (token, model), got shape (5)."),
    ({"input": (3, 0)}, "input has no numbers: its shape is shape (3, 0). Give at least one per axis."),
    ({"input": (7, 3, 5), "key.weight": (6, 2, 5, 4)}, "key: the axes in front do not broadcast: (7,) and (6,), for "
     "input shape (7, 3, 5) and key.weight shape (6, 2, 5, 4)."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_SHAPES, ids=[message[:40] for _, message in WRONG_SHAPES])
def test_sizes_that_do_not_fit(change, message):
    """The error names the line, the arrays, the axis in words, and both sizes, before anything is computed."""
    spy = Spy(PLAIN.working())
    arrays = {name: np.ones(shape) for name, shape in shapes_of(spy.working, **change).items()}
    with pytest.raises(ShapeError) as caught:
        spy.working.run(arrays)
    assert str(caught.value).startswith(message)
    assert not spy.calls


def test_a_rotation_wider_than_the_heads():
    """A rotary width that the depth cannot hold is a ShapeError, not one of NumPy's."""
    working = Attention(heads=1, rotary=Rotary(width=4), output=False).working()
    arrays = {f"{name}.weight": np.ones((1, 5, 3)) for name in ("query", "key", "value")}
    with pytest.raises(ShapeError, match=r"query.rotated: n_d - 2\*n_c cannot be negative and is -1, for query"):
        working.run({**arrays, "input": np.ones((2, 5))})


def test_a_bias_per_token_is_no_bias():
    """A bias with an axis too many counts as a batch, and is never added across the wrong axis."""
    working = Attention(heads=1, bias=("output",)).working().starting_at("concat")
    arrays = {"concat": np.zeros((2, 3)), "output.weight": np.ones((3, 2))}
    trace = working.run({**arrays, "output.bias": [[10.0, 20.0], [30.0, 40.0]]})
    np.testing.assert_array_equal(trace["output"], [[[10, 20], [10, 20]], [[30, 40], [30, 40]]])


def test_missing_and_unknown_arrays(two_heads):
    """Arrays that are missing are listed with their axes; one too many is answered with the closest name."""
    working = PLAIN.working()
    with pytest.raises(UnknownName) as caught:
        working.run({"input": two_heads["input"]})
    assert str(caught.value) == (
        "Not given: query.weight (head=2, model, depth), key.weight (head=2, model, depth), "
        "value.weight (head=2, model, depth). Give them by name."
    )
    with pytest.raises(UnknownName, match=r"There is no array 'quer.weight'. Did you mean query.weight"):
        working.run({**two_heads, "quer.weight": 1})
    with pytest.raises(UnknownName, match=r"Not given: input \(token, model\), query.weight"):
        working.shapes({})


def test_arrays_by_unambiguous_endings():
    """An array may be given by an ending of its path."""
    working = Block(PLAIN, mlp=Mlp()).working().starting_at("attention.residual")
    arrays = {"residual": np.ones((3, 2)), "up.weight": np.ones((2, 5)), "output.weight": np.ones((5, 2))}
    assert working.run(arrays)["mlp.residual"].shape == (3, 2)


def test_lists_and_whole_numbers(two_heads):
    """Nested lists are taken, whole numbers become float64, float32 stays, and nothing given is written to."""
    working = PLAIN.working()
    trace = working.run(two_heads)
    assert trace["query.weight"].dtype == trace["concat"].dtype == np.float64
    whole = {name: np.array(array).astype(np.int32) for name, array in two_heads.items()}
    assert working.run(whole)["concat"].dtype == np.float64
    single = {name: np.array(array, np.float32) for name, array in two_heads.items()}
    for array in single.values():
        array.flags.writeable = False
    assert working.run(single)["concat"].dtype == np.float32


MASKED = Attention(heads=1, mask="boolean", output=False).working().starting_at("scaled", "value")
MASKED_ARRAYS = {"scaled": np.zeros((1, 2, 3)), "value": np.ones((1, 3, 1)), "mask": np.ones((2, 3), bool)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mask", np.ones((2, 3)), "mask holds booleans, got an array of float64. Use True for keys that a query may"),
        ("mask", np.ones((2, 3), int), "mask holds booleans, got an array of int64."),
        ("mask", [[1, 0, 1]] * 2, "mask holds booleans, got an array of int64."),
        ("scaled", np.ones((1, 2, 3), bool), "scaled holds numbers, got an array of bool. Convert it"),
        ("scaled", [[1, 2], [3]], "scaled expects an array, or nested lists of one length per axis, of numbers, got "
         "list that NumPy reads as object."),
        ("scaled", [[["a", "b", "c"]] * 2], "scaled expects an array, or nested lists of one length per axis, of "
         "numbers, got list that NumPy reads as <U1."),
        ("scaled", np.array([[[None] * 3] * 2]), "scaled expects an array, or nested lists"),
        ("scaled", np.ones((1, 2, 3), complex), "scaled expects an array, or nested lists"),
        ("scaled", None, "scaled expects an array, or nested lists"),
        ("scaled", "abc", "scaled expects an array, or nested lists"),
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind(name, value, message):
    """Masks are booleans and nothing else is; what is no array of numbers is said to be none."""
    with pytest.raises(ShapeError) as caught:
        MASKED.run({**MASKED_ARRAYS, name: value})
    assert str(caught.value).startswith(message)


def test_masks_of_other_libraries_are_checked_too():
    """A mask of numbers is refused whatever library it is of, and so is a mixture of libraries."""
    arrays = {name: torch.asarray(array) for name, array in MASKED_ARRAYS.items()}
    with pytest.raises(ShapeError, match=r"mask holds booleans, got an array of torch.float64"):
        MASKED.run({**arrays, "mask": torch.ones(2, 3, dtype=torch.float64)})
    with pytest.raises(ShapeError, match="not all of one library: mask is a numpy array, value is a torch array"):
        MASKED.run({**arrays, "mask": MASKED_ARRAYS["mask"]})
    assert isinstance(MASKED.run(arrays)["concat"], torch.Tensor)


def test_only_what_is_needed_is_computed(two_heads):
    """Lines that no kept line needs are not computed."""
    spy = Spy(PLAIN.working())
    trace = spy.working.run(two_heads, keep="weights")
    assert spy.calls == Counter(["query", "key", "scores", "scaled", "weights"])
    assert [name for name in trace if name not in two_heads] == ["weights"]


def test_what_is_not_kept_is_let_go_at_once(two_heads):
    """While a line is computed, only its operands and what later lines need are still in memory."""
    spy = Spy(PLAIN.working())
    spy.working.run(two_heads, keep=["concat"])
    assert dict(zip(spy.calls, spy.alive, strict=True)) == {
        "query": set(),
        "key": {"query"},
        "value": {"query", "key"},
        "scores": {"query", "key", "value"},
        "scaled": {"query", "value", "scores"},
        "weights": {"value", "scaled"},
        "head": {"value", "weights"},
        "concat": {"head"},
    }


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (["*.weights", "mlp.up"], ["attention.weights", "mlp.up"]),
        ("active", ["mlp.active"]),
        (["norm"], ["attention.norm", "mlp.norm"]),
        (("mlp.*",), ["mlp.up", "mlp.active", "mlp.output", "mlp.residual", "mlp.norm"]),
        (iter(["attention.q*"]), ["attention.query"]),
        ([], []),
    ],
)
def test_keep_takes_names_endings_and_patterns(keep, kept):
    """keep= chooses by name, by ending, or by pattern; given arrays stay."""
    working = Block(PLAIN, norm=Norm(gain=False), mlp=Mlp()).working()
    arrays = {given.name: np.ones([2] * len(given.axes)) for given in working.givens}
    arrays["mlp.up.weight"] = arrays["mlp.output.weight"] = np.ones((2, 2))
    arrays |= {f"attention.{name}.weight": np.ones((2, 2, 1)) for name in ("query", "key", "value")}
    trace = working.run(arrays, keep=keep)
    assert [name for name in trace if name not in arrays] == kept


def test_keep_of_nothing(two_heads):
    """A pattern that fits nothing is an error with the closest names."""
    with pytest.raises(UnknownName, match=r"keep: nothing is called 'weigths'. Did you mean weights"):
        PLAIN.working().run(two_heads, keep=["weigths"])


def test_keeping_less_changes_no_number(rich, arrays_for, sizes):
    """The kept numbers are those of a run that keeps everything, and the notes are the same."""
    working = rich.working()
    arrays = arrays_for(working, sizes)
    arrays["attention.mask"][0] = False
    everything, some = working.run(arrays), working.run(arrays, keep=["mlp.norm", "scores"])
    for name in ("mlp.norm", "attention.scores"):
        np.testing.assert_array_equal(some[name], everything[name])
    assert everything.notes
    assert some.notes == everything.notes


def test_a_scale_by_another_width_is_kept_in_one_step():
    """Where the scale reads the width of something else than the queries, keeping less changes no number either."""
    working = Attention(heads=2).working()
    scaled = replace(working.line("scaled"), operands=("scores", "input"))
    other = working.rewrite(lambda line: [scaled if line.name == "scaled" else line])
    rng = np.random.default_rng(0)
    given = {name: rng.normal(size=shape) for name, shape in (("input", (5, 7)), ("output.weight", (8, 7)))}
    given |= {f"{name}.weight": rng.normal(size=(2, 7, 4)) for name in ("query", "key", "value")}
    np.testing.assert_allclose(other.run(given, keep="output")["output"], other.run(given)["output"], rtol=1e-12)


def test_plans_are_made_once(two_heads):
    """The same working runs again and again by the same plan, with other numbers and shapes."""
    working = PLAIN.working()
    first = working.run(two_heads, keep=["concat"])
    plan = working._plan(("concat",), fuse=True)
    second = working.run({**two_heads, "input": [[1.0, 0.0]] * 4}, keep=["concat"])
    assert working._plan(("concat",), fuse=True) is plan
    assert first["concat"].shape == (3, 2)
    assert second["concat"].shape == (4, 2)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("a", linear.concat, "x", "token model"), line("a", linear.concat, "x", "token model")],
         "Two lines are called a. Give each line its own name."),
        ([line("x", linear.concat, "x", "token model")], "Two lines are called x."),
        ([line("a", linear.matmul, "b x", "token model"), line("b", linear.concat, "x", "token model")],
         "a uses b, which no earlier line makes."),
        ([line("a", scores.softmax, "a", "query key")], "a uses a, which no earlier line makes."),
    ],
)  # fmt: skip
def test_lines_stand_in_order(lines, message):
    """A working names each line once and uses only what stands above."""
    with pytest.raises(SpecError) as caught:
        Working((Given("x", ("token", "model")),), tuple(lines))
    assert str(caught.value).startswith(message)


def test_a_line_is_found_by_its_ending():
    """line() gives the line, or the given array, of a name."""
    working = Block(PLAIN, mlp=Mlp()).working()
    assert working.line("weights").operation is scores.softmax
    assert working.line("up.weight") == Given("mlp.up.weight", ("model", "hidden"))


def test_a_backward_pass_starts_at_the_last_line():
    """Without a line to start at, the gradients are those of the last one, and its own gradient is given."""
    working = Attention(heads=2).working()
    assert working.backward() == working.backward(of="output")
    assert "output.grad" in [each.name for each in working.backward().givens]


def test_the_first_array_that_is_missing_is_named():
    """Of several given arrays that were not kept, the first that was asked for is named."""
    working = Attention(heads=2, output=False).working()
    with pytest.raises(UnknownName, match=r"^query\.weight was not kept. It is a given array"):
        working.compute(["query.weight", "key.weight"], {})
    with pytest.raises(UnknownName, match=r"lacks the given array input\."):
        _ = Trace(working, {}).given
