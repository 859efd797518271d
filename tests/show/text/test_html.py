"""Documents as HTML."""

from html.parser import HTMLParser

import numpy as np
import pytest

from clearhead.check import diagnose
from clearhead.document import Document, Heading, Matrix, Panels, Prose, Remark
from clearhead.problems import bundled, read_problem
from clearhead.show import View, document_of
from clearhead.show.paper.worksheet import worksheet_of
from clearhead.show.text.html import to_html


class Reader(HTMLParser):
    """Collects elements and texts, and makes sure that all that is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("name", bundled())
def test_every_problem_is_sound_html(name):
    """Whole traces, worksheets and diagnoses: every element is closed, and none runs or styles anything."""
    problem = read_problem(name)
    trace = problem.trace()
    documents = [document_of(trace, View()), worksheet_of(trace, View(claims=problem.claims))]
    if problem.claims:
        documents.append(diagnose(problem.claims, problem.textbook().run(problem.arrays), max_deviations=1).document())
    for document in documents:
        seen = read(to_html(document)).seen
        assert not {tag for tag, _ in seen} & {"script", "style", "iframe", "img", "a"}
        assert not {key for _, attributes in seen for key in attributes} - {"class", "scope", "colspan", "tabindex",
            "display", "fence", "form", "accent", "stretchy", "mathvariant", "displaystyle", "width"}  # fmt: skip


def test_parts_have_their_elements():
    """Headings one deeper than the title, remarks by their tone, shares by their shade, marks and blanks in place."""
    values = np.array([[0.0, 0.5], [1.0, np.nan]])
    matrix = Matrix("m", ("a", "b"), ("c", "d"), values, True, frozenset({(1, 0)}), frozenset({(1, 1)}))
    blank = Matrix("", ("a",), ("c",), np.array([[np.nan]]), written=(("",),))
    parts = (Heading("weights", ("query", "key"), (2, 2)), Remark("well", "good"), Panels((matrix, blank)))
    seen = read(to_html(Document("Title", parts), level=3)).seen
    assert [tag for tag, _ in seen if tag.startswith("h")] == ["h3", "h4"]
    classes = [attributes.get("class") for tag, attributes in seen if tag == "td" and attributes]
    assert classes == ["s0", "s4", "s9 marked", "blank"]


def test_names_stand_as_they_are(hostile):
    """Titles, labels and words that mean something to a browser are text."""
    from clearhead.errors import visible
    from clearhead.show.cells import one_line

    for name in hostile:
        matrix = Matrix(name, (name,), (name,), np.array([[1.0]]))
        reader = read(to_html(Document(name, (Prose(name), Heading(name), Panels((matrix,))))))
        assert {tag for tag, _ in reader.seen} <= {"h2", "h3", "p", "small", "div", "table", "caption", "thead",
            "tbody", "tr", "td", "th", "bdi"}  # fmt: skip
        assert reader.texts.count(visible(name)) >= 2 or not name
        assert one_line(name) in "".join(reader.texts)
