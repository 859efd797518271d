"""How much work an exercise is by hand: the operations that somebody has to carry out, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from clearhead.expr.evaluate import FLOAT, Arithmetic
from clearhead.line import Line
from clearhead.trace import Trace

KINDS = ("products", "sums", "quotients", "roots", "exponentials", "logarithms", "sines and cosines")
"""What is counted, once for the same numbers in a line. A product with 0, 1 or -1, a sum with 0 and a quotient by 1
are no work."""


def effort(trace: Trace) -> dict[str, int]:
    """The operations by hand behind all lines of a trace, by kind; those that are none are left out.

    What a line has had before, such as the sum below all weights of a row, is not counted again.
    """
    counts: Counter[str] = Counter()
    for name in trace:
        line = trace.working.line(name)
        if isinstance(line, Line):
            _count(trace, line, counts)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def effort_in_words(trace: Trace) -> str:
    """The operations in a sentence, such as ``It takes 30 products and 9 exponentials.``, for an exercise."""
    said = [f"{count} {kind if count > 1 else kind[:-1]}" for kind, count in effort(trace).items()]
    listed = " and ".join(filter(None, (", ".join(said[:-1]), said[-1]))) if said else "nothing to compute"
    return f"It takes {listed}."


def _count(trace: Trace, line: Line, counts: Counter[str]) -> None:
    operands = [trace.numpy(name) for name in line.operands]
    result, arithmetic = trace.numpy(line.name), _counting(counts)
    for cell in np.ndindex(result.shape):
        line.formula.cell(operands, result, cell, arithmetic)


def _counting(counts: Counter[str]) -> Arithmetic:
    """The arithmetic of floats, which counts what a hand has to do; arithmetic of indices is none of it."""
    seen: set[tuple[Any, ...]] = set()

    def binary(symbol: str, kind: str, idle: Callable[[float, float], bool]) -> Callable[..., Any]:
        def compute(a: Any, b: Any) -> Any:
            known = (symbol, a, b) in seen or (isinstance(a, int) and isinstance(b, int))
            if not known and not idle(a, b):
                counts[kind] += 1
                seen.add((symbol, a, b))
            return FLOAT[symbol](a, b)

        return compute

    def once(function: str, kind: str) -> Callable[[Any], Any]:
        def compute(a: Any) -> Any:
            if (function, float(a)) not in seen and np.isfinite(a) and a not in (0, 1):
                counts[kind] += 1
            seen.add((function, float(a)))
            return FLOAT[function](a)

        return compute

    def idle_sum(a: float, b: float) -> bool:
        return 0 in (a, b)

    def idle_quotient(a: float, b: float) -> bool:
        return a == 0 or b in (0, 1)

    return {
        **FLOAT,
        "*": binary("*", "products", lambda a, b: a in (0, 1, -1) or b in (0, 1, -1)),
        "+": binary("+", "sums", idle_sum),
        "-": binary("-", "sums", idle_sum),
        "/": binary("/", "quotients", idle_quotient),
        "share": binary("share", "quotients", idle_quotient),
        "sqrt": once("sqrt", "roots"),
        "exp": once("exp", "exponentials"),
        "log": once("log", "logarithms"),
        "sin": once("sin", "sines and cosines"),
        "cos": once("cos", "sines and cosines"),
    }
