"""Sentences for the scale of scores."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose

import numpy as np

from clearhead.check.measure.laws import CLOSE, reading, written
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.wording_lists import MAX_NAMED, of_heads


def scale(part: Part) -> Iterator[str]:
    """The scale of scores: the law that it follows, or else what it is by head or by size."""
    head = (part.where.get("head") or (0,))[0]
    mine, expected = float(part.measured[head]), float(part.expected[head])
    if abs(mine) < 1e-12:
        partly = part.details.get("elsewhere")
        rest = (
            ", where they can be compared, and follow them elsewhere"
            if partly
            else ": weights are those of zero scores"
        )
        yield f"Scores{of_heads(part)} follow no queries and keys{rest}."
        return
    ratio = mine / expected if expected else np.nan
    if part.law:
        of = f" at depths {_depths(part)}" if not part.law.of else ""
        heads = part.sizes[0].get("head", 1)
        readings = [reading(part.law.factor)] if reading(part.law.factor) else []
        readings += (
            [f"1/sqrt(heads) at {heads} heads"] if not part.law.of and isclose(part.law.factor**2 * heads, 1) else []
        )
        said = f"{part.law}{of}" + (f" ({', '.join(readings)})" if readings else "")
        fixed = ": it is fixed" if not part.law.of else ""
        yield f"The scale of scores{of_heads(part)} is {said}{fixed}, where {part.expected_law or written(expected)} is expected."
    elif lines := _by_head(part) or _by_size(part):
        yield from lines
        return
    else:
        yield f"The scale of scores{of_heads(part)} is {written(mine)}, where {written(expected)} is expected, at depth {part.sizes[0]['depth']}."
    if part.law is None or (part.expected_law and part.law.of == part.expected_law.of):
        known = f" ({reading(ratio)})" if reading(ratio) else ""
        yield f"Scores are {written(ratio)} times what they should be{known}." + (
            " The sign is inverted, as in exp(-s)." if ratio < 0 else "")  # fmt: skip
        if ratio > 0 and (root := ratio**0.5) != 1:
            yield f"A factor of {written(root)} on both queries and keys, such as on cos and sin, does the same."


def _depths(part: Part) -> str:
    return ", ".join(str(each) for each in sorted({size["depth"] for size in part.sizes}))


def _by_head(part: Part) -> list[str]:
    """What the scale is in each head, if it is not the same in all that differ."""
    heads = part.where.get("head", ())[:MAX_NAMED]
    ratios = [ratio[list(heads)] for _, ratio in _ratios(part)]
    if not ratios or len(heads) < 2 or _alike(ratios[0]):
        return []
    mine = ", ".join(f"{written(float(part.measured[head]))} in head {head}" for head in heads)
    expected = ", ".join(dict.fromkeys(written(float(part.expected[head])) for head in heads))
    said = [f"The scale of scores is {mine}, where {expected} is expected, at depth {part.sizes[0]['depth']}."]
    if all(_alike(column) for column in np.transpose(ratios)):
        said.append(
            f"That is {', '.join(written(float(each)) for each in ratios[0])} times what it should be, at all sizes that were measured."
        )
    return said


def _by_size(part: Part) -> list[str]:
    """By what the scores are too large at each size, if no law is known; by number of keys or by depth, if that decides."""
    head = (part.where.get("head") or (0,))[0]
    at = [(size, float(ratio[head])) for size, ratio in _ratios(part)]
    if not at or _alike([ratio for _, ratio in at]):
        return []
    word = next((word for word in ("key", "token", "depth") if _decides(word, at)), "")
    by = {f"{size[word]}" if word else f"{size['key']} keys and depth {size['depth']}": ratio for size, ratio in at}
    listed = ", ".join(f"{written(ratio)} at {where}" for where, ratio in list(by.items())[:MAX_NAMED])
    follows = f"only follows {_WORDS[word]}" if word else "follows no law that is known"
    return [
        f"Scores{of_heads(part)} are multiplied by another factor at each size: it {follows}.",
        f"Times what is expected{f', by {_WORDS[word]}' if word else ''}: {listed}.",
    ]


_WORDS = {"key": "the number of keys", "token": "the number of queries", "depth": "the depth of heads"}


def _decides(word: str, at: list[tuple[Mapping[str, int], float]]) -> bool:
    """Whether sizes with the same number have the same factor, and there are such and others."""
    by: dict[int, list[float]] = {}
    for size, ratio in at:
        by.setdefault(size[word], []).append(ratio)
    return 1 < len(by) < len(at) and all(map(_alike, by.values()))


def _ratios(part: Part) -> list[tuple[Mapping[str, int], Array]]:
    """How many times the expected scale the measured one is, by head, at each size."""
    return [(size, np.asarray(mine) / expected) for size, mine, expected in part.details.get("at", ())]


def _alike(numbers: Array | list[float]) -> bool:
    return bool(np.ptp(numbers) <= 10 * CLOSE * np.abs(numbers).max())
