"""All kernels tell of attention what whole matrices in float64 tell, to the rounding of float32."""

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clearhead.inspection.choice import Choice
from clearhead.inspection.request import Wanted, request_of

from .cases import DEVICE, cases
from .reference import Case, best_keys, scores, statistics, weights

pytestmark = pytest.mark.sweep(3)

KERNELS = {
    "numba": ("numba", np.asarray, 60),
    "triton": ("triton", lambda array: torch.asarray(array, device=DEVICE), 25),
    "plain": ("plain", np.asarray, 40),
    "plain on PyTorch": ("plain", torch.asarray, 20),
    "plain on JAX": ("plain", jnp.asarray, 3),
    "plain on the array API": ("plain", array_api_strict.asarray, 10),
}
"""The kernels, what makes arrays of the library that they run on, and how many drawn cases each is given."""

MAX_TOKENS = {"triton": 100}
"""How many keys drawn cases have at most, if not 300: Triton's interpreter is slow, and its tiles are small."""

SIZES = {
    "numba": ((1, 129), (47, 128), (48, 127), (49, 256), (383, 385), (385, 640)),
    "triton": ((1, 33), (31, 32), (32, 31), (33, 64), (65, 97)),
    "plain": ((1, 129), (385, 640)),
}
"""Queries and keys one more or less than a tile, a panel or a block."""

QUICK = [name for name in KERNELS if "JAX" not in name]
"""All but the one that is compiled anew for every shape."""


def inspect(name, case, *, top=8, received=True):
    """An inspection of NumPy arrays by one kernel, in that kernel's library."""
    kernel, convert, _ = KERNELS[name]
    arrays = {key: convert(each) if isinstance(each, np.ndarray) else each for key, each in case.options.items()}
    given, bands = {key: arrays.pop(key) for key in ("mask", "padding") if key in arrays}, arrays.pop("bands", None)
    request = request_of(tuple(map(convert, case[:3])), given, None, arrays, Wanted(top, received, bands))
    with np.errstate(all="ignore"):  # Triton's interpreter works in NumPy, and NumPy alone would warn
        return Choice(kernel, "").inspect(request)


def told(inspection):
    """The numbers of an inspection by name."""
    names = ("output", "logsumexp", "entropy", "max", "top_weights", "sink", "self_weight", "bands")
    found = {name: getattr(inspection, name) for name in names}
    found |= {f"received.{name}": getattr(inspection.received, name) for name in ("total", "max")}
    return {name: local(each) for name, each in found.items() if each is not None}


def local(array):
    """A NumPy array of an array on any device."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)


def assert_told(inspection, case, top):
    """Every number is within its bound of the expected one, and the keys are those of the largest weights."""
    found, expected = told(inspection), statistics(case, top)
    assert found.keys() == expected.keys()
    for name, (value, bound) in expected.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, np.float32), name
        finite = np.isfinite(value)
        np.testing.assert_array_equal(found[name][~finite], value[~finite], err_msg=name)
        off = abs(found[name][finite].astype(float) - value[finite])
        allowed = np.broadcast_to(bound, value.shape)[finite]
        assert np.all(off <= allowed), (
            f"{name} is off by {off.max()}, and may be by {allowed[np.argmax(off - allowed)]}"
        )
    assert_keys(local(inspection.top_keys), case, top)


def assert_keys(keys, case, top):
    """The keys are allowed ones, all different, as many as there are, and their weights the largest to the bound."""
    s, bound = scores(case)
    (w, error), _, _ = weights(s, bound)
    there = np.arange(top) < (~np.isinf(s)).sum(-1, keepdims=True)
    np.testing.assert_array_equal(keys >= 0, there)
    at = np.maximum(keys, 0)
    assert not np.any(there & np.isinf(np.take_along_axis(s, at, -1)))
    best = -np.sort(-np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, top)]), -1)[..., :top]
    held = np.where(there, np.take_along_axis(w, at, -1), 0)
    assert np.all(abs(held - best) <= 2 * error.max(-1, keepdims=True))
    distinct = np.sort(np.where(there, keys, -1 - np.arange(top)), -1)
    assert np.all(np.diff(distinct, axis=-1) > 0)


@pytest.mark.parametrize("name", KERNELS)
def test_every_statistic_is_within_its_bound(name):
    """What a kernel tells is what float64 matrices tell, for all shapes, options and kinds of numbers."""

    @settings(max_examples=KERNELS[name][2])
    @given(case=cases(most=MAX_TOKENS.get(name, 300)), top=st.sampled_from([0, 1, 8, 11]))
    def holds(case, top):
        assert_told(inspect(name, case, top=top), case, top)

    holds()


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("causal", [False, True])
def test_of_equal_weights_the_first_keys_come_first(name, causal):
    """Where scores are small whole numbers, so that many are equal, the keys are those of a stable sort."""
    rng = np.random.default_rng(0)
    queries, keys = MAX_TOKENS.get(name, 300) + 1, MAX_TOKENS.get(name, 300) + 7
    shapes = ((2, queries, 5), (2, keys, 5), (2, keys, 3))
    arrays = [rng.integers(-1, 2, size=size).astype(np.float32) for size in shapes]
    case = Case(*arrays, {"scale": 1.0, "causal": causal})
    for top in (1, 8, 13):
        found = local(inspect(name, case, top=top, received=False).top_keys)
        np.testing.assert_array_equal(found, best_keys(scores(case)[0], top))


@pytest.mark.parametrize("name", SIZES)
def test_tiles_of_every_size_fit_together(name):
    """One number more or less than a tile, a panel or a block makes no difference, with and without a causal mask."""
    rng = np.random.default_rng(1)
    for queries, keys in SIZES[name]:
        arrays = [rng.normal(size=size).astype(np.float32) for size in ((1, queries, 7), (1, keys, 7), (1, keys, 9))]
        for options in ({}, {"causal": True}, {"causal": True, "window": 100}, {"window": 3}):
            case = Case(*arrays, {**options, "bands": (1, 30, 128)})
            assert_told(inspect(name, case), case, 8)


@pytest.mark.parametrize("name", QUICK)
def test_numbers_that_are_not_numbers_show(name):
    """NaN in a query makes all that is told of it NaN, and nothing of the others; infinite scores do as in softmax."""
    rng = np.random.default_rng(2)
    query, key, value = (rng.normal(size=(1, n, 4)).astype(np.float32) for n in (5, 6, 6))
    query[0, 1, 2] = np.nan
    found = told(inspect(name, Case(query, key, value, {})))
    for statistic in ("output", "logsumexp", "entropy"):
        bad = np.isnan(found[statistic].reshape(5, -1)).any(-1)
        np.testing.assert_array_equal(bad, [False, True, False, False, False], err_msg=statistic)
    query[0, 1, :], key[0, :, 0] = (np.inf, 0, 0, 0), (1, -1, -1, -1, -1, -1)
    query[0, 1, 0], key[0, 0, 0] = -np.inf, -1
    assert np.isnan(told(inspect(name, Case(query, key, value, {})))["output"][0, 1]).all()


@pytest.mark.parametrize("name", QUICK)
def test_scores_of_minus_infinity_without_a_mask(name):
    """A key that is infinitely far off gets the weight 0 and changes nothing else."""
    rng = np.random.default_rng(3)
    query, key, value = (rng.uniform(1, 2, size=(1, n, 4)).astype(np.float32) for n in (5, 70, 70))
    key[0, 11] = -np.inf
    infinite = inspect(name, Case(query, key, value, {}))
    key[0, 11] = 0
    masked = Case(query, key, value, {"mask": np.arange(70) != 11})
    assert_told(infinite, masked, 8)
