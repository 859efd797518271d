import numpy as np
import pytest

from clearhead.document import Arithmetic, Equation, Heading, Panels, Prose, Remark
from clearhead.errors import ShapeError, UnknownName
from clearhead.show import View, document_of
from clearhead.show.trace_document import MAX_PANELS
from clearhead.spec import Attention


def _kinds(document, kind):
    return [part for part in document.parts if isinstance(part, kind)]


def test_a_trace_is_shown_line_by_line(trace):
    """Every array has a heading and its numbers, in order, and every line its formula between them."""
    document = document_of(trace, View("Title"))
    assert [part.text for part in _kinds(document, Heading)] == list(trace)
    assert len(_kinds(document, Panels)) == len(trace)
    assert [part.left.operand for part in _kinds(document, Equation)] == [line.name for line in trace.working.lines]
    at = document.parts.index(Heading("weights", ("head", "query", "key"), (2, 3, 3)))
    assert isinstance(document.parts[at + 1], Equation)
    assert isinstance(document.parts[at + 2], Panels)


def test_what_is_given_says_so(trace):
    """The headings of given arrays, and only theirs, say given."""
    headings = _kinds(document_of(trace, View()), Heading)
    assert [part.text for part in headings if part.aside == "given"] == [each.name for each in trace.working.givens]


def test_heads_are_panels_with_tokens_at_their_sides(trace):
    """Each head is a matrix of its own, counted from 1, with the tokens as labels of rows and columns."""
    (panels,) = _kinds(document_of(trace, View(address="weights")), Panels)
    assert [matrix.title for matrix in panels.matrices] == ["head 1", "head 2"]
    assert panels.matrices[1].rows == panels.matrices[1].columns == ("Chaky", "loves", "soccer")
    np.testing.assert_array_equal(panels.matrices[1].values, trace["weights@2"])


def test_features_are_numbered(trace):
    """An axis that does not run over tokens has numbers as labels."""
    (panels,) = _kinds(document_of(trace, View(address="output.weight")), Panels)
    assert panels.matrices[0].rows == panels.matrices[0].columns == ("1", "2")


def test_a_vector_is_a_matrix_of_one_row(big):
    """An array of one axis is shown as one row without a label."""
    (panels,) = _kinds(document_of(big, View(address="mlp.norm.gain")), Panels)
    assert panels.matrices[0].rows == ("",)
    assert panels.matrices[0].values.shape == (1, 7)


def test_a_batch_is_told_apart(big):
    """With a batch each panel says which example and which head it is."""
    (panels,) = _kinds(document_of(big, View(address="attention.scores")), Panels)
    assert panels.matrices[0].title == "batch 1, head 1"
    assert panels.matrices[-1].title == "batch 2, head 4"


def test_only_shares_are_shaded(make_trace):
    """Weights are shaded, also where softmax is followed by a scale; other lines are not."""
    document = document_of(make_trace("scale-after-softmax"), View())
    names = [part.text for part in _kinds(document, Heading)]
    shaded = [panels.matrices[0].shade for panels in _kinds(document, Panels)]
    assert [name for name, shade in zip(names, shaded, strict=True) if shade] == ["weights.unscaled", "weights"]


def test_a_note_stands_right_after_its_line(trace):
    """What the trace notes of a line follows the numbers of that line."""
    document = document_of(trace, View())
    (note,) = trace.notes
    assert document.parts[-1] == Remark(str(note), "warning")
    assert isinstance(document.parts[-2], Panels)


def test_a_note_on_a_line_not_kept_is_not_lost(make_trace):
    """A note outlives its line."""
    trace = make_trace(keep=["weights"])
    assert _kinds(document_of(trace, View()), Remark) == [Remark(str(note), "warning") for note in trace.notes]


def test_deviations_are_announced(make_trace):
    """Each declared deviation is named before the lines, with what it does and how to fix it."""
    ids = ("softmax-over-queries", "round:line=weights,decimals=2")
    first, second = document_of(make_trace(*ids), View(deviations=ids)).parts[:2]
    assert "softmax-over-queries" in first.text
    assert "Softmax runs down the columns" in first.text
    assert "normalise over the last axis" in first.text
    assert "weights" in second.text


def test_an_address_shows_one_head_and_its_operands(trace):
    """With an address only that head is shown, under its axes, and what it is made of is named."""
    document = document_of(trace, View(address="head@2"))
    assert _kinds(document, Heading) == [Heading("head@2", ("token", "depth"), (3, 1))]
    assert "Operands: weights, value." in _kinds(document, Prose)[0].text
    (panels,) = _kinds(document, Panels)
    np.testing.assert_array_equal(panels.matrices[0].values, trace["head@2"])


def test_a_cell_is_marked_and_worked_out(trace):
    """A cell, counted as the labels count, is pointed out in its panel and comes with its arithmetic."""
    document = document_of(trace, View(address="weights", cell=(2, 1, 3)))
    (panels,) = _kinds(document, Panels)
    (arithmetic,) = _kinds(document, Arithmetic)
    assert [matrix.title for matrix in panels.matrices] == ["head 2"]
    assert panels.matrices[0].marked == {(0, 2)}
    assert arithmetic.explanation.name == "weights@2[1,3]"
    assert arithmetic.explanation.value == trace["weights"][1, 0, 2]


def test_a_cell_of_a_vector_is_marked(big):
    """A cell of an array of one axis is marked in its only row."""
    (panels,) = _kinds(document_of(big, View(address="mlp.norm.gain", cell=(5,))), Panels)
    assert panels.matrices[0].marked == {(0, 4)}


def test_a_cell_needs_an_address():
    """A cell without a line is refused with what to do."""
    with pytest.raises(UnknownName, match="address"):
        View(cell=(1, 1))


@pytest.mark.parametrize("cell", [(1,), (1, 1, 1), (4, 1), (0, 1)])
def test_a_cell_that_is_not_there_is_refused(trace, cell):
    """Too few, too many or too large indices are refused; none wraps around."""
    with pytest.raises(ShapeError):
        document_of(trace, View(address="head@2", cell=cell))


def test_of_many_heads_the_first_are_shown(arrays_for, sizes):
    """Beyond a number of panels it is said which are not shown, and any of them can be asked for."""
    working = Attention(heads=20).working()
    trace = working.run(arrays_for(working, sizes | {"head": 20, "head*depth": 20 * sizes["depth"]}))
    document = document_of(trace, View(address="weights"))
    (panels,) = _kinds(document, Panels)
    assert len(panels.matrices) == MAX_PANELS
    assert Prose("head 17 to head 20 are not shown.") in document.parts
    (panels,) = _kinds(document_of(trace, View(address="weights@20")), Panels)
    np.testing.assert_array_equal(panels.matrices[0].values, trace["weights@20"])


def test_the_about_is_split_in_paragraphs(trace):
    """An empty line in the about begins a paragraph."""
    assert document_of(trace, View(about="One.\n\nTwo\nlines.\n")).parts[:2] == (Prose("One."), Prose("Two\nlines.\n"))
