"""Norms, MLPs, blocks and weights with one fault each: what must be said, or which deviation must be named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead import Attention, Block, Mlp, Norm, Rotary
from clearhead.working import Working

from .block_pieces import attention, gated, gelu, gelu_tanh, heads, layer, rms, silu
from .pieces import causal, repeated, rotary, scaled, softmax


class Fault(Struct, frozen=True):
    """A wrong function, the part that differs, what is said of it, and the deviations that give its numbers."""

    function: Callable[..., Any]
    working: Working
    takes: tuple[str, ...]
    returns: str
    part: str = ""
    says: str = ""
    deviations: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None


FAULTS: dict[str, Fault] = {}


def fault(working, takes, returns, **expected):
    """Keeps a function under its name."""

    def keep(function):
        FAULTS[function.__name__] = Fault(function, working, takes, returns, **expected)
        return function

    return keep


def of(spec, takes, returns):
    return lambda **expected: fault(spec.working(), takes, returns, **expected)


RMS = of(Block(Attention(heads=2), norm=Norm("rms", eps=1e-6)), ("residual", "norm.gain"), "norm")
LAYER = of(Block(Attention(heads=2), norm=Norm()), ("residual", "norm.gain", "norm.bias"), "norm")

# Norms


@RMS(part="norm growth", says="divides by the mean square, not by its root", deviations=("norm-root-missing",))
def without_root(x, g):
    return x / ((x * x).mean(-1, keepdims=True) + 1e-6) * g


@RMS(part="norm growth", says="it does not divide", deviations=("norm-missing",))
def gain_alone(x, g):
    return x * g


@RMS(part="norm size", says="squares are summed, and should be averaged")
def unit_length(x, g):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6) * g


@RMS(part="norm eps", says="measured 0.0003 added to the mean square", deviations=("norm-eps",))
def eps_of_its_own(x, g):
    return rms(x, g, 3e-4)


@RMS(part="norm eps", says="outside of it")
def eps_outside(x, g):
    return x / (np.sqrt((x * x).mean(-1, keepdims=True)) + 2e-3) * g


@RMS(part="norm eps", says="4e-05 as the least mean square")
def eps_as_least_square(x, g):
    return x / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True), 4e-5)) * g


@LAYER(part="norm eps", says="0.0002 times the square of the largest number of a token")
def eps_of_rescaled_tokens(x, g, b):
    return layer(x / np.abs(x).max(-1, keepdims=True), g, b, 2e-4)


@RMS(part="norm divisor", says="Tokens are divided by the mean of the absolute values")
def mean_of_absolute_values(x, g):
    return x / (np.abs(x).mean(-1, keepdims=True) + 1e-6) * g


@LAYER(part="norm divisor", says="Tokens are divided by the largest absolute value")
def scaled_to_one(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    return c / np.abs(c).max(-1, keepdims=True) * g + b


@LAYER(part="norm divisor", says="Tokens are divided by another measure of each token")
def by_range(x, g, b):
    return (x - x.mean(-1, keepdims=True)) / np.ptp(x, axis=-1, keepdims=True) * g + b


@RMS(part="norm growth", says="one root is taken too often")
def root_of_root(x, g):
    return x / np.sqrt(np.sqrt((x * x).mean(-1, keepdims=True)) + 1e-6) * g


@LAYER(part="norm gain", says="norm(x*g)")
def gain_on_tokens(x, g, b):
    return layer(x * g) + b


@LAYER(part="norm bias", says="(y+b)*g")
def bias_before_gain(x, g, b):
    return (layer(x) + b) * g


@RMS(part="tokens read", says="Tokens of the output follow more tokens")
def divided_by_largest_token(x, g):
    return x / np.sqrt((x * x).mean(-1, keepdims=True).max(-2, keepdims=True) + 1e-6) * g


@RMS(part="norm gain", says="used as y*(1+g)", deviations=("norm-gain-plus-one",))
def gain_and_one(x, g):
    return rms(x, 1 + g)


@RMS(part="norm mean", says="subtracts the mean of each token", deviations=("norm-of-other-kind",))
def centred(x, g):
    return layer(x, g, eps=1e-6)


@RMS(part="norm mean", says="divides by the spread about the mean (var)")
def spread_about_the_mean(x, g):
    return x / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * g


@LAYER(part="norm size", says="n - 1, not by n", deviations=("norm-sample-std",))
def sample_deviation(x, g, b):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5) * g + b


@LAYER(part="norm bias", says="is not used", deviations=("norm-bias-missing",))
def bias_left_out(x, g, _):
    return layer(x, g)


@LAYER(part="tokens read", says="more tokens of residual", deviations=("norm-over-tokens",))
def over_tokens(x, g, b):
    c = x - x.mean(-2, keepdims=True)
    return c / np.sqrt((c * c).mean(-2, keepdims=True) + 1e-5) * g + b


@LAYER(part="examples read", says="along the batch axis")
def over_the_batch(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean((0, -1), keepdims=True) + 1e-5) * g + b


# MLPs

TOKENS = Block(Attention(heads=2), norm=None, mlp=Mlp("silu", gated=True)).working()
GATED = ("attention.residual", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight")
PLAIN = Block(Attention(heads=2), norm=None, mlp=Mlp("gelu")).working()


def of_mlp(**expected):
    return fault(TOKENS, GATED, "mlp.output", **expected)


@of_mlp(part="hidden cell", says="silu(up) * gate, where silu(gate) * up", deviations=("gate-exchanged",))
def branches_exchanged(x, wg, wu, wd):
    return gated(x, wu, wg, wd)


@of_mlp(part="hidden cell", says="gelu(gate) * up, where silu(gate) * up", deviations=("activation-of-other-kind",))
def other_activation(x, wg, wu, wd):
    return (gelu(x @ wg) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="silu(gate * up), where")
def activated_product(x, wg, wu, wd):
    return silu((x @ wg) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="mish(gate) * up, where")
def another_curve(x, wg, wu, wd):
    g = x @ wg
    return (g * np.tanh(np.log1p(np.exp(g))) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="A hidden cell gives silu(0.7 * gate) * up, where silu(gate) * up is expected")
def weaker_gate(x, wg, wu, wd):
    return (silu(0.7 * (x @ wg)) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="A hidden cell gives gate * sigmoid(1.4 * gate) * up")
def steeper_sigmoid(x, wg, wu, wd):
    a = x @ wg
    return (a / (1 + np.exp(-1.4 * a)) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="A hidden cell gives silu(gate) * (up + 1)")
def one_more(x, wg, wu, wd):
    return (silu(x @ wg) * (x @ wu + 1)) @ wd


@of_mlp(part="hidden cell", says="A hidden cell gives 1.6 * silu(gate) * up")
def stronger(x, wg, wu, wd):
    return (1.6 * silu(x @ wg) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="leaky relu of slope 0.2(gate) * up")
def leaking(x, wg, wu, wd):
    a = x @ wg
    return (np.where(a > 0, a, 0.2 * a) * (x @ wu)) @ wd


@of_mlp(part="hidden cell", says="A hidden cell gives silu(gate) * tanh(up)")
def both_activated(x, wg, wu, wd):
    return (silu(x @ wg) * np.tanh(x @ wu)) @ wd


@of_mlp(part="hidden cells", says="(the last) give 0, and all others are right")
def three_cells_short(x, wg, wu, wd):
    return (silu(x @ wg) * (x @ wu))[..., :-3] @ wd[:-3]


@of_mlp(part="hidden cell", says="is no known curve")
def sine(x, wg, wu, wd):
    return (np.sin(3 * (x @ wg)) * (x @ wu)) @ wd


@fault(PLAIN, ("attention.residual", "mlp.up.weight", "mlp.output.weight"), "mlp.output",
       part="hidden cell", says="gelu-tanh(x), where gelu(x)", deviations=("gelu-other-form",))  # fmt: skip
def by_tanh(x, wu, wd):
    return gelu_tanh(x @ wu) @ wd


BIASED = Block(Attention(heads=2), norm=None, mlp=Mlp("relu", bias=True)).working()
BIASES = ("attention.residual", "mlp.up.weight", "mlp.up.bias", "mlp.output.weight", "mlp.output.bias")


@fault(BIASED, BIASES, "mlp.output", part="hidden bias", says="mlp.up.bias is added after the activation")
def bias_after_activation(x, wu, bu, wd, bd):
    return (np.maximum(x @ wu, 0) + bu) @ wd + bd


@fault(BIASED, BIASES, "mlp.output", part="hidden bias", says="mlp.output.bias is added 2 times")
def bias_of_each_rank(x, wu, bu, wd, bd):
    return np.maximum(x @ wu + bu, 0) @ wd + bd + bd


@fault(BIASED, BIASES, "mlp.output", part="hidden bias", says="mlp.up.bias is used in another way")
def bias_as_threshold(x, wu, bu, wd, bd):
    return np.where(x @ wu > bu, x @ wu, 0) @ wd + bd


# Blocks


@fault(PLAIN, ("attention.residual", "mlp.up.weight", "mlp.output.weight"), "mlp.output",
       part="hidden cell", says="gelu-tanh(x) with coefficients 0.8 and 0.05 and not 0.797885 and 0.04471")  # fmt: skip
def gelu_of_rounded_coefficients(x, wu, wd):
    u = x @ wu
    return u / 2 * (1 + np.tanh(0.8 * u + 0.04 * u**3)) @ wd


PRE = Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="pre", mlp=Mlp("silu", gated=True))
SANDWICH = Block(
    Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="sandwich", mlp=Mlp("silu", gated=True)
)
ARRAYS = (
    "input", "attention.norm.gain", "mlp.norm.gain", "attention.query.weight", "attention.key.weight",
    "attention.value.weight", "attention.output.weight", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight",
)  # fmt: skip
PRE_NORM = of(PRE, ARRAYS, "mlp.residual")
OUTER = of(SANDWICH, (*ARRAYS, "attention.outer.norm.gain", "mlp.outer.norm.gain"), "mlp.residual")


@PRE_NORM(deviations=("norm-eps-of-one",))
def one_eps(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return x + gated(rms(x, g2, 7e-4), wg, wu, wd)


@PRE_NORM(deviations=("residual-doubled",))
def doubled(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return 2 * x + gated(rms(x, g2), wg, wu, wd)


@PRE_NORM(part="arrays read", says="does not follow input, which it should", deviations=("residual-missing",))
def without_residual(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = attention(rms(x, g1), wq, wk, wv, wo)
    return x + gated(rms(x, g2), wg, wu, wd)


@PRE_NORM(part="hidden cell", says="A hidden cell gives 0.5 * silu(gate) * up, where silu(gate) * up is expected")
def halved_mlp(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return x + 0.5 * gated(rms(x, g2), wg, wu, wd)


@PRE_NORM(part="hidden cell", says="A hidden cell gives mish(gate) * up")
def another_curve_in_a_block(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    n = rms(x, g2)
    a = n @ wg
    return x + (a * np.tanh(np.logaddexp(0, a)) * (n @ wu)) @ wd


@PRE_NORM(part="projections", says="stand in one weight as [gate | up], and are read as gate and up by turns")
def columns_by_turns(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    both = rms(x, g2) @ np.concatenate([wg, wu], -1)
    return x + (silu(both[..., ::2]) * both[..., 1::2]) @ wd


@PRE_NORM(part="sum factors", says="mlp.residual is 0.25 * attention.residual + mlp.output")
def weaker_stream(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return 0.25 * x + gated(rms(x, g2), wg, wu, wd)


@PRE_NORM(
    part="sum factors", says="attention.residual is 0.57735 (1/sqrt(3)) * input + 0.57735 (1/sqrt(3)) * attention"
)
def sums_over_root_of_three(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = (x + attention(rms(x, g1), wq, wk, wv, wo)) / np.sqrt(3)
    return (x + gated(rms(x, g2), wg, wu, wd)) / np.sqrt(3)


@PRE_NORM(part="step", says="The steps that lead to mlp.residual come before those that lead to attention.residual")
def mlp_first(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + gated(rms(x, g2), wg, wu, wd)
    return x + attention(rms(x, g1), wq, wk, wv, wo)


@PRE_NORM(part="last product", says="Behind the product with mlp.output.weight tanh comes")
def weaker_mlp(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return x + np.tanh(gated(rms(x, g2), wg, wu, wd))


@PRE_NORM(part="halves", says="Where attention is switched off", deviations=("scale-squared",))
def squared_scale(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = x + attention(rms(x, g1), wq / np.sqrt(wq.shape[-1]), wk, wv, wo)
    return x + gated(rms(x, g2), wg, wu, wd)


@PRE_NORM(part="one half", says="In mlp alone: The residual adds the normed input")
def residual_from_norm_in_one_half(x, g1, g2, wq, wk, wv, wo, wg, wu, wd):
    x = rms(x + attention(rms(x, g1), wq, wk, wv, wo), g2)
    return x + gated(x, wg, wu, wd)


@OUTER(part="arrays read", says="mlp.outer.norm.gain", deviations=("norm-left-out",))
def outer_norm_left_out(x, g1, g2, wq, wk, wv, wo, wg, wu, wd, o1, _):
    x = x + rms(attention(rms(x, g1), wq, wk, wv, wo), o1)
    return x + gated(rms(x, g2), wg, wu, wd)


@OUTER(deviations=("norm-eps-of-one",))
def outer_eps(x, g1, g2, wq, wk, wv, wo, wg, wu, wd, o1, o2):
    x = x + rms(attention(rms(x, g1), wq, wk, wv, wo), o1, 1e-3)
    return x + rms(gated(rms(x, g2), wg, wu, wd), o2)


@OUTER(deviations=("norm-gain-plus-one-of-one", "scale-missing"))
def two_faults(x, g1, g2, wq, wk, wv, wo, wg, wu, wd, o1, o2):
    x = x + rms(attention(rms(x, g1), wq * np.sqrt(wq.shape[-1]), wk, wv, wo), o1)
    return x + rms(gated(rms(x, g2), wg, wu, wd), 1 + o2)


# Weights inside

RNG = np.random.default_rng(11)
WQ, WK, WV = RNG.normal(size=(3, 2, 6, 4))
INSIDE = {"query.weight": WQ, "key.weight": WK, "value.weight": WV}
FLAT = Attention(heads=2, causal=True, output=False).working()


def inside(**expected):
    return fault(FLAT, ("input",), "head", given=INSIDE, **expected)


@inside(part="weights inside", says="value.weight has its heads in another order: 1, 0")
def value_heads_exchanged(x):
    return heads(x, WQ, WK, WV[::-1])


@inside(part="weights inside", says="value.weight is 1.5 times what was given")
def longer_values(x):
    return heads(x, WQ, WK, 1.5 * WV)


@inside(part="weights inside", says="query.weight has other numbers in head 1 alone")
def one_head_of_another(x):
    other = WQ.copy()
    other[1] = np.random.default_rng(5).normal(size=other[1].shape)
    return heads(x, other, WK, WV)


@inside(part="weights inside", says="query.weight has the entries of its axis model in another order: 3, 0, 1, 2, 5, 4")
def features_in_another_order(x):
    return heads(x, WQ[:, [3, 0, 1, 2, 5, 4]], WK, WV)


G4 = {"query.weight": RNG.normal(size=(4, 6, 8)), "key.weight": RNG.normal(size=(2, 6, 8)),
      "value.weight": RNG.normal(size=(2, 6, 8))}  # fmt: skip


@fault(Attention(heads=4, kv_heads=2, causal=True, rotary=Rotary(), output=False).working(), ("input",), "head",
       given=G4, part="weights inside",
       says="query.weight has its rows (head*depth) put from pairs to halves")  # fmt: skip
def stored_in_pairs(x):
    wq, wk, wv = G4.values()
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    n = x[:, None]
    q, k, v = n @ wq[..., order], repeated(n @ wk, 4), repeated(n @ wv, 4)
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v
