"""The flow of gradients and of training: a pass at a time, in the browser."""

import pytest

from clearhead.cli.show import view_of
from clearhead.problems import read_problem
from clearhead.show.export import save

pytestmark = pytest.mark.sweep(3)

FLOW = """(stage) => [
  [...document.querySelectorAll(".flow .box > .card")].map((card) => card.dataset.line),
  [...document.querySelectorAll(".flow .box")].flatMap((box) =>
    [...box.querySelectorAll(".fold")].map((fold) =>
      [fold.dataset.line, box.querySelector(".card").dataset.line, fold.classList.contains("result")])),
  [...document.querySelectorAll(".wires path")].map((path) => [path.dataset.from, path.dataset.to]),
]"""


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the page of a problem."""

    def open_page(name):
        problem = read_problem(name)
        trace = problem.trace()
        save(trace, tmp_path / "page.html", view_of(problem, trace, 3, ()))
        sheet.set_viewport_size({"width": 1280, "height": 800})
        sheet.goto((tmp_path / "page.html").as_uri())
        sheet.wait_for_selector(".stage-tab[aria-pressed=true]")
        return sheet

    return open_page


def stages(page):
    for name in page.evaluate("[...document.querySelectorAll('.stage-tab')].map((tab) => tab.dataset.stage)"):
        page.locator(f'[data-stage="{name}"]').click()
        page.wait_for_selector(f'[data-stage="{name}"][aria-pressed=true]')
        yield name, *page.evaluate(FLOW)


def reads(working):
    """Which line reads the numbers of which."""
    return {
        (operand, line.name)
        for line in working.lines
        for role, operand in zip(line.formula.roles, line.operands, strict=True)
        if role in line.formula.read
    }


@pytest.mark.parametrize("name", ["cross-entropy", "head-backward", "block-backward", "step-soccer"])
def test_every_line_has_its_place_in_one_pass(opened, name):
    """Each line is a card of one pass, or a letter where it comes from; each operand is a wire or a letter in it."""
    page = opened(name)
    working = read_problem(name).trace().working
    cards, links, results = [], set(), set()
    for _, own, folds, wires in stages(page):
        assert {target for _, target, _ in folds} <= set(own)
        assert not {source for source, *_ in folds if source in own}
        cards += own
        links |= {(source, target) for source, target, result in folds if not result}
        links |= set(map(tuple, wires))
        results |= {(target, source) for source, target, result in folds if result}
    letters = {result for _, result in results}
    assert len(cards) == len(set(cards))
    assert len(letters) == len(results)
    assert not letters & set(cards)
    zeros = {line.name for line in working.lines if line.operation.name == "zeros"}
    assert {line.name for line in working.lines} - set(cards) - letters == zeros
    assert results <= reads(working)
    assert links == {(source, target) for source, target in reads(working) if target not in letters}


def test_a_gradient_is_written_as_one_wherever_it_stands(opened):
    """The letters of what a moment is made of tell the gradient of the weights from the moment before."""
    page = opened("step-soccer")
    page.locator('[data-stage$="update"]').first.click()
    letters = page.locator('.flow .box:has(> [data-line="query.weight.first"]) .fold').all_text_contents()
    assert sorted(letters) == ["W", "∇W"]


def test_the_gradient_of_weights_says_whether_it_is_as_claimed(opened):
    """A claim for a gradient that is a letter is marked at the letter, in sign and in words."""
    page = opened("head-backward")
    page.locator('[data-stage="backward"]').click()
    letter = page.locator('.fold[data-line="value.weight.grad"]')
    letter.click()
    page.wait_for_selector('.fold[data-line="value.weight.grad"][aria-current]')
    assert page.locator('.card.operand[data-line="value.grad"]').count() == 1
    page.locator('.numbers td[data-spot="0,0"]').click()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    page.wait_for_selector('.fold.differs[data-line="value.weight.grad"]')
    assert letter.inner_text() == "✗∇W"
    assert letter.get_attribute("aria-label") == "value.weight.grad, ✗ 1 claimed otherwise"
    page.keyboard.press("Control+z")
    page.wait_for_selector('.fold[data-line="value.weight.grad"]:not(.differs)')


def test_passes_are_named_and_in_order(opened):
    """Three steps of training: forward, backward and update of each, and the pass after the last."""
    page = opened("step-soccer")
    found = [(name, cards) for name, cards, *_ in stages(page)]
    steps = [f"Step {n}: {each}" for n in (1, 2, 3) for each in ("forward", "backward", "update")]
    assert [name for name, _ in found] == [*steps, "After: forward"]
    by_name = dict(found)
    assert "step2.query.weight.new" in by_name["Step 2: update"]
    assert "step3.output.grad" in by_name["Step 3: backward"]
    assert {"step4.loss", "step4.weights"} <= set(by_name["After: forward"])


def test_a_letter_leads_to_the_pass_that_it_is_of(opened):
    """The value that the gradient for the weights reads is a letter on its card; it opens the forward pass there."""
    page = opened("head-backward")
    page.locator('[data-stage="backward"]').click()
    letter = page.locator('.box:has(> .card[data-line="weights.grad"]) .fold[data-line="value"]')
    assert letter.inner_text() == "V"
    letter.click()
    page.wait_for_selector('.card[data-line="value"][aria-current]')
    assert page.locator('[data-stage="forward"]').get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("name", ["head-backward", "block-backward", "step-soccer"])
def test_a_pass_is_on_one_screen_with_its_numbers(opened, name):
    """At 1280 x 800 each pass is in view as a whole, with the chosen cell and its arithmetic."""
    page = opened(name)
    for stage, *_ in stages(page):
        bottoms = page.evaluate(
            "['.flow', '.cell', '.numbers td.current'].map((each) =>"
            " document.querySelector(each).getBoundingClientRect().bottom)"
        )
        assert max(bottoms) <= 800, stage
        hidden = page.evaluate(
            "(() => { const flow = document.querySelector('.flow');"
            " return [flow.scrollWidth - flow.clientWidth, flow.scrollHeight - flow.clientHeight]; })()"
        )
        assert hidden == [0, 0], stage


@pytest.mark.parametrize(
    ("name", "deviation"), [("head-backward", "grad-softmax-missing"), ("step-soccer", "grad-scale-missing")]
)
def test_a_deviation_leaves_each_line_in_its_pass(opened, name, deviation):
    """With a deviation of the backward pass switched on the passes are the same, and so are their lines."""
    page = opened(name)
    before = {stage: set(cards) for stage, cards, *_ in stages(page)}
    page.locator(".edits select").select_option(deviation)
    page.wait_for_selector(".variant:not([hidden])")
    assert {stage: set(cards) for stage, cards, *_ in stages(page)} == before
