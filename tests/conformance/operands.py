"""Operands for every operation: their sizes, which of them are booleans, and the parameters to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clearhead.ops import Operation, as_parameters
from clearhead.ops.table import TEXTBOOK

Array = np.ndarray[Any, Any]
Draw = Callable[[tuple[int, ...]], Array]

SIZES = {"g": 2, "h": 4, "i": 3, "j": 5, "d": 8, "m": 7, "c": 2, "p": 6, "n": 1, "o": 1, "v": 9, "e": 6}
"""How many values each index of the formulas takes; no two of one formula are the same."""

OWN_SIZES: Mapping[str, Mapping[str, int]] = {
    "split": {"c": 6},
    "alibi_slopes": {"h": 12},
    "norm_over_matrix": {"m": 2},
    "next_rows": {"v": 11},
    "drop_sink": {"k": 5},
    "convolve": {"i": 6, "k": 3},
    "convolve_before": {"i": 6, "k": 3},
    "corrected": {"i": 4, "j": 4},
    "relative_bias": {"b": 8},
    "add_by_query": {"b": 8},
    "add_by_key": {"b": 8},
    "stretch_slow": {"c": 4},
    "divide_by_ramp": {"c": 4},
    "divide_frequencies": {"c": 4},
    "divide_by_length": {"c": 4},
    "turn_first": {"c": 4},
}

BOOLEANS = {("mask_boolean", "mask"), ("mask_padding", "real"), ("dropout", "keep"), ("mean_real_token", "real")}
INTEGERS = {
    ("look_up", "token"), ("drop_masked", "token"),
    ("rows_of_real", "token"), ("last_real_token", "token"), ("last_marked_token", "token"),
    ("cross_entropy", "target"), ("negative_log_likelihood", "target"), ("mean_of_counted", "target"),
    ("weigh_by_class", "target"), ("mean_by_weight", "target"),
}  # fmt: skip

POSITIVE = {
    ("negative_log_likelihood", "probability"), ("step_scaled", "second"), ("root_of_number", "square"),
    ("shorten", "norm"), ("log_growth", "position"), ("mean_by_weight", "weight"),
}  # fmt: skip

PARAMETERS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "split": ({"heads": 2},),
    "repeat": ({"times": 3},),
    "scale": ({"factor": 0.3},),
    "softcap": ({"cap": 30.0}, {"cap": 0.5}),
    "mask_window": ({"width": 2},),
    "alibi_slopes": ({"heads": 12},),
    "layer_norm": ({"eps": 1e-5}, {"eps": 0.0}),
    "rms_norm": ({"eps": 1e-5}, {"eps": 0.0}),
    "norm_over_matrix": ({"eps": 1e-5}, {"eps": 0.0}),
    "sinusoidal": ({"base": 10000.0},),
    "count": ({"offset": 0.0}, {"offset": 2.5}),
    "count_on": ({"offset": 0.0}, {"offset": 2.5}),
    "rotary_angles": ({"base": 10000.0, "width": None}, {"base": 500.0, "width": 4}),
    "rotary_frequencies": ({"base": 10000.0, "width": None}, {"base": 500.0, "width": 4}),
    "divide_positions": ({"factor": 8.0}, {"factor": 0.3}),
    "stretch_slow": ({"factor": 8.0, "fast": 4.0, "slow": 1.0, "context": 16},),
    "divide_by_ramp": ({"factor": 8.0, "low": 1, "high": 2.5},),
    "turn_first": ({"count": 3, "factor": 1.0}, {"count": 1, "factor": 8.0}),
    "divide_by_length": ({"context": 1}, {"context": 10**9}),
    "dynamic_frequencies": (
        {"base": 500.0, "width": None, "factor": 4.0, "context": 2},
        {"base": 500.0, "width": 4, "factor": 4.0, "context": 10**6},
    ),
    "cross_entropy": ({"smoothing": 0.0, "ignored": None}, {"smoothing": 0.1, "ignored": 2}),
    "negative_log_likelihood": ({"smoothing": 0.0, "ignored": None}, {"smoothing": 0.1, "ignored": 2}),
    "mean_of_counted": ({"ignored": 2},),
    **dict.fromkeys(("weigh_by_class", "mean_by_weight"), ({"ignored": None}, {"ignored": 2})),
    "dropout": ({"rate": 0.1},),
    **dict.fromkeys(("zeros", "add_square", "squared_length"), tuple({"rank": rank} for rank in (0, 1, 2, 3))),
    "add_decay": ({"decay": 0.1, "rank": 2},),
    "shrink": ({"rate": 0.1, "decay": 0.3, "rank": 2},),
    "velocity": ({"momentum": 0.9, "dampening": 0.0, "rank": 2}, {"momentum": 0.9, "dampening": 0.1, "rank": 3}),
    "look_ahead": ({"momentum": 0.9, "rank": 2},),
    **dict.fromkeys(("first_moment", "second_moment"), ({"beta": 0.9, "rank": 2}, {"beta": 0.999, "rank": 1})),
    "unbiased": ({"beta": 0.9, "number": 1, "rank": 2}, {"beta": 0.999, "number": 3, "rank": 3}),
    "step_along": ({"rate": 0.1, "rank": 2}, {"rate": 0.1, "rank": 3}),
    "step_scaled": ({"rate": 0.1, "eps": 1e-8, "rank": 2}, {"rate": 0.1, "eps": 0.0, "rank": 3}),
    "shorten": ({"limit": 1.0, "rank": 2}, {"limit": 1e9, "rank": 3}),
    "sinusoidal_at": ({"width": 5, "base": 10000.0},),
    "last_real_token": ({"pad": 4}, {"pad": 0}),
    "last_marked_token": ({"mark": 4}, {"mark": 0}),
    "mean_token": ({"skip": 0}, {"skip": 1}),
    "drop_masked": ({"mask": 4, "keep": 0.88}, {"mask": 1, "keep": 0.5}),
    "rows_of_real": ({"pad": 1}, {"pad": 4}),
    "clip": ({"limit": 0.4},),
    "unit_length": ({"eps": 1e-6}, {"eps": 0.25}),
    "convolve": ({"stride": 1}, {"stride": 2}),
    "relative_bias": (
        {"buckets": 8, "reach": 6, "both": True},
        {"buckets": 8, "reach": 6, "both": False},
    ),
    **dict.fromkeys(("add_by_query", "add_by_key"), ({"span": 4, "reach": None}, {"span": 4, "reach": 6})),
    "log_growth": ({"rate": 0.1, "context": 2}, {"rate": 0.7, "context": 10**6}),
    "pick": ({"number": 1},),
    "near_largest": ({"tolerance": 0.02}, {"tolerance": 0.75}),
    "clip_above": ({"limit": 0.4},),
    "shift": ({"by": 1.0},),
    "among_largest": ({"count": 2},),
    "best_of_groups": ({"groups": 3, "count": 1}, {"groups": 2, "count": 2}),
    "rms_norm_of_heads": ({"eps": 1e-5}, {"eps": 0.0}),
    "first_rows": ({"offset": 0}, {"offset": 2}),
    "next_rows": ({"offset": 0}, {"offset": 1}),
    "instead_of_head": ({"head": 1},),
    "round_decimals": ({"decimals": 2}, {"decimals": 0}),
    "round_head": ({"decimals": 1, "head": 1},),
}
"""The parameters of each operation that has any."""


def operands_for(name: str, parameters: Mapping[str, Any], draw: Draw) -> list[Array]:
    """Operands of an operation with its core axes, their numbers drawn; of booleans the first are True."""
    sizes = SIZES | OWN_SIZES.get(name, {})
    formula = TEXTBOOK[name].formula(as_parameters(parameters))
    shapes = [tuple(sizes[letter] for letter in letters) for letters in formula.operands]
    return [_drawn((name, role), shape, draw) for role, shape in zip(formula.roles, shapes, strict=True)]


def _drawn(place: tuple[str, str], shape: tuple[int, ...], draw: Draw) -> Array:
    if place in INTEGERS:
        return np.arange(np.prod(shape)).reshape(shape) * 2 % SIZES["v"]
    if place in POSITIVE:
        drawn = draw(shape)
        return np.abs(drawn) + drawn.dtype.type(2**-20)
    return np.arange(np.prod(shape)).reshape(shape) % 3 == 0 if place in BOOLEANS else draw(shape)


def examples() -> list[tuple[Operation, Mapping[str, Any]]]:
    """Every operation with every set of its parameters."""
    return [(each, parameters) for each in TEXTBOOK.values() for parameters in PARAMETERS.get(each.name, ({},))]
