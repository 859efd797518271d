"""A guided walk through a working: a sequence of steps with a sentence each, for a class to click through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import Cell
from clearhead.document import Arithmetic, Document, Equation, Matrix, Panels, Part, Prose
from clearhead.errors import UnknownName, suggest, visible
from clearhead.explanation import Explanation
from clearhead.expr import Expr, Number
from clearhead.files import FilePath, replacing
from clearhead.line import Given, Line
from clearhead.show.certain import as_certain
from clearhead.show.paper.worksheet import telling
from clearhead.show.trace_document import address_of, announcements, line_of, numbers
from clearhead.show.view import View
from clearhead.trace import Trace

PARAMETERS = frozenset({"weight", "bias", "gain"})
"""Given arrays of these names are read by the line that they are named after, and named with it."""

LARGEST = 160
"""An operand of more cells than this is not drawn on a slide beside the line that reads it."""


class Step(Struct, frozen=True):
    """One step of a walk.

    Attributes:
        line: the line that is looked at.
        cell: a cell of it, counted from 0, to begin with or to come from.
        whole: whether the line is there as a whole; else only the cell.
        says: what is said of it.
        arithmetic: how the cell came about, where the step is about that.
    """

    line: str
    cell: Cell
    whole: bool
    says: str
    arithmetic: Explanation | None = None


def steps_of(trace: Trace, view: View) -> tuple[Step, ...]:
    """The steps of a walk: what is given, then for each line one cell with its arithmetic, and the line as a whole.

    The sentences are the operations' own summaries and the notes of the trace.
    """
    return tuple(_steps(trace, view))


def _steps(trace: Trace, view: View) -> Iterator[Step]:
    for given in trace.working.givens:
        if given.name in trace and given.name.rpartition(".")[2] not in PARAMETERS:
            yield Step(given.name, _first(trace, given.name), whole=True, says=f"Given is {_sized(trace, given.name)}.")
    for line in trace.working.lines:
        if line.name in trace:
            yield from _of_line(trace, view, line)


def _of_line(trace: Trace, view: View, line: Line) -> Iterator[Step]:
    what = f"{line.summary} {_read(trace, line)}".strip()
    if view.textbook is not None and line not in view.textbook.lines:
        what += " A deviation made this line what it is."
    notes = [f"Note: {note}" for note in trace.notes if note.line == line.name]
    found = telling(trace, line.name, view.decimals)
    if found is None:
        yield Step(line.name, _first(trace, line.name), whole=True, says=" ".join([what, *notes]))
        return
    cell = _cell_of(trace, found)
    if trace[line.name].size > 1:
        yield Step(line.name, cell, whole=False, says=what, arithmetic=found)
        what = f"So all of {_sized(trace, line.name)}."
    yield Step(line.name, cell, whole=True, says=" ".join([what, *notes]))


def _cell_of(trace: Trace, found: Explanation) -> Cell:
    """The cell that was explained, with an index for each axis of its line."""
    head, indices = found.target.at, [_index(each) for each in found.target.indices]
    address = found.target.operand if head is None else address_of(trace, found.target.operand, _index(head))
    return trace.place(address, *indices)[1]


def _index(expr: Expr) -> int:
    return int(expr.value) if isinstance(expr, Number) else 0


def _read(trace: Trace, line: Line) -> str:
    """Which given parameters a line reads, since these have no step of their own."""
    own = [name for name in line.operands if isinstance(trace.working.line(name), Given)]
    named = [_sized(trace, name) for name in own if name.rpartition(".")[2] in PARAMETERS]
    return f"It reads {' and '.join(named)}." if named else ""


def _sized(trace: Trace, name: str) -> str:
    sizes = " \N{MULTIPLICATION SIGN} ".join(
        f"{word} {size}" for word, size in zip(trace.axes(name), trace[name].shape, strict=True)
    )
    return f"{name} ({sizes})" if sizes else name


def _first(trace: Trace, name: str) -> Cell:
    return (0,) * len(trace.shapes[name])


def slides_of(trace: Trace, view: View) -> Document:
    """A walk as a document with a section for each slide; the first says what it is about."""
    steps = steps_of(trace, view)
    first = Document(
        view.title, [*map(Prose, filter(None, view.about.split("\n\n"))), *announcements(view)], view.decimals
    )
    return Document(view.title, [first, *(_slide(trace, step, view) for step in steps)], view.decimals)


def _slide(trace: Trace, step: Step, view: View) -> Document:
    parts: list[Part] = [Prose(step.says)]
    for part in line_of(trace, step.line, blank=False):
        if isinstance(part, Panels) and not step.whole:
            parts.append(_one_cell(part, trace, step))
        elif isinstance(part, (Equation, Panels)):
            parts.append(part)
    if step.arithmetic is not None:
        parts.append(Arithmetic(step.arithmetic))
        parts.extend(_operands(trace, step.arithmetic))
    return Document(step.line, parts, view.decimals)


def _one_cell(panels: Panels, trace: Trace, step: Step) -> Panels:
    """The matrix that has the cell of a step, with the cell marked and all others still to come."""
    row, column = (0, 0, *step.cell)[-2:]
    at = 0
    for size, index in zip(trace[step.line].shape[:-2], step.cell[:-2], strict=True):
        at = at * size + index
    matrix = panels.matrices[min(at, len(panels.matrices) - 1)]
    others = frozenset((n, m) for n in range(len(matrix.rows)) for m in range(len(matrix.columns))) - {(row, column)}
    return Panels((replace(matrix, shade=False, marked=frozenset({(row, column)}), unknown=others),))


def _operands(trace: Trace, explained: Explanation) -> Iterator[Part]:
    """The operands of a cell with the cells marked that went into it."""
    matrices: list[Matrix] = []
    for name in dict.fromkeys(name for name, _ in explained.reads):
        cells = [cell for operand, cell in explained.reads if operand == name]
        for part in numbers(trace, name, cells[0]) if trace[name].size <= LARGEST else ():
            if isinstance(part, Panels):
                (matrix,) = part.matrices
                lit = frozenset((0, 0, *cell)[-2:] for cell in cells if cell[:-2] == cells[0][:-2])
                title = f"{name}, {matrix.title}" if matrix.title else name
                matrices.append(replace(matrix, title=title, marked=lit))
    if matrices:
        yield Panels(tuple(matrices))


def _html(trace: Trace, view: View) -> bytes:
    from clearhead.show.page.assemble import tour

    steps = steps_of(trace, view)
    walk = [{"line": each.line, "cell": each.cell, "whole": each.whole, "says": visible(each.says)} for each in steps]
    return tour(trace, view, walk)


def _pdf(trace: Trace, view: View) -> bytes:
    from clearhead.show.paper.compile import compiled

    return compiled(slides_of(trace, view), "slides")


KINDS = {".html": _html, ".pdf": _pdf}
"""What a walk can become, by the ending of the file."""


def save_tour(trace: Trace, path: FilePath, view: View) -> None:
    """Writes a walk to a file: a page to click through, or slides.

    Raises:
        UnknownName: no kind of file has this ending.
        FileError: the file cannot be written.
        MissingPackage: the kind needs a package that is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in KINDS:
        raise UnknownName(f"{path}: no tour has the ending {ending!r}. {suggest(ending, KINDS)}")
    content = KINDS[ending](*as_certain(trace, view))
    with replacing(path) as file:
        file.write(content)
