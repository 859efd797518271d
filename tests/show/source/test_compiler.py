"""Formulas compiled to array code, compared with the operations' own code."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clearhead.errors import ShapeError
from clearhead.ops import as_parameters
from clearhead.ops.table import OPERATIONS
from clearhead.show.source.cells import Variable
from clearhead.show.source.compiler import Compiler
from clearhead.show.source.dialect import NUMPY, TORCH

from ...ops.test_formula_equals_code import CASES, drawn

pytestmark = pytest.mark.sweep(3)

CHOOSING = {
    **dict.fromkeys(
        [
            "look_up",
            "rows_of_real",
            "last_real_token",
            "last_marked_token",
            "cross_entropy",
            "negative_log_likelihood",
            "likelihood_smoothed_over_others",
            "with_spread",
        ],
        (0, 2),
    ),
    **dict.fromkeys(["weigh_by_class", "mean_by_weight"], (2, 1)),
}
"""Operations that read cells whose place another operand names: which operand is the table, and its axes."""

LIBRARIES = ((NUMPY, np.array), (TORCH, torch.from_numpy))


def source(operation, operands, parameters, dialect):
    formula = operation.formula(as_parameters(parameters))
    variables = {
        role: Variable(role, operand.shape, len(letters))
        for role, operand, letters in zip(formula.roles, operands, formula.operands, strict=True)
    }
    masked = frozenset(role for role, operand in zip(formula.roles, operands, strict=True) if np.isinf(operand).any())
    compiler = Compiler(formula, variables, dialect, masked)
    statements, whole = compiler.whole(formula.shape([operand.shape for operand in operands]))
    return "\n".join([*statements, f"result = {whole}"])


def executed(code, roles, operands, convert):
    names = {"np": np, "math": math, "torch": torch, "erf": np.vectorize(math.erf, otypes=[float])}
    names |= {role: convert(operand.copy()) for role, operand in zip(roles, operands, strict=True)}
    with np.errstate(all="ignore"):
        exec(code, names)
    return np.asarray(names["result"])


@pytest.fixture(autouse=True)
def double():
    """What a program in PyTorch begins with."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_compiled_code_gives_the_numbers_of_the_operation(name, data):
    """For every operation, shape and parameter, in NumPy and in PyTorch, the compiled formula gives its numbers."""
    operation = OPERATIONS[name]
    operands, parameters = data.draw(drawn(operation, CASES[name]))
    expected = operation(*operands, **parameters)
    roles = operation.formula(as_parameters(parameters)).roles
    table, axes = CHOOSING.get(name, (0, operands[0].ndim))
    assume(operands[table].ndim == axes)  # a batch of tables is refused
    for dialect, convert in LIBRARIES:
        code = source(operation, operands, parameters, dialect)
        result = executed(code, roles, operands, convert)
        assert result.shape == expected.shape, code
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12, err_msg=code)


def test_rows_of_several_tables_are_refused():
    """Code for rows chosen by numbers is written for one table; a batch of tables is an error, not wrong numbers."""
    table, token = np.zeros((2, 3, 4)), np.array([1, 0])
    with pytest.raises(ShapeError, match="table: rows chosen by numbers are written as code for one table alone"):
        source(OPERATIONS["look_up"], [table, token], {}, NUMPY)


SHAPES = {"h": 2, "g": 2, "i": 3, "j": 5, "m": 4, "d": 6, "c": 3, "p": 2, "n": 3}


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("matmul", {}, "result = a @ b"),
        ("matmul_transposed", {}, "result = a @ b.swapaxes(-1, -2)"),
        ("project", {}, "result = x @ w"),
        ("head_bias", {}, "result = x + b[:, None]"),
        ("concat", {}, "result = x.swapaxes(-3, -2).reshape(3, -1)"),
        ("repeat", {"times": 2}, "result = np.repeat(x, 2, axis=-3)"),
        ("append", {}, "result = np.concatenate([past, new], axis=-2)"),
        ("scale_by_depth", {}, "result = s / np.sqrt(q.shape[-1])"),
        ("mask_boolean", {}, "result = np.where(mask, s, -np.inf)"),
        (
            "mask_causal",
            {},
            "i = np.arange(3)[:, None]\nj = np.arange(5)\nresult = np.where(j <= i + 2, s, -np.inf)",
        ),
        (
            "softmax",
            {},
            "top = s.max(axis=-1, keepdims=True)\nparts = np.exp(s - top)\n"
            "total = parts.sum(axis=-1, keepdims=True)\nresult = parts / total",
        ),
        (
            "layer_norm",
            {"eps": 0.25},
            "mean = x.mean(axis=-1, keepdims=True)\nvariance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)\n"
            "result = (x - mean) / np.sqrt(variance + 0.25)",
        ),
        (
            "rotate_half",
            {},
            "result = np.concatenate([\n    x[..., :3] * cos - x[..., 3:] * sin,\n"
            "    x[..., 3:] * cos + x[..., :3] * sin,\n], axis=-1)",
        ),
    ],
)
def test_code_reads_as_one_would_write_it(name, parameters, code):
    """Products are ``@``, moved heads views, pieces stand side by side, reductions are methods: no index table."""
    formula = OPERATIONS[name].formula(as_parameters(parameters))
    operands = [np.zeros([SHAPES[letter] for letter in letters]) for letters in formula.operands]
    assert source(OPERATIONS[name], operands, parameters, NUMPY) == code


@pytest.mark.parametrize("framework", range(len(LIBRARIES)))
def test_an_ignored_target_outside_the_table_is_not_looked_up(framework):
    """Both branches of a condition are computed, so a target of -100 must not be taken for a place."""
    dialect, convert = LIBRARIES[framework]
    operands = np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([1, -100])
    operation, parameters = OPERATIONS["negative_log_likelihood"], {"smoothing": 0.0, "ignored": -100}
    code = source(operation, operands, parameters, dialect)
    np.testing.assert_allclose(executed(code, ("probability", "target"), operands, convert), [math.log(2), 0])
