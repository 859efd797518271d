"""The two statements of every operation, formula and array code, are held together here.

``CASES`` is data: for each operation, how large its indices may be, which parameters it takes, and what its operands
hold. Everything else is drawn: every index has a size of its own, and operands have axes in front that broadcast.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, mutually_broadcastable_shapes
from msgspec import Struct

from clearhead.expr import Scope, evaluate
from clearhead.expr.formula import OWN
from clearhead.ops import Operation, as_parameters
from clearhead.ops.table import OPERATIONS

NUMBERS = st.floats(-8, 8, allow_subnormal=False).map(lambda x: round(x, 4))
SPREAD = st.integers(-40, 40).map(lambda n: n / 4)
"""Multiples of a quarter: sums and squares of these are exact, so a row of equal values is one in either statement."""
SCORES = st.one_of(NUMBERS, st.just(-np.inf))
ADDED_MASK = st.sampled_from([0.0, -np.inf, -2.5])
BOOLEANS = st.booleans()
CHOSEN = st.sampled_from([0.0, 0.0, 0.25, 1.0])
"""Shares of experts, most of them none."""
NEVER = st.just(5)
"""The number of targets that are all ignored."""
ROWS = st.integers(0, 3)
"""Numbers of rows, in tables of four rows and more."""
WORKED_BY_HAND = st.one_of(NUMBERS, st.sampled_from([0.5, -0.5, 1.5, -2.5, 0.125, -0.375, 0.0]))
FEW = st.integers(1, 4)
TYPES = {BOOLEANS: bool, ROWS: int, NEVER: int}


def as_drawn(known):
    """The sizes of indices as they were drawn."""
    return known


class Case(Struct):
    """How to draw operands and parameters for one operation.

    ``holds`` are the numbers of each operand, the last for all that follow. ``sizes`` may change the sizes of indices
    to go with each other and with the parameters, which it is told as well.
    """

    holds: Sequence[st.SearchStrategy[Any]] = (NUMBERS,)
    parameters: Mapping[str, st.SearchStrategy[Any]] = {}
    sizes: Callable[[dict[str, Any]], dict[str, Any]] = as_drawn


def more_keys(known):
    """As many keys as queries, or up to three more."""
    return known | {"j": known["i"] + known["j"] - 1}


def room_to_turn(known):
    """Heads wide enough for the pairs, with 0 to 3 features left over."""
    return known | {"d": 2 * known["c"] + known["d"] - 1}


def four_classes(known):
    """As many classes as targets may name, or more."""
    return known | {"v": known["v"] + 3}


EPS = {"eps": st.sampled_from([0, 1e-5, 0.25])}
HEADS = Case(parameters={"heads": st.integers(1, 13)}, sizes=lambda known: known | {"h": known["heads"]})
OFFSET = {"offset": st.sampled_from([0.0, 3.0, 0.5])}

SINUSOID = Case(parameters={"base": st.sampled_from([10000.0, 20.0]), "offset": st.sampled_from([0.0, 1.0, -2.0])})
SINUSOID_AT = Case((ROWS.map(float),), {"width": st.integers(1, 5), **SINUSOID.parameters})
EXACT_SCORES = Case((st.one_of(SPREAD, st.just(-np.inf)),))
MASKED = Case((SCORES,))
CENTRED = ("centred", "centred_over_matrix", "centred_over_tokens", "centred_over_batch", "centred_over_heads")
DDOF = {"ddof": st.integers(0, 1)}
POSITIVE = st.integers(0, 40).map(lambda n: n / 4)
SMOOTHED = {"smoothing": st.sampled_from([0.0, 0.1]), "ignored": st.sampled_from([None, 1])}
DECIMALS = {"decimals": st.integers(0, 4)}
HEAD = {"head": st.integers(0, 4)}
RANK = {"rank": st.integers(0, 3)}
SQUARES = st.floats(1e-3, 16)


def shares_of(*names):
    """Parameters of an optimizer that are shares."""
    return dict.fromkeys(names, st.sampled_from([0.0, 0.1, 0.9]))


VARIANTS = {
    "unchanged": Case(),
    "transposed": Case(),
    "weighted_sum_transposed": Case(),
    "project_transposed": Case(sizes=lambda known: known | {"m": known["h"] * known["d"]}),
    "swap_heads": Case(),
    "first_head": Case(),
    "split_by_reshape": Case(),
    "split_interleaved": Case(),
    "concat_by_reshape": Case(),
    "concat_interleaved": Case(),
    "sum_heads": Case(),
    "average_heads": Case(),
    "average_weights": Case(),
    "tile": Case(parameters={"times": FEW}),
    "repeat_tokens": Case(parameters={"times": FEW}),
    "fused_as_blocks": Case(parameters={"part": st.integers(0, 2)}),
    "fused_by_head": Case(parameters={"part": st.integers(0, 2)}),
    "scale_by_root_width": Case(),
    "sinusoidal_shifted": SINUSOID,
    "sinusoidal_concatenated": SINUSOID,
    "sinusoidal_doubled": SINUSOID,
    "sinusoidal_unpaired": SINUSOID,
    "sinusoidal_swapped": SINUSOID,
    **dict.fromkeys(("sinusoidal_at_shifted", "sinusoidal_at_concatenated", "sinusoidal_at_doubled"), SINUSOID_AT),
    "sinusoidal_at_unpaired": SINUSOID_AT,
    "angles_over_depth": Case(
        parameters={"base": st.sampled_from([10000.0, 20.0]), "width": st.sampled_from([2, 4])},
        sizes=lambda known: known | {"d": known["d"] + known["width"]},
    ),
    "rotate_half_other_table": Case(sizes=room_to_turn),
    "rotate_interleaved_other_table": Case(sizes=room_to_turn),
    "alibi_slopes_from_zero": HEADS,
    "alibi_slopes_plain": HEADS,
    "alibi_added": Case((SCORES,), sizes=more_keys),
    "alibi_by_key": Case((SCORES,), sizes=more_keys),
    "divide_by_depth": Case(),
    "multiply_by_root_depth": Case(),
    "divide_by_fourth_root": Case(),
    "scale_by_all_heads": Case(),
    "scale_by_keys": Case(),
    "scale_by_rounded_root": Case(parameters={"decimals": st.integers(1, 3)}),
    "mask_inverted": Case((SCORES, BOOLEANS)),
    "padding_inverted": Case((SCORES, BOOLEANS)),
    "mask_padding_queries": Case((SCORES, BOOLEANS)),
    "mask_causal_shifted": Case((SCORES,), {"by": st.integers(-2, 2)}, more_keys),
    "mask_future_only": Case((SCORES,), sizes=more_keys),
    "mask_causal_top_left": Case((SCORES,), sizes=more_keys),
    "fill_masked": Case((SCORES,), {"fill": st.sampled_from([0.0, -1e9, -100.0])}),
    "add_to_allowed": MASKED,
    "add_to_masked": MASKED,
    "add_zero_times_infinity": Case((NUMBERS, SCORES)),
    "zero_masked": MASKED,
    "softmax_over_heads": MASKED,
    "softmax_over_matrix": MASKED,
    "softmax_of_one": MASKED,
    "softmax_base": Case((SCORES,), {"base": st.sampled_from([2.0, 3.0, 10.0])}),
    "softmax_unshifted": MASKED,
    "softmax_shifted_globally": MASKED,
    "softmax_one": MASKED,
    "softmax_one_shifted": MASKED,
    "exp_over_sum": EXACT_SCORES,
    "share_of_sum": EXACT_SCORES,
    "parts_of_sums": Case(),
    "sum_of_column": Case(),
    "sigmoid": MASKED,
    "exponentials": Case((SCORES,)),
    "mask_padding_of_new": Case((SCORES, BOOLEANS), sizes=more_keys),
    "fill_all": Case((SCORES,), {"fill": st.sampled_from([0.0, -1e9])}),
    "rotary_angles_ntk": Case(
        parameters={
            "base": st.sampled_from([10000.0, 20.0]),
            "width": st.sampled_from([None, 2, 4]),
            "factor": st.sampled_from([2.0, 8.0]),
        },
        sizes=lambda known: known | {"d": known["d"] + (known["width"] or 1)},
    ),
    "swap_batch": Case(),
    "batch_as_heads": Case(),
    "infinite_masked": MASKED,
    "gain_less_one": Case(),
    "gain_less_one_and_bias": Case(),
    "take_heads": Case(parameters={"order": st.sampled_from([(1, 0), (0, 1, 1)])}, sizes=lambda k: k | {"g": 2}),
    "take_tokens": Case(parameters={"order": st.sampled_from([(1, 0), (0, 1, 1)])}, sizes=lambda k: k | {"n": 2}),
    "take_columns": Case(parameters={"order": st.sampled_from([(1, 0), (0, 1, 1)])}, sizes=lambda k: k | {"n": 2}),
    "mask_padding_tiled": Case((SCORES, BOOLEANS)),
    "mask_padding_by_head": Case((SCORES, BOOLEANS)),
    "mask_padding_repeated": Case((SCORES, BOOLEANS)),
    "concat_of_exchanged": Case(),
    "softcap_times_itself": Case(parameters={"cap": st.sampled_from([1.5, 50.0])}),
    **{name: Case((SPREAD,)) for name in CENTRED},
    **{name.replace("centred", "mean_square"): Case((SPREAD,), DDOF) for name in CENTRED},
    **{name: Case((POSITIVE,), EPS) for name in ("root", "root_then_eps", "no_root", "squared")},
    "quotient": Case((SPREAD,)),
    "gain_plus_one": Case(),
    "gain_plus_one_and_bias": Case(),
    "round_half_even": Case((WORKED_BY_HAND,), DECIMALS),
    "round_half_even_head": Case((WORKED_BY_HAND,), DECIMALS | HEAD),
    "truncate": Case((WORKED_BY_HAND,), DECIMALS),
    "truncate_head": Case((WORKED_BY_HAND,), DECIMALS | HEAD),
}
"""What people do otherwise: the operations of deviations."""

CASES = {
    "matmul": Case(),
    "matmul_transposed": Case(),
    "project": Case(),
    "add": Case(),
    "multiply": Case(),
    "bias": Case(),
    "head_bias": Case(),
    "weighted_sum": Case(),
    "concat": Case(),
    "split": Case(parameters={"heads": FEW}, sizes=lambda known: known | {"c": known["c"] * known["heads"]}),
    "repeat": Case(parameters={"times": FEW}),
    "append": Case(),
    "beside_shared": Case(),
    "convolve": Case(parameters={"stride": FEW}),
    "relative_bias": Case(
        (SCORES, NUMBERS),
        {"buckets": st.integers(4, 12), "reach": st.integers(7, 20), "both": st.booleans()},
        lambda known: more_keys(known) | {"b": known["buckets"]},
    ),
    **dict.fromkeys(
        ("add_by_query", "add_by_key", "add_by_query_mirrored", "add_by_key_mirrored"),
        Case(
            (SCORES, NUMBERS),
            {"span": st.integers(4, 7), "reach": st.sampled_from([None, 9, 10, 17])},
            lambda known: more_keys(known) | {"b": 2 * known["span"]},
        ),
    ),
    "log_growth": Case((POSITIVE,), {"rate": st.sampled_from([0.1, 0.7]), "context": st.sampled_from([1, 3])}),
    "grow": Case(),
    "pick": Case(
        parameters={"number": st.integers(0, 2)}, sizes=lambda known: known | {"h": known["h"] + known["number"]}
    ),
    "near_largest": Case((NUMBERS, CHOSEN), {"tolerance": st.sampled_from([0.0, 0.02, 0.7])}),
    "mask_chosen": Case((NUMBERS, CHOSEN)),
    "scale": Case(parameters={"factor": st.sampled_from([0.0, -1.5, 0.125])}),
    "scale_by_depth": Case(),
    "softcap": Case(parameters={"cap": st.sampled_from([0.5, 30.0])}),
    "mask_boolean": Case((SCORES, BOOLEANS)),
    "mask_additive": Case((SCORES, ADDED_MASK)),
    "mask_padding": Case((SCORES, BOOLEANS)),
    "mask_causal": Case((SCORES,), sizes=more_keys),
    "mask_window": Case((SCORES,), {"width": st.integers(1, 5)}, more_keys),
    "alibi_slopes": HEADS,
    "alibi": Case((SCORES,), sizes=more_keys),
    "softmax": Case((SCORES,)),
    "softmax_with_sink": Case((SCORES,)),
    "append_sink": Case((SCORES,)),
    "drop_sink": Case(sizes=lambda known: known | {"k": known["k"] + 1}),
    "softmax_over_queries": Case((SCORES,)),
    "layer_norm": Case((SPREAD,), EPS),
    "norm_over_matrix": Case((SPREAD,), EPS),
    "rms_norm": Case((SPREAD,), EPS),
    "gain": Case(),
    "gain_and_bias": Case(),
    "layer_scale": Case(),
    "relu": Case((st.one_of(NUMBERS, st.sampled_from([0.0, -np.inf, np.inf, np.nan])),)),
    "relu_squared": Case((st.one_of(NUMBERS, st.just(0.0)),)),
    "gelu_sigmoid": Case((st.one_of(NUMBERS, st.sampled_from([0.0, -1000.0, 1000.0])),)),
    "clip": Case(parameters={"limit": st.sampled_from([0.5, 3.0])}),
    "clip_above": Case(parameters={"limit": st.sampled_from([0.5, 3.0])}),
    "xielu": Case(sizes=lambda known: known | {"o": 1}),
    "shift": Case(parameters={"by": st.sampled_from([1.0, -0.5])}),
    "softmax_over_experts": Case((SCORES,)),
    "logistic": Case(),
    "among_largest": Case((st.one_of(SCORES, ROWS.map(float)),), {"count": FEW}),
    "best_of_groups": Case(
        (st.one_of(NUMBERS, ROWS.map(float)),),
        {"groups": FEW, "count": FEW},
        sizes=lambda known: known | {"e": known["e"] * known["groups"]},
    ),
    "mask_groups": Case((NUMBERS, CHOSEN), sizes=lambda known: known | {"e": known["e"] * known["g"]}),
    "shares": Case((SPREAD,)),
    "project_chosen": Case((NUMBERS, NUMBERS, CHOSEN)),
    "matmul_chosen": Case((NUMBERS, NUMBERS, CHOSEN)),
    "sum_chosen": Case(),
    "dot": Case(),
    "scale_rows": Case(),
    "convolve_before": Case(),
    "unit_length": Case(parameters={"eps": st.sampled_from([1e-6, 0.25])}),
    "project_to_numbers": Case(),
    "softplus_of_sum": Case(),
    "log_decay": Case((NUMBERS, st.floats(-3, 3))),
    "decay_since": Case((st.floats(-4, 0),)),
    "corrected": Case(sizes=lambda known: known | {"j": known["i"]}),
    "rms_norm_of_heads": Case((SPREAD,), EPS),
    "head_gain": Case(),
    "rows_of_real": Case(
        (NUMBERS, ROWS),
        {"pad": st.integers(0, 3)},
        sizes=lambda known: known | {"v": known["v"] + known["i"] + known["pad"]},
    ),
    "silu": Case((st.one_of(NUMBERS, st.sampled_from([0.0, -1000.0, 1000.0])),)),
    "gelu": Case((st.one_of(NUMBERS, st.sampled_from([0.0, -40.0, 40.0])),)),
    "gelu_tanh": Case((st.one_of(NUMBERS, st.sampled_from([0.0, -40.0, 40.0])),)),
    "sinusoidal": Case(parameters={"base": st.sampled_from([10000.0, 20.0])}),
    "count": Case(parameters=OFFSET),
    "count_on": Case(parameters=OFFSET),
    "rotary_angles": Case(
        parameters={"base": st.sampled_from([10000.0, 20.0]), "width": st.sampled_from([None, 2, 4])},
        sizes=lambda known: known | {"d": known["d"] + (known["width"] or 1)},
    ),
    "cos": Case(),
    "sin": Case(),
    "rotate_half": Case(sizes=room_to_turn),
    "rotate_interleaved": Case(sizes=room_to_turn),
    "divide_positions": Case(parameters={"factor": st.sampled_from([2.0, 8.0])}),
    "rotary_frequencies": Case(
        parameters={"base": st.sampled_from([10000.0, 20.0]), "width": st.sampled_from([None, 2, 4])},
        sizes=lambda known: known | {"d": known["d"] + (known["width"] or 1)},
    ),
    "stretch_slow": Case(
        (st.sampled_from([1.0, 0.5, 0.1, 0.02, 1e-4]),),
        {"factor": st.just(8.0), "fast": st.just(4.0), "slow": st.just(1.0), "context": st.sampled_from([16, 64])},
    ),
    "divide_by_ramp": Case(
        parameters={
            "factor": st.just(8.0),
            "low": st.sampled_from([0, 0.5, 1]),
            "high": st.sampled_from([1.001, 2.5, 7]),
        }
    ),
    "turn_first": Case(parameters={"count": st.sampled_from([1, 2, 9]), "factor": st.sampled_from([1.0, 8.0])}),
    "divide_frequencies": Case((NUMBERS, SPREAD.filter(bool))),
    "divide_by_length": Case((NUMBERS, NUMBERS, SPREAD.filter(bool)), {"context": st.sampled_from([0, 2, 5])}),
    "dynamic_frequencies": Case(
        (POSITIVE,),
        {
            "base": st.sampled_from([10000.0, 20.0]),
            "width": st.sampled_from([None, 4, 6]),
            "factor": st.sampled_from([1.5, 4.0]),
            "context": st.sampled_from([1, 4, 64]),
        },
        sizes=lambda known: known | {"d": known["d"] + (known["width"] or 3)},
    ),
    "angles": Case(),
    "look_up": Case((NUMBERS, ROWS), sizes=lambda known: known | {"v": known["v"] + 3}),
    "first_rows": Case(
        parameters={"offset": st.integers(0, 2)},
        sizes=lambda known: known | {"v": known["v"] + known["i"] + known["offset"]},
    ),
    "next_rows": Case(
        parameters={"offset": st.integers(0, 2)},
        sizes=lambda known: known | {"v": known["v"] + known["i"] + known["p"] + known["offset"]},
    ),
    "prepend": Case(),
    "insert_second": Case(),
    "drop_masked": Case((NUMBERS, ROWS), {"mask": st.integers(0, 3), "keep": st.sampled_from([0.88, 0.5])}),
    "first_token": Case(),
    "last_token": Case(),
    "last_real_token": Case((NUMBERS, ROWS), {"pad": st.integers(0, 3)}),
    "last_marked_token": Case((NUMBERS, ROWS), {"mark": st.integers(0, 3)}),
    "mean_token": Case(parameters={"skip": st.integers(0, 2)}, sizes=lambda known: known | {"i": known["i"] + 2}),
    "mean_real_token": Case((NUMBERS, BOOLEANS)),
    "instead": Case(),
    "instead_of_head": Case(parameters={"head": st.integers(0, 4)}),
    "tanh": Case(),
    "exponential": Case((SCORES,)),
    "sum_of_row": Case(),
    "dropout": Case((NUMBERS, BOOLEANS), {"rate": st.sampled_from([0.0, 0.1, 0.5])}),
    "sinusoidal_at": Case((ROWS.map(float),), {"width": st.integers(1, 5), "base": st.sampled_from([10000.0, 20.0])}),
    "cross_entropy": Case((NUMBERS, ROWS), SMOOTHED, sizes=four_classes),
    "negative_log_likelihood": Case((st.floats(1e-3, 1), ROWS), SMOOTHED, sizes=four_classes),
    "squared_error": Case(),
    "decay_between": Case((st.floats(-4, 0),), {"first": st.integers(0, 1), "last": st.integers(0, 1)}),
    "corrected_whole": Case(sizes=lambda known: known | {"j": known["i"]}),
    "convolve_ahead": Case(parameters={"by": st.integers(1, 5)}),
    "convolve_reversed": Case(),
    "in_base": Case(parameters={"base": st.sampled_from([2.0, 10.0])}),
    "negated_loss": Case(),
    "unchanged_loss": Case(),
    "likelihood_smoothed_over_others": Case((st.floats(1e-3, 1), ROWS), SMOOTHED, sizes=four_classes),
    "absolute_error": Case(),
    "sum_of_cells": Case(),
    "mean_of_rows": Case(),
    "times": Case(parameters={"factor": st.sampled_from([0.5, 2.0])}),
    "perplexity": Case(),
    "kept_of_ignored": Case((NUMBERS, ROWS), {"ignored": st.integers(0, 2)}),
    "mean_of_ignored": Case((NUMBERS, NEVER), {"ignored": st.just(5)}),
    "next_target": Case((ROWS,), {"last": st.integers(-1, 2)}),
    "spread_part": Case(parameters={"smoothing": st.sampled_from([0.0, 0.2])}),
    "with_spread": Case(
        (NUMBERS, ROWS, NUMBERS), {"smoothing": st.sampled_from([0.0, 0.1]), "ignored": st.just(1)}, sizes=four_classes
    ),
    "mean_of_parts": Case((NUMBERS, NUMBERS, ROWS), {"ignored": st.integers(4, 5)}),
    "shares_of_all_tokens": Case((SPREAD,)),
    "mean_of_tokens": Case(),
    "sum_of_tokens": Case(),
    "mean_of_counted": Case((NUMBERS, ROWS), {"ignored": st.integers(4, 5)}),
    "mean_of_cells": Case(),
    "weigh_by_class": Case((NUMBERS, ROWS, NUMBERS), {"ignored": st.sampled_from([None, 1])}, sizes=four_classes),
    "mean_by_weight": Case(
        (NUMBERS, ROWS, st.floats(0.5, 2)), {"ignored": st.sampled_from([None, 4])}, sizes=four_classes
    ),
    "zeros": Case(parameters=RANK),
    "add_decay": Case(parameters=RANK | shares_of("decay")),
    "shrink": Case(parameters=RANK | shares_of("rate", "decay")),
    "velocity": Case(parameters=RANK | shares_of("momentum", "dampening")),
    "look_ahead": Case(parameters=RANK | shares_of("momentum")),
    "first_moment": Case(parameters=RANK | shares_of("beta")),
    "second_moment": Case(parameters=RANK | shares_of("beta")),
    "unbiased": Case(parameters=RANK | shares_of("beta") | {"number": FEW}),
    "add_square": Case(parameters=RANK),
    "step_along": Case(parameters=RANK | shares_of("rate")),
    "step_scaled": Case(
        (NUMBERS, NUMBERS, SQUARES), RANK | shares_of("rate") | {"eps": st.sampled_from([0, 1e-8, 0.25])}
    ),
    "squared_length": Case(parameters=RANK),
    "root_of_number": Case((SQUARES,)),
    "shorten": Case((NUMBERS, SQUARES), RANK | {"limit": st.sampled_from([0.5, 2.0, 100.0])}),
    "round_decimals": Case((WORKED_BY_HAND,), {"decimals": st.integers(0, 4)}),
    "round_head": Case((WORKED_BY_HAND,), {"decimals": st.integers(0, 4), "head": st.integers(0, 4)}),
    **VARIANTS,
}


def evaluate_formula(operation: Operation, operands: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> np.ndarray:
    """The result of an operation by its formula, one cell after the other."""
    formula = operation.formula(as_parameters(parameters))
    shapes = [operand.shape for operand in operands]
    out = np.empty(formula.shape(shapes))
    sizes, core = formula.bind(shapes), len(formula.result)
    lead = out.shape[: out.ndim - core]
    cores = {
        role: np.broadcast_to(operand, lead + operand.shape[operand.ndim - len(letters) :])
        for role, operand, letters in zip(formula.roles, operands, formula.operands, strict=True)
        if role in formula.read
    }
    for cell in formula.ordered(out.shape):
        place = dict(zip(formula.result, cell[len(lead) :], strict=True))
        here = {role: operand[cell[: len(lead)]] for role, operand in cores.items()}
        here[OWN] = out[cell[: len(lead)]]  # the cells that a recurrence reads
        out[cell] = evaluate(formula.body, Scope(here, sizes, place))
    return out


@st.composite
def drawn(draw, operation: Operation, case: Case):
    """Operands and parameters for an operation."""
    parameters = {name: draw(values) for name, values in case.parameters.items()}
    formula = operation.formula(as_parameters(parameters))
    letters = sorted({letter for operand in formula.operands for letter in operand})
    sizes = case.sizes({letter: draw(FEW) for letter in letters} | parameters)
    count = len(formula.operands)
    leads = draw(mutually_broadcastable_shapes(num_shapes=count, max_dims=2, max_side=2)).input_shapes
    holds = [*case.holds, *[case.holds[-1]] * count][:count]
    operands = [
        draw(arrays(TYPES.get(numbers, float), (*lead, *(sizes[i] for i in core)), elements=numbers))
        for core, lead, numbers in zip(formula.operands, leads, holds, strict=True)
    ]
    return operands, parameters


def test_every_operation_has_a_case():
    """No operation goes unproved, and no case is left of one that is gone."""
    assert CASES.keys() == OPERATIONS.keys()
    assert {name: tuple(sorted(case.parameters)) for name, case in CASES.items()} == {
        name: tuple(sorted(operation.parameters)) for name, operation in OPERATIONS.items()
    }


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=40)
@given(data=st.data())
def test_formula_and_code_agree(name, data):
    """The formula, worked out cell by cell, gives what the array code gives, for all shapes and parameters."""
    operation = OPERATIONS[name]
    operands, parameters = data.draw(drawn(operation, CASES[name]))
    before = [operand.copy() for operand in operands]
    computed = operation(*operands, **parameters)
    predicted = operation.formula(as_parameters(parameters)).shape([operand.shape for operand in operands])
    assert computed.shape == predicted
    np.testing.assert_allclose(computed, evaluate_formula(operation, operands, parameters), rtol=1e-12, atol=1e-12)
    for operand, as_given in zip(operands, before, strict=True):
        np.testing.assert_array_equal(operand, as_given, err_msg="the code wrote into an operand")


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_does(name):
    """Each operation is named in the table as it names itself, and sums itself up in one sentence."""
    operation = OPERATIONS[name]
    assert operation.name == name
    assert len(operation.summary.split()) > 3
    assert operation.summary.endswith(".")


def test_the_proof_notices_a_wrong_code():
    """Two statements that differ in one cell are told apart: the comparison above can fail."""
    wrong = Operation(lambda xp, a, b: xp.matmul(a, b) + (a.shape[-1] == 3), OPERATIONS["matmul"]._stated, None)
    a, b = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(wrong(a, b), evaluate_formula(wrong, (a, b), {}), rtol=1e-12)
