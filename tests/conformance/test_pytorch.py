"""Parity with PyTorch: forward on its tensors and on NumPy arrays, and every gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Struct
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from clearhead.line import Given, line
from clearhead.ops.table import operation_named
from clearhead.spec import Attention
from clearhead.working import Working

from .. import rounding
from .agreement import assert_agree, assert_all_agree
from .torch_adapter import attention_arrays, attention_spec, layer_arrays, layer_spec, mask_kind, masks

Float = Literal["float32", "float64"]
Outputs = dict[str, Tensor]


class Sizes(Struct, frozen=True):
    """A drawn problem: sizes, the type of numbers, and the seed of all of them."""

    batch: int
    heads: int
    queries: int
    keys: int
    depth: int
    dtype: Float
    seed: int

    @property
    def model(self) -> int:
        return self.heads * self.depth

    @property
    def type(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    def numbers(self) -> Callable[..., Tensor]:
        """A source of normal numbers: called with sizes it gives a tensor that wants a gradient."""
        generator = torch.Generator().manual_seed(self.seed)
        return lambda *shape: torch.randn(*shape, generator=generator, dtype=self.type).requires_grad_()

    def mask(self, kind: str | None, *shape: int) -> Tensor | None:
        """A mask of PyTorch's modules, where True means "not allowed"; key 0 is always allowed."""
        masked = torch.rand(*shape, generator=torch.Generator().manual_seed(self.seed + 1)) < 0.4
        masked[..., 0] = False
        if kind == "additive":
            return torch.randn(*shape, generator=torch.Generator().manual_seed(self.seed + 2), dtype=self.type).where(
                ~masked, -torch.inf
            )
        return masked if kind == "boolean" else None


def small(most: int) -> st.SearchStrategy[int]:
    """Sizes from 1."""
    return st.integers(1, most)


SIZES = st.builds(
    Sizes,
    batch=small(3),
    heads=small(4),
    queries=small(6),
    keys=small(7),
    depth=small(5),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 9999),
)
MASKS = st.sampled_from([None, "boolean", "additive"])


def assert_same(working: Working, arrays: Outputs, expected: Outputs, leaves: Mapping[str, Tensor]) -> None:
    """The outputs of a working agree, and so do the gradients of a random function of them in every leaf.

    Those of float32 lie where rounding may put them, on both sides, and so do the gradients of both.
    """
    trace = working.run(arrays)
    found = {name: trace[name] for name in expected}
    again = working.run(plain(arrays))
    generator = torch.Generator().manual_seed(3)
    pulls = {name: torch.randn(out.shape, generator=generator, dtype=out.dtype) for name, out in expected.items()}

    def gradients(outputs: Outputs) -> dict[str, Tensor]:
        pulled = sum((outputs[name] * pull).sum() for name, pull in pulls.items())
        return dict(zip(leaves, torch.autograd.grad(pulled, list(leaves.values())), strict=True))

    ours, theirs = plain(gradients(found)), plain(gradients(expected))
    if next(iter(leaves.values())).dtype == torch.float64:
        assert_all_agree(plain(found), plain(expected))
        assert_all_agree({name: again[name] for name in expected}, plain(expected))
        assert_all_agree(ours, theirs)
        return
    bounds = rounding.expected(working, arrays)
    for name in expected:
        for each in (found[name], expected[name], again[name]):
            rounding.assert_rounded(each, bounds[name], name)
    near = rounding.nearness(working, arrays, pulls)
    for name in leaves:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=near, err_msg=name)


def plain(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Tensors as NumPy arrays."""
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


@given(
    sizes=SIZES,
    times=small(3),
    kind=st.sampled_from([None, "boolean", "additive", "causal"]),
    scale=st.sampled_from([None, 0.3]),
)
def test_scaled_dot_product_attention(sizes: Sizes, times: int, kind: str | None, scale: float | None) -> None:
    """Masks of both kinds, causal, scale and shared heads agree with scaled_dot_product_attention, gradients too."""
    numbers, heads = sizes.numbers(), sizes.heads * times
    query = numbers(sizes.batch, heads, sizes.queries, sizes.depth)
    key = numbers(sizes.batch, sizes.heads, sizes.keys, sizes.depth)
    value = numbers(sizes.batch, sizes.heads, sizes.keys, sizes.depth + 1)
    mask = sizes.mask(kind, sizes.batch, heads, sizes.queries, sizes.keys)
    allowed = masks(mask, None).get("mask")
    expected = scaled_dot_product_attention(
        query, key, value, allowed, is_causal=kind == "causal", scale=scale, enable_gqa=True
    )
    if kind == "causal" and sizes.queries != sizes.keys:
        # PyTorch's is_causal starts at the first key whatever the sizes; ours ends at the last.
        allowed = torch.ones(sizes.queries, sizes.keys, dtype=torch.bool).tril()
    causal = kind == "causal" and allowed is None
    spec = Attention(heads, kv_heads=sizes.heads, scale=scale, causal=causal, mask=mask_kind(allowed), output=False)
    working = spec.working().starting_at("query", "key", "value")
    leaves = {"query": query, "key": key, "value": value}
    arrays = leaves if allowed is None else {**leaves, "mask": allowed}
    assert_same(working, arrays, {"head": expected}, leaves)


@given(
    sizes=SIZES,
    bias=st.booleans(),
    batch_first=st.booleans(),
    memory=st.sampled_from([None, 0, 2]),
    kind=MASKS,
    per_head=st.booleans(),
    padded=st.booleans(),
)
def test_multihead_attention(
    sizes: Sizes, bias: bool, batch_first: bool, memory: int | None, kind: str | None, per_head: bool, padded: bool
) -> None:
    """Output, the weights of every head, and the gradients of inputs and parameters agree with MultiheadAttention.

    ``memory`` is None for self-attention, else how much wider the tokens of the memory are than those of the input.
    """
    numbers = sizes.numbers()
    width = sizes.model + (memory or 0)
    module = nn.MultiheadAttention(
        sizes.model, sizes.heads, bias=bias, batch_first=batch_first, kdim=width, vdim=width, dtype=sizes.type
    )
    randomize(module, numbers)
    tokens = {"input": numbers(sizes.batch, sizes.queries, sizes.model)}
    if memory is not None:
        tokens["memory"] = numbers(sizes.batch, sizes.keys, width)
    keys = tokens.get("memory", tokens["input"]).shape[1]
    lead = (sizes.batch * sizes.heads,) if per_head else ()
    mask = sizes.mask(kind, *lead, sizes.queries, keys)
    padding = sizes.mask("boolean" if padded else None, sizes.batch, keys)

    def turned(x: Tensor) -> Tensor:
        return x if batch_first else x.transpose(0, 1)

    inputs = [turned(tokens[name]) for name in ("input", *["memory" if "memory" in tokens else "input"] * 2)]
    output, weights = module(*inputs, **module_masks(mask, padding, "attn_mask"), average_attn_weights=False)
    ours = None if mask is None else mask.unflatten(0, (sizes.batch, sizes.heads)) if per_head else mask
    spec = attention_spec(module, mask=mask_kind(mask), padding=padded, memory=memory is not None)
    arrays = {**tokens, **attention_arrays(module), **masks(ours, padding)}
    leaves = {**tokens, **dict(module.named_parameters())}
    assert_same(spec.working(), arrays, {"output": turned(output), "weights": weights}, leaves)


@given(
    sizes=SIZES,
    norm_first=st.booleans(),
    batch_first=st.booleans(),
    activation=st.sampled_from(["relu", "gelu"]),
    bias=st.booleans(),
    eps=st.sampled_from([1e-5, 0.1]),
    kind=st.sampled_from([None, "boolean", "additive", "causal"]),
    padded=st.booleans(),
)
def test_transformer_encoder_layer(sizes: Sizes, kind: str | None, padded: bool, **options: Any) -> None:
    """Output and the gradients of input and parameters agree with TransformerEncoderLayer, pre and post norm."""
    # A norm of one column is 0; in float32 its gradients are what rounding left, times the root of 1/eps.
    assume(sizes.dtype == "float64" or sizes.heads * sizes.depth > 1)
    module, tokens, eps = encoder_layer(sizes, **options)
    mask = causal_mask(sizes) if kind == "causal" else sizes.mask(kind, sizes.queries, sizes.queries)
    padding = sizes.mask("boolean" if padded else None, sizes.batch, sizes.queries)
    turned = tokens if module.self_attn.batch_first else tokens.transpose(0, 1)
    expected = module(turned, **module_masks(mask, padding, "src_mask", "src_key_padding_mask"))
    expected = expected if module.self_attn.batch_first else expected.transpose(0, 1)
    ours = None if kind == "causal" else mask
    spec = layer_spec(module, causal=kind == "causal", mask=mask_kind(ours), padding=padded)
    assert spec.norm is not None
    assert spec.norm.eps == eps
    own = {f"attention.{name}": array for name, array in masks(ours, padding).items()}
    arrays = {"input": tokens, **layer_arrays(module), **own}
    working = spec.working()
    last = working.lines[-1].name
    leaves = {"input": tokens, **dict(module.named_parameters())}
    assert_same(working, arrays, {last: expected}, leaves)


def test_fused_encoder_layer() -> None:
    """The fused path that PyTorch takes in eval mode without gradients gives our numbers as well."""
    sizes = Sizes(batch=2, heads=4, queries=5, keys=5, depth=3, dtype="float32", seed=7)
    module, tokens, _ = encoder_layer(sizes, norm_first=False, batch_first=True, activation="gelu", bias=True, eps=1e-5)
    padding = sizes.mask("boolean", sizes.batch, sizes.queries)
    working = layer_spec(module, padding=True).working()
    arrays = {"input": tokens, **layer_arrays(module), **masks(None, padding)}
    with torch.no_grad():
        expected = module.eval()(tokens, src_key_padding_mask=padding)
    bounds = rounding.expected(working, arrays)["mlp.norm"]
    for each in (working.run(plain(arrays))["mlp.norm"], expected):
        rounding.assert_rounded(each, bounds)


def encoder_layer(sizes: Sizes, *, eps: float, **options: Any) -> tuple[nn.TransformerEncoderLayer, Tensor, float]:
    """A layer with drawn parameters, tokens for it, and its eps."""
    module = nn.TransformerEncoderLayer(
        sizes.model, sizes.heads, dim_feedforward=9, dropout=0, layer_norm_eps=eps, dtype=sizes.type, **options
    )
    numbers = sizes.numbers()
    randomize(module, numbers)
    return module, numbers(sizes.batch, sizes.queries, sizes.model), eps


def causal_mask(sizes: Sizes) -> Tensor:
    """PyTorch's own: 0 and minus infinity."""
    return nn.Transformer.generate_square_subsequent_mask(sizes.queries, dtype=sizes.type)


def randomize(module: nn.Module, numbers: Callable[..., Tensor]) -> None:
    """Gives every parameter drawn numbers, so that no bias is 0 and no gain is 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(numbers(*parameter.shape) / 2)


def module_masks(mask: Tensor | None, padding: Tensor | None, *names: str) -> dict[str, Tensor]:
    """The masks as arguments of a module, which wants both of one type."""
    name, padding_name = (*names, "key_padding_mask")[:2]
    if mask is not None and padding is not None and mask.dtype != torch.bool:
        padding = torch.zeros(padding.shape, dtype=mask.dtype).masked_fill(padding, -torch.inf)
    return {key: value for key, value in ((name, mask), (padding_name, padding)) if value is not None}


def test_bfloat16() -> None:
    """bfloat16 tensors, which NumPy lacks, run through a working and give scaled_dot_product_attention's numbers."""
    generator = torch.Generator().manual_seed(5)
    shapes = {"query": (2, 3, 4, 8), "key": (2, 3, 6, 8), "value": (2, 3, 6, 5)}
    arrays = {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}
    working = Attention(heads=3, output=False).working().starting_at(*shapes)
    trace, bounds = working.run(arrays), rounding.expected(working, arrays, "bfloat16")["head"]
    assert trace["head"].dtype == torch.bfloat16
    for each in (trace.numpy("head"), scaled_dot_product_attention(**arrays)):
        rounding.assert_rounded(each, bounds)


@pytest.mark.parametrize("kind", ["boolean", "additive"])
def test_queries_without_keys(kind: str) -> None:
    """A query that may attend to nothing gives 0 and no gradient, in ours as in scaled_dot_product_attention."""
    generator = torch.Generator().manual_seed(6)
    query, key, value = (torch.randn(2, n, 4, generator=generator).double().requires_grad_() for n in (3, 5, 5))
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1] = False
    if kind == "additive":
        mask = torch.zeros(3, 5).double().where(mask, -torch.inf)
    expected = scaled_dot_product_attention(query, key, value, mask)
    spec = Attention(heads=2, mask=mask_kind(mask), output=False)
    leaves = {"query": query, "key": key, "value": value}
    working, arrays = spec.working().starting_at(*leaves), {**leaves, "mask": mask}
    assert_same(working, arrays, {"head": expected}, leaves)
    trace = working.run(arrays)
    assert trace["head"][:, 1].abs().max() == 0
    assert [note.rows for note in trace.notes] == [((0, 1), (1, 1))]


def test_multihead_attention_without_keys() -> None:
    """A query that may attend to nothing is NaN in MultiheadAttention's weights; ours are 0."""
    module = nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    tokens = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(8)).double()
    masked = torch.zeros(3, 3, dtype=torch.bool)
    masked[1] = True
    _, weights = module(tokens, tokens, tokens, attn_mask=masked, average_attn_weights=False)
    working = attention_spec(module, mask="boolean").working()
    ours = working.run({"input": tokens, **attention_arrays(module), **masks(masked, None)})["weights"]
    assert weights[:, :, 1].isnan().all()
    assert ours[:, :, 1].abs().max() == 0
    assert_agree(ours[:, :, ::2].detach(), weights[:, :, ::2].detach())


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "gelu_tanh"])
def test_activations(activation: str) -> None:
    """Activations and their gradients are PyTorch's from -1000 to 1000, where exponentials overflow and vanish."""
    x = torch.tensor([[-1000.0, -100, -20, -3, -0.5, 0, 0.7, 2, 30, 1000]], dtype=torch.float64, requires_grad=True)
    kwargs = {"approximate": "tanh"} if activation == "gelu_tanh" else {}
    expected = getattr(nn.functional, activation.partition("_")[0])(x, **kwargs)
    working = Working((Given("x", ("token", "model")),), (line("y", operation_named(activation), "x", "token model"),))
    assert_same(working, {"x": x}, {"y": expected}, {"x": x})
    single = operation_named(activation)(x.detach().float())
    assert torch.all((single - expected).abs() <= 4 * 2.0**-23 * x.abs())
