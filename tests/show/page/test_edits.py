"""Numbers changed in the page, offline: every line follows as Python would have it; claims, undo, address, file."""

import json
import os

import numpy as np
import pytest

from clearhead.cli.show import view_of
from clearhead.problems import bundled, parse_problem, read_problem
from clearhead.show import View
from clearhead.show.export import save
from clearhead.show.page.assemble import program
from clearhead.show.page.content import content_of

EDITS = int(os.environ.get("EDITS", "12"))
"""How many random changes are made to each problem, one upon the other; `make edits` makes 1,000."""

TYPE = """async ([content, arrays, changes]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  const edits = new $edits.Edits(trace);
  return changes.map(([line, cell, written]) => {
    const reason = edits.type(line, [{ cell, written }]);
    if (reason) throw new Error(reason);
    return Object.fromEntries([...trace.arrays].map(([name, numbers]) => [name, [...numbers].map(String)]));
  });
}"""


@pytest.fixture(scope="module")
def modules(chromium):
    """A page that has the modules and nothing else."""
    page = chromium.new_page()
    page.add_script_tag(content=program())
    yield page
    page.close()


def typed(modules, problem, changes):
    """The numbers of all lines after each change that is typed into the page of a problem."""
    content, arrays = content_of(problem.trace(), View())
    data = json.loads(json.dumps(content | {"arrays": arrays}))
    return modules.evaluate(TYPE, [data, arrays, [[name, list(cell), written] for name, cell, written in changes]])


def numbers(texts):
    return np.array([float(text.replace("Infinity", "inf")) for text in texts])


def random_changes(problem, seed, count):
    """Cells of given arrays and what is typed into them; booleans are turned over."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        name = random.choice(list(problem.arrays))
        array = problem.arrays[name]
        cell = tuple(int(random.integers(size)) for size in array.shape)
        if array.dtype.kind == "b":
            yield name, cell, "no" if array[cell] else "yes"
        else:
            yield name, cell, repr(round(float(random.normal(0, 2)), int(random.integers(0, 6))))


def assert_followed(modules, problem, changes):
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    for (name, cell, written), found in zip(changes, typed(modules, problem, changes), strict=True):
        arrays[name][cell] = {"yes": True, "no": False}.get(written) if written in ("yes", "no") else float(written)
        trace = problem.working().run(arrays)
        for line in trace:
            expected = trace.numpy(line).astype(float).ravel()
            np.testing.assert_allclose(numbers(found[line]), expected, rtol=1e-12, atol=1e-12, err_msg=line)


@pytest.mark.parametrize("name", bundled())
def test_every_line_follows_as_in_python(modules, name):
    """Random changes of given numbers, one upon the other: all lines equal Python's to 1e-12."""
    problem = read_problem(name)
    assert_followed(modules, problem, list(random_changes(problem, 7, EDITS)))


def test_large_scores_do_not_overflow(modules):
    """Exponents beyond what a number holds still give weights."""
    problem = read_problem("single-head")
    cell = (0,) * problem.arrays["query.weight"].ndim
    assert_followed(modules, problem, [("query.weight", cell, "1e5"), ("input", (0, 0), "-3e4")])


@pytest.fixture
def page(sheet, tmp_path):
    """The page of the soccer problem, from disk."""
    problem = read_problem("soccer")
    trace = problem.trace()
    save(trace, tmp_path / "page.html", view_of(problem, trace, 3, ()))
    sheet.goto((tmp_path / "page.html").as_uri())
    sheet.wait_for_selector(".edits")
    return sheet


def choose(page, line):
    page.locator(f'.card[data-line="{line}"]').click()
    page.wait_for_selector(f'.card[data-line="{line}"][aria-current]')


def type_into(page, row, column, text):
    page.locator(f'.numbers td[data-spot="{row},{column}"]').click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def edited(line, cell, value):
    problem = read_problem("soccer")
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    arrays[line][cell] = value
    return problem.working().run(arrays)


def test_a_number_is_changed_undone_redone_and_sent_on(page):
    """A decimal comma is read; what follows shows what it was; undo, redo and the address keep it; reset forgets it."""
    choose(page, "embedding")
    type_into(page, 0, 1, "1,5")
    page.wait_for_selector(".numbers .was")
    choose(page, "norm")
    expected = str(edited("embedding", (0, 1), 1.5).explain("norm", 0, 0))
    page.locator('.numbers td[data-spot="0,0"]').click()
    arithmetic = page.locator(".arithmetic")
    assert arithmetic.get_attribute("data-text") == expected
    address = page.url
    page.keyboard.press("Control+z")
    page.wait_for_selector(".was", state="detached")
    assert arithmetic.get_attribute("data-text") == str(read_problem("soccer").trace().explain("norm", 0, 0))
    page.get_by_role("button", name="Redo").click()
    assert arithmetic.get_attribute("data-text") == expected
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".edits")
    assert page.locator(".edits .which").inner_text() == "1 number typed"
    choose(page, "norm")
    page.locator('.numbers td[data-spot="0,0"]').click()
    assert arithmetic.get_attribute("data-text") == expected
    page.get_by_role("button", name="Reset").click()
    assert "#" not in page.url


def test_what_cannot_be_read_stays_with_the_reason(page):
    """Text that is no number stays in its cell, with what was expected beside it; Escape gives it up."""
    choose(page, "embedding")
    type_into(page, 0, 0, "1/0")
    assert "A number such as" in page.locator(".reason").inner_text()
    assert page.locator(".numbers input").input_value() == "1/0"
    page.keyboard.press("Escape")
    assert page.locator(".numbers input").count() == 0
    assert page.locator(".edits .which").inner_text() == ""


def test_a_claim_is_held_at_once(page):
    """A number typed into a line is held against it at its own precision, and counted; nothing is asked of a server."""
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    choose(page, "weights")
    weight = read_problem("soccer").trace()["weights"][0, 1, 0]
    type_into(page, 1, 0, f"{weight:.2f}")
    page.wait_for_selector(".numbers .claim.agrees")
    type_into(page, 1, 1, f"{weight + 0.2:.2f}")
    page.wait_for_selector(".numbers .claim.differs")
    assert page.locator('.card[data-line="weights"] .badge.differs').count() == 1
    assert "claimed numbers differ" in page.locator(".verdict").inner_text()
    assert requests == []


def test_the_changed_problem_is_saved_as_a_file(page, tmp_path):
    """The file has the changed numbers and the claims that were typed, and reads as a problem."""
    choose(page, "embedding")
    type_into(page, 2, 0, "7/6")
    choose(page, "weights")
    type_into(page, 0, 0, "0.25")
    with page.expect_download() as loading:
        page.get_by_role("button", name="Save").click()
    loading.value.save_as(tmp_path / "mine.toml")
    found = parse_problem((tmp_path / "mine.toml").read_text("utf-8"), source="mine")
    expected = read_problem("soccer")
    arrays = {name: array.copy() for name, array in expected.arrays.items()}
    arrays["embedding"][2, 0] = 7 / 6
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert found.claims[:-1] == expected.claims
    assert (found.claims[-1].line, found.claims[-1].cell, found.claims[-1].written) == ("weights", (1, 1, 1), "0.25")


def test_an_address_that_fits_nothing_is_said(page):
    """What an address says of cells that are not there is left out and counted; nothing of it becomes markup."""
    address = page.url
    page.goto("about:blank")
    page.goto(f"{address}#embedding%5B9%2C9%5D=1;nothing%5B0%5D=2;%3Cimg%3E;embedding%5B0%2C0%5D=3")
    page.wait_for_selector(".edits")
    assert page.get_by_role("alert").inner_text().startswith("3 of the changes")
    assert page.locator(".edits .which").inner_text() == "1 number typed"
    assert page.locator("img").count() == 0
