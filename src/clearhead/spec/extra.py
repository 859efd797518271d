"""What each layer gets of the tokens besides the stream: per-layer embeddings, as specs."""

from __future__ import annotations

from clearhead.ops.textbook import linear, scores, tables
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.mlp import ACTIVATIONS, Activation
from clearhead.spec.norm import Norm

EACH = "layer token extra"
BOTH = "token layer*extra"


class Extras(Spec, frozen=True):
    """A row for each token and layer: half from a table of its own, half from the embedding (Gemma 3n, Gemma 4).

    Given arrays: ``embedding.extra.weight`` (vocabulary, layer*extra), ``embedding.extra.project.weight`` (model,
    layer*extra), ``embedding.extra.norm.gain`` (extra). The last line is ``embedding.extra`` (layer, token, extra).

    Attributes:
        layers: how many layers get one.
        scale: rows of the table are multiplied by this.
        project_scale: what is made of the embedding is multiplied by this, before its norm.
        norm: of what is made of the embedding, for each layer by itself.
        sum_scale: the sum of both is multiplied by this.
    """

    layers: int
    scale: float = 1.0
    project_scale: float = 1.0
    norm: Norm = Norm("rms", 1e-6)
    sum_scale: float = 0.5**0.5

    def write(self, draft: Draft, embedding: str) -> str:
        """Writes the lines onto ``draft``, for rows ``embedding`` of ``token``; returns the name of the last."""
        own = draft.inside("embedding.extra")
        rows = own.write("row", tables.look_up, f"{own.give('weight', 'vocabulary layer*extra')} token", BOTH)
        rows = own.write("row.scaled", scores.scale, rows, BOTH, factor=self.scale)
        rows = own.write("token", linear.split, rows, EACH, heads=self.layers)
        weight = own.give("project.weight", "model layer*extra")
        made = own.write("project", linear.matmul, f"{embedding} {weight}", BOTH)
        made = own.write("project.scaled", scores.scale, made, BOTH, factor=self.project_scale)
        made = own.write("split", linear.split, made, EACH, heads=self.layers)
        made = self.norm.write(own, made, EACH)
        both = own.write("sum", linear.add, f"{made} {rows}", EACH)
        return draft.write("embedding.extra", scores.scale, both, EACH, factor=self.sum_scale)


class Extra(Spec, frozen=True):
    """A third part of a block: x + norm(output(activation(gate(x)) * extra)) (Gemma 3n, Gemma 4).

    Given arrays: ``extra.gate.weight`` (model, extra), ``extra.output.weight`` (extra, model) and the norm's; in a
    block alone ``extra.input`` (token, extra).

    Attributes:
        layer: the number of the layer, from 0, whose row is read.
        activation: of the gate.
    """

    layer: int = 0
    activation: Activation = "gelu-tanh"

    def write(self, draft: Draft, source: str, norm: Norm | None) -> str:
        """Writes the lines onto ``draft``, for the tokens ``source``, with the block's ``norm``; returns the last."""
        axes, whole = "token extra", draft.outside("embedding.extra")
        if whole is None:
            row = draft.give("input", axes)
        else:
            row = draft.write("input", tables.pick, whole, axes, number=self.layer)
        gate = draft.write("gate", linear.matmul, f"{source} {draft.give('gate.weight', 'model extra')}", axes)
        active = draft.write("active", ACTIVATIONS[self.activation], gate, axes)
        gated = draft.write("gated", linear.multiply, f"{active} {row}", axes)
        weight = draft.give("output.weight", "extra model")
        output = draft.write("output", linear.matmul, f"{gated} {weight}", "token model")
        if norm is not None:
            output = norm.write(draft, output)
        return draft.write("residual", linear.add, f"{source} {output}", "token model")
