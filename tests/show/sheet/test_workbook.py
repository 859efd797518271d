"""Workbooks as a whole: worked out by LibreOffice after numbers were changed, filled in, or called strange names."""

import io
import re
import zipfile
from itertools import pairwise

import numpy as np
import openpyxl
import pytest

from clearhead import read_problem
from clearhead.deviations import deviate
from clearhead.errors import ShapeError
from clearhead.line import Given, Line, line
from clearhead.ops.table import operation_named
from clearhead.ops.textbook import linear
from clearhead.problems import bundled
from clearhead.show import View
from clearhead.show.sheet.places import blocks_of, defined_names
from clearhead.show.sheet.workbook import xlsx
from clearhead.spec import Attention, Block, Norm
from clearhead.trace import Trace
from clearhead.working import Working

from .recalculation import differences, read, recalculated

pytestmark = pytest.mark.sweep(3)


def opened(content, **options):
    return openpyxl.load_workbook(io.BytesIO(content), **options)


def typed(content, trace, arrays):
    """The workbook with other numbers typed into the cells of some arrays, saved as a user would save it."""
    book = opened(content)
    for name, array in arrays.items():
        block = blocks_of(trace)[name]
        for cell, value in np.ndenumerate(array):
            row, column = block.place(cell)
            book[block.sheet].cell(row + 1, column + 1).value = value.item()
    changed = io.BytesIO()
    book.save(changed)
    return changed.getvalue()


def lying(trace):
    """The trace with other numbers for its lines, as they would be stored with the formulas."""
    wrong = {line.name: np.full(trace[line.name].shape, 7.25) for line in trace.working.lines}
    return Trace(trace.working, {name: wrong.get(name, trace[name]) for name in trace}, tokens=trace.tokens)


def nudged(trace):
    """The trace for other given numbers; masks with one cell the other way."""
    rng = np.random.default_rng(3)
    arrays = {}
    for each in trace.working.givens:
        array = trace[each.name].copy()
        if array.dtype == bool:
            array.flat[0] ^= True
        elif array.dtype.kind == "i":
            array.flat[0] = 1 - array.flat[0]
        else:
            array += np.where(np.isfinite(array), rng.normal(size=array.shape), 0)
        arrays[each.name] = array
    return trace.working.run(arrays, tokens=trace.tokens)


WRONG = ("softmax-missing", "softmax-over-queries", "mask-after-softmax", "round:line=head,decimals=1")


@pytest.fixture(scope="module")
def deviated():
    working = Block(Attention(heads=2, causal=True), norm=Norm()).working()
    rng = np.random.default_rng(5)
    sizes = {"token": 3, "model": 4, "head": 2, "depth": 2, "head*depth": 4}
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    return {f"wrong {number}": deviate(working, each).run(arrays) for number, each in enumerate(WRONG)}


@pytest.fixture(scope="module")
def problems():
    return {name: read_problem(name).trace() for name in bundled()}


@pytest.fixture(scope="module")
def filled_in(problems):
    """The soccer problem with its weights left blank, as it is, and with the first and with all of them filled in."""
    trace = problems["soccer"]
    content = bytes(xlsx(trace, View(blank=("weights",))))
    return {"blank": content, "filled": typed(content, trace, {"weights": trace["weights"]})}


@pytest.fixture(scope="module")
def books(problems, deviated, filled_in):
    """All workbooks of these tests, worked out in one go."""
    contents = {name: bytes(xlsx(lying(trace), View(name))) for name, trace in (problems | deviated).items()}
    changed = {f"{name} changed": typed(contents[name], t, _givens(nudged(t))) for name, t in problems.items()}
    return recalculated(contents | changed | filled_in)


def _givens(trace):
    return {each.name: trace[each.name] for each in trace.working.givens}


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_problem_follows_its_inputs(name, problems, books):
    """Whatever was stored, the sheet works out the trace; with other inputs typed it works out the trace of those."""
    assert differences(books[name], problems[name]) == []
    other = nudged(problems[name])
    assert differences(books[f"{name} changed"], other) == []
    assert not all(np.allclose(problems[name][line], other[line]) for line in problems[name])


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_deviations_are_worked_out(number, deviated, books):
    """Also where wrong ways lead to minus infinities among other numbers: these are errors and never plain numbers."""
    name = f"wrong {number}"
    assert differences(books[name], deviated[name]) == []


def test_a_blank_line_waits_for_the_student(problems, books):
    """Its cells are empty, what depends on it shows nothing, and once it is filled in all of it is there."""
    trace = problems["soccer"]
    assert all(value is None for value in read(books["blank"], trace, "weights").flat)
    for name in ("head", "output", "norm"):
        assert all(value in (None, "") for value in read(books["blank"], trace, name).flat), name
    assert differences(books["blank"], trace, ["scaled", "embedding"]) == []
    assert differences(books["filled"], trace) == []


def test_the_stored_numbers_are_the_trace(problems):
    """A viewer that works nothing out shows the trace's numbers, to the last bit, and no solution of a blank line."""
    for name, trace in problems.items():
        book = opened(bytes(xlsx(trace, View(name))), data_only=True)
        for each in trace:
            expected, stored = trace.numpy(each), read(book, trace, each)
            finite = np.isfinite(expected)
            assert {type(value) for value in stored[finite]} <= {int, float, bool}
            assert stored[finite].tolist() == expected[finite].tolist()
    trace = problems["rotary"]
    book = opened(bytes(xlsx(trace, View(blank=("weights",)))), data_only=True)
    assert all(value in (None, "") for each in ("weights", "head", "concat") for value in read(book, trace, each).flat)


FORMULAS = {
    "query": "=SUM(MMULT(input!B6:C6,Inputs!B18:B19))",
    "scores": "='query to value'!B7*'query to value'!B15",
    "weights": "=EXP(B15-MAX(B15:D15))/SUMPRODUCT(EXP(B15:D15-MAX(B15:D15)))",
    "concat": "=head!B7",
}


def test_a_student_can_read_the_formulas(problems):
    """A product is that of a row and a column, softmax an exponential over the sum of those of its row."""
    book, blocks = opened(bytes(xlsx(problems["soccer"], View()))), blocks_of(problems["soccer"])
    for name, formula in FORMULAS.items():
        row, column = blocks[name].place((0,) * len(blocks[name].shape))
        assert book[blocks[name].sheet].cell(row + 1, column + 1).value == formula


def test_rows_and_columns_are_labelled_and_lines_named(problems):
    """Tokens stand beside rows and above columns; each head of a line is a named range of its cells."""
    trace = problems["soccer"]
    book, block = opened(bytes(xlsx(trace, View()))), blocks_of(trace)["weights"]
    sheet = book[block.sheet]
    assert [sheet.cell(block.top + 1 + at, 1).value for at in range(3)] == list(trace.tokens)
    assert [sheet.cell(block.top, 2 + at).value for at in range(3)] == list(trace.tokens)
    assert book.defined_names["weights_2"].attr_text == "'scores to weights'!$F$23:$H$25"
    assert sheet.freeze_panes == "B2"
    assert any(rule.type == "colorScale" for each in sheet.conditional_formatting for rule in each.rules)


def test_every_sheet_of_a_large_block_is_there(big):
    """A block with every feature has a sheet for its inputs and one for each of its stages, in reading order."""
    titles = opened(bytes(xlsx(big, View()))).sheetnames
    assert titles[:2] == ["About", "Inputs"]
    assert len(titles) == len({title.lower() for title in titles}) > 6
    assert all(len(title) <= 31 and not re.search(r"[\[\]:*?/\\]", title) for title in titles)


def test_hostile_names_are_text(make_trace, hostile):
    """Tokens and titles appear as they are, are no formula and no link, and the workbook opens."""
    for name in [*hostile, '=HYPERLINK("http://evil","x")', "=1+1", "+1", "-1", "@SUM(1)", "http://evil", "{=1}"]:
        trace = make_trace(tokens=["a", "b", name])
        content = bytes(xlsx(trace, View(name or "x", about=name)))
        book = opened(content)
        block = blocks_of(trace)["weights"]
        label = book[block.sheet].cell(block.top + 3, 1)
        assert label.data_type in ("s", "n")
        if name.isprintable() and name:
            assert label.value == name
            assert book["About"]["A1"].value == name[:30_000]
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            relations = [parts.read(part).decode() for part in parts.namelist() if part.endswith(".rels")]
            assert not any("evil" in each for each in relations)


STRANGE = ("Q1", "R1C1", "c", "TRUE", "1st", "a b", "a-b", "[x]", "History", "naïve", "A1048576", "'", "x" * 300)


def test_strange_lines_get_legal_names():
    """Names that look like cells, hold what workbooks forbid, or differ only in that, become legal and stay apart."""
    givens = tuple(Given(name, ("token", "model")) for name in STRANGE)
    axes = ("token", "model")
    lines = tuple(Line(f"{name}*", linear.add, (name, name), axes) for name in STRANGE)
    trace = Working(givens, lines).run({name: np.ones((2, 3)) for name in STRANGE})
    names = [name for name, _ in defined_names(trace, blocks_of(trace))]
    assert len({name.lower() for name in names}) == len(names) == 2 * len(STRANGE)
    for name in names:
        assert re.fullmatch(r"[A-Za-z_]\w{0,249}", name, re.ASCII)
        assert not re.fullmatch(r"[A-Za-z]{1,3}\d+|[rR]\d*[cC]?\d*|[cC]\d*", name)
    content = bytes(xlsx(trace, View()))
    assert {name.lower() for name in opened(content).defined_names} == {*map(str.lower, names), "minus_infinity"}


def test_what_no_spreadsheet_can_hold_is_refused(make_trace):
    """Too many numbers, too many columns, formulas too long, and lines that were not kept."""
    with pytest.raises(ShapeError, match="was not kept"):
        xlsx(make_trace(keep=("weights",)), View())
    add = Working((Given("a", ("token", "model")),), (line("b", linear.add, "a a", "token model"),))
    with pytest.raises(ShapeError, match="too many for a spreadsheet"):
        xlsx(add.run({"a": np.ones((400, 200))}), View())
    with pytest.raises(ShapeError, match="wider than a sheet"):
        xlsx(add.run({"a": np.ones((1, 20_000))}), View())
    total = line("b", operation_named("sum_heads"), "a", "token depth")
    heads = Working((Given("a", ("head", "token", "depth")),), (total,))
    with pytest.raises(ShapeError, match=r"b: a formula of \d+ characters"):
        xlsx(heads.run({"a": np.ones((1500, 1, 1))}), View())


def test_the_same_trace_makes_the_same_file(problems):
    """No date and nothing drawn by chance is in it."""
    trace = problems["two-heads"]
    assert bytes(xlsx(trace, View())) == bytes(xlsx(trace, View()))


@pytest.mark.parametrize("name", ["encoder-block", "step-soccer"])
def test_no_matrix_is_cut_by_the_end_of_a_printed_page(name):
    """An upright sheet breaks between arrays: from one break to the next are no more rows than a page has."""
    trace = read_problem(name).trace()
    book = opened(xlsx(trace, View("T")))
    blocks = blocks_of(trace)
    upright = [each for each in book.worksheets[1:] if each.page_setup.orientation != "landscape"]
    assert book["Inputs"] in upright
    for sheet in upright:
        width = sheet.column_dimensions["A"].width
        said = [cell.value for row in sheet.iter_rows(min_row=2, min_col=2, max_col=2) for cell in row]
        assert all(width + len(each) <= 73 for each in said if isinstance(each, str)), sheet.title
        own = sorted((each.row, each.end) for each in blocks.values() if each.sheet == sheet.title)
        breaks = [0, *(each.id for each in sheet.row_breaks.brk), own[-1][1]]
        assert set(breaks[1:-1]) <= {row for row, _ in own}
        assert all(end - start <= 48 for start, end in pairwise(breaks))
        assert not sheet.sheet_properties.pageSetUpPr or not sheet.sheet_properties.pageSetUpPr.fitToPage


def test_booleans_look_like_what_is_typed():
    """Every cell of a mask is shown as TRUE or FALSE, also by an office that shows booleans as 1 and 0."""
    book = opened(xlsx(read_problem("raschka-dropout").trace(), View("T")))
    mask = [cell for row in book["Inputs"].iter_rows() for cell in row if isinstance(cell.value, bool)]
    assert len(mask) == 36
    assert {cell.number_format for cell in mask} == {'"TRUE";"TRUE";"FALSE"'}
