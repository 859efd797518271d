"""Sentences for how a query chooses among its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clearhead.check.measure.parts import Part
from clearhead.check.measure.selection import Choice


def selection(part: Part) -> Iterator[str]:
    """The sentences of a choice."""
    found: Choice = part.measured
    yield f"{WORDS[found.by](found)}, where the softmax of all keys that it may see is expected."
    scales = {round(scale, 4): depth for depth, scale in part.details["scale"]}
    if len(scales) == 1 and 1 not in scales:
        yield f"Its scores are {next(iter(scales)):g} times what they should be."
    elif 1 not in scales or len(scales) > 1:
        said = ", ".join(f"{scale:g} at depth {depth}" for scale, depth in scales.items())
        yield f"Its scores are other than they should be too, by the factors {said}."
    if not found.whole:
        yield "The weights that are kept stay those of the softmax of all keys, so they do not sum to 1."
    if found.early:
        yield "Keys are chosen before the mask hides some, so hidden keys take the places of others. Mask first."
    if part.details["empty"]:
        yield "Queries of which no key is kept were not compared."


def _number(found: Choice) -> str:
    return f"{found.value:g}"


MAPPED: dict[str, str] = {
    "argmax": "Each query takes the values of one key alone, that with the largest score (argmax)",
    "sparsemax": "The weights of a query are the sparsemax of its scores, max(s - tau, 0)",
    "1.5-entmax": "The weights of a query are the 1.5-entmax of its scores, max(s/2 - tau, 0)**2",
}

WORDS: dict[str, Callable[[Choice], str]] = {
    "largest": lambda each: (
        f"Each query keeps the {_number(each)} keys with the largest scores alone (top-k, k = {_number(each)})"
    ),
    "share": lambda each: f"Each query keeps {each.value:.3g} of all keys, those with the largest scores (top-k)",
    "weight": lambda each: f"Each query keeps the keys alone whose weight is above {_number(each)}",
    "relative": lambda each: f"Each query keeps the keys alone whose weight is above {_number(each)} times the largest",
    "sum": lambda each: f"Each query keeps the largest weights alone, until their sum reaches {_number(each)} (top-p)",
    "map": lambda each: MAPPED[each.map],
}
"""What a query does with its scores, by how it chooses."""
