"""What is measured of code with masks: padding of queries and keys, keys of filled blocks, scores of hidden keys."""

import re

import numpy as np
import pytest
import torch

import clearhead
from clearhead import Attention
from clearhead.check.measure.measure import measure
from clearhead.check.measure.wording import headline, lines

from .pieces import causal, product, scaled, softmax

pytestmark = pytest.mark.sweep(3)

PADDED = ("query", "key", "value", "padding")


def padded(change):
    """Attention of one example (head, token, depth), with scores that are changed before its padding is masked."""

    def function(q, k, v, padding):
        assert np.ndim(q) == 3
        return softmax(np.where(padding[None, None], change(scaled(q, k)), -np.inf)) @ v

    return function


@pytest.mark.parametrize("is_causal", [False, True])
def test_right_padding_of_one_example_at_a_time_agrees(is_causal):
    """Each item of a batch is measured under its own mask, where the function takes no batch."""
    function = padded(causal if is_causal else lambda s: s)
    report = clearhead.probe(function, Attention(heads=2, causal=is_causal, padding=True).working(), PADDED)
    assert report.verdict == "agrees", str(report)
    assert "one example at a time" in str(report)


@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_over_queries_as_well_is_said(is_causal):
    """Rows of NaN of queries whose own key is hidden come of a padding mask that is laid over queries too."""

    def function(q, k, v, padding):
        s = causal(scaled(q, k)) if is_causal else scaled(q, k)
        s = np.where((padding[..., None, :] & padding[..., :, None])[..., None, :, :], s, -np.inf)
        with np.errstate(all="ignore"):
            e = np.exp(s - s.max(-1, keepdims=True))
            return e / e.sum(-1, keepdims=True) @ v

    found = measure(function, Attention(heads=2, causal=is_causal, padding=True).working(), PADDED)
    assert found.verdict == "explained", headline(found)
    assert "whose own key is hidden" in headline(found)


def test_the_share_of_numbers_without_value_is_that_of_all_sizes():
    """How many numbers are NaN is said for all sizes, and not for one of them."""

    def function(q, k, v):
        out = softmax(scaled(q, k)) @ v
        out[..., :1, :] = np.nan
        return out

    said = headline(measure(function, Attention(heads=2).working()))
    assert " 0% " not in said, said
    assert "to 100% of the numbers" in said


def blocks(size):
    """Attention over keys that are filled with zeros up to a multiple of a block, and not masked."""

    def function(q, k, v):
        fill = [(0, 0)] * (np.ndim(k) - 2) + [(0, -np.shape(k)[-2] % size), (0, 0)]
        return softmax(scaled(q, np.pad(k, fill))) @ np.pad(v, fill)

    return function


@pytest.mark.parametrize("size", [3, 8])
def test_keys_of_a_filled_block_are_counted(size):
    """Empty slots whose number follows the number of keys are said by it, and not as a sink of one size."""
    said = "\n".join(lines(measure(blocks(size), Attention(heads=2).working())))
    assert f"{-5 % size} at 5" in said, said
    assert f"keys of zeros do, added up to a multiple of {size}" in said
    assert "as of sinks" not in said


def test_an_empty_slot_of_all_sizes_follows_no_number_of_keys():
    """A denominator with 2 more at every size is said to be that of sinks with a score of ln 2."""

    def function(q, k, v):
        e = np.exp(scaled(q, k))
        return e / (e.sum(-1, keepdims=True) + 2) @ v

    said = "\n".join(lines(measure(function, Attention(heads=2).working())))
    assert "as of sinks with scores ln 2" in said or "as of sinks with scores 0.693" in said, said
    assert "keys of zeros" not in said


def test_scores_that_follow_nothing_in_some_rows_alone_are_not_said_of_all():
    """Where scores of keys that should be hidden follow their query, they are not said to follow nothing."""

    def exchanged(q, k, v):
        s = scaled(q, k)
        return softmax(np.where(np.tril(np.ones(s.shape[-2:])) == 0, s, -1e9)) @ v

    said = "\n".join(lines(measure(exchanged, Attention(heads=2, causal=True).working())))
    assert "weights are those of zero scores" not in said, said
    assert "and follow them elsewhere" in said
    none = measure(lambda q, k, v: softmax(0 * product(q, k)) @ v, Attention(heads=2).working())
    assert "weights are those of zero scores" in headline(none)


def filled_wrongly(s):
    """Causal scores of which those that should be seen are replaced."""
    return np.where(np.tri(s.shape[-1], dtype=bool), -3e4, s)


def lowered_wrongly(s):
    """Scores with a bias of a window of 3, of which those that should be seen are lowered."""
    i, j = np.indices(s.shape[-2:])
    return s + np.where((j <= i) & (i - j < 3), np.finfo(np.float32).min, 0)


@pytest.mark.parametrize(
    ("spec", "change"),
    [(Attention(heads=3, causal=True), filled_wrongly), (Attention(heads=2, causal=True, window=3), lowered_wrongly)],
)
def test_a_mask_that_is_inverted_behind_a_finite_fill_is_said_first(spec, change):
    """A query that is left no key sees all behind a finite fill, and the mask is said to be inverted all the same."""
    report = clearhead.probe(lambda q, k, v: softmax(change(scaled(q, k))) @ v, spec.working())
    said = str(report).split("\n")
    assert said[0].startswith("It differs. The mask is inverted: queries"), said[0]
    assert "To fix it: Invert it: ~mask." in str(report)


def test_a_finite_fill_of_a_transposed_mask_is_not_said_to_be_inverted():
    """Queries that see themselves and later keys do not see the opposite of the causal mask."""

    def function(q, k, v):
        s = scaled(q, k)
        return softmax(np.where(np.tri(s.shape[-1], dtype=bool).T, s, -1e9)) @ v

    said = str(clearhead.probe(function, Attention(heads=2, causal=True).working()))
    assert "It differs. The mask is inverted: queries" not in said, said
    assert "Invert it" not in said, said


def test_the_remedy_of_filled_blocks_masks_the_keys_that_fill_them():
    """Keys that fill a block are to be masked; a sum that is otherwise off gets the general remedy."""
    working = Attention(heads=2).working()
    said = str(clearhead.probe(blocks(6), working))
    assert "To fix it: Mask the keys that fill the block" in said, said

    def halved(q, k, v):
        return softmax(scaled(q, k)) @ v / 2

    assert "fill the block" not in str(clearhead.probe(halved, working))

    def twice(q, k, v):
        """A key of zeros beside each key."""
        return softmax(scaled(q, np.concatenate([k, 0 * k], -2))) @ np.concatenate([v, 0 * v], -2)

    assert "fill the block" not in str(clearhead.probe(twice, working))


def nan_softmax(s):
    with np.errstate(all="ignore"):
        e = np.exp(s - s.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


BLIND = {
    "NaN": lambda s, seen: nan_softmax(np.where(seen, s, -np.inf)),
    "the mean of all values": lambda s, seen: softmax(np.where(seen, s, -1e30)),
    "": lambda s, seen: softmax(np.where(seen, s, -np.inf)),
}


@pytest.mark.parametrize("gets", BLIND)
@pytest.mark.parametrize("kind", ["boolean", "padding"])
def test_what_a_query_without_keys_gets_is_said(gets, kind):
    """Such rows are tried, and the report of right code says what they get where it is not 0."""

    def function(q, k, v, mask):
        return BLIND[gets](scaled(q, k), mask if kind == "boolean" else mask[:, None, None]) @ v

    spec = Attention(3, padding=True) if kind == "padding" else Attention(3, mask="boolean")
    report = clearhead.probe(function, spec.working(), (*PADDED[:3], "padding" if kind == "padding" else "mask"))
    assert report.verdict == "agrees", str(report)
    assert (f"gets {gets}" in str(report)) == bool(gets)
    assert ("A query that sees no key" in str(report)) == bool(gets)


def test_what_pytorch_does_with_a_query_without_keys_is_as_the_report_says():
    """SDPA gives 0, and a softmax of minus infinity NaN; MultiheadAttention too where it returns weights."""
    x, seen = torch.randn(1, 3, 4, generator=torch.manual_seed(0)), torch.ones(3, 3, dtype=torch.bool)
    seen[1] = False
    assert not torch.nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=seen)[0, 1].any()
    assert torch.softmax(torch.full((3,), -torch.inf), 0).isnan().all()
    module = torch.nn.MultiheadAttention(4, 1, batch_first=True)
    assert module(x, x, x, attn_mask=~seen)[0][0, 1].isnan().all()


def test_the_queries_that_get_no_numbers_are_named():
    """lablup/mlxcel#405: keys are cut to the last window, so the first queries see none."""

    def function(q, k, v):
        start = max(0, k.shape[-2] - 4)
        i, j = np.arange(q.shape[-2])[:, None], np.arange(start, k.shape[-2])
        with np.errstate(invalid="ignore"):
            return (
                nan_softmax(np.where((j <= i) & (j > i - 4), scaled(q, k[..., start:, :]), -np.inf)) @ v[..., start:, :]
            )

    report = clearhead.probe(function, Attention(2, causal=True, window=4).working())
    assert re.search(r"numbers of head are NaN: all those of \w+ 0, 1\.", str(report)), str(report)


@pytest.mark.parametrize("floor", [-1e3, -3e4])
def test_rows_of_low_scores_that_vanish_are_said(floor):
    """A running maximum that starts at a finite number gives 0 where all scores of a row are far below it."""

    def function(q, k, v):
        s = scaled(q, k)
        e = np.exp(s - np.maximum(s.max(-1, keepdims=True), floor))
        total = e.sum(-1, keepdims=True)
        return e / np.where(total > 0, total, 1) @ v

    report = clearhead.probe(function, Attention(2).working())
    assert report.verdict == "explained", str(report)
    assert "Outputs are 0 where all scores of a query are below about" in str(report)


def test_a_fill_near_0_is_told_from_a_product_with_the_mask():
    """1e-9, meant as -1e9, is measured in double precision; scores times the mask are 0."""
    working, takes = Attention(2, mask="boolean").working(), (*PADDED[:3], "mask")
    filled = clearhead.probe(lambda q, k, v, m: softmax(np.where(m, scaled(q, k), 1e-9)) @ v, working, takes)
    times = clearhead.probe(lambda q, k, v, m: softmax(scaled(q, k) * m) @ v, working, takes)
    assert filled.first.parameters == {"mask-filled": {"fill": 1e-9}}
    assert times.first.ids == ("mask-multiplied",)


def test_padding_on_queries_with_a_finite_fill_is_not_called_a_product():
    """Where a fill hides all keys of a row any finite number does the same: the fill comes first."""

    def function(q, k, v, padding):
        return softmax(np.where(padding[:, None, :, None], scaled(q, k), -1e9)) @ v

    report = clearhead.probe(function, Attention(2, padding=True).working(), PADDED)
    assert set(report.first.ids) == {"padding-on-queries", "mask-filled"}
