"""What is measured of attention code: the parts that differ, and nothing of what is right."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Rotary, SpecError
from clearhead.check.measure.measure import measure
from clearhead.check.measure.parts import Part
from clearhead.check.measure.remedies import remedy
from clearhead.check.measure.wording import headline, lines

from .faults import FAULTS
from .pieces import banded, causal, frequencies, product, rotary, rows_and_columns, scaled, softmax, turned
from .rights import RIGHTS
from .symptoms import SYMPTOMS

pytestmark = pytest.mark.sweep(3)


@pytest.mark.parametrize("name", FAULTS)
def test_the_part_that_differs_is_measured_and_no_other(name):
    """Each fault is found in its own parts, which explain all numbers, and is said with its number, map or size."""
    fault = FAULTS[name]
    found = measure(fault.function, fault.working, fault.takes, given=fault.given)
    said = "\n".join([headline(found), *lines(found)])
    assert set(found.names) == set(fault.parts), said
    assert found.verdict == "explained", said
    assert fault.says in said


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.deviations])
def test_a_fault_that_the_table_has_gets_its_name(name):
    """Where a deviation gives the numbers at every size it stands in the first group of what probe finds."""
    fault = FAULTS[name]
    report = clearhead.probe(fault.function, fault.working, fault.takes, given=fault.given)
    group = {id for each in report.findings for id in each.ids}
    assert group & set(fault.deviations), str(report)


@pytest.mark.parametrize("name", RIGHTS)
def test_right_code_agrees_in_any_precision(name):
    """Right code agrees, breaks no property, and is said to be as precise as its arithmetic."""
    right = RIGHTS[name]
    found = clearhead.probe(right.function, right.working, right.takes)
    assert found.verdict == "agrees", str(found)
    assert not found.failing, str(found)
    assert found.measured.part("precision").details["type"] == right.like, str(found)
    assert right.like == "float64" or right.like in str(found)


@pytest.mark.parametrize("name", SYMPTOMS)
def test_the_first_premise_that_fails_is_said(name):
    """Numbers of which no part can be measured are reported by the premise that fails, with where it does."""
    function, premise, says = SYMPTOMS[name]
    found = measure(function, Attention(heads=2).working())
    assert found.premise is not None
    assert found.premise.name == premise
    assert not found.parts
    assert says in headline(found)


@pytest.mark.parametrize("name", ["nan", "zeros", "ones", "noise"])
def test_degenerate_numbers_get_no_cause(name):
    """A constant, NaN or chance is a symptom, whatever deviation would give the same."""
    function, *_ = SYMPTOMS[name]
    for working in (Attention(heads=2).working(), Attention(heads=2, causal=True).working()):
        report = clearhead.probe(function, working)
        assert report.verdict == "unexplained"
        assert not report.findings


def test_infinity_after_the_softmax_is_told_from_a_mask_before_it():
    """Minus infinity written into the weights gives infinite outputs of the opposite sign of the values."""

    def late(q, k, v, real):
        w = np.where(real[:, None, None], softmax(scaled(q, k)), -np.inf)
        with np.errstate(all="ignore"):
            return w @ v

    report = clearhead.probe(late, Attention(heads=2, padding=True).working(), ("query", "key", "value", "padding"))
    assert report.verdict == "explained"
    assert "after the softmax" in str(report).splitlines()[0]


def test_a_mask_of_one_size_fixes_the_tokens_and_leaves_the_depth():
    """A function with a mask inside is measured at the mask's own size, at several depths."""
    mask = np.random.default_rng(0).normal(size=(3, 8))
    found = measure(
        lambda q, k, v: softmax(scaled(q, k) + mask) @ v,
        Attention(heads=2, mask="additive").working(),
        given={"mask": mask},
    )
    assert found.verdict == "agrees"
    assert {(size["token"], size["key"]) for size in found.agrees} == {(3, 8)}
    assert len({size["depth"] for size in found.agrees}) > 3


@pytest.mark.parametrize(("window", "width", "says"), [
    (None, 3, "seen = j <= i, with"), (4, 6, "seen = (j >= i - 3) & (j <= i), with"),
])  # fmt: skip
def test_the_remedy_of_a_mask_is_the_condition_that_is_due(window, width, says):
    """Where masks are by distance alone, what to change is the condition on rows and columns."""
    working = Attention(heads=2, causal=True, window=window).working()
    report = clearhead.probe(lambda q, k, v: softmax(banded(scaled(q, k), width)) @ v, working)
    assert says in remedy(report.measured.parts[0])


@pytest.mark.parametrize(("pairs", "says"), [
    (((0, 4), (1, 5), (2, 6), (3, 7)), "Of 8 features d pairs with d + 4: x1, x2 = np.split(x[..., :8], 2, axis=-1)."),
    (((0, 1), (2, 3)), "x1, x2 = x[..., 0:4:2], x[..., 1:4:2], and"),
    (((0, 4),), "Rotate feature 0 with 4; the other features stay as they are."),
    (((0, 8), (1, 9), (2, 10), (3, 11)), "Rotate feature 0 with 8, 1 with 9, 2 with 10 and so on; the other"),
    (((4, 6), (5, 7)), "Rotate feature 4 with 6, 5 with 7; the other"),
])  # fmt: skip
def test_the_remedy_of_a_rotation_names_the_pairs_that_are_due(pairs, says):
    """Only where the pairs fill the first features of a head are they said by a split of these."""
    assert says in remedy(Part("pairs", ((0, 1),), pairs, differs=True))


def test_calls_are_few():
    """Wrong code with a batch is measured in at most 400 calls."""
    found = measure(lambda q, k, v: softmax(product(q, k)) @ v, Attention(heads=2).working())
    assert found.names == ("scale",)
    assert found.calls <= 400


def test_what_cannot_be_measured_is_refused_with_what_is_wanted():
    """A spec for a working, or a function of other arguments, ends in an error that says what to give."""
    with pytest.raises(SpecError, match="against a working, got Attention"):
        measure(lambda *arrays: arrays[2], Attention(heads=2))
    with pytest.raises(SpecError, match="nothing to measure"):
        measure(lambda q: q, Attention(heads=2).working())


def test_heads_are_as_wide_as_what_is_turned():
    """Rotary positions of the first 6 or 8 features are measured on heads of that width and more."""
    for width in (6, 8):
        working = Attention(heads=2, rotary=Rotary(width=width)).working()
        report = clearhead.probe(lambda q, k, v: softmax(scaled(*rotary(q, k))) @ v, working)
        assert report.measured.names == ("pairs",)
        assert report.explained_by("rotary-whole-head")


def test_what_is_added_behind_the_mean_is_no_part_of_attention():
    """An output that is not 0 where all values are breaks a premise, and nothing else is said."""
    found = measure(lambda q, k, v: softmax(scaled(q, k)) @ v + 0.01, Attention(heads=2).working())
    assert found.premise.name == "linear in values"
    assert "all values are 0" in headline(found)


def test_a_transposed_mask_is_said_to_be_one():
    """A mask whose rows and columns are exchanged is said to be transposed, whatever it holds."""

    def turned_over(q, k, v, mask):
        return softmax(scaled(q, k) + mask.T) @ v

    working = Attention(heads=2, mask="additive").working()
    report = clearhead.probe(turned_over, working, ("query", "key", "value", "mask"))
    assert report.verdict == "explained"
    assert "The given mask is transposed: its rows are used for keys" in str(report)


@pytest.mark.parametrize(("masking", "causes"), [
    (lambda s, keep: np.where(keep[:, None, :, None], s, -1e30), ("mask-filled", "padding-on-queries")),
    (lambda s, keep: np.where(keep[:, None, None, :], s, s / 2), ()),
])  # fmt: skip
def test_masks_that_change_scores_are_more_than_keys_that_are_seen(masking, causes):
    """Where a masked score is another one, who is seen does not explain all: it is named, or nothing is claimed."""
    working = Attention(heads=2, padding=True).working()
    report = clearhead.probe(
        lambda q, k, v, keep: softmax(masking(scaled(q, k), keep)) @ v, working, ("query", "key", "value", "padding")
    )
    assert report.verdict == ("explained" if causes else "unexplained")
    assert not causes or set(report.findings[0].ids) == set(causes)
    assert "explain everything measured" not in str(report)


@pytest.mark.parametrize(("factor", "says"), [
    (lambda _: np.array([0.7, 1.6])[:, None, None], "is 0.35 in head 0, 0.8 in head 1, where 0.5 is expected"),
    (lambda keys: np.log(keys + 1), "Times what is expected, by the number of keys: 1.60944 at 4, 1.94591 at 6"),
])  # fmt: skip
def test_a_scale_is_said_for_all_heads_and_sizes(factor, says):
    """A scale that is not the same in all heads, or follows a size in a way that has no name, is said as measured."""
    report = clearhead.probe(
        lambda q, k, v: softmax(scaled(q, k) * factor(k.shape[-2])) @ v, Attention(heads=2).working()
    )
    assert says in str(report)
    assert report.measured.names == ("scale",)


def test_functions_that_break_at_zero_scores_are_not_said_to_mask():
    """Where zero keys give NaN, nothing is said about the keys that are seen at many tokens."""

    def quantised(q, k, v):
        with np.errstate(invalid="ignore"):
            unit = np.abs(k).max() / 127
            return softmax(scaled(q, np.round(k / unit) * unit)) @ v

    report = clearhead.probe(quantised, Attention(heads=2).working())
    assert "see fewer keys" not in str(report)


ROTARY = Attention(heads=2, rotary=Rotary()).working()


@pytest.mark.parametrize(("function", "working", "says"), [
    (lambda q, k, v: softmax(scaled(q, k)) @ np.roll(v, 1, 0), Attention(heads=2).working(),
     "Items of a batch change each other's outputs"),
    (lambda q, k, v: softmax(scaled(*rotary(q, k))) @ rotary(v, v)[0], ROTARY, "Values are rotated like keys."),
    (lambda q, k, v: softmax(scaled(*(x[..., ::-1, :] for x in rotary(q[..., ::-1, :], k[..., ::-1, :])))) @ v, ROTARY,
     "run the other way: the sign of the sine, or the order of positions, is inverted"),
])  # fmt: skip
def test_what_is_beside_the_usual_is_said_as_it_is(function, working, says):
    """Mixed items of a batch, rotated values and positions that count backwards are said, and nothing else."""
    assert says in str(clearhead.probe(function, working))


@pytest.mark.parametrize("spec", [Attention(heads=2), Attention(heads=2, mask="additive")])
def test_weights_that_are_returned_are_rebuilt(spec):
    """A function that returns weights is measured as one that returns heads, whatever the depth."""

    def weights(q, k, mask=0.0):
        return softmax(1.7 * scaled(q, k) + mask)

    takes = ("query", "key", "mask") if spec.mask else ("query", "key")
    said = str(clearhead.probe(weights, spec.working(), takes, "weights"))
    assert "The scale of scores is 1.7/sqrt(depth)" in said
    assert "these parts explain everything measured" in said


def by_head(function):
    """Rotary attention in which ``function(x, head)`` rotates the queries and keys of a head."""

    def attend(q, k, v):
        q, k = (np.stack([function(x[:, h], h, side) for h in range(x.shape[1])], 1) for side, x in enumerate((q, k)))
        return softmax(scaled(q, k)) @ v

    return attend


def places(x):
    return np.arange(x.shape[-2]), frequencies(x.shape[-1])


THREE = Attention(heads=3, rotary=Rotary())


@pytest.mark.parametrize(("function", "spec", "says", "never"), [
    (by_head(lambda x, h, side: turned(x, places(x)[0] + (h if side == 0 else 0), places(x)[1])), THREE,
     ("1 too far in head 1; 2 too far in head 2", "number of the head is added"), "are wrong"),
    (by_head(lambda x, h, _: turned(x, (h + 1) * places(x)[0], places(x)[1])), THREE,
     ("2 times the expected in head 1; 3 times the expected in head 2",), "heads 1, 2 are 2 times"),
    (by_head(lambda x, h, _: turned(x, (h == 1) * places(x)[0], places(x)[1])), THREE,
     ("keys of heads 0, 2 are not rotated",), "head 1"),
    (lambda q, k, v: softmax(causal(scaled(q, k)) + np.where(
        np.subtract(*rows_and_columns(scaled(q, k))) < np.array([2, 3, 99])[:, None, None], 0, -np.inf)) @ v,
     Attention(heads=3, causal=True), ("Those of head 0 see 1 back", "Those of head 1 see 2 back"), "They see"),
    (lambda q, k, v: softmax(np.array([5, 9])[:, None, None] * np.tanh(
        scaled(q, k) / np.array([5, 9])[:, None, None])) @ v,
     Attention(heads=2), ("head 0 approach a soft-cap of 5", "head 1 approach a soft-cap of 9"), ""),
    (lambda q, k, v: softmax(scaled(q, k)) * np.array([0.5, 0.9])[:, None, None] @ v,
     Attention(heads=2), ("of head 0 sum to 0.5", "of head 1 sum to 0.9"), ""),
])  # fmt: skip
def test_heads_that_differ_are_each_said(function, spec, says, never):
    """Where heads differ from each other, what holds for one is not said of another."""
    found = measure(function, spec.working())
    said = " ".join([headline(found), *lines(found)])
    assert all(each in said for each in says), said
    assert not never or never not in said, said
