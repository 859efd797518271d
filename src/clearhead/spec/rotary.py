"""Rotary positions as a spec, and the ways to scale them for a longer context."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from msgspec import Meta
from msgspec.structs import asdict

from clearhead.errors import SpecError
from clearhead.ops.textbook import positions, rotary_scaling, scores
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec

Layout = Literal["half", "interleaved"]
Above0 = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(gt=0)]


class Linear(Spec, frozen=True, tag_field="kind", tag="linear"):
    """Positions are divided (Chen et al. 2023).

    Attributes:
        factor: the divisor.
    """

    factor: Above0


class Llama3Scaling(Spec, frozen=True, tag_field="kind", tag="llama3"):
    """Low frequencies are divided, high ones kept, those between interpolated (Llama 3.1).

    Attributes:
        factor: the divisor of low frequencies.
        fast: frequencies that rotate more often than this over the context are kept.
        slow: those that rotate less often are divided; those between are interpolated.
        context: the context length of training.
    """

    factor: Above0
    fast: Above0
    slow: Above0
    context: Count


class Yarn(Spec, frozen=True, tag_field="kind", tag="yarn"):
    """Frequencies of the first pairs are kept, of the last divided, interpolated between (YaRN: Peng et al. 2023).

    Attributes:
        factor: the divisor of low frequencies.
        low: pairs up to this one are kept, counted from 0.
        high: pairs from this one on are divided.
    """

    factor: Above0
    low: float
    high: float


class Dynamic(Spec, frozen=True, tag_field="kind", tag="dynamic"):
    """The base grows with the text once it is longer than the context of training (dynamic NTK).

    Attributes:
        factor: how fast it grows.
        context: the context length of training.
    """

    factor: Above0
    context: Count


class LongRope(Spec, frozen=True, tag_field="kind", tag="longrope"):
    """Each frequency is divided by its own number (Ding et al. 2024).

    Given arrays: ``rotary.short`` (pair) for texts within the context of training, ``rotary.long`` (pair) for others.

    Attributes:
        context: the context length of training.
    """

    context: Count


class Proportional(Spec, frozen=True, tag_field="kind", tag="proportional"):
    """Only the first pairs are rotated, by the frequencies that they have where all are (Gemma 4).

    Attributes:
        pairs: how many are rotated.
        factor: the divisor of their frequencies.
    """

    pairs: Count
    factor: Above0 = 1.0


class Factors(Spec, frozen=True, tag_field="kind", tag="factors"):
    """Each frequency is divided by its own number: ``rotary.factors`` (pair), as llama.cpp stores Llama 3.1's."""


class Frequencies(Spec, frozen=True, tag_field="kind", tag="frequencies"):
    """Frequencies are given: ``rotary.frequency`` (pair), as ESM's checkpoints store them."""


Scaling = Union[Linear, Llama3Scaling, Yarn, Dynamic, LongRope, Proportional, Factors, Frequencies]


class Rotary(Spec, frozen=True):
    """Rotary positions (Su et al. 2021).

    Attributes:
        layout: which features rotate together: ``"half"`` pairs d with d + half (GPT-NeoX, Hugging Face),
            ``"interleaved"`` pairs each even one with the next (the paper, GPT-J).
        base: the base of the angles.
        width: how many features of a head are rotated, the first ones; None for all.
        offset: the position of the first token, in addition to the length of a cache.
        scaling: how frequencies are changed for a longer context; None for no change.
        amplitude: cosines and sines are multiplied by this (YaRN's attention factor); None for 1.
    """

    layout: Layout = "half"
    base: float = 10000.0
    width: int | None = None
    offset: float = 0.0
    scaling: Scaling | None = None
    amplitude: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base <= 0:
            raise SpecError(f"rotary base expects a number above 0, got {self.base}. Most models use 10000.")
        if self.width is not None and (self.width < 2 or self.width % 2):
            raise SpecError(f"rotary width expects an even number of features, got {self.width}.")

    def write_position(self, draft: Draft, query: str, past: str | None) -> str:
        """Writes the positions of tokens onto ``draft``; returns their name.

        Args:
            draft: where the line is written.
            query: the name of the queries, for their number.
            past: the name of cached keys, for their number; None without a cache.
        """
        if past is None:
            return draft.write("rotary.position", positions.count, query, "token", offset=self.offset)
        return draft.write("rotary.position", positions.count_on, f"{query} {past}", "token", offset=self.offset)

    def write(self, draft: Draft, position: str, query: str, key: str | None, keys: str) -> tuple[str, str]:
        """Writes the rotation of ``query`` and ``key`` onto ``draft``.

        Args:
            draft: where the lines are written.
            position: the name of the tokens' positions.
            query: the name of the queries.
            key: the name of the new keys; None for queries alone.
            keys: the axis words of the new keys.

        Returns:
            The names of the rotated queries and keys; "" for no keys.
        """
        angle = self._angle(draft, position, query)
        cos = self._wave(draft, "rotary.cos", angle)
        sin = self._wave(draft, "rotary.sin", angle)
        turn = positions.rotate_half if self.layout == "half" else positions.rotate_interleaved
        turned = draft.write("query.rotated", turn, f"{query} {cos} {sin}", "head token depth")
        return turned, "" if key is None else draft.write("key.rotated", turn, f"{key} {cos} {sin}", keys)

    def _wave(self, draft: Draft, name: str, angle: str) -> str:
        operation = positions.cos if name.endswith("cos") else positions.sin
        if self.amplitude is None:
            return draft.write(name, operation, angle, "token pair")
        plain = draft.write(f"{name}.unscaled", operation, angle, "token pair")
        return draft.write(name, scores.scale, plain, "token pair", factor=self.amplitude)

    def _angle(self, draft: Draft, position: str, query: str) -> str:
        given = {"base": self.base, "width": self.width}
        if isinstance(self.scaling, Linear):
            factor = self.scaling.factor
            position = draft.write("rotary.divided", positions.divide_positions, position, "token", factor=factor)
        elif self.scaling is not None:
            frequency = self._scaled(draft, self.scaling, position, query)
            return draft.write("rotary.angle", positions.angles, f"{position} {frequency}", "token pair")
        return draft.write("rotary.angle", positions.rotary_angles, f"{position} {query}", "token pair", **given)

    def _scaled(self, draft: Draft, scaling: Scaling, position: str, query: str) -> str:
        """Writes the frequencies as they are scaled; returns the name of the last line."""
        given = {"base": self.base, "width": self.width}
        if isinstance(scaling, Dynamic):
            operands, parameters = f"{position} {query}", {**given, **asdict(scaling)}
            return draft.write("rotary.scaled", rotary_scaling.dynamic_frequencies, operands, "pair", **parameters)
        if isinstance(scaling, Frequencies):
            return draft.give("rotary.frequency", "pair")
        own = draft.write("rotary.frequency", positions.rotary_frequencies, query, "pair", **given)
        if isinstance(scaling, Factors):
            operands = f"{own} {draft.give('rotary.factors', 'pair')}"
            return draft.write("rotary.scaled", rotary_scaling.divide_frequencies, operands, "pair")
        if isinstance(scaling, Proportional):
            parameters = {"count": scaling.pairs, "factor": scaling.factor}
            return draft.write("rotary.scaled", rotary_scaling.turn_first, own, "pair", **parameters)
        if isinstance(scaling, LongRope):
            operands = f"{own} {position} {draft.give('rotary.short', 'pair')} {draft.give('rotary.long', 'pair')}"
            by_length = rotary_scaling.divide_by_length
            return draft.write("rotary.scaled", by_length, operands, "pair", context=scaling.context)
        operation = rotary_scaling.divide_by_ramp if isinstance(scaling, Yarn) else rotary_scaling.stretch_slow
        return draft.write("rotary.scaled", operation, own, "pair", **asdict(scaling))
