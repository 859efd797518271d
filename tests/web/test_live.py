"""The live page in a browser, served for real on this machine."""

import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from msgspec.structs import replace

from clearhead.problems import format_problem, read_problem
from clearhead.web import application
from clearhead.web.guard import hosts_of

from ..check.precision.single import in_single

NODE = Path(__file__).parents[2] / ".cache" / "node" / "node_modules"


@contextmanager
def serving(problem):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = application(format_problem(problem), hosts_of("127.0.0.1", port))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join()


@pytest.fixture
def live(sheet):
    """The live page of the two heads."""
    with serving(read_problem("two-heads")) as address:
        sheet.goto(address)
        sheet.wait_for_selector(".cell-name")
        yield sheet
        sheet.goto("about:blank")


def choose(page, line):
    page.locator(f'.card[data-line="{line}"]').click()
    page.wait_for_selector(f'.card[data-line="{line}"][aria-current]')


def cell(page, row, column):
    return page.locator(f'.numbers td[data-spot="{row},{column}"]')


def test_a_number_is_typed_and_all_follows(live):
    """The number changes, and what is made from it; the cell keeps the focus for the next."""
    choose(live, "input")
    cell(live, 0, 0).click()
    live.keyboard.type("4")
    live.keyboard.press("Enter")
    live.get_by_text("unrounded 4").wait_for()
    live.keyboard.press("ArrowRight")
    assert live.locator(":focus").get_attribute("data-spot") == "0,1"
    problem = read_problem("two-heads")
    arrays = {name: array.copy() for name, array in problem.arrays.items()}
    arrays["input"][0, 0] = 4
    expected = problem.working().run(arrays)
    choose(live, "head")
    assert live.locator(".arithmetic").get_attribute("data-text") == str(expected.explain("head@1", 0, 0))


def test_a_claim_is_typed_and_explained(live):
    """A number typed into a line is compared with it, and the diagnosis follows."""
    live.locator("select").first.select_option("single-head")
    live.get_by_role("heading", name="One head, by hand").wait_for()
    choose(live, "weights")
    trace = read_problem("single-head").trace("softmax-over-queries")
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in trace["weights@1"])
    cell(live, 0, 0).click()
    live.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text", text);
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true})); }""",
        rows,
    )
    live.wait_for_selector(".numbers .claim.differs")
    live.get_by_role("heading", name="softmax-over-queries").wait_for(timeout=30_000)
    live.get_by_label("Only hints").check()
    live.get_by_label("Diagnosis").get_by_text("Look first at weights").wait_for(timeout=30_000)
    assert not live.get_by_role("heading", name="softmax-over-queries").count()


def test_a_deviation_is_tried_and_taken_back(live):
    """It is announced, marked in its line, and gone again."""
    live.locator(".deviate summary").click()
    live.get_by_role("searchbox").fill("columns of the scores")
    box = live.locator("input[value='softmax-over-queries']")
    box.check()
    live.wait_for_selector('.card[data-line="weights"] .changed')
    assert "softmax-over-queries" in live.locator(".deviations").inner_text()
    box.uncheck()
    live.wait_for_selector(".deviations", state="detached")


def test_the_problem_can_be_taken_away_and_opened_again(live, tmp_path):
    """As a file that the page, or anybody, reads again."""
    live.get_by_label("Kind of file").select_option(".toml")
    with live.expect_download() as loading:
        live.get_by_role("button", name="Download").click()
    loading.value.save_as(tmp_path / "mine.toml")
    assert read_problem(tmp_path / "mine.toml") == read_problem("two-heads")
    changed = (tmp_path / "mine.toml").read_text("utf-8").replace("Two heads, a residual and a norm", "Mine <b>now</b>")
    (tmp_path / "mine.toml").write_text(changed)
    live.locator("input[type=file]").set_input_files(tmp_path / "mine.toml")
    live.get_by_role("heading", name="Mine <b>now</b>").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_used_by_everybody(live, theme):
    """axe finds no fault with the tools and the deviations, on a telephone too."""
    live.set_viewport_size({"width": 390, "height": 900})
    live.emulate_media(color_scheme=theme, reduced_motion="reduce")
    live.get_by_role("heading", name="Why they differ").wait_for(timeout=30_000)
    live.locator(".deviate summary").click()
    live.evaluate((NODE / "axe-core" / "axe.min.js").read_text("utf-8"))
    found = live.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    assert live.evaluate("document.documentElement.scrollWidth") <= 390


def test_work_is_kept_and_undone(live):
    """A reload loses nothing; a change is undone and redone; Reset goes back to the problem that is served."""
    choose(live, "input")
    cell(live, 0, 0).click()
    live.keyboard.type("1,5")
    live.keyboard.press("Enter")
    live.get_by_text("unrounded 1.5").wait_for()
    live.reload()
    live.wait_for_selector(".cell-name")
    choose(live, "input")
    cell(live, 0, 0).click()
    live.get_by_text("unrounded 1.5").wait_for()
    live.keyboard.type("7")
    live.keyboard.press("Enter")
    live.get_by_text("unrounded 7").wait_for()
    live.keyboard.press("Control+z")
    live.get_by_text("unrounded 1.5").wait_for()
    live.get_by_role("button", name="Redo").click()
    live.get_by_text("unrounded 7").wait_for()
    live.get_by_role("button", name="Reset").click()
    live.get_by_text("unrounded 1", exact=True).wait_for()
    live.reload()
    live.wait_for_selector(".cell-name")
    choose(live, "input")
    cell(live, 0, 0).click()
    live.get_by_text("unrounded 1", exact=True).wait_for()
    assert live.get_by_role("button", name="Undo").is_disabled()


def test_what_cannot_be_read_stays_at_its_cell(live):
    """The reason stands below the cell, where the text is kept, be it letters or figures; nothing is sent."""
    choose(live, "input")
    for text in ("1/0", "half"):
        cell(live, 0, 0).click()
        live.keyboard.type(text)
        live.keyboard.press("Enter")
        assert f"got “{text}”" in live.locator(".numbers .reason").inner_text()
        assert live.locator(".numbers input").input_value() == text
        live.keyboard.press("Escape")
    assert live.locator(".alert").is_hidden()


def test_a_verdict_on_other_numbers_does_not_stay(live):
    """While the cause is looked for, the page says so, and not what it found for the numbers of before."""
    live.locator(".verdict", has_text="explained").wait_for(timeout=30_000)
    live.route("**/diagnosis", lambda _: None)  # it never answers
    choose(live, "input")
    cell(live, 0, 0).click()
    live.keyboard.type("9")
    live.keyboard.press("Enter")
    live.get_by_text("unrounded 9").wait_for()
    live.locator(".verdict", has_text="Looking for the cause").wait_for()
    assert live.get_by_role("heading", name="norm-over-matrix").count() == 0


def test_a_number_stays_while_the_server_works(live):
    """What was typed stands in its cell at once, in italics, until the lines follow; refused, it is as before."""
    held = []
    live.route("**/work", lambda route: held.append(route))

    def asked():
        for _ in range(3000):
            if held:
                return held.pop()
            live.wait_for_timeout(10)
        raise AssertionError("the page asks for nothing")

    choose(live, "input")
    before = cell(live, 0, 0).locator(".number").inner_text()
    cell(live, 0, 0).click()
    live.keyboard.type("4,5")
    live.keyboard.press("Enter")
    live.wait_for_selector("td.waiting")
    assert cell(live, 0, 0).locator(".number").inner_text() == "4.5"
    asked().fulfill(status=422, body="No.")
    live.wait_for_selector("td.waiting", state="detached")
    assert cell(live, 0, 0).locator(".number").inner_text() == before
    live.keyboard.type("4,5")
    live.keyboard.press("Enter")
    live.wait_for_selector("td.waiting")
    asked().continue_()
    live.get_by_text("unrounded 4.5").wait_for()
    assert live.locator("td.waiting").count() == 0


def test_what_the_server_has_not_answered_is_not_lost(live):
    """A number that was typed just before the page is loaded again is asked for once more, and is there."""
    live.route("**/work", lambda _: None)  # it does not answer in time
    choose(live, "input")
    cell(live, 0, 0).click()
    live.keyboard.type("7,25")
    live.keyboard.press("Enter")
    live.wait_for_selector("td.waiting")
    live.unroute("**/work")
    live.reload()
    live.wait_for_selector(".cell-name")
    choose(live, "input")
    cell(live, 0, 0).get_by_text("7.25").wait_for()
    assert live.get_by_role("button", name="Undo").is_enabled()


def test_numbers_that_are_right_in_single_precision_are_marked_right(sheet):
    """When the verdict is that numbers are right as float32 gives them, no cell keeps its cross."""
    problem = read_problem("encoder-block")
    with serving(replace(problem, claims=in_single(problem, "mlp.norm"))) as address:
        sheet.goto(address)
        sheet.locator(".verdict", has_text="right to 6 digits").wait_for(timeout=30_000)
        choose(sheet, "mlp.norm")
        sheet.wait_for_selector(".numbers td.ticked")
        assert sheet.locator(".claim.agrees").count() == 12
        assert sheet.locator(".differs").count() == 0
        sheet.goto("about:blank")
