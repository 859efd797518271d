"""A transformer block as a spec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from clearhead.ops.textbook import linear, positions, scores
from clearhead.spec.attention import Attention
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
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
    """

    kind: Literal["given", "sinusoidal"] = "given"
    base: float = 10000.0

    def write(self, draft: Draft) -> str:
        """Writes the sum onto a draft; returns its name."""
        embedding = draft.give("embedding", "token model")
        if self.kind == "given":
            position = draft.give("position", "token model")
        else:
            position = draft.write("position", positions.sinusoidal, embedding, "token model", base=self.base)
        return draft.write("input", linear.add, f"{embedding} {position}", "token model")


class Block(Spec, frozen=True):
    """Attention with a residual, a norm, and perhaps an MLP with the same around it.

    Lines of a block without an MLP have plain names (``weights``, ``residual``, ``norm``); with one they get
    ``attention.`` or ``mlp.`` in front.

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
    """

    attention: Attention
    norm: Norm | None = None
    placement: Placement = "post"
    mlp: Mlp | None = None
    positions: Positions | None = None
    residual_scale: float | None = None

    def working(self) -> Working:
        """The lines that this block stands for."""
        draft = Draft()
        tokens = self.positions.write(draft) if self.positions else draft.give("input", "token model")
        self.write(draft, tokens)
        return draft.working()

    def write(self, draft: Draft, tokens: str, padding: str | None = None) -> str:
        """Writes the lines onto a draft, for tokens of this name; returns the name of the last.

        ``padding`` is as for `Attention.write`.
        """
        attend = partial(self.attention.write, padding=padding)
        halfway = self._half(draft.inside("attention" if self.mlp else ""), tokens, tokens, attend)
        if not self.mlp:
            return halfway
        reads = tokens if self.placement == "parallel" else halfway
        return self._half(draft.inside("mlp"), halfway, reads, self.mlp.write)

    def _half(self, draft: Draft, tokens: str, reads: str, part: Callable[[Draft, str], str]) -> str:
        """Writes a part that reads one line and is added to another."""
        norm = self.norm
        before, outer = PLACES[self.placement]
        output = part(draft, norm.write(draft, reads) if norm and before else reads)
        if norm and outer:
            output = norm.write(draft, output, name=outer)
        if self.residual_scale is not None:
            output = draft.write("output.scaled", scores.scale, output, "token model", factor=self.residual_scale)
        residual = draft.write("residual", linear.add, f"{tokens} {output}", "token model")
        return norm.write(draft, residual) if norm and self.placement == "post" else residual
