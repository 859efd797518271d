"""A walk in the browser: from step to step by keys and buttons, on one screen, with motion reduced where asked."""

from pathlib import Path

import pytest

from clearhead.problems import read_problem
from clearhead.show import View
from clearhead.show.tour import save_tour, steps_of

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"

SCORES = 1 + next(
    n
    for n, each in enumerate(steps_of(read_problem("soccer").trace(), View()))
    if (each.line, each.whole) == ("scores", False)
)
"""The step, counted from 1, that is about one cell of the scores."""


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the walk through a bundled problem, from disk, at a step."""

    def open_tour(name, step=1, *, still=True):
        problem = read_problem(name)
        trace, view = problem.trace(), View(problem.title, problem.about)
        save_tour(trace, tmp_path / "tour.html", view)
        sheet.set_default_timeout(45_000)
        sheet.emulate_media(reduced_motion="reduce" if still else "no-preference")
        sheet.goto(f"{(tmp_path / 'tour.html').as_uri()}#{step}")
        sheet.wait_for_selector(".cell-name")
        return sheet, steps_of(trace, view)

    return open_tour


def says(page):
    return page.locator(".tour .says").inner_text()


def at(page, number):
    page.wait_for_function("n => document.querySelector('.tour .which').textContent.startsWith(`${n} of`)", arg=number)


def test_keys_and_buttons_go_from_step_to_step(opened):
    """Right, Page Down and Next go on; Left, Page Up and Back go back; the address keeps the place over a reload."""
    page, steps = opened("soccer")
    for number, key in enumerate(("ArrowRight", "PageDown", "n"), start=2):
        page.keyboard.press(key)
        at(page, number)
        assert says(page) == steps[number - 1].says
    page.get_by_role("button", name="Next").click()
    at(page, 5)
    page.reload()
    at(page, 5)
    for number, key in ((4, "ArrowLeft"), (3, "PageUp")):
        page.keyboard.press(key)
        at(page, number)
    page.get_by_role("button", name="Back").click()
    at(page, 2)
    assert page.locator(".card[aria-current]").get_attribute("data-line") == steps[1].line


def test_what_is_to_come_is_open(opened):
    """At a cell's step only this cell has its number, and its arithmetic lights what it is made of; then all have."""
    page, steps = opened("soccer", SCORES)
    step = steps[SCORES - 1]
    seen = "cells => cells.filter((each) => getComputedStyle(each).visibility === 'visible').length"
    assert page.locator(".numbers td .number").evaluate_all(seen) == 1
    assert page.locator(".arithmetic").get_attribute("data-text") == str(step.arithmetic)
    assert page.locator(".operand td.lit").count() == len(step.arithmetic.reads)
    later = page.locator(".card.later").evaluate_all("cards => cards.map((each) => each.dataset.line)")
    assert later == ["scores", "scaled", "weights", "head", "concat", "output", "residual", "norm"]
    page.keyboard.press("ArrowRight")
    at(page, SCORES + 1)
    assert page.locator(".numbers td .number").evaluate_all(seen) == 9
    assert page.locator(".card.later").count() == 7


SLOWLY = "{ const wait = setTimeout; window.setTimeout = (call, time) => wait(call, time === 650 ? 600_000 : time); }"
"""Makes the pause between two numbers so long that a busy machine does not miss it."""


def test_arithmetic_is_built_up_unless_motion_is_reduced(opened, sheet):
    """Numbers come one after another, and the next step waits for none of them; with reduced motion all are there."""
    sheet.add_init_script(SLOWLY)
    page, _ = opened("soccer", SCORES, still=False)
    assert page.locator(".arithmetic.building").count() == 1
    assert page.locator(".operand-number.on").count() == 1
    page.keyboard.press("ArrowRight")
    assert page.locator(".arithmetic.building").count() == 0
    at(page, SCORES)
    page, _ = opened("soccer", SCORES)
    assert page.locator(".arithmetic.building").count() == 0


def test_arrows_in_a_matrix_stay_there(opened):
    """Whoever moves through the cells of a matrix does not leave the step."""
    page, _ = opened("soccer", 4)
    page.locator('.numbers td[data-spot="0,0"]').click()
    page.keyboard.press("ArrowRight")
    at(page, 4)
    assert page.locator(":focus").get_attribute("data-spot") == "0,1"


LARGEST = ("soccer", "rotary", "padding-mask", "encoder-block", "decoder-block")
"""The problems whose flow or matrices take the most room."""

LOW = """async (count) => {
  const found = [];
  for (let n = 0; n < count; n += 1) {
    const seen = [".tour", ".flow", ".cell", ".numbers td.current"].map((each) => document.querySelector(each));
    found.push(Math.max(...seen.map((each) => each.getBoundingClientRect().bottom)));
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "n", bubbles: true }));
    document.documentElement.dispatchEvent(new KeyboardEvent("keydown", { key: "n" }));
    await new Promise((go) => setTimeout(go, 40));
  }
  return [found, document.querySelector(".tour .which").textContent];
}"""


@pytest.mark.parametrize("name", LARGEST)
def test_every_step_is_on_one_screen(opened, name):
    """At 1280 x 800 the sentence, the flow, the cell and its arithmetic are in view at each step."""
    page, steps = opened(name)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_timeout(100)
    found, count = page.evaluate(LOW, len(steps))
    assert count == f"{len(steps)} of {len(steps)}"
    assert [(steps[n].line, low) for n, low in enumerate(found) if low > 800] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_walk(opened, theme):
    """axe finds no fault at a cell's step, on a screen and a telephone; nothing is wider than that."""
    page, _ = opened("soccer", SCORES)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.evaluate((NODE / "axe-core" / "axe.min.js").read_text("utf-8"))
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
