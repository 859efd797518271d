"""Frequencies of rotary positions that are scaled in another way than they should be, as a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array, Part
from clearhead.line import Line
from clearhead.ops.textbook import rotary_scaling
from clearhead.working import Working

CLOSE = 1e-5


class Scaled(Struct, frozen=True, eq=False):
    """Frequencies before any scaling, the factor, and the share of each pair that is divided by it."""

    plain: Array
    factor: float
    share: Array
    base: float

    @property
    def width(self) -> int:
        """How many features are rotated."""
        return 2 * len(self.plain)

    def blended(self, divided: Array | None = None, kept: Array | None = None, share: Array | None = None) -> Array:
        """The blend of divided and kept frequencies, with one of the three replaced."""
        divided = self.plain / self.factor if divided is None else divided
        share = self.share if share is None else share
        return np.asarray(share * divided + (1 - share) * (self.plain if kept is None else kept))


def _between(share: Array) -> Array:
    return (share > 0) & (share < 1)


READINGS: dict[str, Callable[[Scaled], Array]] = {
    "none is applied": lambda z: z.plain,
    "the blend of the pairs in between runs the wrong way round: what is kept and what is divided are exchanged there":
        lambda z: z.blended(share=np.where(_between(z.share), 1 - z.share, z.share)),
    "the pairs that are kept and those that are divided are exchanged": lambda z: z.blended(share=1 - z.share),
    "all pairs are divided by {s}, and not the slow ones alone": lambda z: z.plain / z.factor,
    "they are multiplied by {s} where they should be divided": lambda z: z.blended(z.plain * z.factor),
    "they are divided by {s} twice": lambda z: z.blended(z.plain / z.factor**2),
    "wavelengths are blended where frequencies should be": lambda z: z.plain / (1 - z.share + z.share * z.factor),
    "the factor {s} stands inside the power, as a base of {s}*{b}, where frequencies should be divided by it":
        lambda z: z.blended(z.plain * z.factor ** (-np.arange(len(z.plain)) * 2 / z.width)),
    "pairs that are kept have the base of NTK, {b}*{s}**(d/(d-2)), where they should have {b}":
        lambda z: z.blended(kept=z.plain * z.factor ** (-np.arange(len(z.plain)) * 2 / max(z.width - 2, 1))),
    "pairs in between are kept": lambda z: z.blended(share=np.where(_between(z.share), 0, z.share)),
    "pairs in between are divided by {s}": lambda z: z.blended(share=np.where(_between(z.share), 1, z.share)),
}  # fmt: skip
"""What may be wrong, and the frequencies that follow; {s} is the factor and {b} the base."""


def reading_of(working: Working, part: Part) -> str:
    """How the measured frequencies come from those before the scaling; "" if there is no scaling, or no known way."""
    if part.measured.shape != part.expected.shape:
        return ""
    if dynamic := next((each for each in working.lines if each.operation is rotary_scaling.dynamic_frequencies), None):
        return _grown(dynamic, part)
    scaled = _scaled(working, part)
    if scaled is None:
        return ""
    for says, table in READINGS.items():
        if np.allclose(table(scaled), part.measured, rtol=CLOSE, atol=1e-12):
            return says.format(s=written(scaled.factor), b=written(scaled.base))
    return _other_blend(scaled, part)


def _other_blend(scaled: Scaled, part: Part) -> str:
    """The shares of the pairs in between, where only these are wrong."""
    between = _between(scaled.share)
    if not between.any() or not np.allclose(part.measured[~between], part.expected[~between], rtol=CLOSE):
        return ""
    whole = scaled.plain - scaled.plain / scaled.factor
    shares = [((scaled.plain - each) / whole)[between] for each in (part.measured, part.expected)]
    mine, expected = (", ".join(f"{share:.3g}" for share in each) for each in shares)
    return (
        f"the pairs in between are blended in another way, divided to the share of {mine} where {expected} is "
        f"expected, and all others are right"
    )


def _grown(line: Line, part: Part) -> str:
    """The length of text for which a base was grown, where it grows with the length (dynamic NTK)."""
    width, tokens = 2 * len(part.measured), part.sizes[0]["key"]
    if width <= rotary_scaling.LONE_PAIR or not 0 < part.measured[1] < 1:
        return ""
    base, context, factor = (float(dict(line.parameters)[name]) for name in ("base", "context", "factor"))
    grown = float(part.measured[1]) ** (-width / 2)
    if not np.allclose(grown ** (-np.arange(0, width, 2) / width), part.measured, rtol=CLOSE):
        return ""
    where = f"where there are {tokens} tokens and the context has {written(context)}"
    if abs(grown / base - 1) < CLOSE:
        return f"the base is {written(base)} and has not grown, {where}"
    length = context * ((grown / base) ** ((width - 2) / width) + factor - 1) / factor
    return f"the base has grown as for {written(length)} tokens, {written(length / context)} times the context, {where}"


def _scaled(working: Working, part: Part) -> Scaled | None:
    lines = {line.name: line for line in working.lines}
    named = (each for each in lines.values() if each.name.rpartition(".")[2] == "scaled")
    line = next((each for each in named if "pair" in each.axes), None)
    before = lines.get(line.operands[0]) if line else None
    if line is None or before is None:
        return None
    parameters = {**dict(before.parameters), **dict(line.parameters)}
    if not {"base", "factor"} <= set(parameters) or parameters["factor"] == 1:
        return None
    width = 2 * len(part.expected)
    plain = float(parameters["base"]) ** (-np.arange(0, width, 2) / width)
    factor = float(parameters["factor"])
    share = np.round((plain - part.expected) / (plain - plain / factor), 9)
    return Scaled(plain, factor, share, float(parameters["base"]))
