import re

from clearhead.claim import Claim
from clearhead.document import Document, Prose
from clearhead.show import View, lower, render
from clearhead.show.paper.worksheet import worksheet_of


def _balanced(text):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth == 0


def test_a_document_is_complete(trace):
    """The file begins with its class, opens and closes the document, and every brace and environment is closed."""
    written = render(trace, "latex", View("Title"))
    assert written.startswith("\\documentclass")
    assert written.endswith("\\end{document}")
    assert _balanced(written)
    assert written.count("\\begin{") == written.count("\\end{")


def test_a_block_with_every_feature_prints(big):
    """The same holds for every kind of line that a block has."""
    written = render(big, "latex", View("Block"))
    assert _balanced(written)
    assert written.count("\\begin{array}") == written.count("\\end{array}") > 60


def test_hostile_names_are_escaped(make_trace, hostile):
    """No name breaks the table or brings a command of its own along."""
    known = set(re.findall(r"\\[a-zA-Z]+", render(make_trace(), "latex", View("T", about="A"))))
    known |= {"\\" + word for word in (
        "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textquotedbl",
        "textquotesingle", "textasciigrave", "ifcsname", "detokenize", "endcsname", "DeclareUnicodeCharacter",
    )}  # fmt: skip
    for name in hostile:
        written = render(make_trace(tokens=[name, name, name]), "latex", View(name, about=name))
        assert _balanced(written)
        assert set(re.findall(r"\\[a-zA-Z]+", written)) <= known
        assert not re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", written)


def test_characters_beyond_a_font_are_declared(make_trace):
    """Every character beyond ASCII has a stand-in for the engine that has no glyph for it."""
    written = render(make_trace(tokens=["日", "é", "😀"]), "latex")
    assert {"65E5", "00E9", "1F600"} <= set(re.findall(r"DeclareUnicodeCharacter\{([0-9A-F]+)\}", written))


def test_weights_are_shaded_and_cells_boxed(trace):
    """A weight's cell is coloured by its share, and the cell that is worked out stands in a box."""
    written = render(trace, "latex", View(address="weights@2", cell=(3, 2)))
    assert r"\cellcolor[HTML]{9FC1E2}\boxed{0.787}" in written


def test_a_worksheet_is_whole(make_trace, hostile):
    """Sections, claims, boxes to fill in and hostile names leave every brace and environment closed."""
    trace = make_trace(tokens=hostile[3:6])
    claim = Claim("head@1", (("9",), ("?",), ("7/6",)))
    for view in (View("T", claims=(claim,), diagnosis=Document("Why", (Prose("B"),))), View("T", blank=("w*", "head"))):
        written = lower(worksheet_of(trace, view), "latex")
        assert _balanced(written)
        assert written.count("\\begin{") == written.count("\\end{")
    assert written.count(r"\blank") == 1 + 18 + 6 + 6 + 6 + 6  # weights, head; concat, output, residual follow
