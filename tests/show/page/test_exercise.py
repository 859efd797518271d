"""A page with blanks, filled in by hand in a real browser: verdicts, hints, what is kept and what is handed in."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from clearhead.cli.main import main
from clearhead.cli.show import view_of
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.blank import blanks
from clearhead.show.export import save
from clearhead.show.page.content import content_of

pytestmark = pytest.mark.sweep(3)

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"
SOCCER = read_problem("soccer").trace()


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the page of a bundled problem with blanks, from disk."""

    def open_page(name, *blank):
        problem = read_problem(name)
        path = tmp_path / f"{name}.html"
        save(problem.trace(), path, View(problem.title, problem.about, blank=blank))
        sheet.set_default_timeout(45_000)
        sheet.goto(path.as_uri())
        sheet.wait_for_selector(".cell-name")
        return sheet

    return open_page


def choose(page, line, head=None):
    page.locator(f'.card[data-line="{line}"]').click()
    page.wait_for_selector(f'.card[data-line="{line}"][aria-current]')
    if head:
        page.locator(".head", has_text=f"head {head}").click()


def cell(page, row, column):
    return page.locator(f'.numbers td[data-spot="{row},{column}"]')


def type_into(page, row, column, text):
    cell(page, row, column).click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def fill(page, numbers):
    """Pastes a matrix into the line that is open, from its first cell on."""
    cell(page, 0, 0).click()
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text", text);
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true})); }""",
        "\n".join("\t".join(row) for row in numbers),
    )


def written(numbers, decimals=2):
    return [[f"{value:.{decimals}f}" for value in row] for row in numbers]


def verdicts(page):
    return [
        next(word for word in ("right", "carried", "wrong", "coarse") if word in each.get_attribute("class").split())
        for each in page.locator(".numbers .answer").all()
    ]


@pytest.mark.parametrize("name", bundled())
def test_the_source_has_no_number_of_a_blank_line(name):
    """With everything blank the content's arrays are the given ones, and no line has claims, notes or numbers."""
    problem = read_problem(name)
    trace = problem.trace()
    view = view_of(problem, trace, 3, ())
    content, arrays = content_of(trace, View(problem.title, problem.about, claims=view.claims, blank=("*",)))
    assert set(arrays) == {each.name for each in trace.working.givens}
    assert content["problem"] is content["diagnosis"] is None
    assert all(not each["claims"] and not each["notes"] for each in content["lines"])


def test_the_file_as_text_has_no_answer(tmp_path):
    """No blank number with a fraction stands in the file in decimals, in whatever form a reader may search for it."""
    save(SOCCER, tmp_path / "x.html", View("T", blank=("*",)))
    text = (tmp_path / "x.html").read_text("utf-8")
    text = text[text.index("<body>") :]
    for name in blanks(SOCCER, View(blank=("*",))):
        for value in SOCCER[name].ravel():
            if np.isfinite(value) and abs(value * 100 - round(value * 100)) > 1e-6:
                assert f"{abs(value):.5f}"[:-1] not in text
                assert repr(abs(float(value))) not in text


def test_nothing_right_is_shown_before_it_is_filled_in(opened):
    """Blank cells are empty in whatever line is open; and there is no arithmetic of them."""
    page = opened("soccer", "*")
    for line in SOCCER.working.lines:
        choose(page, line.name)
        assert set(page.locator(".numbers td .number").all_inner_texts()) == {""}
        assert "left for you" in page.locator(".arithmetic").inner_text()
        assert page.locator(".unrounded").count() == 0


def test_answers_are_right_wrong_or_carried_on(opened):
    """Rounded weights are right; a wrong one is wrong; heads made of it are right with one's own earlier numbers."""
    page = opened("soccer", "weights", "head")
    choose(page, "weights")
    mine = SOCCER["weights"][0].copy()
    mine[1] = [0.5, 0.25, 0.25]
    fill(page, written(mine))
    assert verdicts(page) == ["right"] * 3 + ["wrong"] * 3 + ["right"] * 3
    choose(page, "head")
    carried = np.array([[float(each) for each in row] for row in written(mine)]) @ SOCCER["value"][0]
    fill(page, written(carried))
    assert verdicts(page) == ["right", "carried", "right"]
    assert page.locator('.card[data-line="weights"] .badge.differs').inner_text().startswith("✗ 3")
    type_into(page, 1, 0, "9.99")
    assert verdicts(page) == ["right", "wrong", "right"]
    type_into(page, 1, 0, f"{SOCCER['head'][0, 1, 0]:.3f}")
    assert verdicts(page) == ["right", "right", "right"]


def test_rounding_of_earlier_numbers_is_no_mistake(opened):
    """A head from weights rounded to two decimals is right, though its own last digit differs from the exact one's."""
    page = opened("soccer", "weights", "head")
    choose(page, "weights")
    fill(page, written(SOCCER["weights"][0]))
    choose(page, "head")
    rounded = np.round(SOCCER["weights"][0], 2) @ SOCCER["value"][0]
    assert written(rounded, 3) != written(SOCCER["head"][0], 3)
    fill(page, written(rounded, 3))
    assert verdicts(page) == ["right"] * 3


def test_a_coarse_number_is_never_called_wrong(opened):
    """Ranges cannot be tried out: a whole number where decimals are asked for gets the same answer, near or far."""
    page = opened("soccer", "weights")
    choose(page, "weights")
    for text in ("0", "1", "0.3", "0.9"):
        type_into(page, 0, 0, text)
        assert verdicts(page) == ["coarse"]
    type_into(page, 0, 0, "nonsense")
    type_into(page, 0, 1, "1/0")
    assert "A number such as" in page.locator(".reason").inner_text()


def test_whole_numbers_are_right_where_a_line_has_whole_numbers(opened):
    """Scores of whole numbers want no decimals."""
    page = opened("soccer", "scores")
    choose(page, "scores")
    assert np.array_equal(SOCCER["scores"], np.round(SOCCER["scores"]))
    fill(page, [[f"{value:.0f}" for value in row] for row in SOCCER["scores"][0]])
    assert set(verdicts(page)) == {"right"}
    type_into(page, 0, 0, "77")
    assert verdicts(page)[0] == "wrong"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda numbers: -numbers, "a sign"),
        (lambda numbers: numbers * 10, "decimal point"),
        (lambda numbers: numbers + 1, "same amount"),
        (lambda numbers: numbers * 1.5, "same factor"),
        (lambda numbers: numbers + 0.0002 * np.array([[1, -1, 1], [-1, 1, -1], [1, 1, -1]]), "rounding"),
        (lambda numbers: numbers.T, "rows and columns"),
    ],
)
def test_hints_come_in_three_steps_and_never_say_a_number(opened, change, says):
    """Which line, which cell, what kind of mistake; beside the cell's own name there is no digit."""
    page = opened("encoder-block", "attention.scaled")
    trace = read_problem("encoder-block").trace()
    choose(page, "attention.scaled")
    fill(page, written(change(trace["attention.scaled"][0]), 4))
    assert "wrong" in verdicts(page)
    button = page.get_by_role("button", name="Hint")
    told = []
    for _ in range(3):
        button.click()
        told.append(page.locator(".hints").inner_text())
    assert button.is_disabled()
    assert told[0] == "Look first at attention.scaled."
    assert re.fullmatch(r"Look first at attention\.scaled\. The cell is attention\.scaled@1\[\d,\d\]\.", told[1])
    assert says in told[2]
    assert told[2].startswith(told[1])
    assert re.search(r"\d", told[2].replace(told[1], "")) is None


def test_a_hint_names_a_known_deviation_in_words(opened):
    """Weights that were normalised over the queries are recognised, though no number is said."""
    page = opened("soccer", "weights")
    choose(page, "weights")
    fill(page, written(read_problem("soccer").trace("softmax-over-queries")["weights"][0], 4))
    for _ in range(3):
        page.get_by_role("button", name="Hint").click()
    assert "down the columns of the scores" in page.locator(".hints").inner_text()


def test_without_a_mistake_a_hint_says_how_to_go_on(opened):
    """The first open cell, and what its line does and is made from."""
    page = opened("soccer", "weights", "head")
    for _ in range(3):
        page.get_by_role("button", name="Hint").click()
    told = page.locator(".hints").inner_text()
    assert told.startswith("Go on with weights. The cell is weights@1[1,1].")
    assert "scaled" in told


def test_progress_is_kept_for_this_problem_alone(opened):
    """A reload and the same page again have what was filled in; another problem has not. Undo and reset hold."""
    page = opened("soccer", "weights", "head")
    choose(page, "weights")
    type_into(page, 0, 0, "1/3")
    type_into(page, 0, 1, "0.77")
    assert page.locator(".edits .which").inner_text().startswith("2 of ")
    page.reload()
    page.wait_for_selector(".cell-name")
    choose(page, "weights")
    assert page.locator(".numbers .answer").count() == 2
    assert opened("two-heads", "weights").locator(".edits .which").inner_text().startswith("0 of ")
    page = opened("soccer", "weights")
    choose(page, "weights")
    assert page.locator(".numbers .answer").count() == 2
    page.get_by_role("button", name="Reset").click()
    assert page.locator(".numbers .answer").count() == 0
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelectorAll('.numbers .answer').length === 2")


def test_given_numbers_are_not_changed_in_an_exercise(opened):
    """What is given stays: typing into it opens nothing."""
    page = opened("soccer", "weights")
    choose(page, "embedding")
    cell(page, 0, 0).click()
    page.keyboard.type("5")
    assert page.locator(".numbers input").count() == 0


def test_what_is_handed_in_is_graded(opened, tmp_path):
    """The file that the page writes is read by `clearhead grade`, open cells and all."""
    page = opened("soccer", "weights", "head")
    for line in ("weights", "head"):
        for head in (1, 2):
            choose(page, line, head)
            fill(page, written(SOCCER[line][head - 1], 4))
    (tmp_path / "in").mkdir()
    with page.expect_download() as loading:
        page.get_by_role("button", name="Hand in").click()
    assert loading.value.suggested_filename == "soccer-answers.toml"
    loading.value.save_as(tmp_path / "in" / "anna.toml")
    choose(page, "weights", 1)
    type_into(page, 0, 0, "0.9999")
    cell(page, 0, 1).click()
    page.keyboard.press("Delete")
    with page.expect_download() as loading:
        page.get_by_role("button", name="Hand in").click()
    loading.value.save_as(tmp_path / "in" / "ben.toml")
    done = CliRunner().invoke(main, ["grade", "soccer", str(tmp_path / "in"), "-o", str(tmp_path / "grades.csv")])
    assert done.exit_code == 0, done.output
    anna, ben = list(csv.DictReader((tmp_path / "grades.csv").read_text("utf-8").splitlines()))
    assert anna["verdict"] == "agrees"
    assert ben["first_wrong_line"] == "weights"


def test_blanks_are_seen_in_forced_colours(opened):
    """Where the system chooses the colours, each blank cell still has an edge."""
    page = opened("soccer", "weights")
    page.emulate_media(forced_colors="active")
    choose(page, "weights")
    edge = page.locator(".numbers td.blank").first.evaluate("cell => getComputedStyle(cell).outlineStyle")
    assert edge == "solid"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_fill_it_in(opened, theme):
    """axe finds no fault with answers of every kind and a hint, on a screen and a telephone."""
    page = opened("soccer", "weights", "head")
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    choose(page, "weights")
    fill(page, [["0.0900", "0.5", "1"], ["0.12", "0.11", "0.77"]])
    page.get_by_role("button", name="Hint").click()
    page.evaluate((NODE / "axe-core" / "axe.min.js").read_text("utf-8"))
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
