"""Code that differs from its working in one step, which no deviation and no part names, is said by that step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import Struct

import clearhead
from clearhead import Attention, Block, Mlp, Norm, Rotary
from clearhead.working import Working

from .block_pieces import attention, gated, layer, rms, silu
from .pieces import causal, product, repeated, rotary, scaled, softmax

pytestmark = pytest.mark.sweep(3)

QKV = ("query", "key", "value")


class Step(Struct, frozen=True):
    """A function, and what is said of it."""

    function: Callable[..., Any]
    working: Working
    says: str
    takes: tuple[str, ...] = QKV
    returns: str = "head"


STEPS: dict[str, Step] = {}


def step(spec, says, **more):
    """Keeps a function under its name."""

    def keep(function):
        STEPS[function.__name__] = Step(function, spec.working(), says, **more)
        return function

    return keep


NORMED = Attention(heads=2, causal=True, rotary=Rotary(), qk_norm=Norm(eps=1e-5))
GAINS = (*QKV, "query.norm.gain", "query.norm.bias", "key.norm.gain", "key.norm.bias")


@step(NORMED, "query.norm.normalized is done twice", takes=GAINS)
def queries_normed_twice(q, k, v, gq, bq, gk, bk):
    q, k = rotary(layer(layer(q, eps=1e-5), gq, bq, 1e-5), layer(k, gk, bk, 1e-5))
    return softmax(causal(scaled(q, k))) @ v


@step(NORMED, "query.norm is left out", takes=GAINS)
def gain_and_bias_of_queries_unread(q, k, v, _gq, _bq, gk, bk):
    q, k = rotary(layer(q, eps=1e-5), layer(k, gk, bk, 1e-5))
    return softmax(causal(scaled(q, k))) @ v


@step(Attention(heads=6, kv_heads=3, causal=True), "value as key, key as value")
def values_in_the_place_of_keys(q, k, v):
    return softmax(causal(scaled(q, repeated(v, 6)))) @ repeated(k, 6)


BLOCK = Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="pre", mlp=Mlp("silu", gated=True))
ARRAYS = (
    "input", "attention.norm.gain", "attention.query.weight", "attention.key.weight", "attention.value.weight",
    "attention.output.weight", "mlp.norm.gain", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight",
)  # fmt: skip


@step(BLOCK, "mlp.gate reads attention.residual, where mlp.norm is expected", takes=ARRAYS, returns="mlp.residual")
def gate_of_what_is_not_normed(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    x = x + attention(rms(x, g1), wq, wk, wv, wo)
    return x + (silu(x @ wg) * (rms(x, g2) @ wu)) @ wd


@step(BLOCK, "attention.value reads input, where attention.norm is expected", takes=ARRAYS, returns="mlp.residual")
def values_of_what_is_not_normed(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    n = rms(x, g1)[:, None]
    head = softmax(causal(scaled(n @ wq, n @ wk))) @ (x[:, None] @ wv)
    x = x + np.swapaxes(head, 1, 2).reshape(*x.shape[:-1], -1) @ wo
    return x + gated(rms(x, g2), wg, wu, wd)


@step(
    Block(Attention(heads=2), norm=None, mlp=Mlp("tanh", gated=True, norm=Norm("rms", eps=1e-5))),
    "comes after",
    takes=("attention.residual", "mlp.gate.weight", "mlp.up.weight", "mlp.inner.norm.gain", "mlp.output.weight"),
    returns="mlp.residual",
)
def activation_behind_the_product(x, wg, wu, g, wd):
    return x + rms(np.tanh((x @ wg) * (x @ wu)), g, 1e-5) @ wd


@step(
    BLOCK, "attention.query and attention.value read input, where attention.norm", takes=ARRAYS, returns="mlp.residual"
)  # fmt: skip
def keys_alone_of_what_is_normed(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    n, y = rms(x, g1)[:, None], x[:, None]
    head = softmax(causal(scaled(y @ wq, n @ wk))) @ (y @ wv)
    x = x + np.swapaxes(head, 1, 2).reshape(*x.shape[:-1], -1) @ wo
    return x + gated(rms(x, g2), wg, wu, wd)


AFTER = Block(
    Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="after", mlp=Mlp("relu", bias=True)
)
OF_AFTER = (
    "input", "attention.query.weight", "attention.key.weight", "attention.value.weight", "attention.output.weight",
    "attention.norm.gain", "mlp.up.weight", "mlp.up.bias", "mlp.output.weight", "mlp.output.bias", "mlp.norm.gain",
)  # fmt: skip


@step(AFTER, "attention.norm is applied to attention.residual", takes=OF_AFTER, returns="mlp.residual")
def norm_behind_the_sum(x, wq, wk, wv, wo, g1, wu, bu, wd, bd, g2):
    x = rms(x + attention(x, wq, wk, wv, wo), g1)
    return x + rms(np.maximum(x @ wu + bu, 0) @ wd + bd, g2)


@step(
    Block(Attention(heads=2, causal=True, bias=("output",)), norm=Norm(), placement="pre", mlp=Mlp("relu", bias=True)),
    "attention.output.bias is added twice. mlp.up.bias is added twice.",
    takes=(
        "input", "attention.norm.gain", "attention.norm.bias", "attention.query.weight", "attention.key.weight",
        "attention.value.weight", "attention.output.weight", "attention.output.bias", "mlp.norm.gain", "mlp.norm.bias",
        "mlp.up.weight", "mlp.up.bias", "mlp.output.weight", "mlp.output.bias",
    ),
    returns="mlp.residual",
)  # fmt: skip
def biases_of_both_halves_twice(x, g1, b1, wq, wk, wv, wo, bo, g2, b2, wu, bu, wd, bd):
    x = x + attention(layer(x, g1, b1), wq, wk, wv, wo) + 2 * bo
    return x + np.maximum(layer(x, g2, b2) @ wu + bu + bu, 0) @ wd + bd


@step(BLOCK, "attention.residual is attention.norm.normalized + attention.output", takes=ARRAYS, returns="mlp.residual")
def norms_that_write_into_their_input(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    x = rms(x)
    x = rms(x + attention(x * g1, wq, wk, wv, wo))
    return x + gated(x * g2, wg, wu, wd)


@step(
    BLOCK,
    "attention.key and attention.value read input, where attention.norm is expected. The MLP has another activation",
    takes=ARRAYS,
    returns="mlp.residual",
)
def a_step_and_a_deviation(x, g1, wq, wk, wv, wo, g2, wg, wu, wd):
    n, y = rms(x, g1)[:, None], x[:, None]
    head = softmax(causal(scaled(n @ wq, y @ wk))) @ (y @ wv)
    x = x + np.swapaxes(head, 1, 2).reshape(*x.shape[:-1], -1) @ wo
    n = rms(x, g2)
    return x + (np.maximum(n @ wg, 0) * (n @ wu)) @ wd


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_said(name):
    """The step that differs is said in the first lines, and the numbers count as explained by it."""
    case = STEPS[name]
    report = clearhead.probe(case.function, case.working, case.takes, case.returns)
    said = str(report)
    assert report.verdict == "explained", said
    assert case.says in "\n".join(said.splitlines()[:3]), said


def test_steps_are_no_excuse():
    """What is no single step of the working stays without one."""

    def sharpened(q, k, v):
        s = causal(product(q, k))
        return softmax(s / np.sqrt(q.shape[-1]) + 0.1 * np.where(np.isfinite(s), s, 0) ** 2) @ v

    report = clearhead.probe(sharpened, Attention(heads=2, causal=True).working())
    assert report.measured is not None
    assert "step" not in report.measured.names
