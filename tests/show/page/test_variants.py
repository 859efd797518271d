"""Deviations that travel with a page: computed offline as Python computes them, before and after side by side."""

import json
from pathlib import Path

import numpy as np
import pytest

from clearhead.cli.show import view_of
from clearhead.deviations import deviate
from clearhead.problems import bundled, parse_problem, read_problem
from clearhead.show import View
from clearhead.show.export import save
from clearhead.show.page.assemble import program
from clearhead.show.page.content import content_of
from clearhead.show.page.variants import variants_of

pytestmark = pytest.mark.sweep(3)

VARY = """async ([content, arrays, names]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  const edits = new $edits.Edits(trace);
  return names.map((name) => {
    edits.vary(name);
    return Object.fromEntries([...trace.lines.keys()].map((line) => [line, [...trace.numbers(line)].map(String)]));
  });
}"""

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"

FEW = {"cross-entropy": 6, "step-soccer": 15}
"""How many deviations travel at least, where these are fewer than with other problems: 20."""


@pytest.fixture(scope="module")
def modules(chromium):
    """A page that has the modules and nothing else."""
    page = chromium.new_page()
    page.add_script_tag(content=program())
    yield page
    page.close()


def numbers(texts):
    return np.array([float(text.replace("Infinity", "inf")) for text in texts])


@pytest.mark.parametrize("name", bundled())
def test_every_deviation_of_a_page_gives_what_python_gives(modules, name):
    """All lines of each deviation, switched on one after another, to 1e-12; then the file's numbers again."""
    problem = read_problem(name)
    trace = problem.trace()
    view = view_of(problem, trace, 3, ())
    variants = variants_of(trace, view)
    assert len(variants) >= FEW.get(name, 20)
    content, arrays = content_of(trace, view)
    data = json.loads(json.dumps(content | {"arrays": arrays, "variants": variants}))
    names = [each["name"] for each in variants]
    *found, last = modules.evaluate(VARY, [data, arrays, [*names, ""]])
    for variant, lines in zip(variants, found, strict=True):
        expected = deviate(trace.working, *variant["applied"]).run(problem.arrays)
        assert list(lines) == list(expected), variant["name"]
        for line, texts in lines.items():
            wanted = expected.numpy(line).astype(float).ravel()
            said = f"{variant['name']}: {line}"
            np.testing.assert_allclose(numbers(texts), wanted, rtol=1e-12, atol=1e-12, err_msg=said)
    for line in trace:
        np.testing.assert_allclose(
            numbers(last[line]), trace.numpy(line).astype(float).ravel(), rtol=1e-12, err_msg=line
        )


def test_a_deviated_trace_takes_the_textbook_along():
    """A page of a problem with a deviation offers to compute it without."""
    problem = read_problem("soccer")
    trace = problem.trace("softmax-over-queries")
    view = view_of(problem, trace, 3, ("softmax-over-queries",))
    first = variants_of(trace, view)[0]
    assert first["applied"] == []
    assert [line["name"] for line in first["lines"]] == ["weights"]


def test_a_large_trace_takes_none(monkeypatch):
    """Where the page would take long to compute it anew, no deviation is offered."""
    monkeypatch.setattr("clearhead.show.page.variants.MAX_NUMBERS", 50)
    assert variants_of(read_problem("soccer").trace(), View()) == []


def test_mistakes_in_gradients_come_first():
    """A page of gradients offers what goes wrong in the backward pass before what goes wrong in the forward pass."""
    names = [each["name"] for each in variants_of(read_problem("head-backward").trace(), View())]
    backward = [name.startswith("grad-") for name in names]
    assert 8 <= sum(backward) < len(names)
    assert backward == sorted(backward, reverse=True)


@pytest.fixture
def page(sheet, tmp_path):
    """The page of the soccer problem, from disk."""
    problem = read_problem("soccer")
    trace = problem.trace()
    save(trace, tmp_path / "page.html", view_of(problem, trace, 3, ()))
    sheet.set_default_timeout(45_000)
    sheet.goto((tmp_path / "page.html").as_uri())
    sheet.wait_for_selector(".edits")
    return sheet


def choose(page, line):
    page.locator(f'.card[data-line="{line}"]').click()
    page.wait_for_selector(f'.card[data-line="{line}"][aria-current]')


def test_before_and_after_stand_side_by_side(page):
    """The changed line has both formulas with what differs marked, both matrices, and the cells that moved marked."""
    choose(page, "weights")
    page.get_by_label("Deviation to try").select_option("softmax-over-queries")
    page.wait_for_selector(".numbers .pair")
    textbook, deviant = (read_problem("soccer").trace(*names) for names in ((), ("softmax-over-queries",)))
    for figure, trace in ((0, textbook), (1, deviant)):
        written = page.locator(".numbers .pair figure").nth(figure).locator("td .number").all_inner_texts()
        assert [float(text) for text in written] == pytest.approx(trace["weights"][0].ravel().tolist(), abs=6e-4)
    moved = page.locator(".numbers td.moved").evaluate_all("cells => cells.map((cell) => cell.dataset.spot)")
    differs = np.argwhere(np.abs(textbook["weights"][0] - deviant["weights"][0]) > 1e-12)
    assert moved == [f"{row},{column}" for row, column in differs]
    assert page.locator(".line-head .formula").count() == 2
    assert page.locator(".line-head math .differs").count() > 0
    assert "columns of the scores" in page.locator(".variant").inner_text()
    assert page.locator('.card[data-line="weights"] .changed').count() == 1
    choose(page, "query")
    assert page.locator(".numbers .pair").count() == 0


def test_what_explains_the_claims_can_be_tried(page):
    """The first deviation on offer is what the diagnosis found; with it all claims agree. Undo takes it back."""
    select = page.get_by_label("Deviation to try")
    select.select_option(index=1)
    assert "none of 48 claimed numbers differs" in page.locator(".verdict").inner_text()
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelector('.tools select').value === ''")
    assert page.locator(".variant").is_hidden()


def test_lines_that_come_and_go_are_in_the_flow(page):
    """A deviation that drops a line and adds one redraws the flow; the address has it, and a reload keeps it."""
    choose(page, "scaled")
    page.get_by_label("Deviation to try").select_option("scale-after-softmax")
    page.wait_for_selector('.card[data-line="weights.unscaled"]')
    assert page.locator('.card[data-line="scaled"]').count() == 0
    page.wait_for_function("location.hash")
    page.reload()
    page.wait_for_selector('.card[data-line="weights.unscaled"]')
    page.get_by_role("button", name="Reset").click()
    page.wait_for_selector('.card[data-line="scaled"]')


def test_the_saved_file_has_the_deviation(page, tmp_path):
    """With a deviation on, and a number typed, the file reads as the problem with both."""
    choose(page, "embedding")
    page.locator('.numbers td[data-spot="2,0"]').click()
    page.keyboard.type("7/6")
    page.keyboard.press("Enter")
    page.get_by_label("Deviation to try").select_option("scale-missing")
    with page.expect_download() as loading:
        page.get_by_role("button", name="Save").click()
    loading.value.save_as(tmp_path / "mine.toml")
    found = parse_problem((tmp_path / "mine.toml").read_text("utf-8"), source="mine")
    assert [str(each) for each in found.deviations] == ["scale-missing"]
    assert found.arrays["embedding"][2, 0] == 7 / 6


def test_an_unknown_deviation_in_the_address_is_left_out(page):
    """It is counted, and nothing of it becomes markup."""
    address = page.url
    page.goto("about:blank")
    page.goto(f"{address}#%5B%5D=%3Cimg%3E")
    page.wait_for_selector(".edits")
    assert page.get_by_role("alert").inner_text().startswith("1 of the changes")
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_compare(page, theme):
    """axe finds no fault with formulas and numbers before and after, on a screen and a telephone."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    choose(page, "weights")
    page.get_by_label("Deviation to try").select_option("softmax-over-queries")
    page.wait_for_selector(".numbers .pair")
    page.evaluate((NODE / "axe-core" / "axe.min.js").read_text("utf-8"))
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
