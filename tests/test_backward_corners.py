"""Gradients where a formula has no derivative, or an infinity stands in the way: each is what PyTorch decided."""

import numpy as np
import pytest
import torch

from clearhead.expr import formula, indices
from clearhead.expr.nodes import Reduce
from clearhead.line import Given, line
from clearhead.ops import operation
from clearhead.ops.gradients.gradient import gradient
from clearhead.ops.table import operation_named
from clearhead.spec import Attention, Block, Norm
from clearhead.working import Working

i, j = indices("i j")


def gradients_of(working, of, wrt, arrays, shape):
    """Our gradients from a given one, which is returned with them."""
    pull = np.random.default_rng(4).normal(size=shape)
    run = working.backward(of, wrt).run({**arrays, f"{of}.grad": pull})
    return torch.tensor(pull), [run[f"{name}.grad"] for name in wrt]


@operation(lambda: formula("i j -> i", lambda x: Reduce("max", ("j",), x[i, j])))
def row_maximum(xp, x):
    """The largest number of each row."""
    return xp.max(x, axis=-1)


def test_equal_largest_numbers_share_the_gradient():
    """The maximum of a row that is there two or three times passes equal parts to each, as torch.amax."""
    rows = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [0.0, 5.0, 1.0]])
    working = Working((Given("x", ("token", "model")),), (line("top", row_maximum, "x", "token"),))
    pull, (own,) = gradients_of(working, "top", ("x",), {"x": rows}, 3)
    x = torch.tensor(rows, requires_grad=True)
    x.amax(-1).backward(pull)
    np.testing.assert_allclose(own, x.grad, rtol=1e-12)


@pytest.mark.parametrize("kind", ["boolean", "additive"])
@pytest.mark.parametrize("hidden", ["one key", "all keys of a query"])
def test_what_a_mask_hides_gets_no_gradient(kind, hidden):
    """Minus infinity times 0 reaches no gradient, nor does a query without any key: each is PyTorch's, and finite."""
    rng = np.random.default_rng(3)
    q, k, v = (rng.normal(size=(2, 4, 3)) for _ in range(3))
    seen = np.ones((4, 4), dtype=bool)
    seen[1, 2] = False
    if hidden == "all keys of a query":
        seen[3] = False
    mask = seen if kind == "boolean" else np.where(seen, rng.normal(size=(4, 4)), -np.inf)
    working = Attention(2, mask=kind).working().starting_at("query", "key", "value").ending_at("head")
    names = ("query", "key", "value")
    pull, own = gradients_of(working, "head", names, {"query": q, "key": k, "value": v, "mask": mask}, (2, 4, 3))
    leaves = [torch.tensor(each, requires_grad=True) for each in (q, k, v)]
    torch.nn.functional.scaled_dot_product_attention(*leaves, attn_mask=torch.tensor(mask)).backward(pull)
    for mine, leaf in zip(own, leaves, strict=True):
        assert np.isfinite(mine).all()
        np.testing.assert_allclose(mine, leaf.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 1e-5])
def test_a_norm_of_equal_numbers(eps):
    """Of equal numbers a norm has a gradient with an eps, PyTorch's; with eps 0 it has none, and NaN says so."""
    rows = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]])
    working = Block(Attention(1), Norm(eps=eps), "pre").working().ending_at("norm")
    arrays = {"input": rows, "norm.gain": np.array([1.0, 2.0, 3.0]), "norm.bias": np.zeros(3)}
    pull, (own,) = gradients_of(working, "norm", ("input",), arrays, (2, 3))
    x = torch.tensor(rows, requires_grad=True)
    weight = torch.tensor(arrays["norm.gain"])
    torch.nn.functional.layer_norm(x, (3,), weight, eps=eps).backward(pull)
    np.testing.assert_allclose(own[1], x.grad[1], rtol=1e-9)
    assert np.isnan(own[0]).all() if eps == 0 else np.allclose(own[0], x.grad[0], rtol=1e-9)


ACTIVATIONS = {
    "relu": torch.nn.functional.relu,
    "relu_squared": lambda x: torch.nn.functional.relu(x) ** 2,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_infinite_and_missing_numbers_at_an_activation(name):
    """Whatever number comes to whatever an activation read, NaN and infinities too, its gradient is PyTorch's."""
    numbers = [-np.inf, -800, -1, -0.0, 0, 1, 800, np.inf, np.nan]
    x, pull = (each.reshape(1, -1) for each in np.meshgrid(numbers, numbers))
    forward = operation_named(name)
    own = gradient(forward, "x")
    with np.errstate(all="ignore"):
        there = {"x": x, "out": forward(x), "grad": pull}
        found = own(*(there[role] for role in own.formula(()).roles))
    leaf = torch.tensor(x, requires_grad=True)
    ACTIVATIONS[name](leaf).backward(torch.tensor(pull))
    np.testing.assert_allclose(found, leaf.grad, rtol=1e-9)
