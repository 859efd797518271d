"""Sentences for a measurement: the verdict, what differs, what is right, and pictures of grids."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearhead.check.measure.parts import WHOLE, Measurement, Part
from clearhead.check.measure.precision import FLOATS
from clearhead.check.measure.wording_blocks import BLOCK_SENTENCES
from clearhead.check.measure.wording_parts import SENTENCES, plain
from clearhead.check.measure.wording_premises import named_sizes, premise, rule_of

BESIDE = "hidden cell"
"""The part that may be said beside one of `WHOLE`, as another place of the same cause."""

UNSAID = ("precision", "query without keys")
"""Parts that have their own sentences where they are right."""

MAX_GRID = 12
"""Grids of more rows or columns than this are not drawn in full."""


def sentences(part: Part) -> list[str]:
    """Sentences for a part: the first has the measured and expected value, the others details."""
    says = SENTENCES.get(part.name) or BLOCK_SENTENCES.get(part.name) or plain
    return [each for each in says(part) if each]


def headline(measurement: Measurement, *, named: bool = False) -> str:
    """The verdict in one sentence, with the cause where there is one.

    ``named``: whether the cause has a name that gives all numbers, from which all parts follow.
    """
    if measurement.premise and measurement.premise.stops:
        return premise(measurement.premise)
    if measurement.verdict == "agrees":
        return f"It agrees at all {len(measurement.agrees)} sizes that were tried{like(measurement)}."
    first = [premise(measurement.premise)] if measurement.premise else [sentences(measurement.parts[0])[0]] if (
        measurement.parts) else []  # fmt: skip
    if not first:
        rule = rule_of(measurement.differs, (*measurement.agrees, *measurement.differs)) if measurement.agrees else ""
        where = f"It differs at {len(measurement.differs)} of {tried(measurement)} sizes{rule and f', {rule}'}"
        return f"{where}, and no part that was measured does."
    more = len(measurement.parts) - (0 if measurement.premise else 1)
    if named or (not measurement.premise and measurement.verdict == "explained"):
        return first[0]
    return first[0] + (f" {more} more {'parts differ' if more > 1 else 'part differs'}." if more else "")


def like(measurement: Measurement) -> str:
    """The precision of numbers, where it is below double precision: as the end of a sentence."""
    part = measurement.part("precision")
    if part is None or part.details["type"] == "float64":
        return ""
    return f", right to {FLOATS[part.details['type']] + 1} bits: its arithmetic is like {part.details.get('inside') or part.details['type']}"


def lines(measurement: Measurement, *, named: bool = False) -> Iterator[str]:
    """All that was measured, line by line: the parts that differ, where numbers agree, what is right, what is left.

    ``named``: whether the cause has a name that gives all numbers, so that nothing is left.
    """
    yield from differences(measurement)
    if measurement.parts and not named:
        yield explains(measurement)
    yield from found_right(measurement)
    if measurement.differs and measurement.agrees:
        yield _where(measurement)


def differences(measurement: Measurement) -> Iterator[str]:
    """The parts that differ, measured beside expected, without what the headline says."""
    whole = not measurement.premise and bool(measurement.parts) and measurement.parts[0].name in WHOLE
    for number, part in enumerate(measurement.parts):
        if number and whole and part.name not in WHOLE and not _beside(part):
            continue  # it follows from the first
        first, *rest = sentences(part)
        yield from ([first] if number or measurement.premise else []) + rest
        yield from picture(part)


def _beside(part: Part) -> bool:
    """Whether a part is a hidden cell that computes something else, besides what it is given."""
    mine, expected = part.details.get("names", ("", "")) if part.name == BESIDE else ("", "")
    return part.name == BESIDE and bool(np.any(part.measured)) and (not mine or mine != expected)


def found_right(measurement: Measurement) -> Iterator[str]:
    """What is right, and where the function cannot be tried or overflows."""
    if names := dict.fromkeys(part.name for part in measurement.right if part.name not in UNSAID):
        yield f"Found right: {', '.join(names)}."
    yield from beyond(measurement)
    if measurement.refused:
        yield f"It does not run at {named_sizes(measurement.refused)}."


def beyond(measurement: Measurement) -> Iterator[str]:
    """Where numbers are no longer finite, beyond the ordinary ones that agree."""
    large = measurement.part("overflow")
    if large and not large.differs and large.measured:
        yield from sentences(large)
    blind = measurement.part("query without keys")
    if blind and blind.measured != blind.expected:
        yield from sentences(blind)


def tried(measurement: Measurement) -> int:
    """At how many sizes the function gave numbers."""
    return len(measurement.agrees) + len(measurement.differs)


def explains(measurement: Measurement) -> str:
    """Whether the parts that differ explain all numbers."""
    if measurement.rest is None:
        return "On ordinary inputs the numbers agree."
    if np.isinf(measurement.rest):
        return "Outputs cannot be computed from these parts alone, so something else may differ as well."
    if measurement.rest <= measurement.tolerance:
        return "These parts explain everything measured: outputs computed from them alone are the function's."
    return f"Something remains: outputs computed from these parts alone are off by {measurement.rest:.2g}."


def _where(measurement: Measurement) -> str:
    return f"It agrees at {len(measurement.agrees)} of {tried(measurement)} sizes: {named_sizes(measurement.agrees)}."


def picture(part: Part) -> list[str]:
    """Grids side by side, measured and expected; none for parts that are no grids."""
    if part.name != "keys seen" or max(np.shape(part.measured)[1:]) > MAX_GRID:
        return []
    head = (part.where.get("head") or (0,))[0]
    grids = [
        ["".join("x" if seen else "." for seen in row) for row in each[head]] for each in (part.measured, part.expected)
    ]
    width = max(len("measured"), len(grids[0][0]))
    rows = [f"{mine:<{width}}   {expected}" for mine, expected in zip(*grids, strict=True)]
    return [f"{'measured':<{width}}   expected   (rows are queries, x a key that is seen; head {head})", *rows]
