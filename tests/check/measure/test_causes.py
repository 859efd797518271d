"""Causes that only words say have ids too, and one full explanation is not said to be a part of several."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Mlp, Norm, Rotary

from .block_pieces import attention, layer
from .pieces import causal, frequencies, joined, product, scaled, softmax, turned

QKV = ("query", "key", "value")
PADDED = (*QKV, "padding")
BLOCK = ("input", "attention.norm.gain", "attention.norm.bias", "attention.query.weight", "attention.key.weight",
         "attention.value.weight", "attention.output.weight", "mlp.norm.gain", "mlp.norm.bias", "mlp.up.weight",
         "mlp.output.weight")  # fmt: skip
PRE = Block(Attention(2), norm=Norm(), placement="pre", mlp=Mlp("relu")).working()


def seen_all(x):
    return x


def queries_alone_normed(x, g, b, wq, wk, wv, wo, g2, b2, w1, w2):
    n = layer(x, g, b)
    y = softmax(scaled(n[:, None] @ wq, x[:, None] @ wk)) @ (x[:, None] @ wv)
    x = x + np.swapaxes(y, 1, 2).reshape(*x.shape[:-1], -1) @ wo
    return x + np.maximum(layer(x, g2, b2) @ w1, 0) @ w2


def normed_residual_of_the_mlp(x, g, b, wq, wk, wv, wo, g2, b2, w1, w2):
    x = layer(x + attention(layer(x, g, b), wq, wk, wv, wo, seen_all), g2, b2)
    return x + np.maximum(x @ w1, 0) @ w2


def by_variance(x, gain):
    return x / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * gain


def padding_of_queries_opens(q, k, v, padding):
    seen = np.tril(np.ones((q.shape[-2], k.shape[-2]), bool)) & padding[:, None, :] | ~padding[:, :, None]
    return softmax(np.where(seen[:, None], scaled(q, k), -np.inf)) @ v


def padding_of_queries_filled(q, k, v, padding):
    seen = padding[:, None, :, None] & padding[:, None, None, :]
    return softmax(np.where(seen, scaled(q, k), -1e9)) @ v


def inverted(q, k, v, mask):
    return softmax(np.where(mask, -1e30, scaled(q, k))) @ v


def blocks_of_eight(q, k, v):
    more = -k.shape[-2] % 8
    k, v = (np.concatenate([x, np.zeros((*x.shape[:-2], more, x.shape[-1]))], -2) for x in (k, v))
    return softmax(scaled(q, k)) @ v


def twice_the_cache(q, k, v, pk, pv):
    at, f = 2 * pk.shape[-2] + np.arange(q.shape[-2]), frequencies(q.shape[-1])
    q, k = turned(q, at, f), turned(k, at, f)
    return softmax(causal(scaled(q, joined(pk, k)))) @ joined(pv, v)


CASES = {
    queries_alone_normed: (PRE, BLOCK, "mlp.residual", "step-reads:attention.key,attention.value", "read input"),
    normed_residual_of_the_mlp: (PRE, BLOCK, "mlp.residual", "residual-from-norm@mlp", "In mlp alone"),
    by_variance: (Block(Attention(2), norm=Norm("rms", eps=1e-6)).working(), ("residual", "norm.gain"), "norm",
                  "rms-by-variance", "does not subtract the mean"),
    padding_of_queries_opens: (Attention(3, causal=True, padding=True).working(), PADDED, "head",
                               "padding-over-queries", "they see all keys, and all others are right"),
    padding_of_queries_filled: (Attention(2, padding=True).working(), PADDED, "head", "padding-over-queries",
                                "The padding of keys counts for queries too: a fault in cross-attention"),
    inverted: (Attention(2, mask="boolean").working(), (*QKV, "mask"), "head", "mask-inverted", "mask"),
    blocks_of_eight: (Attention(2).working(), QKV, "head", "block-filled-unmasked", "added up to a multiple of 8"),
    twice_the_cache: (Attention(2, causal=True, cache=True, rotary=Rotary()).working(),
                      (*QKV, "past.key", "past.value"), "head", "rotary-positions", "twice the 4 tokens of the cache"),
}  # fmt: skip


@pytest.mark.parametrize("function", CASES, ids=lambda each: each.__name__)
def test_a_cause_in_words_has_a_stable_id(function):
    """The report says the cause in words, `Probe.causes` has its id, and nothing more is said to differ."""
    working, takes, returns, id, says = CASES[function]
    report = clearhead.probe(function, working, takes, returns)
    assert report.verdict == "explained", str(report)
    assert id in report.causes
    assert report.data()["causes"] == list(report.causes)
    assert says in str(report)
    assert "more part" not in str(report)


def test_the_causes_of_a_finding_are_its_deviations():
    """Where a deviation is found its ids are the causes."""
    report = clearhead.probe(lambda q, k, v: softmax(product(q, k)) @ v, Attention(2).working())
    assert report.causes == report.first.ids == ("scale-missing",)


def test_right_code_has_no_causes():
    """Code that agrees has none."""
    assert clearhead.probe(lambda q, k, v: softmax(scaled(q, k)) @ v, Attention(2).working()).causes == ()
