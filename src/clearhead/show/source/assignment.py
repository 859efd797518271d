"""A notebook with blanks as an assignment that nbgrader or otter gives out, collects and grades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec.structs import replace

from clearhead.errors import UnknownName
from clearhead.extras import need
from clearhead.show.source.notebook import notebook
from clearhead.show.source.program import variables
from clearhead.show.view import View
from clearhead.trace import Trace

Grader = Literal["nbgrader", "otter"]

POINTS = 1
"""What each blank line is worth."""

Cell = Any
"""A cell as nbformat makes it."""


def assignment(trace: Trace, view: View, grader: Grader, problem: str) -> bytes:
    """The instructor's notebook of an assignment: each blank line with its solution, and a cell that grades it.

    The cell compares with `clearhead.assert_agrees` and ``hints=True``, so students see where to look and no number.
    What follows from the answers before it is right: an error that is carried on costs its own point alone.

    Args:
        trace: the problem with its numbers.
        view: what is shown; its ``blank`` lines are the questions.
        grader: ``"nbgrader"``, whose cells carry metadata, or ``"otter"``, whose blocks stand between raw cells.
        problem: the text of the problem's file, from which the grading cells compute the expected numbers.

    Returns:
        The ``.ipynb``, for ``nbgrader generate_assignment`` or ``otter assign``.

    Raises:
        UnknownName: no line is blank.
        MissingPackage: nbformat is not installed.
    """
    nbformat = need("nbformat", "notebook")
    asked = [name for name in trace if view.leaves_blank(name)]
    if not asked:
        raise UnknownName("An assignment asks for a line. Name one with --blank, such as --blank weights.")
    book = nbformat.reads(notebook(trace, replace(view, blank=())).decode(), as_version=4)
    cells = list(_cells(trace, view, grader, problem, book.cells, nbformat.v4))
    for number, cell in enumerate(cells, start=1):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    book.cells = cells
    return str(nbformat.writes(book)).encode("utf-8", "backslashreplace") + b"\n"


def _cells(trace: Trace, view: View, grader: Grader, problem: str, solved: list[Cell], make: Any) -> Iterator[Cell]:
    beginning, head, *steps = solved
    if grader == "otter":
        yield make.new_raw_cell("# ASSIGNMENT CONFIG\nrequirements:\n  - clearhead\n  - numpy")
    yield beginning
    yield head
    cell = make.new_code_cell(
        f"import clearhead\nfrom clearhead.problems import parse_problem\n\n"
        f"expected = parse_problem({problem!r}).trace()  # what answers are compared with"
    )
    yield _marked(cell, "expected", locked=True) if grader == "nbgrader" else cell
    named = variables(trace.working.names)
    before: dict[str, str] = {}
    for name, (about, code) in zip(trace, zip(steps[::2], steps[1::2], strict=True), strict=True):
        if not view.leaves_blank(name):
            yield from (about, code)
            continue
        variable = named[name]
        after = ", ".join(f"{line!r}: {array}" for line, array in before.items())
        also = f", after={{{after}}}" if after else ""
        test = make.new_code_cell(
            f"clearhead.assert_agrees({variable}, expected, {name!r}, decimals={view.decimals}, hints=True{also})"
        )
        before[name] = variable
        yield from (_for_nbgrader if grader == "nbgrader" else _for_otter)(variable, about, code, test, make)


def _for_nbgrader(variable: str, about: Cell, code: Cell, test: Cell, _: Any) -> Iterator[Cell]:
    """Nbgrader takes out what stands between its marks, and gives points for cells that run without an error."""
    yield about
    code.source = f"### BEGIN SOLUTION\n{code.source}\n### END SOLUTION"
    yield _marked(code, variable, solution=True)
    yield _marked(test, f"{variable}-test", grade=True, locked=True)


def _for_otter(variable: str, about: Cell, code: Cell, test: Cell, make: Any) -> Iterator[Cell]:
    """Otter takes out what stands between its marks, and makes test files of the cells between raw ones."""
    yield make.new_raw_cell(f"# BEGIN QUESTION\nname: {variable}\npoints: {POINTS}")
    yield about
    yield make.new_raw_cell("# BEGIN SOLUTION")
    code.source = f"# BEGIN SOLUTION\n{code.source}\n# END SOLUTION"
    yield code
    yield make.new_raw_cell("# END SOLUTION")
    yield make.new_raw_cell("# BEGIN TESTS")
    yield test
    yield make.new_raw_cell("# END TESTS")
    yield make.new_raw_cell("# END QUESTION")


def _marked(cell: Cell, name: str, *, grade: bool = False, solution: bool = False, locked: bool = False) -> Cell:
    """A cell with nbgrader's metadata, version 3 of its schema."""
    cell.metadata["nbgrader"] = {
        "grade": grade, "grade_id": name, "locked": locked, "schema_version": 3, "solution": solution, "task": False,
        **({"points": POINTS} if grade else {}),
    }  # fmt: skip
    return cell
