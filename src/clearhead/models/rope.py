"""Rotary positions in the configs of Transformers and the metadata of llama.cpp."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from clearhead.errors import CheckpointError
from clearhead.models.key import ABSENT, At, Key, shown, within
from clearhead.spec.rotary import (
    Dynamic,
    Factors,
    Layout,
    Linear,
    Llama3Scaling,
    LongRope,
    Proportional,
    Rotary,
    Scaling,
    Yarn,
)

OBJECTS = "rope_scaling", "rope_parameters"
"""The entries of configs: the older name counts, unless it is null or empty."""

KINDS = ("full_attention", "sliding_attention")
"""The kinds of layers that have rotary positions of their own in some families."""

ENTRIES = {
    "rope_theta", "rope_type", "type", "partial_rotary_factor", "factor", "original_max_position_embeddings",
    "attention_factor", "beta_fast", "beta_slow", "short_factor", "long_factor", "low_freq_factor",
    "high_freq_factor", "mscale", "mscale_all_dim", "truncate",
}  # fmt: skip
"""The entries that such an object may have; those that a kind of scaling does not use have no effect."""


class Rope(Struct, frozen=True):
    """The rotary positions of a family.

    Attributes:
        layout: which features rotate together.
        theta: the base where none is stated.
        theta_names: entries for the base outside the object.
        share: the part of a head's features that is rotated, where none is stated; None for a family that rotates all.
        share_names: entries for the share outside the object.
        kind: the kind of layers, whose object is inside the object (Gemma 3); "" where all layers share one.
        old: whether an older config's ``rope_scaling`` applies to it.
        words: other names of kinds of scaling.
        context: the tokens of a text where the config does not say.
        original: the tokens of training where the config does not say; None for ``context``.
        width: the entry with the number of rotated features (DeepSeek); None for a share of all.
        ignored: entries of the object that change no number of a text.
        absent: the values where the config has no object (gpt-oss).
    """

    layout: Layout = "half"
    theta: float = 10000.0
    theta_names: tuple[str, ...] = ("rope_theta",)
    share: float | None = None
    share_names: tuple[str, ...] = ("partial_rotary_factor",)
    kind: str = ""
    old: bool = True
    words: Mapping[str, str] = {}
    context: int = 2048
    original: int | None = None
    absent: Mapping[str, Any] = {}
    width: Key | None = None
    ignored: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """All entries of a config that are read."""
        contexts = "max_position_embeddings", "original_max_position_embeddings"
        width = () if self.width is None else self.width.names
        return (*OBJECTS, *self.theta_names, *self.share_names, *contexts, *width)

    def read(self, at: At) -> Rotary:
        """The rotary positions of a layer.

        Raises:
            CheckpointError: a kind of scaling that is not known, or one that lacks something.
        """
        said = self._said(at.config)
        word = said.get("rope_type", said.get("type", "default"))
        kind = self.words.get(word, word) if isinstance(word, str) else word
        base = said.get("rope_theta", _first(at.config, self.theta_names, self.theta))
        turned = self._turned(at, said, kind)
        try:
            scaling, amplitude = self._scaling(kind, said, at, base=base, turned=turned)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CheckpointError(
                f"the config has rotary scaling of type {shown(kind)}, but lacks or garbles {str(error)[:60]}."
            ) from None
        if turned % 2:
            base, turned = _of_even_width(base, turned, at.depth, scaling)
        width = None if turned == at.depth else turned
        return Rotary(self.layout, base, width, scaling=scaling, amplitude=amplitude)

    def _said(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The object for this kind of layer."""
        older, newer = (_object(config, name) for name in OBJECTS)
        if not self.kind:
            newer = self.absent if config.get(OBJECTS[1]) is None else newer
            return _known(OBJECTS[0] if older else OBJECTS[1], older or newer, ENTRIES | self.ignored)
        _check_kinds(newer)
        newer = {self.kind: self.absent} if config.get(OBJECTS[1]) is None else newer
        own = _known(f"{OBJECTS[1]}.{self.kind}", _object(newer, self.kind)) or {"rope_type": "default"}
        return {**own, **_known(OBJECTS[0], older)} if self.old else own

    def _turned(self, at: At, said: Mapping[str, Any], kind: Any) -> int:
        """How many features of a head are rotated."""
        beside = _first(at.config, self.share_names, self.share)
        share = said.get("partial_rotary_factor", beside)
        if self.width is not None and (kind in ("default", "proportional") or share in (None, 1)):
            return int(self.width.read(at))
        if kind == "proportional" or (self.share is None and kind == "default"):
            return at.depth  # Transformers does not read the share in such a family, or as a share of pairs
        share = 1.0 if share is None else share
        if self.share is None and share != 1:
            raise CheckpointError(
                f"the config has partial_rotary_factor = {shown(share)}, which the family does not have."
            )
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise CheckpointError(f"the config has partial_rotary_factor = {shown(share)}; expects a number above 0.")
        return int(at.depth * share)

    def _scaling(
        self, kind: Any, said: Mapping[str, Any], at: At, *, base: float, turned: int
    ) -> tuple[Scaling | None, float | None]:
        """How frequencies are scaled, and the factor of cosines and sines."""
        whole = _first(at.config, ("max_position_embeddings",), self.context)
        trained = said.get("original_max_position_embeddings", whole)
        if not self.kind:
            own = trained if self.original is None else self.original
            trained = _first(at.config, ("original_max_position_embeddings",), own)
        factor = said.get("factor")
        if kind == "default":
            return None, None
        if kind == "linear":
            return Linear(float(said["factor"])), None
        if kind == "dynamic":
            return Dynamic(float(said["factor"]), int(whole)), None
        if kind == "llama3":
            fast, slow = float(said["high_freq_factor"]), float(said["low_freq_factor"])
            return Llama3Scaling(float(said["factor"]), fast, slow, int(trained)), None
        if kind == "proportional":
            share = said.get("partial_rotary_factor", _first(at.config, self.share_names, 1.0))
            return Proportional(int(share * turned // 2), float(1.0 if factor is None else factor)), None
        if kind == "yarn":
            factor = said["factor"]
            if self.kind:  # Transformers reads it beside the objects of kinds, where there is none
                said = {**said, "truncate": True}
        factor = float(whole / trained if factor is None else factor)
        if kind == "yarn":
            return _yarn(said, factor=factor, base=base, turned=turned, trained=trained), _mscale(said, factor)
        if kind == "longrope":
            if self.kind not in ("", "full_attention"):
                raise CheckpointError(f"the config has longrope in its layers of {self.kind}, which are not read.")
            stated = said.get("attention_factor")
            usual = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
            return LongRope(int(trained)), float(usual if stated is None else stated)
        raise CheckpointError(
            f"the config has rotary scaling of type {shown(kind)}; known are default, linear, dynamic, llama3, yarn, "
            f"longrope and proportional. Checkpoints with another rotary scaling are not read."
        )


def _yarn(said: Mapping[str, Any], *, factor: float, base: float, turned: int, trained: int) -> Yarn:
    """Where the ramp between kept and divided frequencies starts and ends (Peng et al. 2023, section 3.2)."""

    def pair(turns: float) -> float:
        return turned * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = pair(said.get("beta_fast") or 32), pair(said.get("beta_slow") or 1)
    if said.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, turned - 1)
    return Yarn(factor, low, high if high != low else high + 0.001)


def _mscale(said: Mapping[str, Any], factor: float) -> float:
    """The factor of cosines and sines in YaRN."""

    def grown(by: float) -> float:
        return 0.1 * by * math.log(factor) + 1 if factor > 1 else 1.0

    if said.get("attention_factor") is not None:
        return float(said["attention_factor"])
    if said.get("mscale") and said.get("mscale_all_dim"):
        return grown(said["mscale"]) / grown(said["mscale_all_dim"])
    return grown(1.0)


def _of_even_width(base: float, turned: int, depth: int, scaling: Scaling | None) -> tuple[float, int]:
    """Base and width of the frequencies of an odd width: Transformers turns one more feature by base^(-2c / odd).

    Raises:
        CheckpointError: a head has no such feature, frequencies that are not powers of the base, or one feature, which
            some families of Transformers widen to two.
    """
    if turned in (1, depth) or isinstance(scaling, (Dynamic, Yarn)):
        raise CheckpointError(f"the config gives {turned} rotated features of {depth}; expects an even number.")
    return float(base ** ((turned + 1) / turned)), turned + 1


def _object(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise CheckpointError(f"the config has {name} = {shown(value)}; expects an object with rope_type.")
    return value or {}


def _known(name: str, said: Mapping[str, Any], entries: Collection[str] = ENTRIES) -> Mapping[str, Any]:
    """An object, all of whose entries are known.

    Raises:
        CheckpointError: one is not.
    """
    for each, value in said.items():
        if each not in entries:
            raise CheckpointError(
                f"the config has {name}.{each[:60]} = {shown(value)}, which is not known for a rotary scaling."
            )
    return said


def _check_kinds(said: Mapping[str, Any]) -> None:
    """Whether an object has one object for each kind of layers, and nothing else.

    Raises:
        CheckpointError: it has another entry, such as one for all layers.
    """
    for each, value in said.items():
        if each not in KINDS:
            raise CheckpointError(
                f"the config has {OBJECTS[1]}.{each[:60]} = {shown(value)}; in this family {OBJECTS[1]} has an object "
                f"for each kind of layers, {' and '.join(KINDS)}, and nothing beside them."
            )


def _first(config: Mapping[str, Any], names: tuple[str, ...], default: Any) -> Any:
    found = (within(config, name) for name in names)
    return next((value for value in found if value is not ABSENT), default)


class GgufRope(Struct, frozen=True):
    """The rotary positions of a family as llama.cpp reads them.

    Attributes:
        layout: which features rotate together, once their rows are in clearhead's order.
        factors: the array of divisors of frequencies (Llama 3.1), if a file has it.
        scaled: whether frequencies are scaled; not those of layers with a window (Gemma 3, OLMo 3).
        base: the entry of the base (Gemma 3's layers with a window have one of their own).
        truncate: whether YaRN's ramp starts and ends at whole pairs.
        latent: whether YaRN's factor belongs to the scores (DeepSeek), and not to cosines and sines.
    """

    layout: Layout = "half"
    factors: str = "rope_freqs.weight"
    scaled: bool = True
    base: str = "rope.freq_base"
    truncate: bool = True
    latent: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All metadata that are read."""
        scaling = (
            "type", "factor", "original_context_length", "attn_factor", "yarn_attn_factor", "yarn_beta_fast",
            "yarn_beta_slow", "finetuned", *(("yarn_log_multiplier",) if self.latent else ()),
        )  # fmt: skip
        return (
            "context_length", "rope.freq_base", self.base, "rope.dimension_count", "rope.scale_linear",
            *(f"rope.scaling.{name}" for name in scaling),
        )  # fmt: skip

    def read(self, at: At) -> Rotary:
        """The rotary positions of a layer.

        Raises:
            CheckpointError: a kind of scaling that is not known, or one that lacks something.
        """
        base = at.config.get(self.base, 10000.0)
        turned = at.config.get("rope.dimension_count", at.depth)
        try:
            scaling, amplitude = self._scaling(at, base=base, turned=turned)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise CheckpointError(
                f"the metadata have rotary scaling that lacks or garbles {str(error)[:60]}."
            ) from None
        width = None if turned == at.depth else turned
        return Rotary(self.layout, base, width, scaling=scaling, amplitude=amplitude)

    def _scaling(self, at: At, *, base: float, turned: int) -> tuple[Scaling | None, float | None]:
        said = {
            name.removeprefix("rope.scaling."): v for name, v in at.config.items() if name.startswith("rope.scaling.")
        }
        grown = float(said.get("attn_factor", 1.0)) * float(said.get("yarn_attn_factor", 1.0))
        amplitude = None if grown == 1 else grown
        if not self.scaled:
            return None, amplitude
        # As llama.cpp reads them: linear where no type is stated, and a factor of 0 for none.
        kind = said.get("type", "linear")
        stated: Any = said.get("factor", at.config.get("rope.scale_linear", 1.0))
        factor = float(stated) or 1.0
        if self.factors in at.arrays:
            if kind != "none" and factor != 1:
                raise CheckpointError(f"the file has {self.factors} beside rotary scaling of type {shown(kind)}.")
            return Factors(), amplitude
        if kind == "none" or (kind == "linear" and factor == 1):
            return None, amplitude
        if kind == "linear":
            return Linear(factor), amplitude
        if kind == "yarn":
            trained: Any = said.get("original_context_length", at.config["context_length"])
            beta = {"beta_fast": said.get("yarn_beta_fast"), "beta_slow": said.get("yarn_beta_slow")}
            beta["truncate"] = self.truncate
            scaling = _yarn(beta, factor=factor, base=base, turned=turned, trained=trained)
            if self.latent and said["yarn_log_multiplier"] is not None:
                return scaling, amplitude
            return scaling, grown * (1 + 0.1 * math.log(factor))
        raise CheckpointError(
            f"the metadata have rotary scaling of type {shown(kind)}; known are none, linear and yarn, and the array "
            f"{self.factors}. GGUF files with another rotary scaling are not read."
        )
