"""Submissions in the files that clearhead writes blank: workbooks, notebooks and scripts, filled in and read back."""

import io
import json
import re
import time
import zipfile
from contextlib import suppress

import nbformat
import numpy as np
import pytest

from clearhead import ProblemError, read_problem
from clearhead.problems import parse_problem
from clearhead.problems.submissions import read_submission, submissions
from clearhead.show import View
from clearhead.show.export import Export
from clearhead.show.sheet.places import blocks_of
from clearhead.untrusted.workbooks import read_workbook


@pytest.fixture(scope="module")
def trace():
    return read_problem("two-heads").trace()


def exported(trace, path, blank):
    Export.of(trace, path, View("T", blank=blank, decimals=4)).write()
    return path


def typed(path, trace, names, decimals=3):
    """Types numbers into the blank cells of a workbook, as an office stores them."""
    places = {}
    for name in names:
        block = blocks_of(trace)[name]
        for cell in np.ndindex(trace[name].shape):
            row, column = block.place(cell)
            places[block.sheet, f"{chr(65 + column)}{row + 1}"] = f"{trace[name][cell]:.{decimals}f}"
    content, out = zipfile.ZipFile(path), io.BytesIO()
    sheets = re.findall(r'<sheet name="([^"]+)"', content.read("xl/workbook.xml").decode())
    with zipfile.ZipFile(out, "w") as book:
        for name in content.namelist():
            text = content.read(name).decode()
            number = re.fullmatch(r"xl/worksheets/sheet(\d+).xml", name)
            if number:
                sheet = sheets[int(number[1]) - 1]
                text = re.sub(
                    r'<c r="([A-Z]+\d+)" (s="\d+")/>',
                    lambda found, sheet=sheet: (
                        f'<c r="{found[1]}" {found[2]}><v>{places[sheet, found[1]]}</v></c>'
                        if (sheet, found[1]) in places
                        else found[0]
                    ),
                    text,
                )
            book.writestr(name, text)
    path.write_bytes(out.getvalue())


def test_a_blank_workbook_that_was_filled_in(tmp_path, trace):
    """What was typed into blank cells is claimed, head by head, and what the sheet itself shows is not."""
    path = exported(trace, tmp_path / "anna.xlsx", ("weights", "concat"))
    with pytest.raises(ProblemError, match="nothing is claimed in it"):
        read_submission(path, trace)
    typed(path, trace, ["weights", "concat"])
    claims = read_submission(path, trace)
    assert [claim.line for claim in claims] == ["weights@1", "weights@2", "concat"]
    np.testing.assert_allclose(claims[1].values, trace["weights@2"], atol=6e-4)
    assert claims[0].precision == 3


def test_a_workbook_of_ones_own(tmp_path, trace):
    """Without our names, each sheet is the line that it is named after."""
    import xlsxwriter

    path = tmp_path / "own.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("weights@1")
        for (row, column), number in np.ndenumerate(trace["weights@1"].round(2)):
            sheet.write_number(row + 3, column + 1, number)
    (claim,) = read_submission(path, trace)
    np.testing.assert_allclose(claim.values, trace["weights@1"], atol=6e-3)


def test_a_workbook_says_fifteen_digits(tmp_path, trace):
    """Files of spreadsheets hold 0.107 with 17 digits, of which the last are noise: three decimals are claimed."""
    path, noisy = exported(trace, tmp_path / "anna.xlsx", ("weights",)), tmp_path / "ben.xlsx"
    typed(path, trace, ["weights"])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(noisy, "w") as new:
        for part in old.namelist():
            new.writestr(part, old.read(part).replace(b"<v>0.107</v>", b"<v>0.10699999999999999</v>"))
    (_, as_typed), (_, claim) = read_submission(path, trace), read_submission(noisy, trace)
    assert path.read_bytes() != noisy.read_bytes()
    assert (claim.written, claim.precision) == (as_typed.written, 3)


def test_a_workbook_leaves_out_zeros(tmp_path, trace):
    """A whole number has the decimals of the other numbers in its sheet, as typed, and none where all are whole."""
    import xlsxwriter

    path = tmp_path / "own.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name, first in (("weights@1", 0.37), ("weights@2", 2)):
            sheet = book.add_worksheet(name)
            numbers = np.ones(trace[name].shape)
            numbers[0, 0] = first
            for (row, column), number in np.ndenumerate(numbers):
                sheet.write_number(row, column, number)
    own, other = read_submission(path, trace)
    assert own.half_units[0, 1] == 0.005
    assert other.half_units[0, 1] == 0.5


def filled(path, trace, name, numbers, out):
    """A notebook of ours with a blank filled in by hand, and all that follows run."""
    book = nbformat.read(path, 4)
    lines = list(trace)
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.startswith(f"{name} = ..."):
            cell.source = f"{name} = np.array({numbers})"
        last = cell.source.rpartition("\n")[2]
        if last in lines and lines.index(last) > lines.index(name):
            with np.printoptions(precision=4, suppress=True):
                shown = repr(trace[last])
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": shown})]
    nbformat.write(book, out)
    return out


def test_a_notebook_is_read_from_its_first_blank_on(tmp_path, trace):
    """Arrays written out and outputs printed are claims, with their digits; what the notebook came with is not."""
    path = exported(trace, tmp_path / "blank.ipynb", ("weights",))
    numbers = trace["weights"].round(2).tolist()
    claims = {c.line: c for c in read_submission(filled(path, trace, "weights", numbers, tmp_path / "a.ipynb"), trace)}
    assert set(claims) == set(list(trace)[list(trace).index("weights") :])
    np.testing.assert_allclose(claims["weights"].values, trace["weights"], atol=6e-3)
    np.testing.assert_allclose(claims["head"].values, trace["head"], atol=6e-5)
    assert claims["head"].precision == 4


STACK = """
format = 1
title = "Two blocks"
[model]
[model.embedding]
[[model.layers]]
attention = { heads = 1, projected = false, output = false }
[[model.layers]]
attention = { heads = 1, projected = false, output = false }
[model.head]
tied = true
[model.loss]
[arrays]
embedding.weight = [[1, 0], [0, 1], [1, 1]]
token = [0, 1]
target = [1, 2]
"""


def test_lines_of_a_stack_are_read_and_given_numbers_are_not(tmp_path):
    """Variables of numbered layers stand for their lines; ``token`` is the array of that name, not a loss of one."""
    trace = parse_problem(STACK).trace()
    book = nbformat.read(exported(trace, tmp_path / "blank.ipynb", ("*",)), 4)
    for cell in book.cells:
        if cell.cell_type == "code" and cell.source.rpartition("\n")[2] == "token":
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": "array([0, 1])"})]
    nbformat.write(book, tmp_path / "a.ipynb")
    with pytest.raises(ProblemError, match="shows no numbers of a line"):
        read_submission(tmp_path / "a.ipynb", trace)
    for cell in book.cells:
        variable = cell.source.rpartition("\n")[2]
        if cell.cell_type == "code" and variable in ("_1_weights", "_2_scores"):
            name = f"layers.{variable[1]}.{variable[3:]}"
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": repr(trace[name])})]
    nbformat.write(book, tmp_path / "b.ipynb")
    claims = {claim.line: claim for claim in read_submission(tmp_path / "b.ipynb", trace)}
    assert set(claims) == {"layers.1.weights", "layers.2.scores"}
    np.testing.assert_allclose(claims["layers.2.scores"].values, trace["layers.2.scores"], atol=1e-7)


def test_a_blank_that_is_filled_in_with_code_is_shown(tmp_path, trace):
    """Each blank cell ends with the name of its line, so that running it prints what was computed: that is claimed."""
    book = nbformat.read(exported(trace, tmp_path / "blank.ipynb", ("*",)), 4)
    for cell in book.cells:
        name = cell.source.rpartition("\n")[2]
        if cell.cell_type == "code" and name in ("weights", "head"):
            assert f"{name} = ..." in cell.source
            cell.source = cell.source.replace(f"{name} = ...", f"{name} = my_own(scaled)")
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": repr(trace[name])})]
    nbformat.write(book, tmp_path / "a.ipynb")
    claims = {claim.line: claim for claim in read_submission(tmp_path / "a.ipynb", trace)}
    assert set(claims) == {"weights", "head"}
    np.testing.assert_allclose(claims["weights"].values, trace["weights"], atol=1e-7)


def test_a_script_is_read_and_not_run(tmp_path, trace):
    """Numbers that are written out are claims; what would have to be computed is not, and nothing is executed."""
    path = tmp_path / "a.py"
    numbers = trace["weights"].round(3).tolist()
    path.write_text(f"import os\nos.abort()\nweights = np.array({numbers})\nhead = weights @ value\n")
    assert [claim.line for claim in read_submission(path, trace)] == ["weights"]
    path.write_text("weights = softmax(scaled)\n")
    with pytest.raises(ProblemError, match="a script is read and not run"):
        read_submission(path, trace)


def test_of_several_assignments_the_last_counts(tmp_path, trace):
    """As when the script is run; digits are those of the source, whatever ends its lines and stands before them."""
    path = tmp_path / "a.py"
    path.write_bytes(
        'é = "日本"; concat = [[0.50]]\r\nx = "\x0c"\rconcat = [["é"]]\nconcat = [[0.250, 1], [1, 1], [1, 1]]'.encode()
    )
    (claim,) = read_submission(path, trace)
    np.testing.assert_array_equal(claim.values, [[0.25, 1], [1, 1], [1, 1]])
    assert claim.precision == 3


def _output(text):
    cell = {"cell_type": "code", "source": "weights", "outputs": [{"data": {"text/plain": text}}]}
    return json.dumps({"nbformat": 4, "cells": [cell]}).encode()


LARGE = {
    "matrix.py": b"weights = [" + b"[" + b",".join([b"0.25"] * 30_000) + b"]]",
    "statements.py": b"a = [1]\n" * 20_000,
    "spaces.ipynb": _output("[1" + " " * 200_000 + "x"),
    "brackets.ipynb": _output("[ " * 100_000),
}


@pytest.mark.parametrize("name", LARGE)
def test_time_grows_as_the_file_does(tmp_path, trace, name):
    """Many numbers, statements, spaces or brackets take a second; what grows with their square would take minutes."""
    (tmp_path / name).write_bytes(LARGE[name])
    begun = time.process_time()
    with suppress(ProblemError):
        read_submission(tmp_path / name, trace)
    assert time.process_time() - begun < 2


REFUSED = {
    "a.xlsx": (b"PK nothing", "this is no workbook that can be read"),
    "b.ipynb": (b"{}", "this is no notebook: it has no cells"),
    "c.ipynb": (b"[" * 5000, "this cannot be read as a notebook"),
    "d.py": (b"\xff\xfe", "the file is not UTF-8 text"),
    "e.pdf": (b"%PDF", "files of this kind are not read. Hand in one of .toml, .json"),
    "g.html": (b"<html>", "Hand in the file that its button Hand in saves"),
    "f.py": (b"weights = " + b"(" * 2000, "a script is read and not run"),
}


@pytest.mark.parametrize(("name", "content", "message"), [(n, *each) for n, each in REFUSED.items()], ids=REFUSED)
def test_what_cannot_be_read_says_why(tmp_path, trace, name, content, message):
    """Damaged files and other kinds are errors that begin with the name."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProblemError, match=re.escape(f"{name}: ")) as caught:
        read_submission(tmp_path / name, trace)
    assert message in str(caught.value)


def test_every_file_of_the_folder_is_listed(tmp_path):
    """Whatever was handed in gets an answer; only what systems leave behind does not."""
    for name in ("a.xlsx", "b.pdf", "c.docx", ".DS_Store", "~$a.xlsx"):
        (tmp_path / name).touch()
    assert [path.name for path in submissions(tmp_path)] == ["a.xlsx", "b.pdf", "c.docx"]


def test_entities_in_a_workbook_are_refused():
    """A workbook that declares entities, which could grow without end, is not parsed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("xl/workbook.xml", '<!DOCTYPE a [<!ENTITY b "c">]><workbook/>')
    with pytest.raises(ValueError, match="declares entities"):
        read_workbook(out.getvalue())


def test_texts_in_a_script_are_numbers_where_they_are_no_words(tmp_path, trace):
    """Fractions of one character are read as those of three; names and labels are not."""
    path = tmp_path / "a.py"
    numbers = [[["½", "1/3", "1 000"]] * 3] * 2
    path.write_text(f'weights = {numbers}\nhead = [["one", "two"]]\n', encoding="utf-8")
    (claim,) = read_submission(path, trace)
    np.testing.assert_allclose(claim.values[0, 0], [1 / 2, 1 / 3, 1000])
