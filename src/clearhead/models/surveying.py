"""A model computed layer by layer, its attention by the fused kernel: statistics of all weights, none of them stored.

The lines up to queries, keys and values, and those behind the heads, are the working's own; in the place of the lines
from ``scores`` to ``head`` stands `clearhead.inspection`, which is given these lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from msgspec import Struct

from clearhead.errors import ShapeError, UnknownName
from clearhead.inspection import Inspection, inspect_lines
from clearhead.inspection.core import Core, core_of
from clearhead.inspection.maps import Weights, map_of
from clearhead.inspection.request import Wanted
from clearhead.inspection.survey import LayerStatistics, Numbers, Survey, kept
from clearhead.models.held import as_they_lie
from clearhead.models.inputs import inputs_of
from clearhead.models.lengths import check_lengths
from clearhead.models.texts import Inputs, Source
from clearhead.working import Working

if TYPE_CHECKING:
    from clearhead.models.model import Model

ENCODER_ALONE = "These are the layers of the encoder, which reads the source; those of the decoder are not inspected."
"""A note on models of two stacks."""

TRAINED = ("max_position_embeddings", "context_length", "n_positions", "n_ctx", "max_seq_len")
"""Where configs say how many tokens the training saw at once."""

Progress = Callable[[float], object]
"""Is called with the share of the whole that is done."""


Keep = Callable[[int, Weights], object]
"""Is called with a layer's number, and with what its weights can be worked out from again."""


class Asked(Struct, frozen=True):
    """What is asked of every layer: the options of `Model.inspect` of the same names."""

    top: int = 4
    bands: Sequence[int] | None = None
    received: bool = True


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


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of an inspection; ``partial`` has the layers that were finished, and names the missing."""

    def __init__(self, partial: Survey) -> None:
        super().__init__("the inspection was interrupted")
        self.partial = partial


def survey(
    model: Model,
    source: Source,
    layers: Iterable[int] | None,
    asked: Asked,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> Survey:
    """Inspects a model; see `Model.inspect`.

    Args:
        model: the model.
        source: the text.
        layers: the layers to report; None for all.
        asked: what of each.
        progress: is called with the finished share.
        keep: is called with each reported layer's number, queries and keys.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    inputs = _inputs(model, source)
    tokens = (inputs.tokens if model.spec.encoder is None else inputs.source) or ()
    chosen = _chosen(model, layers)
    edges = tuple(asked.bands) if asked.bands is not None else doubling(len(tokens))
    run = Run(model, inputs, Asked(max(asked.top, 1), edges, asked.received), progress)
    found: dict[int, LayerStatistics] = {}
    maps: dict[int, Numbers] = {}

    def found_so_far(missing: Iterable[int] = ()) -> Survey:
        return Survey(
            model=repr(model).strip("<>").removeprefix("Model "),
            tokens=tokens,
            layers=found,
            missing=tuple(missing),
            edges=edges,
            causal=model.causal and model.spec.encoder is None,
            output=run.hidden,
            notes=notes_of(model, len(tokens)),
            kernel=run.kernel,
            maps=maps,
        )

    try:
        for layer in range(max(chosen) + 1):
            attended = run.layer(layer, count=max(chosen) + 1, measure=layer in chosen)
            if layer in chosen:
                found[layer] = kept(attended.found)
                if keep is not None:
                    keep(layer, Weights(attended.core, attended.arrays))
                if (blocks := map_of(attended.core, attended.arrays)) is not None:
                    maps[layer] = blocks
    except KeyboardInterrupt:
        raise Interrupted(found_so_far(layer for layer in chosen if layer not in found)) from None
    return found_so_far()


def doubling(tokens: int) -> tuple[int, ...]:
    """Edges of bands that each reach twice as far as the one before: the token itself, the next, 2 to 3, 4 to 7 ..."""
    return tuple(2**power for power in range(max(1, (tokens - 1).bit_length())))


def trained_on(model: Model) -> int | None:
    """How many tokens the training saw at once, if the config says so."""
    config = model.checkpoint.config
    return next((config[name] for name in TRAINED if isinstance(config.get(name), int)), None)


def notes_of(model: Model, tokens: int) -> tuple[str, ...]:
    """What a reader should know: which stack this is, and whether the text is longer than those of the training."""
    stack = () if model.spec.encoder is None else (ENCODER_ALONE,)
    trained = trained_on(model)
    if trained is None or tokens <= trained:
        return stack
    return (
        *stack,
        f"The text has {tokens:,} tokens, and the model was trained on at most {trained:,} at once: what it does "
        f"behind these says little of how it works within them.",
    )


def _inputs(model: Model, source: Source) -> Inputs:
    if any(block.attention.delta for block in model.spec.layers):
        raise UnknownName(
            f"{model.path}: inspect is for weights that a softmax makes, and some layers of this model are gated delta "
            f"nets. Trace it instead: keep='*.read' has by how much each token reads each other."
        )
    if model.reads_images:
        raise UnknownName(f"{model.path}: inspect reads texts, and this model reads images. Trace it instead.")
    inputs = inputs_of(model, source)
    if "encoder.frame" in inputs.arrays:
        raise UnknownName(f"{model.path}: inspect reads texts, and this model reads recordings. Trace it instead.")
    if inputs.tokens is None:
        raise ShapeError("inspect reads one text at a time, and got several. Call it once for each.")
    return inputs


def _chosen(model: Model, layers: Iterable[int] | None) -> tuple[int, ...]:
    count = len(stack_of(model)[1]) - 1
    chosen = tuple(range(count)) if layers is None else tuple(sorted(set(layers)))
    if wrong := [layer for layer in chosen if not 0 <= layer < count]:
        raise UnknownName(f"layers: the model has layers 0 to {count - 1}, not {wrong[0]}.")
    if not chosen:
        raise UnknownName("layers names none. Leave it out for all.")
    return chosen


def stack_of(model: Model) -> tuple[str, tuple[str, ...]]:
    """What names of the inspected layers begin with, and the lines between them: of an encoder, where there is one."""
    return ("", model.hidden) if model.spec.encoder is None else ("encoder.", model.encoder_hidden)


def _layer(name: str, path: str) -> int:
    """The number of the layer that a line belongs to; -1 for one outside of layers."""
    number = name.removeprefix(f"{path}layers.").partition(".")[0]
    return int(number) if number.isdigit() and name.startswith(f"{path}layers.") else -1


class Cuts:
    """The parts that a model's lines are cut into, made when they are first needed, and kept for other texts."""

    def __init__(self, working: Working, path: str) -> None:
        self.working, self.path = working, path
        self._cores: dict[int, Core] = {}
        self._across: dict[int, tuple[str, ...]] | None = None
        self._between: dict[tuple[frozenset[str], tuple[str, ...]], Working] = {}

    def core(self, layer: int) -> Core:
        """The lines of a layer's attention, from scores to heads."""
        if layer not in self._cores:
            self._cores[layer] = core_of(self.working, f"{self.path}layers.{layer}.attention.")
        return self._cores[layer]

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


_CUTS: WeakKeyDictionary[Model, Cuts] = WeakKeyDictionary()


class Run:
    """A model on its way through the layers: the hidden state between two of them, and what the next reads of it."""

    def __init__(self, model: Model, inputs: Inputs, asked: Asked, progress: Progress | None) -> None:
        self._begin(model, asked, progress)
        check_lengths(model.spec, {**self.weights, **inputs.arrays})
        self._enter({name: array for name, array in inputs.arrays.items() if name.startswith(self.path)})

    def _begin(self, model: Model, asked: Asked, progress: Progress | None = None) -> None:
        self.model, self.asked, self.progress = model, asked, progress
        self.path, self.states = stack_of(model)
        whole = model.working()  # of which an encoder has heads of its own, perhaps of another number
        working = whole.ending_at(self.states[-1]) if self.path else whole
        self.cuts = _CUTS.setdefault(model, Cuts(working, self.path))
        self.weights = as_they_lie(model.arrays)
        self.kernel = ""
        self.across: dict[str, Numbers] = {}

    def _enter(self, read: Mapping[str, Numbers]) -> None:
        """Computes what the first layer's attention reads, from the tokens."""
        cut = self.cuts.core(0)
        ahead = self.cuts.across(self.states, -1)
        self.at = self.states[0], self._between(read, self.states[0], *ahead, cut.query, cut.key, cut.value)
        self.across = {name: self.at[1][name] for name in ahead}

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
        asked = self.asked if measure else Asked(0, (), received=False)
        attended = self._attend(number, cut, asked, count)
        if not further:
            return attended
        after = self.states[number + 1]
        wanted: tuple[str, ...] = ()
        if number + 1 < count:
            ahead = self.cuts.core(number + 1)
            wanted = ahead.query, ahead.key, ahead.value
        _, between = self.at
        self.across |= {name: between[name] for name in self.cuts.across(self.states, number)}
        before = {self.states[number]: self.hidden, cut.head.name: attended.found.output, **self.across}
        there = {name: self.across[name] for name in wanted if name in self.across}
        self.at = after, there | self._between(before, after, *(name for name in wanted if name not in there))
        self._report((number + 1) / count)
        return attended

    def _attend(self, number: int, cut: Core, asked: Asked, count: int) -> Attended:
        _, between = self.at
        query, key, value = (between[name] for name in (cut.query, cut.key, cut.value))
        share = self._attention_share(number, query.shape[-2], asked)

        def progress(done: int, whole: int) -> None:
            self._report((number + share * done / max(whole, 1)) / count)

        given = {each.name: self.weights[each.name] for each in cut.others}
        wanted = Wanted(asked.top, asked.received, asked.bands or None, progress)
        found = inspect_lines((query, key, value), given, cut, {}, wanted)
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
