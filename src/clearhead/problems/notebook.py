"""A problem as a widget of a notebook."""

from __future__ import annotations

from typing import Any

from clearhead import doors
from clearhead.problems.files import read_problem
from clearhead.problems.problem import Problem
from clearhead.problems.reader import parse_problem
from clearhead.problems.writer import format_problem


def widget(problem: Problem | str) -> Any:
    """The page of a problem in a notebook (Jupyter, VS Code, marimo, Colab), whose numbers can be changed.

    Each change comes back: the widget's ``problem`` is the problem with all that was typed so far, a new one each time.

    Args:
        problem: a problem, the name of a bundled one, or the path of a problem file.

    Raises:
        MissingPackage: anywidget is not installed.
        ProblemError: the file cannot be read or used.
        UnknownName: no problem has this name.
    """
    shown = read_problem(problem) if isinstance(problem, str) else problem
    applied, text = tuple(map(str, shown.deviations)), format_problem(shown)
    view = doors.View(shown.title, shown.about, applied, claims=shown.claims, textbook=shown.textbook(), problem=text)
    return doors.widget_of(shown.trace(), view, lambda changed: parse_problem(changed, source="the widget"))
