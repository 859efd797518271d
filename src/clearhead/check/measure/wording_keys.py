"""Sentences for the keys that queries see: which, how far, and by which rule of their distance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.wording_lists import by_heads, listed, of_heads

Span = tuple[int, int]
"""The first and the last of neighbouring distances; a key ahead of its query has a distance above 0."""


def keys_seen(part: Part) -> Iterator[str]:
    """Who sees which keys, and by which rule where there is one."""
    more, inverted = part.details["more"], is_inverted(part)
    if part.details.get("padded"):
        yield from _of_padding(part)
        return
    yield _first(part, inverted=inverted)
    head = (part.where.get("head") or (0,))[0]
    mine, wanted = part.measured[head], part.expected[head]
    if mine.shape == wanted.T.shape and np.array_equal(mine, wanted.T):
        yield "The grid is the transpose of the expected one: rows and columns of the mask are exchanged."
    if rule := part.details.get("rule"):
        yield f"Queries see {rule}."
    said = [(heads, each) for heads, each in by_heads(part, lambda at: _other_reach(part, at)) if each]
    tokens = part.sizes[0]["token"]
    for heads, each in said:
        whom = f"Those{heads}" if len(said) > 1 else "They"
        yield f"{whom} see {each} (at {tokens} token{'s' if tokens > 1 else ''})."
    if inverted and (left := _left_without(part)):
        yield (
            f"Where no key is left, as for quer{'ies' if len(left) > 1 else 'y'} {listed(left)}, all keys are seen, as "
            f"with a finite fill."
        )
    if (spans := spans_of(part, part.measured)) and len(spans) > 1:
        near = " and ".join(f"from {a} to {b}" if a < b else f"at {a}" for a, b in spans)
        yield f"By distance, key minus query, keys are seen {near}, and none between."
    if more and part.details.get("floor"):
        least = written(float(np.exp(part.details["fill"])))
        yield (
            f"Hidden keys have {least} of the largest weight of their row, whatever the scores: exponentials have a "
            f"least value there, and -inf does not give 0."
        )
    elif more and part.details.get("fill"):
        yield f"Hidden keys have a score of {written(part.details['fill'])} and not minus infinity."


def _of_padding(part: Part) -> Iterator[str]:
    """What queries see that are padding themselves, where all others are right."""
    head = (part.where.get("head") or (0,))[0]
    rows = list(part.where["query"])
    mine = part.measured[head][rows]
    what = "all keys" if mine.all() else "no key" if not mine.any() else "other keys than they should"
    yield of_own_padding(f"see {what}")


def of_own_padding(what: str) -> str:
    """What is said where only queries at the places of hidden keys differ."""
    return (
        f"Only queries at the places of hidden keys differ: they {what}, and all others are right. The padding of keys "
        f"counts for queries too: a fault in cross-attention; in self-attention none, where such rows are not read."
    )


def _first(part: Part, *, inverted: bool) -> str:
    """Which queries see more or fewer keys, or just the others."""
    more, fewer = part.details["more"], part.details["fewer"]
    what = (
        "other keys than" if more and fewer else "keys that they should not see, besides" if more else "fewer keys than"
    )
    masks = f" with {' and '.join(part.details['masks'])}" if "masks" in part.details else ""
    rows = part.where.get("query", ())
    some = 0 < len(rows) < part.sizes[0]["token"]
    one = some and len(rows) == 1
    whose = "the expected ones" if more and not fewer else "it should" if one else "they should"
    whom = f"{'Query' if one else 'Queries'} {listed(rows)}" if some else "Queries"
    if inverted:
        return (
            f"The mask is inverted: {whom[0].lower()}{whom[1:]}{of_heads(part)} {'sees' if one else 'see'} just "
            f"the keys that {'it' if one else 'they'} should not see{masks}."
        )
    return f"{whom}{of_heads(part)} {'sees' if one else 'see'} {what} {whose}{masks}."


def _other_reach(part: Part, head: int) -> str:
    """How far the queries of a head see, beside how far they should; "" where that is the same."""
    mine, expected = (_reach(each, part, head) for each in (part.measured, part.expected))
    return f"{mine}, where {expected} is expected" if mine != expected and mine and expected else ""


def _reach(seen: Array, part: Part, head: int) -> str:
    """How far back and ahead a query sees, and how many keys at most."""
    past = _past(part)
    rows, columns = np.nonzero(seen[head])
    if not len(rows):
        return ""
    back, ahead = int((rows + past - columns).max()), int((columns - rows - past).max())
    widest = int(seen[head].sum(-1).max())
    return f"{max(back, 0)} back and {max(ahead, 0)} ahead, {widest} keys at most"


def _past(part: Part) -> int:
    """How many keys stand before the first query."""
    return part.sizes[0]["key"] - part.sizes[0]["token"] if part.sizes[0].get("past") else 0


def is_inverted(part: Part) -> bool:
    """Whether queries see exactly the keys that they should not see, in all heads that differ.

    A query that should see all keys has none left; behind a finite fill it sees all.
    """
    heads = list(part.where.get("head") or range(len(part.measured)))
    mine, expected = part.measured[heads], part.expected[heads]
    whole = expected.all(-1)
    filled = whole & mine.all(-1)
    opposite = (mine == ~expected).all(-1)
    return bool((opposite | filled).all() and (opposite & ~whole).sum() > 1 and expected.any())


def _left_without(part: Part) -> list[int]:
    """The queries that an inverted mask leaves no key, and that see all keys."""
    head = (part.where.get("head") or (0,))[0]
    left = np.nonzero(part.expected[head].all(-1) & part.measured[head].all(-1))[0]
    return [int(row) for row in left]


def spans_of(part: Part, seen: Array) -> tuple[Span, ...]:
    """The distances at which keys are seen, as spans; none where who is seen is no matter of distance alone."""
    head = (part.where.get("head") or (0,))[0]
    rows, columns = np.indices(seen[head].shape)
    distance = columns - rows - _past(part)
    kept = np.unique(distance[seen[head]])
    if not len(kept) or seen[head][np.isin(distance, kept)].sum() < np.isin(distance, kept).sum():
        return ()
    runs = np.split(kept, np.nonzero(np.diff(kept) > 1)[0] + 1)
    return tuple((int(run[0]), int(run[-1])) for run in runs)


def rule_of(part: Part) -> str:
    """The keys that should be seen, as a condition on i and j; "" where it is no matter of distance alone."""
    spans = spans_of(part, part.expected)
    if len(spans) != 1:
        return ""
    (first, last), (tokens, keys) = spans[0], part.expected.shape[-2:]
    low, high = -(tokens - 1) - _past(part), keys - 1 - _past(part)
    ends = [f"j >= i - {-first}" if first < 0 else f"j >= i + {first}"] if first > low else []
    ends += [f"j <= i + {last}" if last > 0 else "j <= i" if not last else f"j <= i - {-last}"] if last < high else []
    return " & ".join(f"({end})" for end in ends) if len(ends) > 1 else "".join(ends)
