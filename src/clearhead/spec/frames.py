"""A recording as tokens, as a spec."""

from __future__ import annotations

from clearhead.ops.textbook import linear, tables, tokens
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec


class Frames(Spec, frozen=True, tag_field="kind", tag="frames"):
    """Frames of a recording become half as many tokens, by two convolutions with a GELU each (Radford et al. 2022).

    Given arrays: ``frame`` (frame, channel), how loud each band of tones is in each moment;
    ``embedding.frame.weight`` (tap, channel, model), ``embedding.frame.bias`` (model); ``embedding.token.weight``
    (tap, model, model), ``embedding.token.bias`` (model), of every second frame; ``embedding.position.weight``
    (position, model).
    """

    def write(self, draft: Draft) -> str:
        """Writes the lines onto ``draft``; returns the name of the last."""
        near = _convolved(draft, "embedding.frame", draft.give("frame", "frame channel"), "tap channel model", 1)
        token = _convolved(draft, "embedding.token", near, "tap model model", 2)
        table = draft.give("embedding.position.weight", "position model")
        position = draft.write("embedding.position", tables.first_rows, f"{table} {token}", "token model", offset=0)
        return draft.write("embedding", linear.add, f"{token} {position}", "token model")


def _convolved(draft: Draft, name: str, source: str, axes: str, stride: int) -> str:
    """Writes a convolution and its GELU; returns the name of the last line."""
    row = f"{'frame' if stride == 1 else 'token'} model"
    operands = f"{source} {draft.give(f'{name}.weight', axes)}"
    product = draft.write(f"{name}.product", linear.convolve, operands, row, stride=stride)
    biased = draft.write(name, linear.bias, f"{product} {draft.give(f'{name}.bias', 'model')}", row)
    return draft.write(f"{name}.active", tokens.gelu, biased, row)
