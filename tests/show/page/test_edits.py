"""Numbers changed in the page, offline: every line follows as Python would have it; claims, undo, address, file."""

import json
import os

import numpy as np
import pytest
from playwright.sync_api import Error

from clearhead.cli.show import view_of
from clearhead.dust import without_dust
from clearhead.expr.text import fixed
from clearhead.problems import bundled, parse_problem, read_problem
from clearhead.show import View
from clearhead.show.export import save
from clearhead.show.page.assemble import program
from clearhead.show.page.content import content_of
from clearhead.spec import Attention, Rotary

pytestmark = pytest.mark.sweep(3)

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
        elif array.dtype.kind == "i":
            yield name, cell, str(random.integers(2))
        else:
            yield name, cell, repr(round(float(random.normal(0, 2)), int(random.integers(0, 6))))


def assert_followed(modules, problem, changes):
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    for (name, cell, written), found in zip(changes, typed(modules, problem, changes), strict=True):
        arrays[name][cell] = {"yes": True, "no": False}.get(written) if written in ("yes", "no") else float(written)
        trace = problem.working().run(arrays)
        for line in trace:
            expected = trace.numpy(line).astype(float).ravel()
            page = numbers(found[line])
            if not np.allclose(page, expected, rtol=1e-12, atol=1e-12, equal_nan=True):
                bound = 1e-12 + ROUNDINGS * rounding_error(problem, arrays, line)
                np.testing.assert_allclose(page, expected, rtol=1e-12, atol=bound, err_msg=line)


ROUNDINGS = 4
"""How many times its own rounding error a number may be off, where this error is larger than 1e-12."""


def rounding_error(problem, arrays, line):
    """How far a line moves if the given numbers move by one unit of their last bit: the largest of a few draws."""
    random = np.random.default_rng(0)
    working = problem.working()
    exact = working.run(arrays)[line]
    moved = (
        {name: each * (1 + random.choice([-1, 1], each.shape) * 2.0**-52) if each.dtype.kind == "f" else each
         for name, each in arrays.items()}
        for _ in range(6)
    )  # fmt: skip
    return max(float(np.nanmax(np.abs(working.run(each)[line] - exact))) for each in moved)


@pytest.mark.parametrize("name", bundled())
def test_every_line_follows_as_in_python(modules, name):
    """Random changes of given numbers, one upon the other: all lines equal Python's to 1e-12."""
    problem = read_problem(name)
    assert_followed(modules, problem, list(random_changes(problem, 7, EDITS)))


def test_only_whole_numbers_name_classes(modules):
    """What names a class is a whole number: another is refused."""
    with pytest.raises(Error, match="A whole number, from 0, is expected here"):
        typed(modules, read_problem("cross-entropy"), [("target", (1,), "0.5")])


def test_large_scores_do_not_overflow(modules):
    """Exponents beyond what a number holds still give weights."""
    problem = read_problem("single-head")
    cell = (0,) * problem.arrays["query.weight"].ndim
    assert_followed(modules, problem, [("query.weight", cell, "1e5"), ("input", (0, 0), "-3e4")])


def test_a_page_of_many_numbers_follows_as_in_python(modules, arrays_for, sizes):
    """Sums of products are taken whole, and come to what Python has: 24 tokens, 4 heads, each line to 1e-12."""
    working = Attention(heads=4, kv_heads=2, causal=True, bias=True, rotary=Rotary()).working()
    arrays = arrays_for(working, {**sizes, "token": 24, "query": 24, "key": 24})
    content, packed = content_of(working.run(arrays), View())
    data = json.loads(json.dumps(content | {"arrays": packed}))
    found = modules.evaluate(TYPE, [data, packed, [["input", [3, 2], "1.5"]]])[0]
    arrays["input"][3, 2] = 1.5
    trace = working.run(arrays)
    for line in trace:
        expected = trace.numpy(line).astype(float).ravel()
        np.testing.assert_allclose(numbers(found[line]), expected, rtol=1e-12, atol=1e-12, err_msg=line)


CANCELLING = ("0.1", "0.2", "-0.3", "0.7", "-0.4", "1.1")
"""Numbers whose sums and products are often 0 by hand, and seldom in a computer."""


@pytest.mark.parametrize(("name", "count"), [("soccer", 30), ("padding-mask", 100), ("head-backward", 150)])
def test_dust_is_zero_after_an_edit_as_in_python(modules, name, count):
    """Where Python shows 0 in place of a rounding error, so does the page, and nowhere else."""
    problem = read_problem(name)
    random = np.random.default_rng(11)
    changes = [(name, cell, str(random.choice(CANCELLING))) for name, cell, _ in random_changes(problem, 11, count)
               if problem.arrays[name].dtype.kind == "f"]  # fmt: skip
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    dusty = 0
    for (given, cell, written), found in zip(changes, typed(modules, problem, changes), strict=True):
        arrays[given][cell] = float(written)
        trace = problem.working().run(arrays)
        clean = without_dust(trace)
        for line in clean.working.lines:
            dusty += np.count_nonzero(clean[line.name] != trace[line.name])
            assert ((numbers(found[line.name]) == 0) == (clean[line.name].ravel() == 0)).all(), line.name
    assert dusty


def test_a_small_number_that_is_right_keeps_its_digits(modules):
    """A weight of 1e-30 is no rounding error, however small it is beside the scores."""
    problem = read_problem("single-head")
    (found,) = typed(modules, problem, [("input", (0, 0), "30")])
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    arrays["input"][0, 0] = 30
    expected = problem.working().run(arrays)["weights"].ravel()
    assert (expected[expected < 1e-12] > 0).any()
    np.testing.assert_allclose(numbers(found["weights"]), expected, rtol=1e-9)


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
    page.wait_for_function("location.hash")
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
    page.wait_for_function("!location.href.includes('#')")


def test_what_cannot_be_read_stays_with_the_reason(page):
    """Text that is no number stays in its cell, with what was expected beside it; Escape gives it up."""
    choose(page, "embedding")
    type_into(page, 0, 0, "1/0")
    assert "A number such as" in page.locator(".reason").inner_text()
    assert page.locator(".numbers input").input_value() == "1/0"
    page.keyboard.press("Escape")
    assert page.locator(".numbers input").count() == 0
    assert page.locator(".edits .which").inner_text() == ""


@pytest.mark.parametrize("text", ["abc", "x", "1,2,3"])
def test_any_sign_begins_an_edit(page, text):
    """A letter typed at a cell is not swallowed: it stays there, and below it stands what was expected."""
    choose(page, "embedding")
    type_into(page, 0, 0, text)
    assert f"got “{text}”" in page.locator(".numbers .reason").inner_text()
    assert page.locator(".numbers input").input_value() == text


def test_an_edit_leaves_all_cells_in_place(page):
    """No cell of the line and of its operands is made anew, so the focus stays; each shows its number of now."""
    choose(page, "weights")
    page.evaluate("for (const each of document.querySelectorAll('td[data-spot]')) each.wasHere = true")
    type_into(page, 1, 0, "0.25")
    assert page.locator(":focus").get_attribute("data-spot") == "1,0"
    assert page.locator(":focus .claim").inner_text().startswith("✗ 0.25")
    page.get_by_role("button", name="Undo").click()
    assert page.locator(".numbers .claim").count() == 0
    assert page.evaluate("[...document.querySelectorAll('td[data-spot]')].every((each) => each.wasHere)")


def test_numbers_in_cells_that_stay_are_those_of_now(page):
    """A line that is looked at while a number before it changes shows, cell by cell, what a new page would."""
    address = page.url
    choose(page, "embedding")
    type_into(page, 0, 1, "1.5")
    choose(page, "weights")
    page.keyboard.press("Control+z")
    undone = page.locator(".inspector").inner_html()
    page.keyboard.press("Control+Shift+z")
    redone = page.locator(".inspector").inner_html()
    page.wait_for_function("location.hash")
    for shown, at in ((redone, page.url), (undone, address)):
        page.goto("about:blank")
        page.goto(at)
        page.wait_for_selector(".edits")
        choose(page, "weights")
        assert page.locator(".inspector").inner_html() == shown


def test_a_claim_is_compared_at_once(page):
    """A number typed into a line is compared with it at its own precision; nothing is sent to a server."""
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


NOTES = """async ([content, arrays, changes]) => {
  const trace = new $trace.Trace(content, (name) => arrays[name].data);
  await trace.ready(...trace.lines.keys());
  const edits = new $edits.Edits(trace);
  for (const [line, cell, written] of changes) edits.type(line, [{ cell, written }]);
  edits.doubt();
  return trace.content.lines.map((line) => [line.name, line.notes, [...trace.arrays.get(line.name)].map(String)]);
}"""

SUMS = """
format = 1
title = "Sums that cancel"
given = ["query", "key"]
until = ["scores"]
[attention]
heads = 1
output = false
[arrays]
query = [[[1.0, 1.0], [0.5, 0.25], [0.31, 0.77]]]
key = [[[1, 1], [1, 0.5], [0.35, 0.35]]]
"""


def shown_in_the_page(modules, problem, changes, decimals):
    """Of each line: its notes and its numbers after changes that are typed into the page."""
    content, arrays = content_of(problem.trace(), View(decimals=decimals))
    data = json.loads(json.dumps(content | {"arrays": arrays}))
    found = modules.evaluate(NOTES, [data, arrays, [[name, list(cell), written] for name, cell, written in changes]])
    return {name: (notes, numbers(texts)) for name, notes, texts in found}


def test_a_digit_that_may_be_wrong_is_said(modules):
    """2.3 - 2.285 is 0.015, and 0.01 or 0.02 to two decimals: the page says of that cell that it does not know."""
    changes = [("query", (0, 0, 0), "2.3"), ("query", (0, 0, 1), "-2.285")]
    (note,) = shown_in_the_page(modules, parse_problem(SUMS), changes, 2)["scores"][0]
    assert note.startswith("The last digit shown of [1,1,1] may be wrong by one")
    assert shown_in_the_page(modules, parse_problem(SUMS), changes, 3)["scores"][0] == []


def test_every_digit_after_an_edit_is_right_or_said_not_to_be_certain(modules):
    """After edits whose sums cancel, each number is shown as Python shows it certified, or its line has a note."""
    rng, said = np.random.default_rng(3), 0
    for _ in range(40):
        a = round(float(rng.uniform(1, 3000)), 2)
        b = round(int(rng.integers(1, 99)) / 100 + 0.005 - a, 3)
        changes = [("query", (0, 0, 0), str(a)), ("query", (0, 0, 1), str(b))]
        problem = parse_problem(SUMS.replace("[1.0, 1.0]", f"[{a}, {b}]"))
        notes, page = shown_in_the_page(modules, parse_problem(SUMS), changes, 2)["scores"]
        right = problem.trace()["scores"].ravel()
        wrong = [fixed(float(x), 2) != fixed(float(y), 2) for x, y in zip(page, right, strict=True)]
        assert notes or not any(wrong)
        said += bool(notes)
    assert said
