"""Numbers that a notebook or a script writes out or shows, as nested lists of texts; nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from clearhead.errors import ProblemError
from clearhead.untrusted import strict_json
from clearhead.written import canonical, is_exact

MAX_VALUES = 400_000
MAX_EXPRESSION = 120
"""The longest expression that is read as a number, in characters."""


def written(node: ast.expr, source: str) -> Any:
    """Numbers that are written out, as nested lists of texts; None for anything that would have to be computed."""
    if isinstance(node, ast.Call) and node.args and called(node.func) in ("array", "asarray", "tensor"):
        return written(node.args[0], source)
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [written(item, source) for item in node.elts]
        return items if items and None not in items else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.UnaryOp):
        inner = written(node.operand, source)
        if not isinstance(inner, str) or not is_exact(inner):
            return f"-{inner}" if isinstance(inner, str) else None
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _text(node, source)
    if called(node) in ("inf", "nan"):
        return called(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        plain = node.value.isascii() and node.value.isalnum()  # a name, or a label
        return None if plain else _number(node.value)
    text = _text(node, source)
    if not 0 < len(text) <= MAX_EXPRESSION or not all(map(_is_arithmetic, ast.walk(node))):
        return None
    return _number(_OF_MODULE.sub(lambda found: "ln" if found[1] else "", text))


def _is_arithmetic(node: ast.AST) -> bool:
    return node.id in _MODULES if isinstance(node, ast.Name) else isinstance(node, _ARITHMETIC)


_ARITHMETIC = (
    ast.BinOp, ast.UnaryOp, ast.Call, ast.Attribute, ast.Constant, ast.Load, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.Pow, ast.USub, ast.UAdd,
)  # fmt: skip
"""What an expression may be made of that has the same value in Python and in `clearhead.written`."""

_MODULES = frozenset({"np", "numpy", "math"})
_OF_MODULE = re.compile(r"\b(?:np|numpy|math)\.(log(?=\())?")


def _number(text: str) -> str | None:
    """A text, or an expression such as ``sqrt(2)/2``, as a number; None if it is none."""
    try:
        return canonical(text)
    except ProblemError:
        return None


def _text(node: ast.expr, source: str) -> str:
    """What an expression on one line is written as; nothing for one on several."""
    if node.end_lineno != node.lineno:
        return ""
    return _lines(source)[node.lineno - 1][node.col_offset : node.end_col_offset].decode()


@lru_cache(maxsize=1)
def _lines(source: str) -> list[bytes]:
    """The lines of a program, in bytes, as Python counts columns; kept, since each number asks for one of them."""
    return [line.encode() for line in re.split("\r\n|\r|\n", source)]


def called(node: ast.expr) -> str:
    """The last name of what is called: ``array`` for ``np.array``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def book_of(content: bytes) -> dict[str, Any]:
    """A notebook as JSON.

    Raises:
        ProblemError: it is none.
    """
    try:
        book = strict_json.loads(content, max_values=MAX_VALUES)
    except ValueError as error:
        raise ProblemError(f"this cannot be read as a notebook: {error}. Save it as .ipynb.") from None
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise ProblemError("this is no notebook: it has no cells. Save it as .ipynb, in version 4.")
    return book


def joined(text: Any) -> str:
    """A text that a notebook may keep as a list of its lines."""
    if isinstance(text, list):
        return "".join(part for part in text if isinstance(part, str))
    return text if isinstance(text, str) else ""


_NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+|inf|nan)"


_SHOWN = re.compile(r"[\[\]\d.,+\-einfa\s]+")


def _shown(text: str) -> str | None:
    """The brackets and numbers of an array as NumPy and PyTorch print it; None if it is anything else."""
    opening = re.match(r"\s*[\w.]+\(", text)
    inner = text[opening.end() :].rstrip().removesuffix(")") if opening else text
    numbers = re.sub(r",\s*dtype=[\w.]+\s*$", "", inner).strip()
    return numbers if _SHOWN.fullmatch(numbers) else None


def printed(cell: dict[str, Any]) -> Any:
    """The array that a cell shows, as nested lists of texts; None if it shows none, or not all of it."""
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        text = joined(data.get("text/plain")) if isinstance(data, dict) else ""
        shown = _shown(text)
        if shown is not None and "..." not in text and (numbers := listed(shown)) is not None:
            return numbers
    return None


def listed(text: str) -> Any:
    """Nested lists of the texts of numbers; all are printed to the same decimals, without trailing zeros."""
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


def arrays_in(text: str) -> list[Any]:
    """All arrays that a text shows, in order, as nested lists of texts; None for one of which not all is shown.

    >>> arrays_in("(array([[1. , 0.5]]), tensor([2.]))")
    [[['1.0', '0.5']], ['2.']]
    >>> arrays_in("[[1 2] [3 4]]")
    [[['1', '2'], ['3', '4']]]
    """
    return [_with_commas(span) for span in _brackets(text)]


def _brackets(text: str) -> Iterator[str]:
    """The parts of a text between outermost square brackets, with these."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        if letter == "[":
            start = start if depth else at
            depth += 1
        elif letter == "]" and depth:
            depth -= 1
            if not depth:
                yield text[start : at + 1]


def _with_commas(span: str) -> Any:
    if "..." in span or not _SHOWN.fullmatch(span):
        return None
    spaced = re.sub(r"(?<=[\d.\]fn])\s+(?=[-+\d.\[in])", ", ", span)
    return listed(re.sub(r"\]\s*\[", "], [", spaced))
