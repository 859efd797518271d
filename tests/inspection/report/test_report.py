"""The report in a browser, as somebody uses it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

import clearhead.inspection.report.page
from clearhead.inspection.report.page.content import KEPT_BITS, shortened

NODE = Path(__file__).parents[3] / ".cache" / "node" / "node_modules"
MODULES = Path(clearhead.inspection.report.page.__file__).parent


def test_the_modules_are_typed():
    """TypeScript finds no fault in them, strictly."""
    done = subprocess.run([NODE / ".bin" / "tsc", "-p", MODULES], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.fixture
def opened(sheet, tmp_path):
    """A function that opens the report of a survey from disk."""

    def open_report(survey):
        survey.save(tmp_path / "report.html")
        sheet.goto((tmp_path / "report.html").as_uri())
        sheet.wait_for_selector('html[data-shown="0,0"]')
        return sheet

    return open_report


def test_a_head_is_chosen_and_the_text_zoomed(opened, hostile):
    """Keys choose a head, whose numbers are told; the wheel zooms; a pair marks its tokens; hostile text is text."""
    page = opened(replace(hostile, missing=(1,)))
    assert page.locator(".remark").inner_text() == "Interrupted: layer 1 of the model is missing."
    page.locator(".heat").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector('html[data-shown="1,1"]')
    assert page.locator(".one-head h2").inner_text() == "Layer 1, head 1"
    entropy = float(page.locator(".facts dd").first.inner_text())
    assert entropy == pytest.approx(hostile.summary().entropy[1, 1], rel=6e-3)
    parts = page.locator(".bands .weight").all_inner_texts()
    np.testing.assert_allclose([float(part[:-2]) for part in parts], 100 * hostile[1].bands[1], atol=0.051)
    assert page.locator(".text").inner_text().startswith("<script>alert(1)</script> </script><img src=x")
    page.locator(".strip").hover(position={"x": 900, "y": 60})
    page.mouse.wheel(0, -400)
    page.locator(".strip").focus()
    page.keyboard.press("End")
    page.locator(".page h1").hover()
    assert page.locator(".card-box .said").nth(2).inner_text() == "Tokens 1 to 8 of 9"
    page.get_by_role("button", name="All", exact=True).first.click()
    page.locator(".pairs button").first.click()
    assert page.locator(".text .current").count() == 2
    assert page.locator("img").count() == 0


def test_the_map_says_each_share(opened, hostile):
    """A square under the pointer, or reached by keys, says its share, the survey's; a click marks its tokens."""
    page = opened(hostile)
    share = page.locator(".map .said b")
    page.locator(".map canvas").focus()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    assert float(share.inner_text()[:-2]) == pytest.approx(100 * hostile.maps[0][0, 0, 0], rel=6e-3)
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert float(share.inner_text()[:-2]) == pytest.approx(100 * hostile.maps[0][0, 4, 1], rel=6e-3)
    side = page.locator(".map canvas").bounding_box()["width"]
    page.locator(".map canvas").hover(position={"x": side * 2.5 / 9, "y": side * 7.5 / 9})
    assert float(share.inner_text()[:-2]) == pytest.approx(100 * hostile.maps[0][0, 7, 2], rel=6e-3)
    page.locator(".map canvas").click(position={"x": side * 2.5 / 9, "y": side * 7.5 / 9})
    assert page.locator(".text .current").count() == 2
    assert page.locator("img").count() == 0


def test_a_report_without_maps_says_so(opened, hostile):
    """Of a text that is too long there is no map, and the report says that instead of showing an empty one."""
    page = opened(replace(hostile, maps={}))
    assert page.locator(".map .says").nth(1).inner_text().startswith("There is no map in this file")
    assert not page.locator(".map canvas").is_visible()


def test_numbers_along_the_text_have_three_digits():
    """What is shortened differs by less than half of a unit in the last bit kept; zeros stay zero."""
    numbers = np.random.default_rng(0).lognormal(sigma=6, size=1000).astype(np.float32)
    np.testing.assert_allclose(shortened(numbers), numbers, rtol=2.0 ** -(KEPT_BITS + 1))
    np.testing.assert_array_equal(shortened(np.zeros(3, np.float32)), 0)


def test_the_chosen_square_is_told_of_every_head(opened, hostile):
    """Its share in each head, with the means of the head's layer and of its number in all layers."""
    page = opened(hostile)
    page.locator(".map canvas").focus()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Chosen square").click()
    page.wait_for_selector('button[data-name="square"][aria-pressed=true]')
    shares = np.array([hostile.maps[layer][:, 5, 0] for layer in (0, 1)])
    page.locator(".heat").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('html[data-shown="1,0"]')
    said = page.locator(".heads-overview .said").inner_text()
    own, layer, head = [float(part.split()[-1].strip("()")) for part in said.replace(" (", ",").split(",")][-3:]
    expected = (shares[1, 0], shares[1].mean(), shares[:, 0].mean())
    np.testing.assert_allclose((own, layer, head), expected, rtol=6e-3)


THEMES = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"color_scheme": "dark", "forced_colors": "active"},
}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_it_can_be_used_by_everybody(opened, hostile, theme):
    """axe finds no fault, in any theme."""
    page = opened(hostile)
    page.emulate_media(**theme, reduced_motion="reduce")
    page.add_script_tag(path=NODE / "axe-core" / "axe.min.js")
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
