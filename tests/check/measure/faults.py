"""Wrong attention, each with its true cause, written before the code that is to name it.

The kinds are those of public bug reports: constants on no list, one side only, one head only, one way only, maps of
heads and tokens, edges of windows, arithmetic turned round, parts that only show at another size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead import Attention, Rotary
from clearhead.spec.rotary import Linear, Llama3Scaling
from clearhead.working import Working

from .pieces import (
    banded,
    bfloat16,
    causal,
    frequencies,
    joined,
    product,
    repeated,
    rotary,
    rows_and_columns,
    scaled,
    softmax,
    turned,
)

rng = np.random.default_rng(11)
CACHED = ("query", "key", "value", "past.key", "past.value")


class Fault(Struct, frozen=True):
    """A wrong function, the parts that must be found to differ (no others may), and what the report must say.

    ``deviations`` are ids of which one must stand in the first group, where the table has such a row.
    """

    function: Callable[..., Any]
    working: Working
    parts: tuple[str, ...]
    says: str = ""
    deviations: tuple[str, ...] = ()
    takes: tuple[str, ...] = ("query", "key", "value")
    given: dict[str, Any] = {}


FAULTS: dict[str, Fault] = {}


def fault(working, *parts, says="", deviations=(), **task):
    """Keeps a function under its name."""

    def keep(function):
        FAULTS[function.__name__] = Fault(function, working, parts, says, tuple(deviations), **task)
        return function

    return keep


PLAIN = Attention(heads=2).working()
CAUSAL = Attention(heads=2, causal=True).working()
TURNED = Attention(heads=2, causal=True, rotary=Rotary()).working()
GROUPED = Attention(heads=6, kv_heads=3, causal=True).working()
BEHIND = Attention(heads=2, causal=True, cache=True, rotary=Rotary()).working()


# Scale


@fault(PLAIN, "scale", says="0.25", deviations=["scale-factor"])
def scale_fixed(q, k, v):
    return softmax(product(q, k) * 0.25) @ v


@fault(PLAIN, "scale", says="1.19", deviations=[])
def scale_times_a_constant(q, k, v):
    return softmax(1.19 * scaled(q, k)) @ v


@fault(CAUSAL, "scale", says="1/depth", deviations=["scale-squared"])
def scale_by_depth_not_root(q, k, v):
    return softmax(causal(product(q, k) / q.shape[-1])) @ v


@fault(Attention(heads=3).working(), "scale", deviations=["scale-by-all-heads"])
def scale_by_width_of_model(q, k, v):
    return softmax(product(q, k) / np.sqrt(q.shape[-1] * q.shape[-3])) @ v


@fault(PLAIN, "scale", deviations=["scale-by-keys"])
def scale_by_keys(q, k, v):
    return softmax(product(q, k) / np.sqrt(k.shape[-2])) @ v


@fault(CAUSAL, "scale", says="-1")
def exponent_negative(q, k, v):
    return softmax(causal(-scaled(q, k))) @ v


@fault(Attention(heads=4).working(), "scale", says="head 2")
def scale_of_one_head(q, k, v):
    return softmax(scaled(q, k) * np.array([1, 1, 1.7, 1])[:, None, None]) @ v


@fault(Attention(heads=2, scale=0.125).working(), "scale", says="1/sqrt(depth)")
def scale_of_the_spec_unread(q, k, v):
    return softmax(scaled(q, k)) @ v


# Keys seen


@fault(CAUSAL, "keys seen", says="7")
def window_added(q, k, v):
    return softmax(banded(scaled(q, k), 7)) @ v


@fault(Attention(heads=2, causal=True, window=900).working(), "keys seen", deviations=["window-missing"])
def window_wide_missing(q, k, v):
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, causal=True, window=4).working(), "keys seen", deviations=["window-off-by-one"])
def window_one_too_wide(q, k, v):
    return softmax(banded(scaled(q, k), 5)) @ v


@fault(Attention(heads=2, causal=True, window=3, cache=True).working(), "keys seen", says="query", takes=CACHED)
def window_edge_by_new_row(q, k, v, pk, pv):
    k, v = joined(pk, k), joined(pv, v)
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    local = np.arange(q.shape[-2])[:, None]
    return softmax(np.where((j <= i) & (j > local - 3), s, -np.inf)) @ v


@fault(Attention(heads=3, causal=True).working(), "keys seen", says="head 1")
def mask_of_one_head_open(q, k, v):
    s = scaled(q, k)
    return softmax(np.where(np.arange(3)[:, None, None] == 1, s, causal(s))) @ v


@fault(CAUSAL, "keys seen", deviations=["causal-missing"])
def causal_forgotten(q, k, v):
    return softmax(scaled(q, k)) @ v


@fault(CAUSAL, "keys seen", says="1 ")
def every_second_key(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(np.where((j <= i) & ((i - j) % 2 == 0), s, -np.inf)) @ v


@fault(Attention(heads=2, causal=True, window=2).working(), "keys seen", says="The mask is inverted: queries see just")
def what_is_hidden_is_seen(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(np.where((j > i) | (j < i - 1), s, -np.inf)) @ v


@fault(CAUSAL, "keys seen", says="from -3 to 0 and at 3, and none between")
def only_the_next_two_hidden(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(np.where((j <= i) | (j > i + 2), s, -np.inf)) @ v


# Heads


@fault(GROUPED, "key heads", "value heads", deviations=["groups-tiled"])
def groups_by_remainder(q, k, v):
    pick = np.arange(6) % 3
    return softmax(causal(scaled(q, k[..., pick, :, :]))) @ v[..., pick, :, :]


@fault(GROUPED, "key heads", says="0, 0, 0, 1, 1, 1")
def keys_of_other_groups(q, k, v):
    return softmax(causal(scaled(q, k[..., np.arange(6) // 3, :, :]))) @ repeated(v, 6)


@fault(GROUPED, "value heads", says="0, 0, 0, 1, 1, 1")
def values_of_other_groups(q, k, v):
    return softmax(causal(scaled(q, repeated(k, 6)))) @ v[..., np.arange(6) // 3, :, :]


@fault(Attention(heads=3).working(), "output heads")
def heads_come_back_reversed(q, k, v):
    return (softmax(scaled(q, k)) @ v)[..., ::-1, :, :]


@fault(PLAIN, "output columns")
def columns_come_back_rolled(q, k, v):
    return np.roll(softmax(scaled(q, k)) @ v, 1, axis=-1)


@fault(PLAIN, "query rows")
def rows_shifted(q, k, v):
    return softmax(scaled(np.roll(q, 1, axis=-2), k)) @ v


# Sums


@fault(CAUSAL, "mass", deviations=["softmax-one"])
def empty_slot(q, k, v):
    e = np.exp(causal(scaled(q, k)))
    return e / (1 + e.sum(-1, keepdims=True)) @ v


@fault(CAUSAL, "mass", says="0.9")
def weights_all_scaled(q, k, v):
    return 0.9 * softmax(causal(scaled(q, k))) @ v


@fault(CAUSAL, "mass", says="head")
def learned_sinks(q, k, v):
    sink = np.array([0.7, -0.4])[:, None, None]
    e = np.exp(causal(scaled(q, k)))
    return e / (np.exp(sink) + e.sum(-1, keepdims=True)) @ v


@fault(Attention(heads=3, sink=True).working(), "mass", takes=("query", "key", "value", "sink"),
       says="That is ln 2: the power is one of 2")  # fmt: skip
def sinks_as_powers_of_two(q, k, v, sink):
    e = np.exp(scaled(q, k))
    return e / (2.0 ** np.asarray(sink)[..., None, None] + e.sum(-1, keepdims=True)) @ v


# Rotary


@fault(TURNED, "frequencies", says="30000", deviations=["rotary-base"])
def base_of_no_list(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 30000.0))
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, causal=True, rotary=Rotary(scaling=Linear(4.0))).working(), "frequencies", says="4")
def linear_scaling_forgotten(q, k, v):
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "frequencies", says="3")
def linear_scaling_added(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1]) / 3)
    return softmax(causal(scaled(q, k))) @ v


STRETCH = Llama3Scaling(factor=8.0, fast=4.0, slow=1.0, context=32)


@fault(Attention(heads=2, causal=True, rotary=Rotary(scaling=STRETCH)).working(), "frequencies")
def stretch_forgotten(q, k, v):
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "frequencies", deviations=["rotary-ntk"])
def base_raised_by_ntk(q, k, v):
    d = q.shape[-1]
    q, k = rotary(q, k, frequencies(d, 10000.0 * 3 ** (d / (d - 2))))
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "scale", says="1.3225")
def cos_and_sin_inflated(q, k, v):
    q, k = rotary(q, k, factor=1.15)
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, causal=True, rotary=Rotary(width=4)).working(), "features", says="1.3225")
def cos_and_sin_inflated_in_part(q, k, v):
    q, k = rotary(q, k, frequencies(4), factor=1.15)
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, causal=True, rotary=Rotary(width=4)).working(), "pairs", deviations=["rotary-whole-head"])
def whole_head_turned(q, k, v):
    q, k = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, causal=True, rotary=Rotary(width=4)).working(), "pairs")
def last_features_turned(q, k, v):
    ends = rotary(q[..., -4:], k[..., -4:])
    q, k = (np.concatenate([x[..., :-4], end], -1) for x, end in zip((q, k), ends, strict=True))
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "pairs", deviations=["rotary-other-layout"])
def neighbours_turned(q, k, v):
    q, k = rotary(q, k, layout="interleaved")
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "turn", says="queries")
def tables_differ(q, k, v):
    q, _ = rotary(q, k)
    _, k = rotary(q, k, frequencies(k.shape[-1], 500000.0))
    return softmax(causal(scaled(q, k))) @ v


@fault(BEHIND, "positions", says="keys", takes=CACHED)
def keys_turned_from_zero(q, k, v, pk, pv):
    past, f = pk.shape[-2], frequencies(q.shape[-1])
    q, k = turned(q, past + np.arange(q.shape[-2]), f), turned(k, np.arange(k.shape[-2]), f)
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


@fault(BEHIND, "positions", says="queries", takes=CACHED)
def queries_three_too_late(q, k, v, pk, pv):
    past, f = pk.shape[-2], frequencies(q.shape[-1])
    q, k = turned(q, past + 3 + np.arange(q.shape[-2]), f), turned(k, past + np.arange(k.shape[-2]), f)
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


@fault(TURNED, "positions", says="queries", deviations=["rotary-one-sided"])
def only_queries_turned(q, k, v):
    q, _ = rotary(q, k)
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=4, kv_heads=2, causal=True, rotary=Rotary()).working(), "positions")
def heads_counted_for_tokens(q, k, v):
    f = frequencies(q.shape[-1])
    q, k = (turned(x.swapaxes(-2, -3), np.arange(x.shape[-3]), f).swapaxes(-2, -3) for x in (q, k))
    return softmax(causal(scaled(q, repeated(k, 4)))) @ repeated(v, 4)


@fault(TURNED, "pairs", deviations=["rotary-missing"])
def not_turned(q, k, v):
    return softmax(causal(scaled(q, k))) @ v


@fault(TURNED, "rotary tables", says="Rotary cosines and sines are rounded to float16 (11 bits)")
def waves_in_half(q, k, v):
    q, k = rotary(q, k, kept={"waves": lambda x: x.astype(np.float16).astype(float)})
    return softmax(causal(scaled(q, k))) @ v


@fault(Attention(heads=2, rotary=Rotary(layout="interleaved", base=500.0)).working(), "rotary tables",
       says="Rotary angles are rounded to bfloat16 (8 bits)")  # fmt: skip
def angles_in_bfloat16(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 500.0), layout="interleaved", kept={"angles": bfloat16})
    return softmax(scaled(q, k)) @ v


@fault(BEHIND, "rotary tables", takes=CACHED,
       says="Rotary frequencies, angles, cosines and sines are rounded to bfloat16")  # fmt: skip
def all_of_the_table_in_bfloat16(q, k, v, pk, pv):
    f = bfloat16(frequencies(q.shape[-1]))
    q, k = rotary(q, k, f, past=pk.shape[-2], kept={"angles": bfloat16, "waves": bfloat16})
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


# Bias and cap


@fault(Attention(heads=4, causal=True, alibi=True).working(), "bias", says="head")
def slopes_of_eight_heads(q, k, v):
    s = scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(causal(s - 2.0 ** -np.arange(1, 5)[:, None, None] * (i - j))) @ v


TABLE = rng.normal(size=(2, 21))


@fault(
    Attention(heads=2, scale=1.0, mask="additive").working(),
    "bias",
    says="opposite",
    given={"mask": np.stack([row[np.arange(7)[None] - np.arange(5)[:, None] + 10] for row in TABLE])},
)
def distances_negated(q, k, v):
    back = np.arange(5)[:, None] - np.arange(7)[None]
    return softmax(product(q, k) + TABLE[:, back + 10]) @ v


@fault(PLAIN, "bias", says="0.5")
def first_key_preferred(q, k, v):
    s = scaled(q, k)
    s[..., 0] += 0.5
    return softmax(s) @ v


@fault(Attention(heads=2, softcap=30.0).working(), "score curve", deviations=["softcap-missing"])
def cap_forgotten(q, k, v):
    return softmax(scaled(q, k)) @ v


@fault(Attention(heads=2, softcap=30.0).working(), "score curve", says="20")
def cap_of_twenty(q, k, v):
    return softmax(20 * np.tanh(scaled(q, k) / 20)) @ v


@fault(PLAIN, "score curve", says="15")
def cap_added(q, k, v):
    return softmax(15 * np.tanh(scaled(q, k) / 15)) @ v


@fault(PLAIN, "score curve", says="direction")
def queries_normalised(q, k, v):
    return softmax(scaled(q / np.maximum(np.linalg.norm(q, axis=-1, keepdims=True), 1e-12), k)) @ v


@fault(PLAIN, "overflow", says="exponential")
def exponentials_unshifted_in_half(q, k, v):
    with np.errstate(all="ignore"):
        e = np.exp(scaled(q, k).astype(np.float16))
        return (e / e.sum(-1, keepdims=True)).astype(float) @ v


@fault(PLAIN, "overflow", says="before")
def half_precision_before_the_scale(q, k, v):
    q, k = q.astype(np.float16), k.astype(np.float16)
    s = product(q, k).astype(np.float32) / np.float32(q.shape[-1] ** 0.5)
    return softmax(s) @ v.astype(np.float32)


@fault(PLAIN, "rounding", says="0.5")
def scores_in_steps(q, k, v):
    return softmax(np.round(2 * scaled(q, k)) / 2) @ v


# Several at once


@fault(CAUSAL, "keys seen", "scale")
def late_and_hot(q, k, v):
    s = 1.4 * scaled(q, k)
    i, j = rows_and_columns(s)
    return softmax(np.where(j <= i + 1, s, -np.inf)) @ v


@fault(
    Attention(heads=4, kv_heads=2, causal=True, rotary=Rotary()).working(),
    "frequencies",
    "key heads",
    "value heads",
    "keys seen",
)
def three_at_once(q, k, v):
    q, k = rotary(q, k, frequencies(q.shape[-1], 77000.0))
    pick = np.arange(4) % 2
    return softmax(banded(scaled(q, k[..., pick, :, :]), 4)) @ v[..., pick, :, :]
