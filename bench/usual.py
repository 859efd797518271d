"""What `clearhead.corpora` keeps of each document, the usual way: Transformers' stored weights, and NumPy.

Written to be fast within that way: documents of similar lengths in a batch where that is faster, one product for all
sums of weights over patterns, float32 until sums over tokens, which are float64. A test compares it with a corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

Numbers = np.ndarray[Any, Any]

SINKS, TYPICAL, PAIRS, FOLDS = 4, 3, 8, 32
BINNED, REMEMBERED = (0, 1, 7), (1, 2, 4, 5, 6)
"""The measures whose values are counted in bins, and those for which documents are remembered."""


class Usual:
    """Statistics of the attention of a model of Transformers, over texts of up to ``length`` tokens.

    Attributes:
        sums: by fold and by position the sums of each measure (layer, measure, head), under ``("fold", 3)``.
        tokens: how many there are of each.
        squares: the sums of squares (layer, measure, head).
        histogram: counts of the values of `BINNED` in bins (layer, measure, head, bin).
        typical: the largest means over one text, of `REMEMBERED` (layer, measure, head, rank), and the texts' numbers.
        pairs: for each (layer, head, query token, key token) the largest sum of weights in one text.
    """

    def __init__(self, model: Any, length: int, classes: Numbers, bins: Numbers) -> None:
        self.model, self.classes, self.bins = model, classes, bins
        self.edges = [0, *(2**power for power in range(max(1, (length - 1).bit_length()))), 1 << 30]
        self.sums: dict[tuple[str, int], Any] = defaultdict(float)
        self.tokens: dict[tuple[str, int], int] = defaultdict(int)
        self.squares: Any = 0.0
        self.histogram: Any = 0
        self.typical: tuple[Numbers, Numbers] | None = None
        self.pairs: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)

    def forward(self, texts: Sequence[Sequence[int]], *, attentions: bool = True) -> list[Numbers]:
        """The model on a batch of texts, and the weights of each layer (text, head, query, key)."""
        count = max(map(len, texts))
        ids = np.array([[*text, *[0] * (count - len(text))] for text in texts])
        there = np.arange(count) < np.array([len(text) for text in texts])[:, None]
        mask = None if there.all() else torch.tensor(there.astype(np.int64))
        with torch.inference_mode():
            found = self.model(torch.tensor(ids), attention_mask=mask, output_attentions=attentions).attentions
        return [each.numpy() for each in found or ()]

    def add(self, texts: Sequence[Sequence[int]], *, first: int = 0, batch: int = 1) -> None:
        """Adds texts, the ``first`` of which has this number; ``batch`` of them are read at once."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for start in range(0, len(texts), batch):
            some = order[start : start + batch]
            layers = self.forward([texts[each] for each in some])
            for place, number in enumerate(some):
                ids = np.asarray(texts[number])
                self._add_one([each[place, :, : len(ids), : len(ids)] for each in layers], ids, first + number)

    def _add_one(self, layers: Sequence[Numbers], ids: Numbers, number: int) -> None:
        patterns, classes = self._patterns(ids), self.classes[:, ids]
        starts = np.array([0, *(2**power for power in range(max(0, (len(ids) - 1).bit_length())))])
        measures = np.stack([self._measures(layer, each, ids, patterns, classes) for layer, each in enumerate(layers)])
        sums = np.add.reduceat(measures, starts, axis=-1, dtype=np.float64)
        for place, count in enumerate(np.diff(starts, append=len(ids)).tolist()):
            self.sums["position", place] += sums[..., place]
            self.tokens["position", place] += count
        whole = sums.sum(-1)
        self.sums["fold", number % FOLDS] += whole
        self.tokens["fold", number % FOLDS] += len(ids)
        self.squares = self.squares + np.einsum("lmht,lmht->lmh", measures, measures, dtype=np.float64)
        self.histogram = self.histogram + self._counted(measures[:, BINNED])
        self._remember(whole[:, REMEMBERED] / len(ids), number)

    def _patterns(self, ids: Numbers) -> Numbers:
        """What weights are summed over: bands of distance, equal tokens, tokens behind these (query, key, pattern)."""
        far = np.abs(np.subtract.outer(np.arange(len(ids)), np.arange(len(ids))))
        equal = np.tril(ids[:, None] == ids, -1)
        after = np.tril(np.roll(equal, 1, axis=1))
        after[:, 0] = False
        bands = [(low <= far) & (far < high) for low, high in pairwise(self.edges)]
        return np.stack([equal, after, *bands], axis=-1).astype(np.float32)

    def _measures(self, layer: int, weights: Numbers, ids: Numbers, patterns: Numbers, classes: Numbers) -> Numbers:
        """All measures (measure, head, token)."""
        entropy = -np.einsum("hqk,hqk->hq", weights, np.log(np.maximum(weights, np.float32(1e-38))))
        key = weights.argmax(-1)
        largest = np.take_along_axis(weights, key[..., None], -1)[..., 0]
        own = np.diagonal(weights, axis1=-2, axis2=-1)
        before = np.pad(np.diagonal(weights, -1, axis1=-2, axis2=-1), ((0, 0), (1, 0)))
        equal, after, *bands = np.matmul(weights.transpose(1, 0, 2), patterns).transpose(2, 1, 0)
        received = weights.sum(-2)
        self._attract(layer, largest, key, ids)
        sink = weights[..., :SINKS].sum(-1)
        return np.stack([
            entropy, sink, largest, own, before, equal, after, received, *bands, *(received * classes[:, None])
        ])  # fmt: skip

    def _attract(self, layer: int, largest: Numbers, key: Numbers, ids: Numbers) -> None:
        """Keeps the pairs of tokens that attract most, by head."""
        head, query = np.nonzero((key >= SINKS) & (key != np.arange(len(ids))))
        pair = (head * len(self.classes[0]) + ids[query]) * len(self.classes[0]) + ids[key[head, query]]
        pairs, place = np.unique(pair, return_inverse=True)
        sums = np.bincount(place, largest[head, query])
        owner = pairs // len(self.classes[0]) ** 2
        best = np.lexsort((-sums, owner))
        rank = np.arange(len(best)) - np.searchsorted(owner[best], owner[best])
        for each in best[rank < PAIRS].tolist():
            kept = self.pairs[layer, int(owner[each])]
            name = int(pairs[each] % len(self.classes[0]) ** 2)
            kept[name] = max(kept.get(name, 0.0), float(sums[each]))

    def _counted(self, values: Numbers) -> Numbers:
        rows, count = values.reshape(-1, values.shape[-1]), len(self.bins) - 1
        found = np.searchsorted(self.bins[1:-1], rows, side="right") + np.arange(len(rows))[:, None] * count
        return np.bincount(found.ravel(), minlength=len(rows) * count).reshape(*values.shape[:-1], count)

    def _remember(self, means: Numbers, number: int) -> None:
        both = means[..., None], np.full((*means.shape, 1), number)
        if self.typical is not None:
            both = np.append(self.typical[0], both[0], axis=-1), np.append(self.typical[1], both[1], axis=-1)
        best = np.argsort(-both[0], axis=-1, kind="stable")[..., :TYPICAL]
        self.typical = np.take_along_axis(both[0], best, -1), np.take_along_axis(both[1], best, -1)

    def strongest(self, layer: int, head: int) -> list[tuple[int, int, float]]:
        """The pairs of a head (query token, key token, weight), the strongest first."""
        found = sorted(self.pairs[layer, head].items(), key=lambda each: -each[1])[:PAIRS]
        return [(*divmod(name, len(self.classes[0])), weight) for name, weight in found]


class OneByOne(Usual):
    """The same statistics as scripts mostly take them: document by document, each by a NumPy expression of its own.

    Such are the notebook of Clark et al. (github.com/clarkkev/attention-analysis) and scripts after it: a loop over
    documents, and for each statistic the maps of all heads times a mask, summed. Nothing in it is slow on purpose.
    """

    def add(self, texts: Sequence[Sequence[int]], *, first: int = 0, batch: int = 1) -> None:  # noqa: ARG002
        """Adds texts, the ``first`` of which has this number, one by one."""
        for number, text in enumerate(texts, first):
            self._add_one([each[0] for each in self.forward([text])], np.asarray(text), number)

    def _measures(self, layer: int, weights: Numbers, ids: Numbers, patterns: Numbers, classes: Numbers) -> Numbers:
        equal, after, *bands = ((weights * each).sum(-1) for each in np.moveaxis(patterns, -1, 0))
        key, largest, received = weights.argmax(-1), weights.max(-1), weights.sum(-2)
        self._attract(layer, largest, key, ids)
        before = np.pad(np.diagonal(weights, -1, axis1=-2, axis2=-1), ((0, 0), (1, 0)))
        own = np.diagonal(weights, axis1=-2, axis2=-1)
        entropy = -(weights * np.log(weights + np.float32(1e-12))).sum(-1)
        return np.stack([
            entropy, weights[..., :SINKS].sum(-1), largest, own, before, equal, after, received, *bands,
            *(received * each for each in classes),
        ])  # fmt: skip
