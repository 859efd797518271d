"""The page in a browser, as somebody uses it: with the mouse, with the keyboard, in the dark, on a telephone."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import clearhead.show.page
from clearhead.cli.show import view_of
from clearhead.problems import bundled, read_problem
from clearhead.show import View
from clearhead.show.export import save
from clearhead.spec import Attention

from ...check.precision.single import in_single

pytestmark = pytest.mark.sweep(3)

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"
MODULES = Path(clearhead.show.page.__file__).parent


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the page of a bundled problem, or of a trace, from disk."""

    def open_page(what, **changes):
        if isinstance(what, str):
            problem = read_problem(what)
            trace = problem.trace()
            save(trace, tmp_path / "page.html", view_of(problem, trace, 3, ()))
        else:
            save(what, tmp_path / "page.html", View("Trace", **changes))
        sheet.goto((tmp_path / "page.html").as_uri())
        sheet.wait_for_selector(".cell-name")
        return sheet

    return open_page


def arithmetic(page):
    return page.locator(".arithmetic").get_attribute("data-text")


def cell(page, row, column, where=".numbers"):
    return page.locator(f'{where} td[data-spot="{row},{column}"]')


def choose(page, line):
    page.locator(f'.card[data-line="{line}"]').click()
    page.wait_for_selector(f'.card[data-line="{line}"][aria-current]')


def lit(page, operand):
    """The row and column of each cell of an operand that is lit."""
    figure = page.locator(".operand", has=page.get_by_role("button", name=operand, exact=True))
    return [cell.get_attribute("data-spot") for cell in figure.locator("td.lit").all()]


def test_the_modules_are_typed():
    """TypeScript finds no fault in them, strictly."""
    done = subprocess.run([NODE / ".bin" / "tsc", "-p", MODULES], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_a_cell_is_told_by_the_mouse(opened):
    """Pointing at a cell shows its arithmetic and lights up what it was made from; leaving shows what was chosen."""
    page = opened("single-head")
    choose(page, "head")
    trace = read_problem("single-head").trace()
    cell(page, 1, 1).hover()
    assert arithmetic(page) == str(trace.explain("head@1", 1, 1))
    columns = trace["weights"].shape[-1]
    assert lit(page, "weights") == [f"1,{column}" for column in range(columns)]
    assert lit(page, "value") == [f"{row},1" for row in range(columns)]
    page.locator(".top h1").hover()
    assert arithmetic(page) == str(trace.explain("head@1", 0, 0))


def test_a_cell_is_told_by_the_keyboard(opened):
    """Arrow keys move through the cells, and a screen reader is told the arithmetic."""
    page = opened("two-heads")
    choose(page, "weights")
    cell(page, 0, 0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expected = str(read_problem("two-heads").trace().explain("weights@1", 1, 1))
    assert arithmetic(page) == expected
    assert page.locator("p[role=status]").inner_text() == expected.replace("\n", "; ")
    assert page.locator(":focus").get_attribute("data-spot") == "1,1"
    page.keyboard.press("Control+End")
    assert page.locator(":focus").get_attribute("data-spot") == "2,2"


def test_an_operand_is_followed_and_the_way_back_is_kept(opened):
    """A number in the arithmetic leads to its own arithmetic, down to what was given, and Backspace leads back."""
    page = opened("soccer")
    trace = read_problem("soccer").trace()
    choose(page, "output")
    cell(page, 1, 0).click()
    seen = []
    while page.locator(".operand-number").count():
        seen.append(page.locator(".cell-name").inner_text())
        page.locator(".operand-number").first.click()
        page.wait_for_function("name => document.querySelector('.cell-name').textContent !== name", arg=seen[-1])
    assert seen == [
        "output[2,1]",
        "concat[2,1]",
        "head@1[2,1]",
        "weights@1[2,1]",
        "scaled@1[2,1]",
        "scores@1[2,1]",
        "query@1[2,1]",
        "input[2,1]",
    ]
    assert arithmetic(page) == str(trace.explain("embedding", 1, 0))
    page.keyboard.press("Backspace")
    page.wait_for_selector('.card[data-line="input"][aria-current]')
    page.locator(".way").get_by_role("button", name="concat[2,1]").click()
    page.wait_for_selector('.card[data-line="concat"][aria-current]')
    assert arithmetic(page) == str(trace.explain("concat", 1, 0))


def test_heads_stand_side_by_side(opened):
    """Each head is drawn; choosing one shows its numbers and the weights between its tokens."""
    page = opened("grouped-query")
    choose(page, "weights")
    trace = read_problem("grouped-query").trace()
    assert page.locator(".head canvas").count() == trace["weights"].shape[0]
    page.locator(".head", has_text="head 3").click()
    assert page.locator(".cell-name").inner_text().startswith("weights@3[")
    page.keyboard.press("ArrowRight")
    assert page.locator(".cell-name").inner_text().startswith("weights@4[")
    page.locator(".tokens .queries button").nth(1).click()
    strongest = int(trace["weights@4"][1].argmax())
    assert arithmetic(page) == str(trace.explain("weights@4", 1, strongest))
    assert page.locator(".tokens path.lit").count() == trace["weights"].shape[-1]


def test_claims_and_their_diagnosis_stand_beside_the_numbers(opened):
    """The page opens at the first number that was claimed otherwise, and says why."""
    page = opened("soccer")
    assert page.locator(".cell-name").inner_text() == "head@1[1,1]"
    assert cell(page, 0, 0).locator(".differs").inner_text().startswith("✗ 0.08860486")
    assert "softmax-over-queries" in page.get_by_role("complementary", name="Diagnosis").inner_text()
    assert page.locator('.card[data-line="query"] .agrees').count() == 1


def test_a_deviation_is_announced_and_marked(sheet, tmp_path):
    """The line that a deviation changed says so."""
    problem = read_problem("two-heads")
    trace = problem.trace("softmax-over-queries")
    save(trace, tmp_path / "page.html", view_of(problem, trace, 3, ("softmax-over-queries",)))
    sheet.goto((tmp_path / "page.html").as_uri())
    sheet.wait_for_selector(".cell-name")
    assert "softmax-over-queries" in sheet.locator(".deviations").inner_text()
    assert [card.get_attribute("data-line") for card in sheet.locator(".card:has(.changed)").all()] == ["weights"]


def test_dark_and_light(opened):
    """The page follows the system, and the reader's choice over it; what is drawn follows too."""
    page = opened("causal-mask")
    light = background(page), drawn(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page), drawn(page)
    assert light != dark
    page.locator(".theme").click()
    assert (background(page), drawn(page)) == light
    page.locator(".theme").click()
    page.emulate_media(color_scheme="light")
    assert (background(page), drawn(page)) == dark


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def drawn(page):
    page.wait_for_timeout(50)
    return page.evaluate("document.querySelector('.card[data-line=scores] canvas').toDataURL()")


THEMES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"color_scheme": "dark", "forced_colors": "active"},
}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("name", ["soccer", "grouped-query", "cross-entropy"])
def test_it_can_be_used_by_everybody(opened, name, theme):
    """axe finds no fault, in any theme: names, roles, contrast, order."""
    page = opened(name)
    page.emulate_media(**theme, reduced_motion="reduce")
    for tab in page.locator(".stage-tab").all()[1:]:
        tab.click()
    page.add_script_tag(path=NODE / "axe-core" / "axe.min.js")
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []


def test_what_is_chosen_is_seen_in_forced_colours(opened):
    """Where backgrounds and shadows are gone, the chosen card, head, cell and term have outlines that others lack."""
    page = opened("soccer")
    page.emulate_media(forced_colors="active")
    page.get_by_role("button", name="Next term").click()
    outline = "each => [getComputedStyle(each).outlineStyle, parseFloat(getComputedStyle(each).outlineWidth)]"
    chosen = [".card[aria-current]", ".head:has(:checked)", ".numbers td.current", ".operand td.glow", ".now"]
    for selector in chosen:
        style, width = page.locator(selector).first.evaluate(outline)
        assert style != "none", selector
        assert width >= 2, selector
    for selector in (".card:not([aria-current])", ".head:not(:has(:checked))", ".numbers td:not(.current)"):
        assert page.locator(selector).first.evaluate(outline)[0] == "none", selector


@pytest.mark.parametrize("name", bundled())
def test_nothing_is_wider_than_a_telephone(opened, name):
    """On 390 pixels only what scrolls by itself is wider than the page, whichever line is looked at."""
    page = opened(name)
    page.set_viewport_size({"width": 390, "height": 800})
    widths = page.evaluate("""async () => {
      const widths = [];
      for (const card of document.querySelectorAll(".card")) {
        card.click();
        await new Promise((go) => setTimeout(go, 20));
        widths.push(document.documentElement.scrollWidth);
      }
      return widths;
    }""")
    assert max(widths) <= 390


def test_it_prints_all_lines(opened):
    """On paper stand all lines with their numbers, and nothing to click on."""
    page = opened("two-heads")
    page.emulate_media(media="print")
    assert page.locator(".paper").is_visible()
    assert not page.locator("#app").is_visible()
    assert page.locator(".paper h3").count() >= len(read_problem("two-heads").trace())


def test_lines_are_printed_two_and_two(opened):
    """Where two lines fit beside each other on paper they stand so; one that is wider has the row; none is cut."""
    page = opened("encoder-block")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 900})
    places = page.evaluate(
        "[...document.querySelectorAll('.paper .lines > section')].map((each) => {"
        " const { left, right, top } = each.getBoundingClientRect();"
        " const name = each.querySelector('h3, h4').textContent.split(' ')[0];"
        " return [name, left, right, top, each.scrollWidth > each.clientWidth]; })"
    )
    rows = {}
    for name, left, right, top, is_cut in places:
        assert not is_cut, name
        assert right <= 681, name
        rows.setdefault(round(top), []).append((left, name))
    assert {len(row) for row in rows.values()} == {1, 2}
    assert [name for row in rows.values() for _, name in sorted(row)] == [name for name, *_ in places]


def test_blank_lines_have_no_numbers_in_the_file(opened, tmp_path):
    """What is left blank is not told, neither in place nor by the arithmetic of others."""
    trace = read_problem("two-heads").trace()
    page = opened(trace, blank=("weights",))
    choose(page, "weights")
    assert page.locator(".numbers td.blank").count() == 9
    assert "left for you" in page.locator(".arithmetic").inner_text()
    choose(page, "head")
    assert arithmetic(page) is None
    assert 'data-line="weights"' not in (tmp_path / "page.html").read_text("utf-8")


def test_names_stand_as_they_are_and_run_as_nothing(sheet, hostile, tmp_path):
    """Tokens and titles that mean something to a browser appear as themselves."""
    from clearhead.spec import Attention

    tokens = tuple(hostile)
    rows = [[float(n % 5), 1.0] for n in range(len(tokens))]
    weights = {f"{name}.weight": [[[1.0, 0.0], [0.5, 1.0]]] for name in ("query", "key", "value")}
    trace = Attention(heads=1, output=False).working().run({"input": rows, **weights}, tokens=tokens)
    title = '</title></script><script>alert(1)</script>=HYPERLINK("x")\\input{y}#panic()'
    save(trace, tmp_path / "page.html", View(title, about="</script><img src=x onerror=alert(1)>"))
    sheet.goto((tmp_path / "page.html").as_uri())
    sheet.wait_for_selector(".cell-name")
    assert sheet.title() == title
    assert sheet.locator("h1").first.inner_text() == title
    choose(sheet, "input")
    assert sheet.locator(".numbers tbody th").nth(3).inner_text() == "<script>alert('1')</script>"
    assert sheet.evaluate("document.querySelectorAll('img, iframe, object, a:not(.skip)').length") == 0
    assert sheet.evaluate("document.scripts.length") == 2 + len(trace)


PAINTED = """([selector, style]) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = getComputedStyle(document.querySelector(selector))[style];
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


def painted(page, selector, style):
    """A computed colour as red, green and blue, however the style sheet mixes it."""
    return page.evaluate(PAINTED, [selector, style])


def luminance(colour):
    parts = [x / 255 / 12.92 if x / 255 <= 0.04045 else ((x / 255 + 0.055) / 1.055) ** 2.4 for x in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_cells_have_the_colour_of_their_sign(opened):
    """Computed styles: above zero bluer than red, below zero redder than blue, deeper the further; zero has none."""
    page = opened("soccer")
    choose(page, "scores")
    values = read_problem("soccer").trace()["scores@1"]
    page.locator(".head", has_text="head 1").click()
    cells = page.evaluate("[...document.querySelectorAll('.numbers td[data-spot]')].map((each) => each.dataset.spot)")
    shades = {spot: painted(page, f'.numbers td[data-spot="{spot}"]', "backgroundColor") for spot in cells}
    assert len({float(value) > 0 for value in values.flat}) == 2
    for (row, column), value in np.ndenumerate(values):
        red, _, blue = shades[f"{row},{column}"]
        assert (blue - red > 12) == (value > 0), (row, column, value)
        assert (red - blue > 12) == (value < 0), (row, column, value)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_wires_and_cards_can_be_seen(opened, theme):
    """Wires and the edges of cards have a contrast of at least 3 to their ground."""
    page = opened("encoder-block")
    page.emulate_media(color_scheme=theme)
    ground = luminance(painted(page, ".flow", "backgroundColor"))
    for selector, style in ((".wires path", "stroke"), (".card", "borderTopColor")):
        ink = luminance(painted(page, selector, style))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 3, selector


def test_wires_lead_from_what_is_read(opened):
    """Each wire is an operand whose numbers the formula reads; one of which only a size is read has none."""
    page = opened("encoder-block")
    wires = page.evaluate(
        "[...document.querySelectorAll('.wires path')].map((each) => [each.dataset.from, each.dataset.to])"
    )
    working = read_problem("encoder-block").trace().working
    expected = {
        (operand, line.name)
        for line in working.lines
        for role, operand in zip(line.formula.roles, line.operands, strict=True)
        if role in line.formula.read
    }
    folded = {each.get_attribute("data-line") for each in page.locator(".card.fold").all()}
    assert folded == {each.name for each in working.givens} - {"embedding"}
    assert set(map(tuple, wires)) == {(source, target) for source, target in expected if source not in folded}
    assert sum(len(line.operands) for line in working.lines) > len(expected)


def test_symbols_are_introduced_and_conditions_are_set_apart(opened):
    """A line's letter stands beside its name, and its operands' letters beside theirs; a space follows "if"."""
    page = opened("encoder-block")
    choose(page, "attention.query")
    assert page.locator(".line-head .symbol mi").first.text_content() == "Q"
    assert page.locator(".operand .symbol").count() == len(
        read_problem("encoder-block").trace().working.line("attention.query").operands
    )
    choose(page, "position")
    assert "if\u00a0" in page.locator("#line .formula").inner_text().replace(" ", "\u00a0")
    assert "if\u00a0" in page.locator("#line .formula mtext").first.text_content()


LOW = """async () => {
  const found = [];
  for (const card of document.querySelectorAll(".card")) {
    card.click();
    await new Promise((go) => setTimeout(go, 30));
    const seen = [".flow", ".cell", ".numbers td.current"].map((each) => document.querySelector(each));
    found.push([card.dataset.line, Math.max(...seen.map((each) => each.getBoundingClientRect().bottom))]);
  }
  const flow = document.querySelector(".flow");
  return [found, flow.scrollWidth - flow.clientWidth];
}"""


@pytest.mark.parametrize("name", bundled())
def test_flow_numbers_and_arithmetic_are_on_one_screen(opened, name):
    """At 1280 x 800, whichever line is chosen, the flow as a whole, the chosen cell and its arithmetic are in view."""
    page = opened(name)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_timeout(100)
    found, wider = page.evaluate(LOW)
    assert [(line, low) for line, low in found if low > 800] == []
    assert wider <= 0


CROSSED = """() => {
  const board = document.querySelector(".board").getBoundingClientRect();
  const cards = [...document.querySelectorAll(".box")]
    .map((box) => [box.firstChild.dataset.line, box.getBoundingClientRect()]);
  return [...document.querySelectorAll(".wires path")].flatMap((path) => {
    const { from, to } = path.dataset;
    const steps = Array.from({ length: 200 }, (_, n) => path.getPointAtLength((n / 199) * path.getTotalLength()));
    const within = (at, low, high) => at > low + 2 && at < high - 2;
    const inside = ([, box]) => steps.some(({ x, y }) =>
      within(x + board.left, box.left, box.right) && within(y + board.top, box.top, box.bottom));
    return cards.filter(inside).map(([name]) => [from, to, name]);
  });
}"""


@pytest.mark.parametrize("name", ["rotary", "decoder-block"])
def test_wires_go_around_cards(opened, name):
    """No wire passes through a card, its own ends included."""
    assert opened(name).evaluate(CROSSED) == []


def test_the_flow_is_one_stop_of_the_tab_key(opened):
    """One card takes the focus; arrows go to the nearest card in their direction and open its line."""
    page = opened("soccer")
    assert page.locator('.flow [tabindex="0"]').count() == 1
    page.locator('.flow [tabindex="0"]').focus()
    for key, line in [("ArrowRight", "concat"), ("ArrowLeft", "head"), ("ArrowLeft", "weights")]:
        page.keyboard.press(key)
        page.wait_for_selector(f'.card[data-line="{line}"][aria-current][tabindex="0"]')
        assert page.locator(":focus").get_attribute("data-line") == line
    assert page.locator('.flow [tabindex="0"]').count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.flow')") is None


@pytest.mark.parametrize("width", [390, 1280])
def test_all_text_of_the_flow_can_be_read(opened, width):
    """No letter in a card is smaller than 9 pixels, on a telephone or a screen."""
    page = opened("encoder-block")
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(100)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.flow *')].filter((each) => each.textContent.trim())"
        ".map((each) => parseFloat(getComputedStyle(each).fontSize) * each.currentCSSZoom)"
    )
    assert min(sizes) >= 9


def test_a_verdict_that_is_all_there_is_to_say_stands_once(opened):
    """Where all claims agree the verdict has no section of its own and no link to one; else it has both."""
    page = opened("single-head")
    told = "The numbers agree with the working, at the precision they were written in."
    assert page.locator(".verdict.good").inner_text() == told
    assert page.locator(".diagnosis").count() == 0
    page = opened("soccer")
    page.locator(".verdict.warning").get_by_role("button", name="Why").click()
    assert page.locator(".diagnosis").is_visible()


def test_the_diagnosis_marks_what_differs_and_folds_details(opened):
    """Of two formulas the changed subscripts alone are marked; the data that would tell causes apart can be opened."""
    page = opened("soccer")
    was, now = page.locator(".diagnosis .formula").all()[:2]
    for formula, marked in ((was, ["i", "k"]), (now, ["k", "j"])):
        assert formula.locator("math .differs").all_text_contents() == marked
    assert page.locator(".diagnosis").bounding_box()["height"] < 2200
    page.locator(".diagnosis .details summary").click()
    assert page.locator(".diagnosis .details table").first.is_visible()


def test_on_a_telephone_the_arithmetic_follows_the_matrix(opened):
    """The numbers, then the arithmetic of the chosen cell, then who looks at whom."""
    page = opened("causal-mask")
    page.set_viewport_size({"width": 390, "height": 844})
    tops = [page.locator(each).bounding_box()["y"] for each in (".numbers .grid", ".cell", ".tokens")]
    assert tops == sorted(tops)
    assert tops[1] < 844


def test_tools_stay_on_one_line_beside_a_long_title(opened):
    """A long title is broken, not the row of buttons behind it."""
    page = opened("raschka-linear")
    page.set_viewport_size({"width": 1280, "height": 800})
    middle = [
        box["y"] + box["height"] / 2
        for box in (page.locator(each).bounding_box() for each in (".tools.edits", ".theme"))
    ]
    assert abs(middle[0] - middle[1]) < 12


def test_an_older_browser_reads_the_same_numbers(opened):
    """Without the browser's own reading of base 64 the page decodes it itself."""
    page = opened("soccer")
    with_it = page.locator(".arithmetic").get_attribute("data-text")
    page.add_init_script("delete Uint8Array.fromBase64")
    page = opened("soccer")
    assert page.evaluate("Uint8Array.fromBase64") is None
    assert page.locator(".arithmetic").get_attribute("data-text") == with_it


def test_numbers_that_are_right_in_single_precision_have_ticks(sheet, tmp_path):
    """Where the verdict is that numbers are right as float32 gives them, cells, cards and print say so too."""
    problem = read_problem("encoder-block")
    problem = replace(problem, claims=in_single(problem, "mlp.norm"))
    save(problem.trace(), tmp_path / "page.html", view_of(problem, problem.trace(), 3, ()))
    sheet.goto((tmp_path / "page.html").as_uri())
    sheet.wait_for_selector(".cell-name")
    assert "right to 6 digits" in sheet.locator(".verdict").inner_text()
    choose(sheet, "mlp.norm")
    assert sheet.locator(".claim.agrees").count() == 12
    assert sheet.locator(".differs, .claim.differs").count() == 0
    printed = sheet.locator(".paper").inner_text()
    assert "Claimed, and right: mlp.norm." in printed
    assert "claimed numbers differ" not in printed


def test_a_matrix_with_many_rows_ends_with_the_window(opened):
    """On a screen of 1280 x 800 the chosen last row and its arithmetic are in view together; the head stays."""
    rng = np.random.default_rng(0)
    working = Attention(heads=2).working()
    sizes = {"token": 30, "model": 4, "head": 2, "depth": 2, "head*depth": 4}
    page = opened(
        working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    )
    page.set_viewport_size({"width": 1280, "height": 800})
    choose(page, "weights")
    for selector in (".numbers td.current", ".arithmetic", ".numbers thead th"):
        box = page.locator(selector).first.bounding_box()
        assert box["y"] >= 0, selector
        assert box["y"] + box["height"] <= 800, selector
    assert cell(page, 29, 0).get_attribute("aria-selected") == "true"
    cell(page, 29, 0).click()
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    current, head = page.locator(".numbers td.current").bounding_box(), page.locator(".numbers thead").bounding_box()
    assert current["y"] >= head["y"]
    assert page.evaluate("scrollY") == 0
