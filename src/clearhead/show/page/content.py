"""What a page shows, as plain data: the lines with their formulas, claims and notes; the numbers are separate."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from clearhead.axes import Shape, head_axis, with_batch
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, deviation, parse_deviation
from clearhead.errors import visible
from clearhead.expr import Expr, Ref
from clearhead.line import Given, Line, equation
from clearhead.show.blank import about_of, blanks
from clearhead.show.cells import one_line, token_label
from clearhead.show.data.plain import as_json
from clearhead.show.formula.mathml import equation as in_mathml
from clearhead.show.formula.mathml import mathml
from clearhead.show.formula.symbols import has_symbol
from clearhead.show.page.arrays import Packed, pack_lines
from clearhead.show.page.pictures import pictures
from clearhead.show.text.html import to_html
from clearhead.show.view import View, is_shares
from clearhead.spec import Optimizer
from clearhead.trace import Trace
from clearhead.working import Working

Data = dict[str, Any]

STEP = re.compile(r"step(\d+)\.")
"""What stands before the names of a later step of training."""


def content_of(trace: Trace, view: View) -> tuple[Data, dict[str, Packed]]:
    """All that a page shows of a trace, and the packed numbers of each line that has numbers in the page.

    Every line of the working has its formula. It has no numbers where it was not kept, where the page has no room for
    it, or where the view leaves it blank. Blank sheets have no claims and no diagnosis, which would reveal numbers.

    Raises:
        UnknownName: no such deviation.
        ClearheadError: a claim does not fit its line.
    """
    blank = blanks(trace, view)
    claims = {} if view.blank else claimed_cells(trace, view.claims)
    notes = [note for note in trace.notes if note.line not in blank]
    shapes = trace.shapes
    arrays = pack_lines(trace, [name for name in trace if name not in blank])
    small = pictures(trace, [name for name in trace if name not in blank and name not in arrays])
    content = {
        "title": one_line(view.title),
        "about": [one_line(paragraph) for paragraph in about_of(trace, view)],
        "first": trace.working.label_base,
        "decimals": view.decimals,
        "tokens": [[token_label(token) for token in names or ()] for names in (trace.tokens, trace.key_tokens)],
        "next": [{"token": token_label(token), "probability": probability} for token, probability in view.next_tokens],
        "deviations": [_deviation(each) for each in view.deviations],
        "lines": [
            {
                **line_data(trace.working.line(name), trace.working, trace, view, shapes),
                "absent": None if name in arrays else _absence(trace, name, blank),
                "picture": small.get(name),
                "claims": claims.get(name, []),
                "notes": [visible(str(note)) for note in notes if note.line == name],
            }
            for name in trace.working.names
        ],
        "problem": None if view.blank else view.problem,
        "diagnosis": None if view.diagnosis is None or view.blank else to_html(view.diagnosis),
    }
    return content | {"key": _key(content, trace, arrays)}, arrays


def _key(content: Data, trace: Trace, arrays: Mapping[str, Packed]) -> str:
    """What is the same for the same lines and given numbers, and for no others: under it a browser keeps answers."""
    lines = [(each["name"], each["operands"], each["made"] and each["made"]["body"]) for each in content["lines"]]
    given = [arrays[each.name] for each in trace.working.givens if each.name in arrays]
    return hashlib.sha256(as_json([content["title"], lines, given]).encode()).hexdigest()[:32]


def _absence(trace: Trace, name: str, blank: Collection[str]) -> str:
    """Why a line has no numbers in the page."""
    if name in blank:
        return "blank"
    return "large" if name in set(trace) else "unkept"


def _deviation(written: str | Applied) -> Data:
    applied = parse_deviation(written) if isinstance(written, str) else written
    known = deviation(applied.id)
    return {"name": visible(str(applied)), "does": known.does, "unseen": known.invisible, "remedy": known.remedy}


def line_data(part: Given | Line, working: Working, trace: Trace, view: View, shapes: Mapping[str, Shape]) -> Data:
    """A line of a working for a page: what it is called, its sizes, its formula, and what it reads; without numbers."""
    name, shape = part.name, shapes.get(part.name)
    words = part.axes if shape is None else with_batch(part.axes, len(shape))
    axis = head_axis(part.axes)
    data: Data = {
        "name": name,
        "axes": list(words),
        "shape": list(shape or ()),
        "head": None if axis is None else len(words) + axis,
        "named": [_named(trace, name, word, size) for word, size in zip(words, shape or (), strict=False)],
        "symbol": f"<math>{mathml(Ref(name, ()))}</math>" if has_symbol(name) else None,
        "shares": is_shares(part),
        "stage": stage_of(name, working),
    }
    if isinstance(part, Given):
        return data | {"operands": [], "reads": [], "made": None, "changed": False}
    read = part.formula.read
    return data | {
        "operands": list(part.operands),
        "reads": [role in read for role in part.formula.roles],
        "made": _made(working, part, view, shapes),
        "changed": view.textbook is not None and part not in view.textbook.lines,
    }


def _named(trace: Trace, name: str, word: str, size: int) -> int | None:
    """Over which tokens an axis runs: 0 for those of the input, 1 for those of the memory, None for none."""
    names = trace.tokens_along(name, word, size)
    return None if names is None else int(names is trace.key_tokens)


def stage_of(name: str, working: Working) -> str:
    """The pass of a line: ``"backward"``, with an optimizer ``"Step 2: update"``; "" where there is one pass only."""
    source = working.backward_of
    if source is None:
        return ""
    step, own = STEP.match(name), STEP.sub("", name)
    stage = "backward" if "grad" in own.split(".") else "forward" if own in source.forward.axes else "update"
    if not any(isinstance(each, Optimizer) for each in source.then):
        return stage
    number = int(step[1]) if step else 1
    again = f"step{number + 1}." if number > 1 else ""
    is_last = number > 1 and not any(each.startswith(again) for each in working.names)
    return "After: forward" if is_last else f"Step {number}: {stage}"


def _made(working: Working, line: Line, view: View, shapes: Mapping[str, Shape]) -> Data:
    """How a line is computed: its formula, for display and for computing cells."""
    formula = line.formula
    known, first = all(operand in shapes for operand in line.operands), working.label_base
    return {
        "summary": line.summary,
        "formula": in_mathml(*equation(line, working.axes, first), view.decimals, first),
        "roles": list(formula.roles),
        "core": [len(letters) for letters in formula.operands],
        "result": list(formula.result),
        "body": expr_data(formula.body),
        "backwards": formula.backwards,
        "sizes": formula.bind([shapes[operand] for operand in line.operands]) if known else None,
    }


def expr_data(expr: Expr) -> list[Any]:
    """An expression as nested lists: the kind of node, then its fields in order.

    Numbers that JSON does not have are texts: ``"-Infinity"``.
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


def claimed_cells(trace: Trace, claims: tuple[Claim, ...]) -> dict[str, list[Data]]:
    """The claimed cells by the name of their line: position, text, whether it agrees."""
    found: dict[str, list[Data]] = {}
    for claim in claims:
        if claim.line not in trace:  # a deviation may have removed the line
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
