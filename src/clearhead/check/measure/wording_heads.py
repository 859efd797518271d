"""Sentences for rotary positions and frequencies that are not the same in all heads."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.seen import Seen
from clearhead.check.measure.wording_lists import listed, numbers

SAME = 1e-4
"""The relative tolerance within which two heads are alike."""

NEAR, NOISE = 0.02, 1e-6
"""The tolerance of a position, and of a number that should be 0."""


def heads_apart(part: Part) -> Iterator[str]:
    """Which head has which frequencies or positions; nothing where all heads that differ are alike."""
    heads: Mapping[int, Seen] = part.details.get("by head", {})
    if len(heads) < 2 or _alike([each.measured for each in heads.values()]):
        return
    if part.name == "frequencies":
        yield from _frequencies(part, heads)
    elif part.name == "positions":
        yield from _positions(part, heads)


def _alike(measured: Sequence[Any]) -> bool:
    flat = [np.hstack(each) for each in measured]
    return all(each.shape == flat[0].shape and np.allclose(each, flat[0], rtol=SAME, atol=NOISE, equal_nan=True)
               for each in flat)  # fmt: skip


def _frequencies(part: Part, heads: Mapping[int, Seen]) -> Iterator[str]:
    said = {head: _speeds(each) for head, each in heads.items()}
    yield f"Rotary frequencies are not the same in all heads: {_by_head(said)} (depth {part.sizes[0]['depth']})."


def _speeds(each: Seen) -> str:
    ratio = each.details["ratio"]
    if ratio is not None and np.isfinite(ratio).all() and np.ptp(ratio) < SAME * np.abs(ratio).max():
        return f"{written(float(f'{ratio[0]:.4g}'))} times the expected"
    return f"{numbers(each.measured)} by pair, where {numbers(each.expected)} is expected"


def _positions(part: Part, heads: Mapping[int, Seen]) -> Iterator[str]:
    for place, name in enumerate(("query", "key")):
        shifts = {head: _shift(each.measured[place], each.expected[place]) for head, each in heads.items()
                  if name in each.details["sides"]}  # fmt: skip
        if not shifts:
            continue
        said = {head: "at other places" if by is None else f"{written(abs(by))} too {'far' if by > 0 else 'near'}"
                for head, by in shifts.items()}  # fmt: skip
        yield f"Rotary positions of {'queries' if name == 'query' else 'keys'} are not the same in all heads: they stand {_by_head(said)}."
        yield from _rule({head: by for head, by in shifts.items() if by is not None}, part)


def _shift(mine: Array, expected: Array) -> float | None:
    """By how many tokens positions are moved; None if not all by the same."""
    gaps = (mine - expected)[np.isfinite(mine - expected)]
    return round(float(np.median(gaps)), 2) if len(gaps) and np.ptp(gaps) < NEAR else None


def _rule(shifts: Mapping[int, float], part: Part) -> Iterator[str]:
    """What the positions count besides tokens, where they follow the number of the head."""
    tokens, every = part.sizes[0]["token"], part.sizes[0].get("head", 0)
    if len(shifts) + 1 < every or 0 in shifts:
        return
    for step, what in ((1, "The number of the head is added to the position"),
                       (tokens, "Positions run on from head to head, as where heads and tokens were one axis")):  # fmt: skip
        if all(abs(by - step * head) < NEAR for head, by in shifts.items()):
            yield f"{what}: count along the axis of tokens alone."
            return


def _by_head(said: Mapping[int, str]) -> str:
    """What is said of each head, those of which the same is said together."""
    together: dict[str, list[int]] = {}
    for head, each in said.items():
        together.setdefault(each, []).append(head)
    return "; ".join(
        f"{each} in head{'s' if len(heads) > 1 else ''} {listed(heads)}" for each, heads in together.items()
    )
