"""Deviations in the activation of the MLP."""

from __future__ import annotations

from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import leave_out, swap
from clearhead.ops import tokens, variants_tokens

_ACTIVATIONS = (tokens.gelu, tokens.gelu_tanh, tokens.silu, tokens.relu)

ROWS = (
    Deviation(
        id="gelu-other-form",
        kind="convention",
        does="GELU is taken in its other form: by tanh where it is exact, exactly where it is by tanh.",
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
        rewrite=swap(dict.fromkeys((tokens.gelu, tokens.gelu_tanh), variants_tokens.gelu_sigmoid)),
        catalogue=("G14",),
    ),
    Deviation(
        id="activation-missing",
        kind="mistake",
        does="The activation is left out: the MLP is linear.",
        invisible="Where all values are positive and the activation is ReLU.",
        remedy="act(x @ w_up + b_up) @ w_down + b_down.",
        seen="A common slip in hand work.",
        rewrite=leave_out(*_ACTIVATIONS),
    ),
)
