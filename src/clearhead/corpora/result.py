"""The results of a corpus: numbers of every head, with intervals, for the finished shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead.corpora.documents import documents, pieces_of
from clearhead.corpora.exact import BITS, SQUARE_BITS, Numbers, quantile, value_of
from clearhead.corpora.groups import group_of
from clearhead.corpora.measures import Measure, names_of, rows_of
from clearhead.corpora.observer import positions, typical_rows
from clearhead.corpora.plan import Plan
from clearhead.corpora.sequences import FOLDS
from clearhead.corpora.tally import NOWHERE, Tally
from clearhead.errors import UnknownName, suggest
from clearhead.extras import need

Cut = Literal["all", "position", "group"]
Library = Literal["arrow", "pandas", "polars"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

DRAWS, SEED = 1000, 20190801
"""Bootstrap samples, and what they are drawn with: the same for every corpus, so that two are compared in pairs."""

SHARES = (0.025, 0.975)
"""The ends of an interval of 95 %."""


class Example(Struct, frozen=True):
    """An example document for a head: its place, and the mean of the measure in it."""

    path: str
    number: int
    value: float


class Pair(Struct, frozen=True):
    """A pair of tokens, and how much one attends to the other.

    Attributes:
        query: the token that attends, as text.
        key: the token that it attends to.
        numbers: those of both tokens in the vocabulary.
        weight: the sum of its weights in one sequence, in that where it is largest; of each query only its largest
            weight counts, and neither the first four tokens nor the query itself.
    """

    query: str
    key: str
    numbers: tuple[int, int]
    weight: float


class Corpus(Struct, frozen=True, eq=False, dict=True):
    """Statistics of a model's heads on many documents, made by `clearhead.corpus`.

    Attributes:
        plan: the model, the documents, how they are read, and the shards.
        tally: all counts and sums, as whole numbers.
        missing: the shards that are not finished.
    """

    plan: Plan
    tally: Tally
    missing: tuple[str, ...]

    def __repr__(self) -> str:
        documents, _, tokens = self.counts
        part = f", {len(self.missing)} of {len(self.plan.shards)} shards missing" if self.missing else ""
        return f"<Corpus of {self.plan.model}: {documents:,} documents, {tokens:,} tokens{part}>"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures, one row each."""
        return rows_of(self.plan.options)

    @property
    def empty(self) -> bool:
        """Whether there is nothing yet."""
        return not self.tally["counts"]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Documents, sequences and tokens that were read."""
        if self.empty:
            return 0, 0, 0
        documents, sequences, tokens = self.tally.whole("counts", "fold").tolist()
        return documents, sequences, tokens

    @property
    def unread(self) -> tuple[int, int]:
        """How many documents were cut, and how many of their tokens were left out."""
        documents, tokens = self.tally["unread"].get("", np.zeros(2, np.int64)).tolist()
        return documents, tokens

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know: how much was cut off, and whether sequences are longer than those of training."""
        length, trained = self.plan.options.length, self.plan.trained
        documents, tokens = self.unread
        found = []
        if documents:
            which = "1 document is" if documents == 1 else f"{documents:,} documents are"
            more = "1 token was" if tokens == 1 else f"{tokens:,} tokens were"
            found.append(f"{which} longer than {length:,} tokens: {more} cut off. fit=split reads all of them.")
        if trained is not None and length > trained:
            found.append(
                f"Sequences may have {length:,} tokens, and the model was trained on at most {trained:,} at once: "
                f"what it does behind these says little of how it works within them."
            )
        return tuple(found)

    @property
    def failed(self) -> dict[str, list[int]]:
        """The numbers of the documents that could not be read, by reason."""
        return {fault: numbers.tolist() for fault, numbers in sorted(self.tally["failed"].items())}

    @cached_property
    def _folds(self) -> tuple[Numbers, Numbers]:
        """The sums of each fold (fold, layer, measure, head), and its tokens (fold)."""
        sums = np.zeros((FOLDS, self.plan.layers, len(self.measures), self.plan.heads))
        tokens = np.zeros(FOLDS)
        for label, pair in self.tally.labelled("sums", "fold"):
            sums[int(label)] = value_of(pair)
            tokens[int(label)] = self.tally["counts"][f"fold:{label}"][2]
        return sums, tokens

    def _row(self, name: str) -> int:
        names = names_of(self.measures)
        if name not in names:
            raise UnknownName(f"measure: nothing is called {name!r}. {suggest(name, names)}")
        return names.index(name)

    def mean(self, name: str) -> Numbers:
        """The mean of the measure ``name`` over all tokens (layer, head); NaN where nothing was read.

        Raises:
            UnknownName: there is no such measure.
        """
        return self._means()[:, self._row(name)]

    def _means(self) -> Numbers:
        """All means (layer, measure, head): of the exact sums, not of the folds."""
        shape = self.plan.layers, len(self.measures), self.plan.heads
        if self.empty:
            return np.full(shape, np.nan)
        return value_of(self.tally.whole("sums", "fold")) / self.counts[2]

    def deviation(self, name: str) -> Numbers:
        """The standard deviation of the measure ``name`` over all tokens (layer, head)."""
        row, mean = self._row(name), self.mean(name)
        if self.empty:
            return mean
        square = value_of(self.tally["squares"][""], SQUARE_BITS)[:, row] / self.counts[2]
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))

    def quantiles(self, name: str) -> Numbers:
        """`QUANTILES` of the measure ``name`` over all tokens (quantile, layer, head); NaN where bins are not kept."""
        row = self._row(name)
        binned = [n for n, each in enumerate(self.measures) if each.quantiles]
        if self.empty or row not in binned:
            return np.full((len(QUANTILES), self.plan.layers, self.plan.heads), np.nan)
        counts = self.tally["histogram"][""][:, binned.index(row)]
        return np.stack([quantile(counts, share) for share in QUANTILES])

    def interval(self, name: str) -> Numbers:
        """The ends of the 95 % interval of the mean of ``name`` (end, layer, head), by bootstrap over documents.

        Documents are in folds by a hash of their text, and folds are drawn.
        """
        sums, tokens = self._folds
        drawn = draws(tokens > 0)
        return _ends(_means_of(sums[:, :, self._row(name)], tokens, drawn))

    def loss(self) -> tuple[float, float, float]:
        """The mean next-token loss in nats, and its interval; NaN where it was not requested."""
        if not self.tally["loss"]:
            return np.nan, np.nan, np.nan
        sums, counts = np.zeros(FOLDS), np.zeros(FOLDS)
        for label, pair in self.tally.labelled("loss", "fold"):
            sums[int(label)], counts[int(label)] = value_of(pair)[0], value_of(pair, 0)[1]
        low, high = _ends(_means_of(sums, counts, draws(counts > 0)))
        total = value_of(self.tally.whole("loss", "fold"))
        return float(total[0] / np.ldexp(total[1], BITS)), float(low), float(high)

    def examples(self, name: str, layer: int, head: int) -> tuple[Example, ...]:
        """The documents with the largest means of the measure ``name`` for ``head`` of ``layer``, the largest first.

        Raises:
            UnknownName: documents are not remembered for this measure, or there is no such head.
        """
        rows = typical_rows(self.measures)
        named = [self.measures[row].name for row in rows]
        if name not in named:
            raise UnknownName(f"measure: no documents are remembered for {name!r}. {suggest(name, named)}")
        if not (0 <= layer < self.plan.layers and 0 <= head < self.plan.heads):
            raise UnknownName(f"the model has {self.plan.layers} layers of {self.plan.heads} heads, counted from 0.")
        if "" not in self.tally["typical"]:
            return ()
        found = self.tally["typical"][""][layer, named.index(name), head]
        places = ((self.plan.place(int(number)), value) for value, number in found if number != NOWHERE)
        return tuple(Example(file.path, number, float(np.ldexp(value, -BITS))) for (file, number), value in places)

    def text(self, example: Example) -> str:
        """The text of an ``example``, read again from its file.

        Raises:
            FileError: the file is not there, or has changed.
        """
        file = next(each for each in self.plan.files if each.path == example.path)
        found = documents([pieces_of(file, example.number, example.number + 1)], self.plan.options)
        return next(each.text for each in found)

    def pairs(self, layer: int, head: int) -> tuple[Pair, ...]:
        """The pairs of tokens that attract most in ``head`` of ``layer``, the strongest first."""
        if "" not in self.tally["pairs"]:
            return ()
        names, found = self.plan.tokens, self.tally["pairs"][""][layer, head].tolist()
        return tuple(Pair(names[q], names[k], (q, k), weight * 2.0**-BITS) for weight, q, k in found if weight > 0)

    def table(self, by: Cut = "all", *, library: Library = "arrow") -> Any:
        """All numbers as a table: a row for each measure, layer and head, and for each position or group.

        Args:
            by: ``"all"`` has mean, deviation, interval and quantiles; ``"position"`` and ``"group"`` a mean for each
                bin of positions (named by its first) or group of documents (null for those without one).
            library: what makes the table: ``"arrow"``, ``"pandas"`` or ``"polars"``.

        Raises:
            UnknownName: there is no such cut or library.
            MissingPackage: the library is not installed.
        """
        if library not in ("arrow", "pandas", "polars"):
            raise UnknownName(f"library expects arrow, pandas or polars, got {library!r}.")
        if by not in ("all", "position", "group"):
            raise UnknownName(f"by expects all, position or group, got {by!r}.")
        arrow, columns = need("pyarrow", "corpus"), _columns(list(self._blocks(by)))
        if "group" in columns:
            columns["group"] = arrow.array(columns["group"].tolist(), arrow.string())
        table = arrow.table(columns)
        if library == "pandas":
            need("pandas", "corpus")
            return table.to_pandas()
        return need("polars", "corpus").from_arrow(table) if library == "polars" else table

    def _blocks(self, by: Cut) -> Iterator[dict[str, Any]]:
        """The columns of the table, a block for each measure and label."""
        heads = np.indices((self.plan.layers, self.plan.heads)).reshape(2, -1)
        fixed = {"layer": heads[0], "head": heads[1]}
        if by == "all":
            for row in self.measures:
                low, high = self.interval(row.name)
                quantiles = self.quantiles(row.name)
                numbers = {"mean": self.mean(row.name), "deviation": self.deviation(row.name), "low": low, "high": high}
                numbers |= {f"q{round(100 * share):02}": each for share, each in zip(QUANTILES, quantiles, strict=True)}
                yield {"measure": row.name, **fixed, **{name: each.ravel() for name, each in numbers.items()}}
            return
        for label, pair in self.tally.labelled("sums", by):
            documents, _, tokens = self.tally["counts"][f"{by}:{label}"]
            means = value_of(pair) / tokens
            value = group_of(label) if by == "group" else _first_of(int(label))
            named = {by: value, "documents": documents, "tokens": tokens}
            for number, row in enumerate(self.measures):
                yield {"measure": row.name, **named, **fixed, "mean": means[:, number].ravel()}


def _first_of(place: int) -> int:
    """The first position of a bin."""
    return int(positions(2**place)[place]) if place else 0


def _columns(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Blocks of columns below each other; a single value is repeated in each row of its block."""
    if not blocks:
        return {}
    rows = len(blocks[0]["layer"])
    return {
        name: np.concatenate([np.broadcast_to(np.asarray(block[name]), rows) for block in blocks]) for name in blocks[0]
    }


def draws(there: Numbers) -> Numbers:
    """How often each fold is in each bootstrap sample (sample, fold); only folds with documents are drawn."""
    return _draws(tuple(map(bool, there)))


@cache
def _draws(there: tuple[bool, ...]) -> Numbers:
    rng = np.random.Generator(np.random.PCG64(SEED))
    drawn = rng.random((DRAWS, FOLDS))
    count = sum(there)
    if not count:
        return np.zeros((DRAWS, FOLDS))
    chosen = np.flatnonzero(there)[(drawn[:, :count] * count).astype(np.int64)]
    return np.stack([np.bincount(each, minlength=FOLDS) for each in chosen]).astype(np.float64)


def _means_of(sums: Numbers, tokens: Numbers, drawn: Numbers) -> Numbers:
    """The mean in each bootstrap sample (sample, ...)."""
    with np.errstate(invalid="ignore"):
        total = np.einsum("sf,f...->s...", drawn, sums)
        return np.asarray(total / np.einsum("sf,f->s", drawn, tokens).reshape(-1, *[1] * (sums.ndim - 1)))


def _ends(means: Numbers) -> Numbers:
    return np.asarray(np.quantile(means, SHARES, axis=0))


def check_same_heads(model: str, shape: tuple[int, int], other: Corpus) -> None:
    """Checks that a model of this shape (layers, heads) can be compared with that of a corpus, head by head.

    Raises:
        UnknownName: that one has other layers and heads.
    """
    if shape != (theirs := (other.plan.layers, other.plan.heads)):
        raise UnknownName(
            f"head by head two models of one shape are compared; {model} has {shape[0]} layers of "
            f"{shape[1]} heads, {other.plan.model} has {theirs[0]} of {theirs[1]}."
        )


def differences(one: Corpus, two: Corpus, name: str) -> Mapping[str, Numbers]:
    """The difference of a measure between two corpora or models: two minus one, with a 95 % interval, (layer, head).

    The same folds are drawn from both, so documents in both are compared with themselves.

    Raises:
        UnknownName: the models have other layers and heads, or there is no such measure.
    """
    check_same_heads(one.plan.model, (one.plan.layers, one.plan.heads), two)
    parts = [(*each._folds, each._row(name)) for each in (one, two)]  # noqa: SLF001 - of this module
    drawn = draws(np.logical_or(*(tokens > 0 for _, tokens, _ in parts)))
    before, after = (_means_of(sums[:, :, row], tokens, drawn) for sums, tokens, row in parts)
    low, high = np.nanquantile(after - before, SHARES, axis=0)
    return {"difference": two.mean(name) - one.mean(name), "low": low, "high": high}
