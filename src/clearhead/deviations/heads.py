"""Deviations in how heads are split, shared, repeated and joined."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from clearhead.deviations import projections
from clearhead.deviations.deviation import Deviation, Parameter, Rewrite, values
from clearhead.deviations.norm_steps import is_of_heads
from clearhead.deviations.rewrites import (
    Nothing,
    belongs_to,
    change_lines,
    follow,
    is_called,
    lines_called,
    reread,
    swap,
    with_operation,
)
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.textbook import linear
from clearhead.ops.variants import heads as variants_heads
from clearhead.working import Working


def is_rotation(line: Line) -> bool:
    """Whether a line rotates queries or keys by rotary angles."""
    return line.operation.role == "rotation"


def _is_projected(line: Line) -> bool:
    return any(is_called(line, role) for role in projections.ROLES)


def each_projection(step: str, operation: Operation) -> Rewrite:
    """A rewrite that applies operations to queries, keys and values after their projection."""

    def rewrite(working: Working) -> Working:
        def change(line: Line) -> list[Line]:
            return follow(working, line, step, operation)

        return change_lines(working, _is_projected, change, "a projected query, key or value")

    return rewrite


def _fused(operation: Operation) -> Rewrite:
    """A rewrite that reads queries, keys and values from one fused array in another order than it is stored in."""

    def rewrite(working: Working) -> Working:
        lines = [found[0] for role in projections.ROLES if (found := lines_called(working, role))]
        if len(lines) < len(projections.ROLES):
            raise Nothing("queries, keys and values are not all projected here.")
        stored = [replace(line, name=free_name(f"{line.name}.stored", working.names)) for line in lines]
        names = tuple(line.name for line in stored)
        read = [Line(line.name, operation, names, line.axes, (("part", n),)) for n, line in enumerate(lines)]

        def change(line: Line) -> list[Line]:
            if line not in lines:
                return [line]
            return [stored[lines.index(line)], *(read if line == lines[-1] else ())]

        return working.rewrite(change)

    return rewrite


def around_attention(into: str, operation: Operation) -> Rewrite:
    """A rewrite that exchanges axes after the projections, as a named step, and back after the heads."""

    def rewrite(working: Working) -> Working:
        exchanged = each_projection(into, operation)(working)
        return change_lines(
            exchanged,
            lambda line: line.operation.role == "weighted-sum",
            lambda line: follow(exchanged, line, "by-token", operation),
            "a weighted_sum",
        )

    return rewrite


def norm_missing(working: Working, roles: Sequence[str] = ("query", "key")) -> Working:
    """Leaves out the norms of queries and keys, or of one of them."""

    def change(line: Line) -> list[Line]:
        return [replace(line, operation=variants_heads.unchanged, operands=line.operands[:1], parameters=())]

    return change_lines(working, lambda line: is_of_heads(line, roles), change, f"a norm of {' or '.join(roles)}")


def _norm_after_rotary(working: Working) -> Working:
    """Moves every rotation before the norm."""
    rewritten = working
    for role in ("query", "key"):
        rewritten = _exchange(rewritten, role)
    return rewritten


def _exchange(working: Working, role: str) -> Working:
    """Rotates what the norm reads, and norms the rotated line."""
    turned = next((line for line in working.lines if is_rotation(line) and is_called(line, f"{role}.rotated")), None)
    steps = [line for line in working.lines if is_called(line, f"{role}.norm") or f"{role}.norm." in line.name]
    if turned is None or not steps:
        raise Nothing("queries and keys are not both normed and rotated here.")
    source, last = steps[0].operands[0], steps[-1].name
    early = replace(turned, operands=(source, *turned.operands[1:]))
    late = [reread(step, {source: early.name}) for step in steps]

    def change(line: Line) -> list[Line]:
        if line in steps:
            return []
        if line == turned:
            return [early, *late]
        operands = tuple(last if name == turned.name else source if name == last else name for name in line.operands)
        return [replace(line, operands=operands)]

    return working.rewrite(change)


def _weights(operation: Operation) -> Rewrite:
    """A rewrite that gives all heads the weights that an operation computes from the weights of all."""

    def rewrite(working: Working) -> Working:
        return change_lines(
            working,
            lambda line: is_called(line, "weights"),
            lambda line: follow(working, line, "of-each", operation),
            "called weights",
        )

    return rewrite


def _one_tiled(working: Working, tiled: str) -> Working:
    return swap({linear.repeat: variants_heads.tile}, lambda line: belongs_to(line, tiled))(working)


def _cache_missing(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return [replace(line, operation=variants_heads.unchanged, operands=line.operands[1:])]

    return change_lines(working, _is_joined, change, "an append to a cache")


def _cache_behind(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return [replace(line, operands=line.operands[::-1])]

    return change_lines(working, _is_joined, change, "an append to a cache")


def _is_joined(line: Line) -> bool:
    return line.operation is linear.append


def _joined(operation: Operation) -> Rewrite:
    """A rewrite that merges the heads into one. The output weight, which does not fit, is left out."""

    def rewrite(working: Working) -> Working:
        joined = {line.name for line in working.lines if line.operation.role == "concat"}

        def change(line: Line) -> list[Line]:
            if line.name in joined:
                return [replace(line, operation=operation, axes=("token", "depth"))]
            is_product = line.operation.role == "product" and line.operands[0] in joined
            return [with_operation(line, variants_heads.unchanged) if is_product else line]

        return change_lines(working, lambda line: bool(joined), change, "a concat")

    return rewrite


_INVISIBLE = "Where there is one head or one token."
_ONE_HEAD = "Where there is one head."

ROWS = (
    *projections.ROWS,
    Deviation(
        id="heads-split-by-reshape",
        kind="mistake",
        does="Queries, keys and values of shape (token, head*depth) are reshaped to (head, token, depth) at once: a "
        "head is a block of whole tokens.",
        invisible=_INVISIBLE,
        remedy="Reshape, then transpose: x.reshape(n, h, d).transpose(1, 0, 2), or x.view(b, n, h, d).transpose(1, 2).",
        seen="FuxiCTR#30, onnx#7118 (the reference), annotated-transformer#17.",
        rewrite=each_projection("whole", variants_heads.split_by_reshape),
        catalogue=("B2",),
    ),
    Deviation(
        id="heads-merged-by-reshape",
        kind="mistake",
        does="The heads of shape (head, token, depth) are reshaped to (token, head*depth) at once: rows mix tokens "
        "from different tokens.",
        invisible=_INVISIBLE,
        remedy="Transpose, then reshape: x.transpose(1, 0, 2).reshape(n, h * d), or x.transpose(1, 2).reshape(b, "
        "n, -1).",
        seen="transformer-from-scratch PR#6, Transformer-Neural-Network PR#4, Chinese-Text-Classification#10, "
        "Machine-Learning-Collection#165, opacus PR#825, pytorch#67651, attention-is-all-you-need-pytorch#7.",
        rewrite=swap({linear.concat: variants_heads.concat_by_reshape}),
        catalogue=("B3",),
    ),
    Deviation(
        id="heads-split-interleaved",
        kind="convention",
        does="Neighbouring columns of a projection belong to different heads: the axis of heads varies fastest.",
        invisible="Where there is one head or the depth is 1.",
        remedy="x.reshape(n, h, d), not x.reshape(n, d, h), unless the weights are stored the other way.",
        seen="litgpt PR#1013, slapo PR#46.",
        rewrite=each_projection("contiguous", variants_heads.split_interleaved),
        catalogue=("B6",),
    ),
    Deviation(
        id="heads-merged-interleaved",
        kind="convention",
        does="The heads are joined column by column: the first columns of all heads, then the second.",
        invisible="Where there is one head or the depth is 1.",
        remedy="Concatenate along the last axis: np.concatenate(heads, axis=-1).",
        seen="litgpt PR#1013, slapo PR#46.",
        rewrite=swap({linear.concat: variants_heads.concat_interleaved}),
        catalogue=("B6",),
    ),
    Deviation(
        id="heads-summed",
        kind="mistake",
        does="The heads are summed, not concatenated, and no output weight follows; it runs where a head is as "
        "wide as the model.",
        invisible=_ONE_HEAD,
        remedy="np.concatenate(heads, axis=-1) @ w_o. (To add up head @ w_o[h], each with its rows of w_o, is "
        "the same.)",
        seen="functional-transformer#8.",
        rewrite=_joined(variants_heads.sum_heads),
        catalogue=("G1",),
    ),
    Deviation(
        id="heads-averaged",
        kind="mistake",
        does="The heads are averaged, not concatenated, and no output weight follows; it runs "
        "where a head is as wide as the model.",
        invisible=_ONE_HEAD,
        remedy="np.concatenate(heads, axis=-1) @ w_o.",
        seen="functional-transformer#8.",
        rewrite=_joined(variants_heads.average_heads),
        catalogue=("G1",),
    ),
    Deviation(
        id="heads-share-weights",
        kind="mistake",
        does="All heads are projected with the first head's weights.",
        invisible="Where there is one head, or all have equal weights.",
        remedy="Index the head: x @ w_q[h], or project with one (model, head*depth) matrix and split.",
        seen="episodic-transformer-memory-ppo PR#22.",
        rewrite=each_projection("of-each", variants_heads.first_head),
        catalogue=("B5",),
    ),
    Deviation(
        id="fused-blocks-read-by-head",
        kind="mistake",
        does="A fused projection stored as [Q | K | V] is read head by head, [q k v | q k v ...].",
        invisible=_ONE_HEAD,
        remedy="q, k, v = np.split(x @ w_qkv, 3, axis=-1), then split each into heads.",
        seen="vllm PR#53114, slapo PR#46, modelexpress PR#650.",
        rewrite=_fused(variants_heads.fused_by_head),
        catalogue=("B7",),
    ),
    Deviation(
        id="fused-heads-read-as-blocks",
        kind="mistake",
        does="A fused projection stored head by head (GPT-NeoX, BLOOM, Falcon) is read as [Q | K | V].",
        invisible=_ONE_HEAD,
        remedy="(x @ w_qkv).reshape(n, h, 3, d), then q, k, v = its three parts along axis 2.",
        seen="vllm PR#53114, slapo PR#46, modelexpress PR#650, sockeye's changelog.",
        rewrite=_fused(variants_heads.fused_as_blocks),
        catalogue=("B7",),
    ),
    Deviation(
        id="attention-over-heads",
        kind="mistake",
        does="Heads and tokens are exchanged: within each token its heads attend to each other.",
        invisible="Never on ordinary data; the scores have other axes.",
        remedy="Move the heads before the tokens first: q.transpose(0, 2, 1, 3) @ k.transpose(0, 2, 3, 1).",
        seen="The family of FuxiCTR#30: a transpose that is missing on both sides.",
        rewrite=around_attention("by-head", variants_heads.swap_heads),
        catalogue=("B14",),
    ),
    Deviation(
        id="groups-tiled",
        kind="mistake",
        does="Key/value heads are repeated as 1 2 1 2, where neighbouring query heads share one: 1 1 2 2.",
        invisible="Where there is one key/value head, or one query head for each.",
        remedy="np.repeat(k, h // g, axis=0) or torch.repeat_interleave; not np.tile or Tensor.repeat.",
        seen="onnx PR#7274, jax-js PR#180, axlearn PR#842, ScaleLLM PR#213.",
        rewrite=swap({linear.repeat: variants_heads.tile}),
        catalogue=("B11",),
    ),
    Deviation(
        id="groups-differ",
        kind="mistake",
        does="Of keys and values, one is repeated as 1 2 1 2, the other as 1 1 2 2, which is right.",
        invisible="Where there is one key/value head, or one query head for each.",
        remedy="Repeat both the same way: np.repeat(k, h // g, axis=0), np.repeat(v, h // g, axis=0).",
        seen="The family of onnx PR#7274: one of two lines corrected.",
        rewrite=_one_tiled,
        parameters=(Parameter("tiled", str, "what is repeated as 1 2 1 2: key or value"),),
        tries=values("tiled", "key", "value"),
        catalogue=("B11",),
    ),
    Deviation(
        id="groups-repeated-over-tokens",
        kind="mistake",
        does="Key/value heads are repeated along the tokens instead of the heads, and split into heads again.",
        invisible="Where each query head has its own key/value head.",
        remedy="Name the axis of heads: for (batch, token, head, depth) it is axis 2, for (batch, head, token, "
        "depth) 1.",
        seen="prime-rl PR#2681, VeOmni PR#162, tiny-universe#21.",
        rewrite=swap({linear.repeat: variants_heads.repeat_tokens}),
        catalogue=("B12",),
    ),
    Deviation(
        id="weights-of-first-head",
        kind="mistake",
        does="The first head's weights are applied to every head's values.",
        invisible="Where there is one head, or all heads have equal weights.",
        remedy="Index the head in the loop: weights[h] @ v[h], or weights @ v with the axis of heads in both.",
        seen="A common slip in loops over heads; no public thread is known.",
        rewrite=_weights(variants_heads.first_head),
    ),
    Deviation(
        id="cache-missing",
        kind="mistake",
        does="Queries see only the new keys and values, not those of the cache.",
        invisible="Never on ordinary data.",
        remedy="k, v = np.concatenate([past_k, k], axis=-2), np.concatenate([past_v, v], axis=-2), and keep them.",
        seen="A cache that is filled but not read; no public thread is known.",
        rewrite=_cache_missing,
    ),
    Deviation(
        id="cache-behind",
        kind="mistake",
        does="The new keys and values are put before those of the cache; masks count from the wrong end.",
        invisible="Where no mask depends on the order.",
        remedy="The oldest first: np.concatenate([past, new], axis=-2).",
        seen="A common slip of concatenation; no public thread is known.",
        rewrite=_cache_behind,
    ),
    Deviation(
        id="qk-norm-missing",
        kind="mistake",
        does="The norm of queries and keys is left out.",
        invisible="Where queries and keys are already normed and the gain is 1.",
        remedy="q, k = norm(q) * q_gain, norm(k) * k_gain, over the depth of each head, before rotary positions.",
        seen="executorch PR#19901 (gains of q_norm and k_norm).",
        rewrite=norm_missing,
        catalogue=("B16",),
    ),
    Deviation(
        id="qk-norm-after-rotary",
        kind="convention",
        does="Queries and keys are rotated first and normed after.",
        invisible="With an RMS norm whose gain is the same for all features; at position 0.",
        remedy="Qwen 3, Gemma 3 and OLMo 2 norm first; follow the model.",
        seen="The family of executorch PR#19901.",
        rewrite=_norm_after_rotary,
        catalogue=("B16",),
    ),
    Deviation(
        id="weights-averaged-over-heads",
        kind="mistake",
        does="The mean of all heads' weights is applied to every head's values.",
        invisible="Where there is one head, or all heads have equal weights.",
        remedy="Keep the axis of heads until after weights @ v; need_weights with average_attn_weights is for "
        "looking at.",
        seen="anyup#27, webui-visualize-cross-attention#9.",
        rewrite=_weights(variants_heads.average_weights),
        catalogue=("F12",),
    ),
)
