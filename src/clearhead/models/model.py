"""A checkpoint that can be computed: its spec, its arrays, its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace as with_fields

from clearhead.axes import Shape
from clearhead.compiled.program import Engine, check_engine
from clearhead.errors import CheckpointError, MissingPackage, ShapeError, UnknownName, suggest
from clearhead.inspection.survey import Survey
from clearhead.line import select_names
from clearhead.models import budget as memory
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family
from clearhead.models.inputs import Source, inputs_of
from clearhead.models.lengths import check_lengths
from clearhead.models.reading import Reading
from clearhead.models.replacing import Arrays, Replacement, replaced
from clearhead.models.tokenizer import Tokenizer
from clearhead.models.weights import Place
from clearhead.spec import Embedding, Patches, Transformer
from clearhead.trace import Trace
from clearhead.working import Working

USUAL = ("hidden", "*.attention.weights", "results")
"""What a trace keeps by default."""

SMALLER = (USUAL, ("hidden", "results"), ("results",))
"""What is offered instead where memory does not suffice, the most first."""


class Guess(Struct, frozen=True):
    """A token that may come next: its number, what it stands for, and its probability."""

    id: int
    token: str
    probability: float


class Model:
    """A checkpoint, computed line by line: `clearhead.load` makes it.

    ``family``, ``spec`` and ``sizes`` say what it is; ``model.working()`` has all lines; ``notes`` say what of the
    checkpoint was left aside, and why. Numbers are read from the file when they are first needed, and kept as float32.
    ``engine`` says what computes them.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        family: Family,
        reading: Reading,
        places: Mapping[str, Place],
        *,
        engine: Engine = "auto",
    ) -> None:
        self.checkpoint = checkpoint
        self.family = family
        self.engine: Engine = check_engine(engine)
        self.spec, self.sizes, self.notes = reading.spec, reading.sizes, reading.notes
        self._places = places
        self._kept: dict[tuple[tuple[str, ...], int], tuple[str, ...]] = {}
        self._workings: dict[tuple[bool, bool], Working] = {}

    def __repr__(self) -> str:
        s = self.sizes
        return f"<Model {self.checkpoint.path.name}: {self.family.name}, {s.layers} layers, {s.heads} heads>"

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.checkpoint.path

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the checkpoint."""
        return self.checkpoint.read_tokenizer()

    def names(self, ids: Sequence[int]) -> tuple[str, ...]:
        """What tokens stand for; their numbers, where there is no tokenizer that can be used."""
        try:
            return self.tokenizer.names(ids)
        except (CheckpointError, MissingPackage):
            return tuple(f"<{id}>" for id in ids)

    def working(self, *, padding: bool = False, cache: bool = False) -> Working:
        """The lines of the model; with padding for batches, or with a cache to go on from."""
        kind = padding, cache
        if kind not in self._workings:
            self._workings[kind] = _extended(self.spec, padding=padding, cache=cache).working()
        return self._workings[kind]

    @cached_property
    def arrays(self) -> Arrays:
        """The weights, as the working wants them.

        Raises:
            CheckpointError: one does not lie as the family's table says.
        """
        try:
            return {name: place.array(self.sizes) for name, place in self._places.items()}
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None

    @property
    def causal(self) -> bool:
        """Whether no token sees a later one."""
        return all(block.attention.causal for block in self.spec.layers)

    @property
    def reads_images(self) -> bool:
        """Whether its tokens are patches of an image."""
        return isinstance(self.spec.embedding, Patches)

    @property
    def has_types(self) -> bool:
        """Whether each token has a type, such as the first or second text of a pair."""
        return isinstance(self.spec.embedding, Embedding) and self.spec.embedding.types

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self._stored("embedding.weight")[0]

    @property
    def patch_size(self) -> tuple[int, int]:
        """The pixels along a side of an image's patch, and its channels."""
        _, channels, side, _ = self._stored("embedding.patch.weight")
        return side, channels

    def _stored(self, name: str) -> Shape:
        tensor = self._places[name].tensor
        assert tensor is not None  # noqa: S101 - no config lists these
        return tensor.shape

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """The lines between layers: the embedding, and what each layer passes on."""
        blocks = ["norm" if block.placement == "post" else "residual" for block in self.spec.layers]
        return ("embedding", *(f"layers.{n}.mlp.{end}" for n, end in enumerate(blocks)))

    def cached(self, working: Working) -> dict[str, str]:
        """For each given array of a cache the line of a working that it goes on from."""
        found: dict[str, str] = {}
        joined = {line.name: line for line in self.working(cache=True).lines if line.name.endswith(".joined")}
        for name, line in joined.items():
            found[line.operands[0]] = name if name in working.names else line.operands[1]
        return found

    def kept(self, keep: Iterable[str], working: Working) -> tuple[str, ...]:
        """The names that ``keep`` stands for.

        Raises:
            UnknownName: it names nothing.
        """
        asked = (keep,) if isinstance(keep, str) else tuple(keep)
        key = asked, id(working)
        if key not in self._kept:
            self._kept[key] = tuple(self._chosen(asked, working))
        return self._kept[key]

    def _chosen(self, keep: Sequence[str], working: Working) -> dict[str, None]:
        words = {
            "hidden": self.hidden,
            "results": tuple(name for name in ("norm", "pooled", "logits") if name in working.names),
        }
        found: dict[str, None] = {}
        for pattern in keep:
            if pattern == "cache":
                names: Iterable[str] = self.cached(working).values()
            elif pattern in words:
                names = words[pattern]
            else:
                names = select_names(pattern, (line.name for line in working.lines))
                if not names:
                    known = (line.name for line in working.lines)
                    raise UnknownName(f"keep: no line is called {pattern!r}. {suggest(pattern, known)}")
            found |= dict.fromkeys(names)
        return found

    def trace(
        self,
        source: Source,
        *,
        keep: Iterable[str] = USUAL,
        replace: Mapping[str, Replacement] | None = None,
        past: Trace | None = None,
        budget: int | None = None,
    ) -> Trace:
        """Works a text out, line by line.

        Args:
            source: a text; numbers of tokens; several texts, which are padded; for a ViT an image, (channel, row,
                column).
            keep: names, endings or patterns (``"*.weights"``) of the lines to store, and the words ``hidden`` (the
                embedding and what each layer passes on), ``results`` (last norm, logits), ``cache`` (what it takes to
                go on later). ``"*"`` keeps all. `Trace.explain` works out again what it needs and is not kept.
            replace: other numbers for lines or heads of them, such as ``{"layers.3.attention.head@5": 0}``: a number,
                an array, another trace (its line of the same name), or a function of the line's own numbers.
            past: the trace of what came before, with ``"cache"`` kept: the tokens go on from there.
            budget: the bytes that may be spent; half of the free memory, if None.

        Raises:
            CheckpointError: the weights do not fit the family's table, or memory does not suffice.
            UnknownName: ``keep`` or ``replace`` names nothing.
            ShapeError: tokens that the model does not have, more than it has positions for, numbers that do not fit.
        """
        inputs = inputs_of(self, source)
        working = self.working(padding=inputs.padded, cache=past is not None)
        arrays = {**self.arrays, **inputs.arrays, **({} if past is None else self._past(past))}
        check_lengths(self.spec, arrays)
        if replace:
            working, arrays = replaced(working, arrays, replace, engine=self.engine)
        names = self.kept(keep, working)
        self._check_memory(working, arrays, names, budget)
        ran = working.run(arrays, keep=names, tokens=inputs.tokens, engine=self.engine)
        return ran.only((*inputs.arrays, *names))

    def _past(self, past: Trace) -> Arrays:
        if not self.causal:
            raise CheckpointError(f"{self.path}: cannot go on from a cache: its tokens see later ones.")
        found = self.cached(past.working)
        if missing := [name for name in found.values() if name not in past]:
            raise UnknownName(f"past: {missing[0]} was not kept. Trace the beginning with keep=[..., 'cache'].")
        return {given: past[name] for given, name in found.items()}

    def _check_memory(self, working: Working, arrays: Arrays, names: tuple[str, ...], budget: int | None) -> None:
        shapes = working.shapes({each.name: arrays[each.name].shape for each in working.givens})
        limit = memory.free_memory() // 2 if budget is None else budget
        made = {line.name for line in working.lines}
        working_space = memory.size_of((n for n in made if n.startswith("layers.0.")), shapes)

        def needed(kept: Iterable[str]) -> int:
            return memory.size_of(made.intersection(kept), shapes) + working_space

        total = needed(names)
        if total > limit:
            offers = (each for each in SMALLER if needed(self.kept(each, working)) <= limit)
            fits = next(offers, None)
            memory.check(total, limit, None if fits is None else str(list(fits)))

    def inspect(
        self,
        source: Source,
        *,
        layers: Iterable[int] | None = None,
        top: int = 4,
        bands: Sequence[int] | None = None,
        received: bool = True,
        progress: Callable[[float], object] | None = None,
    ) -> Survey:
        """Computes statistics of every head's weights for a text of any length, without storing the weights.

        Memory grows linearly with the number of tokens; see `clearhead.inspect`, which computes the weights.

        Args:
            source: one text, encoded text, or the numbers of its tokens.
            layers: the layers to report, counted from 0; those behind the last are not computed. None for all.
            top: how many of each query's largest weights to keep.
            bands: where bands of distance part, in tokens; None for each twice as far as the one before.
            received: whether to add up what each token receives; nearly doubles the time of the attention.
            progress: is called with the share of the whole that is done, from 0 to 1.

        Raises:
            Interrupted: Ctrl-C was pressed; its ``partial`` has the layers that were finished.
            ShapeError: several texts, or more tokens than the model has positions for.
            UnknownName: no such layer, or the model reads images.
            CheckpointError: the weights do not fit the family's table.
        """
        from clearhead.models.surveying import Asked, survey

        return survey(self, source, layers, Asked(top, bands, received), progress)

    def next(self, trace: Trace, *, max_tokens: int = 5) -> tuple[Guess, ...]:
        """The most probable next tokens after the last one of a trace, the best first.

        Raises:
            UnknownName: the model has no logits over tokens, or the trace did not keep them.
            ShapeError: the trace is of a batch.
        """
        logits = trace["logits"]
        if logits.ndim != 2:
            raise ShapeError(f"next speaks of one text, and the trace has {logits.ndim - 2} axes in front.")
        last = logits[-1].astype(np.float64)
        shares = np.exp(last - last.max())
        shares /= shares.sum()
        best = np.argsort(-shares, kind="stable")[:max_tokens]
        names = self.names([int(id) for id in best])
        return tuple(Guess(int(id), name, float(shares[id])) for id, name in zip(best, names, strict=True))


def _extended(spec: Transformer, *, padding: bool, cache: bool) -> Transformer:
    """A spec with padding for batches, or with a cache to go on from, in all layers."""
    layers = (
        with_fields(block, attention=with_fields(block.attention, padding=padding, cache=cache))
        for block in spec.layers
    )
    return with_fields(spec, layers=tuple(layers))
