"""Submissions: the layouts in which people hand in numbers, and what is said of those that cannot be read."""

import json
import zipfile

import numpy as np
import pytest
import xlsxwriter
from msgspec.structs import replace

from clearhead import Attention, Claim, ProblemError, read_problem
from clearhead.problems.submissions import read_all_that_fits, read_submission, submissions
from clearhead.written import canonical

WORKING = Attention(heads=2, output=False).working().starting_at("scaled", "value")


@pytest.fixture(scope="module")
def trace():
    return WORKING.run({"scaled": np.zeros((2, 3, 3)), "value": np.arange(12.0).reshape(2, 3, 2)})


HEAD = [["2.00", "3.00"], ["2.00", "?"], ["2.00", "3.00"]]
WHOLE = tuple(map(tuple, HEAD))


def written(path):
    """A file, or a folder of files, from their content by name."""

    def write(content):
        if isinstance(content, dict):
            path.mkdir()
            for name, text in content.items():
                (path / name).write_text(text)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


LONG = "Line,Head,Row,Column,Value\n" + "".join(
    f"head,1,{i + 1},{j + 1},{number}\n" for i, row in enumerate(HEAD) for j, number in enumerate(row) if number != "?"
)
LAYOUTS = {
    "a.toml": 'format = 1\n[[claims]]\nline = "head@1"\nvalues = [[2.00, 3.00], [2.00, "?"], [2.00, 3.00]]',
    "a.json": '{"head@1": [[2.00, 3.00], [2.00, "?"], [2.00, 3.00]]}',
    "long.csv": LONG,
    "german.csv": "\ufeff" + LONG.replace(",", ";").replace(".", ","),
    "folder": {"head@1.csv": "2.00,3.00\n2.00,\n2.00,3.00\n\n", "notes.txt": "ignored"},
}


@pytest.mark.parametrize(("name", "content"), LAYOUTS.items(), ids=LAYOUTS)
def test_every_layout_says_the_same(tmp_path, trace, name, content):
    """One head, with one cell left out, keeps its decimals in each layout."""
    (claim,) = read_submission(written(tmp_path / name)(content), trace)
    assert (claim.line, claim.written, claim.precision) == ("head@1", WHOLE, 2)


FORMS = [
    "\u22120.5", "33%", "\u00bd", "-\u221e", "1/3 ", "0,5", "sqrt(2)/2", "e^2", "30\u00b0", "1.5\u00b710\u207b\u00b3",
    "?", "2.50", "1\u202f250,5", r"\frac{1}{3}", "1.6660e-05", "12,5 %",
]  # fmt: skip
"""Numbers as they are pasted."""


def in_workbook(path, rows, title="Sheet"):
    """A workbook with these rows on a sheet."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet(title)
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_number_is_read_alike_in_every_kind_of_file(tmp_path, trace, form):
    """What the grammar of written numbers takes is claimed so, whatever kind of file it stands in."""
    rows = [[form, 0.25], [0.25, 0.25], [0.25, 1]]
    texts = [[str(number) for number in row] for row in rows]
    long = [["line", "head", "row", "column", "value"]]
    long += [["head", 1, i + 1, j + 1, number] for i, row in enumerate(rows) for j, number in enumerate(row)]
    files = [
        written(tmp_path / "a.json")(json.dumps({"head@1": texts})),
        written(tmp_path / "a.toml")(f'format = 1\n[[claims]]\nline = "head@1"\nvalues = {json.dumps(texts)}'),
        written(tmp_path / "a.csv")("\n".join(";".join(map(str, row)) for row in long)),
        in_workbook(tmp_path / "long.xlsx", long),
        in_workbook(tmp_path / "named.xlsx", rows, "head@1"),
    ]
    for path in files:
        (claim,) = read_submission(path, trace)
        assert (claim.written[0], claim.values[2, 1]) == ((canonical(form), "0.25"), 1), path.name


def test_arrays_keep_the_precision_of_their_type(tmp_path, trace):
    """Single precision claims four digits, double nine; a batch of one, and a missing axis of one, are no matter."""
    path = tmp_path / "a.npz"
    head = trace["head"] / 3
    np.savez(path, **{"head@2": head[1][None].astype(np.float32), "concat": trace["concat"]})
    single, double = read_submission(path, trace)
    assert (single.line, single.values.shape, single.precision) == ("head@2", (3, 2), 3)
    np.testing.assert_allclose(single.values, head[1], rtol=1e-6)
    assert (double.line, double.precision) == ("concat", 8)


def test_arrays_that_were_rounded_claim_the_decimals_that_are_left(tmp_path, trace):
    """``np.round(x, 3)`` claims three decimals; halves, quarters and whole numbers do not show a rounding."""
    path = tmp_path / "a.npz"
    weights = trace["weights"]
    exact = np.array([0.5, 0.25, 2.0, 1.0])[None].repeat(3, axis=0)
    np.savez(path, **{"weights@1": weights[0].round(3), "weights@2": weights[1].round(2).astype("f4"), "concat": exact})
    assert [claim.precision for claim in read_submission(path, trace)] == [3, 2, 8]


def test_single_cells_can_be_claimed(tmp_path, trace):
    """A key with brackets is one cell."""
    (claim,) = read_submission(written(tmp_path / "a.json")('{"head@2[3,1]": 8.0}'), trace)
    assert (claim.line, claim.cell, claim.written) == ("head@2", (3, 1), "8.0")


def bomb():
    """An .npz whose header tells of 10^15 numbers."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


BROKEN = {
    "empty.json": ("{}", "nothing is claimed"),
    "cut.json": ('{"head@1": [[1, 2', "this cannot be read as JSON"),
    "twice.json": ('{"head@1": [[1]], "head@1": [[2]]}', "'head@1' is there twice"),
    "list.json": ("[1, 2]", "expects an object with lists of numbers by line, got a list of 2"),
    "word.json": ('{"head@1": [["two"]]}', "'head@1'[0][0]: A number such as 2.425"),
    "line.json": ('{"haed": [[1.0]]}', "There is no line 'haed'. Did you mean head"),
    "deep.json": ("[" * 100_000, "nested too deeply"),
    "other.csv": ("a,b\n1,2\n", "expects columns with the headings line, row, column, value"),
    "row.csv": ("line,row,column,value\nhead@1,0,1,2.0\n", "row 2: row expects a whole number from 1, got '0'"),
    "far.csv": ("line,row,column,value\nhead@1,9,1,2.0\n", "'head@1': has 3 x 2 numbers, none at [9, 1]"),
    "nohead.csv": ("line,row,column,value\nhead,1,1,2.0\n", "give head, row and column of each"),
    "latin.csv": ("line;row;column;value\nhéad;1;1;2\n".encode("latin-1"), "is not UTF-8 text"),
    "noise.npz": (b"PK\x03\x04noise", "this is not an .npz file of plain arrays"),
    "bare.toml": ("[[claims]]", "format is missing"),
    "folder": ({"head@1.csv": "1,2\n3\n"}, "head@1.csv: cell[1] expects 2 entries, as many as the first, got 1"),
}


@pytest.mark.parametrize(("name", "content", "says"), [(n, *c) for n, c in BROKEN.items()], ids=BROKEN)
def test_a_broken_submission_is_refused_by_name(tmp_path, trace, name, content, says):
    """The message begins with the file, and says where and what is wrong in it."""
    with pytest.raises(ProblemError) as caught:
        read_submission(written(tmp_path / name)(content), trace)
    assert str(caught.value).startswith(f"{name}: ")
    assert says in str(caught.value)


def test_what_is_no_plain_array_is_not_unpacked(tmp_path, trace):
    """Objects are not unpickled, and a header that promises too much is not believed."""
    path = tmp_path / "a.npz"
    np.savez(path, head=np.array([{}], dtype=object))
    with pytest.raises(ProblemError, match="holds no plain array"):
        read_submission(path, trace)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("head.npy", bomb())
    with pytest.raises(ProblemError, match=r"bytes are not what .*1000000000000000"):
        read_submission(path, trace)


def test_a_folder_is_listed_by_name(tmp_path):
    """All files and folders are submissions, in order, so that each gets an answer; hidden files are not."""
    for name in ("b.json", "a.csv", ".hidden.csv", "~lock.csv", "readme.txt"):
        (tmp_path / name).write_text(json.dumps({}))
    (tmp_path / "c").mkdir()
    assert [path.name for path in submissions(tmp_path)] == ["a.csv", "b.json", "c", "readme.txt"]


def test_what_is_no_folder_of_submissions_is_refused(tmp_path):
    """A missing folder, a file and an empty folder are told apart."""
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, says in (("missing", "no such folder"), ("file", "is a file"), ("empty", "no submission in it")):
        with pytest.raises(ProblemError, match=says):
            submissions(tmp_path / name)


PARTLY = {
    "a.json": ('{"head@1": [[1, 2]], "head@2": [[1, "0..5"], [3, 4], [5, 6]], "haed": [[1]]}', 5,
               ["values expects", "'head@2'[0][1]: A number such as", "There is no line 'haed'"]),
    "a.toml": ('format = 1\n[[claims]]\nline = "head@1"\nvalues = [[1, 2], [3]]\n[[claims]]\nline = "head@2"\n'
               'values = [[1, 2], [3, 4], [5, "6!"]]\n', 5,
               ["claims[0].values[1] expects 2 entries", "claims[1].values[2][1]: A number"]),
    "a.csv": ("line,row,column,value\nhead@2,1,1,2.0\nhead@2,9,1,2.0\nhead@2,x,1,3\nhaed,1,1,2\n", 1,
              ["row 4: row expects a whole number", "'head@2': has 3 x 2 numbers, none at [9, 1]", "no line 'haed'"]),
    "folder": ({"head@2.csv": "1,2\n3,4\n5,6\n", "head@1.csv": "1,2\n3\n"}, 6, ["head@1.csv: cell[1] expects 2"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "legible", "says"), [(n, *c) for n, c in PARTLY.items()], ids=PARTLY)
def test_what_is_wrong_with_one_line_costs_that_line(tmp_path, trace, name, content, legible, says):
    """Lines of another shape, unknown names and illegible numbers are told one by one; all others are read."""
    found = read_all_that_fits(written(tmp_path / name)(content), trace)
    assert [claim.line for claim in found.claims] == ["head@2"]
    assert sum(int(claim.claimed.sum()) for claim in found.claims) == legible
    assert len(found.faults) == len(says)
    for words in says:
        assert any(words in fault for fault in found.faults)


def test_axes_of_one_may_be_left_out(tmp_path):
    """With one head a claim may lack the axis of heads, in a problem as in what is handed in."""
    problem = read_problem("single-head")
    trace = problem.trace()
    numbers = trace["weights"][0].round(2).tolist()
    path = tmp_path / "a.toml"
    path.write_text(f'format = 1\n[[claims]]\nline = "weights"\nvalues = {numbers}\n')
    (claim,) = read_submission(path, trace)
    assert claim.values.shape == trace["weights"].shape
    assert replace(problem, claims=(Claim.of("weights", numbers),)).claims[0].values.shape == trace["weights"].shape


def test_one_decimal_comma_beyond_doubt_tells_of_all(tmp_path, trace):
    """Where a number can only have a decimal comma, the commas of others are decimal too; else they are asked about."""
    path = tmp_path / "a.json"
    path.write_text('{"head@1": [["2,000", "0,125"], ["2,000", "?"], ["2,000", "1,000"]]}')
    (claim,) = read_submission(path, trace)
    assert claim.written == (("2.000", "0.125"), ("2.000", "?"), ("2.000", "1.000"))
    path.write_text('{"head@1": [["2,000", "3,000"], ["2,000", "?"], ["2,000", "3,000"]]}')
    with pytest.raises(ProblemError, match="is the comma a decimal point"):
        read_submission(path, trace)
