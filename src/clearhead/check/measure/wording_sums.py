"""Sentences for what the weights of a query sum to."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.wording_lists import MAX_NAMED, by_heads, listed, numbers, of_heads

SAME = 1e-4
"""The relative tolerance of factors that count as one."""


def mass(part: Part) -> Iterator[str]:
    """What the weights of a query sum to, beside what they should."""
    head = (part.where.get("head") or (0,))[0]
    mine, expected = part.measured[head], part.expected[head]
    rows = part.where.get("query", ())
    if 0 < len(rows) < len(mine) - len(part.details.get("blind", ())):
        yield from _mass_of_some(part, rows, mine, expected)
        return
    if part.details.get("far"):
        yield from _mass_far(part, float(np.median(mine)), float(np.median(expected)))
        return
    if part.details["scaled"]:
        for heads, said in by_heads(part, lambda at: " and not to ".join(_sums(part, at))):
            yield f"The weights of a query{heads} sum to {said}, whatever the scores."
        return
    slots = part.details["slots"]
    alike = [float(np.median(row)) for row in slots if np.ptp(row) < 1e-4 * max(float(np.abs(row).max()), 1e-9)]
    if np.allclose(mine, expected, rtol=1e-4):
        yield f"The weights of a query{of_heads(part)} do not sum to what is expected, where scores are not 0."
    elif expected.max() < 1 - 1e-3:
        for heads, said in by_heads(part, lambda at: ", where ".join(_sums(part, at))):
            yield f"At scores of 0 the weights of a query{heads} sum to {said} is expected."
    elif beside_top(part) not in (0, 1):
        yield f"{written(beside_top(part))} is added to the denominator of the softmax, behind exp(score - largest score of the row)."
        return
    else:
        yield f"Weights of a query{of_heads(part)} do not sum to 1: part of the weight goes to no key, as with a sink or an empty slot."
    if len(alike) == len(slots) and min(alike) > 0:
        yield from _slots(part, alike)


def _slots(part: Part, alike: list[float]) -> Iterator[str]:
    """What the denominator has beside the exponentials, by head the same for all queries."""
    if counts := _slots_by_keys(part):
        at = ", ".join(f"{count} at {keys}" for keys, count in list(counts.items())[:MAX_NAMED])
        yield f"At scores of 0 the denominator has 1 for each of some empty slots more; how many follows the number of keys: {at} keys."
        if block := filled_block(part):
            yield f"That is what keys of zeros do, added up to a multiple of {block} and not masked: fill their scores with -inf before the softmax."
        return
    ratio = np.median(part.details["slots"] / np.maximum(part.details["expected"], 1e-30), axis=-1)
    if beside_top(part) == 1:
        yield (
            "The denominator has 1 more than the exponentials, from which the largest score of the row was taken off before: "
            "so the empty slot has the largest score, and not 0. Add exp(-maximum) there, and not 1."
        )
    elif np.allclose(alike, 1, rtol=1e-4):
        yield "At scores of 0 the denominator has 1 more than the exponentials: an empty slot with a score of 0 (softmax-one)."
    elif np.ptp(ratio) < 1e-4 * ratio.max() < 1:
        yield f"What the denominator has beside the exponentials of the scores is {written(float(ratio[0]))} times the expected: the sink of each head counts that many times."
    elif (times := _times(np.log(alike), part.details["expected"])) is not None:
        yield _scaled_sinks(times)
    else:
        logits = ", ".join(written(float(np.log(each))) for each in alike)
        yield f"The denominator has more than the exponentials of the scores, as of sinks with scores {logits}, head by head."


def beside_top(part: Part) -> float:
    """What is added to the sum of exponentials of scores minus the largest of their row; 0 where it follows the scores."""
    found = np.asarray(part.details.get("beside top", 0.0))
    added = float(np.median(found))
    if np.allclose(found, 1, rtol=SAME):
        return 1.0
    return added if added > 0 and np.ptp(found) < SAME * added else 0.0


def _slots_by_keys(part: Part) -> dict[int, int]:
    """How many empty slots with a score of 0 there are, by the number of keys; none where that is not what decides."""
    slots = part.details["slots"]
    none_due = bool((np.abs(part.details["expected"]) < SAME).all())
    if part.details["scaled"] or not none_due or np.ptp(slots) > SAME * slots.max():
        return {}
    at = part.details.get("at", ())
    counts = {keys: round(slots) for keys, slots in at}
    whole = all(abs(slots - counts[keys]) < SAME * max(counts[keys], 1) for keys, slots in at)
    return dict(sorted(counts.items())) if whole and len(set(counts.values())) > 1 else {}


def filled_block(part: Part) -> int:
    """The size of the block that empty slots fill, at every number of keys; 0 if there is none."""
    counts = _slots_by_keys(part)
    tried = range(2, max((keys + slots for keys, slots in counts.items()), default=0) + 1)
    return next((block for block in tried if all(-keys % block == slots for keys, slots in counts.items())), 0)


def _sums(part: Part, head: int) -> list[str]:
    """What the weights of a head's queries sum to, and what they should."""
    return [written(float(np.median(each[head]))) for each in (part.measured, part.expected)]


def _scaled_sinks(times: float) -> str:
    """What is said of sinks whose scores are a multiple of the given ones."""
    said = f"The score of each sink is {written(times)} times the given one: scores and sinks are scaled alike, or neither."
    powers = " That is ln 2: the power is one of 2, as by exp2. Multiply the sink by log2(e) too."
    return said + (powers if np.isclose(times, np.log(2), rtol=SAME) else "")


def _times(logits: Array, expected: Array) -> float | None:
    """The factor between the scores of sinks and those expected; None if there is not one, or there is one sink."""
    slots = np.median(expected, axis=-1)
    if len(logits) < 2 or (slots <= 0).any() or not np.log(slots).all():
        return None
    times = logits / np.log(slots)
    return float(times[0]) if np.ptp(times) < SAME * np.abs(times).max() else None


def _mass_of_some(part: Part, rows: Sequence[int], mine: Array, expected: Array) -> Iterator[str]:
    """Where the weights of some queries alone have another sum."""
    others = [row for row in range(len(mine)) if row not in (*rows, *part.details.get("blind", ()))]
    sums = [numbers(each[list(rows)]) for each in (mine, expected)]
    lost = bool((expected[list(rows)] < 1 - 1e-3).all() and np.allclose(mine[list(rows)], 1, atol=1e-3))
    what = ": what takes part of the weight, such as a sink, is missing there" if lost else ""
    yield f"The weights of quer{'ies' if len(rows) > 1 else 'y'} {listed(rows)}{of_heads(part)} have another sum than they should{what}."
    yield f"At scores of 0 they sum to {sums[0]}, where {sums[1]} is expected; those of {listed(others)} are right."


STALLS = {"bfloat16": 256, "float16": 2048}
"""Where a sum of ones that is kept in a type stops growing."""


def _mass_far(part: Part, mine: float, expected: float) -> Iterator[str]:
    """Where the sum is another with very many keys alone."""
    keys = part.sizes[0]["key"]
    yield f"With {keys} keys the weights of a query sum to {written(mine)} at scores of 0, and not to {written(expected)}; with fewer keys they are right."
    kind = part.details.get("type", "")
    if STALLS.get(kind, keys) < keys:
        yield f"Its arithmetic is like {kind}, in which a sum of ones stops at {STALLS[kind]}: add up the exponentials in float32."
