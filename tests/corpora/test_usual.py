"""What the bench compares a corpus with computes the same statistics: real MiniLM, by Transformers and by clearhead."""

import numpy as np
import pytest
import torch
import transformers
from bench.models import MINILM, model_of
from bench.usual import OneByOne, Usual

from clearhead.corpora.exact import BITS, SQUARE_BITS, edges, value_of
from clearhead.corpora.observer import Observer
from clearhead.corpora.options import Options
from clearhead.corpora.sequences import Sequence
from clearhead.corpora.tally import Tally
from clearhead.models import load

LENGTHS = (20, 47, 33, 64)


@pytest.fixture(scope="module", params=[Usual, OneByOne])
def both(request):
    """Both on four texts of few different tokens, so that some repeat: the fast usual way in batches of two."""
    observer, tally = Observer(load(MINILM), Options(length=64)), Tally()
    rng = np.random.default_rng(4)
    texts = [tuple(rng.integers(1000, 1012, count).tolist()) for count in LENGTHS]
    observer.add(tally, [Sequence(n, n, "", text) for n, text in enumerate(texts)])
    usual = request.param(model_of(MINILM, transformers, torch), 64, observer.classes, edges())
    usual.add(texts, batch=2)
    return tally, usual


def test_sums_and_squares_are_the_same(both):
    """By document and by position, of each measure."""
    tally, usual = both
    cuts = {f"{cut}:{place:02}" for cut, place in usual.sums}
    assert cuts == {*tally["sums"]}
    assert len(cuts) == 4 + 7
    for (cut, place), sums in usual.sums.items():
        label = f"{cut}:{place:02}"
        np.testing.assert_allclose(value_of(tally["sums"][label]), sums, rtol=1e-4, atol=2e-3)
        assert tally["counts"][label][2] == usual.tokens[cut, place]
    np.testing.assert_allclose(value_of(tally["squares"][""], SQUARE_BITS), usual.squares, rtol=1e-4, atol=2e-3)


def test_counts_in_bins_are_the_same(both):
    """But for values so near an edge that rounding decides: at most one in 2,000."""
    tally, usual = both
    found = tally["histogram"][""]
    assert found.shape == usual.histogram.shape
    assert found.sum() == usual.histogram.sum() == 6 * 3 * 12 * sum(LENGTHS)
    assert abs(found - usual.histogram).sum() <= found.sum() / 1000


def test_typical_documents_and_pairs_are_the_same(both):
    """The documents with the largest means, and the pairs of tokens that attract most: names and numbers."""
    tally, usual = both
    value, number = np.moveaxis(tally["typical"][""], -1, 0)
    np.testing.assert_allclose(value * 2.0**-BITS, usual.typical[0], atol=1e-5)
    assert (number == usual.typical[1]).mean() > 0.999
    for layer, head in np.ndindex(6, 12):
        kept = [(q, k, w * 2.0**-BITS) for w, q, k in tally["pairs"][""][layer, head].tolist() if w]
        theirs = usual.strongest(layer, head)
        np.testing.assert_allclose([w for *_, w in kept], [w for *_, w in theirs], atol=1e-5)
        apart = {(q, k) for q, k, w in kept} ^ {(q, k) for q, k, w in theirs}
        assert len(apart) <= 2  # of two equal weights at the end of the list either may be kept
