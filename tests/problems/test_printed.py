"""Numbers that programs write out: read by the grammar of written numbers, with the value that Python would give."""

import ast
import math
import random

import numpy as np
import pytest

from clearhead.problems.printed import written
from clearhead.written import value_of


def read(source):
    """The number or numbers that an expression writes out; None where that would have to be run."""
    return written(ast.parse(source).body[0].value, source)


def drawn(rng, depth=3):
    """An expression of numbers, roots, exponentials and the four operations, as people write it in Python."""
    kind = rng.randrange(7 if depth else 2)
    if kind < 2:
        return rng.choice(["2", "3", "0.5", "1.25", "1e-1", ".5", "7.", "math.pi", "np.e"])
    inner = drawn(rng, depth - 1)
    if kind == 2:
        return f"-{inner}" if rng.random() < 0.5 else f"({inner})"
    if kind == 3:
        return f"{rng.choice(['np', 'math'])}.{rng.choice(['sqrt', 'exp', 'log'])}({inner})"
    return f"{inner}{rng.choice(['+', ' - ', '*', ' / ', '**'])}{drawn(rng, depth - 1)}"


@pytest.mark.parametrize("seed", range(8))
def test_an_expression_has_the_value_that_python_gives(seed):
    """What is read of an expression is what Python computes, or nothing; most of short ones are read."""
    rng = random.Random(seed)
    known = 0
    for _ in range(60):
        source = drawn(rng)
        found = read(f"[{source}]")
        if found is None:
            continue
        known += 1
        with np.errstate(all="ignore"):
            expected = eval(source, {"np": np, "math": math})
        assert value_of(found[0]) == pytest.approx(float(expected), rel=1e-12), source
    assert known > 25


@pytest.mark.parametrize("source", ["[1/3, -0.50]", "['1/3', '-0.50']", "np.array([1/3, -.50])"])
def test_digits_and_fractions_are_kept(source):
    """A decimal keeps its digits, a fraction is exact, whether it is an expression or a text."""
    exact, rounded = read(source)
    assert exact == "1/3"
    assert rounded.endswith("50")


@pytest.mark.parametrize("source", [
    "[e, 1]", "[x/2]", "['the', 'cat']", "['1', '2']", "[2^3]", "[5%3]", "[7//2]", "[np.random.rand()]", "[sqrt(2)]",
    "[1/0]", "[np.sqrt(-1)]", "[__import__('os')]", "[np.log10(2)]", "[1 if 1 else 2]", "[2 .real]", "['e', 'pi']",
])  # fmt: skip
def test_what_is_no_number_or_another_one_in_python_is_not_read(source):
    """Names, labels, operators that mean something else here, and what would have to be run."""
    assert read(source) is None
