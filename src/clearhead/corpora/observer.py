"""Runs sequences through the model, and adds whole numbers for each to a tally.

Neighbouring sequences are read together, in one thread, in a way in which the numbers of each depend only on itself
(see `clearhead.models.together`); where the model does not allow that, one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Sequence_
from contextlib import suppress
from functools import cached_property

import numpy as np
from msgspec import Struct

from clearhead.budgets import MAX_GROUPS
from clearhead.corpora.exact import BINS, SQUARE_BITS, Integers, Numbers, bins_of, fixed, pair_of
from clearhead.corpora.groups import as_label
from clearhead.corpora.measures import Measure, edges_of, read, rows_of, values
from clearhead.corpora.options import Options
from clearhead.corpora.sequences import Failed, Sequence
from clearhead.corpora.strongest import PAIRS, pairs_of, strongest_pairs
from clearhead.corpora.tally import NOWHERE, TYPICAL, Tally
from clearhead.errors import ClearheadError, SpecError
from clearhead.models import Encoded, Model
from clearhead.models.inputs import inputs_of
from clearhead.models.together import NotTogether, Together
from clearhead.models.walking import Asked, Run

MIN_TYPICAL = 16
"""Sequences of fewer tokens are not used as examples for a head."""

LOGITS = 1 << 23
"""Logits that are held at once. They are of one text, so that its numbers do not depend on its neighbours."""

PACK = 1024
"""Tokens that are read together: with fewer, a call takes longer than its work."""

WORDPIECE = "##"
"""WordPiece's prefix of tokens that continue a word; other tokenizers write a space before tokens that start one."""


class Observed(Struct, frozen=True, eq=False):
    """What is known of one sequence.

    Attributes:
        sums: of each measure by position (position, layer, measure, head), in units.
        squares: of each measure (layer, measure, head), in units.
        pairs: the strongest (layer, head, pair, 3).
        loss: [the sum over tokens in units, how many tokens]; empty if it was not requested.
    """

    sums: Integers
    squares: Integers
    pairs: Integers
    loss: Integers


class Found(Struct, frozen=True, eq=False):
    """What is known of sequences that were read together.

    Attributes:
        each: what is known of each of them.
        counts: of the values of all of them in bins (layer, measure, head, bin), which are too many to have for each.
    """

    each: list[Observed]
    counts: Integers


class Observer:
    """A model, and its measures.

    Raises:
        SpecError: the model reads images, or has no logits for the requested loss.
    """

    def __init__(self, model: Model, options: Options) -> None:
        self.model, self.options = model, options
        self.rows = rows_of(options)
        self.binned = [n for n, row in enumerate(self.rows) if row.quantiles]
        self.typical = typical_rows(self.rows)
        self.obstacle = NotTogether("array code is asked for.") if model.engine == "array" else None
        if model.reads_images:
            raise SpecError(f"{model.path}: a corpus has texts, and this model reads images.")
        if any(block.attention.delta for block in model.spec.layers):
            raise SpecError(f"{model.path}: a corpus is for weights of a softmax, and some layers have none.")
        if options.loss and not (model.causal and "logits" in model.working().names):
            raise SpecError(f"{model.path}: the model predicts no next token, so there is no loss. Leave loss out.")

    def add(self, tally: Tally, sequences: Iterable[Sequence | Failed]) -> None:
        """Adds sequences to a tally; one on which the model fails is listed with the reason."""
        for pack in packs(sequences):
            if isinstance(pack, Failed):
                tally.add("failed", pack.fault, [pack.number])
                continue
            for some, found in self._found(pack):
                if isinstance(found, ClearheadError):
                    tally.add("failed", str(found), some[0].numbers)
                    continue
                for each, observed in zip(some, found.each, strict=True):
                    self._into(tally, each, observed)
                _add_together(tally, some, found)

    def _found(self, pack: list[Sequence]) -> Iterator[tuple[list[Sequence], Found | ClearheadError]]:
        """The numbers of all; where the model fails on one of them, those of each by itself, or why there are none."""
        texts = [np.asarray(each.ids, np.int64) for each in pack]
        if len(texts) > 1:
            with suppress(ClearheadError):
                yield pack, self.observe(texts)
                return
        for sequence, ids in zip(pack, texts, strict=True):
            try:
                yield [sequence], self.observe([ids])
            except ClearheadError as error:
                yield [sequence], error

    def observe(self, texts: Sequence_[Integers]) -> Found:
        """The numbers of the model on sequences of tokens, which do not depend on one another.

        Raises:
            ClearheadError: the model cannot read one of them, or gives NaN or infinities.
        """
        run, ids = self._run(texts), np.concatenate(texts)
        ends = np.cumsum([len(each) for each in texts])
        begins = ends - [len(each) for each in texts]
        starts = [begin + positions(len(each)) for begin, each in zip(begins, texts, strict=True)]
        known = read(ids, begins, self.classes)
        sums, squares, counts, best = [], [], [], []
        layers = self.model.sizes.layers
        for layer in range(layers):
            attended = run.layer(layer, count=layers, further=self.options.loss or layer + 1 < layers)
            found = values(attended, known)
            if not np.isfinite(found).all():
                raise ClearheadError(f"layer {layer} gives numbers that are not finite")
            sums.append(np.add.reduceat(fixed(found), np.concatenate(starts), axis=-1))
            squares.append(np.add.reduceat(fixed(found.astype(np.float64) ** 2, SQUARE_BITS), begins, axis=-1))
            counts.append(_counted(found[self.binned]))
            top = attended.found.numbers
            best.append(np.stack([top[name][:, : len(ids), 0] for name in ("top_weights", "top_keys")], axis=-1))
        by_text = zip(
            texts, begins, ends,
            np.split(np.moveaxis(np.stack(sums), -1, 0), np.cumsum([len(each) for each in starts])[:-1]),
            np.moveaxis(np.stack(squares), -1, 0), strict=True,
        )  # fmt: skip
        strongest = np.stack(best)
        each = [
            Observed(sum_, square, pairs_of(strongest[:, :, begin:end], ids),
                     self._loss(run.hidden[begin:end], ids) if self.options.loss else np.empty(0, np.int64))
            for ids, begin, end, sum_, square in by_text
        ]  # fmt: skip
        return Found(each, np.stack(counts))

    def _run(self, texts: Sequence_[Integers]) -> Run:
        """The model on its way through its layers, with all texts at once where its lines allow it."""
        inputs = [inputs_of(self.model, Encoded(tuple(ids.tolist()), (0,) * len(ids), ())) for ids in texts]
        asked = Asked(1, edges_of(self.options))
        if self.obstacle is None:
            try:
                return Together(self.model, inputs, asked)
            except NotTogether as error:
                self.obstacle = error
        if len(inputs) > 1:
            raise self.obstacle
        return Run(self.model, inputs[0], asked, None)

    def _loss(self, hidden: Numbers, ids: Integers) -> Integers:
        """The loss of each next token, in nats: summed in units, and how many there are."""
        last = self.model.hidden[-1]
        lines = self.model.working().starting_at(last).ending_at("logits")
        rows, total = max(1, LOGITS // self.model.vocabulary), np.int64(0)
        for start in range(0, len(ids) - 1, rows):
            some = slice(start, min(start + rows, len(ids) - 1))
            given = {each.name: self.model.arrays.get(each.name, hidden[some]) for each in lines.givens}
            logits = lines.run(given, keep=("logits",), engine="array")["logits"]
            right = np.take_along_axis(logits, ids[some.start + 1 : some.stop + 1, None], -1)
            peak = logits.max(-1, keepdims=True)
            # Exponentials in single precision take a third of the time; only their sum would lose digits in it.
            whole = np.exp(logits - peak).sum(-1, dtype=np.float64)
            loss = np.log(whole) - (right - peak)[:, 0]
            if not np.isfinite(loss).all():
                raise ClearheadError("the logits are not finite")
            total += fixed(loss).sum()
        return np.array([total, len(ids) - 1])

    def _into(self, tally: Tally, sequence: Sequence, observed: Observed) -> None:
        """Adds what is known of a sequence under its fold and its group, and as an example."""
        whole, tokens = observed.sums.sum(0), len(sequence.ids)
        cuts = [f"fold:{sequence.fold:02}"]
        if self.options.group:
            cuts.append(f"group:{as_label(sequence.group)}")
            if len(tally.labelled("counts", "group")) > MAX_GROUPS:
                raise SpecError(
                    f"group={self.options.group} has more than {MAX_GROUPS} values. Name a column of fewer."
                )
        for cut in cuts:
            tally.add("counts", cut, [len(sequence.begun), 1, tokens])
            tally.add("sums", cut, pair_of(whole))
            if observed.loss.size:
                tally.add("loss", cut, pair_of(observed.loss))
        if sequence.unread:
            tally.add("unread", "", [1, sequence.unread])
        if tokens >= MIN_TYPICAL:
            tally.add("typical", "", _first(whole[:, self.typical] // tokens, sequence.number))

    @cached_property
    def classes(self) -> Numbers:
        """Which tokens of the vocabulary are of each class (class, token)."""
        names = self.model.names(range(self.model.vocabulary))
        patterns = [*_patterns(names), *(re.compile(each) for each in self.options.classes.values())]
        rows = [self._special(), *([pattern.search(name) is not None for name in names] for pattern in patterns)]
        return np.array(rows, bool)

    def _special(self) -> list[bool]:
        added = self.model.tokenizer.inner.get_added_tokens_decoder()
        special = {id for id, token in added.items() if token.special}
        return [id in special for id in range(self.model.vocabulary)]


def _add_together(tally: Tally, sequences: list[Sequence], found: Found) -> None:
    """Adds what is kept of all sequences, once for those that were read together."""
    longest = max(found.each, key=lambda each: len(each.sums)).sums
    sums = np.zeros_like(longest)
    counts = np.zeros((len(longest), 3), np.int64)
    for sequence, observed in zip(sequences, found.each, strict=True):
        places, tokens = len(observed.sums), len(sequence.ids)
        sums[:places] += observed.sums
        counts[:places] += [len(sequence.begun), 1, 0]
        counts[:places, 2] += np.diff(positions(tokens), append=tokens)
    for place, some in enumerate(sums):
        tally.add("counts", f"position:{place:02}", counts[place])
        tally.add("sums", f"position:{place:02}", pair_of(some))
    tally.add("squares", "", pair_of(np.sum([each.squares for each in found.each], axis=0)))
    tally.add("histogram", "", found.counts)
    pairs = np.concatenate([each.pairs for each in found.each], axis=-2)
    tally.add("pairs", "", strongest_pairs(pairs, PAIRS))


def packs(sequences: Iterable[Sequence | Failed]) -> Iterator[list[Sequence] | Failed]:
    """Neighbouring sequences that are read together: as many as have at most `PACK` tokens, or one."""
    pack: list[Sequence] = []
    tokens = 0
    for each in sequences:
        if isinstance(each, Failed):
            yield each
            continue
        if pack and tokens + len(each.ids) > PACK:
            yield pack
            pack, tokens = [], 0
        pack.append(each)
        tokens += len(each.ids)
    if pack:
        yield pack


def _counted(found: Numbers) -> Integers:
    """How many values lie in each bin (measure, head, bin)."""
    *lead, tokens = found.shape
    rows = int(np.prod(lead))
    bins = bins_of(found).reshape(rows, tokens) + np.arange(rows)[:, None] * BINS
    return np.bincount(bins.ravel(), minlength=rows * BINS).reshape(*lead, BINS)


def _patterns(names: Iterable[str]) -> Iterator[re.Pattern[str]]:
    """Patterns of tokens that are only punctuation, and of tokens inside words, in a vocabulary."""
    yield re.compile(rf"^\s*(?:{WORDPIECE})?[^\w\s]+$")
    pieces = any(name.startswith(WORDPIECE) and len(name) > len(WORDPIECE) for name in names)
    yield re.compile(rf"^{WORDPIECE}\w" if pieces else r"^[^\W\d_]")


def typical_rows(rows: tuple[Measure, ...]) -> list[int]:
    """The numbers of the measures for which documents are remembered."""
    return [n for n, row in enumerate(rows) if row.typical]


def positions(tokens: int) -> Integers:
    """The first position of each bin: the first token, the next, the next two, the next four ..."""
    return np.array([0, *(2**power for power in range(max(0, (tokens - 1).bit_length())))], np.int64)


def _first(means: Integers, number: int) -> Integers:
    """A list of the best documents, with one document."""
    found = np.full((*means.shape, TYPICAL, 2), NOWHERE, np.int64)
    found[..., 0, 0], found[..., 0, 1] = means, number
    return found
