"""Deviations planted in random problems are found again, alone and in pairs; and the page on them says the truth."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from clearhead.deviations.table import DEVIATIONS
from clearhead.errors import ClearheadError

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


@pytest.mark.parametrize("kind", planted.KINDS)
def test_planted_alone_each_is_found(kind):
    """Each deviation, planted in a problem of the kind, is found where it can be seen; the page tells how."""
    results = planted.column(kind)
    missed = [id for id, found in results.items() if "MISSED" in found]
    assert not missed
    place = list(planted.KINDS).index(kind)
    assert {id: deviations.cell(found) for id, found in results.items()} == {
        id: table()[id][place] for id in DEVIATIONS
    }, "docs/reference/deviations.md is not up to date: run make deviations"


def test_each_is_found_in_some_kind():
    """There is a kind of problem in which each deviation is named, alone or with its equals."""
    assert [id for id, cells in table().items() if not any(cell[:1].isdigit() for cell in cells)] == []


PAIRS = 60


def drawn_pairs():
    """Pairs of different deviations, from kinds in turn, with a fixed seed."""
    rng = np.random.default_rng(2026)
    kinds = [name for name in planted.KINDS if name not in ("encoder block", "decoder block", "cache")]
    for number in range(PAIRS):
        kind = kinds[number % len(kinds)]
        arrays = planted.KINDS[kind].arrays(seed=number)
        tried = [each for id in DEVIATIONS for each in planted.choices(planted.KINDS[kind], arrays, id)]
        one, other = rng.choice(len(tried), 2, replace=False)
        if tried[one].id != tried[other].id:
            yield kind, number, (tried[one], tried[other])


def commute(working, one, other):
    """Whether two deviations mean the same in either order; two ways to scale, for instance, do not."""
    try:
        return other.rewrite(one.rewrite(working)) == one.rewrite(other.rewrite(working))
    except ClearheadError:
        return True


@pytest.mark.parametrize(("kind", "seed", "pair"), list(drawn_pairs()))
def test_planted_pairs_are_found(kind, seed, pair):
    """Two at once are found as the pair they are, unless one or none of them would give the same numbers."""
    arrays = planted.KINDS[kind].arrays(seed=seed)
    made = planted.plant(planted.KINDS[kind], arrays, pair, seed=seed, most=2)
    if made is None or made.report.verdict == "agrees" or not commute(planted.KINDS[kind].working, *pair):
        return
    sizes = {len(finding.deviations) for finding in made.report.findings}
    assert made.report.verdict == "explained"
    assert made.found or sizes == {1} or made.report.fitting > len(made.report.findings)


def test_the_rows_on_the_page_are_those_of_the_table():
    """All that the page says of each row is what the row says."""
    text = deviations.PAGE.read_text("utf-8")
    before, _, _ = text.partition("## Planted and found again")
    written = deviations.page({kind: dict.fromkeys(DEVIATIONS, ()) for kind in planted.KINDS})
    assert before == written.partition("## Planted and found again")[0], "run make deviations"
