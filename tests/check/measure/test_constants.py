"""Blocks with steps once more, with constants of their own in a half, or with a hidden cell that is measured."""

import numpy as np
import pytest

from clearhead import Attention, Block, Mlp, Norm, measure
from clearhead.check.measure.wording import headline, lines

from .block_pieces import attention, gated, gelu, layer, rms
from .pieces import causal

pytestmark = pytest.mark.sweep(3)

PRE = Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="pre", mlp=Mlp("silu", gated=True))
POST = Block(Attention(heads=2), norm=Norm(eps=1e-5), placement="post", mlp=Mlp("relu"))
WEIGHTS = ("query", "key", "value", "output")


def first(g, x, *, hide=causal, eps=1e-6):
    """The first half of `PRE`, before its residual."""
    weights = (g[f"attention.{each}.weight"] for each in WEIGHTS)
    return attention(rms(x, g["attention.norm.gain"], eps), *weights, hide)


def second(g, x, *, eps=1e-6, bend=gated):
    """The second half of `PRE`, before its residual."""
    weights = (g[f"mlp.{each}.weight"] for each in ("gate", "up", "output"))
    return bend(rms(x, g["mlp.norm.gain"], eps), *weights)


def post(g, x, *, act, hide=lambda s: s):
    """`POST` with an activation, and what is done with its scores."""
    weights = (g[f"attention.{each}.weight"] for each in WEIGHTS)
    x = layer(x + attention(x, *weights, hide), g["attention.norm.gain"], g["attention.norm.bias"])
    y = act(x @ g["mlp.up.weight"]) @ g["mlp.output.weight"]
    return layer(x + y, g["mlp.norm.gain"], g["mlp.norm.bias"])


def relu(x):
    return np.maximum(x, 0)


def pre(g, x):
    x = x + first(g, x)
    return x + second(g, x)


def norm_at_the_end(g, x):
    return rms(pre(g, x))


def norm_at_the_end_with_a_gain_of_another(g, x):
    return rms(pre(g, x), g["attention.norm.gain"])


def second_half_twice(g, x):
    x = pre(g, x)
    return x + second(g, x)


def block_twice(g, x):
    return pre(g, pre(g, x))


def attention_twice_and_normed_behind(g, x):
    weights = (g[f"attention.{each}.weight"] for each in WEIGHTS)
    x = layer(x + attention(x, *weights, lambda s: s), g["attention.norm.gain"], g["attention.norm.bias"])
    return post(g, x, act=relu)


def leaky(g, x):
    return post(g, x, act=lambda z: np.where(z > 0, z, 0.03 * z))


def capped_and_scaled(g, x):
    return post(g, x, act=relu, hide=lambda s: 7 * np.tanh(1.4 * s / 7))


def factors_in_attention(g, x):
    x = x + 0.8 * first(g, 1.0 * x, hide=lambda s: causal(1.44 * s))
    return x + second(g, x)


def constants_of_both_halves(g, x):
    x = x + 0.7 * first(g, x, eps=0.01)
    return x + second(g, x, eps=0.02)


def other_cell(g, x):
    x = x + first(g, x)
    return x + second(g, x, bend=lambda n, wg, wu, wd: (gelu(n @ wg) * (n @ wu + 1)) @ wd)


CASES = {
    norm_at_the_end: (PRE, "mlp.residual is normed once more, as by"),
    norm_at_the_end_with_a_gain_of_another: (PRE, "mlp.residual is normed once more, as by attention.norm."),
    second_half_twice: (PRE, "mlp is applied twice, the second time to its own result"),
    block_twice: (PRE, "The whole block is applied twice"),
    attention_twice_and_normed_behind: (POST, "attention is applied twice"),
    leaky: (POST, "mlp.active is a leaky ReLU: its slope below 0 is 0.03, where 0 is expected"),
    capped_and_scaled: (POST, "attention.scaled is 1.4 times what it should be; attention.scaled has a soft-cap of 7"),
    factors_in_attention: (PRE, "attention.scaled is 1.44 times what it should be; attention.output is 0.8 times"),
    constants_of_both_halves: (PRE, "eps of mlp.norm.normalized is 0.02, where 1e-06 is expected"),
    other_cell: (PRE, "A hidden cell gives gelu(gate) * (up + 1), where silu(gate) * up is expected"),
}


def measured(function, spec):
    working = spec.working()
    takes = tuple(each.name for each in working.givens)
    found = measure(lambda *arrays: function(dict(zip(takes, arrays, strict=True)), arrays[0]), working, takes,
                    working.lines[-1].name)  # fmt: skip
    return found, " ".join([headline(found), *lines(found)])


@pytest.mark.parametrize("function", CASES, ids=lambda each: each.__name__)
def test_what_differs_in_a_block_is_said_and_gives_all_numbers(function):
    """The cause is said, and the working with it gives every number of the function."""
    spec, says = CASES[function]
    found, said = measured(function, spec)
    assert found.verdict == "explained", said
    assert says in said


def test_what_a_measured_cell_leaves_is_said():
    """A hidden cell that is known explains not all where attention differs too, and how much is left is a number."""

    def both(g, x):
        x = x + first(g, np.tanh(x))
        return x + second(g, x, bend=lambda n, wg, wu, wd: (gelu(n @ wg) * (n @ wu)) @ wd)

    found, said = measured(both, PRE)
    assert found.verdict == "unexplained"
    assert 1e-3 < found.rest < np.inf
    assert "Something remains: outputs computed from these parts alone are off by" in said
