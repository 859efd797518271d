"""The command grade: a folder of submissions becomes a table and a summary."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead import read_problem
from clearhead.check.grading.grade import Grader
from clearhead.cli import main

LINES = ("weights@1", "weights@2", "head@1", "head@2", "residual")


@pytest.fixture
def folder(tmp_path):
    """Four submissions about "two-heads": right, with two faults, cut off, and with a slip."""
    path = tmp_path / "class"
    path.mkdir()
    problem = read_problem("two-heads")
    for name, deviations in (("anna", ()), ("ben", ("softmax-over-matrix",)), ("dora", ())):
        trace = problem.trace(*deviations)
        numbers = {line: np.round(trace.numpy(line), 4).tolist() for line in LINES}
        if name == "dora":
            numbers["head@2"][1][0] += 2
        (path / f"{name}.json").write_text(json.dumps(numbers))
    (path / "cut.json").write_text('{"weights@1": [[0.1,')
    return path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments], env={"COLUMNS": "80"})
    assert result.exit_code == code, result.output
    return result.output


def test_a_folder_becomes_a_table_and_a_summary(folder, tmp_path):
    """Each submission has a row, also the broken one; the summary counts and names the commonest mistake."""
    output = tmp_path / "grades.csv"
    said = run("grade", "two-heads", folder, "-o", output)
    with output.open(newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "anna.json": "agrees", "ben.json": "explained", "cut.json": "error", "dora.json": "unexplained",
    }  # fmt: skip
    assert rows["ben.json"]["deviations"] == "softmax-over-matrix"
    assert rows["ben.json"]["first_wrong_line"] == "weights"
    assert float(rows["dora.json"]["head"]) == pytest.approx(5 / 6, abs=1e-3)
    assert "this cannot be read as JSON" in rows["cut.json"]["error"]
    assert "Of 4 submissions: 1 agrees, 1 explained, 1 unexplained, 1 could not be read." in " ".join(said.split())
    assert "1 of 3: softmax-over-matrix (mistake)." in said


def test_the_table_is_written_in_whole_or_not_at_all(folder, tmp_path):
    """Where the table cannot be written, the command says so, and what was there is still there."""
    said = run("grade", "two-heads", folder, "-o", tmp_path / "missing" / "grades.csv", code=2)
    assert "cannot be written" in said
    (tmp_path / "old.csv").write_text("old")
    assert "no such folder" in run("grade", "two-heads", tmp_path / "nobody", "-o", tmp_path / "old.csv", code=2)
    assert (tmp_path / "old.csv").read_text("utf-8") == "old"


def test_a_terminal_gets_a_progress_bar(folder, tmp_path):
    """The bar is drawn on the terminal of standard error alone; standard output has the summary."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "clearhead", "grade", "two-heads", str(folder), "-o", str(tmp_path / "g.csv")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, text=True, check=True)
    os.close(follower)
    drawn = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "Grading" in drawn
    assert "Grading" not in done.stdout
    assert "Of 4 submissions" in done.stdout


def test_whatever_is_wrong_with_one_the_others_are_graded(folder, tmp_path, monkeypatch):
    """Archives of any make, pipes and faults of our own are rows with an error; the names in them are harmless."""
    np.savez(folder / "object.npz", head=np.array([{}], dtype=object))
    (folder / "header.npz").write_bytes(archive_of(b"\x93NUMPY\x01\x00\x01\x00{"))
    (folder / "a\x1b[31m.json").write_text("{")
    os.mkfifo(folder / "pipe.csv")
    grade = Grader.grade

    def faulty(self, claims):
        if any(claim.values.size == 1 for claim in claims):
            raise ZeroDivisionError("planted")
        return grade(self, claims)

    monkeypatch.setattr(Grader, "grade", faulty)
    (folder / "fault.json").write_text('{"head@1[1,1]": 1}')
    run("grade", "two-heads", folder, "-o", tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    wrong = {name for name, row in rows.items() if row["verdict"] == "error"}
    assert wrong == {"cut.json", "object.npz", "header.npz", "a\\x1b[31m.json", "pipe.csv", "fault.json"}
    assert "ZeroDivisionError: planted" in str(rows["fault.json"])
    assert rows["anna.json"]["verdict"] == "agrees"


def test_links_are_not_followed(folder, tmp_path):
    """A link that was handed in, alone or in a folder, is a row with an error, whatever it leads to."""
    (folder / "linked.json").symlink_to(folder / "anna.json")
    (folder / "eve").mkdir()
    (folder / "eve" / "linked.json").symlink_to(folder / "anna.json")
    run("grade", "two-heads", folder, "-o", tmp_path / "grades.csv")
    with (tmp_path / "grades.csv").open(newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    for name in ("linked.json", "eve"):
        assert rows[name]["verdict"] == "error"
        assert "linked.json: this is a link" in str(rows[name])


HOSTILE = {
    "<img src=x onerror=alert(1)>.json": '{"<script>alert(1)<": [[1]], "weights@1": [["<b>x</b>", 1, 2]]}',
    "types.json": '{"weights@1": {"a": [1]}, "head@1": [[true, null, "=cmd()"]]}',
    "deep.json": '{"norm": ' + "[" * 5000 + "]" * 5000 + "}",
    "deep.toml": "format = 1\nclaims = " + "[" * 3000 + "]" * 3000,
    "huge.json": '{"norm": [' + "1," * 600_000 + "1]}",
    "state.toml": 'format = 1\n[[claims]]\nline = "</script><script>alert(1)"\nvalues = [[1e999]]\n',
    "page.html": "<script>alert(1)</script>",
}


def test_what_an_attacker_hands_in_is_a_row_and_no_markup(tmp_path):
    """Scripts in names, wrong types, deep and huge files: each has its row, and no page has markup of theirs."""
    (tmp_path / "class").mkdir()
    for name, content in HOSTILE.items():
        (tmp_path / "class" / name).write_text(content)
    pages = tmp_path / "back"
    words = ("--feedback", pages, "--pages", "html,md", "--summary", tmp_path / "class.html")
    run("grade", "two-heads", tmp_path / "class", "-o", tmp_path / "g.csv", *words)
    with (tmp_path / "g.csv").open(newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert rows.keys() == HOSTILE.keys()
    assert all(row["error"] and "a fault in clearhead" not in row["error"] for row in rows.values())
    for page in (*pages.iterdir(), tmp_path / "class.html"):
        assert not re.search(r"(?<!\\)<(img|b>|/?script>alert)", page.read_text("utf-8")), page
    assert len([*pages.iterdir()]) == 2 * len(HOSTILE)


def archive_of(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("head.npy", content)
    return file.getvalue()


def test_marks_are_ready_for_a_platform(folder, tmp_path):
    """The marks of each submission stand by the name of its file, in the columns that a platform reads."""
    output = tmp_path / "marks.csv"
    run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--marks", output, "--points", "20")
    with output.open(newline="") as file:
        rows = {row["username"]: row for row in csv.DictReader(file)}
    title = read_problem("two-heads").title
    assert rows["anna"][title] == "20.00"
    assert "cut" not in rows  # an import would take an empty mark for one that is to be removed
    assert rows["ben"]["feedback"] == "Look at weights first."
    run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--marks", output, "--for", "canvas")
    head, possible, anna, *_ = csv.reader(io.StringIO(output.read_text()))
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
    assert possible == ["Points Possible", "", "", "", "", "10"]
    assert anna == ["", "", "", "anna", "", "10.00"]


@pytest.mark.parametrize("ending", ["html", "md", "tex", "txt"])
def test_a_page_tells_how_the_class_did(folder, tmp_path, ending):
    """The page has the commonest mistake, the mean credit of each line, and what could not be read."""
    page = tmp_path / f"class.{ending}"
    run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--summary", page)
    text = page.read_text("utf-8")
    for said in ("softmax-over-matrix", "Mean credit of each line", "0.67", "cut.json"):
        assert said in text
    assert text.startswith("<!doctype html>") == (ending == "html")


def test_a_page_of_an_unknown_kind_is_refused(folder, tmp_path):
    """The ending of the page says its kind; one that says none is a usage error."""
    said = run("grade", "two-heads", folder, "-o", tmp_path / "g.csv", "--summary", tmp_path / "a.docx", code=2)
    assert "--summary expects" in said
