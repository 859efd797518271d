"""A checkpoint that can be computed: its spec, its arrays, its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace as with_fields

from clearhead.axes import Shape
from clearhead.compiled.program import Engine, check_engine, is_compiled
from clearhead.compiled.program.sizes import Sizes
from clearhead.errors import CheckpointError, MissingPackage, ShapeError, UnknownName, suggest
from clearhead.inspection.steps import inside_long
from clearhead.inspection.survey import Survey
from clearhead.line import select_names
from clearhead.models import budget as memory
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.family import Family
from clearhead.models.held import HeldWeights, as_they_lie
from clearhead.models.inputs import inputs_of
from clearhead.models.lengths import check_lengths
from clearhead.models.reading import Reading
from clearhead.models.replacing import Arrays, Replacement, replaced
from clearhead.models.tensors import Floats, Tensor
from clearhead.models.texts import Source
from clearhead.models.tokenizer import Tokenizer
from clearhead.models.weights import Place
from clearhead.spec import Block, Embedding, Patches, Transformer
from clearhead.trace import Trace
from clearhead.working import Working

USUAL = ("hidden", "*.weights", "routers", "results")
"""The lines that a trace keeps by default."""

RESULTS = ("encoder.norm", "norm", "narrowed", "pooled", "logits")
"""What the word ``results`` stands for."""

SMALLER = (USUAL, ("hidden", "results"), ("results",))
"""Choices of fewer lines for little memory, the largest first."""


class Guess(Struct, frozen=True):
    """A possible next token: its number ``id``, its text ``token``, its ``probability``."""

    id: int
    token: str
    probability: float


class Model:
    """A checkpoint that is computed line by line, made by `clearhead.load`.

    ``family``, ``spec`` and ``sizes`` describe it; ``model.working()`` has all lines; ``notes`` say which parts of the
    checkpoint were ignored, and why. Numbers are read from the file when they are first needed, and kept as float32.
    ``engine`` is the engine that computes.
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
        """The path of the checkpoint."""
        return self.checkpoint.path

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the checkpoint."""
        return self.checkpoint.read_tokenizer()

    def names(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The texts of the tokens ``ids``; their numbers, where there is no usable tokenizer."""
        try:
            return self.tokenizer.names(ids)
        except (CheckpointError, MissingPackage):
            return tuple(f"<{id}>" for id in ids)

    def working(self, *, padding: bool = False, cache: bool = False) -> Working:
        """The lines of the model; with ``padding`` for batches, or with a ``cache`` to continue from.

        Raises:
            CheckpointError: a cache cannot be continued, since delta nets start at the first token.
        """
        kind = (padding, cache)
        if cache and any(block.attention.delta for block in self.spec.layers):
            raise CheckpointError(
                f"{self.path}: cannot go on from a cache: its gated delta nets read all tokens before. Trace the whole "
                f"text at once."
            )
        if kind not in self._workings:
            self._workings[kind] = _extended(self.spec, padding=padding, cache=cache).working()
        return self._workings[kind]

    @cached_property
    def arrays(self) -> Mapping[str, Floats]:
        """The weights by name, in the working's layout, each read when it is first needed."""
        return HeldWeights(self._places, self.path)

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
    def source_vocabulary(self) -> int:
        """How many tokens the encoder of an encoder-decoder knows."""
        return self._stored("encoder.embedding.weight")[0]

    @property
    def recording(self) -> tuple[int, int]:
        """The channels of a recording's features, and how many tokens it becomes: one for each two frames."""
        _, channels, _ = self._places["encoder.embedding.frame.weight"].shape
        return channels, self._stored("encoder.embedding.position.weight")[0]

    @property
    def patch_size(self) -> tuple[int, int]:
        """The pixels along a side of an image's patch, and its channels."""
        _, channels, side, _ = self._stored("embedding.patch.weight")
        return side, channels

    @property
    def stored(self) -> dict[str, tuple[Tensor, tuple[str, ...]]]:
        """For each weight that a checkpoint holds, its array there and the words of its layout."""
        return {name: (place.tensor, place.words) for name, place in self._places.items() if place.tensor is not None}

    def _stored(self, name: str) -> Shape:
        tensor = self._places[name].tensor
        assert tensor is not None  # noqa: S101 - no config lists these
        return tensor.shape

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """The lines between layers: the embedding, and the result of each layer; of a decoder, where there is one."""
        return _between(self.spec.layers)

    @cached_property
    def encoder_hidden(self) -> tuple[str, ...]:
        """The same of the encoder of an encoder-decoder; none of another model."""
        return () if self.spec.encoder is None else _between(self.spec.encoder.layers, "encoder.")

    def cached(self, working: Working) -> dict[str, str]:
        """For each given array of a cache of ``working``, the line of an earlier working that it continues."""
        found: dict[str, str] = {}
        joined = {line.name: line for line in self.working(cache=True).lines if line.name.endswith(".joined")}
        for name, line in joined.items():
            found[line.operands[0]] = name if name in working.names else line.operands[1]
        return found

    def kept(self, keep: Iterable[str], working: Working) -> tuple[str, ...]:
        """The names of lines of ``working`` that ``keep`` selects, in the order of the working.

        Raises:
            UnknownName: it names nothing.
        """
        asked = (keep,) if isinstance(keep, str) else tuple(keep)
        key = asked, id(working)
        if key not in self._kept:
            chosen = self._chosen(asked, working)
            self._kept[key] = tuple(name for name in working.names if name in chosen)
        return self._kept[key]

    def _chosen(self, keep: Sequence[str], working: Working) -> dict[str, None]:
        words = {
            "hidden": (*self.encoder_hidden, *self.hidden),
            "routers": tuple(line.name for line in working.lines if line.name.endswith(".router.shares")),
            "results": tuple(name for name in RESULTS if name in working.names),
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
        decoder: Source | None = None,
        keep: Iterable[str] = USUAL,
        replace: Mapping[str, Replacement] | None = None,
        past: Trace | None = None,
        budget: int | None = None,
    ) -> Trace:
        """Computes a text, line by line.

        Args:
            source: a text; numbers of tokens; several texts, which are padded; for a ViT an image, (channel, row,
                column); for Whisper the features of a recording, (channel, frame).
            decoder: what the decoder of an encoder-decoder has written so far: a text, which gets the start token in
                front and no token for the end; or numbers of tokens, as they are. None for the start token alone.
            keep: names, endings or patterns (``"*.weights"``) of the lines to store, and the words ``hidden`` (the
                embedding and the result of each layer), ``routers`` (the share of each expert in each token),
                ``results`` (last norm, logits), ``cache`` (keys and values, to continue later). ``"*"`` keeps all.
                `Trace.explain` computes lines again that were not kept.
            replace: other numbers for lines or their heads, such as ``{"layers.3.attention.head@5": 0}``: a number,
                an array, another trace (its line of the same name), or a function of the line's own numbers.
            past: the trace of the tokens before, with ``"cache"`` kept: the new tokens follow these.
            budget: the bytes that may be spent; half of the free memory, if None.

        Raises:
            CheckpointError: the weights do not fit the family's table, or memory does not suffice.
            UnknownName: ``keep`` or ``replace`` names nothing.
            ShapeError: tokens that the model does not have, more than it has positions for, numbers that do not fit.
        """
        if past is not None and isinstance(decoder, str):
            raise ShapeError("decoder: with a cache give numbers of tokens, those that go on from it.")
        inputs = inputs_of(self, source, decoder)
        working = self.working(padding=inputs.padded, cache=past is not None)
        given = {**inputs.arrays, **({} if past is None else self._past(past, inputs.arrays))}
        arrays = {**self._held(working, given), **given}
        if replace:
            working, arrays = replaced(working, arrays, replace, engine=self.engine)
        names = self.kept(keep, working)
        self._check_memory(working, arrays, names, budget)
        ran = working.run(arrays, keep=names, tokens=inputs.labels, engine=self.engine)
        return ran.only((*inputs.arrays, *names))

    def _held(self, working: Working, given: Arrays) -> Mapping[str, Any]:
        """The weights in the order in which the engine reads them, for inputs like these."""
        weights = self.arrays
        sized: dict[str, Any] = {**(weights.places if isinstance(weights, HeldWeights) else weights), **given}
        check_lengths(self.spec, sized)
        if isinstance(weights, HeldWeights):
            shapes = working.shapes({name: each.shape for name, each in sized.items()})
            if is_compiled(working.lines, Sizes(working.axes, shapes), given, self.engine):
                weights.pack(working.lines)
        return as_they_lie(weights)

    def _past(self, past: Trace, arrays: Arrays) -> Arrays:
        if not self.causal:
            raise CheckpointError(f"{self.path}: cannot go on from a cache: its tokens see later ones.")
        if any(name.startswith("encoder.") and not np.array_equal(past[name], arrays[name]) for name in arrays):
            raise ShapeError("past: the cache is of another source. Give the same source again.")
        found = self.cached(past.working)
        if missing := [name for name in found.values() if name not in past]:
            raise UnknownName(f"past: {missing[0]} was not kept. Trace the beginning with keep=[..., 'cache'].")
        return {given: past[name] for given, name in found.items()}

    def _check_memory(self, working: Working, arrays: Arrays, names: tuple[str, ...], budget: int | None) -> None:
        shapes = working.shapes({each.name: arrays[each.name].shape for each in working.givens})
        limit = memory.free_memory() // 2 if budget is None else budget
        made = {line.name for line in working.lines}
        layer = {name for name in made if name.startswith("layers.0.")}

        def needed(kept: Iterable[str]) -> int:
            own = made.intersection(kept)
            never = set() if self.engine == "array" else inside_long(working, shapes, own)
            return memory.size_of(own, shapes) + memory.size_of(layer - never, shapes)

        total = needed(names)
        if total > limit:
            offers = (each for each in SMALLER if needed(self.kept(each, working)) <= limit)
            fits = next(offers, None)
            memory.check(total, limit, None if fits is None else str(list(fits)))

    def inspect(
        self,
        source: Source,
        *,
        decoder: Source | None = None,
        layers: Iterable[int] | None = None,
        top: int = 4,
        bands: Sequence[int] | None = None,
        received: bool = True,
        progress: Callable[[float], object] | None = None,
    ) -> Survey:
        """Computes statistics of every head's weights for a text of any length, without storing the weights.

        Memory grows linearly with the number of tokens; see `clearhead.inspect`, which computes the weights.

        Args:
            source: one text, encoded text, or the numbers of its tokens. Of an encoder-decoder this is what the encoder
                reads, whose layers are inspected where ``decoder`` is None.
            decoder: what the decoder has written so far, as for `trace`: its layers are inspected, and their weights on
                the source are in `Survey.cross`.
            layers: the layers to report, counted from 0; those after the last are not computed. None for all. Layers
                that are gated delta nets have no weights of a softmax, and are not reported.
            top: how many of each query's largest weights to keep.
            bands: the edges of bands of distance, in tokens; None for edges that double.
            received: whether to sum the weights that each token receives; nearly doubles the time of the attention.
            progress: is called with the finished part of the whole, from 0 to 1.

        Raises:
            Interrupted: Ctrl-C was pressed; its ``partial`` has the layers that were finished.
            ShapeError: several texts, or more tokens than the model has positions for.
            UnknownName: no such layer with a softmax, or the model reads images, or recordings and ``decoder`` is None.
            CheckpointError: the weights do not fit the family's table.
        """
        from clearhead.models.surveying import survey
        from clearhead.models.walking import Asked

        return survey(self, source, layers, Asked(top, bands, received, decoder), progress)

    def next(self, trace: Trace, *, max_tokens: int = 5) -> tuple[Guess, ...]:
        """The ``max_tokens`` most probable tokens after the last one of ``trace``, the best first.

        Raises:
            UnknownName: the model has no logits over tokens, or the trace did not keep them.
            ShapeError: the trace is of a batch.
        """
        logits = trace["logits"]
        if logits.ndim != 2:
            raise ShapeError(f"next is for one text, and the trace has {logits.ndim - 2} axes in front.")
        last = logits[-1].astype(np.float64)
        shares = np.exp(last - last.max())
        shares /= shares.sum()
        best = np.argsort(-shares, kind="stable")[:max_tokens]
        names = self.names([int(id) for id in best])
        return tuple(Guess(int(id), name, float(shares[id])) for id, name in zip(best, names, strict=True))


def _between(layers: Iterable[Block], path: str = "") -> tuple[str, ...]:
    """The lines between the layers of a stack."""
    return (f"{path}embedding", *(f"{path}layers.{n}.{block.result}" for n, block in enumerate(layers)))


def _extended(spec: Transformer, *, padding: bool, cache: bool) -> Transformer:
    """A spec with padding for batches, or with a cache to continue from, in all layers."""
    layers = tuple(_extended_block(block, padding=padding, cache=cache) for block in spec.layers)
    encoder = spec.encoder
    if encoder is not None:
        own = tuple(_extended_block(block, padding=padding, cache=False) for block in encoder.layers)
        encoder = with_fields(encoder, layers=own)
    return with_fields(spec, layers=layers, encoder=encoder)


def _extended_block(block: Block, *, padding: bool, cache: bool) -> Block:
    cross = None if block.cross is None else with_fields(block.cross, padding=padding)
    return with_fields(block, attention=with_fields(block.attention, padding=padding, cache=cache), cross=cross)
