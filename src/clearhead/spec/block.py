"""A transformer block as a spec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from msgspec.structs import force_setattr, replace

from clearhead.errors import SpecError
from clearhead.ops.textbook import linear, positions, scores
from clearhead.ops.textbook import tokens as tokens_ops
from clearhead.spec.attention import Attention
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec, check_rate
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.working import Working

Placement = Literal["pre", "post", "sandwich", "after", "parallel"]

PLACES: dict[Placement, tuple[bool, str | None]] = {
    "pre": (True, None),
    "post": (False, None),
    "sandwich": (True, "outer.norm"),
    "after": (False, "norm"),
    "parallel": (True, None),
}
"""Whether a norm stands before a half, and what one is called that stands behind it, before the sum."""


class Positions(Spec, frozen=True):
    """Positions added to the embeddings: ``input = embedding + position``.

    Attributes:
        kind: ``"given"`` as an array ``position`` (token, model), or ``"sinusoidal"`` (Vaswani et al. 2017,
            section 3.5).
        base: the base of the sinusoids' wavelengths.
        width: the features of a position, for positions alone: then ``index`` (token) says which positions.
    """

    kind: Literal["given", "sinusoidal"] = "given"
    base: float = 10000.0
    width: int | None = None

    def working(self) -> Working:
        """The lines of positions alone.

        Raises:
            SpecError: they are given, so that there is nothing to compute, or there is no width.
        """
        if self.kind == "given" or self.width is None or self.width < 1:
            raise SpecError('positions alone are computed: set kind = "sinusoidal", and width to the features of each.')
        draft = Draft()
        index = draft.give("index", "token")
        draft.write("position", positions.sinusoidal_at, index, "token model", width=self.width, base=self.base)
        return draft.working()

    def write(self, draft: Draft) -> str:
        """Writes the sum onto a draft; returns its name."""
        embedding = draft.give("embedding", "token model")
        position = self.write_row(draft, embedding, "position")
        return draft.write("input", linear.add, f"{embedding} {position}", "token model")

    def write_row(self, draft: Draft, source: str, name: str) -> str:
        """Writes what is added to a line onto a draft; returns its name."""
        if self.kind == "given":
            return draft.give(name, "token model")
        return draft.write(name, positions.sinusoidal, source, "token model", base=self.base)


class Block(Spec, frozen=True):
    """Attention with a residual, a norm, and perhaps cross-attention and an MLP with the same around them.

    Lines of a block of one attention alone have plain names (``weights``, ``residual``, ``norm``); else they get
    ``attention.``, ``cross.`` or ``mlp.`` in front.

    Attributes:
        attention: the attention.
        norm: the norm of each half; None for none.
        placement: ``"post"``: norm(x + f(x)) (Vaswani et al. 2017); ``"pre"``: x + f(norm(x)) (Xiong et al. 2020);
            ``"sandwich"``: x + norm(f(norm(x))) (Gemma 2), the outer one called ``outer.norm``; ``"after"``:
            x + norm(f(x)) (OLMo 2); ``"parallel"``: both halves read the block's input,
            x + attention(norm(x)) + mlp(norm(x)) (GPT-J, GPT-NeoX).
        mlp: the MLP; None for a block of attention alone.
        positions: what is added to the embeddings; None where ``input`` is given as it is.
        residual_scale: what each half gives is multiplied with this before it is added (Granite); None for not.
        attention_norm: whether the norm stands before the attention too (not in ModernBERT's first block).
        output_gain: multiplies each column of what each half gives with ``output.gain`` (model) (DINOv2).
        cross: attention to ``memory`` (key, model) between the attention and the MLP: a decoder's block.
        dropout: the rate at which cells of what each half gives are dropped in training, by the given ``output.keep``
            (token, model), booleans: kept cells are divided by 1 - dropout; None for none.
        repeat: how many such blocks there are in a row, each with weights of its own, in a stack.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.repeat < 1:
            raise SpecError(f"repeat expects 1 or more, got {self.repeat}.")
        if self.dropout is not None:
            check_rate("Block", self.dropout)
        if self.cross and not self.cross.memory:
            force_setattr(self, "cross", replace(self.cross, memory=True))

    def working(self) -> Working:
        """The lines that this block stands for.

        Raises:
            SpecError: the block is repeated, and so a stack.
        """
        if self.repeat > 1:
            raise SpecError("a block alone is not repeated. Put it among the layers of a model, or set repeat = 1.")
        draft = Draft()
        tokens = self.positions.write(draft) if self.positions else draft.give("input", "token model")
        self.write(draft, tokens)
        return draft.working()

    def write(self, draft: Draft, tokens: str, padding: str | None = None, memory: str | None = None) -> str:
        """Writes the lines onto a draft, for tokens of this name; returns the name of the last.

        ``padding`` and ``memory`` are as for `Attention.write`.
        """
        parts: dict[str, Callable[[Draft, str], str]] = {"attention": partial(self.attention.write, padding=padding)}
        if self.cross:
            parts["cross"] = partial(self.cross.write, memory=memory)
        if self.mlp:
            parts["mlp"] = self.mlp.write
        out = tokens
        for name, part in parts.items():
            reads = tokens if self.placement == "parallel" else out
            norm = self.norm if self.attention_norm or name != "attention" else None
            out = self._half(draft.inside(name if len(parts) > 1 else ""), out, reads, part, norm)
        return out

    def _half(self, draft: Draft, tokens: str, reads: str, part: Callable[[Draft, str], str], norm: Norm | None) -> str:
        """Writes a part that reads one line and is added to another."""
        before, outer = PLACES[self.placement]
        output = part(draft, norm.write(draft, reads) if norm and before else reads)
        if norm and outer:
            output = norm.write(draft, output, name=outer)
        if self.residual_scale is not None:
            output = draft.write("output.scaled", scores.scale, output, "token model", factor=self.residual_scale)
        if self.output_gain:
            gain = draft.give("output.gain", "model")
            output = draft.write("output.gained", tokens_ops.gain, f"{output} {gain}", "token model")
        if self.dropout is not None:
            keep = draft.give("output.keep", "token model", "booleans")
            operands = f"{output} {keep}"
            output = draft.write("output.dropped", tokens_ops.dropout, operands, "token model", rate=self.dropout)
        residual = draft.write("residual", linear.add, f"{tokens} {output}", "token model")
        return norm.write(draft, residual) if norm and self.placement == "post" else residual
