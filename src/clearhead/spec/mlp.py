"""The position-wise MLP as a spec."""

from __future__ import annotations

from typing import Literal

from clearhead.ops import Operation
from clearhead.ops.textbook import linear, tokens
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec

Activation = Literal["gelu", "gelu-tanh", "gelu-sigmoid", "silu", "relu", "relu-squared", "tanh"]

ACTIVATIONS: dict[Activation, Operation] = {
    "gelu": tokens.gelu,
    "gelu-tanh": tokens.gelu_tanh,
    "gelu-sigmoid": tokens.gelu_sigmoid,
    "silu": tokens.silu,
    "relu": tokens.relu,
    "relu-squared": tokens.relu_squared,
    "tanh": tokens.tanh,
}


class Mlp(Spec, frozen=True):
    """Two products with an activation between (Vaswani et al. 2017, equation 2), or a gated one (Shazeer 2020).

    Given arrays: ``up.weight`` (model, hidden) and ``output.weight`` (hidden, model); gated: ``gate.weight`` (model,
    hidden); with bias: ``up.bias``, ``gate.bias`` (hidden) and ``output.bias`` (model).

    Attributes:
        activation: gelu (exact), gelu-tanh, gelu-sigmoid (quick GELU), silu, relu, relu-squared or tanh.
        gated: the activation of a gate multiplies the other product: activation(x gate) * (x up).
        bias: every product adds a bias.
    """

    activation: Activation = "gelu"
    gated: bool = False
    bias: bool = False

    def write(self, draft: Draft, source: str) -> str:
        """Writes the lines onto a draft, for tokens of this name; returns the name of the last."""
        up = self._product(draft, "up", source, "model hidden")
        gate = self._product(draft, "gate", source, "model hidden") if self.gated else up
        active = draft.write("active", ACTIVATIONS[self.activation], gate, "token hidden")
        if self.gated:
            active = draft.write("gated", linear.multiply, f"{active} {up}", "token hidden")
        return self._product(draft, "output", active, "hidden model")

    def _product(self, draft: Draft, name: str, source: str, axes: str) -> str:
        weight = draft.give(f"{name}.weight", axes)
        column = axes.split()[-1]
        if not self.bias:
            return draft.write(name, linear.matmul, f"{source} {weight}", f"token {column}")
        product = draft.write(f"{name}.product", linear.matmul, f"{source} {weight}", f"token {column}")
        return draft.write(name, linear.bias, f"{product} {draft.give(f'{name}.bias', column)}", f"token {column}")
