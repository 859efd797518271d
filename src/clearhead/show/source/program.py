"""A trace as a program: its given arrays as literals, and each line as one or several statements."""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import describe
from clearhead.errors import ShapeError, UnknownName, suggest
from clearhead.expr.nodes import Expr, Let, Local, map_children
from clearhead.line import Given, Line
from clearhead.show.cells import one_line
from clearhead.show.formula.patterns import masked_lines, masked_roles
from clearhead.show.source.cells import Variable
from clearhead.show.source.compiler import Compiler
from clearhead.show.source.dialect import DIALECTS, Dialect
from clearhead.show.view import View
from clearhead.trace import Trace

MAX_NUMBERS = 100_000
"""The most given numbers that a program writes out."""

WIDTH = 72
"""One of several matrices is written on one line up to this length."""

TAKEN = frozenset(
    {*keyword.kwlist, *dir(builtins), "np", "math", "torch", "erf", "tokens", "top", "parts", "total", "result"}
) - {"input"}  # fmt: skip
"""Names that no array may have; `input` may be replaced, since programs here do not call it."""


class Step(Struct, frozen=True):
    """One array of a program: its name in the trace, its variable, and the code that makes it."""

    name: str
    variable: str
    code: str


class Program(Struct, frozen=True):
    """The lines before the first array, and a step for each array in order."""

    head: str
    steps: tuple[Step, ...]


def program_of(trace: Trace, view: View) -> Program:
    """A trace as a program in the view's framework; lines left blank are for the reader to write.

    Raises:
        UnknownName: no such framework.
        ShapeError: there are too many given numbers to be written out, or a line was not kept.
    """
    if view.framework not in DIALECTS:
        raise UnknownName(f"There is no framework {view.framework!r}. {suggest(view.framework, DIALECTS)}")
    _check_size(trace)
    dialect, names = DIALECTS[view.framework], variables(trace.working.names)
    masked = masked_lines(trace)
    steps = [_given(trace, each, names[each.name], dialect) for each in trace.working.givens]
    for line in trace.working.lines:
        blank = view.leaves_blank(line.name)
        code = _blank(trace, line) if blank else _code(trace, line, names, dialect, masked)
        made = f"{code[0]}{names[line.name]} = {code[1]}"
        steps.append(Step(line.name, names[line.name], made + (_left_to_do(names[line.name]) if blank else "")))
    return Program("\n".join(_head(dialect, steps)), tuple(steps))


def _head(dialect: Dialect, steps: Iterable[Step]) -> Iterable[str]:
    used = [name for name, _ in dialect.helpers if any(re.search(rf"\b{name}\(", step.code) for step in steps)]
    if used:
        yield from ("import math", "")
    yield from dialect.head
    for name, code in dialect.helpers:
        if name in used:
            yield from ("", code)


def _check_size(trace: Trace) -> None:
    numbers = sum(trace.numpy(each.name).size for each in trace.working.givens)
    if numbers > MAX_NUMBERS:
        raise ShapeError(
            f"The {numbers} given numbers are too many for a program to write out; {MAX_NUMBERS} are not. "
            f"Save the trace as .npz and load it."
        )
    if missing := [name for name in trace.working.names if name not in trace]:
        raise ShapeError(
            f"{missing[0]} was not kept, so the program cannot be compared with it. Keep every line: without keep=, "
            f"or with --keep '*'."
        )


def variables(names: Collection[str]) -> dict[str, str]:
    """A variable for each name: the shortest unique ending of its path, as a valid identifier.

    >>> variables(["attention.weights", "attention.residual", "mlp.residual", "norm 2"])
    {'attention.weights': 'weights', 'attention.residual': 'attention_residual', 'mlp.residual': 'mlp_residual', \
'norm 2': 'norm_2'}
    """
    endings = Counter(ending for name in names for ending in _endings(name))
    found: dict[str, str] = {}
    for name in names:
        short = next((ending for ending in _endings(name) if endings[ending] == 1), name)
        variable = re.sub(r"\W", "_", short, flags=re.ASCII) or "_"
        if variable[0].isdigit():
            variable = f"_{variable}"
        while variable in found.values() or variable in TAKEN or len(variable) == 1:
            variable += "_"
        found[name] = variable
    return found


def _endings(name: str) -> list[str]:
    """The endings of a path, shortest first; a name whose last word is too general keeps two."""
    parts = name.split(".")
    return [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def _given(trace: Trace, given: Given, variable: str, dialect: Dialect) -> Step:
    array = trace.numpy(given.name)
    rows = _rows(array, dialect.constants)
    return Step(given.name, variable, f"{variable} = {dialect.literal(rows, str(array.dtype))}")


def _rows(array: np.ndarray[Any, Any], constants: str, indent: int = 4) -> str:
    """An array as nested lists: a matrix on a line if it is short and one of several, otherwise a row on each."""
    if array.ndim == 0:
        return _number(array[()], constants)
    inner = [_rows(each, constants, indent + 4) for each in array]
    line = f"[{', '.join(inner)}]"
    if array.ndim == 1 or (indent > 4 and len(line) <= WIDTH and "\n" not in line):
        return line
    rows = f",\n{' ' * indent}".join(inner)
    return f"[\n{' ' * indent}{rows},\n{' ' * (indent - 4)}]"


def _number(value: Any, constants: str) -> str:
    """A number with the fewest digits that its type distinguishes; whole numbers keep their point."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if not np.isfinite(value):
        return f"{constants}.nan" if np.isnan(value) else f"{'-' * (value < 0)}{constants}.inf"
    return repr(float(str(value)))


def _blank(trace: Trace, line: Line) -> tuple[str, str]:
    return "", f"...  # your turn: {one_line(describe(trace.axes(line.name), trace[line.name].shape))}"


def _left_to_do(variable: str) -> str:
    """The statement that stops a program at a blank line, with a message."""
    return f'\nif {variable} is ...:\n    raise SystemExit("Left to do: {variable}.")'


def _code(
    trace: Trace, line: Line, names: Mapping[str, str], dialect: Dialect, masked: frozenset[str]
) -> tuple[str, str]:
    """The statements that come before a line's own, and its right side."""
    formula = replace(line.formula, body=_apart(line.formula.body, {*names.values()}))
    operands = {
        role: Variable(names[name], tuple(trace[name].shape), len(letters))
        for role, name, letters in zip(formula.roles, line.operands, formula.operands, strict=True)
    }
    compiler = Compiler(formula, operands, dialect, masked_roles(line, masked))
    statements, whole = compiler.whole(tuple(trace[line.name].shape))
    return "".join(f"{statement}\n" for statement in statements), whole


def _apart(expr: Expr, taken: Collection[str]) -> Expr:
    """An expression whose named values have the name of no array."""
    expr = map_children(expr, lambda child: _apart(child, taken))
    while isinstance(expr, (Let, Local)) and expr.name in taken:
        expr = replace(expr, name=f"{expr.name}_")
    return expr
