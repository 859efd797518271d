"""Deviations in the MLP: its activation and its gate."""

from __future__ import annotations

from collections.abc import Iterable

from clearhead.deviations.deviation import Deviation, Parameter, values
from clearhead.deviations.rewrites import Nothing, reread, swap, with_operation
from clearhead.errors import SpecError
from clearhead.line import Line
from clearhead.ops import Parameters
from clearhead.ops.textbook import tokens
from clearhead.ops.variants import heads as variants_heads
from clearhead.working import Working

_ACTIVATIONS = (
    tokens.gelu,
    tokens.gelu_tanh,
    tokens.silu,
    tokens.relu,
    tokens.gelu_sigmoid,
    tokens.relu_squared,
    tokens.tanh,
)
_OTHERS = {"relu": (tokens.relu,), "silu": (tokens.silu,), "gelu": (tokens.gelu, tokens.gelu_tanh)}
"""The kinds of activation; the two forms of GELU have a separate row."""


def _of_other_kind(working: Working, to: str) -> Working:
    if to not in _OTHERS:
        raise SpecError(f"activation-of-other-kind expects to as {', '.join(_OTHERS)}; got {to!r}.")
    new = _OTHERS[to][0]
    return swap({old: new for old in _ACTIVATIONS if old not in _OTHERS[to]}, _is_hidden)(working)


def _is_hidden(line: Line) -> bool:
    return "hidden" in line.axes


def _try_kinds(working: Working) -> Iterable[Parameters]:
    return tuple((("to", kind),) for kind in _OTHERS)


def gate_of(working: Working) -> tuple[Line, Line, str, str]:
    """The activation of a gated MLP, the product that reads it, and the names of the gate and of the gated line.

    Raises:
        Nothing: there is none.
    """
    activations = {line.name: line for line in working.lines if line.operation.role == "activation"}
    for line in working.lines:
        active = activations.get(line.operands[0]) if line.operation.role == "gate" else None
        if active is not None:
            return active, line, active.operands[0], line.operands[1]
    raise Nothing("no line of this working is a gated product of an activation.")


def _exchanged(working: Working) -> Working:
    active, gated, gate, up = gate_of(working)

    def change(line: Line) -> list[Line]:
        return [reread(line, {gate: up, up: gate}) if line in (active, gated) else line]

    return working.rewrite(change)


def _gate_missing(working: Working, kept: str) -> Working:
    """Leaves the product out, and applies the activation to the one branch that is kept."""
    active, gated, gate, up = gate_of(working)
    branches = {"gate": gate, "up": up}
    if kept not in branches:
        raise SpecError(f"gate-missing expects kept as gate or up, got {kept!r}.")

    def change(line: Line) -> list[Line]:
        if line == active:
            return [reread(line, {gate: branches[kept]})]
        return [with_operation(line, variants_heads.unchanged) if line == gated else line]

    return working.rewrite(change)


ROWS = (
    Deviation(
        id="gelu-other-form",
        kind="convention",
        does="GELU has its other form: by tanh instead of exact, or exact instead of by tanh.",
        invisible="Where all values are 0 or large.",
        remedy="Follow the model: torch's gelu(x, approximate='tanh') or 'none'. They differ by up to 5e-4.",
        seen="cumo#427, tvm#14814, nobuco#9.",
        rewrite=swap({tokens.gelu: tokens.gelu_tanh, tokens.gelu_tanh: tokens.gelu}),
        catalogue=("G14",),
    ),
    Deviation(
        id="gelu-by-sigmoid",
        kind="convention",
        does="GELU is approximated by x times the sigmoid of 1.702 x.",
        invisible="Where all values are 0 or large.",
        remedy="Follow the model: OpenAI's first CLIP calls it QuickGELU; others use the exact or the tanh form.",
        seen="Hendrycks and Gimpel 2016, section 2.",
        rewrite=swap(dict.fromkeys((tokens.gelu, tokens.gelu_tanh), tokens.gelu_sigmoid)),
        catalogue=("G14",),
    ),
    Deviation(
        id="activation-of-other-kind",
        kind="convention",
        does="The MLP has another activation.",
        invisible="Between ReLU, SiLU and GELU where all values are 0 or large.",
        remedy="Follow the model's configuration: the original has ReLU (also the default of torch's "
        "TransformerEncoderLayer), BERT and GPT-2 GELU, Llama SiLU.",
        seen="A port that keeps its library's default; no public thread is known.",
        rewrite=_of_other_kind,
        parameters=(Parameter("to", str, "relu, silu or gelu"),),
        tries=_try_kinds,
    ),
    Deviation(
        id="activation-missing",
        kind="mistake",
        does="The activation is left out: the MLP is linear.",
        invisible="Where all values are positive and the activation is ReLU.",
        remedy="act(x @ w_up + b_up) @ w_down + b_down.",
        seen="A common slip in hand work.",
        rewrite=swap(dict.fromkeys(_ACTIVATIONS, variants_heads.unchanged), _is_hidden),
    ),
    Deviation(
        id="gate-exchanged",
        kind="mistake",
        does="The activation is applied to the up projection, and the gate multiplies it without one.",
        invisible="Where both weights are equal.",
        remedy="act(x @ w_gate) * (x @ w_up). In files with one fused array, look up which half is the gate.",
        seen="The family of ARGMINN#1: the parts of a fused array in another order.",
        rewrite=_exchanged,
    ),
    Deviation(
        id="gate-missing",
        kind="mistake",
        does="The MLP is not gated: it is the activation of one of the two branches.",
        invisible="Where the branch that is left out is 1.",
        remedy="act(x @ w_gate) * (x @ w_up): three weight matrices, not two.",
        seen="Ports from MLPs without a gate; no public thread is known.",
        rewrite=_gate_missing,
        parameters=(Parameter("kept", str, "the branch that is kept, with the activation: gate or up"),),
        tries=values("kept", "gate", "up"),
    ),
)
