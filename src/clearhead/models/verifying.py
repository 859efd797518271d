"""A model compared with Transformers on the same tokens: every array that Transformers exposes, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.brief import Brief
from clearhead.errors import CheckpointError
from clearhead.extras import need
from clearhead.models.inputs import Source, inputs_of
from clearhead.models.model import Model
from clearhead.spec import Dynamic, LongRope
from clearhead.trace import Trace
from clearhead.working import Working

BOUND = 5e-5
"""The largest difference that counts as agreement, relative to the largest number of its row: 420 roundings of float32.

What cancels to much less than other rows is measured by these: the median of the largest numbers of all rows."""

Numbers = np.ndarray[Any, Any]


class Compared(Brief, frozen=True, eq=False):
    """A line, what Transformers has for it, and the largest difference, relative to the numbers of its row.

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
    """A block that gives other numbers than Transformers on the same input.

    Attributes:
        layer: its number, from 0.
        line: the first of its lines that differs.
        working: its lines.
        given: its input as Transformers has it, and its weights.
        theirs: what Transformers has for its lines, by name.
        ahead: whether later tokens change what earlier ones give.
    """

    layer: int
    line: str
    working: Working
    given: dict[str, Numbers]
    theirs: dict[str, Numbers]
    ahead: bool

    def first_tokens(self, count: int) -> Suspect | None:
        """The same block on the first tokens alone; None where what they give depends on those behind."""
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
    """What a comparison found: every line that both have, in order."""

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


def verify(model: Model, source: Source) -> Verdict:
    """Computes a text here and in Transformers, eager and in float32, and compares line by line.

    Args:
        model: the model, whose checkpoint Transformers loads too.
        source: a text, or numbers of tokens.

    Returns:
        Every line that both have, and, where one differs within a block, the block.

    Raises:
        MissingPackage: transformers or torch is not installed.
        CheckpointError: Transformers cannot load the checkpoint.
    """
    inputs = inputs_of(model, source)
    trace = model.trace(source)
    theirs = _run(model, inputs.arrays)
    compared = tuple(_compare(name, trace[name], numbers) for name, numbers in _exposed(model, theirs))
    return Verdict(trace, compared, _suspect(model, compared))


def _compare(name: str, ours: Numbers, theirs: Numbers) -> Compared:
    theirs = theirs.reshape(ours.shape)
    largest = np.abs(theirs).max(axis=-1, keepdims=True)
    unit = np.maximum(largest, np.median(largest))
    off = np.abs(ours - theirs)
    difference = float(np.max(np.divide(off, unit, out=np.where(off == 0, off, np.inf), where=unit > 0)))
    return Compared(name, theirs, difference, float(largest.max()))


def _run(model: Model, given: dict[str, Numbers]) -> Any:
    """What Transformers' own code makes of the same checkpoint and tokens."""
    transformers, torch = need("transformers", "verify"), need("torch", "verify")
    names = {"token": "input_ids", "type": "token_type_ids", "patch": "pixel_values"}
    batch = {names[name]: torch.from_numpy(np.ascontiguousarray(array))[None] for name, array in given.items()}
    path, options = model.path, {"attn_implementation": "eager", "dtype": torch.float32}
    if path.suffix == ".gguf":
        kind: Any = transformers.AutoModelForCausalLM
        path, options = path.parent, {**options, "gguf_file": path.name}
    else:
        kind = getattr(transformers, model.checkpoint.architecture)
        path = path.parent if path.is_file() else path
    transformers.logging.disable_progress_bar()
    try:
        loaded = kind.from_pretrained(path, local_files_only=True, **options).eval()
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: Transformers cannot load it: {error}") from None
    with torch.inference_mode():
        return loaded(**batch, output_hidden_states=True, output_attentions=True)


def _exposed(model: Model, theirs: Any) -> Iterator[tuple[str, Numbers]]:
    """What Transformers exposes, each under our name of the line, in the order of the lines."""
    hidden = list(model.hidden)
    if model.spec.norm is not None and not model.reads_images:
        hidden[-1] = "norm"  # the last state that it gives has passed the last norm
    attention = (f"layers.{n}.attention.weights" for n in range(model.sizes.layers))
    states = list(zip(hidden, theirs.hidden_states, strict=True))
    yield states[0][0], _numbers(states[0][1])
    for (name, weights), state in zip(zip(attention, theirs.attentions, strict=True), states[1:], strict=True):
        yield name, _numbers(weights)
        yield state[0], _numbers(state[1])
    for name, theirs_name in (("pooled", "pooler_output"), ("logits", "logits"), ("logits", "prediction_logits")):
        if getattr(theirs, theirs_name, None) is not None:
            yield name, _numbers(getattr(theirs, theirs_name))
    if getattr(theirs, "start_logits", None) is not None:
        yield "logits", np.stack([_numbers(theirs.start_logits), _numbers(theirs.end_logits)], axis=-1)


def _numbers(tensor: Any) -> Numbers:
    return np.asarray(tensor[0].float().numpy())


def _suspect(model: Model, compared: tuple[Compared, ...]) -> Suspect | None:
    """The block that the first difference lies in, if what it was given agrees."""
    first = next((number for number, each in enumerate(compared) if not each.agrees), None)
    if first is None or not compared[first].line.startswith("layers."):
        return None
    layer = int(compared[first].line.split(".")[1])
    path = f"layers.{layer}."
    theirs = {each.line.removeprefix(path): each.theirs for each in compared if each.line.startswith(path)}
    spec = model.spec.layers[layer]
    block = spec.working()
    before = next(each for each in compared if each.line == model.hidden[layer])
    given = {
        each.name: before.theirs if each.name == "input" else model.arrays[path + each.name] for each in block.givens
    }
    rotary = spec.attention.rotary
    ahead = not spec.attention.causal or (rotary is not None and isinstance(rotary.scaling, (Dynamic, LongRope)))
    line = compared[first].line.removeprefix(path)
    return Suspect(layer, line, replace(block, label_base=0), given, theirs, ahead)
