"""Deviations planted in random problems are found again, alone and in pairs; and the page on them says the truth."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import pytest

from clearhead.deviations.table import DEVIATIONS

pytestmark = pytest.mark.sweep(3)

DOCS = Path(__file__).resolve().parents[2] / "docs"


def of_docs(name):
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


planted, deviations = of_docs("planted"), of_docs("deviations")


@cache
def table():
    """The table on the page: for each deviation, what stands in the column of each kind."""
    lines = deviations.PAGE.read_text("utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    return {row[0].strip(): [each.strip() for each in row[1:]] for row in rows if row[0].strip() in DEVIATIONS}


EVERY = 13
"""One deviation in this many is planted in each kind, others in the next; `make planted` plants all in all."""

MAX_PAIRS = 10
"""How many of the pairs are planted; `make planted` plants all."""


@pytest.mark.parametrize("kind", planted.KINDS)
def test_planted_alone_each_is_found(kind):
    """A deviation, planted in a problem of the kind, is found where it can be seen; the page says how."""
    place = list(planted.KINDS).index(kind)
    results = planted.column(kind, deviations.FORWARD[place % EVERY :: EVERY])
    assert not [id for id, found in results.items() if "MISSED" in found]
    assert {id: deviations.cell(found) for id, found in results.items()} == {
        id: table()[id][place] for id in results
    }, "docs/reference/deviations.md is not up to date: run make deviations"


ACROSS = (
    ("causal, biased", "softmax-over-queries", "grad-detached:line=value"),
    ("gated", "window-added:line=all,width=2", "grad-softmax-sum-missing"),
    ("causal, biased", "grad-queries-transposed", "grad-values-averaged"),
    ("model of one layer", "embedding-factor:factor=2.5", "grad-scale-twice-in-keys"),
)
"""Pairs with one or two in the backward pass, one with a number that is fitted; `make gradients` plants more."""


@pytest.mark.parametrize(("kind", "one", "other"), ACROSS)
def test_pairs_with_the_backward_pass_are_found(kind, one, other):
    """A deviation of the backward pass is found beside another of either pass, where all pairs are too many to try."""
    problem = planted.GRADIENTS[kind]
    both = [planted.parse_deviation(each) for each in (one, other)]
    made = planted.plant(problem, problem.arrays(1), both, seed=0, most=2)
    assert made.result == "alone"


@pytest.mark.parametrize("kind", planted.LOSSES)
def test_rows_of_losses_are_found(kind):
    """A loss that is wrong by itself is found from the losses of tokens, or from one number; the page says how."""
    place = list(planted.LOSSES).index(kind)
    results = planted.column(kind, deviations.LOSSES)
    assert {id: deviations.cell(found) for id, found in results.items()} == {id: table()[id][place] for id in results}


@pytest.mark.parametrize("kind", planted.GRADIENTS)
def test_planted_gradients_are_found(kind):
    """A gradient that is wrong by itself, planted in a problem of the kind, is found; the page says how."""
    place = list(planted.GRADIENTS).index(kind)
    results = planted.column(kind, deviations.BACKWARD[place::24])
    assert not [id for id, found in results.items() if "MISSED" in found]
    assert {id: deviations.cell(found) for id, found in results.items()} == {id: table()[id][place] for id in results}


def test_none_is_missed_on_the_page():
    """The page, which is made of all deviations in all kinds, has none that is not found."""
    assert [id for id, cells in table().items() if any("MISSED" in cell for cell in cells)] == []


def test_each_is_found_in_some_kind():
    """There is a kind of problem in which each deviation is named, alone or with its equals."""
    assert [id for id, cells in table().items() if not any(cell[:1].isdigit() for cell in cells)] == []


@pytest.mark.parametrize("pair", list(planted.pairs())[:: planted.PAIRS // MAX_PAIRS], ids=str)
def test_planted_pairs_are_found(pair):
    """Two at once are found as the pair they are, unless one or none of them would give the same numbers."""
    assert not pair.missed()


def test_the_rows_on_the_page_are_those_of_the_table():
    """All that the page says of each row is what the row says."""
    text = deviations.PAGE.read_text("utf-8")
    before, _, _ = text.partition("## Planted and found again")
    written = deviations.page({kind: dict.fromkeys(DEVIATIONS, ()) for kind in planted.KINDS})
    assert before == written.partition("## Planted and found again")[0], "run make deviations"
