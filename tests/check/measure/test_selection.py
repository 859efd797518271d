"""Queries that choose among their keys are measured: how many are kept, by what, and what becomes of their weights."""

import numpy as np
import pytest

from clearhead import Attention, Rotary, measure
from clearhead.check.measure.wording import headline, lines

from .pieces import causal, rotary, scaled, softmax

PLAIN, MASKED = Attention(heads=2), Attention(heads=2, causal=True)


def largest(s, k):
    """Scores of all but the k largest of each row lowered to minus infinity."""
    return np.where(s >= np.sort(s, -1)[..., -min(k, s.shape[-1])][..., None], s, -np.inf)


def top_k(q, k, v):
    return softmax(largest(causal(scaled(q, k)), 3)) @ v


def top_k_before_the_mask(q, k, v):
    return softmax(causal(largest(scaled(q, k), 4))) @ v


def top_k_of_another_scale(q, k, v):
    return softmax(largest(1.7 * scaled(*rotary(q, k)), 3)) @ v


def top_half_without_a_new_sum(q, k, v):
    s = scaled(q, k)
    return np.where(np.isfinite(largest(s, max(1, s.shape[-1] // 2))), softmax(s), 0) @ v


def top_k_beside_a_sink(q, k, v, sink):
    e = np.exp(largest(scaled(q, k), 3))
    return e / (e.sum(-1, keepdims=True) + np.exp(sink)[:, None, None]) @ v


def top_p(q, k, v):
    w = softmax(scaled(q, k))
    order = np.argsort(-w, -1)
    sums = np.cumsum(np.take_along_axis(w, order, -1), -1)
    keep = np.take_along_axis(np.pad(sums[..., :-1], [(0, 0)] * 3 + [(1, 0)]) < 0.9, np.argsort(order, -1), -1)
    w = np.where(keep, w, 0)
    return w / w.sum(-1, keepdims=True) @ v


def small_weights_dropped(q, k, v):
    w = softmax(scaled(q, k))
    w = np.where(w > 0.1 * w.max(-1, keepdims=True), w, 0)
    return w / w.sum(-1, keepdims=True) @ v


def sparsemax(q, k, v):
    s = scaled(q, k)
    z = -np.sort(-s, -1)
    sums = np.cumsum(z, -1)
    kept = (1 + np.arange(1, s.shape[-1] + 1) * z > sums).sum(-1, keepdims=True)
    return np.maximum(s - (np.take_along_axis(sums, kept - 1, -1) - 1) / kept, 0) @ v


def argmax(q, k, v):
    s = scaled(q, k)
    return np.eye(s.shape[-1])[s.argmax(-1)] @ v


CASES = {
    top_k: (MASKED, "keeps the 3 keys with the largest scores alone (top-k, k = 3)"),
    top_k_before_the_mask: (MASKED, "Keys are chosen before the mask hides some"),
    top_k_of_another_scale: (Attention(heads=2, rotary=Rotary()), "Its scores are 1.7 times what they should be"),
    top_half_without_a_new_sum: (PLAIN, "keeps 0.5 of all keys"),
    top_k_beside_a_sink: (Attention(heads=2, sink=True), "(top-k, k = 3)"),
    top_p: (PLAIN, "until their sum reaches 0.9 (top-p)"),
    small_weights_dropped: (PLAIN, "whose weight is above 0.1 times the largest"),
    sparsemax: (PLAIN, "the sparsemax of its scores"),
    argmax: (PLAIN, "that with the largest score (argmax)"),
}


@pytest.mark.parametrize("function", CASES, ids=lambda each: each.__name__)
def test_a_choice_of_keys_is_said(function):
    """The choice gives all weights, and nothing else is said to differ."""
    spec, says = CASES[function]
    takes = ("query", "key", "value", "sink") if spec.sink else ("query", "key", "value")
    found = measure(function, spec.working(), takes)
    said = " ".join([headline(found), *lines(found)])
    assert (found.verdict, found.names) == ("explained", ("selection",)), said
    assert says in said


def test_numbers_that_are_not_finite_at_some_sizes_hide_no_other_part():
    """Where a threshold leaves no key at many tokens, both are said: NaN there, and the threshold."""

    def threshold(q, k, v):
        w = softmax(scaled(q, k))
        w = np.where(w > 0.05, w, 0)
        with np.errstate(invalid="ignore"):
            return w / w.sum(-1, keepdims=True) @ v

    found = measure(threshold, PLAIN.working())
    assert found.premise.name == "finite"
    assert found.names == ("selection",)
    assert (found.parts[0].measured.by, found.parts[0].measured.value) == ("weight", 0.05)
