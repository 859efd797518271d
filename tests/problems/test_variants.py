"""A class in which each has numbers of their own: which variant a submission answers."""

import csv
import json

import pytest
from click.testing import CliRunner

from clearhead import ProblemError
from clearhead.check.grading.grade import Grade
from clearhead.check.grading.gradebook import Entry, Gradebook
from clearhead.check.grading.marks import marks
from clearhead.cli import main
from clearhead.exercises import Recipe, variants, write_set
from clearhead.problems.variants import read_roster, read_variants, variant_of

KEYS = ("01", "02", "11")


@pytest.mark.parametrize(
    ("name", "expected"), [("1-anna.json", "01"), ("anna_02.xlsx", "02"), ("11.csv", "11"), ("Anna Lee.npz", "11")]
)
def test_a_name_or_the_roster_says_which(name, expected):
    """The number of the variant is a part of the name, with or without zeros in front; the roster goes before it."""
    assert variant_of(name, KEYS, {"anna lee": "11"}) == expected


@pytest.mark.parametrize("name", ["anna.json", "1-2.json", "3-anna.json"])
def test_what_says_none_or_two_is_refused(name):
    """Without one number of a variant it is not known which is meant, and the error says what to do."""
    with pytest.raises(ProblemError, match="which variant it answers is not known"):
        variant_of(name, KEYS, {})


def test_a_roster_is_a_table_of_two_columns(tmp_path):
    """A row for each submission; a row of one cell is refused by its number."""
    path = tmp_path / "roster.csv"
    path.write_text("anna,1\nBen,02\n")
    assert read_roster(str(path)) == {"anna": "1", "ben": "02"}
    path.write_text("anna,1\nben\n")
    with pytest.raises(ProblemError, match="row 2 expects two cells"):
        read_roster(str(path))


def test_each_is_graded_by_their_own_numbers(tmp_path):
    """What is right for variant 1 is right for it alone; who answers no variant gets a row that says so."""
    write_set(variants(Recipe(), 5, 2), tmp_path / "set", 2, sheets=(), decimals=2)
    problems = read_variants(str(tmp_path / "set"))
    answers = tmp_path / "answers"
    answers.mkdir()
    for file, variant in (("1-anna", "1"), ("2-ben", "2"), ("2-cleo", "1"), ("dora", "1")):
        weights = problems[variant].trace()["weights"].round(3).tolist()
        (answers / f"{file}.json").write_text(json.dumps({"weights": weights}))
    done = CliRunner().invoke(
        main, ["grade", str(tmp_path / "set"), str(answers), "-o", str(tmp_path / "g.csv"), "--most", "1"],
        standalone_mode=False,
    )  # fmt: skip
    assert done.exception is None, done.output
    with (tmp_path / "g.csv").open(newline="") as file:
        rows = {row["submission"]: row["verdict"] for row in csv.DictReader(file)}
    assert rows["1-anna.json"] == rows["2-ben.json"] == "agrees"
    assert rows["2-cleo.json"] != "agrees"
    assert rows["dora.json"] == "error"


@pytest.mark.parametrize(("name", "variants", "person"), [
    ("3-anna.json", True, "anna"), ("anna_3-answers.toml", True, "anna"), ("3-answers.toml", True, "answers"),
    ("anna_soccer-answers.toml", False, "anna_soccer"), ("anna.json", False, "anna"), ("3-anna.json", False, "3-anna"),
])  # fmt: skip
def test_marks_are_for_people(name, variants, person):
    """The number of a variant, and what a page calls its file, are no part of a person's name."""
    table = marks(Gradebook((Entry(name, Grade("agrees")),)), "moodle", title="t", points=1, variants=variants)
    assert table.splitlines()[1].split(",")[0] == person


@pytest.mark.parametrize("platform", ["moodle", "canvas"])
def test_what_could_not_be_read_has_no_row_of_marks(platform):
    """An import takes an empty mark for one that is to be removed: what has no grade is left out."""
    book = Gradebook((Entry("anna.json", Grade("agrees")), Entry("ben.pdf", error="not read")))
    table = marks(book, platform, title="t", points=1)
    assert "anna" in table
    assert "ben" not in table
