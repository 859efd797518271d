"""What a notebook shows of a trace, a working, a problem and a report."""

from html import unescape

import numpy as np
import pytest

from clearhead import Attention, diagnose, read_problem


@pytest.fixture
def shown():
    """The four things that show themselves."""
    problem = read_problem("two-heads")
    trace = problem.trace()
    return {
        "trace": trace,
        "working": trace.working,
        "problem": problem,
        "report": diagnose(problem.claims, problem.textbook().run(problem.arrays), max_deviations=1),
    }


def test_each_has_text_for_where_there_is_no_page(shown):
    """A terminal, or a site that shows no HTML, has the text."""
    text = {name: each._repr_mimebundle_(include=None, exclude=None)["text/plain"] for name, each in shown.items()}
    assert "weights (head=2, query=3, key=3)" in text["trace"]
    assert "weights[i,j] = exp(scaled[i,j])/(sum_k exp(scaled[i,k]))" in text["working"]
    assert text["problem"].startswith("Two heads, a residual and a norm")
    assert text["report"].startswith("Diagnosis")


def test_an_explanation_shows_its_formula_and_numbers():
    """A cell last in a notebook shows formula and arithmetic; at a prompt its repr is the arithmetic."""
    explained = read_problem("two-heads").trace().explain("weights@1", 0, 0)
    bundle = explained._repr_mimebundle_(include=None, exclude=None)
    assert "weights[i,j] = exp(scaled[i,j])/(sum_k exp(scaled[i,k]))" in bundle["text/plain"]
    assert str(explained) in bundle["text/plain"]
    assert "<math" in unescape(bundle["text/html"])
    assert repr(explained) == str(explained)


def test_several_stand_in_one_notebook(sheet, shown, tmp_path):
    """Each is a page of its own: all work side by side, twice over, and none reaches the notebook."""
    frames = [each._repr_mimebundle_()["text/html"] for each in shown.values()]
    notebook = f"<!DOCTYPE html><title>notebook</title><p class='cell'>Mine</p>{''.join(frames * 2)}"
    (tmp_path / "notebook.html").write_text(notebook)
    sheet.goto((tmp_path / "notebook.html").as_uri())
    for at, name in enumerate([*shown, *shown]):
        frame = sheet.frame_locator("iframe").nth(at)
        if name in ("trace", "problem"):
            frame.locator(".arithmetic").wait_for()
        else:
            frame.get_by_role("heading").first.wait_for()
    assert sheet.evaluate("getComputedStyle(document.querySelector('.cell')).borderTopWidth") == "0px"
    assert sheet.evaluate("[...document.querySelectorAll('iframe')].every((each) => each.contentDocument === null)")


def test_a_large_trace_is_told_in_words():
    """A notebook does not grow by megabytes: of what is too large it says how to write a page."""
    sizes = {"token": 260, "model": 3, "head": 2, "depth": 5, "head*depth": 10}
    working = Attention(heads=2).working()
    arrays = {each.name: np.ones([sizes[word] for word in each.axes]) for each in working.givens}
    bundle = working.run(arrays)._repr_mimebundle_()
    assert "too many to show here" in bundle["text/plain"]
    assert len(bundle["text/html"]) < 200_000
