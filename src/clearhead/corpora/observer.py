"""One sequence after the other through the model, and what is kept of each: whole numbers, added to a tally.

A sequence is read alone, in one thread. So its numbers depend on nothing but itself: not on what stands beside it in a
batch, nor on how many threads share a product.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
from msgspec import Struct

from clearhead.budgets import MAX_GROUPS
from clearhead.corpora.exact import BINS, SQUARE_BITS, Integers, Numbers, bins_of, fixed, pair_of
from clearhead.corpora.measures import Measure, edges_of, rows_of, values
from clearhead.corpora.options import Options
from clearhead.corpora.sequences import Failed, Sequence
from clearhead.corpora.strongest import pairs_of
from clearhead.corpora.tally import NOWHERE, TYPICAL, Tally
from clearhead.errors import ClearheadError, SpecError
from clearhead.models import Encoded, Model
from clearhead.models.inputs import inputs_of
from clearhead.models.surveying import Asked, Run

MIN_TYPICAL = 16
"""Sequences of fewer tokens are no examples of what a head does."""

LOSS_ROWS = 64
"""Tokens whose logits are held at once."""

WORDPIECE = "##"
"""What WordPiece writes before what goes on with a word; other tokenizers write a space before what does not."""


class Observed(Struct, frozen=True, eq=False):
    """What is known of one sequence.

    Attributes:
        sums: of each measure by position (position, layer, measure, head), in units.
        squares: of each measure (layer, measure, head), in units.
        counts: of values in bins (layer, measure, head, bin).
        pairs: the strongest (layer, head, pair, 3).
        loss: [the sum over tokens in units, how many tokens]; empty if it was not asked for.
    """

    sums: Integers
    squares: Integers
    counts: Integers
    pairs: Integers
    loss: Integers


class Observer:
    """A model, and what is measured of it.

    Raises:
        SpecError: the model reads images, or has no logits for the loss that is asked for.
    """

    def __init__(self, model: Model, options: Options) -> None:
        self.model, self.options = model, options
        self.rows = rows_of(options)
        self.binned = [n for n, row in enumerate(self.rows) if row.quantiles]
        self.typical = typical_rows(self.rows)
        if model.reads_images:
            raise SpecError(f"{model.path}: a corpus has texts, and this model reads images.")
        if options.loss and not (model.causal and "logits" in model.working().names):
            raise SpecError(f"{model.path}: the model predicts no next token, so there is no loss. Leave loss out.")

    def add(self, tally: Tally, sequences: Iterable[Sequence | Failed]) -> None:
        """Adds sequences to a tally; one on which the model fails is listed with the reason."""
        counted = -1
        for each in sequences:
            if isinstance(each, Failed):
                tally.add("failed", each.fault, [each.number])
                continue
            try:
                observed = self.observe(np.asarray(each.ids, np.int64))
            except ClearheadError as error:
                tally.add("failed", str(error), [each.number])
                continue
            self._into(tally, each, observed, documents=int(each.number != counted))
            counted = each.number

    def observe(self, ids: Integers) -> Observed:
        """What the model does on a sequence of tokens.

        Raises:
            ClearheadError: the model cannot read it, or gives what is no number.
        """
        encoded = Encoded(tuple(ids.tolist()), (0,) * len(ids), ())
        run = Run(self.model, inputs_of(self.model, encoded), Asked(1, edges_of(self.options)), None)
        starts = positions(len(ids))
        sums, squares, counts, best = [], [], [], []
        for layer in range(self.model.sizes.layers):
            attended = run.layer(layer, count=self.model.sizes.layers)
            found = values(attended, ids, self.classes[:, ids])
            if not np.isfinite(found).all():
                raise ClearheadError(f"layer {layer} gives numbers that are not finite")
            sums.append(np.add.reduceat(fixed(found), starts, axis=-1))
            squares.append(fixed(found.astype(np.float64) ** 2, SQUARE_BITS).sum(-1))
            counts.append(self._counted(found[self.binned]))
            top = attended.found.numbers
            best.append(np.stack([top["top_weights"][..., 0], top["top_keys"][..., 0]], axis=-1))
        return Observed(
            np.moveaxis(np.stack(sums), -1, 0), np.stack(squares), np.stack(counts), pairs_of(np.stack(best), ids),
            self._loss(run.hidden, ids) if self.options.loss else np.empty(0, np.int64),
        )  # fmt: skip

    @staticmethod
    def _counted(found: Numbers) -> Integers:
        rows = int(np.prod(found.shape[:-1]))
        bins = bins_of(found).reshape(rows, -1) + np.arange(rows)[:, None] * BINS
        return np.bincount(bins.ravel(), minlength=rows * BINS).reshape(*found.shape[:-1], BINS)

    def _loss(self, hidden: Numbers, ids: Integers) -> Integers:
        """The loss of each next token, in nats: summed in units, and how many there are."""
        last = self.model.hidden[-1]
        lines = self.model.working().starting_at(last).ending_at("logits")
        total = np.int64(0)
        for start in range(0, len(ids) - 1, LOSS_ROWS):
            some = slice(start, min(start + LOSS_ROWS, len(ids) - 1))
            given = {each.name: self.model.arrays.get(each.name, hidden[some]) for each in lines.givens}
            logits = lines.run(given, keep=("logits",), engine="array")["logits"].astype(np.float64)
            logits -= logits.max(-1, keepdims=True)
            right = np.take_along_axis(logits, ids[some.start + 1 : some.stop + 1, None], -1)[:, 0]
            loss = np.log(np.exp(logits).sum(-1)) - right
            if not np.isfinite(loss).all():
                raise ClearheadError("the logits are not finite")
            total += fixed(loss).sum()
        return np.array([total, len(ids) - 1])

    def _into(self, tally: Tally, sequence: Sequence, observed: Observed, documents: int) -> None:
        """Adds what is known of a sequence under its fold, its group and its positions."""
        whole, tokens = observed.sums.sum(0), len(sequence.ids)
        cuts = [f"fold:{sequence.fold:02}"]
        if self.options.group:
            cuts.append(f"group:{sequence.group}")
            if len(tally.labelled("counts", "group")) > MAX_GROUPS:
                raise SpecError(
                    f"group={self.options.group} has more than {MAX_GROUPS} values. Name a column of fewer."
                )
        for cut in cuts:
            tally.add("counts", cut, [documents, 1, tokens])
            tally.add("sums", cut, pair_of(whole))
            if observed.loss.size:
                tally.add("loss", cut, pair_of(observed.loss))
        ends = np.append(positions(tokens), tokens)
        for place, sums in enumerate(observed.sums):
            tally.add("counts", f"position:{place:02}", [documents, 1, int(ends[place + 1] - ends[place])])
            tally.add("sums", f"position:{place:02}", pair_of(sums))
        tally.add("squares", "", pair_of(observed.squares))
        tally.add("histogram", "", observed.counts)
        tally.add("pairs", "", observed.pairs)
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


def _patterns(names: Iterable[str]) -> Iterator[re.Pattern[str]]:
    """What tokens of punctuation alone, and parts of words, look like in a vocabulary."""
    yield re.compile(rf"^\s*(?:{WORDPIECE})?[^\w\s]+$")
    pieces = any(name.startswith(WORDPIECE) and len(name) > len(WORDPIECE) for name in names)
    yield re.compile(rf"^{WORDPIECE}\w" if pieces else r"^[^\W\d_]")


def typical_rows(rows: tuple[Measure, ...]) -> list[int]:
    """The numbers of the measures for which documents are remembered."""
    return [n for n, row in enumerate(rows) if row.typical]


def positions(tokens: int) -> Integers:
    """Where bins of positions begin: the first token, the next, the next two, the next four ..."""
    return np.array([0, *(2**power for power in range(max(0, (tokens - 1).bit_length())))], np.int64)


def _first(means: Integers, number: int) -> Integers:
    """A list of the best that holds one document."""
    found = np.full((*means.shape, TYPICAL, 2), NOWHERE, np.int64)
    found[..., 0, 0], found[..., 0, 1] = means, number
    return found
