"""The output of an inspection is PyTorch's scaled dot-product attention, and no less exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from clearhead import inspect

from ..inspection.reference import Case, statistics
from .agreement import assert_agree


def tensors(seed: int, *sizes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Normal numbers in tensors of these sizes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=generator, dtype=dtype) for size in sizes]


@given(
    seed=st.integers(0, 2**32),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 60), st.integers(1, 150), st.integers(1, 33)),
    kind=st.sampled_from([None, "boolean", "additive", "causal"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_scaled_dot_product_attention(seed: int, sizes: tuple[int, ...], kind: str | None, dtype: str) -> None:
    """Grouped heads, both kinds of mask, rows without a key, and causal attention of as many queries as keys."""
    batch, groups, queries, keys, depth = sizes
    keys = queries if kind == "causal" else keys
    shapes = ((batch, 2 * groups, queries, depth), (batch, groups, keys, depth), (batch, groups, keys, depth + 1))
    query, key, value = tensors(seed, *shapes, dtype=getattr(torch, dtype))
    (mask,) = tensors(seed + 1, (batch, 1, queries, keys), dtype=query.dtype)
    given: dict[str, Any] = {"boolean": {"mask": mask > 0.5}, "additive": {"mask": mask}}.get(str(kind), {})
    theirs = scaled_dot_product_attention(
        query, key, value, given.get("mask"), is_causal=kind == "causal", enable_gqa=True
    )
    found = inspect(query, key, value, causal=kind == "causal", **given)
    assert isinstance(found.output, Tensor)
    assert found.kernel == {"float32": "numba", "float64": "plain"}[dtype]
    if dtype == "float64":
        assert_agree(found.output, theirs)
        return
    options = {**{name: mask.numpy() for name, mask in given.items()}, "causal": kind == "causal"}
    value, bound = statistics(Case(query.numpy(), key.numpy(), value.numpy(), options), 0)["output"]
    for each in (found.output, theirs):
        assert np.all(np.abs(each.numpy() - value) <= bound)


@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("causal", [False, True])
def test_no_less_exact_than_pytorch(size: float, causal: bool) -> None:
    """Against float64 the float32 output is as far off as PyTorch's, to a tenth: some are nearer, some farther."""
    query, key, value = tensors(7, *[(2, 700, 64)] * 3)
    query, key = query * size, key * size
    exact = scaled_dot_product_attention(query.double(), key.double(), value.double(), is_causal=causal)
    theirs = scaled_dot_product_attention(query, key, value, is_causal=causal).double() - exact
    ours = inspect(query, key, value, causal=causal).output.double() - exact
    assert ours.square().mean().sqrt() <= 1.1 * theirs.square().mean().sqrt()


def test_gradients_flow_where_they_are_wanted() -> None:
    """Tensors that want gradients are worked out in array code, and those of the statistics are PyTorch's own."""
    sizes = ((2, 5, 4), (1, 7, 4), (1, 7, 3))
    query, key, value = (each.requires_grad_() for each in tensors(3, *sizes, dtype=torch.float64))
    found = inspect(query, key, value, scale=0.6)
    assert "gradients" in found.reason
    scores = query @ key.mT * 0.6
    expected = torch.autograd.grad(scores.logsumexp(-1).sum() + (scores.softmax(-1) @ value).sum(), [query, key, value])
    again = torch.autograd.grad(found.logsumexp.sum() + found.output.sum(), [query, key, value])
    for ours, theirs in zip(again, expected, strict=True):
        assert_agree(ours, theirs)


def test_numpy_and_pytorch_agree_to_the_bit() -> None:
    """Tensors are read where they lie, in any layout of their tokens, and give what NumPy arrays give."""
    query, key, value = (each.transpose(1, 2) for each in tensors(5, *[(2, 90, 3, 16)] * 3))
    found = inspect(query, key, value, received=True)
    same = inspect(*(np.ascontiguousarray(each.numpy()) for each in (query, key, value)), received=True)
    assert found.kernel == same.kernel == "numba"
    np.testing.assert_array_equal(found.output, same.output)
    np.testing.assert_array_equal(found.top_keys, same.top_keys)
    np.testing.assert_array_equal(found.received.total, same.received.total)
