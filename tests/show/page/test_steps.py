"""A product of small matrices, one term after the other, in the browser."""

import pytest

from clearhead.cli.show import view_of
from clearhead.problems import read_problem
from clearhead.show.export import save


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the page of a problem at a line."""

    def open_page(name, line, blank=()):
        problem = read_problem(name)
        trace = problem.trace()
        view = view_of(problem, trace, 3, ())
        save(trace, tmp_path / "page.html", type(view)(view.title, blank=blank) if blank else view)
        sheet.goto((tmp_path / "page.html").as_uri())
        sheet.wait_for_selector(".cell-name")
        sheet.locator(f'.card[data-line="{line}"]').click()
        sheet.wait_for_selector(f'.card[data-line="{line}"][aria-current]')
        return sheet, trace

    return open_page


def said(page):
    return page.locator(".steps .said").inner_text().replace("\u2212", "-")


def following(page):
    page.get_by_role("button", name="Next term").click()


def test_each_term_adds_its_product(opened):
    """Term by term the two numbers are lit where they stand, and the sum comes to the cell's number."""
    page, trace = opened("soccer", "query")
    tokens, weight, query = (trace[name] for name in ("input", "query.weight", "query"))
    page.locator('.numbers td[data-spot="1,0"]').click()
    assert said(page) == "A sum of 2 products."
    total = 0
    for n in range(2):
        following(page)
        a, b = tokens[1, n], weight[0, n, 0]
        total += a * b
        shown = [f"({x:g})" if x < 0 else f"{x:g}" for x in (a, b)]
        assert said(page) == f"Term {n + 1} of 2: {shown[0]} · {shown[1]} = {a * b:g}; sum so far {total:g}"
        spots = [each.get_attribute("data-spot") for each in page.locator(".operand td.glow").all()]
        assert spots == [f"1,{n}", f"{n},0"]
        assert page.locator(".operand-number.now").count() == 2
    assert total == query[0, 1, 0]


def test_after_the_last_term_comes_the_next_cell(opened):
    """Next goes on to the next cell of the matrix and Back returns; at both ends there is nothing to go to."""
    page, _ = opened("soccer", "head")
    page.locator('.numbers td[data-spot="0,0"]').click()
    assert page.locator(".steps button").first.is_disabled()
    for _ in range(4):
        following(page)
    assert page.locator(".cell-name").inner_text() == "head@1[2,1]"
    assert said(page).startswith("Term 1 of 3")
    page.get_by_role("button", name="Back").click()
    assert page.locator(".cell-name").inner_text() == "head@1[1,1]"
    assert said(page).startswith("Term 3 of 3")
    page.locator('.numbers td[data-spot="2,0"]').click()
    for _ in range(3):
        following(page)
    assert page.get_by_role("button", name="Next term").is_disabled()


def test_it_plays_by_itself_unless_motion_is_reduced(opened):
    """Play goes on by itself until it is paused; where motion is to be reduced there is no such button."""
    page, _ = opened("soccer", "head")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("Term 2 of 3").wait_for()
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play").get_attribute("aria-pressed") == "false"
    page.emulate_media(reduced_motion="reduce")
    page.locator('.card[data-line="scores"]').click()
    page.locator('.card[data-line="head"]').click()
    page.wait_for_selector('.card[data-line="head"][aria-current]')
    assert page.locator(".steps button").all_inner_texts() == ["Back", "Next term"]


def test_only_products_of_known_numbers_have_steps(opened):
    """No softmax has them, and no line that is left blank or is made of one."""
    page, _ = opened("soccer", "weights")
    assert page.locator(".steps").count() == 0
    page, _ = opened("soccer", "head", blank=("weights", "head"))
    assert page.locator(".steps").count() == 0
    page.locator('.card[data-line="query"]').click()
    page.wait_for_selector(".steps")
