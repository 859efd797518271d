"""Functions that keep something between calls are told from right ones, from random ones, and from each other."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Rotary, measure

from .pieces import causal, frequencies, joined, scaled, softmax, turned

QKV = ("query", "key", "value")


class Before:
    """Uses the cached keys of the call before, where these have the same shape."""

    def __init__(self):
        self.kept = None

    def __call__(self, q, k, v, pk, pv):
        old = self.kept if self.kept is not None and self.kept.shape == pk.shape else pk
        self.kept = pk
        return softmax(causal(scaled(q, joined(old, k)))) @ joined(pv, v)


class First:
    """Keeps the values of the first call of each shape."""

    def __init__(self):
        self.kept = {}

    def __call__(self, q, k, v):
        return softmax(scaled(q, k)) @ self.kept.setdefault(v.shape, v.copy())


class Kept:
    """Puts keys and values behind those of all calls before."""

    def __init__(self):
        self.kept = {}

    def __call__(self, q, k, v):
        old = self.kept.get(k.shape)
        k, v = (k, v) if old is None else (joined(old[0], k), joined(old[1], v))
        self.kept[q.shape] = (k, v)
        return softmax(causal(scaled(q, k))) @ v


class Counted:
    """Rotates queries from where the call before ended."""

    def __init__(self):
        self.past = 0

    def __call__(self, q, k, v):
        f, n = frequencies(q.shape[-1]), q.shape[-2]
        s = scaled(turned(q, self.past + np.arange(n), f), turned(k, np.arange(n), f))
        self.past += n
        return softmax(causal(s)) @ v


class Shuffled:
    """Adds a number that counts calls to the scores of the first key."""

    def __init__(self):
        self.calls = 0

    def __call__(self, q, k, v):
        self.calls += 1
        s = scaled(q, k)
        s[..., 0] *= 1 + self.calls
        return softmax(s) @ v


CACHED = Attention(heads=2, causal=True, cache=True)


@pytest.mark.parametrize(("kept", "spec", "kind", "of"), [
    (Before, CACHED, "before", ("past.key",)),
    (First, Attention(heads=3), "first", ("value",)),
    (Kept, Attention(heads=2, causal=True), "kept", ("value",)),
    (Counted, Attention(heads=2, causal=True, rotary=Rotary()), "counts", ("query", "key")),
    (Shuffled, Attention(heads=2), "scores", ("query", "key")),
])  # fmt: skip
def test_what_is_kept_between_calls_is_named(kept, spec, kind, of):
    """The kind of memory and its arrays are said, and no number that follows from it is taken for a part."""
    takes = (*QKV, "past.key", "past.value") if spec.cache else QKV
    report = clearhead.probe(kept(), spec.working(), takes)
    found = report.measured
    assert found.premise.name == "remembers"
    assert (found.premise.found["kind"], found.premise.found["of"]) == (kind, of)
    assert report.verdict == ("unexplained" if kind == "scores" else "explained")
    assert "depends on calls before" in str(report)
    assert not report.findings


def test_a_block_that_keeps_tokens_is_said_to():
    """A projection of the tokens of the call before is found in a block as well."""
    kept = []

    def output(x, wq, wk, wv, wo):
        kept.append(x)
        old = kept[-2] if len(kept) > 1 and kept[-2].shape == x.shape else x
        y = softmax(scaled(x[:, None] @ wq, old[:, None] @ wk)) @ (x[:, None] @ wv)
        return np.swapaxes(y, 1, 2).reshape(*x.shape[:-1], -1) @ wo

    takes = ("input", "query.weight", "key.weight", "value.weight", "output.weight")
    found = measure(output, Block(Attention(heads=2)).working(), takes, "output")
    assert found.premise.found == {"kind": "before", "of": ("input",)}


def test_chance_is_no_memory():
    """Noise, which differs from call to call, is not said to remember anything."""
    rng = np.random.default_rng(0)

    def shaken(q, k, v):
        return softmax(scaled(q, k)) @ v + 0.1 * rng.normal(size=v.shape)

    report = clearhead.probe(shaken, Attention(heads=2).working())
    assert report.verdict == "unexplained"
    assert "calls before" not in str(report)
    assert "Turn dropout off" in str(report)


def test_a_table_that_is_kept_rightly_is_no_memory():
    """Angles that are kept for the next call, and used where they are due, leave a function right."""
    tables = {}

    def right(q, k, v):
        f, n = frequencies(q.shape[-1]), q.shape[-2]
        at = tables.setdefault(n, np.arange(n))
        return softmax(causal(scaled(turned(q, at, f), turned(k, at, f)))) @ v

    assert clearhead.probe(right, Attention(heads=2, causal=True, rotary=Rotary()).working()).verdict == "agrees"
