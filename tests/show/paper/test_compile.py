"""Documents as PDF, SVG and PNG; what a PDF says is read back by pdftotext."""

import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from clearhead.document import Arithmetic, Document, Equation, Heading, Prose
from clearhead.errors import visible
from clearhead.expr import Index
from clearhead.line import equation
from clearhead.ops.table import OPERATIONS
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.paper.compile import MAX_PIXELS, TEMPLATE, compiled
from clearhead.show.paper.worksheet import worksheet_of


def read(pdf, tmp_path):
    """The text of each page, as it is laid out."""
    (tmp_path / "read.pdf").write_bytes(pdf)
    command = ["pdftotext", "-layout", str(tmp_path / "read.pdf"), "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\f")[:-1]


def numbers(text):
    return {float(each.replace("\u2212", "-")) for each in re.findall(r"\u2212?\d+(?:\.\d+)?", text)}


@pytest.fixture(scope="module", params=["encoder-block", "decoder-block"])
def block(request):
    """The trace and the PDF of a bundled problem of several pages."""
    trace = read_problem(request.param).trace()
    return trace, compiled(worksheet_of(trace, View("A whole block", about="To look at.")), "pdf")


def test_every_number_is_on_paper(block, tmp_path):
    """Title, about, the name of each line and each of its numbers can be read in the PDF."""
    trace, pdf = block
    pages = read(pdf, tmp_path)
    text = "\n".join(pages)
    assert "A whole block" in text
    assert "To look at." in text
    for name in trace:
        assert name in text
    found = numbers(text)
    written = {round(float(each), 3) for name in trace for each in trace[name].flat if np.isfinite(each)}
    small = {each for name in trace for each in map(float, trace[name].flat) if 0 < abs(each) < 5e-4}
    assert written - found <= {round(each, 3) for each in small}


def test_pages_are_numbered_and_no_heading_is_left_behind(block, tmp_path):
    """Below each name on a page there is the matrix too, and each page says which of how many it is."""
    pages = read(block[1], tmp_path)
    for number, page in enumerate(pages, start=1):
        lines = [line for line in page.splitlines() if line.strip()]
        assert lines[-1].replace(" ", "").endswith(f"{number}/{len(pages)}")
        heads = [at for at, line in enumerate(lines) if re.match(r"\s*[\w.]+ +\(\w+=\d", line)]
        assert all(len(lines) - at > 3 for at in heads), page


def test_narrow_lines_stand_two_and_two(tmp_path):
    """Of neighbouring lines that need little width, the second stands at the right; wide ones stand alone."""
    trace = read_problem("soccer").trace()
    text = "\n".join(read(compiled(worksheet_of(trace, View("T")), "pdf"), tmp_path))
    assert re.search(r"^\s*key .* value .*\(", text, re.MULTILINE)
    assert re.search(r"^\s*input .* query .*\(", text, re.MULTILINE)
    assert re.search(r"^\s*weights \S+ \(head=2, query=3, key=3\)\s*$", text, re.MULTILINE)


def test_arithmetic_is_broken_where_its_line_stands_beside_another(tmp_path):
    """A sum of four products is wider than half of the width, and its line stands beside the next all the same."""
    trace = read_problem("encoder-block").trace()
    text = "\n".join(read(compiled(worksheet_of(trace, View("T")), "pdf"), tmp_path))
    assert re.search(r"^\s*attention\.query\.product .* attention\.query ", text, re.MULTILINE)
    assert re.search(r"^\s*attention\.key\.product .* attention\.key ", text, re.MULTILINE)


def test_the_same_document_gives_the_same_bytes(block):
    """No date, no random name, no setting of the machine is in a file."""
    trace, pdf = block
    again = worksheet_of(trace, View("A whole block", about="To look at."))
    assert compiled(again, "pdf") == pdf


def test_pictures_are_one_tall_page(block):
    """An SVG that needs nothing from elsewhere and runs nothing, and a PNG as wide as a sheet."""
    sheet = worksheet_of(block[0], View("T"))
    svg = compiled(sheet, "svg").decode()
    root = ElementTree.fromstring(svg)
    assert float(root.get("height").removesuffix("pt")) > 2 * 841
    assert "<script" not in svg
    assert not re.search(r'(?:href|src)="(?!#|data:)', svg)
    png = compiled(sheet, "png")
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG")
    assert width == 1191
    assert 3 * width < height < MAX_PIXELS


def test_names_appear_as_themselves_and_do_nothing(make_trace, hostile, tmp_path):
    """What means something to typst, a browser or a sheet stands on paper as it was typed."""
    commands = ("#eval(1+1)", '#read("/etc/passwd")', "@label <label>", "=HYPERLINK(1)", "]#[", '"#"')
    names = [name for name in (*commands, *hostile) if len(name) <= 30]
    for start in range(0, len(names), 3):
        three = (*names[start : start + 3], "x", "y")[:3]
        sheet = worksheet_of(make_trace(tokens=three, keep=["input", "scores"]), View(three[0], about=three[1]))
        text = "\n".join(read(compiled(sheet, "pdf"), tmp_path))
        shown = re.sub(r"\s", "", text)
        for name in map(visible, three):
            # Letters that no font has, or that are joined or turned, cannot be read back.
            if all(c.isascii() for c in name):
                assert re.sub(r"\s", "", name) in shown, name


def test_the_compiler_can_read_nothing_but_its_template():
    """The folder that is its root holds one file, and that file reads no other and evaluates nothing."""
    assert [path.name for path in TEMPLATE.parent.iterdir()] == [TEMPLATE.name]
    source = TEMPLATE.read_text("utf-8")
    assert not re.search(r"\b(eval|read|plugin|include|import|csv|yaml|toml|xml)\s*\(", source)
    assert not re.search(r"#?\b(import|include)\s", source)


def test_every_formula_can_be_set(big, formula_of):
    """The template has a function for all that formulas are made of: of every operation, and of cells with numbers."""
    stated = [Equation(Index("x"), formula_of(operation).body) for operation in OPERATIONS.values()]
    lines = [Equation(*equation(line, big.working.axes)) for line in big.working.lines]
    cells = [big.explain(name, *(size - 1 for size in big[name].shape)) for name in big]
    document = Document("All", (*stated, *lines, *map(Arithmetic, cells)))
    assert compiled(document, "pdf").startswith(b"%PDF")


def test_a_students_sheet_has_room_for_a_name_and_no_answers(make_trace, tmp_path):
    """There is a line for the name, and of the weights there is none; the key has them and no such line."""
    trace = make_trace()
    blank = "\n".join(read(compiled(worksheet_of(trace, View("T", blank=("weights",))), "pdf"), tmp_path))
    key = "\n".join(read(compiled(worksheet_of(trace, View("T")), "pdf"), tmp_path))
    weights = {round(float(each), 3) for each in trace["weights"].flat}
    assert "Name:" in blank
    assert "Name:" not in key
    assert not weights & numbers(blank)
    assert weights <= numbers(key)


def test_what_is_wide_is_split_and_labelled_again(arrays_for, sizes, tmp_path):
    """Columns that do not fit stand below the others, each block with the labels of its rows."""
    from clearhead.spec import Attention

    working = Attention(heads=1, output=False).working()
    shape = sizes | {"token": 20, "head": 1}
    trace = working.run(arrays_for(working, shape), tokens=[f"token{n}" for n in range(20)])
    sheet = worksheet_of(trace, View("T", address="weights", decimals=6))
    text = "\n".join(read(compiled(sheet, "pdf"), tmp_path))
    assert "continued" in text
    assert text.count("token7") > 2
    assert {round(float(each), 6) for each in trace["weights"].flat} <= numbers(text)


def test_a_long_word_is_broken(tmp_path):
    """Text without spaces stays on the page, and whole."""
    text = "".join(read(compiled(Document("T", (Prose("x" * 300), Heading("h"))), "pdf"), tmp_path))
    assert text.count("x") == 300
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_problem_makes_a_sheet(name):
    """No bundled problem is too much for paper."""
    problem = read_problem(name)
    sheet = worksheet_of(problem.trace(), View(problem.title, problem.about, claims=problem.claims))
    assert compiled(sheet, "pdf").startswith(b"%PDF")
