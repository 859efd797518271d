"""Shown digits are right: each is that of the number in 50 digits, rounded once."""

import math
import operator
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from mpmath import MPContext

from clearhead.digits import certified, with_right_digits
from clearhead.expr.text import NOISE, fixed
from clearhead.line import Line
from clearhead.problems import bundled, library, parse_problem, read_problem
from clearhead.show import View, render
from clearhead.show.cells import digits

mp = MPContext()
mp.dps = 50

PROBLEM = """
format = 1
title = "Sums that cancel"
given = ["query", "key", "value"]
[attention]
heads = 1
output = false
scale = {scale}
[arrays]
query = {query}
key = {key}
value = {value}
"""


def number(value):
    """A number in 50 digits: a given one is the decimal that it was written as, or a third or the like."""
    if isinstance(value, mp.mpf):
        return value
    if not np.isfinite(float(value)):
        return mp.mpf(value)
    written = Fraction(repr(float(value)))
    turn = Fraction(repr(float(value) / math.pi * 180)).limit_denominator(10)
    if turn and len(repr(float(value))) > 16 and math.isclose(float(turn) * math.pi / 180, value, rel_tol=1e-15):
        return mp.mpf(turn.numerator) / turn.denominator * mp.pi / 180
    near = written.limit_denominator(1000)
    found = near if float(near) == value else written
    return mp.mpf(found.numerator) / found.denominator


def quotient(a, b):
    """A quotient; what divides by 0 is not compared, as floating point has no number there either."""
    return number(a) / number(b) if number(b) else mp.nan


def of(function):
    """A function on numbers in 50 digits; whole numbers of indices stay whole."""

    def result(*values):
        return function(*(values if all(isinstance(each, int) for each in values) else map(number, values)))

    return result


REFERENCE = {
    **{name: of(function) for name, function in {
        "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
        "<": operator.lt, "<=": operator.le, "==": operator.eq, "neg": operator.neg, "abs": abs, "max": max,
    }.items()},
    "/": quotient,
    "share": lambda a, b: quotient(a, b) if number(b) else number(0),
    "^": lambda a, b: number(a) ** number(b),
    "and": lambda a, b: a and b,
    **{name: of(getattr(mp, name)) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf")},
    "pi": lambda: +mp.pi,
    "number": number,
}  # fmt: skip


def lines_in_50_digits(trace):
    """Every line of a trace, worked out from what was given by mpmath."""
    lifted = np.vectorize(number, otypes=[object])
    known = {name: lifted(array) if array.dtype.kind == "f" else array for name, array in trace.given.items()}
    for line in trace.working.lines:
        operands, result = [known[name] for name in line.operands], np.empty(trace[line.name].shape, dtype=object)
        for cell in np.ndindex(result.shape):
            found = line.formula.cell(operands, result, cell, REFERENCE)
            result[cell] = found if isinstance(found, bool) else number(found)
        known[line.name] = result
    return known


def rounded(value, decimals):
    """A number in 50 digits rounded to decimals; what is within 1e-14 of the middle is the middle, as by hand."""
    unit = Decimal(1).scaleb(-decimals)
    exact = Decimal(mp.nstr(value * (1 + mp.mpf(NOISE)), 45))
    return exact.quantize(unit, ROUND_HALF_UP)


def wrong_digits(trace):
    """The cells of which a shown digit is not right, for 1 to 8 decimals: line, cell, decimals, shown, right."""
    right, wrong, seen = lines_in_50_digits(trace), [], 0
    for line in trace.working.lines:
        array = np.asarray(trace[line.name])
        if array.dtype.kind != "f":
            continue
        for cell, decimals in ((cell, d) for cell in np.ndindex(array.shape) for d in range(1, 9)):
            if not np.isfinite(array[cell]) or abs(array[cell]) * 10.0**decimals >= 1e10:
                continue
            shown = Decimal(digits(array[cell], decimals)(array[cell]))
            expected = rounded(right[line.name][cell], decimals)
            seen += 1
            tiny = expected == 0 and shown != 0  # written with an exponent instead
            if shown != expected and not tiny:
                wrong.append((line.name, cell, decimals, shown, expected))
    assert seen
    return wrong


def cancelling(size, seed):
    """A problem in one or two decimals in which the terms of each score are ``size`` and cancel to about 1."""
    rng = np.random.default_rng(seed)
    terms, left = np.round(rng.uniform(-size, size, (1, 3, 3)), 2), np.round(rng.uniform(-1, 1, (1, 3, 1)), 2)
    query = np.concatenate([terms, np.round(left - terms.sum(-1, keepdims=True), 2)], axis=-1)
    key = np.repeat(np.round(rng.uniform(-2, 2, (1, 3, 1)), 1), 4, axis=-1)
    value = np.round(rng.uniform(-2, 2, (1, 3, 4)), 1)
    arrays = {"query": query.tolist(), "key": key.tolist(), "value": value.tolist()}
    return parse_problem(PROBLEM.format(scale=0.5, **arrays))


@pytest.mark.parametrize("size", [1, 10, 100, 1e4, 1e6])
def test_every_shown_digit_is_right_where_sums_cancel(size):
    """Of random problems every number is shown as the 50-digit number rounded once; without the step some are not."""
    before = []
    for seed in range(5):
        problem = cancelling(size, seed)
        assert wrong_digits(problem.trace()) == []
        before += wrong_digits(problem.working().run(problem.arrays)) if size >= 100 else []
    assert bool(before) == (size >= 100)


@pytest.mark.parametrize("size", [2, 30])
def test_every_shown_digit_is_right_in_random_problems(size):
    """So it is where nothing cancels, with any scale."""
    rng = np.random.default_rng(int(size))
    for scale in (1, 0.1, 0.25):
        arrays = {name: np.round(rng.uniform(-size, size, (1, 3, 4)), 2).tolist() for name in ("query", "key", "value")}
        assert wrong_digits(parse_problem(PROBLEM.format(scale=scale, **arrays)).trace()) == []


@pytest.mark.parametrize("name", [*bundled(), *(name for names in library().values() for name in names)])
def test_every_shown_digit_of_our_problems_is_right(name):
    """The bundled problems and the library show the 50-digit numbers rounded once, gradients and positions included."""
    trace = read_problem(name).trace()
    assert not any(isinstance(line, Line) for line in trace.working.lines) or wrong_digits(trace) == []


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_every_medium_shows_the_right_digit(form):
    """2.3 - 2.285 is 0.015 and shown as 0.02, though float64 has 0.01499999999999968."""
    arrays = {"query": [[[2.3, -2.285]]], "key": [[[1, 1]]], "value": [[[1, 1]]]}
    problem = parse_problem(PROBLEM.format(scale=1, **arrays))
    assert problem.working().run(problem.arrays)["scores"][0, 0, 0] < 0.015 * (1 - NOISE)
    assert problem.trace()["scores"][0, 0, 0] == 0.015
    assert str(problem.trace().explain("scores@1", 0, 0)).endswith("= 0.015")
    shown = render(problem.trace(), form, View(decimals=2, address="scores"))
    assert "0.02" in shown
    assert "0.01" not in shown


@pytest.mark.parametrize("name", ["single-head", "causal-mask", "cross-entropy", "head-backward", "two-heads"])
def test_what_is_worked_out_again_is_right_to_the_last_bit(name, monkeypatch):
    """If all numbers of a problem were in doubt, each would be the float64 nearest to it, or left as it was."""
    problem = read_problem(name)
    before = problem.trace()
    monkeypatch.setattr("clearhead.digits._in_doubt", lambda numbers, _: np.isfinite(numbers))
    after, right, settled = problem.trace(), lines_in_50_digits(before), 0
    for line in (line.name for line in before.working.lines):
        for cell in np.ndindex(np.shape(before[line])):
            nearest = float(right[line][cell])
            settled += after[line][cell] == nearest
            assert after[line][cell] in (nearest, before[line][cell]) or np.isnan(before[line][cell])
    assert settled > 0.8 * sum(np.size(before[line.name]) for line in before.working.lines)


def test_given_numbers_are_the_decimals_that_they_are_written_as():
    """30.700000000000003 less 30.685000000000002 is 0.015000000000001, though float64 has 0.01500000000000057."""
    arrays = {"query": [[[30.700000000000003, -30.685000000000002]]], "key": [[[1, 1]]], "value": [[[1, 1]]]}
    right, unsure = certified(parse_problem(PROBLEM.format(scale=1, **arrays)).trace())
    assert right["scores"][0, 0, 0] == 0.015000000000001
    assert unsure == ()


TURNED = """
format = 1
title = "Turned by an angle in degrees"
given = ["query", "rotary.angle"]
until = ["query.rotated"]
[attention]
heads = 1
output = false
[attention.rotary]
[arrays]
query = [[[1, {size}, 0.35, {other}]]]
rotary.angle = [["{first} deg", "{second} deg"]]
"""

POSITIONS = """
format = 1
title = "Sines and cosines"
[positions]
kind = "sinusoidal"
width = 6
[arrays]
index = {index}
"""


@pytest.mark.parametrize("seed", range(6))
def test_sines_are_shown_right_where_they_cancel(seed):
    """Queries turned by angles in degrees are those of the angles, also where their parts cancel."""
    rng = np.random.default_rng(seed)
    first, second = rng.choice([30, 45, 60, 90, 120, 77], 2)
    size = float(np.round(rng.uniform(10, 1000), 2))
    problem = parse_problem(TURNED.format(first=first, second=second, size=size, other=-size))
    assert wrong_digits(problem.trace()) == []


def last_digits_wrong(trace, places=(12, 13, 14, 15)):
    """How many digits of a trace, rounded to so many in all, are not those of the 50-digit numbers; and of how many."""
    right, wrong, seen = lines_in_50_digits(trace), 0, 0
    for line in trace.working.lines:
        for cell in np.ndindex(np.shape(trace[line.name])):
            number = trace[line.name][cell]
            if trace[line.name].dtype != np.float64 or not np.isfinite(number) or not number:
                continue
            first = math.floor(math.log10(abs(number)))
            for decimals in (place - 1 - first for place in places if place > first):
                unit = Decimal(1).scaleb(-decimals)
                expected = Decimal(mp.nstr(right[line.name][cell] * (1 + mp.mpf(1e-30)), 48)).quantize(
                    unit, ROUND_HALF_UP
                )
                wrong += Decimal(fixed(number, decimals)) != expected
                seen += 1
    return wrong, seen


@pytest.mark.parametrize("name", [*bundled(), "saeed-positions", "raschka-causal"])
def test_fifteen_digits_are_right_on_request(name):
    """Each digit up to the fifteenth is that of the 50-digit number, gradients, sines and error functions included."""
    trace, unsure = certified(read_problem(name).trace())
    assert unsure == ()
    wrong, seen = last_digits_wrong(trace)
    assert wrong == 0
    assert seen


def test_some_last_digits_are_wrong_without_the_request():
    """In double precision some of fifteen digits are wrong: what is certified was not so before."""
    assert sum(last_digits_wrong(read_problem(name).trace())[0] for name in ("encoder-block", "rotary")) > 10


def test_what_cannot_be_certified_is_named():
    """Sines beyond 10^12 turns are not decided: the line is named, and keeps its numbers."""
    trace = parse_problem(POSITIONS.format(index="[3, 20000000000000]")).trace()
    right, unsure = certified(trace)
    assert unsure == ("position",)
    assert (right["position"] == trace["position"]).all()


def test_a_trace_without_numbers_in_doubt_is_itself():
    """Where no number is near the middle of two decimals, nothing is worked out, and intervals are not even loaded."""
    problem = read_problem("soccer")
    trace = problem.working().run(problem.arrays)
    assert with_right_digits(trace) is trace
    code = "import sys; from clearhead.problems import read_problem; read_problem('soccer').trace(); "
    code += "assert 'clearhead.expr.intervals' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_arrays_are_left_as_they_are():
    """A trace of which not all was kept is returned as it came."""
    problem = cancelling(100, 0)
    part = problem.working().run(problem.arrays).only(["scores"])
    assert with_right_digits(part) is part
