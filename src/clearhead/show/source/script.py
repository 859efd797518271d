"""A trace as a script that computes everything again and prints each line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from clearhead.expr import text
from clearhead.line import Given, equation
from clearhead.show.blank import about_of
from clearhead.show.cells import one_line
from clearhead.show.source.program import Step, program_of
from clearhead.show.trace_document import announcements
from clearhead.show.view import View
from clearhead.trace import Trace

WIDTH = 100


def script(trace: Trace, view: View) -> bytes:
    """A trace as a Python script; see `clearhead.show.source.program.program_of` for what it raises."""
    program = program_of(trace, view)
    lines = [*_comment(view.title), *_about(trace, view), "", program.head]
    if trace.tokens is not None:
        lines += ["", f"tokens = {list(trace.tokens)!r}"]
    for step in program.steps:
        lines += ["", *_formula(trace, step.name), step.code, *_print(step)]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _about(trace: Trace, view: View) -> Iterator[str]:
    for paragraph in [*about_of(trace, view), *(remark.text for remark in announcements(view))]:
        yield "#"
        yield from _comment(paragraph)


def _comment(words: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(one_line(words), WIDTH)]


def _formula(trace: Trace, name: str) -> Iterator[str]:
    line = trace.working.line(name)
    if isinstance(line, Given):
        return
    yield from _comment(line.summary)
    first = trace.working.label_base
    left, right = equation(line, trace.working.axes, first)
    yield from _comment(f"{text(left, first=first)} = {text(right, decimals=None, first=first)}")


def _print(step: Step) -> Iterator[str]:
    yield f'print("{step.variable}", {step.variable}, sep="\\n")'
