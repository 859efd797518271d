"""Sentences for the parts of a computation: one for each, and its details."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isclose
from typing import Any

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.masks import BLIND
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.precision import FLOATS
from clearhead.check.measure.running import Running
from clearhead.check.measure.wording_bias import bias
from clearhead.check.measure.wording_heads import heads_apart
from clearhead.check.measure.wording_keys import keys_seen, of_own_padding
from clearhead.check.measure.wording_lists import MAX_NAMED, by_heads, listed, numbers, of_heads
from clearhead.check.measure.wording_scale import scale
from clearhead.check.measure.wording_selection import selection
from clearhead.check.measure.wording_sums import mass


def plain(part: Part) -> Iterator[str]:
    """A part without special sentences: its name, what was measured, what is expected."""
    yield f"{part.name.capitalize()}{of_heads(part)}: measured {_value(part.measured)}, expected {_value(part.expected)}."


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(np.round(value, 4).tolist()) if value.size <= 36 else f"numbers of shape {value.shape}"
    return str(value)


def _features(part: Part) -> Iterator[str]:
    head = (part.where.get("head") or (0,))[0]
    ratio = part.details["ratio"][head]
    odd = {written(float(each)): [at for at, x in enumerate(ratio) if abs(x - each) < 1e-6] for each in ratio}
    said = "; ".join(
        f"features {listed(at)} count {factor} times what is expected" for factor, at in odd.items() if factor != "1"
    )
    yield f"Only some features of queries and keys are scaled{of_heads(part)}: {said}."
    factors = [float(each) for each in ratio if abs(each - 1) > 1e-6]
    if factors and min(factors) > 0 and np.ptp(factors) < 1e-6:
        yield (
            f"That is {written(factors[0] ** 0.5)} on each of queries and keys, as a factor on cos and sin gives for the "
            f"features that are rotated (as the attention factor of YaRN does)."
        )


def _zeros(part: Part) -> Iterator[str]:
    heads = part.where.get("head", ())
    many = len(heads) > 1
    yield (
        f"Head{'s' if many else ''} {listed(heads)} of the output {'are' if many else 'is'} 0, whatever the inputs are: "
        f"{'they are' if many else 'it is'} not computed, or not written into the output."
    )


def _lost_columns(part: Part) -> Iterator[str]:
    lost, counts = part.where.get("depth", ()), dict(part.details.get("counts", ()))
    many, same = len(lost) > 1, set(counts.values())
    yield (
        f"Column{'s' if many else ''} {listed(lost)} of each head's output {'are' if many else 'is'} 0, whatever the "
        f"inputs are: {'they are' if many else 'it is'} not computed, or not written into the output (depth {len(part.measured)})."
    )
    if len(same) == 1 and len(counts) > 1:
        first = same.pop()
        fixed = max(counts) >= 2 * first  # else it may be a multiple of it
        yield f"At depths {listed(sorted(counts))} the first {first} are computed" + (
            ": this number is fixed in the code, where it should be the depth." if fixed else "."
        )


def _map(role: str) -> Callable[[Part], Iterator[str]]:
    def says(part: Part) -> Iterator[str]:
        mine, expected = (_followed(each) for each in (part.measured, part.expected))
        yield f"{role}: measured {mine}, expected {expected}."
        numbers = [row[0] if len(row) == 1 else None for row in _rows(part.measured)]
        if part.axes == ("head", "group") and None not in numbers:
            yield _rule([int(each) for each in numbers if each is not None], np.shape(part.measured)[1])

    return says


def _query_rows(part: Part) -> Iterator[str]:
    """Which queries each row of the output follows; more than one where queries take the place of keys."""
    yield from _map("The query that each row of the output follows")(part)
    rows = [set(row) for row in _rows(part.measured)]
    several = [at for at, row in enumerate(rows) if len(row) > 1]
    earlier = all(rows[at] == set(range(at + 1)) for at in several)
    if several and (earlier or all(len(rows[at]) == len(rows) for at in several)):
        yield "Rows follow the queries of other tokens: so it is where queries, or some of their features, stand in for keys."


def _rows(follows: Array) -> list[list[int]]:
    return [np.nonzero(row)[0].tolist() for row in np.atleast_2d(follows)]


def _followed(follows: Array) -> str:
    """What each follows: ``0, 0, 1, 1``, or ``0+1`` where it follows two."""
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
    return (f"That is {said}, where h // (n_heads / n_kv) is expected." if said else "") + ends


def _curve(part: Part) -> Iterator[str]:
    for heads, said in by_heads(part, lambda head: _curves(part, head)):
        if said:
            yield f"Scores{heads} {said}."
    head = (part.where.get("head") or (0,))[0]
    keys = [each[head] for each in part.details["keys"]]
    if keys[0] != keys[1]:
        counts = "counts" if keys[0] else "does not count, as with a norm of keys"
        yield f"The length of keys {counts}, where it should{' not' if keys[0] else ''}."


def _curves(part: Part, head: int) -> str:
    """How the scores of a head grow, beside how they should; "" where that is the same."""
    mine, expected = (
        _bent(shape[head], cap[head])
        for shape, cap in zip((part.measured, part.expected), part.details["cap"], strict=True)
    )
    if mine.startswith("approach") and not part.details.get("one cap", True):
        mine += f" at depth {part.sizes[0]['depth']}, and another one at other depths"
    if formula := part.details.get("formula"):
        mine = f"are {formula}, of a scaled score s"
    return f"{mine}, where they should {expected}" if mine != expected else ""


def _bent(shape: str, cap: float) -> str:
    return {
        "line": "grow in a straight line with their query",
        "tanh": f"approach a soft-cap of {written(float(cap))} (c * tanh(s / c))",
        "direction": "follow only the direction of queries, as with a norm of queries",
        "bent": "follow a curve that is no soft-cap",
    }.get(shape, "follow no query")


def _running(part: Part) -> Iterator[str]:
    found: Running = part.measured
    sums = {"values": found.values, "exponentials": found.sums}
    left, inverse = ([what for what, power in sums.items() if power == each] for each in (1, 2))
    said = [
        f"the sum of {' and that of '.join(left)} so far is not multiplied by exp(old maximum - new maximum)"
    ] * bool(left)
    if inverse:
        said.append(
            f"the sum of {' and that of '.join(inverse)} so far is divided by exp(old maximum - new maximum), where it must be multiplied"
        )
    yield (
        f"The online softmax does not rescale {'as it should' if inverse else 'its sums'}: when a later block of keys has a larger "
        f"maximum, {', and '.join(said)}. Blocks are of {found.block} key{'s' if found.block > 1 else ''}."
    )


def _pairs(part: Part) -> Iterator[str]:
    mine, expected = (_paired(each) for each in (part.measured, part.expected))
    if not part.measured:
        yield (
            f"Queries and keys are not rotated by the tokens' positions, where features {expected} should rotate together. Nothing is "
            f"rotated, or the angles count something that queries and their keys share, such as the heads (axis -2 must be tokens)."
        )
    elif not part.expected:
        yield f"Features {mine} of queries and keys are rotated in pairs, where nothing should be rotated."
    elif all(map(turns_first, (part.measured, part.expected))) and len(part.measured) != len(part.expected):
        only = "Only the" if len(part.measured) < len(part.expected) else "The"
        yield (
            f"{only} first {2 * len(part.measured)} features of each head are rotated, where {2 * len(part.expected)} should be, "
            f"at depth {part.sizes[0]['depth']}: pairs {mine}, expected {expected}."
        )
    else:
        yield f"Other features rotate together: measured {mine}, expected {expected} (depth {part.sizes[0]['depth']})."


def turns_first(pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether pairs are of the first features of a head, without a gap."""
    return {feature for pair in pairs for feature in pair} == set(range(2 * len(pairs)))


def _paired(pairs: Sequence[tuple[int, int]]) -> str:
    more = " ..." if len(pairs) > MAX_NAMED else ""
    return " ".join(f"({a},{b})" for a, b in pairs[:MAX_NAMED]) + more


def _frequencies(part: Part) -> Iterator[str]:
    if apart := list(heads_apart(part)):
        yield from apart
        return
    mine, expected = part.details["spectrum"]
    ratio = part.details["ratio"]
    known = ratio is not None and np.isfinite(ratio).all()
    if known and np.ptp(ratio) < 1e-4 * np.abs(ratio).max() and abs(ratio[0]):
        factor = 1 / float(ratio[0])
        if isclose(factor, -1.0, rel_tol=1e-4):
            yield f"Rotations{of_heads(part)} run the other way: the sign of the sine, or the order of positions, is inverted."
            return
        by = f"divided by {written(factor)}" if abs(factor) >= 1 else f"multiplied by {written(1 / factor)}"
        yield f"Rotary angles{of_heads(part)} are {written(float(ratio[0]))} times the expected ones, in all pairs at depth {part.sizes[0]['depth']}: positions are {by}."
        return
    if kept := part.details["kept"]:
        yield f"Rotary frequencies{of_heads(part)} are the expected ones, rounded to {kept}: keep the inverse frequencies, and angles, in float32."
        return
    if part.details["base"] and expected and abs(mine[1] / expected[1] - 1) < 1e-3:
        yield f"The base of the rotary angles{of_heads(part)} is {written(part.details['base'])}, where {written(expected[0])} is expected (depth {part.sizes[0]['depth']})."
        return
    if reading := part.details.get("reading"):
        yield f"The scaling of rotary frequencies{of_heads(part)} is not the expected one: {reading}."
        yield f"By pair, measured {numbers(part.measured)}, expected {numbers(part.expected)} (depth {part.sizes[0]['depth']})."
        return
    yield f"Rotary frequencies{of_heads(part)} are not the expected ones: by pair, measured {numbers(part.measured)}, expected {numbers(part.expected)}."
    if known:
        yield f"Times what is expected: {numbers(ratio)}."


def _positions(part: Part) -> Iterator[str]:
    if apart := list(heads_apart(part)):
        yield from apart
        return
    sides = part.details["sides"]
    if all(not np.nan_to_num(each).any() for each in part.measured):
        yield f"Queries and keys{of_heads(part)} are not rotated by their positions: all of them stand at 0."
        return
    whom = " and ".join("queries" if side == "query" else "keys" for side in sides)
    right = "" if len(sides) > 1 else f"; those of {'keys' if 'query' in sides else 'queries'} are right"
    yield f"Rotary positions of {whom}{of_heads(part)} are wrong{right}."
    for side, name in (("query", "Queries"), ("key", "Keys")):
        if side in sides:
            at = ("query", "key").index(side)
            yield f"{name} stand at {_places(part.measured[at])}, where {_places(part.expected[at])} is expected (the first key at 0)."
    past, first = part.sizes[0].get("past", 0), part.measured[0][:1]
    if past > 1 and first.size and np.isclose(first[0], 2 * past) and np.isclose(part.expected[0][0], past):
        yield f"New tokens count from {2 * past}, twice the {past} tokens of the cache: these are added once too often."


def _places(places: Array) -> str:
    return ", ".join(
        "?" if np.isnan(each) else written(round(float(each), 2)) if round(float(each), 2) else "0"
        for each in places[: 2 * MAX_NAMED]
    )


SPREAD = 1e-4
"""Factors as near to each other as this are one."""


def _turn(part: Part) -> Iterator[str]:
    why = part.details["why"]
    if why == "tables":
        query, key = part.details["frequencies"]
        yield f"Queries and keys{of_heads(part)} are rotated by different tables, so that angles are not those of a distance."
        yield f"By pair, queries rotate by {numbers(query)} a token and keys by {numbers(key)}, where {numbers(part.details['expected'])} is expected."
    elif why == "positions":
        yield f"The angles between queries and keys{of_heads(part)} are not differences of positions: some tokens are rotated by other angles."
    elif part.details["pairs"]:
        yield f"Features{of_heads(part)} are not rotated in pairs: the two of a pair get different angles or strengths."
    else:
        yield from _scales_of_keys(part)


def _scales_of_keys(part: Part) -> Iterator[str]:
    """Where no features are rotated, and scores are scaled differently from key to key or from query to query."""
    head = (part.where.get("head") or (0,))[0]
    strengths = [np.diagonal(each[head], axis1=-2, axis2=-1) for each in (part.measured, part.expected)]
    with np.errstate(all="ignore"):
        ratio = strengths[0] / strengths[1]
    for name, axis in (("key", 0), ("query", 1)):
        by = np.moveaxis(ratio, 1 - axis, 0).reshape(ratio.shape[1 - axis], -1)
        known = [row[np.isfinite(row)] for row in by]
        if all(not len(row) or np.ptp(row) < SPREAD for row in known):
            said = ", ".join(f"{each[0]:.5g}" if len(each) else "?" for each in known[: 2 * MAX_NAMED])
            yield f"Scores{of_heads(part)} are scaled differently from {name} to {name}: in this order by {said} times what is expected."
            return
    yield f"Scores{of_heads(part)} are scaled differently from query to query, key to key or feature to feature."


def _tables(part: Part) -> Iterator[str]:
    kept = part.details["kept"]
    yield f"Rotary {', '.join(kept.steps)} are rounded to {kept.type} ({FLOATS[kept.type] + 1} bits). With this all numbers are right."


def _form(part: Part) -> Iterator[str]:
    yield f"Scores{of_heads(part)} mix the features of queries and keys in a different way than they should, beyond a factor."


def _overflow(part: Part) -> Iterator[str]:
    low, high = part.measured
    if part.details["cause"] == "vanish":
        become = "0" if part.details["finite"] else "0 or not finite"
        yield (
            f"Outputs are {become} where all scores of a query are below about {low:.4g}: the maximum that is subtracted is bounded "
            f"from below, as a running one that starts at a finite number is. Start it at -inf."
        )
        return
    kind, _, name = part.details["cause"].partition(":")
    at = f"once the product of a query and a key passes {high:.6g} (at depth {part.sizes[0]['depth']})"
    if kind == "product":
        yield (
            f"Outputs are not finite {at}: queries times keys overflow {name} (65504) before "
            f"the scale makes them smaller. Scale the queries before the product, or multiply in float32."
        )
    elif kind == "exponential":
        yield (
            f"Outputs are not finite {at}: the exponential of {name} overflows. "
            f"Subtract the largest score of each row before the exponential."
        )
        yield _instead_of_maximum(part.details["constant"])
    else:
        yield f"Outputs are not finite {at} (finite up to {low:.6g}), where those of the working are."


SURE = 3.0
"""A smaller constant may come of how many keys there are, or of a sink, and is not said."""


def _instead_of_maximum(constant: float | None) -> str:
    """What is subtracted in place of the largest score; "" where that was not measured."""
    if constant is None or 0.5 < abs(constant) < SURE:
        return ""
    what = f"a constant of about {round(constant)}" if round(constant) else "nothing"
    return f"By where exponentials overflow and where all of them vanish, {what} is subtracted from scores before."


def _rounding(part: Part) -> Iterator[str]:
    for name, mine, expected in zip(("scores", "weights"), part.measured, part.expected, strict=True):
        if mine != expected:
            yield (
                f"{name.capitalize()} come in steps of {written(mine)}: they are rounded."
                if mine
                else f"{name.capitalize()} are not rounded to {written(expected)}."
            )


def _fill(part: Part) -> Iterator[str]:
    near = float(f"{part.measured:.2g}")
    fill = written(near if isclose(near, part.measured, rel_tol=1e-3) else part.measured)
    masks = f" by {' and '.join(part.details['masks'])}" if part.details["masks"] else ""
    yield (
        f"Keys that are hidden{masks} get a score of {fill} and not minus infinity: they are seen once all other scores of a "
        f"query are below it. Fill with -inf, or with the lowest number of the type."
    )


def _blind(part: Part) -> Iterator[str]:
    yield f"A query that sees no key, as where all are padding, gets {BLIND[part.measured]}; the working gives 0."
    yield (
        "PyTorch's scaled_dot_product_attention gives 0 there too. A softmax of -inf alone gives NaN, and so does "
        "MultiheadAttention where it returns weights."
    )


def _padded(part: Part) -> Iterator[str]:
    yield of_own_padding(f"get {part.measured}")


SENTENCES: dict[str, Callable[[Part], Iterator[str]]] = {
    "scale": scale,
    "features": _features,
    "computed heads": _zeros,
    "computed columns": _lost_columns,
    "keys seen": keys_seen,
    "key heads": _map("The key head whose keys each head reads"),
    "value heads": _map("The value head whose values each head reads"),
    "query heads": _map("The query head that each head of the output follows"),
    "output heads": _map("The head that comes out at each place"),
    "output columns": _map("The column of the values in each column of the output"),
    "query rows": _query_rows,
    "key columns": _map("The key that the scores of each column follow"),
    "mass": mass,
    "bias": bias,
    "score curve": _curve,
    "pairs": _pairs,
    "frequencies": _frequencies,
    "positions": _positions,
    "turn": _turn,
    "rotary tables": _tables,
    "form": _form,
    "overflow": _overflow,
    "rounding": _rounding,
    "selection": selection,
    "running maximum": _running,
    "fill": _fill,
    "padded queries": _padded,
    "query without keys": _blind,
}
"""The sentences of each part. Other parts get their name with what was measured and expected."""
