"""A survey as a few lines of text."""

from __future__ import annotations

from clearhead.inspection.statistics import SUMMARIES, Head
from clearhead.inspection.survey import Numbers, Survey

SHOWN = 8
"""With more layers than this only the first and the last are named."""


def named(layers: tuple[int, ...]) -> str:
    """Layers as text: ``layer 3``, ``layers 3, 4, 5``."""
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if len(layers) > SHOWN and layers[-1] - layers[0] == len(layers) - 1:
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layers {', '.join(map(str, layers))}"


def summary(survey: Survey) -> str:
    """The heads with the smallest or largest numbers, a line for each kind of number."""
    found = survey.summary()
    layers = tuple(survey.layers)

    def where(numbers: Numbers, place: int) -> str:
        layer, head = divmod(place, numbers.shape[1])
        return f"layer {layers[layer]}, head {head} ({numbers.flat[place]:.3g})"

    def line(row: Head) -> str:
        numbers = found.numbers[row.name]
        ends = {"least": where(numbers, int(numbers.argmin())), "most": where(numbers, int(numbers.argmax()))}
        return f"{row.title + ':':<25} {row.extremes.format(**ends)}"

    heading = f"{survey.model}; {len(survey.tokens):,} tokens"
    return "\n".join([heading, *map(line, SUMMARIES.values())])
