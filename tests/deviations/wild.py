"""Attention in plain NumPy as people write it, and the ways they got it wrong: heads, scores, softmax, masks.

Nothing here is clearhead's. Weights are one matrix (model, head*depth), as in most code; ``g`` has the arrays by the
names that people give them. Each function is written from the words of an issue, not from a rewrite.
"""

import numpy as np


def softmax(s, axis=-1):
    """Shares of the exponentials; a row that is masked throughout gives zeros."""
    e = np.exp(s - np.maximum(s.max(axis=axis, keepdims=True), -1e300))
    return e / np.maximum(e.sum(axis=axis, keepdims=True), 1e-300)


def split(y, h):
    """(token, head*depth) as (head, token, depth)."""
    n, width = y.shape
    return y.reshape(n, h, width // h).transpose(1, 0, 2)


def merge(o):
    """(head, token, depth) as (token, head*depth)."""
    h, n, d = o.shape
    return o.transpose(1, 0, 2).reshape(n, h * d)


def scores(q, k):
    """Scaled products of every query with every key."""
    return q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])


def qkv(g, x=None):
    """Queries, keys and values by head."""
    x = g.x if x is None else x
    return split(x @ g.wq, g.h), split(x @ g.wk, g.h), split(x @ g.wv, g.h)


def attend(g, q, k, v):
    """The output of plain attention."""
    return merge(softmax(scores(q, k)) @ v) @ g.wo


def with_scores(change):
    """Attention whose unscaled scores are changed before the softmax: change(s, depth, g)."""

    def run(g):
        q, k, v = qkv(g)
        return merge(softmax(change(q @ k.transpose(0, 2, 1), q.shape[-1], g)) @ v) @ g.wo

    return run


def with_weights(shares):
    """Attention with something else in the place of the softmax: shares(s)."""

    def run(g):
        q, k, v = qkv(g)
        return merge(shares(scores(q, k)) @ v) @ g.wo

    return run


def query_weight_transposed(g):
    return attend(g, split(g.x @ g.wq.T, g.h), *qkv(g)[1:])


def output_weight_transposed(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)) @ v) @ g.wo.T


def value_from_key_weight(g):
    q, k, _ = qkv(g)
    return attend(g, q, k, split(g.x @ g.wk, g.h))


def fused_order(g):
    k, q, v = np.split(g.x @ np.hstack([g.wq, g.wk, g.wv]), 3, axis=-1)
    return attend(g, *(split(y, g.h) for y in (q, k, v)))


def value_unprojected(g):
    q, k, _ = qkv(g)
    return attend(g, q, k, split(g.x, g.h))


def output_missing(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)) @ v)


def split_by_reshape(g):
    n = len(g.x)
    q, k, v = ((g.x @ w).reshape(g.h, n, -1) for w in (g.wq, g.wk, g.wv))
    return attend(g, q, k, v)


def merged_by_reshape(g):
    q, k, v = qkv(g)
    return (softmax(scores(q, k)) @ v).reshape(len(g.x), -1) @ g.wo


def split_interleaved(g):
    n = len(g.x)
    q, k, v = ((g.x @ w).reshape(n, -1, g.h).transpose(2, 0, 1) for w in (g.wq, g.wk, g.wv))
    return attend(g, q, k, v)


def merged_interleaved(g):
    q, k, v = qkv(g)
    return (softmax(scores(q, k)) @ v).transpose(1, 2, 0).reshape(len(g.x), -1) @ g.wo


def heads_summed(g):
    q, k, v = qkv(g)
    return (softmax(scores(q, k)) @ v).sum(axis=0)


def heads_averaged(g):
    q, k, v = qkv(g)
    return (softmax(scores(q, k)) @ v).mean(axis=0)


def one_weight_for_all_heads(g):
    d = g.wq.shape[1] // g.h
    q, k, v = (np.stack([g.x @ w[:, :d] for _ in range(g.h)]) for w in (g.wq, g.wk, g.wv))
    return attend(g, q, k, v)


def fused_blocks_read_by_head(g):
    n = len(g.x)
    y = (g.x @ np.hstack([g.wq, g.wk, g.wv])).reshape(n, g.h, 3, -1)
    return attend(g, *(y[:, :, part].transpose(1, 0, 2) for part in range(3)))


def fused_heads_read_as_blocks(g):
    per_head = [np.split(w, g.h, axis=1) for w in (g.wq, g.wk, g.wv)]
    stored = np.hstack([w for head in zip(*per_head, strict=True) for w in head])
    q, k, v = np.split(g.x @ stored, 3, axis=1)
    return attend(g, split(q, g.h), split(k, g.h), split(v, g.h))


def attention_over_heads(g):
    n = len(g.x)
    q, k, v = ((g.x @ w).reshape(n, g.h, -1) for w in (g.wq, g.wk, g.wv))
    return (softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])) @ v).reshape(n, -1) @ g.wo


def averaged_weights(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)).mean(axis=0) @ v) @ g.wo


def weights_transposed(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)).transpose(0, 2, 1) @ v) @ g.wo


def exchanged(g):
    q, k, v = qkv(g)
    return attend(g, k, q, v)


def keys_not_transposed(g):
    q, k, v = qkv(g)
    return merge(softmax(q @ k / np.sqrt(q.shape[-1])) @ v) @ g.wo


def elementwise(g):
    q, k, v = qkv(g)
    return merge(softmax(q * k / np.sqrt(q.shape[-1])) @ v) @ g.wo


def first_heads_weights(g):
    q, k, v = qkv(g)
    weights = softmax(scores(q, k))[0]
    return np.hstack([weights @ each for each in v]) @ g.wo


def scaled_after(g):
    q, k, v = qkv(g)
    return merge(softmax(q @ k.transpose(0, 2, 1)) / np.sqrt(q.shape[-1]) @ v) @ g.wo


def halved(g):
    q, k, v = qkv(g)
    return merge(softmax((q * q.shape[-1] ** -0.25) @ k.transpose(0, 2, 1)) @ v) @ g.wo


def grouped(repeat):
    """Grouped attention whose keys and values are repeated over heads by ``repeat(k, times)``."""

    def run(g):
        q = split(g.x @ g.wq, g.h)
        k, v = (repeat(split(g.x @ w, g.groups), g.h // g.groups) for w in (g.wk, g.wv))
        return attend(g, q, k, v)

    return run


def grouped_each(repeat_key, repeat_value):
    """Grouped attention whose keys are repeated in one way and whose values in another."""

    def run(g):
        times = g.h // g.groups
        k = repeat_key(split(g.x @ g.wk, g.groups), times)
        v = repeat_value(split(g.x @ g.wv, g.groups), times)
        return attend(g, split(g.x @ g.wq, g.h), k, v)

    return run


def along_tokens(k, times):
    g, n, d = k.shape
    return np.tile(k.transpose(1, 0, 2), (times, 1, 1)).reshape(n, g * times, d).transpose(1, 0, 2)


def unshifted(s):
    with np.errstate(all="ignore"):
        return np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)


def shifted_globally(s):
    e = np.exp(s - np.max(s))
    with np.errstate(all="ignore"):
        return e / e.sum(axis=-1, keepdims=True)


def softmax_one(s):
    return np.exp(s) / (1 + np.exp(s).sum(axis=-1, keepdims=True))


def softmax_one_shifted(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / (e.sum(axis=-1, keepdims=True) + 1)


def of_one_entry(s):
    return softmax(s[..., None], axis=-1)[..., 0]


OWN_SCALE = {"scale-by-depth": with_scores(lambda s, d, g: s / np.sqrt(d))}
"""With a scale that the model states."""

PLAIN = {
    "weight-transposed:array=query.weight": query_weight_transposed,
    "weight-transposed:array=output.weight": output_weight_transposed,
    "projection-copied:of=value,uses=key": value_from_key_weight,
    "fused-order-permuted:order=kqv": fused_order,
    "value-unprojected": value_unprojected,
    "output-projection-missing": output_missing,
    "heads-split-by-reshape": split_by_reshape,
    "heads-merged-by-reshape": merged_by_reshape,
    "heads-split-interleaved": split_interleaved,
    "heads-merged-interleaved": merged_interleaved,
    "heads-share-weights": one_weight_for_all_heads,
    "fused-blocks-read-by-head": fused_blocks_read_by_head,
    "fused-heads-read-as-blocks": fused_heads_read_as_blocks,
    "attention-over-heads": attention_over_heads,
    "weights-averaged-over-heads": averaged_weights,
    "weights-of-first-head": first_heads_weights,
    "weights-transposed": weights_transposed,
    "query-key-exchanged": exchanged,
    "scale-after-softmax": scaled_after,
    "scale-halved": halved,
    "scale-missing": with_scores(lambda s, d, g: s),
    "scale-by-model": with_scores(lambda s, d, g: s / np.sqrt(g.x.shape[-1])),
    "scale-by-all-heads": with_scores(lambda s, d, g: s / np.sqrt(g.wq.shape[1])),
    "scale-by-keys": with_scores(lambda s, d, g: s / np.sqrt(len(g.x))),
    "scale-rounded:decimals=1": with_scores(lambda s, d, g: s / round(d**0.5, 1)),
    "scale-rounded:decimals=2": with_scores(lambda s, d, g: s / round(d**0.5, 2)),
    "scale-squared": with_scores(lambda s, d, g: s * d**-0.5 * d**-0.5),
    "scale-inverted": with_scores(lambda s, d, g: s / (d**-0.5)),
    "scale-factor:factor=0.125": with_scores(lambda s, d, g: s * 0.125),
    "causal-added": with_scores(lambda s, d, g: np.where(np.tri(len(g.x), dtype=bool), s / np.sqrt(d), -np.inf)),
    "softmax-over-queries": with_weights(lambda s: softmax(s, axis=-2)),
    "softmax-over-heads": with_weights(lambda s: softmax(s, axis=0)),
    "softmax-over-matrix": with_weights(lambda s: np.stack([np.exp(one) / np.sum(np.exp(one)) for one in s])),
    "softmax-of-one": with_weights(of_one_entry),
    "softmax-twice": with_weights(lambda s: softmax(softmax(s))),
    "softmax-one": with_weights(softmax_one),
    "softmax-one-shifted": with_weights(softmax_one_shifted),
    "softmax-base:base=2.0": with_weights(lambda s: np.exp2(s) / np.exp2(s).sum(axis=-1, keepdims=True)),
    "softmax-without-exp-below": with_weights(lambda s: np.exp(s) / s.sum(axis=-1, keepdims=True)),
    "softmax-without-exp": with_weights(lambda s: s / s.sum(axis=-1, keepdims=True)),
    "softmax-undivided": with_weights(np.exp),
    "softmax-sigmoid": with_weights(lambda s: 1 / (1 + np.exp(-s))),
    "softmax-missing": with_weights(lambda s: s),
}
"""On plain attention with a square output weight."""

SQUARE = {"keys-not-transposed": keys_not_transposed, "query-key-elementwise": elementwise}
"""With as many tokens as features of a head."""

WIDE = {"heads-summed": heads_summed, "heads-averaged": heads_averaged}
"""With heads as wide as the model."""

LARGE = {"softmax-unshifted": with_weights(unshifted), "softmax-shifted-globally": with_weights(shifted_globally)}
"""With scores in the thousands, which overflow or underflow."""

GROUPED = {
    "groups-differ:tiled=key": grouped_each(
        lambda k, times: np.concatenate([k] * times), lambda v, times: np.repeat(v, times, axis=0)
    ),
    "groups-differ:tiled=value": grouped_each(
        lambda k, times: np.repeat(k, times, axis=0), lambda v, times: np.concatenate([v] * times)
    ),
    "groups-tiled": grouped(lambda k, times: np.tile(k, (times, 1, 1))),
    "groups-repeated-over-tokens": grouped(along_tokens),
}
"""With fewer key/value heads than query heads."""


def _softcapped(order):
    def run(g):
        q, k, v = qkv(g)
        s = order(q @ k.transpose(0, 2, 1), q.shape[-1] ** -0.5, np.triu(np.ones((len(g.x),) * 2, bool), 1))
        return merge(softmax(s) @ v) @ g.wo

    return run


CAP = 1.5
SOFTCAP = {
    "softcap-missing": _softcapped(lambda s, scale, future: np.where(future, -np.inf, s * scale)),
    "softcap-after-mask": _softcapped(
        lambda s, scale, future: CAP * np.tanh(np.where(future, -np.inf, s * scale) / CAP)
    ),
    "softcap-before-scale": _softcapped(
        lambda s, scale, future: np.where(future, -np.inf, CAP * np.tanh(s / CAP) * scale)
    ),
    "softcap-of-itself": _softcapped(
        lambda s, scale, future: np.where(future, -np.inf, s * scale * np.tanh(s * scale / CAP))
    ),
    "softcap-not-restored": _softcapped(lambda s, scale, future: np.where(future, -np.inf, np.tanh(s * scale / CAP))),
}
"""With a soft-cap of 1.5 and a causal mask."""


def _boolean(mask_scores):
    """Attention with a mask ``g.mask`` (query, key), True = may attend, put to the scores in some way."""

    def run(g):
        q, k, v = qkv(g)
        with np.errstate(all="ignore"):
            s = mask_scores(scores(q, k), g.mask)
            return merge(softmax(s) @ v) @ g.wo

    return run


def mask_after_softmax(g):
    q, k, v = qkv(g)
    return merge(softmax(scores(q, k)) * g.mask @ v) @ g.wo


def mask_of_integers(s, mask):
    taken_for_true = ~mask.astype(np.uint8) != 0
    return np.where(taken_for_true, -1e9, s)


BOOLEAN = {
    "mask-inverted": _boolean(lambda s, mask: np.where(mask, -np.inf, s)),
    "mask-added:at=allowed": _boolean(lambda s, mask: s + mask.astype(float)),
    "mask-added:at=masked": _boolean(lambda s, mask: s + (~mask).astype(float)),
    "mask-multiplied": _boolean(lambda s, mask: s * mask),
    "mask-filled:fill=-10.0": _boolean(lambda s, mask: np.where(mask, s, -10.0)),
    "mask-times-infinity": _boolean(lambda s, mask: s + (1 - mask.astype(float)) * -np.inf),
    "mask-after-softmax": mask_after_softmax,
    "mask-missing": _boolean(lambda s, mask: s),
    "mask-complement-of-integers": _boolean(mask_of_integers),
}
"""With a boolean mask."""


def scaled_after_mask(g):
    q, k, v = qkv(g)
    return merge(softmax((q @ k.transpose(0, 2, 1) + g.mask) / np.sqrt(q.shape[-1])) @ v) @ g.wo


ADDITIVE = {"scale-after-mask": scaled_after_mask}
"""With a mask of numbers, added."""


def _padded(where):
    return _boolean(lambda s, mask: np.where(where(mask, s.shape[-1]), s, -np.inf))


PADDING = {
    "padding-inverted": _padded(lambda real, n: ~real[None, :]),
    "padding-on-queries": _padded(lambda real, n: real[:, None]),
    "padding-missing": _padded(lambda real, n: True),
}
"""With ``g.mask`` (key), True = a real token."""


def _causal(seen):
    def run(g):
        q, k, v = qkv(g)
        n = len(g.x)
        return merge(softmax(np.where(seen(n), scores(q, k), -np.inf)) @ v) @ g.wo

    return run


CAUSAL = {
    "causal-missing": _causal(lambda n: True),
    "causal-off-by-one:by=1": _causal(lambda n: np.tril(np.ones((n, n)), k=1) == 1),
    "causal-off-by-one:by=-1": _causal(lambda n: ~np.triu(np.ones((n, n), bool), k=0)),
    "causal-transposed": _causal(lambda n: np.triu(np.ones((n, n), bool))),
}
"""With a causal mask."""


def _window(seen):
    return _causal(lambda n: np.array([[j <= i and seen(i - j) for j in range(n)] for i in range(n)]))


WINDOW = {
    "window-off-by-one:by=1": _window(lambda back: back <= 3),
    "window-off-by-one:by=-1": _window(lambda back: back < 2),
    "window-split": _window(lambda back: back <= 3 // 2),
    "window-missing": _window(lambda back: True),
}
"""With a causal window of 3 tokens."""
