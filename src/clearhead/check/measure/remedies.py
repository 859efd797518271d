"""What to change in code, by the part that differs: in NumPy, and in PyTorch where that is written in another way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clearhead.check.measure.parts import Part
from clearhead.check.measure.wording_keys import is_inverted, rule_of
from clearhead.check.measure.wording_sums import filled_block

SMALL = 1e-3
"""Sums as near to 1 as this have no sink."""

MAX_PAIRS = 3
"""The most pairs of features that are listed."""


def remedy(part: Part) -> str:
    """What to change, in a sentence; "" where the part does not say it."""
    says = REMEDIES.get(part.name, "")
    return says(part) if callable(says) else says


def _seen(part: Part) -> str:
    if part.details.get("padded"):
        return "Hide keys alone, by padding[:, None, :] of (batch, query, key); padding[:, :, None] hides no key."
    if part.details.get("masks"):
        return (
            "Where the mask is False the score is -inf: scores = np.where(mask, scores, -np.inf), before the softmax."
        )
    if is_inverted(part):
        return "Invert it: ~mask. True takes part in scaled_dot_product_attention, and is hidden in MultiheadAttention."
    if rule := rule_of(part):
        return (
            f"seen = {rule}, with i = np.arange(n)[:, None] + m - n and j = np.arange(m)[None] for n queries, m keys; "
            f"then scores = np.where(seen, scores, -np.inf)."
        )
    if part.details["more"] and not part.details["fewer"]:
        return "Hide these keys: scores = np.where(seen, scores, -np.inf) before the softmax, seen as expected."
    return "Build the mask of absolute positions: i = np.arange(n)[:, None] + m - n and j = np.arange(m)[None]."


def _pairs(part: Part) -> str:
    if not part.expected:
        return "Leave the rotation out."
    half = len(part.expected)
    width = 2 * half
    distances = {second - first for first, second in part.expected}
    is_packed = {feature for pair in part.expected for feature in pair} == set(range(width))
    if is_packed and distances == {1} and half > 1:
        cut = f"x1, x2 = x[..., 0:{width}:2], x[..., 1:{width}:2]"
        return f"Pairs are neighbours: {cut}, and the result is put back in this order."
    if not is_packed or distances != {half}:
        listed = ", ".join(f"{one} with {two}" for one, two in part.expected[:MAX_PAIRS])
        more = " and so on" if half > MAX_PAIRS else ""
        return f"Rotate feature {listed}{more}; the other features stay as they are."
    if set(part.measured) < set(part.expected):
        return f"Rotate {width} features of each head here, and not {2 * len(part.measured)}."
    return f"Of {width} features d pairs with d + {half}: x1, x2 = np.split(x[..., :{width}], 2, axis=-1)."


def _mass(part: Part) -> str:
    if np.max(part.expected) < 1 - SMALL:
        return (
            "e = np.exp(scores - top), and weights = e / (e.sum(-1, keepdims=True) + np.exp(sink - top)), with the "
            "largest score of each row as top."
        )
    if filled_block(part):
        return (
            "Mask the keys that fill the block: scores = np.where(np.arange(scores.shape[-1]) < m, scores, -np.inf) "
            "before the softmax, for m keys that are given."
        )
    return "weights = e / e.sum(-1, keepdims=True) for every query, with e and its sum in float32."


def _curve(part: Part) -> str:
    head = (part.where.get("head") or (0,))[0]
    if part.expected[head] == "tanh":
        return "scores = cap * np.tanh(scores / cap), after the scale and before masks."
    if part.expected[head] != "line":
        return ""
    if part.measured[head] == "direction" or part.details["keys"][0] != part.details["keys"][1]:
        return "Take queries and keys as they are: the working has no norm of them."
    return "Leave scores as they are between the scale and the masks."


def _scale(part: Part) -> str:
    law = str(part.expected_law) if part.expected_law else ""
    if law == "1/sqrt(depth)":
        return "scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), once, with the features of one head."
    return f"scores = q @ k.swapaxes(-1, -2) * scale, with the scale {law}." if law else ""


REMEDIES: dict[str, str | Callable[[Part], str]] = {
    "computed heads": "Look at how the loop or grid over heads numbers them: each has to come once.",
    "computed columns": "Take every feature of a head: blocks of features have to cover the depth.",
    "keys seen": _seen,
    "pairs": _pairs,
    "scale": _scale,
    "key heads": "k = np.repeat(k, heads // groups, axis=1); in PyTorch k.repeat_interleave(heads // groups, dim=1).",
    "value heads": "v = np.repeat(v, heads // groups, axis=1); in PyTorch v.repeat_interleave(heads // groups, dim=1).",
    "positions": "positions = past + np.arange(n), and any offset of the spec, for new queries and for new keys alike.",
    "frequencies": "inv_freq = base ** (-np.arange(0, width, 2) / width), then the scaling of the config.",
    "position frequencies": "angle = pos[:, None] / 10000 ** (2 * np.arange(d // 2) / d), with the base of the spec.",
    "added positions": "Join all tokens first, then x = x + position[: x.shape[-2]].",
    "places": lambda part: part.details["fix"],
    "rotary tables": "Keep frequencies, angles, cosines and sines in float32; convert the rotated queries and keys.",
    "score curve": _curve,
    "running maximum": "f = np.exp(m_old - m_new); l = l * f + p.sum(-1); acc = acc * f[..., None] + p @ v.",
    "rounding": "Round only what is shown; carry all digits on.",
    "mass": _mass,
    "one half": lambda part: part.details["remedy"],
    "output heads": "Keep heads in the order of the queries' heads when they are split and joined.",
}
"""The remedies of parts. Parts without one are said by what is measured and expected."""
