"""Bounds for the error of every operation's array code, against its formula worked out to 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from clearhead.expr import FLOAT
from clearhead.ops import Operation
from clearhead.ops.table import TEXTBOOK

from .operands import examples, operands_for
from .precision import MPMATH, exact, worked_out, worst_error

pytestmark = pytest.mark.sweep(3)

Random = np.random.Generator
Shape = tuple[int, ...]


def ordinary(random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Numbers around 0, of size 1."""
    return random.normal(size=shape)


def large(random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Scores up to some 1e4, whose exponentials overflow."""
    return 1e4 * random.normal(size=shape)


def spread(random: Random, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Scores whose exponentials reach down to the smallest numbers there are, and below."""
    return random.uniform(-1.2, 0, size=shape) * abs(np.log(float(np.finfo(dtype).tiny)))


def denormal(random: Random, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Numbers so small that they have few digits left."""
    return random.integers(-1000, 1000, size=shape) * float(np.finfo(dtype).smallest_subnormal)


def ties(random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Halves: equal values, zeros, and numbers midway between two roundings."""
    return random.integers(-4, 5, size=shape) / 2


def equal(_random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Rows without spread."""
    return np.full(shape, 0.1)


def offset(random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Numbers that differ in their last digits."""
    return 1e8 + random.normal(size=shape)


def masked(random: Random, shape: Shape, _dtype: np.dtype) -> np.ndarray:
    """Scores with cells at minus infinity, and a whole row of them."""
    scores = np.where(random.random(shape) < 0.4, -np.inf, random.normal(size=shape))
    scores[..., :1, :] = -np.inf
    return scores


Family = Callable[[Random, Shape, np.dtype], np.ndarray]
FAMILIES: tuple[Family, ...] = (ordinary, large, spread, denormal, ties, equal, offset, masked)

EXACT = (
    "append_sink", "drop_sink",
    "concat", "split", "repeat", "append", "beside_shared", "mask_boolean", "mask_padding", "mask_causal",
    "mask_window", "relu", "look_up", "rows_of_real", "first_rows", "next_rows", "prepend", "insert_second",
    "first_token", "last_token",
    "last_real_token", "last_marked_token", "instead",
    "instead_of_head", "among_largest", "mask_groups", "pick", "near_largest", "mask_chosen", "zeros",
)  # fmt: skip
ARITHMETIC = (
    "matmul", "matmul_transposed", "project", "weighted_sum", "add", "multiply", "bias", "head_bias", "scale",
    "scale_by_depth", "mask_additive", "alibi", "layer_norm", "rms_norm", "norm_over_matrix", "gain", "gain_and_bias",
    "drop_masked", "count", "count_on", "rotate_half", "rotate_interleaved", "round_decimals", "round_head",
    "divide_positions", "layer_scale",
    "angles", "grow", "divide_by_ramp", "divide_frequencies", "divide_by_length", "turn_first",
    "relu_squared", "clip", "rms_norm_of_heads", "head_gain", "dropout", "sum_of_row", "squared_error",
    "sum_of_tokens", "mean_of_counted",
    "shift", "clip_above", "best_of_groups", "shares", "project_chosen", "matmul_chosen", "sum_chosen", "dot",
    "scale_rows", "convolve", "relative_bias", "add_by_query", "add_by_key",
    "convolve_before", "unit_length", "project_to_numbers", "corrected",
    "add_decay", "shrink", "velocity", "look_ahead", "first_moment", "second_moment", "unbiased",
    "add_square", "step_along", "squared_length", "root_of_number", "shorten",
    "weigh_by_class", "mean_by_weight",
)  # fmt: skip
FUNCTIONS = (
    "softcap", "alibi_slopes", "softmax", "softmax_over_queries", "softmax_with_sink", "silu", "gelu", "gelu_tanh",
    "gelu_sigmoid", "sinusoidal", "sinusoidal_at", "exponential",
    "rotary_angles", "rotary_frequencies", "stretch_slow", "dynamic_frequencies",
    "cos", "sin", "tanh", "cross_entropy", "negative_log_likelihood",
    "softmax_over_experts", "logistic", "xielu", "step_scaled", "softplus_of_sum", "log_decay", "log_growth",
    "decay_since",
)  # fmt: skip
MEANS = ("mean_of_tokens", "mean_of_cells", "mean_token", "mean_real_token")

BOUNDS: Mapping[str, float] = {
    **dict.fromkeys(EXACT, 0.0),
    **dict.fromkeys(ARITHMETIC, 0.5),
    **dict.fromkeys((*FUNCTIONS, *MEANS), 1.0),
}
"""How many times eps * loss the error may be, in float64 and float32: nothing for what only moves numbers, half for
arithmetic, and once for what calls an exponential, a power or a sine, whose own error differs between machines;
once for means too, since the reference takes that of equal numbers to be theirs."""

MASKABLE = {"softmax", "softmax_over_queries", "mask_additive"}
HANDWRITTEN = {ordinary, ties, equal}


def applies(operation: Operation, parameters: Mapping[str, Any], family: Family) -> bool:
    """Whether an operation is meant for such numbers."""
    if family is masked:
        return operation.name in MASKABLE
    if operation.name in ("exponential", "log_decay", "decay_since", "corrected") and family in (large, offset):
        # Beyond the largest number of a type an exponential or a product of many is infinite, and has no error.
        return False
    if "decimals" in parameters:
        # Of a number that eps moves across a tie, either rounding is right.
        return family in HANDWRITTEN
    # With eps 0 a norm's squares must not underflow.
    return family is not denormal or parameters.get("eps") != 0


def errors(name: str, dtype: str) -> Iterator[tuple[float, str, Mapping[str, Any]]]:
    """The worst error of an operation, in units of eps * loss, on each family of numbers, with all parameters."""
    of_type = np.dtype(dtype)
    for operation, parameters in examples():
        for family in FAMILIES:
            if operation.name == name and applies(operation, parameters, family):
                draw = partial(typed, family, np.random.default_rng(2), of_type)
                operands = operands_for(name, parameters, draw)
                found = operation(*operands, **parameters)
                assert found.dtype == of_type
                yield worst_error(found, worked_out(operation, parameters, operands)), family.__name__, parameters


def typed(family: Family, random: Random, dtype: np.dtype, shape: Shape) -> np.ndarray:
    """Numbers of a family in a type."""
    return family(random, shape, dtype).astype(dtype)


def test_every_operation_has_a_bound() -> None:
    """No operation is left out, and the reference knows every function that a formula may call."""
    assert BOUNDS.keys() == TEXTBOOK.keys()
    assert MPMATH.keys() == FLOAT.keys()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", TEXTBOOK)
def test_error(name: str, dtype: str) -> None:
    """The array code is within its bound of the formula worked out to 50 digits, on every family of numbers."""
    found = list(errors(name, dtype))
    assert len(found) >= len(HANDWRITTEN)
    assert [each for each in found if not each[0] <= BOUNDS[name]] == []


def test_reference() -> None:
    """The reference has digits of its own: it tells 1 + 1e-40 from 1, and 2/3 from what float64 has for it."""
    one = exact(1)
    assert MPMATH["-"](MPMATH["+"](one, MPMATH["^"](exact(10), exact(-40))), one).value > 0
    third = MPMATH["/"](2, 3)
    assert 0 < abs(third.value - 2 / 3) < 2e-16
    assert third.loss == third.value


def test_yardstick() -> None:
    """The bound is one that a poorer way to compute exceeds: the variance as mean of squares less square of mean."""
    operation, parameters = TEXTBOOK["layer_norm"], {"eps": 1e-5}
    x = 1e4 + np.random.default_rng(2).normal(size=(3, 7))
    variance = (x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2
    poor = (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + 1e-5)
    cells = worked_out(operation, parameters, [x])
    assert worst_error(operation(x, **parameters), cells) <= BOUNDS["layer_norm"]
    assert worst_error(poor, cells) > 10 * BOUNDS["layer_norm"]
