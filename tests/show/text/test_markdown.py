import pytest
from markdown_it import MarkdownIt

from clearhead.document import Document, Heading, Prose
from clearhead.errors import visible
from clearhead.show import View, lower, render
from clearhead.show.cells import one_line
from clearhead.show.paper.worksheet import worksheet_of


def _tokens(text):
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return reader.parse(text)


def _kinds(tokens):
    """The kinds of markup outside formulas."""
    inside = [token.children for token in tokens if token.type == "inline" and not token.content.startswith("$$")]
    return {leaf.type for children in inside for leaf in children} | {token.type for token in tokens}


def test_hostile_names_appear_as_themselves(make_trace, hostile):
    """A Markdown reader finds each name as plain text in its cell, and no markup that a name brought along."""
    harmless = _kinds(_tokens(render(make_trace(), "markdown", View("T", about="A"))))
    for name in hostile:
        tokens = _tokens(render(make_trace(tokens=[name, "b", "c"]), "markdown", View(name, about=name)))
        cells = ["".join(leaf.content for leaf in t.children) for t in tokens if t.type == "inline"]
        assert visible(name).strip() in cells
        assert cells[0] == one_line(name)
        assert _kinds(tokens) <= harmless


def test_numbers_stand_in_a_table(trace):
    """A head is a table: tokens above and beside, and the numbers at the chosen decimals."""
    written = render(trace, "markdown", View(address="weights@2", decimals=2))
    assert "| loves | 0.42 | 0.16 | 0.42 |" in written
    assert "|  | Chaky | loves | soccer |" in written


def test_a_marked_cell_is_bold(trace):
    """The cell that is worked out is bold in its table, and its arithmetic is a formula."""
    written = render(trace, "markdown", View(address="weights@2", cell=(1, 2)))
    assert "| Chaky | 0.212 | **0.576** | 0.212 |" in written
    assert "$$\nA^{(2)}_{1,2} = " in written


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_large_matrices_are_cut(arrays_for, sizes, form):
    """A matrix of 60 by 60 is cut in the middle, and says so."""
    from clearhead.spec import Attention

    working = Attention(heads=4).working()
    written = render(working.run(arrays_for(working, sizes | {"token": 60})), form, View(address="weights@3"))
    assert "37 not shown" in written
    assert len(written.split("\n")) < 80


def test_a_section_is_one_level_down(trace):
    """The title of a document inside another, and what is in it, have a # more."""
    document = Document("T", (Heading("one"), Document("S", (Heading("two"), Prose("P")))))
    assert lower(document, "markdown").split("\n\n") == ["# T", "## one", "## S", "### two", "P"]
    assert "\n## Given\n\n### embedding" in lower(worksheet_of(trace, View("T")), "markdown")


def test_a_blank_cell_is_an_empty_one(trace):
    """Where a number is to be found a cell of the table holds only space."""
    written = lower(worksheet_of(trace, View("T", blank=("weights",))), "markdown")
    assert written.count("| Chaky | &emsp;&emsp; | &emsp;&emsp; | &emsp;&emsp; |") == 2
