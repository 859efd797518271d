"""A trace as data: plain dictionaries and lists, and strictly valid JSON."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from msgspec import json, to_builtins

from clearhead.errors import JOINERS
from clearhead.explanation import Explanation
from clearhead.expr import text
from clearhead.line import Line, equation
from clearhead.show.trace_document import address_of, cell_of
from clearhead.show.view import View
from clearhead.spec import Optimizer
from clearhead.trace import Trace, to_numpy
from clearhead.working import Working

FORMAT = 1
"""The version of the file format."""


def to_data(trace: Trace, view: View) -> dict[str, Any]:
    """A trace as ``{"format", "title", "deviations", "first", "tokens", "lines", "notes", "flags"}``.

    There is a line for each given array and each step; one that was not kept has no shape and no values.
    The values are nested lists at full precision; `clearhead.read_trace` makes a trace of them again. ``flags`` are
    the rows that notes are about, for lines that were not kept. With gradients, ``backward`` is their origin.

    NaN is None and an infinity the string ``"Infinity"`` or ``"-Infinity"``, since JSON has neither. If the view has
    an address there is only that line, and with a cell of it also its ``"explanation"``.

    Raises:
        UnknownName: no such line or head.
        ShapeError: no such cell.
    """
    places = [(name, None) for name in trace.working.names] if view.address is None else [trace.locate(view.address)]
    names = {name for name, _ in places}
    data: dict[str, Any] = {
        "format": FORMAT,
        "title": sound(view.title),
        "deviations": [str(each) for each in view.deviations],
        "first": trace.working.label_base,
        "tokens": None if trace.tokens is None else list(map(sound, trace.tokens)),
        **({} if trace.key_tokens is None else {"key_tokens": list(map(sound, trace.key_tokens))}),
        **(backward_of(trace.working) if view.address is None else {}),
        "lines": [line_of(trace, name, address_of(trace, name, head)) for name, head in places],
        "notes": [sound(str(note)) for note in trace.notes if view.address is None or note.line in names],
        "flags": {name: values_of(to_numpy(flag)) for name, flag in trace.flags.items() if view.address is None},
    }
    cell = cell_of(trace, view)
    if view.address is not None and cell is not None:
        data["explanation"] = _explanation(trace.explain(view.address, *cell, decimals=None))
    return data


def backward_of(working: Working) -> dict[str, Any]:
    """What a working with gradients says of its forward pass, under the key ``backward``."""
    source = working.backward_of
    if source is None:
        return {}
    forward = source.forward
    about = {
        "of": source.of, "wrt": list(source.wrt), "givens": len(forward.givens), "lines": len(forward.lines),
        "optimizer": next((to_builtins(each) for each in source.then if isinstance(each, Optimizer)), None),
    }  # fmt: skip
    return {"backward": about}


def as_json(data: Any) -> str:
    """Data as strictly valid JSON on one line; a float64 read back from it is the same to the bit.

    Control characters are written as JSON's escapes.
    """
    return _BEYOND_ASCII.sub(lambda found: _escaped(found[0]), json.encode(data).decode("utf-8"))


_BEYOND_ASCII = re.compile(r"[^\x20-\x7e]")


def _escaped(letter: str) -> str:
    if letter.isprintable() or letter in JOINERS:
        return letter
    return "".join(f"\\u{unit:04x}" for unit in memoryview(letter.encode("utf-16-le")).cast("H"))


def line_of(trace: Trace, name: str, address: str, *, values: bool = True) -> dict[str, Any]:
    """A line, or a head of it, as data, with its values or without."""
    line = trace.working.line(name)
    made: dict[str, Any] = {"name": address, "operation": "given", "operands": [], "formula": None}
    if isinstance(line, Line):
        made |= {
            "operation": line.operation.name,
            "operands": list(line.operands),
            "parameters": {key: _parameter(value) for key, value in line.parameters},
            "formula": _formula(trace, line),
        }
    else:
        made |= {"sizes": dict(line.sizes)}
    if name not in trace:
        return made | {"axes": list(trace.working.axes[name])}
    array = trace.numpy(address)
    made |= {"axes": list(trace.left_axes(address)), "dtype": str(array.dtype), "shape": list(array.shape)}
    return made | {"values": values_of(array)} if values else made


def _parameter(value: Any) -> Any:
    return _number(value) if isinstance(value, float) else value


def _formula(trace: Trace, line: Line) -> str:
    first = trace.working.label_base
    left, right = equation(line, trace.working.axes, first)
    return f"{text(left, first=first)} = {text(right, decimals=None, first=first)}"


def values_of(array: np.ndarray[Any, Any]) -> Any:
    """An array as nested lists of numbers or booleans, as JSON can hold them."""
    values = array.tolist()
    return values if array.dtype.kind in "biu" or np.isfinite(array).all() else _each(values)


def _each(values: Any) -> Any:
    if isinstance(values, list):
        return [_each(value) for value in values]
    return _number(values)


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def sound(words: str) -> str:
    """The text in UTF-8: half of a surrogate pair is escaped."""
    return words.encode("utf-8", "backslashreplace").decode("utf-8")


def _explanation(explanation: Explanation) -> dict[str, Any]:
    return {
        "cell": explanation.name,
        "formula": explanation.formula,
        "numbers": explanation.numbers,
        "value": _number(explanation.value),
        "steps": [
            {
                "name": step.name,
                "numbers": text(step.filled, decimals=None, first=explanation.first),
                "value": _number(step.value),
            }
            for step in explanation.steps
        ],
    }
