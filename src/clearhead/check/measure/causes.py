"""Stable ids for what was measured, also where no deviation has a name for it: data, as the ids of findings are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from clearhead.check.measure.parts import WHOLE, Measurement, Part, Premise
from clearhead.check.measure.wording_keys import is_inverted
from clearhead.check.measure.wording_sums import beside_top, filled_block


def causes_of(found: Measurement) -> tuple[str, ...]:
    """The ids of the premise that fails and of the parts that differ, the most basic first."""
    ids = [_of_premise(found.premise)] if found.premise else []
    whole = [part for part in found.parts if part.name in WHOLE]
    return tuple(dict.fromkeys([*ids, *(id for part in whole or found.parts for id in _of_part(part))]))


def _of_premise(failed: Premise) -> str:
    if failed.name == "finite":
        signs = failed.found.get("signs", ())
        rows = "infinite" if len(signs) == 2 and np.isinf(signs).all() else failed.found.get("rows", "")
        return SPOILT.get(rows, "not-finite")
    if failed.name == "remembers":
        return f"state-kept-of-{failed.found['kind']}"
    return PREMISES[failed.name]


SPOILT = {
    "infinite": "mask-after-softmax-infinite",
    "hidden": "hidden-key-not-finite",
    "unseeing": "queries-without-keys-nan",
    "blind": "queries-without-keys-nan",
    "own": "padding-over-queries",
}
"""Why rows have no numbers."""

PREMISES = {
    "repeatable": "random",
    "follows inputs": "inputs-not-followed",
    "argument roles": "arguments-exchanged",
    "finite at zero": "not-finite-at-zero",
    "linear in values": "not-linear-in-values",
    "items apart": "batch-mixed",
    "dropped": "dropout-on",
    "keeps state": "state-kept-by-length",
    "normalised axis": "softmax-over-another-axis",
    "mask sense": "mask-inverted",
}


def _of_part(part: Part) -> Iterator[str]:
    says = PARTS.get(part.name)
    yield from says(part) if says else [_slug(part.name)]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _keys(part: Part) -> Iterator[str]:
    if part.details.get("padded"):
        yield "padding-over-queries"
    else:
        yield "mask-inverted" if is_inverted(part) else "keys-seen"


def _mass(part: Part) -> Iterator[str]:
    if filled_block(part):
        yield "block-filled-unmasked"
    elif added := beside_top(part):
        yield "sink-not-shifted" if added == 1 else "denominator-raised"
    else:
        yield "weights-sum"


def _mean(part: Part) -> Iterator[str]:
    yield {(True, True): "norm-mean-subtracted", (False, False): "norm-mean-not-subtracted",
           (True, False): "norm-by-mean-square", (False, True): "rms-by-variance"}[tuple(part.measured)]  # fmt: skip


def _step(part: Part) -> Iterator[str]:
    yield f"step-{_slug(part.details['kind'])}:{part.details['line'].replace(' and ', ',')}"
    for each in part.details.get("besides", ()):
        yield f"step-{_slug(each.kind)}:{each.line.replace(' and ', ',')}"


def _residual(part: Part) -> Iterator[str]:
    yield f"residual-of:{'+'.join(part.measured)}"


def _positions(part: Part) -> Iterator[str]:
    sides = part.details["sides"]
    yield "rotary-positions" if len(sides) > 1 else f"rotary-positions-of-{sides[0]}"


PARTS: dict[str, Callable[[Part], Iterator[str]]] = {
    "keys seen": _keys,
    "padded queries": lambda _: iter(("padding-over-queries",)),
    "mass": _mass,
    "running maximum": lambda _: iter(("online-softmax-not-rescaled",)),
    "positions": _positions,
    "norm mean": _mean,
    "step": _step,
    "one half": lambda part: iter((f"{part.measured.partition(':')[0]}@{part.details['half']}",)),
    "residual": _residual,
    "places": lambda part: iter((f"places-of:{','.join(part.measured)}",)),
    "hidden cell": lambda part: iter(
        (f"hidden-cell:{part.details['names'][0]}" if part.details["names"][0] else "hidden-cell",)
    ),
}
"""The ids of parts that can have several causes; others have their name."""
