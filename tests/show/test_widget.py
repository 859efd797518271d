"""A problem as a widget of a notebook: the frame in a browser, and what comes back to Python."""

import json

import numpy as np
import pytest

import clearhead
from clearhead.problems import read_problem
from clearhead.show.page.assemble import frame

HOST = """<!doctype html><body><div id="el"></div><script type="module">
const url = URL.createObjectURL(new Blob([MODULE], { type: "text/javascript" }));
const { default: widget } = await import(url);
const heard = new Map();
window.state = STATE;
window.saved = [];
const model = {
  get: (name) => window.state[name],
  set: (name, value) => { window.state[name] = value; },
  save_changes: () => window.saved.push(window.state.text),
  on: (event, each) => heard.set(event, each),
  off: (event) => heard.delete(event),
};
window.heard = heard;
window.end = widget.render({ model, el: document.getElementById("el") });
</script>"""


@pytest.fixture
def widget():
    return clearhead.widget("soccer")


@pytest.fixture
def host(sheet, widget, tmp_path):
    """A page that holds the widget as a notebook does."""
    state = json.dumps({name: getattr(widget, name) for name in ("page", "text", "height")})
    script = HOST.replace("MODULE", json.dumps(frame())).replace("STATE", state.replace("</", "<\\/"))
    (tmp_path / "host.html").write_text(script, encoding="utf-8")
    sheet.goto((tmp_path / "host.html").as_uri())
    sheet.frame_locator("iframe").locator(".cell-name").wait_for()
    return sheet


def type_into(frame, line, spot, text):
    frame.locator(f'.card[data-line="{line}"]').click()
    frame.locator(f'.card[data-line="{line}"][aria-current]').wait_for()
    frame.locator(f'.numbers td[data-spot="{spot}"]').click()
    frame.page.keyboard.type(text)
    frame.page.keyboard.press("Enter")


def test_what_is_typed_comes_back_to_python(host, widget):
    """A changed number and a claim are in the widget's problem, and in nothing else; undo takes them back."""
    frame = host.frames[1]
    type_into(frame, "embedding", "2,0", "7/6")
    host.wait_for_function("window.saved.length === 1")
    type_into(frame, "weights", "0,0", "0.25")
    host.wait_for_function("window.saved.length === 2")
    widget.text = host.evaluate("window.saved.at(-1)")
    expected = read_problem("soccer")
    array = expected.arrays["embedding"].copy()
    array[2, 0] = 7 / 6
    np.testing.assert_array_equal(widget.problem.arrays["embedding"], array)
    assert widget.problem.claims[:-1] == expected.claims
    assert widget.problem.claims[-1].written == "0.25"
    frame.get_by_role("button", name="Undo").click()
    frame.get_by_role("button", name="Undo").click()
    host.wait_for_function("window.saved.length === 4")
    widget.text = host.evaluate("window.saved.at(-1)")
    assert widget.problem == expected


def test_the_frame_shares_nothing_with_the_notebook(host):
    """Its origin is its own, so that neither reaches into the other; a message from elsewhere changes nothing."""
    assert host.locator("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"
    assert host.frames[1].evaluate("window.origin") == "null"
    host.evaluate("window.postMessage({ clearhead: 'format = 1' }, '*')")
    host.wait_for_timeout(100)
    assert host.evaluate("window.saved") == []


def test_what_is_heard_ends_with_the_widget(host):
    """A widget that is taken away leaves no listener behind."""
    host.evaluate("window.end()")
    assert host.evaluate("window.heard.size") == 0


def test_a_problem_of_ones_own_is_a_widget_too():
    """A problem, and what was changed in it, can be shown again."""
    problem = read_problem("step-soccer")
    assert clearhead.widget(problem).problem == problem


def test_only_a_widget_tells_of_changes():
    """An exported page tells nobody what is typed into it."""
    assert '"embedded":true' in clearhead.widget("single-head").page.replace(": ", ":")
    bundle = read_problem("single-head")._repr_mimebundle_()
    assert "&quot;embedded&quot;:false" in bundle["text/html"].replace(": ", ":")
