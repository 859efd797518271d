"""Deviations that confuse the axis of a batch with another: they need data with a batch."""

from __future__ import annotations

from clearhead.deviations.deviation import Deviation
from clearhead.deviations.heads import around_attention, each_projection
from clearhead.deviations.rewrites import swap
from clearhead.ops.textbook import linear, scores
from clearhead.ops.variants import batch as variants_batch

_NO_BATCH = "Where there is no batch, or one example in it."


ROWS = (
    Deviation(
        id="attention-over-batch",
        kind="mistake",
        does="Batch and tokens are exchanged: the examples of the batch attend to each other, token by token.",
        invisible=f"{_NO_BATCH[:-1]} and one token.",
        remedy="batch_first=True for (batch, token, model), or pass (token, batch, model).",
        seen="TabFormer PR#14, OmDet#19, AEMatter#3, movie-gen#8.",
        rewrite=around_attention("by-example", variants_batch.swap_batch),
        catalogue=("B13",),
    ),
    Deviation(
        id="batch-taken-for-heads",
        kind="mistake",
        does="Queries, keys and values stored head by head, (head*batch), are read example by example, (batch*head).",
        invisible=f"{_NO_BATCH[:-1]}, or one head.",
        remedy="Undo what was done: np.concatenate(heads, axis=0) goes back with np.split(x, h, axis=0).",
        seen="Transformer-Various-PE#1, attention-is-all-you-need-keras#36.",
        rewrite=each_projection("by-head", variants_batch.batch_as_heads),
        catalogue=("B4",),
    ),
    Deviation(
        id="padding-tiled-over-heads",
        kind="mistake",
        does="For batch * heads matrices of scores the rows of padding are repeated as 1 2 1 2, where each "
        "belongs to neighbours, 1 1 2 2.",
        invisible=f"{_NO_BATCH[:-1]}, or one head.",
        remedy="np.repeat(mask, heads, axis=0) or torch.repeat_interleave(mask, heads, 0); not np.tile or "
        "Tensor.repeat.",
        seen="lighthouse PR#77, lsdefine#36 and #28, FuxiCTR#130.",
        rewrite=swap({scores.mask_padding: variants_batch.mask_padding_tiled}),
        catalogue=("E6",),
    ),
    Deviation(
        id="padding-repeated-for-heads",
        kind="mistake",
        does="For head * batch matrices of scores the rows of padding are repeated as 1 1 2 2, where each "
        "belongs to every second one, 1 2 1 2.",
        invisible=f"{_NO_BATCH[:-1]}, or one head.",
        remedy="Where heads stand before the batch: np.tile(mask, (heads, 1)) or mask.repeat(heads, 1).",
        seen="attention-is-all-you-need-keras#36.",
        rewrite=swap({scores.mask_padding: variants_batch.mask_padding_repeated}),
        catalogue=("E6",),
    ),
    Deviation(
        id="heads-merged-over-batch",
        kind="mistake",
        does="Heads stored as (head, batch, token, depth) are joined as if they were (batch, head, token, depth).",
        invisible=f"{_NO_BATCH[:-1]}, or one head.",
        remedy="heads.transpose(1, 2, 0, 3).reshape(batch, tokens, -1): token by token, all heads of an example.",
        seen="Transformer-Various-PE#1.",
        rewrite=swap({linear.concat: variants_batch.concat_of_exchanged}),
        catalogue=("B4",),
    ),
    Deviation(
        id="padding-taken-by-head",
        kind="mistake",
        does="The padding of example b is applied to head b of every example: the mask's axis of the batch met that of "
        "heads.",
        invisible=_NO_BATCH,
        remedy="mask[:, None, None, :], so that its first axis is that of the batch.",
        seen="graph-transformer-pytorch PR#2, vit-pytorch#71.",
        rewrite=swap({scores.mask_padding: variants_batch.mask_padding_by_head}),
        catalogue=("E7",),
    ),
)
