"""What a page shows, as plain data: the lines with their formulas, claims and notes; the numbers stand apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from clearhead.axes import TOKENS, Shape, head_axis, with_batch
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, deviation, parse_deviation
from clearhead.errors import visible
from clearhead.expr import Expr, Ref
from clearhead.line import Given, Line, equation
from clearhead.show.blank import about_of, blanks
from clearhead.show.cells import one_line, token_label
from clearhead.show.formula.mathml import equation as in_mathml
from clearhead.show.formula.mathml import mathml
from clearhead.show.formula.symbols import has_symbol
from clearhead.show.page.arrays import Packed, pack_lines
from clearhead.show.text.html import to_html
from clearhead.show.view import View, is_shares
from clearhead.trace import Trace

Data = dict[str, Any]


def content_of(trace: Trace, view: View) -> tuple[Data, dict[str, Packed]]:
    """All that a page shows of a trace, and the packed numbers of each line that has some in the page.

    Every line of the working has its formula. It has no numbers where it was not kept, where the page has no room for
    it, or where the view leaves it blank; of blank sheets claims and diagnosis are left out, which give numbers away.

    Raises:
        UnknownName: no such deviation.
        ClearheadError: a claim does not fit its line.
    """
    blank = blanks(trace, view)
    claims = {} if view.blank else _claims(trace, view.claims)
    notes = [note for note in trace.notes if note.line not in blank]
    shapes = trace.shapes
    arrays = pack_lines(trace, [name for name in trace if name not in blank])
    content = {
        "title": one_line(view.title),
        "about": [one_line(paragraph) for paragraph in about_of(trace, view)],
        "first": trace.working.label_base,
        "decimals": view.decimals,
        "tokens": None if trace.tokens is None else [token_label(token) for token in trace.tokens],
        "next": [{"token": token_label(token), "probability": probability} for token, probability in view.next_tokens],
        "deviations": [_deviation(each) for each in view.deviations],
        "lines": [
            {
                **_line(trace, name, view, shapes),
                "absent": None if name in arrays else _absence(trace, name, blank),
                "claims": claims.get(name, []),
                "notes": [visible(str(note)) for note in notes if note.line == name],
            }
            for name in trace.working.names
        ],
        "problem": None if view.blank else view.problem,
        "diagnosis": None if view.diagnosis is None or view.blank else to_html(view.diagnosis),
    }
    return content, arrays


def _absence(trace: Trace, name: str, blank: Collection[str]) -> str:
    """Why a line has no numbers in the page."""
    if name in blank:
        return "blank"
    return "large" if name in set(trace) else "unkept"


def _deviation(written: str | Applied) -> Data:
    applied = parse_deviation(written) if isinstance(written, str) else written
    known = deviation(applied.id)
    return {"name": visible(str(applied)), "does": known.does, "unseen": known.invisible, "remedy": known.remedy}


def _line(trace: Trace, name: str, view: View, shapes: Mapping[str, Shape]) -> Data:
    part, shape = trace.working.line(name), shapes.get(name)
    words = part.axes if shape is None else with_batch(part.axes, len(shape))
    axis = head_axis(part.axes)
    tokens = 0 if trace.tokens is None else len(trace.tokens)
    data: Data = {
        "name": name,
        "axes": list(words),
        "shape": list(shape or ()),
        "head": None if axis is None else len(words) + axis,
        "named": [word in TOKENS and size == tokens for word, size in zip(words, shape or (), strict=False)],
        "symbol": f"<math>{mathml(Ref(name, ()))}</math>" if has_symbol(name) else None,
        "shares": is_shares(part),
    }
    if isinstance(part, Given):
        return data | {"operands": [], "reads": [], "made": None, "changed": False}
    read = part.formula.read
    return data | {
        "operands": list(part.operands),
        "reads": [role in read for role in part.formula.roles],
        "made": _made(trace, part, view, shapes),
        "changed": view.textbook is not None and part not in view.textbook.lines,
    }


def _made(trace: Trace, line: Line, view: View, shapes: Mapping[str, Shape]) -> Data:
    """How a line comes about: its formula to look at, and to compute cells with."""
    formula = line.formula
    known, first = all(operand in shapes for operand in line.operands), trace.working.label_base
    return {
        "summary": line.operation.summary,
        "formula": in_mathml(*equation(line, trace.working.axes, first), view.decimals, first),
        "roles": list(formula.roles),
        "core": [len(letters) for letters in formula.operands],
        "result": list(formula.result),
        "body": expr_data(formula.body),
        "sizes": formula.bind([shapes[operand] for operand in line.operands]) if known else None,
    }


def expr_data(expr: Expr) -> list[Any]:
    """An expression as nested lists: the kind of node, and what it holds in the order of its fields.

    Numbers that JSON has not are texts: ``"-Infinity"``.
    """
    return [type(expr).__name__, *(_field(getattr(expr, name)) for name in expr.__struct_fields__)]


def _field(value: Any) -> Any:
    if isinstance(value, Expr):
        return expr_data(value)
    if isinstance(value, tuple):
        return [_field(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _claims(trace: Trace, claims: tuple[Claim, ...]) -> dict[str, list[Data]]:
    """The claimed cells by the name of their line: where, what was written, whether it agrees."""
    found: dict[str, list[Data]] = {}
    for claim in claims:
        if claim.line not in trace:  # a deviation may have done away with the line
            continue
        name, _ = trace.locate(claim.line)
        found.setdefault(name, []).extend(_claimed(trace, claim))
    return found


def _claimed(trace: Trace, claim: Claim) -> Iterator[Data]:
    array = trace.numpy(claim.line)
    place = claim.place(trace.left_axes(claim.line), array.shape, trace.working.label_base)
    wrong = differing(claim, np.asarray(array[place], dtype=np.float64))
    for where in np.argwhere(claim.claimed):
        _, cell = trace.place(claim.line, *place, *map(int, where))
        written: Any = claim.written
        for index in where:
            written = written[index]
        at = tuple(where)
        yield {
            "cell": list(cell),
            "written": written,
            "tolerance": float(claim.tolerances[at]),
            "exact": bool(claim.exact()[at]),
            "agrees": not wrong[at],
        }
