"""A transformer block as a spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from clearhead.errors import SpecError
from clearhead.ops import linear, positions
from clearhead.spec.attention import Attention
from clearhead.spec.draft import Draft
from clearhead.spec.mlp import Mlp
from clearhead.spec.norm import Norm
from clearhead.working import Working


class Positions(Struct, frozen=True, forbid_unknown_fields=True):
    """Positions added to the embeddings: ``input = embedding + position``.

    Attributes:
        kind: ``"given"`` as an array ``position`` (token, model), or ``"sinusoidal"`` (Vaswani et al. 2017,
            section 3.5).
        base: the base of the sinusoids' wavelengths.
    """

    kind: Literal["given", "sinusoidal"] = "given"
    base: float = 10000.0

    def __post_init__(self) -> None:
        if self.kind not in ("given", "sinusoidal"):
            raise SpecError(f"positions kind expects given or sinusoidal, got {self.kind!r}.")

    def write(self, draft: Draft) -> str:
        """Writes the sum onto a draft; returns its name."""
        embedding = draft.give("embedding", "token model")
        if self.kind == "given":
            position = draft.give("position", "token model")
        else:
            position = draft.write("position", positions.sinusoidal, embedding, "token model", base=self.base)
        return draft.write("input", linear.add, f"{embedding} {position}", "token model")


class Block(Struct, frozen=True, forbid_unknown_fields=True):
    """Attention with a residual, a norm, and perhaps an MLP with the same around it.

    Lines of a block without an MLP have plain names (``weights``, ``residual``, ``norm``); with one they get
    ``attention.`` or ``mlp.`` in front.

    Attributes:
        attention: the attention.
        norm: the norm of each half; None for none.
        placement: ``"post"``: norm(x + f(x)) (Vaswani et al. 2017); ``"pre"``: x + f(norm(x)) (Xiong et al. 2020).
        mlp: the MLP; None for a block of attention alone.
        positions: what is added to the embeddings; None where ``input`` is given as it is.
    """

    attention: Attention
    norm: Norm | None = None
    placement: Literal["pre", "post"] = "post"
    mlp: Mlp | None = None
    positions: Positions | None = None

    def __post_init__(self) -> None:
        if self.placement not in ("pre", "post"):
            raise SpecError(f"placement expects pre or post, got {self.placement!r}.")

    def working(self) -> Working:
        """The lines that this block stands for."""
        draft = Draft()
        tokens = self.positions.write(draft) if self.positions else draft.give("input", "token model")
        tokens = self._half(draft.inside("attention" if self.mlp else ""), tokens, self.attention.write)
        if self.mlp:
            self._half(draft.inside("mlp"), tokens, self.mlp.write)
        return draft.working()

    def _half(self, draft: Draft, tokens: str, part: Callable[[Draft, str], str]) -> str:
        before = self.norm if self.placement == "pre" else None
        after = self.norm if self.placement == "post" else None
        output = part(draft, before.write(draft, tokens) if before else tokens)
        residual = draft.write("residual", linear.add, f"{tokens} {output}", "token model")
        return after.write(draft, residual) if after else residual
