"""A trace as a notebook: text and formulas between cells of plain array code, with their output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from clearhead.axes import describe
from clearhead.extras import need
from clearhead.line import Given, equation
from clearhead.show.blank import about_of
from clearhead.show.cells import one_line
from clearhead.show.formula.latex import equation as latex_equation
from clearhead.show.source.dialect import DIALECTS
from clearhead.show.source.program import Step, program_of
from clearhead.show.text.markdown import escape
from clearhead.show.trace_document import announcements
from clearhead.show.view import View
from clearhead.trace import Trace

Cell = Any
"""A cell as nbformat makes it."""


def notebook(trace: Trace, view: View) -> bytes:
    """A trace as a Jupyter notebook that needs no clearhead; `program_of` says what it raises.

    Raises:
        MissingPackage: nbformat is not installed.
    """
    nbformat = need("nbformat", "notebook")
    make = nbformat.v4
    book = make.new_notebook(cells=list(_cells(trace, view, make)))
    for number, cell in enumerate(book.cells, start=1):
        cell.id = f"cell-{number}"  # not random: the same trace gives the same file
    book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.metadata["language_info"] = {"name": "python"}
    if blank := [name for name in trace if view.leaves_blank(name)]:
        book.metadata["clearhead"] = {"blank": blank}  # by which a reader of the notebook finds the blanks
    return str(nbformat.writes(book)).encode("utf-8", "backslashreplace") + b"\n"


def _cells(trace: Trace, view: View, make: Any) -> Iterator[Cell]:
    program = program_of(trace, view)
    yield make.new_markdown_cell("\n\n".join(_beginning(trace, view)))
    yield make.new_code_cell("\n".join([program.head, "", *_settings(trace, view)]), execution_count=1)
    ready = True
    for number, step in enumerate(program.steps, start=2):
        ready = ready and not view.leaves_blank(step.name)
        yield make.new_markdown_cell(
            "\n\n".join([*_about(trace, step.name), *(_notes(trace, step.name) if ready else ())])
        )
        cell = make.new_code_cell(f"{step.code}\n{step.variable}", execution_count=number)
        if ready and view.framework == "numpy":
            cell.outputs = [_output(trace, view, step, number, make)]
        else:
            cell.execution_count = None
        yield cell


def _beginning(trace: Trace, view: View) -> Iterator[str]:
    yield f"# {escape(one_line(view.title))}"
    yield from (escape(one_line(words)) for words in about_of(trace, view))
    yield from (f"> **Warning:** {escape(one_line(remark.text))}" for remark in announcements(view))


def _settings(trace: Trace, view: View) -> Iterator[str]:
    if trace.tokens is not None:
        yield f"tokens = {list(trace.tokens)!r}"
    if view.decimals is not None:
        yield DIALECTS[view.framework].precision.format(view.decimals)


def _about(trace: Trace, name: str) -> Iterator[str]:
    """The heading of a line, what it does, and its formula."""
    line = trace.working.line(name)
    sizes = describe(trace.axes(name), trace[name].shape)
    yield f"## {escape(name)} {escape(sizes)}{' given' if isinstance(line, Given) else ''}"
    if not isinstance(line, Given):
        yield escape(line.summary)
        left, right = equation(line, trace.working.axes, trace.working.label_base)
        yield f"$$\n{latex_equation(left, right, None, trace.working.label_base)}\n$$"


def _notes(trace: Trace, name: str) -> Iterator[str]:
    """What a reader should know of the rows of a line."""
    yield from (f"> {escape(one_line(str(note)))}" for note in trace.notes if note.line == name)


def _output(trace: Trace, view: View, step: Step, number: int, make: Any) -> Any:
    """The output of a cell: the trace's numbers, as the library prints them."""
    with np.printoptions(precision=8 if view.decimals is None else view.decimals, suppress=view.decimals is not None):
        shown = repr(trace.numpy(step.name)[()])
    return make.new_output("execute_result", data={"text/plain": shown}, execution_count=number)
