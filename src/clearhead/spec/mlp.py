"""The position-wise MLP as a spec."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from clearhead.errors import SpecError
from clearhead.ops import Operation
from clearhead.ops.textbook import experts, linear, tokens
from clearhead.spec.draft import Draft
from clearhead.spec.experts import Experts
from clearhead.spec.fields import Spec
from clearhead.spec.norm import Norm

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
    hidden); with bias: ``up.bias``, ``gate.bias`` (hidden) and ``output.bias`` (model). With experts each expert has
    its own: (expert, model, hidden) ...

    Attributes:
        activation: gelu (exact), gelu-tanh, gelu-sigmoid (quick GELU), silu, relu, relu-squared, tanh or xielu, whose
            ``active.positive`` and ``active.negative`` (bend) are learned (Apertus).
        gated: the activation of a gate multiplies the other product: activation(x gate) * (x up).
        bias: every product adds a bias.
        limit: the gate is clipped from above to it, up to -limit .. limit, and 1 is added to up (gpt-oss); None for
            no limit.
        norm: a norm before the last product (BitNet); None for none.
        experts: several MLPs, of which each token uses a few; None for one MLP that all use.
    """

    activation: Activation | Literal["xielu"] = "gelu"
    gated: bool = False
    bias: bool = False
    limit: float | None = None
    norm: Norm | None = None
    experts: Experts | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit is not None and not (self.gated and self.limit > 0):
            raise SpecError(f"limit expects a number above 0, of an MLP with a gate, got {self.limit}.")

    def write(self, draft: Draft, source: str, before: str = "") -> str:
        """Writes the lines onto ``draft``, for the tokens ``source``; returns the name of the last.

        ``before`` are the tokens before the block's norm, which experts may read by norms of their own.
        """
        if self.experts is None:
            return self._each(draft, source, "output", None)
        apart = self.experts.apart
        share = self.experts.write(draft, source if apart is None else before or source)
        reads = source if apart is None else apart.write(draft, before or source, name="experts.norm")
        each = self._each(draft, reads, "output.each", share)
        name = "output.chosen" if self.experts.shared else "output"
        output = draft.write(name, experts.sum_chosen, f"{each} {share}", "token model")
        if not self.experts.shared:
            return output
        shared = replace(self, experts=None).write(draft.inside("shared"), source)
        return self.experts.add_shared(draft, source, output, shared)

    def _each(self, draft: Draft, source: str, output: str, share: str | None) -> str:
        """Writes the MLP, or those of all experts; returns the name of the last line."""
        hidden = "token hidden" if share is None else "expert token hidden"
        up = self._product(draft, "up", source, "model hidden", share)
        gate = self._product(draft, "gate", source, "model hidden", share) if self.gated else up
        if self.limit is not None:
            gate = draft.write("gate.clipped", tokens.clip_above, gate, hidden, limit=self.limit)
            up = draft.write("up.clipped", tokens.clip, up, hidden, limit=self.limit)
            up = draft.write("up.shifted", tokens.shift, up, hidden, by=1.0)
        active = self._active(draft, gate, hidden)
        if self.gated:
            active = draft.write("gated", linear.multiply, f"{active} {up}", hidden)
        if self.norm is not None:
            active = self.norm.write(draft, active, hidden, "inner.norm")
        return self._product(draft, "output", active, "hidden model", share, output)

    def _active(self, draft: Draft, gate: str, axes: str) -> str:
        if self.activation != "xielu":
            return draft.write("active", ACTIVATIONS[self.activation], gate, axes)
        bends = f"{draft.give('active.positive', 'bend')} {draft.give('active.negative', 'bend')}"
        return draft.write("active", tokens.xielu, f"{gate} {bends}", axes)

    def _product(self, draft: Draft, name: str, source: str, axes: str, share: str | None, line: str = "") -> str:
        column, line = axes.split()[-1], line or name
        if share is None:
            weight, bias, result = axes, column, f"token {column}"
            operation, add = linear.matmul, linear.bias
        else:
            weight, bias, result = f"expert {axes}", f"expert {column}", f"expert token {column}"
            operation = experts.project_chosen if name != "output" else experts.matmul_chosen
            add = linear.head_bias
        operands = f"{source} {draft.give(f'{name}.weight', weight)} {share or ''}"
        if not self.bias:
            return draft.write(line, operation, operands, result)
        product = draft.write(f"{line}.product", operation, operands, result)
        return draft.write(line, add, f"{product} {draft.give(f'{name}.bias', bias)}", result)
