"""What a probe says of a function: from outside, of its properties, and in words."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from clearhead import Attention, Block, Mlp, Norm, Positions, Rotary, ShapeError, SpecError, UnknownName, deviate, probe
from clearhead.check.calls.drawing import draw, sizes_of
from clearhead.check.calls.task import task_of
from clearhead.show import lower

PLAIN = Attention(heads=2).working()
CAUSAL = Attention(heads=2, causal=True).working()


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v):
    return softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v


def as_function(working, takes, returns):
    """A working itself as a function of what it takes."""
    entered = task_of(working, takes, returns, None).working
    return lambda *arrays: entered.run(dict(zip(takes, arrays, strict=True)))[returns]


# From outside


def test_a_function_that_raises_is_told_in_words():
    """Its error and the shapes it was called with are in the report, and no traceback."""

    def broken(*_):
        raise RuntimeError("no such\nkernel")

    report = probe(broken, PLAIN)
    assert report.verdict == "unexplained"
    (symptom,) = report.symptoms
    assert symptom.kind == "raises"
    assert symptom.says.startswith("It raises RuntimeError (no such kernel) when called with query (batch=3, head=2, ")


@pytest.mark.parametrize(
    ("returned", "kind", "says"),
    [
        (lambda _: None, "returns-nothing", "returns None, where head is expected. End the function with return."),
        (lambda _: "text", "returns-nothing", "returns a str that holds no such arrays, where head is expected"),
        (lambda out: out.astype(int), "dtype", "It returns whole numbers (int64) for head."),
        (lambda out: out[:, 0], "shape", "shape (3, 5, 4), which looks like (batch, token, depth)"),
        (
            lambda out: np.broadcast_to(out.sum(), (2**20, 2**10)),
            "returns-nothing",
            "It returns an array of 1073741824 numbers",
        ),
        (lambda out: out.sum(), "shape", "expected is (batch=3, head=2, token=5, depth=4)"),
        (
            lambda out: np.moveaxis(out, 1, 2),
            "axis-order",
            "order: (batch=3, token=5, head=2, depth=4), where (batch=3",
        ),
        (lambda out: np.where(out > 1, np.nan, out), "nan", "numbers of head are NaN"),
        (lambda out: out + np.random.default_rng().normal(), "varies", "Two calls with the same inputs"),
        (lambda out: out.astype(np.float32), "precision", "Given float64 it returns head as float32"),
    ],
)
def test_what_is_odd_from_outside_is_told(returned, kind, says):
    """Nothing, another type or shape, other axes, NaN, chance and lost precision are named as what they are."""
    report = probe(lambda q, k, v: returned(attention(q, k, v)), PLAIN)
    assert kind in [each.kind for each in report.symptoms], str(report)
    assert says in str(report)


def test_writing_into_inputs_is_told():
    """A function that changes its arguments agrees, with that said."""

    def scaled_in_place(q, k, v):
        q /= np.sqrt(q.shape[-1])
        return softmax(q @ np.swapaxes(k, -1, -2)) @ v

    report = probe(scaled_in_place, PLAIN)
    assert report.verdict == "agrees"
    assert [each.kind for each in report.symptoms] == ["writes"]
    assert "other numbers stand in query" in str(report)


def test_raising_on_some_inputs_is_told_beside_the_rest():
    """A function that only fails in single precision agrees on the others, and says on what it does not run."""

    def doubles_only(q, k, v):
        if q.dtype != np.float64:
            raise TypeError("float64, please")
        return attention(q, k, v)

    report = probe(doubles_only, PLAIN)
    assert report.verdict == "agrees"
    assert [each.kind for each in report.symptoms] == ["raises"]
    assert "but see below" in str(report)


def test_code_that_runs_on_equal_sizes_only_is_tried_there():
    """Without the transpose it runs only where there are as many tokens as features, and there the cause is found."""
    report = probe(lambda q, k, v: softmax(q @ k / np.sqrt(q.shape[-1])) @ v, PLAIN)
    assert report.explained_by("keys-not-transposed")
    assert [each.kind for each in report.symptoms] == ["raises", "sizes"]


def test_another_line_with_its_own_shape_is_found():
    """A function that returns the concatenated heads is told so, and that it is right about them."""

    def concatenated(q, k, v):
        return np.moveaxis(attention(q, k, v), -3, -2).reshape(*q.shape[:-3], q.shape[-2], -1)

    report = probe(concatenated, PLAIN)
    assert report.verdict == "explained"
    assert "What it returns is concat." in str(report)


def test_more_keys_than_queries_are_tried_too():
    """A causal mask from the top left agrees on squares; what it does behind a cache is said beside."""
    report = probe(lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True), CAUSAL)
    assert report.verdict == "agrees"
    assert report.notes == ("With more keys than queries it differs: causal-top-left gives its numbers.",)


def test_an_explanation_must_hold_on_fresh_inputs():
    """What fits one input is not reported if others differ: here softmax goes over the queries for some only."""

    def changes_its_mind(q, k, v):
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        return (softmax(s) if q.sum() > 0 else np.swapaxes(softmax(np.swapaxes(s, -1, -2)), -1, -2)) @ v

    report = probe(changes_its_mind, PLAIN)
    assert report.verdict == "unexplained"
    assert not report.findings
    assert report.near_misses[0].deviations == ("softmax-over-queries",)


def test_modules_in_single_precision_are_tried_in_it():
    """A module whose weights are float32 raises on float64, and is probed with what it takes."""
    torch.manual_seed(0)
    parts = {name: torch.nn.Linear(6, 6, bias=False) for name in ("query", "key", "value")}
    given = {f"{name}.weight": part.weight.view(2, 3, 6).mT for name, part in parts.items()}

    def heads(x):
        q, k, v = (part(x).unflatten(-1, (2, 3)).transpose(-3, -2) for part in parts.values())
        return torch.softmax(q @ k.mT, -1) @ v

    report = probe(heads, PLAIN, "input", "head", given)
    assert report.drawn.dtypes == ("float32",)
    assert report.explained_by("scale-missing")
    assert not report.symptoms


def test_more_keys_show_what_square_inputs_hide():
    """A scale by the number of queries is told from one by the number of keys, though both are equal on squares."""

    def by_queries(q, k, v):
        return softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-2] * q.shape[-1] / k.shape[-2])) @ v

    report = probe(by_queries, PLAIN)
    assert report.measured.names == ("scale",)
    assert all(size["key"] != size["token"] for size in report.measured.differs)


# Properties

SPECS = {
    "plain": (Attention(heads=2), ("query", "key", "value"), "head"),
    "causal": (Attention(heads=2, causal=True), ("query", "key", "value"), "head"),
    "masks": (Attention(heads=2, mask="boolean", padding=True), ("query", "key", "value", "mask", "padding"), "head"),
    "bias": (Attention(heads=2, mask="additive"), ("query", "key", "value", "mask"), "weights"),
    "window": (Attention(heads=2, window=3, causal=True), ("query", "key", "value"), "concat"),
    "grouped": (Attention(heads=4, kv_heads=2, alibi=True), ("query", "key", "value"), "head"),
    "rotary": (Attention(heads=2, rotary=Rotary(), softcap=2.0), ("query", "key", "value"), "weights"),
    "scores": (Attention(heads=2), ("scaled",), "weights"),
    "cache": (
        Attention(heads=2, causal=True, cache=True), ("query", "key", "value", "past.key", "past.value"), "head",
    ),
    "memory": (Attention(heads=2, memory=True), ("query", "memory", "key.weight", "value.weight"), "head"),
    "self": (Attention(heads=2, output=False), ("input", "query.weight", "key.weight", "value.weight"), "concat"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_the_textbook_has_every_property_that_applies(name):
    """No property fails of the working itself, whatever it takes and returns; at least three apply."""
    spec, takes, returns = SPECS[name]
    report = probe(as_function(spec.working(), takes, returns), spec.working(), takes, returns)
    assert report.verdict == "agrees", str(report)
    assert not report.failing, str(report)
    assert len(report.properties) >= 3


APPLYING = {
    "plain": "order equal-values row-constant batch heads large",
    "causal": "future equal-values row-constant batch heads large",
    "masks": "masked order equal-values row-constant batch heads large",
    "bias": "masked order shares row-constant batch heads large",
    "window": "future masked equal-values row-constant batch heads large",
    "grouped": "equal-values row-constant batch heads large",
    "rotary": "shares batch heads large",
    "scores": "shares row-constant batch heads",
    "self": "order batch heads large",
}


@pytest.mark.parametrize("name", APPLYING)
def test_which_properties_apply_is_read_off_the_lines(name):
    """Masks, positions, what is taken and what is returned decide; nobody is asked."""
    spec, takes, returns = SPECS[name]
    report = probe(as_function(spec.working(), takes, returns), spec.working(), takes, returns)
    assert " ".join(each.id for each in report.properties) == APPLYING[name]


def test_the_smallest_input_is_small_and_shows_the_failure():
    """The future is seen with two tokens, one head, one feature, in zeros and ones; and it really is seen there."""

    def peeking(q, k, v):
        return attention(q, k, v)

    report = probe(peeking, CAUSAL)
    (failing,) = report.failing
    assert failing.id == "future"
    found = failing.violation
    assert {array.shape for array in found.inputs.arrays.values()} == {(1, 1, 2, 1)}
    assert all(np.isin(array, (0, 1)).all() for array in found.inputs.arrays.values())
    before = peeking(*found.inputs.arrays.values())
    after = peeking(*{**found.inputs.arrays, **found.changed}.values())
    assert before[found.cell] == pytest.approx(found.expected)
    assert after[found.cell] == pytest.approx(found.got)
    assert abs(before[found.cell] - after[found.cell]) > 0.01
    assert failing.follows


def test_overflow_is_found_where_the_numbers_agree():
    """A softmax that is not shifted agrees on ordinary numbers and fails on large ones."""

    def unshifted(q, k, v):
        e = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]))
        return e / e.sum(-1, keepdims=True) @ v

    report = probe(unshifted, PLAIN)
    assert report.verdict == "agrees"
    assert [each.id for each in report.failing] == ["large"]
    assert "the exponential of float64 overflows. Subtract the largest score of each row" in str(report)


@pytest.mark.parametrize("working", [PLAIN, CAUSAL])
@pytest.mark.parametrize(
    ("constant", "kind", "says"),
    [(0, "float32", "nothing"), (35, "float32", "a constant of about 35"), (-12, "float32", "a constant of about -12"),
     (120, "float64", "a constant of about 120")],
)  # fmt: skip
def test_a_softmax_that_is_shifted_by_a_constant_agrees_with_a_warning(working, constant, kind, says):
    """Where large scores overflow, the first lines say the limit and what is subtracted in place of the maximum."""

    def shifted(q, k, v):
        q, k, v = (np.asarray(each, kind) for each in (q, k, v))
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]).astype(kind)
        hidden = np.triu(np.ones(s.shape[-2:], bool), 1) & (working is CAUSAL)
        with np.errstate(all="ignore"):
            e = np.where(hidden, 0, np.exp(s - np.asarray(constant, kind)))
            return e / e.sum(-1, keepdims=True) @ v

    report = probe(shifted, working)
    assert report.verdict == "agrees", str(report)
    first = "\n".join(str(report).split("\n")[:4])
    limit = 2 * ({"float32": 88.72, "float64": 709.78}[kind] + constant)  # the scale is 1/2 at a depth of 4
    passed = float(first.partition("passes ")[2].partition(" ")[0])
    assert passed == pytest.approx(limit, rel=0.02)
    assert f"the exponential of {kind} overflows" in first
    assert f"{says} is subtracted from scores before" in first


def test_a_softmax_that_is_shifted_by_a_share_of_the_maximum_has_no_constant():
    """Scores of which half the maximum is taken off overflow, and no constant is said."""

    def half(q, k, v):
        s = (q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])).astype(np.float32)
        with np.errstate(all="ignore"):
            e = np.exp(s - s.max(-1, keepdims=True) / 2)
            return e / e.sum(-1, keepdims=True) @ v

    report = probe(half, PLAIN)
    assert report.measured is not None
    assert report.measured.part("overflow").measured
    assert "is subtracted from scores before" not in str(report)


# Whole blocks, inputs, reports


def test_a_block_with_everything_is_probed():
    """A block with positions, causal attention, norms and an MLP is explained by the one line that was changed."""
    spec = Block(Attention(heads=2, causal=True), norm=Norm(), mlp=Mlp("gelu"), positions=Positions("sinusoidal"))
    working = spec.working()
    sizes = {"token": 5, "model": 6, "head": 2, "depth": 3, "head*depth": 6, "hidden": 11}
    rng = np.random.default_rng(3)
    given = {
        each.name: rng.normal(size=[sizes[word] for word in each.axes])
        for each in working.givens
        if each.name != "embedding"
    }
    wrong = deviate(working, "gelu-other-form")
    report = probe(
        lambda x: wrong.run({"embedding": x, **given})["mlp.norm"], working, ["embedding"], "mlp.norm", given
    )
    assert report.verdict == "explained"
    assert report.explained_by("gelu-other-form")
    assert [each.id for each in report.properties] == ["future", "batch", "large"]


def test_no_two_axes_have_the_same_size_and_every_query_sees_a_key():
    """Inputs tell axes apart by their sizes, and masks bar some keys but leave each query one."""
    spec = Attention(heads=2, mask="boolean", padding=True, causal=True)
    task = task_of(spec.working(), ("input", "mask", "padding"), "head", _weights(spec))
    sizes = sizes_of(task)
    apart = [sizes[word] for word in ("batch", "head", "token", "depth", "model", "head*depth")]
    assert len(set(apart)) == len(apart)
    for seed in range(5):
        inputs = draw(task, sizes, seed, batch=True)
        assert not inputs.arrays["mask"].all()
        seen = inputs.arrays["mask"] & inputs.arrays["padding"][:, None, :] & np.tri(5, dtype=bool)
        assert seen.any(-1).all()


def _weights(spec):
    sizes = {"head": 2, "model": 7, "depth": 4, "head*depth": 8}
    return {
        each.name: np.ones([sizes[word] for word in each.axes])
        for each in spec.working().givens
        if each.name.endswith(".weight")
    }


def test_the_report_is_text_and_data():
    """The document, the text and JSON say the same verdict; NaN is text in JSON."""
    report = probe(lambda q, k, v: np.sqrt(attention(q, k, v)), PLAIN)
    data = json.loads(json.dumps(report.data(), allow_nan=False))
    assert data["verdict"] == report.verdict == "unexplained"
    assert {each["kind"] for each in data["symptoms"]} >= {"nan"}
    assert [each["id"] for each in data["properties"]] == [each.id for each in report.properties]
    assert "nan" in json.dumps(data)
    assert lower(report.document(), "text", width=100).startswith("Probe")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"takes": ["quary"]}, UnknownName, "Did you mean query"),
        ({"returns": "hed"}, UnknownName, "There is no line 'hed'"),
        ({"given": {"query": 1.0}}, SpecError, "given has query, which the function takes"),
        ({"takes": ["query", "key"]}, SpecError, "value.weight"),
        ({"returns": ()}, SpecError, "returns names no line"),
        ({"returns": "query"}, SpecError, "which the function takes"),
        ({"given": {"mask": 1}}, UnknownName, "There is no"),
        ({"library": "tensorflow"}, SpecError, "library expects numpy, torch, jax"),
        ({"working": None}, SpecError, "probed against a working. Give one"),
        ({"working": Attention(heads=2)}, SpecError, "probed against a working, got Attention"),
        ({"takes": ["input"], "given": {"query.weight": [1.0]}}, ShapeError, "query.weight expects"),
    ],
)
def test_wrong_questions_are_answered_with_what_is_missing(options, error, says):
    """A name that is unknown, an array that is missing and a library that is not known are told before any call."""
    with pytest.raises(error, match=says):
        probe(**{"function": attention, "working": PLAIN, **options})


def test_no_library_is_imported_that_the_user_has_not():
    """Probing a NumPy function imports neither PyTorch nor JAX, even where it fails on NumPy arrays."""
    program = """
import sys, numpy as np, clearhead
def broken(q, k, v): raise TypeError
clearhead.probe(broken, clearhead.Attention(heads=2).working())
clearhead.probe(lambda q, k, v: v, clearhead.Attention(heads=2).working())
print(*sorted(m for m in ("torch", "jax", "hypothesis", "transformers") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_what_follows_from_the_cause_takes_few_calls_to_make_smaller():
    """Code whose heads mix, which several properties show, is called at most 400 times."""
    calls = []

    def over_all_heads(q, k, v):
        calls.append(q.shape)
        q, k = (x / np.sqrt((x * x).mean((-3, -1), keepdims=True) + 1e-5) for x in (q, k))
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True) @ v

    report = probe(over_all_heads, Attention(heads=4, qk_norm=Norm("rms", gain=False)).working())
    assert report.findings[0].ids == ("qk-norm-over-projection",)
    assert [each.id for each in report.failing if each.follows] == ["heads"]
    assert len(calls) <= 400
