"""Workbooks as people have them: in LibreOffice as installed, which recalculates nothing when a file opens."""

import numpy as np
import pytest

from clearhead import read_problem
from clearhead.problems import bundled
from clearhead.show import View
from clearhead.show.sheet.workbook import xlsx

from .office import entries, typed_in

pytestmark = pytest.mark.sweep(3)

FILLED = (0.5, 0.25, 0.25)


def nudged(trace):
    """The trace for other given numbers, of few digits; masks with one cell the other way."""
    rng = np.random.default_rng(3)
    arrays = {}
    for each in trace.working.givens:
        array = trace[each.name].copy()
        if array.dtype == bool:
            array.flat[0] ^= True
        elif array.dtype.kind == "i":
            array.flat[0] = 1 - array.flat[0]
        else:
            array += np.where(np.isfinite(array), np.round(rng.normal(size=array.shape), 2), 0)
        arrays[each.name] = array
    return trace.working.run(arrays, tokens=trace.tokens)


@pytest.fixture(scope="module")
def problems():
    return {name: read_problem(name).trace() for name in bundled()}


@pytest.fixture(scope="module")
def others(problems):
    return {name: nudged(trace) for name, trace in problems.items()}


@pytest.fixture(scope="module")
def opened(problems, others):
    """All workbooks, as they were opened and after typing, in one run of the office."""
    asked = {}
    for name, trace in problems.items():
        arrays = {each.name: others[name][each.name] for each in trace.working.givens}
        asked[name] = bytes(xlsx(trace, View(name))), entries(trace, arrays, trace)
    soccer = problems["soccer"]
    typed = [
        (*each[:3], str(value))
        for each, value in zip(entries(soccer, {"weights": soccer["weights"]}, {}), FILLED, strict=False)
    ]
    return typed_in({**asked, "blank": (bytes(xlsx(soccer, View(blank=("weights",)))), typed)})


@pytest.mark.parametrize("name", bundled())
def test_results_are_numbers_when_a_file_opens(name, problems, opened):
    """Every finite number of the trace is a number of the sheet, equal to it, shown with at most three decimals."""
    trace, (before, _) = problems[name], opened[name]
    for line in trace:
        expected = trace.numpy(line)
        finite = np.isfinite(expected)
        assert set(before.kind(trace, line)[finite]) <= {"number"}, line
        np.testing.assert_array_equal(before.value(trace, line)[finite], expected[finite].astype(float))
        if expected.dtype != bool and line not in {each.name for each in trace.working.givens}:
            assert all(len(text.partition(".")[2]) <= 3 for text in before.shown(trace, line)[finite]), line


@pytest.mark.parametrize("name", bundled())
def test_a_typed_number_is_followed_at_once(name, problems, others, opened):
    """After other inputs are typed, every line that can be shown holds the numbers of the trace of those inputs."""
    trace, other, (_, after) = problems[name], others[name], opened[name]
    for line in other:
        expected = np.where(np.isnan(other.numpy(line)), np.nan, other.numpy(line)).astype(float)
        np.testing.assert_allclose(after.value(trace, line), expected, rtol=1e-12, atol=1e-12, err_msg=line)
    assert not all(np.allclose(trace[line], other[line], equal_nan=True) for line in trace)


def test_a_blank_line_is_filled_in_by_typing(problems, opened):
    """What depends on blank cells is empty text, and the rows whose cells are all typed show their numbers."""
    trace, (before, after) = problems["soccer"], opened["blank"]
    assert set(before.kind(trace, "weights").flat) == {None}
    assert set(before.kind(trace, "head").flat) == {None}
    expected = np.array(FILLED) @ trace["value"][0]
    np.testing.assert_allclose(after.value(trace, "head")[0, 0], expected, rtol=1e-12)
    assert set(after.kind(trace, "head")[0, 1:].flat) == {None}
