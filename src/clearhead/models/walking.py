"""A model on its way through its layers: their attention computed from queries and keys, its weights never stored.

The lines up to queries, keys and values, and those behind the heads, are the working's own; in the place of the lines
from ``scores`` to ``head`` stands `clearhead.inspection`, which is given these lines. A gated delta net has no softmax:
its heads are read chunk by chunk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from msgspec import Struct

from clearhead.inspection import Inspection, inspect_lines
from clearhead.inspection.core import Core, core_of
from clearhead.inspection.request import Wanted
from clearhead.inspection.survey import Numbers
from clearhead.models.held import as_they_lie
from clearhead.models.lengths import check_lengths
from clearhead.models.recurring import Recurrence, recurrence_of
from clearhead.models.texts import Inputs, Source
from clearhead.working import Working

if TYPE_CHECKING:
    from clearhead.models.model import Model

Progress = Callable[[float], object]
"""Is called with the share of the whole that is done."""


class Asked(Struct, frozen=True):
    """What is asked of every layer: the options of `Model.inspect` of the same names."""

    top: int = 4
    bands: Sequence[int] | None = None
    received: bool = True
    decoder: Source | None = None


NOTHING = Asked(0, (), received=False)
"""Of layers whose statistics are not asked for."""


class Attended(Struct, frozen=True, eq=False):
    """One layer's attention while a model is inspected, before what is kept of it is chosen.

    Attributes:
        core: the lines from scores to heads.
        arrays: the queries (head, query, depth) and keys (group, key, depth) as they meet, the values, and what the
            lines read besides, by name.
        found: the statistics of its weights.
    """

    core: Core
    arrays: Mapping[str, Numbers]
    found: Inspection


def stack_of(model: Model, *, decoder: bool = False) -> tuple[str, tuple[str, ...]]:
    """What names of the inspected layers begin with, and the lines between them.

    Of an encoder-decoder they are the encoder's, or with ``decoder`` the decoder's.
    """
    alone = model.spec.encoder is None or decoder
    return ("", model.hidden) if alone else ("encoder.", model.encoder_hidden)


def _layer(name: str, path: str) -> int:
    """The number of the layer that a line belongs to; -1 for one outside of layers."""
    number = name.removeprefix(f"{path}layers.").partition(".")[0]
    return int(number) if number.isdigit() and name.startswith(f"{path}layers.") else -1


class Cuts:
    """The parts that a model's lines are cut into, made when they are first needed, and kept for other texts."""

    def __init__(self, working: Working, path: str) -> None:
        self.working, self.path = working, path
        self._cores: dict[str, Core] = {}
        self._recurrences: dict[int, Recurrence | None] = {}
        self._across: dict[int, tuple[str, ...]] | None = None
        self._between: dict[tuple[frozenset[str], tuple[str, ...]], Working] = {}

    def core(self, layer: int, part: str = "attention") -> Core:
        """The lines of a layer's attention, from scores to heads; of a decoder's ``"cross"`` too."""
        path = f"{self.path}layers.{layer}.{part}."
        if path not in self._cores:
            self._cores[path] = core_of(self.working, path)
        return self._cores[path]

    def recurrence(self, layer: int) -> Recurrence | None:
        """The lines of a layer's gated delta net; None of a layer with a softmax."""
        if layer not in self._recurrences:
            path = f"{self.path}layers.{layer}.attention."
            self._recurrences[layer] = (
                recurrence_of(self.working, path) if f"{path}decay" in self.working.names else None
            )
        return self._recurrences[layer]

    def entry(self, layer: int) -> tuple[str, ...]:
        """The lines that a layer's heads are computed from: queries, keys and values, and what a delta net reads."""
        found = self.recurrence(layer)
        if found is not None:
            return found.entry
        core = self.core(layer)
        return core.query, core.key, core.value

    def across(self, states: Sequence[str], layer: int) -> tuple[str, ...]:
        """The lines of a layer, or of what comes before the first (-1), that later layers read besides the states."""
        if self._across is None:
            found: dict[int, dict[str, None]] = defaultdict(dict)
            lines = {line.name for line in self.working.lines}
            for line in self.working.lines:
                here = _layer(line.name, self.path)
                for name in line.operands:
                    made = _layer(name, self.path)
                    if made < here and name in lines and name not in states:
                        found[made][name] = None
            self._across = {number: tuple(names) for number, names in found.items()}
        return self._across.get(layer, ())

    def between(self, given: Iterable[str], wanted: tuple[str, ...]) -> Working:
        """The lines from some to others."""
        key = frozenset(given), wanted
        if key not in self._between:
            self._between[key] = self.working.starting_at(*key[0]).ending_at(*wanted)
        return self._between[key]


_CUTS: WeakKeyDictionary[Model, dict[str, Cuts]] = WeakKeyDictionary()
"""Those of each model, by what names of the stack begin with."""


class Run:
    """A model on its way through the layers: the hidden state between two of them, and what the next reads of it."""

    def __init__(self, model: Model, inputs: Inputs, asked: Asked, progress: Progress | None) -> None:
        self._begin(model, asked, progress)
        check_lengths(model.spec, {**self.weights, **inputs.arrays})
        self._enter({name: array for name, array in inputs.arrays.items() if name.startswith(self.path)})

    def _begin(self, model: Model, asked: Asked, progress: Progress | None = None, *, decoder: bool = False) -> None:
        self.model, self.asked, self.progress = model, asked, progress
        self.path, self.states = stack_of(model, decoder=decoder)
        whole = model.working()  # of which an encoder has heads of its own, perhaps of another number
        working = whole.ending_at(self.states[-1]) if self.path else whole
        self.cuts = _CUTS.setdefault(model, {}).setdefault(self.path, Cuts(working, self.path))
        self.weights = as_they_lie(model.arrays)
        self.kernel = ""
        self.across: dict[str, Numbers] = {}

    def _enter(self, read: Mapping[str, Numbers]) -> None:
        """Computes what the first layer's attention reads, from the tokens."""
        later = self.cuts.across(self.states, -1)
        ahead = [name for name in later if name not in read]
        self.at = self.states[0], self._between(read, self.states[0], *ahead, *self.cuts.entry(0))
        self.across = {name: read[name] if name in read else self.at[1][name] for name in later}

    @property
    def hidden(self) -> Numbers:
        """The state behind the last layer that is done."""
        stream, arrays = self.at
        return arrays[stream]

    def layer(self, number: int, *, count: int, measure: bool = True, further: bool = True) -> Attended:
        """Computes a layer, up to what the next one's attention reads, and its statistics if they are asked for.

        Without ``further`` nothing is computed behind its attention, and `hidden` stays as it was.
        """
        cut = self.cuts.core(number)
        asked = self.asked if measure else NOTHING
        attended = self._attend(number, cut, asked, count)
        if further:
            self._go_on(number, count, {cut.head.name: attended.found.output})
        return attended

    def pass_by(self, number: int, *, count: int) -> None:
        """Computes a layer whose heads have no softmax."""
        found = self.cuts.recurrence(number)
        assert found is not None  # noqa: S101 - callers ask `Cuts.recurrence`
        _, between = self.at
        self._go_on(number, count, {found.head: found.read(between)})

    def _go_on(self, number: int, count: int, heads: Mapping[str, Numbers]) -> None:
        """Computes what is behind a layer's heads, up to what the next one's start from."""
        after = self.states[number + 1]
        wanted = self.cuts.entry(number + 1) if number + 1 < count else ()
        _, between = self.at
        self.across |= {name: between[name] for name in self.cuts.across(self.states, number)}
        before = {self.states[number]: self.hidden, **heads, **self.across}
        there = {name: self.across[name] for name in wanted if name in self.across}
        self.at = after, there | self._between(before, after, *(name for name in wanted if name not in there))
        self._report((number + 1) / count)

    def _attend(self, number: int, cut: Core, asked: Asked, count: int) -> Attended:
        _, between = self.at
        query, key, value = (between[name] for name in (cut.query, cut.key, cut.value))
        share = self._attention_share(number, query.shape[-2], asked)

        def progress(done: int, whole: int) -> None:
            self._report((number + share * done / max(whole, 1)) / count)

        given = {each.name: self.weights[each.name] for each in cut.others}
        wanted = Wanted(asked.top, asked.received, asked.bands or None, progress)
        compiled = self.model.engine != "array"
        found = inspect_lines((query, key, value), given, cut, {}, wanted, compiled=compiled)
        self.kernel = f"{found.kernel}: {found.reason}"
        return Attended(cut, {cut.query: query, cut.key: key, cut.value: value, **given}, found)

    def _between(self, arrays: Mapping[str, Numbers], *wanted: str) -> dict[str, Numbers]:
        """Lines computed from these and the weights, nothing else kept."""
        between = self.cuts.between(arrays, wanted)
        given = {each.name: arrays.get(each.name, self.weights.get(each.name)) for each in between.givens}
        made = between.run(given, keep=wanted, engine=self.model.engine)
        return {name: made[name] for name in wanted}

    def _attention_share(self, number: int, tokens: int, asked: Asked) -> float:
        """Which part of a layer's work is attention, by counting multiplications: for telling what is left."""
        sizes = self.model.sizes
        pairs = tokens * tokens * (0.5 if self.model.causal and not self.path else 1.0)
        attention = pairs * sizes.heads * sizes.depth * (3 if asked.received else 2)
        prefix = f"{self.path}layers.{number}."
        rest = tokens * sum(int(array.size) for name, array in self.weights.items() if name.startswith(prefix))
        return attention / (attention + rest)

    def _report(self, share: float) -> None:
        if self.progress is not None:
            self.progress(share)
