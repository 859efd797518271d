"""Claims in notebooks and scripts, which are read and never run: arrays written out, and what was printed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from clearhead.errors import ProblemError
from clearhead.line import Given
from clearhead.trace import Trace
from clearhead.untrusted import strict_json

MAX_VALUES = 400_000

Found = tuple[str, Any]
"""A line, and its numbers as nested lists of texts."""


def of_script(content: bytes, trace: Trace) -> Iterator[Found]:
    """The lines to which a script assigns arrays that are written out.

    Raises:
        ProblemError: it is no Python, or computes what it assigns.
    """
    found = list(_assigned(_text(content), _lines_by_variable(trace)))
    if not found:
        raise ProblemError(
            "a script is read and not run, and it writes out no array of a line. "
            "Hand in the notebook with its outputs, or write the numbers: weights = np.array([[0.5, 0.5]])."
        )
    yield from found


def of_notebook(content: bytes, trace: Trace) -> Iterator[Found]:
    """The lines that a notebook's cells print, or assign as arrays that are written out; from the first blank one on.

    Raises:
        ProblemError: it is no notebook, or its outputs hold no numbers of a line.
    """
    book = _book(content)
    theirs = _left_to_fill(book, trace)
    lines = {variable: name for variable, name in _lines_by_variable(trace).items() if name in theirs}
    found: dict[str, Any] = {}
    for cell in book["cells"]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = _joined(cell.get("source"))
        found |= dict(_assigned(source, lines))
        shown = source.rstrip().rpartition("\n")[2].strip()
        if shown in lines and (numbers := _printed(cell)) is not None:
            found[lines[shown]] = numbers
    if not found:
        raise ProblemError(
            "the notebook shows no numbers of a line. Run all its cells, with the name of a line last in each, "
            "and save it."
        )
    yield from found.items()


def _lines_by_variable(trace: Trace) -> dict[str, str]:
    """The lines by all names of variables that can only mean one of them."""
    seen: dict[str, set[str]] = {}
    for name in trace:
        if not isinstance(trace.working.line(name), Given):
            parts = name.split(".")
            for at in range(len(parts)):
                short = re.sub(r"\W", "_", ".".join(parts[at:]))
                seen.setdefault(short, set()).add(name)
    exact = {re.sub(r"\W", "_", name): name for name in trace if not isinstance(trace.working.line(name), Given)}
    return {short: next(iter(names)) for short, names in seen.items() if len(names) == 1} | exact


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError("the file is not UTF-8 text. Save it as UTF-8.") from None


def _assigned(source: str, lines: dict[str, str]) -> Iterator[Found]:
    """The arrays that are assigned to lines as numbers, with the digits that they are written in."""
    plain = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)  # what notebooks take for commands
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            numbers = _written(node.value, plain)
            if node.targets[0].id in lines and numbers is not None:
                yield lines[node.targets[0].id], numbers


def _written(node: ast.expr, source: str) -> Any:
    """Numbers that are written out, as nested lists of texts; None for anything that would have to be computed."""
    if isinstance(node, ast.Call) and node.args and _called(node.func) in ("array", "asarray", "tensor"):
        return _written(node.args[0], source)
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_written(item, source) for item in node.elts]
        return items if items and None not in items else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _written(node.operand, source)
        return f"-{inner}" if isinstance(inner, str) else None
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return ast.get_source_segment(source, node)
    if _called(node) in ("inf", "nan"):
        return _called(node)
    return None


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _left_to_fill(book: dict[str, Any], trace: Trace) -> list[str]:
    """The lines from the first on that was left blank in a notebook of ours: those before it are not the student's."""
    order = list(trace)
    metadata = book.get("metadata")
    ours = metadata.get("clearhead") if isinstance(metadata, dict) else None
    blank = ours.get("blank") if isinstance(ours, dict) else None
    named = [order.index(name) for name in blank if name in order] if isinstance(blank, list) else []
    return order[min(named, default=0) :]


def _book(content: bytes) -> dict[str, Any]:
    try:
        book = strict_json.loads(content, max_values=MAX_VALUES)
    except ValueError as error:
        raise ProblemError(f"this is no notebook: {error}. Save it as .ipynb.") from None
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise ProblemError("this is no notebook: it has no cells. Save it as .ipynb, in version 4.")
    return book


def _joined(text: Any) -> str:
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""


_NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|inf|nan)"


_SHOWN = re.compile(r"(?:[\w.]+\()?\s*([\[\]\d.,+\-einfa\s]+?)\s*(?:,\s*dtype=[\w.]+)?\)?", re.DOTALL)
"""An array as NumPy and PyTorch show it."""


def _printed(cell: dict[str, Any]) -> Any:
    """The array that a cell shows, as nested lists of texts; None if it shows none, or not all of it."""
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        text = _joined(data.get("text/plain")) if isinstance(data, dict) else ""
        shown = _SHOWN.fullmatch(text.strip())
        if shown is not None and "..." not in text and (numbers := _listed(shown[1])) is not None:
            return numbers
    return None


def _listed(text: str) -> Any:
    """Nested lists of the texts of numbers; all are shown to the same decimals, zeros at their ends left out."""
    decimals = max((len(part) for part in re.findall(r"\.(\d*)(?![\de])", text)), default=0)
    quoted = re.sub(_NUMBER, lambda found: f'"{_padded(found[0], decimals)}"', text)
    try:
        return ast.literal_eval(quoted)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _padded(number: str, decimals: int) -> str:
    whole, point, rest = number.partition(".")
    if "e" in number or not point:
        return number
    return f"{whole}.{rest.ljust(decimals, '0')}" if decimals else whole
