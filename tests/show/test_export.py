"""A trace as a file."""

import pytest

from clearhead import read_problem
from clearhead.errors import UnknownName
from clearhead.show import View, lower
from clearhead.show.export import KINDS, save
from clearhead.show.paper.worksheet import worksheet_of


@pytest.fixture
def trace():
    return read_problem("soccer").trace()


@pytest.mark.parametrize(("ending", "form"), [(".md", "markdown"), (".tex", "latex"), (".txt", "text")])
def test_a_worksheet_is_saved_in_every_form_of_text(trace, tmp_path, ending, form):
    """The file holds the whole worksheet in this form, with a line's end behind it."""
    view = View("Chaky", decimals=5)
    save(trace, tmp_path / f"x{ending}", view)
    assert (tmp_path / f"x{ending}").read_text("utf-8") == lower(worksheet_of(trace, view), form) + "\n"


def test_a_trace_saves_itself(trace, tmp_path):
    """`Trace.save` takes what a view takes, and writes the same."""
    trace.save(tmp_path / "one.md", title="Chaky", decimals=2)
    save(trace, tmp_path / "other.md", View("Chaky", decimals=2))
    assert (tmp_path / "one.md").read_bytes() == (tmp_path / "other.md").read_bytes()


def test_endings_count_in_capitals_too(trace, tmp_path):
    """A.MD is Markdown."""
    save(trace, tmp_path / "A.MD")
    assert (tmp_path / "A.MD").read_text("utf-8").startswith("# Trace")


@pytest.mark.parametrize("name", ["x.mdd", "x", "x.docx"])
def test_an_ending_that_means_nothing_is_refused(trace, tmp_path, name):
    """The message names the file, and the endings there are or the closest; nothing is written."""
    with pytest.raises(UnknownName, match=r"no export has the ending .*\.(md|json)"):
        save(trace, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_every_kind_writes_something(trace, tmp_path):
    """No ending of the table is an empty promise."""
    for ending in KINDS:
        save(trace, tmp_path / f"x{ending}", View("Chaky"))
        assert (tmp_path / f"x{ending}").stat().st_size > 100
