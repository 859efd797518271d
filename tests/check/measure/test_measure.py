"""What is measured of attention code: the parts that differ, and nothing of what is right."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Rotary, SpecError
from clearhead.check.measure.measure import measure
from clearhead.check.measure.wording import headline, lines

from .faults import FAULTS
from .pieces import product, rotary, scaled, softmax
from .rights import RIGHTS
from .symptoms import SYMPTOMS


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


@pytest.mark.parametrize("name", ["nan", "zeros", "ones", "noise_of_dropout"])
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


def test_calls_are_few():
    """Wrong code with a batch is measured in at most 400 calls."""
    found = measure(lambda q, k, v: softmax(product(q, k)) @ v, Attention(heads=2).working())
    assert found.names == ("scale",)
    assert found.calls <= 400


def test_what_cannot_be_measured_is_refused_with_what_is_wanted():
    """A spec for a working, or a function of other arguments, ends in an error that says what to give."""
    with pytest.raises(SpecError, match="beside a working, got Attention"):
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
    """A mask whose rows and columns are exchanged is told by its grid, whatever it holds."""

    def turned_over(q, k, v, mask):
        return softmax(scaled(q, k) + mask.T) @ v

    working = Attention(heads=2, mask="additive").working()
    report = clearhead.probe(turned_over, working, ("query", "key", "value", "mask"))
    assert report.verdict == "explained"
    assert "rows and columns of the mask are exchanged" in str(report)
