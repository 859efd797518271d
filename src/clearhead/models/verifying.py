"""A model compared with Transformers on the same tokens: every array that Transformers exposes, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.brief import Brief
from clearhead.errors import CheckpointError
from clearhead.extras import need
from clearhead.models.hooking import fitted, results_of
from clearhead.models.inputs import inputs_of
from clearhead.models.model import USUAL, Model
from clearhead.models.texts import Source
from clearhead.spec import Dynamic, LongRope
from clearhead.trace import Trace
from clearhead.working import Working

BOUND = 5e-5
"""The largest difference that counts as agreement, relative to the largest number of its row: 420 roundings of float32.

A row that cancels to much less than others is measured by these: the median of the largest numbers of all rows."""

Numbers = np.ndarray[Any, Any]


class Compared(Brief, frozen=True, eq=False):
    """A line, Transformers' numbers for it, and the largest difference, relative to the numbers of its row.

    ``size`` is the largest number.
    """

    line: str
    theirs: Numbers
    difference: float
    size: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is one of rounding; NaN is not."""
        return self.difference <= BOUND


class Suspect(Brief, frozen=True, eq=False):
    """A block whose numbers differ from Transformers' on the same input.

    Attributes:
        layer: its number, from 0.
        line: the first of its lines that differs.
        working: its lines.
        given: Transformers' input of it, and its weights.
        theirs: Transformers' numbers of its lines, by name.
        ahead: whether later tokens change the numbers of earlier ones.
    """

    layer: int
    line: str
    working: Working
    given: dict[str, Numbers]
    theirs: dict[str, Numbers]
    ahead: bool

    def first_tokens(self, count: int) -> Suspect | None:
        """The same block on the first tokens only; None where their numbers depend on later ones."""
        if len(self.given["input"]) <= count:
            return self
        if self.ahead:
            return None
        theirs = {name: self._cut(name, numbers, count) for name, numbers in self.theirs.items()}
        return replace(self, given={**self.given, "input": self.given["input"][:count]}, theirs=theirs)

    def _cut(self, name: str, numbers: Numbers, count: int) -> Numbers:
        tokens = {"token", "query", "key"}
        return numbers[tuple(slice(count) if word in tokens else slice(None) for word in self.working.axes[name])]


class Verdict(Brief, frozen=True, eq=False):
    """The result of a comparison: every line that both have, in order."""

    trace: Trace
    lines: tuple[Compared, ...]
    suspect: Suspect | None = None

    @property
    def first(self) -> Compared | None:
        """The first line that differs; None if all agree."""
        return next((each for each in self.lines if not each.agrees), None)

    @property
    def worst(self) -> Compared:
        """The line with the largest difference."""
        return max(self.lines, key=lambda each: each.difference)


def verify(model: Model, source: Source, *, decoder: Source | None = None) -> Verdict:
    """Computes a text here and in Transformers, eager and in float32, and compares line by line.

    Args:
        model: the model, whose checkpoint Transformers loads too.
        source: a text, or numbers of tokens; what `Model.trace` takes.
        decoder: what the decoder of an encoder-decoder has written so far, as for `Model.trace`.

    Returns:
        Every line that both have, and, where one differs within a block, the block.

    Raises:
        MissingPackage: transformers or torch is not installed.
        CheckpointError: Transformers cannot load the checkpoint.
    """
    inputs, working = inputs_of(model, source, decoder), model.working()
    theirs, inside = _run(model, inputs.arrays)
    named = [each.name for each in working.lines if each.name in inside]
    trace = model.trace(source, decoder=decoder, keep=(*USUAL, *named))
    given = {name: fitted(working, name, inside[name], trace[name]) for name in named}
    # What a model returns has been computed last, and counts where a module gives the same line.
    known = {**{name: array for name, array in given.items() if array is not None}, **dict(_exposed(model, theirs))}
    compared = tuple(_compare(name, trace[name], known[name]) for name in working.names if name in known)
    return Verdict(trace, compared, _suspect(model, compared))


def _compare(name: str, ours: Numbers, theirs: Numbers) -> Compared:
    theirs = theirs.reshape(ours.shape)
    largest = np.abs(theirs).max(axis=-1, keepdims=True)
    unit = np.maximum(largest, np.median(largest))
    off = np.abs(ours - theirs)
    difference = float(np.max(np.divide(off, unit, out=np.where(off == 0, off, np.inf), where=unit > 0)))
    return Compared(name, theirs, difference, float(largest.max()))


def _run(model: Model, given: dict[str, Numbers]) -> tuple[Any, dict[str, Numbers]]:
    """What Transformers' own code gives for the same checkpoint and tokens, and what its modules give, by line."""
    transformers, torch = need("transformers", "verify"), need("torch", "verify")
    batch = {name: torch.from_numpy(np.ascontiguousarray(array))[None] for name, array in _named(model, given).items()}
    path, options = model.path, {"attn_implementation": "eager", "dtype": torch.float32}
    if any(block.mlp is not None and block.mlp.experts is not None for block in model.spec.layers):
        options["experts_implementation"] = "eager"  # one expert after the other
    if path.suffix == ".gguf":
        kind: Any = transformers.AutoModelForCausalLM
        path, options = path.parent, {**options, "gguf_file": path.name}
    else:
        auto = "AutoModelForCausalLM" if model.spec.encoder is None else "AutoModelForSeq2SeqLM"
        # Some configs have a name that Transformers had for its class before, or that others have for theirs.
        kind = getattr(transformers, model.checkpoint.architecture, getattr(transformers, auto))
        path = path.parent if path.is_file() else path
    transformers.logging.disable_progress_bar()
    try:
        loaded = kind.from_pretrained(path, local_files_only=True, **options).eval()
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: Transformers cannot load it: {error}") from None
    with torch.inference_mode(), results_of(model, loaded) as inside:
        out = loaded(**batch, output_hidden_states=True, output_attentions=True)
    return out, inside


def _named(model: Model, given: dict[str, Numbers]) -> dict[str, Numbers]:
    """What a model reads, under the names that Transformers' models have for it."""
    if model.spec.encoder is None:
        names = {"token": "input_ids", "type": "token_type_ids", "patch": "pixel_values"}
    else:
        names = {"encoder.token": "input_ids", "encoder.frame": "input_features", "token": "decoder_input_ids"}
    found = {names[name]: array for name, array in given.items()}
    return {name: each.swapaxes(-1, -2) if name == "input_features" else each for name, each in found.items()}


def _exposed(model: Model, theirs: Any) -> Iterator[tuple[str, Numbers]]:
    """The arrays that Transformers exposes, by clearhead's names of lines, in their order."""
    encoder = model.spec.encoder
    if encoder is None:
        last = getattr(theirs, "last_hidden_state", None)
        normed = not model.reads_images if last is None else bool((last == theirs.hidden_states[-1]).all())
        ends = "norm" if model.spec.norm is not None and normed else model.hidden[-1]
        ends = "narrowed" if model.spec.narrowed and normed else ends
        given = iter(theirs.attentions)
        weights = [None if block.attention.delta else next(given) for block in model.spec.layers]
        yield from _of_stack((*model.hidden[:-1], ends), theirs.hidden_states, weights)
    else:
        ends = "encoder.norm" if encoder.norm is not None else model.encoder_hidden[-1]
        names = (*model.encoder_hidden[:-1], ends)
        yield from _of_stack(names, theirs.encoder_hidden_states, theirs.encoder_attentions, path="encoder.")
        ends = "norm" if model.spec.norm is not None else model.hidden[-1]
        names, crossed = (*model.hidden[:-1], ends), theirs.cross_attentions
        yield from _of_stack(names, theirs.decoder_hidden_states, theirs.decoder_attentions, crossed)
    for name, theirs_name in (("pooled", "pooler_output"), ("logits", "logits"), ("logits", "prediction_logits")):
        if getattr(theirs, theirs_name, None) is not None and name in model.working().names:
            yield name, _numbers(getattr(theirs, theirs_name))
    if getattr(theirs, "start_logits", None) is not None:
        yield "logits", np.stack([_numbers(theirs.start_logits), _numbers(theirs.end_logits)], axis=-1)


def _of_stack(
    names: Sequence[str], hidden: Sequence[Any], attentions: Sequence[Any], crossed: Sequence[Any] = (), path: str = ""
) -> Iterator[tuple[str, Numbers]]:
    """The states and the weights of a stack; the last state that Transformers gives has passed the last norm.

    Of layers without a softmax it gives no weights: those are None here.
    """
    states = zip(names, hidden, strict=True)
    name, state = next(states)
    yield name, _numbers(state)
    for number, ((name, state), weights) in enumerate(zip(states, attentions, strict=True)):
        if weights is not None:
            yield f"{path}layers.{number}.attention.weights", _numbers(weights)
        if crossed:
            yield f"{path}layers.{number}.cross.weights", _numbers(crossed[number])
        yield name, _numbers(state)


def _numbers(tensor: Any) -> Numbers:
    return np.asarray(tensor[0].float().numpy())


def _suspect(model: Model, compared: tuple[Compared, ...]) -> Suspect | None:
    """The block with the first difference, if its input agrees."""
    first = next((number for number, each in enumerate(compared) if not each.agrees), None)
    if first is None or not compared[first].line.startswith("layers."):
        return None
    layer = int(compared[first].line.split(".")[1])
    path = f"layers.{layer}."
    theirs = {each.line.removeprefix(path): each.theirs for each in compared if each.line.startswith(path)}
    spec = model.spec.layers[layer]
    if spec.cross is not None:
        return None  # its memory would have to be claimed too
    block = spec.working()
    before = next(each for each in compared if each.line == model.hidden[layer])
    given = {
        each.name: before.theirs if each.name == "input" else model.arrays[path + each.name] for each in block.givens
    }
    rotary = spec.attention.rotary
    ahead = not spec.attention.causal or (rotary is not None and isinstance(rotary.scaling, (Dynamic, LongRope)))
    line = compared[first].line.removeprefix(path)
    return Suspect(layer, line, replace(block, label_base=0), given, theirs, ahead)
