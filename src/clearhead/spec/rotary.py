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
        factor: by what.
    """

    factor: Above0


class Llama3Scaling(Spec, frozen=True, tag_field="kind", tag="llama3"):
    """Slow frequencies are divided, fast ones kept, those between by shares (Llama 3.1).

    Attributes:
        factor: what slow frequencies are divided by.
        fast: frequencies that turn more often than this over the context stay.
        slow: those that turn less often are divided; those between, by shares.
        context: how many tokens the training saw.
    """

    factor: Above0
    fast: Above0
    slow: Above0
    context: Count


class Yarn(Spec, frozen=True, tag_field="kind", tag="yarn"):
    """Frequencies are divided from one pair of features on, up to another kept, between by shares (Peng et al. 2023).

    Attributes:
        factor: what slow frequencies are divided by.
        low: pairs up to this one stay, counted from 0.
        high: pairs from this one on are divided.
    """

    factor: Above0
    low: float
    high: float


class Dynamic(Spec, frozen=True, tag_field="kind", tag="dynamic"):
    """The base grows with the text, once it is longer than in training (dynamic NTK).

    Attributes:
        factor: how fast it grows.
        context: how many tokens the training saw.
    """

    factor: Above0
    context: Count


class LongRope(Spec, frozen=True, tag_field="kind", tag="longrope"):
    """Each frequency is divided by a number of its own (Ding et al. 2024).

    Given arrays: ``rotary.short`` (pair) for texts within the context of training, ``rotary.long`` (pair) for others.

    Attributes:
        context: how many tokens the training saw.
    """

    context: Count


class Factors(Spec, frozen=True, tag_field="kind", tag="factors"):
    """Each frequency is divided by a number of its own: ``rotary.factors`` (pair), as llama.cpp stores Llama 3.1's."""


Scaling = Union[Linear, Llama3Scaling, Yarn, Dynamic, LongRope, Factors]


class Rotary(Spec, frozen=True):
    """Rotary positions (Su et al. 2021).

    Attributes:
        layout: which features turn together: ``"half"`` pairs d with d + half (GPT-NeoX, Hugging Face),
            ``"interleaved"`` pairs each even one with the next (the paper, GPT-J).
        base: the base of the angles.
        width: how many features of a head are turned, the first ones; None for all.
        offset: the position of the first token, beyond what a cache holds.
        scaling: how frequencies are changed for a longer context; None for not.
        amplitude: cosines and sines are multiplied with this (YaRN's attention factor); None for not.
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

    def write(self, draft: Draft, query: str, key: str, keys: str, past: str | None) -> tuple[str, str]:
        """Writes the rotation of queries and keys; returns the names of the rotated lines."""
        if past is None:
            position = draft.write("rotary.position", positions.count, query, "token", offset=self.offset)
        else:
            position = draft.write(
                "rotary.position", positions.count_on, f"{query} {past}", "token", offset=self.offset
            )
        angle = self._angle(draft, position, query)
        cos = self._wave(draft, "rotary.cos", angle)
        sin = self._wave(draft, "rotary.sin", angle)
        turn = positions.rotate_half if self.layout == "half" else positions.rotate_interleaved
        return (
            draft.write("query.rotated", turn, f"{query} {cos} {sin}", "head token depth"),
            draft.write("key.rotated", turn, f"{key} {cos} {sin}", keys),
        )

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
        own = draft.write("rotary.frequency", positions.rotary_frequencies, query, "pair", **given)
        if isinstance(scaling, Factors):
            operands = f"{own} {draft.give('rotary.factors', 'pair')}"
            return draft.write("rotary.scaled", rotary_scaling.divide_frequencies, operands, "pair")
        if isinstance(scaling, LongRope):
            operands = f"{own} {position} {draft.give('rotary.short', 'pair')} {draft.give('rotary.long', 'pair')}"
            by_length = rotary_scaling.divide_by_length
            return draft.write("rotary.scaled", by_length, operands, "pair", context=scaling.context)
        operation = rotary_scaling.divide_by_ramp if isinstance(scaling, Yarn) else rotary_scaling.stretch_slow
        return draft.write("rotary.scaled", operation, own, "pair", **asdict(scaling))
