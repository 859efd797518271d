"""A model inspected: statistics of the weights of its layers on one text, none of them stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from clearhead.errors import ShapeError, UnknownName
from clearhead.inspection.maps import Weights, map_of
from clearhead.inspection.survey import LayerStatistics, Numbers, Survey, kept
from clearhead.models.crossing import DecoderRun
from clearhead.models.inputs import inputs_of
from clearhead.models.texts import Inputs, Source
from clearhead.models.walking import Asked, Attended, Progress, Run, stack_of

if TYPE_CHECKING:
    from clearhead.models.model import Model

ENCODER_ALONE = (
    "These are the layers of the encoder, which reads the source. Say what the decoder has written, and its layers are "
    "inspected instead."
)
DECODER_ALONE = (
    "These are the layers of the decoder: its attention to what it has written, and, as `cross`, that to the source."
)
"""Notes on models of two stacks."""


TRAINED = ("max_position_embeddings", "context_length", "n_positions", "n_ctx", "max_seq_len")
"""Where configs say how many tokens the training saw at once."""

Keep = Callable[[int, Weights], object]
"""Is called with a layer's number, and with what its weights can be computed again."""


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
    inputs, written = _inputs(model, source, asked.decoder), asked.decoder is not None
    tokens = (inputs.tokens if model.spec.encoder is None or written else inputs.source) or ()
    chosen = _chosen(model, layers, decoder=written)
    edges = tuple(asked.bands) if asked.bands is not None else doubling(len(tokens))
    start = DecoderRun if written else Run
    run = start(model, inputs, Asked(max(asked.top, 1), edges, asked.received), progress)
    source_tokens = (inputs.source or ()) if written else ()
    found = _Found(model, run, tokens, source_tokens, edges)
    try:
        for layer in range(max(chosen) + 1):
            if run.cuts.recurrence(layer) is not None:
                run.pass_by(layer, count=max(chosen) + 1)
                continue
            attended = run.layer(layer, count=max(chosen) + 1, measure=layer in chosen)
            if layer in chosen:
                found.add(layer, attended, keep)
    except KeyboardInterrupt:
        raise Interrupted(found.survey(layer for layer in chosen if layer not in found.layers)) from None
    return found.survey()


class _Found:
    """What is kept of the layers that are done."""

    def __init__(
        self, model: Model, run: Run, tokens: tuple[str, ...], source: tuple[str, ...], edges: tuple[int, ...]
    ) -> None:
        self.model, self.run, self.tokens, self.source, self.edges = model, run, tokens, source, edges
        self.layers: dict[int, LayerStatistics] = {}
        self.cross: dict[int, LayerStatistics] = {}
        self.maps: dict[int, Numbers] = {}

    def add(self, layer: int, attended: Attended, keep: Keep | None) -> None:
        """Adds a layer, and gives it to ``keep``."""
        self.layers[layer] = kept(attended.found)
        if isinstance(self.run, DecoderRun):
            self.cross[layer] = _of_source(kept(self.run.crossed.found))
        if keep is not None:
            keep(layer, Weights(attended.core, attended.arrays))
        if (blocks := map_of(attended.core, attended.arrays)) is not None:
            self.maps[layer] = blocks

    def survey(self, missing: Iterable[int] = ()) -> Survey:
        """The survey of the layers so far."""
        model, run = self.model, self.run
        decoder = isinstance(run, DecoderRun)
        return Survey(
            model=repr(model).strip("<>").removeprefix("Model "),
            tokens=self.tokens,
            layers=self.layers,
            missing=tuple(missing),
            edges=self.edges,
            causal=model.causal and (decoder or model.spec.encoder is None),
            output=run.hidden,
            notes=notes_of(model, len(self.tokens), decoder=decoder),
            kernel=run.kernel,
            maps=self.maps,
            cross=self.cross,
            source=self.source,
        )


def _of_source(found: LayerStatistics) -> LayerStatistics:
    """Without the weight at the query's own position, which another text does not have."""
    return LayerStatistics({name: array for name, array in found.numbers.items() if name != "self_weight"})


def doubling(tokens: int) -> tuple[int, ...]:
    """Edges of bands that each reach twice as far as the one before: the token itself, the next, 2 to 3, 4 to 7 ..."""
    return tuple(2**power for power in range(max(1, (tokens - 1).bit_length())))


def trained_on(model: Model) -> int | None:
    """How many tokens the training saw at once, if the config says so."""
    config = model.checkpoint.config
    return next((config[name] for name in TRAINED if isinstance(config.get(name), int)), None)


def notes_of(model: Model, tokens: int, *, decoder: bool = False) -> tuple[str, ...]:
    """What a reader should know: which layers these are, and whether the text is longer than those of the training."""
    notes = [] if model.spec.encoder is None else [DECODER_ALONE if decoder else ENCODER_ALONE]
    if delta := _without_softmax(model):
        notes.append(
            f"The layers {', '.join(map(str, delta))} are gated delta nets, without weights of a softmax: they are "
            f"computed, and not reported."
        )
    trained = trained_on(model)
    if trained is not None and tokens > trained:
        notes.append(
            f"The text has {tokens:,} tokens, and the model was trained on at most {trained:,} at once: what it does "
            f"behind these says little of how it works within them."
        )
    return tuple(notes)


def _without_softmax(model: Model) -> tuple[int, ...]:
    return tuple(number for number, block in enumerate(model.spec.layers) if block.attention.delta)


def _inputs(model: Model, source: Source, decoder: Source | None) -> Inputs:
    if model.reads_images:
        raise UnknownName(f"{model.path}: inspect reads texts, and this model reads images. Trace it instead.")
    inputs = inputs_of(model, source, decoder)
    if "encoder.frame" in inputs.arrays and decoder is None:
        raise UnknownName(
            f"{model.path}: inspect reads texts, and this model reads recordings. Say what the decoder has written to "
            f"inspect the decoder, or trace it instead."
        )
    if inputs.tokens is None:
        raise ShapeError("inspect reads one text at a time, and got several. Call it once for each.")
    return inputs


def _chosen(model: Model, layers: Iterable[int] | None, *, decoder: bool) -> tuple[int, ...]:
    count, delta = len(stack_of(model, decoder=decoder)[1]) - 1, _without_softmax(model)
    usual = (layer for layer in range(count) if layer not in delta)
    chosen = tuple(usual) if layers is None else tuple(sorted(set(layers)))
    if wrong := [layer for layer in chosen if not 0 <= layer < count]:
        raise UnknownName(f"layers: the model has layers 0 to {count - 1}, not {wrong[0]}.")
    if wrong := [layer for layer in chosen if layer in delta]:
        raise UnknownName(
            f"layers: layer {wrong[0]} is a gated delta net, without weights of a softmax. Trace it instead: "
            f"keep='*.read' has by how much each token reads each other."
        )
    if not chosen:
        raise UnknownName("layers names none with a softmax. Leave it out for all.")
    return chosen
