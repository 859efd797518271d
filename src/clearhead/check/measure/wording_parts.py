"""The parts of a computation in words: a sentence that says each, and what belongs to it."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from clearhead.check.measure.laws import reading, written
from clearhead.check.measure.parts import Array, Part

MAX_NAMED = 6
"""Of more entries than this only the first are named."""


def listed(entries: Sequence[int]) -> str:
    """Entries by number, the first of many."""
    more = f" and {len(entries) - MAX_NAMED} more" if len(entries) > MAX_NAMED else ""
    return ", ".join(map(str, entries[:MAX_NAMED])) + more


def plain(part: Part) -> Iterator[str]:
    """A part without sentences of its own: its name, what was measured, what is expected."""
    yield f"{part.name.capitalize()}{_in(part)}: measured {_value(part.measured)}, expected {_value(part.expected)}."


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(np.round(value, 4).tolist()) if value.size <= 36 else f"numbers of shape {value.shape}"
    return str(value)


def _in(part: Part) -> str:
    """Which heads differ, as part of a sentence; "" where all do."""
    heads = part.where.get("head", ())
    every = part.sizes[0].get("head", 0) if part.sizes else 0
    return f" of head{'s' if len(heads) > 1 else ''} {listed(heads)}" if 0 < len(heads) < every else ""


def _scale(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    mine, due = float(part.measured[head]), float(part.expected[head])
    if abs(mine) < 1e-12:
        yield f"Scores{_in(part)} follow no queries and keys: weights are those of zero scores."
        return
    ratio = mine / due if due else np.nan
    if part.law:
        of = f" at depths {_depths(part)}" if not part.law.of else ""
        said = f"{part.law}{of}" + (f" ({reading(part.law.factor)})" if reading(part.law.factor) else "")
        fixed = ": it is fixed" if not part.law.of else ""
        expected = part.due or written(due)
        yield f"The scale of scores{_in(part)} is {said}{fixed}, where {expected} is due."
    else:
        yield f"The scale of scores{_in(part)} is {written(mine)}, where {written(due)} is due, at depth {part.sizes[0]['depth']}."
    if part.law is None or (part.due and part.law.of == part.due.of):
        known = f" ({reading(ratio)})" if reading(ratio) else ""
        yield f"Scores are {written(ratio)} times what they should be{known}." + (
            " The sign is turned round, as in exp(-s)." if ratio < 0 else "")  # fmt: skip
        if ratio > 0 and (root := ratio**0.5) != 1:
            yield f"A factor of {written(root)} on both queries and keys, such as on cos and sin, does the same."


def _depths(part: Part) -> str:
    return ", ".join(str(each) for each in sorted({size["depth"] for size in part.sizes}))


def _features(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    ratio = part.details["ratio"][head]
    odd = {written(float(each)): [at for at, x in enumerate(ratio) if abs(x - each) < 1e-6] for each in ratio}
    said = "; ".join(
        f"features {listed(at)} count {factor} times what is due" for factor, at in odd.items() if factor != "1"
    )
    yield f"Only some features of queries and keys are scaled{_in(part)}: {said}."
    factors = [float(each) for each in ratio if abs(each - 1) > 1e-6]
    if factors and min(factors) > 0 and np.ptp(factors) < 1e-6:
        yield (
            f"That is {written(factors[0] ** 0.5)} on each of queries and keys, as a factor on cos and sin gives for the "
            f"features that are turned (as the attention factor of YaRN does)."
        )


def _keys_seen(part: Part) -> Iterator[str]:
    more, fewer = part.details["more"], part.details["fewer"]
    what = (
        "other keys than" if more and fewer else "keys that they should not see, beside" if more else "fewer keys than"
    )
    due = "those due" if more and not fewer else "they should"
    masks = f" with {' and '.join(part.details['masks'])}" if "masks" in part.details else ""
    rows = part.where.get("query", ())
    whom = f"Queries {listed(rows)}" if 0 < len(rows) < part.sizes[0]["token"] else "Queries"
    yield f"{whom}{_in(part)} see {what} {due}{masks}."
    head = (part.where.get("head") or (0,))[0]
    mine, wanted = part.measured[head], part.expected[head]
    if mine.shape == wanted.T.shape and np.array_equal(mine, wanted.T):
        yield "The grid is the transpose of the one due: rows and columns of the mask are exchanged."
    reach = [_reach(each, part) for each in (part.measured, part.expected)]
    if reach[0] != reach[1] and all(reach):
        yield f"They see {reach[0]}, where {reach[1]} is due (at {part.sizes[0]['token']} tokens)."
    if more and part.details.get("fill"):
        yield f"Hidden keys have a score of {written(part.details['fill'])} and not minus infinity."


def _reach(seen: Array, part: Part) -> str:
    """How far back and ahead a query sees, and how many keys at most."""
    head = (part.where.get("head") or (0,))[0]
    past = part.sizes[0]["key"] - part.sizes[0]["token"] if part.sizes[0].get("past") else 0
    rows, columns = np.nonzero(seen[head])
    if not len(rows):
        return ""
    back, ahead = int((rows + past - columns).max()), int((columns - rows - past).max())
    widest = int(seen[head].sum(-1).max())
    return f"{max(back, 0)} back and {max(ahead, 0)} ahead, {widest} keys at most"


def _map(role: str) -> Callable[[Part], Iterator[str]]:
    def says(part: Part) -> Iterator[str]:
        mine, due = (_followed(each) for each in (part.measured, part.expected))
        yield f"{role}: measured {mine}, expected {due}."
        numbers = [row[0] if len(row) == 1 else None for row in _rows(part.measured)]
        if part.axes == ("head", "group") and None not in numbers:
            yield _rule([int(each) for each in numbers if each is not None], np.shape(part.measured)[1])

    return says


def _rows(follows: Array) -> list[list[int]]:
    return [np.nonzero(row)[0].tolist() for row in np.atleast_2d(follows)]


def _followed(follows: Array) -> str:
    """What each follows: ``0, 0, 1, 1``, or ``0+1`` where it is two."""
    if np.ndim(follows) == 1:
        return ", ".join(map(str, follows))
    return ", ".join("+".join(map(str, row)) or "none" for row in _rows(follows))


def _rule(found: list[int], groups: int) -> str:
    """How heads are mapped to key/value heads, as people write it."""
    heads = np.arange(len(found))
    rules = {"h % n_kv": heads % groups, "h // n_kv": heads // groups, "0": heads * 0, "h": heads,
             "n_kv - 1 - h // (n_heads / n_kv)": groups - 1 - heads // max(len(found) // groups, 1)}  # fmt: skip
    said = next((rule for rule, numbers in rules.items() if numbers.tolist() == found), "")
    unused = sorted(set(range(groups)) - set(found))
    ends = f" Key/value heads {listed(unused)} are never read." if unused else ""
    return (f"That is {said}, where h // (n_heads / n_kv) is due." if said else "") + ends


def _mass(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    mine, due = part.measured[head], part.expected[head]
    if part.details["scaled"]:
        total = written(float(np.median(mine)))
        yield f"The weights of a query{_in(part)} sum to {total} and not to {written(float(np.median(due)))}, whatever the scores."
        return
    slots = part.details["slots"]
    alike = [float(np.median(row)) for row in slots if np.ptp(row) < 1e-4 * max(float(np.abs(row).max()), 1e-9)]
    yield f"Weights of a query{_in(part)} do not sum to 1: part of the mass goes nowhere, as to a sink or an empty slot."
    if len(alike) == len(slots) and min(alike) > 0:
        if np.allclose(alike, 1, rtol=1e-4):
            yield "The denominator has 1 more than the exponentials of the scores: an empty slot with a score of 0 (softmax-one)."
        else:
            logits = ", ".join(written(float(np.log(each))) for each in alike)
            yield f"The denominator has more than the exponentials of the scores, as of sinks with scores {logits}, head by head."


def _bias(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    mine, due = (tables[head] for tables in part.details["distance"])
    if mine and due:
        mirrored = {r for r in due if -r in mine and r in mine}
        flips = len(mirrored) > 2 and np.ptp([mine[r] - due[-r] for r in mirrored if -r in due]) < 1e-3
        if flips and any(due[r] for r in mirrored):
            yield f"The bias of scores{_in(part)} is that of the opposite distance: its sign (query - key for key - query) is turned."
        else:
            yield f"The bias of scores by distance{_in(part)} is not the one due."
        slopes = [_slope(each) for each in (mine, due)]
        if slopes[0] is not None and slopes[1] is not None:
            yield f"In head {head} it falls by {written(slopes[0])} a token, where {written(slopes[1])} is due."
        else:
            yield f"In head {head} by distance (key - query): measured {_table(mine)}; expected {_table(due)}."
        return
    gap = part.details["gap"][head]
    column = np.nanmax(np.abs(np.nan_to_num(gap - np.nanmean(np.where(np.isfinite(gap), gap, 0.0), 0))))
    yield f"Something is added to scores{_in(part)} that should not be, or the reverse."
    if column < 1e-3 * max(float(np.nanmax(np.abs(gap))), 1e-9):
        row = next(row for row in gap if np.isfinite(row).all())
        yield f"It is the same for all queries; by key, less the commonest: {[round(float(x - np.median(row)), 4) for x in row]}."
    else:
        yield f"Measured less expected, but for a constant of each query, in head {head}: {np.round(gap, 3).tolist()}."


def _slope(table: dict[int, float]) -> float | None:
    """How much a bias falls with each token of distance, if it does so evenly on both sides."""
    falls = [-value / abs(at) for at, value in table.items() if at]
    return float(np.mean(falls)) if falls and np.ptp(falls) < 1e-3 * max(1e-9, np.abs(falls).max()) else None


def _table(table: dict[int, float]) -> str:
    return ", ".join(f"{at:+d}: {value:.4g}" for at, value in list(table.items())[: 2 * MAX_NAMED])


def _curve(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    mine, due = (
        _bent(shape[head], cap[head])
        for shape, cap in zip((part.measured, part.expected), part.details["cap"], strict=True)
    )
    yield f"Scores{_in(part)} {mine}, where they should {due}."
    keys = [each[head] for each in part.details["keys"]]
    if keys[0] != keys[1]:
        yield f"The length of keys {'counts' if keys[0] else 'does not count'}, where it should{' not' if keys[0] else ''}."


def _bent(shape: str, cap: float) -> str:
    return {
        "line": "grow straight with their query",
        "tanh": f"bend towards a soft-cap of {written(float(cap))} (c * tanh(s / c))",
        "direction": "follow only the direction of queries, as with a norm of queries",
        "bent": "bend in another way than a soft-cap does",
    }.get(shape, "follow no query")


def _pairs(part: Part) -> Iterator[str]:
    mine, due = (_paired(each) for each in (part.measured, part.expected))
    if not part.measured:
        yield (
            f"Queries and keys are not turned by the tokens' positions, where features {due} should turn together. Nothing is "
            f"turned, or the angles count something that queries and their keys share, such as the heads (axis -2 must be tokens)."
        )
    elif not part.expected:
        yield f"Features {mine} of queries and keys are turned in pairs, where nothing should be turned."
    else:
        yield f"Other features turn together: measured {mine}, expected {due} (depth {part.sizes[0]['depth']})."


def _paired(pairs: Sequence[tuple[int, int]]) -> str:
    more = " ..." if len(pairs) > MAX_NAMED else ""
    return " ".join(f"({a},{b})" for a, b in pairs[:MAX_NAMED]) + more


def _frequencies(part: Part) -> Iterator[str]:
    mine, due = part.details["spectrum"]
    ratio = part.details["ratio"]
    known = ratio is not None and np.isfinite(ratio).all()
    if known and np.ptp(ratio) < 1e-4 * np.abs(ratio).max() and abs(ratio[0]):
        factor = 1 / float(ratio[0])
        by = f"divided by {written(factor)}" if abs(factor) >= 1 else f"multiplied by {written(1 / factor)}"
        yield f"Rotary angles{_in(part)} are {written(float(ratio[0]))} times what is due, in all pairs alike: positions are {by}."
        return
    if mine and due and abs(mine[1] / due[1] - 1) < 1e-3:
        yield f"The base of the rotary angles{_in(part)} is {written(mine[0])}, where {written(due[0])} is due (depth {part.sizes[0]['depth']})."
        return
    yield f"Rotary frequencies{_in(part)} are not those due: by pair, measured {_numbers(part.measured)}, expected {_numbers(part.expected)}."
    if known:
        yield f"Times what is due: {_numbers(ratio)}."


def _numbers(numbers: Array) -> str:
    return ", ".join(f"{each:.5g}" for each in np.ravel(numbers)[: 2 * MAX_NAMED])


def _positions(part: Part) -> Iterator[str]:
    sides = part.details["sides"]
    whom = " and ".join("queries" if side == "query" else "keys" for side in sides)
    right = "" if len(sides) > 1 else f"; those of {'keys' if 'query' in sides else 'queries'} are right"
    yield f"Rotary positions of {whom}{_in(part)} are wrong{right}."
    for side, name in (("query", "Queries"), ("key", "Keys")):
        if side in sides:
            at = ("query", "key").index(side)
            yield f"{name} stand at {_places(part.measured[at])}, where {_places(part.expected[at])} is due (the first key at 0)."


def _places(places: Array) -> str:
    return ", ".join(
        "?" if np.isnan(each) else written(round(float(each), 2)) if round(float(each), 2) else "0"
        for each in places[: 2 * MAX_NAMED]
    )


def _turn(part: Part) -> Iterator[str]:
    why = part.details["why"]
    if why == "tables":
        query, key = part.details["frequencies"]
        yield f"Queries and keys{_in(part)} are turned by different tables, so that angles are not those of a distance."
        yield f"By pair, queries turn by {_numbers(query)} a token and keys by {_numbers(key)}, where {_numbers(part.details['due'])} is due."
    elif why == "positions":
        yield f"The angles between queries and keys{_in(part)} are not differences of positions: some tokens are turned on their own."
    else:
        yield f"Features{_in(part)} are not turned in pairs: the two of a pair get different angles or strengths."


def _form(part: Part) -> Iterator[str]:
    yield f"Scores{_in(part)} mix the features of queries and keys in another way than they should, beyond a factor."


def _overflow(part: Part) -> Iterator[str]:
    low, high = part.measured
    kind, _, name = part.details["cause"].partition(":")
    at = f"once the product of a query and a key passes {high:.6g}"
    if kind == "product":
        yield (
            f"Outputs are not finite {at} (at depth {part.sizes[0]['depth']}): queries times keys overflow {name} (65504) before "
            f"the scale makes them smaller. Scale the queries before the product, or multiply in float32."
        )
    elif kind == "exponential":
        yield (
            f"Outputs are not finite {at}: the exponential of {name} overflows. Subtract the largest score of each row before "
            f"the exponential."
        )
    else:
        yield f"Outputs are not finite {at} (finite up to {low:.6g}), where those of the working are."


def _rounding(part: Part) -> Iterator[str]:
    for name, mine, due in zip(("scores", "weights"), part.measured, part.expected, strict=True):
        if mine != due:
            yield (
                f"{name.capitalize()} come in steps of {written(mine)}: they are rounded."
                if mine
                else f"{name.capitalize()} are not rounded to {written(due)}."
            )


SENTENCES: dict[str, Callable[[Part], Iterator[str]]] = {
    "scale": _scale,
    "features": _features,
    "keys seen": _keys_seen,
    "key heads": _map("The key head whose keys each head reads"),
    "value heads": _map("The value head whose values each head reads"),
    "query heads": _map("The query head that each head of the output follows"),
    "output heads": _map("The head that comes out at each place"),
    "output columns": _map("The column of the values in each column of the output"),
    "query rows": _map("The query that each row of the output follows"),
    "key columns": _map("The key that the scores of each column follow"),
    "mass": _mass,
    "bias": _bias,
    "score curve": _curve,
    "pairs": _pairs,
    "frequencies": _frequencies,
    "positions": _positions,
    "turn": _turn,
    "form": _form,
    "overflow": _overflow,
    "rounding": _rounding,
}
"""How each part is put in words. A part that is not here is said as its name with what was measured and expected."""
