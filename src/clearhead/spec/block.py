"""A transformer block as a spec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, Union

from msgspec.structs import force_setattr, replace

from clearhead.errors import SpecError
from clearhead.ops.textbook import linear, positions, scores
from clearhead.ops.textbook import tokens as tokens_ops
from clearhead.ops.variants import positions as variants
from clearhead.spec.attention import Attention
from clearhead.spec.draft import Draft
from clearhead.spec.extra import Extra
from clearhead.spec.fields import Spec, check_rate
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.working import Working

Placement = Literal["pre", "post", "sandwich", "after", "parallel", "normed"]

PLACES: dict[Placement, tuple[bool, str | None]] = {
    "pre": (True, None),
    "post": (False, None),
    "sandwich": (True, "outer.norm"),
    "after": (False, "norm"),
    "parallel": (True, None),
    "normed": (True, None),
}
"""Whether a norm comes before a half, and the name of a norm that comes after it, before the sum."""


class Positions(Spec, frozen=True):
    """Positions added to the embeddings: ``input = embedding + position``.

    Attributes:
        kind: ``"given"`` as an array ``position`` (token, model), or ``"sinusoidal"`` (Vaswani et al. 2017,
            section 3.5).
        base: the base of the sinusoids' wavelengths.
        layout: sines and cosines alternate, or all sines stand in front of all cosines (``"halves"``, Marian).
        width: the features of a position, for a working of positions only: then ``index`` (token) says which positions.
            In a model the positions then count on behind a cache.
        start: the position of the first token, where a width is stated.
    """

    kind: Literal["given", "sinusoidal"] = "given"
    base: float = 10000.0
    width: int | None = None
    layout: Literal["alternating", "halves"] = "alternating"
    start: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start and (self.kind == "given" or self.width is None):
            raise SpecError(
                f'positions with start={self.start:g} are computed: it needs kind = "sinusoidal" and a width, the '
                f"features of each position."
            )

    def working(self) -> Working:
        """The lines of positions alone.

        Raises:
            SpecError: positions are given, so there is nothing to compute, or there is no width.
        """
        if self.kind == "given" or self.width is None or self.width < 1:
            raise SpecError(
                'only computed positions have a working: set kind = "sinusoidal", and width to the features of each.'
            )
        draft = Draft()
        index = draft.give("index", "token")
        if self.layout == "halves":
            halves = {"width": self.width, "base": self.base, "offset": 0.0}
            draft.write("position", variants.sinusoidal_at_concatenated, index, "token model", **halves)
        else:
            draft.write("position", positions.sinusoidal_at, index, "token model", width=self.width, base=self.base)
        return draft.working()

    def write(self, draft: Draft) -> str:
        """Writes the sum of embedding and position onto ``draft``; returns its name."""
        embedding = draft.give("embedding", "token model")
        position = self.write_row(draft, embedding, "position")
        return draft.write("input", linear.add, f"{embedding} {position}", "token model")

    def write_row(self, draft: Draft, source: str, name: str, past: str | None = None) -> str:
        """Writes the positions of the line ``source`` onto ``draft``, as ``name``; returns their full name.

        ``past`` is a cache, behind whose tokens they count on.
        """
        if self.kind == "given":
            return draft.give(name, "token model")
        if self.width is not None:
            operation, operands = (
                (positions.count, source) if past is None else (positions.count_on, f"{source} {past}")
            )
            index = draft.write(f"{name}.index", operation, operands, "token", offset=self.start)
            parameters = {"width": self.width, "base": self.base}
            if self.layout == "halves":
                halves = variants.sinusoidal_at_concatenated
                return draft.write(name, halves, index, "token model", offset=0.0, **parameters)
            return draft.write(name, positions.sinusoidal_at, index, "token model", **parameters)
        if self.layout == "halves":
            concatenated = variants.sinusoidal_concatenated
            return draft.write(name, concatenated, source, "token model", base=self.base, offset=0.0)
        return draft.write(name, positions.sinusoidal, source, "token model", base=self.base)


Memory = tuple[Union[str, None], Union[str, None]]
"""The names of what all blocks with cross-attention read, where they share it: tokens, and which of them are real."""

NO_MEMORY: Memory = (None, None)


class Block(Spec, frozen=True):
    """Attention with a residual and a norm; optionally cross-attention and an MLP, each with its residual and norm.

    Lines of a block that is only an attention have plain names (``weights``, ``residual``, ``norm``); else they get
    ``attention.``, ``cross.`` or ``mlp.`` in front.

    Attributes:
        attention: the attention.
        norm: the norm of each half; None for none.
        placement: ``"post"``: norm(x + f(x)) (Vaswani et al. 2017); ``"pre"``: x + f(norm(x)) (Xiong et al. 2020);
            ``"sandwich"``: x + norm(f(norm(x))) (Gemma 2), the outer one called ``outer.norm``; ``"after"``:
            x + norm(f(x)) (OLMo 2); ``"parallel"``: both halves read the block's input,
            x + attention(norm(x)) + mlp(norm(x)) (GPT-J, GPT-NeoX); ``"normed"``: y + f(y) with y = norm(x) (MiniMax).
        mlp: the MLP; None for a block of attention alone.
        positions: what is added to the embeddings; None where ``input`` is given as it is.
        residual_scale: the result of each half is multiplied by this before it is added (Granite); None for 1.
        stream_scale: what a half's result is added to is multiplied by this (MiniMax); None for 1.
        extra: a third part, which reads what the layer gets of the tokens besides (Gemma 4); None for none.
        gain: the block's result is multiplied by ``gain`` (model) (Gemma 4).
        attention_norm: whether the attention has a norm before it too (not in ModernBERT's first block).
        output_gain: multiplies each column of each half's result by ``output.gain`` (model) (DINOv2).
        cross: attention to ``memory`` (key, model) between the attention and the MLP: a decoder's block.
        dropout: the rate at which cells of each half's result are dropped in training, by the given ``output.keep``
            (token, model), booleans: kept cells are divided by 1 - dropout; None for none.
        repeat: how many such blocks follow each other in a stack, each with its own weights.
    """

    attention: Attention
    norm: Norm | None = None
    placement: Placement = "post"
    mlp: Mlp | None = None
    positions: Positions | None = None
    residual_scale: float | None = None
    attention_norm: bool = True
    output_gain: bool = False
    cross: Attention | None = None
    dropout: float | None = None
    repeat: int = 1
    stream_scale: float | None = None
    extra: Extra | None = None
    gain: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repeat < 1:
            raise SpecError(f"repeat expects 1 or more, got {self.repeat}.")
        if self.dropout is not None:
            check_rate("Block", self.dropout)
        if self.cross and not self.cross.memory:
            force_setattr(self, "cross", replace(self.cross, memory=True))

    def working(self) -> Working:
        """The lines of this block.

        Raises:
            SpecError: the block is repeated, so it is a stack.
        """
        if self.repeat > 1:
            raise SpecError("a single block is not repeated. Put it among the layers of a model, or set repeat = 1.")
        draft = Draft()
        tokens = self.positions.write(draft) if self.positions else draft.give("input", "token model")
        self.write(draft, tokens)
        return draft.working()

    def write(self, draft: Draft, tokens: str, padding: str | None = None, memory: Memory = NO_MEMORY) -> str:
        """Writes the lines onto ``draft``, for ``tokens``; returns the name of the last.

        ``padding`` is as for `Attention.write`, and ``memory`` what `cross` reads.
        """
        parts: dict[str, Callable[[Draft, str], str]] = {"attention": partial(self.attention.write, padding=padding)}
        if self.cross:
            parts["cross"] = partial(self.cross.write, memory=memory[0], padding=memory[1])
        if self.mlp:
            parts["mlp"] = self.mlp.write
        out = tokens
        for name, part in parts.items():
            reads = tokens if self.placement == "parallel" else out
            part = partial(self.mlp.write, before=reads) if name == "mlp" and self.mlp else part
            norm = self.norm if self.attention_norm or name != "attention" else None
            out = self._half(draft.inside(name if len(parts) > 1 else ""), out, reads, part, norm)
        if self.extra:
            out = self.extra.write(draft.inside("extra"), out, self.norm)
        if self.gain:
            operands = f"{out} {draft.give('gain', 'model')}"
            out = draft.write("gained", tokens_ops.layer_scale, operands, "token model")
        return out

    @property
    def result(self) -> str:
        """The name of the last line of a block with an MLP."""
        if self.gain:
            return "gained"
        return "extra.residual" if self.extra else "mlp.norm" if self.placement == "post" else "mlp.residual"

    def _half(self, draft: Draft, tokens: str, reads: str, part: Callable[[Draft, str], str], norm: Norm | None) -> str:
        """Writes a part that reads one line and is added to another."""
        before, outer = PLACES[self.placement]
        normed = norm.write(draft, reads) if norm and before else reads
        output = part(draft, normed)
        if self.placement == "normed":
            tokens = normed
        if norm and outer:
            output = norm.write(draft, output, name=outer)
        if self.residual_scale is not None:
            output = draft.write("output.scaled", scores.scale, output, "token model", factor=self.residual_scale)
        if self.output_gain:
            gain = draft.give("output.gain", "model")
            output = draft.write("output.gained", tokens_ops.layer_scale, f"{output} {gain}", "token model")
        if self.dropout is not None:
            keep = draft.give("output.keep", "token model", "booleans")
            operands = f"{output} {keep}"
            output = draft.write("output.dropped", tokens_ops.dropout, operands, "token model", rate=self.dropout)
        if self.stream_scale is not None:
            tokens = draft.write("stream.scaled", scores.scale, tokens, "token model", factor=self.stream_scale)
        residual = draft.write("residual", linear.add, f"{tokens} {output}", "token model")
        return norm.write(draft, residual) if norm and self.placement == "post" else residual
