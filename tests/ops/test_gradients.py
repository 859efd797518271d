"""Gradients of every operation: derived from its formula, stated, computed, and as PyTorch differentiates its code."""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import pytest
import torch
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from tests.ops.test_formula_equals_code import CASES, drawn, evaluate_formula

from clearhead.errors import UnknownName
from clearhead.expr import text
from clearhead.expr.adjoint import adjoint
from clearhead.expr.formula import OWN
from clearhead.ops import Operation, as_parameters
from clearhead.ops.by_formula import computed
from clearhead.ops.gradients.gradient import accumulated, derived_gradient, gradient
from clearhead.ops.gradients.stated import STATED
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.operation import quiet
from clearhead.ops.table import OPERATIONS, operation_named

WITHOUT = {
    "softmax_one_shifted": "its code takes the row's maximum as a constant, its formula does not",
    "dynamic_frequencies": "its code and its formula choose differently at a tie of two lengths",
    "add_zero_times_infinity": "all that it computes is NaN or minus infinity",
}
"""Operations whose code PyTorch differentiates to something else than their formula, and why."""


def summed_to(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An array with the axes summed along which another of this shape was broadcast."""
    extra = array.ndim - len(shape)
    array = array.sum(axis=tuple(range(extra)))
    wide = tuple(axis for axis, size in enumerate(shape) if size == 1 != array.shape[axis])
    return array.sum(axis=wide, keepdims=True)


def by_autograd(
    operation: Operation, operands: Sequence[np.ndarray], parameters: Mapping[str, Any], upstream: np.ndarray
) -> list[np.ndarray | None]:
    """The gradient of each operand by PyTorch, of the operation's own code."""
    tensors = [torch.tensor(each, requires_grad=each.dtype.kind == "f") for each in operands]
    out = operation(*tensors, **parameters)
    leaves = [each for each in tensors if each.requires_grad]
    if not (hasattr(out, "requires_grad") and out.requires_grad):
        return [None] * len(tensors)
    found = iter(torch.autograd.grad(out, leaves, torch.tensor(upstream), allow_unused=True))
    grads = [next(found) if each.requires_grad else None for each in tensors]
    return [None if each is None else each.numpy() for each in grads]


def gradients(
    operation: Operation, operands: Sequence[np.ndarray], parameters: Mapping[str, Any], upstream: np.ndarray
) -> list[np.ndarray | None]:
    """The gradient of each operand as it is stated, or else derived."""
    formula = operation.formula(as_parameters(parameters))
    there = dict(zip(formula.roles, operands, strict=True)) | {
        "grad": upstream, "out": operation(*operands, **parameters),
    }  # fmt: skip
    found: list[np.ndarray | None] = []
    if whole := accumulated(operation, as_parameters(parameters)):
        taken = whole.formula(as_parameters(parameters)).roles
        there["grad"] = whole(*(there[each] for each in taken), **parameters)
    for role, operand in zip(formula.roles, operands, strict=True):
        own = gradient(operation, role, as_parameters(parameters)) if operand.dtype.kind == "f" else None
        if own is None:
            found.append(None)
            continue
        roles = own.formula(as_parameters(parameters)).roles
        found.append(summed_to(own(*(there[each] for each in roles), **parameters), operand.shape))
    return found


def upstream_of(operation: Operation, operands: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> np.ndarray:
    """Numbers without a pattern, one for each cell of the result."""
    shape = operation.formula(as_parameters(parameters)).shape([operand.shape for operand in operands])
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@seed(20260)
@settings(max_examples=3, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_gradients_equal_those_of_pytorch(name, data):
    """The gradient of each operand is what PyTorch's autograd gives for the array code, and what its formula gives."""
    operation = OPERATIONS[name]
    operands, parameters = data.draw(drawn(operation, CASES[name]))
    upstream = upstream_of(operation, operands, parameters)
    out = operation(*operands, **parameters)
    if name in WITHOUT or np.isnan(out).any():
        return
    expected = by_autograd(operation, operands, parameters, upstream)
    for mine, theirs in zip(gradients(operation, operands, parameters, upstream), expected, strict=True):
        if mine is None or theirs is None:
            assert mine is None or not np.any(mine), "a gradient where PyTorch has none"
            assert theirs is None or not np.any(theirs), "no gradient where PyTorch has one"
            continue
        there = np.isfinite(theirs)
        np.testing.assert_allclose(mine[there], theirs[there], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@seed(20262)
@settings(max_examples=1, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_a_derived_formula_is_what_its_code_computes(name, data):
    """The formula of a derived gradient, computed cell by cell, gives what its array code gives."""
    operation = OPERATIONS[name]
    operands, parameters = data.draw(drawn(operation, CASES[name]))
    forward = operation.formula(as_parameters(parameters))
    upstream = upstream_of(operation, operands, parameters)
    there = dict(zip(forward.roles, operands, strict=True)) | {
        "grad": upstream, "out": operation(*operands, **parameters),
    }  # fmt: skip
    for role in (*forward.roles, OWN):
        derived = gradient(operation, role, as_parameters(parameters))
        if derived is None or (name, role) in STATED:
            continue
        taken = [there[each] for each in derived.formula(as_parameters(parameters)).roles]
        code = derived(*taken, **parameters)
        if code.size < 60:
            np.testing.assert_allclose(code, evaluate_formula(derived, taken, parameters), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "role"), sorted(STATED))
@seed(20261)
@settings(max_examples=3, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_what_is_stated_is_what_is_derived(name, role, data):
    """A stated gradient, by formula cell by cell and by code, is the one derived from the forward formula."""
    operation, own = OPERATIONS[name], STATED[name, role]
    operands, parameters = data.draw(drawn(operation, CASES[name]))
    forward = operation.formula(as_parameters(parameters))
    upstream = upstream_of(operation, operands, parameters)
    there = dict(zip(forward.roles, operands, strict=True)) | {
        "grad": upstream, "out": operation(*operands, **parameters),
    }  # fmt: skip
    derived = adjoint(forward, role)
    with quiet(numpy_namespace):
        expected = computed(numpy_namespace, derived, [there[each] for each in derived.roles], upstream)
    taken = [there[each] for each in own.formula(as_parameters(parameters)).roles]
    code = own(*taken, **parameters)
    if code.size < 40:
        np.testing.assert_allclose(code, evaluate_formula(own, taken, parameters), rtol=1e-12, atol=1e-12)
    regular = np.isfinite(expected) & ~tied(name, operands[0], parameters)
    np.testing.assert_allclose(np.where(regular, code, 0), np.where(regular, expected, 0), rtol=1e-9, atol=1e-9)


def tied(name: str, x: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray | bool:
    """Where an operation has no derivative, and the stated one is PyTorch's choice for it."""
    return np.abs(x) == parameters["limit"] if name in ("clip", "clip_above") else False


TEXTBOOK = {
    ("matmul", "a"): "sum_m grad[i,m]*b[c,m]",
    ("matmul", "b"): "sum_i grad[i,m]*a[i,c]",
    ("project", "w"): "sum_i grad[h,i,d]*x[i,m]",
    ("weighted_sum", "weights"): "sum_d grad[i,d]*values[j,d]",
    ("add", "a"): "grad[i,m]",
    ("bias", "b"): "sum_i grad[i,m]",
    ("concat", "x"): "grad[i,h*n_d + d]",
    ("append", "new"): "grad[g,n + n_p,d]",
    ("mask_boolean", "s"): "grad[i,j] if mask[i,j] else 0",
    ("mask_causal", "s"): "grad[i,j] if j <= i + n_j - n_i else 0",
    ("relu", "x"): "0 if x[i,m] <= 0 else grad[i,m]",
    ("gain", "gain"): "sum_i grad[i,m]*x[i,m]",
    ("look_up", "table"): "sum_i (grad[i,m] if v == token[i] else 0)",
    ("prepend", "x"): "grad[j + 1,m]",
    ("first_token", "x"): "grad[i,m] if i < n_t else 0",
    ("transposed", "x"): "grad[m,i]",
    ("softmax", "s"): "out[i,j]*(grad[i,j] - (sum_k grad[i,k]*out[i,k]))",
}


@pytest.mark.parametrize(("name", "role"), sorted(TEXTBOOK))
def test_gradients_read_as_a_textbook_writes_them(name, role):
    """Indices are solved for, and nothing is left that a textbook would not write."""
    assert text(gradient(OPERATIONS[name], role).formula().body) == TEXTBOOK[name, role]


@pytest.mark.parametrize("name", ["relu", "relu_squared", "clip", "silu", "gelu"])
def test_nan_has_the_gradient_that_pytorch_gives_it(name):
    """What is NaN in the forward pass stays to be seen in the backward pass: a ReLU does not make 0 of it."""
    functions = {
        "relu": torch.relu, "relu_squared": lambda x: torch.relu(x) ** 2, "clip": lambda x: x.clamp(-1.0, 1.0),
        "silu": torch.nn.functional.silu, "gelu": torch.nn.functional.gelu,
    }  # fmt: skip
    x, grad = np.array([[np.nan, 0.5, -0.5, np.nan]]), np.array([[2.0, 3.0, 4.0, 5.0]])
    numbers = torch.tensor(x, requires_grad=True)
    functions[name](numbers).backward(torch.tensor(grad))
    own = gradient(OPERATIONS[name], "x")(x, grad, **({"limit": 1.0} if name == "clip" else {}))
    np.testing.assert_allclose(own, numbers.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_gradients_are_found_by_name(name):
    """A gradient is found by its name and survives pickling, as operations do, so that traces can be read back."""
    roles = OPERATIONS[name].code.__code__.co_varnames[1 : OPERATIONS[name].code.__code__.co_argcount]
    for role in roles:
        own = STATED.get((name, role)) or derived_gradient(OPERATIONS[name], role)
        assert operation_named(own.name) is own
        assert pickle.loads(pickle.dumps(own)) is own


def test_the_gradient_of_a_recurrence_is_a_recurrence_backwards():
    """What a token's write changes passes through the writes of all later tokens, from the last to the first."""
    own = accumulated(OPERATIONS["corrected"])
    assert own.formula().backwards
    assert text(own.formula().body) == "grad[h,i,d] + sum_j (-result[h,j,d]*b[h,j]*a[h,j,i] if i < j else 0)"
    assert accumulated(OPERATIONS["matmul"]) is None


@pytest.mark.parametrize("name", ["matmul.c.grad", "matmul.grad", "addition.a.grad", "matmul.a"])
def test_a_gradient_of_nothing_has_no_name(name):
    """A name of no operation, or of no operand of one, is refused as any unknown operation is."""
    with pytest.raises(UnknownName, match="No operation is called"):
        operation_named(name)


@pytest.mark.parametrize(("name", "role", "shapes"), [
    ("concat", "x", [(2, 3, 2), (3, 4)]),
    ("alibi", "slope", [(2, 3, 3)]),
    ("drop_sink", "w", [(3, 4), (3, 3)]),
    ("sum_heads", "x", [(2, 3, 2), (3, 2)]),
    ("exp_over_sum", "s", [(3, 4), (3, 4)]),
])  # fmt: skip
def test_gradients_are_computed_in_any_library(name, role, shapes):
    """What is derived runs on arrays of PyTorch and JAX, with the numbers and the type of NumPy."""
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(0.5, 1.5, shape).astype(np.float32) for shape in shapes]
    own = gradient(OPERATIONS[name], role)
    expected = own(*arrays)
    assert expected.dtype == np.float32
    for library in (torch.tensor, jax.numpy.asarray):
        found = own(*map(library, arrays))
        assert str(found.dtype).endswith("float32")
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)
