"""Deviations in the norms."""

from __future__ import annotations

from clearhead.deviations.deviation import Deviation, Parameter, values
from clearhead.deviations.rewrites import leave_out, swap
from clearhead.ops import tokens

_NORMS = (tokens.layer_norm, tokens.rms_norm)

ROWS = (
    Deviation(
        id="norm-over-matrix",
        kind="mistake",
        does="The layer norm takes one mean and one standard deviation over all tokens together.",
        invisible="Where there is one token, or all tokens have the same mean and spread.",
        remedy="Take both over the last axis: x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True).",
        seen="The notebook this project grew from: np.mean(x) and np.std(x) without an axis; equinox#471, addons#2142.",
        rewrite=swap({tokens.layer_norm: tokens.norm_over_matrix}),
        catalogue=("G5",),
    ),
    Deviation(
        id="norm-of-other-kind",
        kind="convention",
        does="The norm is RMS where the textbook has a layer norm, or the other way round.",
        invisible="Where the mean of every token is 0.",
        remedy="Follow the model: BERT and GPT-2 subtract the mean, Llama and T5 do not.",
        seen="TransformerLens, notes on adapters.",
        rewrite=swap({tokens.layer_norm: tokens.rms_norm, tokens.rms_norm: tokens.layer_norm}),
        catalogue=("G10",),
    ),
    Deviation(
        id="norm-eps",
        kind="convention",
        does="The norm has another eps.",
        invisible="Where the variance is far above eps.",
        remedy="Follow the model: PyTorch's LayerNorm has 1e-5, BERT 1e-12, Llama 1e-6 or 1e-5.",
        seen="keras-hub#642, gpt4all#1946, candle#271, llama.cpp#23815.",
        rewrite=swap({norm: norm for norm in _NORMS}),
        parameters=(Parameter("eps", float, "what is added to the variance"),),
        tries=values("eps", 0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-3),
        catalogue=("G8",),
    ),
    Deviation(
        id="norm-missing",
        kind="mistake",
        does="The norm is left out, its gain and bias are not.",
        invisible="Where every token has mean 0 and variance 1 already.",
        remedy="Norm each token: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps).",
        seen="A common slip in hand work.",
        rewrite=leave_out(*_NORMS),
    ),
    Deviation(
        id="norm-gain-missing",
        kind="mistake",
        does="The gain of the norm, and its bias, are left out.",
        invisible="Where the gain is 1 and the bias 0.",
        remedy="Multiply by the norm's weight and add its bias: normed * gain + bias.",
        seen="mlx#1636, reformer#129.",
        rewrite=leave_out(tokens.gain, tokens.gain_and_bias),
        catalogue=("G12",),
    ),
)
