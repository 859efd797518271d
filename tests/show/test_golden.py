"""One small trace in whole, in every form.

With KEEP_GOLDEN=1 in the environment the files are written anew; read them before you keep them.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from clearhead.show import View, render

FOLDER = Path(__file__).parent / "golden"
FILES = {
    "wide.txt": ("text", {"width": 100}),
    "narrow.txt": ("text", {"width": 40}),
    "colour.txt": ("text", {"width": 100, "colour": True}),
    "trace.md": ("markdown", {}),
    "trace.tex": ("latex", {}),
    "trace.json": ("json", {}),
}
ABOUT = "The second example of the notebook, from the queries, keys and values of its two heads on."


@pytest.fixture
def trace(make_trace):
    """The second half of the notebook's second example."""
    whole = make_trace()
    entered = whole.working.starting_at("input", "query", "key", "value")
    names = [given.name for given in entered.givens]
    return entered.run({name: whole[name] for name in names}, tokens=whole.tokens)


@pytest.mark.parametrize("name", FILES)
def test_every_form_is_as_it_was_read_and_kept(trace, name):
    """Each form of one trace, in whole."""
    form, options = FILES[name]
    written = render(trace, form, View("Chaky loves soccer", about=ABOUT), **options) + "\n"
    if os.environ.get("KEEP_GOLDEN"):
        (FOLDER / name).write_text(written, encoding="utf-8")
    assert _settled(written) == _settled((FOLDER / name).read_text(encoding="utf-8"))


def _settled(text):
    """The text without the last digits of its longest numbers, in which machines differ."""
    return re.sub(r"\d+\.\d{6,}|\b1\.0\b", lambda number: f"{float(number[0]):.12g}", text)


def _numbers(text, name):
    """The numbers below a heading, matrices side by side one after the other."""
    part = re.search(rf"^{name} \(.*?\n(.*?)(?=\n\n\w|\n\n!|\Z)", text, re.DOTALL | re.MULTILINE)[1]
    rows = [re.findall(r"[⎡⎢⎣](.*?)[⎤⎥⎦]", line) for line in part.split("\n") if re.search("[⎡⎢⎣]", line)]
    return [[[float(n) for n in row.split()] for row in head] for head in zip(*rows, strict=True)]


def test_the_numbers_in_the_text_are_those_of_the_trace(trace):
    """Each number in the kept text is the trace's number, to three decimals."""
    text = (FOLDER / "wide.txt").read_text(encoding="utf-8")
    for name in trace:
        shown = np.array(_numbers(text, name)).reshape(trace[name].shape)
        np.testing.assert_allclose(shown, trace[name], rtol=0, atol=5e-4)


def test_the_numbers_in_the_json_are_those_of_the_notebook():
    """The kept JSON has what the notebook printed where it follows the textbook: queries, keys, values, scores."""
    lines = {line["name"]: line["values"] for line in json.loads((FOLDER / "trace.json").read_text("utf-8"))["lines"]}
    assert lines["query"] == [[[0], [1], [-1]], [[1], [-1], [2]]]
    assert lines["key"] == [[[1], [1], [0]], [[-1], [0], [-1]]]
    assert lines["value"] == [[[0], [-1], [1]], [[-1], [1], [-2]]]
    e = np.exp(1)
    np.testing.assert_allclose(lines["weights"][0][1], [e / (2 * e + 1), e / (2 * e + 1), 1 / (2 * e + 1)], rtol=1e-15)
    assert lines["norm"] == [[1, -1], [1, -1], [None, None]]
