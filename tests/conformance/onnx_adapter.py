"""One thin adapter: an ONNX node becomes a clearhead working and its arrays, and the trace the node's outputs.

Half precisions are worked out in float32 and rounded at the end. Where ONNX's rules for masks are not ours (its
causal and window masks count from an offset that need not reach the last key), the adapter writes them out as a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead.inspection import inspect
from clearhead.ops.textbook import linear
from clearhead.spec import Attention, Block, Norm, Rotary
from clearhead.trace import Trace

from .onnx_cases import Case

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Attributes = Mapping[str, Any]

STAGES = (("scaled",), ("capped", "scaled"), ("masked", "capped", "scaled"), ("weights",))
"""The line of each qk_matmul_output_mode: the first of these that the working has."""


def outputs(case: Case) -> dict[str, Array]:
    """The node's outputs under their schema names, in the types of the node."""
    inputs = {name: _wide(array) for name, array in case.inputs.items()}
    found = ADAPTERS[case.operator](case.attributes, inputs)
    return {name: found[name].astype(expected.dtype) for name, expected in case.expected.items()}


def _wide(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def _heads_apart(x: Array, heads: int | None) -> Array:
    """ONNX's (batch, token, head * depth) as (batch, head, token, depth); arrays of four axes are so already."""
    return linear.split(x, heads=heads) if x.ndim == 3 else x


class Posed(Struct, frozen=True):
    """An Attention node in clearhead's words: the spec, query, key and value, what a cache holds, and the masks."""

    spec: Attention
    arrays: Arrays
    past: Arrays
    masks: Arrays


def posed(attributes: Attributes, inputs: Arrays) -> Posed:
    """What an Attention node asks for."""
    heads = {"query": ("Q", "q_num_heads"), "key": ("K", "kv_num_heads"), "value": ("V", "kv_num_heads")}
    arrays = {name: _heads_apart(inputs[own], attributes.get(count)) for name, (own, count) in heads.items()}
    past = {f"past.{name}": inputs[f"past_{name}"] for name in ("key", "value") if f"past_{name}" in inputs}
    masks, options = _masks(attributes, inputs, _span(arrays, past))
    spec = Attention(
        heads=arrays["query"].shape[1],
        kv_heads=arrays["key"].shape[1],
        scale=attributes.get("scale"),
        softcap=attributes["softcap"] or None,
        cache=bool(past),
        output=False,
        **options,
    )
    return Posed(spec, arrays, past, masks)


def attention(attributes: Attributes, inputs: Arrays) -> dict[str, Array]:
    """Attention-23, -24 and -25."""
    node = posed(attributes, inputs)
    working = node.spec.working().starting_at("query", "key", "value")
    trace = working.run({**node.arrays, **node.past, **node.masks})
    stage = next(line for line in STAGES[attributes["qk_matmul_output_mode"]] if line in trace)
    present = {f"present_{name}": trace[f"{name}.joined"] for name in ("key", "value") if node.past}
    return {"Y": trace["concat" if inputs["Q"].ndim == 3 else "head"], "qk_matmul_output": trace[stage], **present}


def inspection(attributes: Attributes, inputs: Arrays) -> dict[str, Array]:
    """The output of the same, without a trace, from the fused kernel."""
    node = posed(attributes, {name: _wide(array) for name, array in inputs.items()})
    key, value = (
        np.concatenate(
            [each for each in (node.past.get(f"past.{name}"), node.arrays[name]) if each is not None], axis=-2
        )
        for name in ("key", "value")
    )
    output = inspect(node.arrays["query"], key, value, spec=node.spec, **node.masks).output
    return {"Y": linear.concat(output) if inputs["Q"].ndim == 3 else output}


class Span(Struct, frozen=True):
    """How many queries there are, how many keys with those of the cache, and how many in the cache."""

    queries: int
    keys: int
    past: int


def _span(arrays: Arrays, past: Arrays) -> Span:
    cached = past["past.key"].shape[-2] if past else 0
    return Span(arrays["query"].shape[-2], cached + arrays["key"].shape[-2], cached)


def _masks(attributes: Attributes, inputs: Arrays, span: Span) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the options of the spec that say which key each query may see."""
    key, real = np.arange(span.keys), inputs.get("nonpad_kv_seqlen")
    first = np.asarray(span.past) if real is None else real[:, None, None, None] - span.queries
    position = np.arange(span.queries)[:, None] + first
    # Ours is ONNX's causal mask if the last query stands at the last key.
    causal = bool(attributes["is_causal"]) and bool(np.all(first == span.keys - span.queries))
    left, right = attributes.get("left_window_size", -1), attributes.get("right_window_size", -1)
    bars = (
        (attributes["is_causal"] and not causal, key <= position),
        (left >= 0, key >= position - left),
        (right >= 0, key <= position + right),
    )
    allowed = [cells for applies, cells in bars if applies]
    mask = _one_mask(inputs.get("attn_mask"), allowed, span)
    given = {"mask": mask, "padding": None if real is None else key < real[:, None]}
    kind = None if mask is None else "boolean" if mask.dtype == bool else "additive"
    arrays = {name: array for name, array in given.items() if array is not None}
    return arrays, {"causal": causal, "mask": kind, "padding": real is not None}


def _one_mask(given: Array | None, allowed: list[Array], span: Span) -> Array | None:
    """ONNX's mask, filled up to all keys, and the cells that are allowed, as one mask of (..., query, key)."""
    if given is None and not allowed:
        return None
    mask = np.ones((span.queries, span.keys), dtype=bool) if given is None else given
    masked = mask.dtype.type(False if mask.dtype == bool else -np.inf)
    missing = [(0, 0)] * (mask.ndim - 1) + [(0, span.keys - mask.shape[-1])]
    mask = np.pad(mask, missing, constant_values=masked)
    for cells in allowed:
        mask = np.where(cells, mask, masked)
    return np.broadcast_to(mask, np.broadcast_shapes(mask.shape, (span.queries, span.keys)))


def rotary_embedding(attributes: Attributes, inputs: Arrays) -> dict[str, Array]:
    """RotaryEmbedding-23: the rotation of the queries of an attention entered at its cosines and sines."""
    x = _heads_apart(inputs["X"], attributes.get("num_heads"))
    where = inputs.get("position_ids", ...)
    layout = "interleaved" if attributes["interleaved"] else "half"
    spec = Attention(heads=x.shape[1], rotary=Rotary(layout), output=False)
    working = spec.working().starting_at("query", "key", "value", "rotary.cos", "rotary.sin")
    turns = {f"rotary.{name}": inputs[f"{name}_cache"][where] for name in ("cos", "sin")}
    turned = working.run({"query": x, "key": x, "value": x, **turns})["query.rotated"]
    return {"Y": linear.concat(turned) if inputs["X"].ndim == 3 else turned}


def norm(kind: Literal["layer", "rms"], attributes: Attributes, inputs: Arrays) -> dict[str, Array]:
    """LayerNormalization-17 and RMSNormalization-23: the axes from `axis` on are laid out as one."""
    x, scale, bias = inputs["X"], inputs.get("Scale", inputs.get("scale")), inputs.get("B")
    axis = attributes["axis"] % x.ndim
    tokens = x.reshape(prod(x.shape[:axis]), -1)
    spec = Norm(kind, eps=attributes["epsilon"], bias=bias is not None)
    columns = {"norm.gain": scale} if bias is None else {"norm.gain": scale, "norm.bias": bias}
    flat = {name: np.broadcast_to(array, x.shape[axis:]).ravel() for name, array in columns.items()}
    trace = Block(Attention(heads=1), norm=spec).working().starting_at("residual").run({"residual": tokens, **flat})
    outer = (*x.shape[:axis], *[1] * (x.ndim - axis))
    return {"Y": trace["norm"].reshape(x.shape), **_moments(trace, spec, outer)}


def _moments(trace: Trace, spec: Norm, shape: tuple[int, ...]) -> dict[str, Array]:
    """Mean and InvStdDev of each token, from the values that the explanation of its first cell names."""
    if spec.kind == "rms":
        return {}
    rows = [trace.explain("norm.normalized", row, 0) for row in range(len(trace["residual"]))]
    steps = [{step.name: step.value for step in row.steps} for row in rows]
    mean = np.array([step["mean"] for step in steps])
    variance = np.array([step["variance"] for step in steps])
    return {"Mean": mean.reshape(shape), "InvStdDev": (1 / np.sqrt(variance + spec.eps)).reshape(shape)}


ADAPTERS: dict[str, Callable[[Attributes, Arrays], dict[str, Array]]] = {
    "Attention": attention,
    "RotaryEmbedding": rotary_embedding,
    "LayerNormalization": partial(norm, "layer"),
    "RMSNormalization": partial(norm, "rms"),
}
"""What each operator is to clearhead."""
