"""The page on families says what the table of families has, and what trying them gives."""

import pytest

from clearhead.models import FAMILIES

from . import table

READ = [family for family in FAMILIES if family.transformers]


def lines():
    """The rows of the page, by family."""
    rows = [line for line in table.PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return {row.split("|")[1].strip(): row for row in rows[1:]}


def test_every_family_has_its_row():
    """The page has a row for each family, with its architectures and how many configurations were tried."""
    found = lines()
    assert [*found] == [family.name for family in READ], "run make table"
    for family in READ:
        cells = [each.strip() for each in found[family.name].strip("|").split("|")]
        assert cells[1:3] == [", ".join(family.architectures), str(len(table.tried(family)))], "run make table"
        assert set(cells[4:]) <= {"yes", "no"}


def test_the_counts_are_current():
    """The page says how many architectures, and what share of repositories, the tables read now."""
    assert table.PAGE.read_text("utf-8").endswith(table.counted()), "run make table"


@pytest.mark.parametrize("family", READ[:: len(READ) // 4], ids=lambda family: family.name)
def test_rows_are_what_trying_gives(family):
    """A row says of batches, caches and inspection what trying them gives; the page is not written by hand."""
    off, *cells = table.row(family).strip("| ").split(" | ")[3:]
    written = lines()[family.name].strip("| ").split(" | ")
    assert cells == written[4:]
    assert float(off) <= table.BOUND
