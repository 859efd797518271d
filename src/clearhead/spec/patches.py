"""An image's patches as tokens, and learned positions, as specs."""

from __future__ import annotations

from clearhead.errors import SpecError
from clearhead.ops.textbook import linear, tables
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.norm import Norm

TOKENS = "token model"


class Patches(Spec, frozen=True, tag_field="kind", tag="patches"):
    """The patches of an image become tokens (Dosovitskiy et al. 2021).

    Given arrays: ``patch`` (token, pixel), each patch's numbers in one row; ``embedding.patch.weight`` (pixel, model)
    and ``embedding.patch.bias`` (model); ``embedding.class`` (model), a token in front;
    ``embedding.position.weight`` (position, model).

    Attributes:
        bias: adds that bias.
        distillation: adds ``embedding.distillation`` (model) after the token in front (DeiT).
        norm: a norm of the sum with positions (CLIP); None for none.
        first: whether ``embedding.class`` is there (not in SigLIP).
        registers: adds ``embedding.register`` (register, model), rows without a position behind the first token
            (DINOv2).
    """

    bias: bool = True
    distillation: bool = False
    norm: Norm | None = None
    first: bool = True
    registers: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.distillation or self.registers) and not self.first:
            raise SpecError("distillation and registers come with the first token. Set first = true.")

    def write(self, draft: Draft) -> str:
        """Writes the lines onto ``draft``; returns the name of the last."""
        source = f"{draft.give('patch', 'token pixel')} {draft.give('embedding.patch.weight', 'pixel model')}"
        name = "embedding.patch.product" if self.bias else "embedding.patch"
        patch = draft.write(name, linear.matmul, source, TOKENS)
        if self.bias:
            bias = draft.give("embedding.patch.bias", "model")
            patch = draft.write("embedding.patch", linear.bias, f"{patch} {bias}", TOKENS)
        if self.distillation:
            second = draft.give("embedding.distillation", "model")
            patch = draft.write("embedding.distilled", tables.prepend, f"{second} {patch}", TOKENS)
        joined = patch
        if self.first:
            first = draft.give("embedding.class", "model")
            joined = draft.write("embedding.joined", tables.prepend, f"{first} {patch}", TOKENS)
        name = "embedding" if self.norm is None else "embedding.sum"
        placed = "embedding.placed" if self.registers else name
        out = draft.write(placed, linear.add, f"{joined} {learned_positions(draft, joined, None)}", TOKENS)
        if self.registers:
            out = draft.write(
                name, tables.insert_second, f"{out} {draft.give('embedding.register', 'register model')}", TOKENS
            )
        return out if self.norm is None else self.norm.write(draft, out, name="embedding")


def learned_positions(draft: Draft, source: str, past: str | None, axes: str = TOKENS) -> str:
    """The learned rows of the tokens' positions, after those of a cache."""
    table = draft.give("embedding.position.weight", f"position {axes.split()[-1]}")
    if past is None:
        return draft.write("embedding.position", tables.first_rows, f"{table} {source}", axes, offset=0)
    return draft.write("embedding.position", tables.next_rows, f"{table} {source} {past}", axes, offset=0)
