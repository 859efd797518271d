"""What happens in a notebook or a script, in order: names that are assigned, functions, and arrays that are shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from clearhead.errors import ProblemError
from clearhead.problems.printed import arrays_in, book_of, joined


class Event(Struct, frozen=True):
    """One statement.

    Attributes:
        place: where it stands, as people count: ``cell 3`` or ``line 12``.
        name: the name that it assigns, or of the function that it defines; none where it only shows something.
        value: what is assigned or shown; None for a function.
        function: the function, or class, that it defines.
        source: the text that ``value`` stands in.
        shown: the numbers that were printed for ``value``, as nested lists of texts; None for none.
    """

    place: str
    name: str = ""
    value: ast.expr | None = None
    function: ast.FunctionDef | ast.ClassDef | None = None
    source: str = ""
    shown: Any = None


def of_notebook(content: bytes) -> Iterator[Event]:
    """The events of a notebook's code cells, with what these have printed.

    Raises:
        ProblemError: it is no notebook.
    """
    number = 0
    for cell in book_of(content)["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            number += 1
            yield from _of_cell(joined(cell.get("source")), cell.get("outputs"), f"cell {number}")


def of_script(content: bytes) -> Iterator[Event]:
    """The events of a script; arrays in comments behind a statement are what it printed.

    Raises:
        ProblemError: it is no Python.
    """
    try:
        source = content.decode("utf-8-sig")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        raise ProblemError(f"this is no Python that can be read: {reason}.") from None
    lines = source.splitlines()
    body = list(_flat(tree.body))
    ends = [*(each.lineno for each in body[1:]), len(lines) + 1]
    for statement, after in zip(body, ends, strict=False):  # a script may be empty
        behind = lines[(statement.end_lineno or statement.lineno) - 1 : after - 1]
        comments = "\n".join(line.partition("#")[2].partition("#")[0] for line in behind)
        yield from _told(statement, source, f"line {statement.lineno}", arrays_in(comments))


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements in order, with what stands below ``if __name__ == ...`` and ``with``."""
    for statement in body:
        if isinstance(statement, (ast.If, ast.With)):
            yield from _flat(statement.body)
        else:
            yield statement


def _of_cell(source: str, outputs: Any, place: str) -> Iterator[Event]:
    plain = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)  # commands of the notebook
    try:
        body = list(_flat(ast.parse(plain).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    results, stream = _outputs(outputs)
    prints = [each for each in body if _printed(each)]
    wanted = sum(len(_printed(each)) for each in prints)
    left = arrays_in(stream) if stream else []
    shown = iter(left) if len(left) == wanted else iter(())
    for statement in body:
        if shows := _printed(statement):
            yield from _told(statement, plain, place, [next(shown, None) for _ in shows])
        else:
            last = statement is body[-1]
            yield from _told(statement, plain, place, results if last and isinstance(statement, ast.Expr) else [])


def _outputs(outputs: Any) -> tuple[list[Any], str]:
    """The arrays that a cell's last expression gave, and the text that it printed."""
    results, stream = [], ""
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        if isinstance(data, dict):
            results += arrays_in(joined(data.get("text/plain")))
        elif output.get("name", "stdout") == "stdout":
            stream += joined(output.get("text"))
    return results, stream


def _printed(statement: ast.stmt) -> list[ast.expr]:
    """What a statement prints but for texts, if it is a print."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print":
        return [each for each in value.args if not isinstance(each, (ast.Constant, ast.JoinedStr))]
    return []


def _told(statement: ast.stmt, source: str, place: str, shown: list[Any]) -> Iterator[Event]:
    """The events of a statement, the arrays that it has shown dealt out to what it shows, in order."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield Event(place, statement.name, function=statement)
    elif (copied := _copied(statement)) is not None:
        yield Event(place, *copied, source=source)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        assigned = list(pairs(target, statement.value))
        numbers = shown if len(shown) == len(assigned) else [None] * len(assigned)
        for (name, value), array in zip(assigned, numbers, strict=True):
            yield Event(place, name, value, source=source, shown=array)
    elif isinstance(statement, ast.Expr):
        items = _printed(statement) or _items(statement.value)
        numbers = shown if len(shown) == len(items) else [None] * len(items)
        for item, array in zip(items, numbers, strict=True):
            yield Event(place, value=item, source=source, shown=array)


def _copied(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """The parameter of a layer that a statement copies numbers into, and these numbers."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "copy_" and call.args:
        return _dotted(call.func.value), call.args[0]
    return None


def _dotted(target: ast.expr) -> str:
    """The parameter of a layer as text: ``model.W_query.weight``."""
    return ast.unparse(target).removesuffix(".data")


def _items(value: ast.expr) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.Tuple) else [value]


def pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """The names and parameters that an assignment sets, each with what it is set to."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute):
        yield _dotted(target), value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for each, part in zip(target.elts, value.elts, strict=True):
            yield from pairs(each, part)
