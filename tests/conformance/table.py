"""Writes docs/reference/families.md: what each family can, by trying its small configurations against Transformers.

``make table`` runs this file; a test holds the page to the list of families and its rows to what a few of them give.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from clearhead.errors import ClearheadError
from clearhead.models import FAMILIES, Family, Model, load

from .families import CONFIGURATIONS, exposed, made, theirs
from .listed import REPOSITORIES, SIDE_BY_SIDE
from .pairs import reads
from .stored import from_gguf, quantised

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "families.md"
IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]
BOUND = 5e-5

HEAD = """\
# Families

What `load` reads, and what a model of it can. `make table` makes this page: Transformers saves small models with random
weights, several configurations of each family, and states, attention weights and results are compared, in float32.
*Off by* is the largest difference of all, relative to the largest number of its row; rounding explains some 5e-5.
*Batch*, *cache* and *inspect* are tried until a configuration can: their numbers are those of the text alone. *no*
means refused, with a message that says why; of an encoder-decoder the decoder is inspected. *Quantised* is tried with
matrices of 8 bits and a scale for each row, against the numbers that these stand for; *GGUF* with files of the same
weights, against safetensors, and *no* there means that no such file was tried.

| family | architectures | configurations | off by | batch | cache | inspect | quantised | GGUF |
|---|---|---|---|---|---|---|---|---|
"""

TAIL = """
From GGUF files, held against the same weights in safetensors: """


def tried(family: Family) -> list[str]:
    """The configurations of a family."""
    return [name for name, (made_by, _, _) in CONFIGURATIONS.items() if made_by in family.architectures]


def row(family: Family) -> str:
    """The line of a family."""
    names, can = tried(family), dict.fromkeys(CAN, "no")
    worst = max([_of(name, can) for name in names])
    off = from_gguf(family, _off)
    gguf = "no" if off is None else "yes" if off <= BOUND else "WRONG"
    cells = [family.name, ", ".join(family.architectures), str(len(names)), f"{worst:.0e}", *can.values(), gguf]
    return f"| {' | '.join(cells)} |"


def _of(name: str, can: dict[str, str]) -> float:
    """The largest difference of a configuration; what no configuration could before is tried, and noted in ``can``."""
    model = made(name)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        ours = load(folder, engine="array")
        source, decoder, given = _read_by(name, model)
        trace, out = ours.trace(source, decoder=decoder), theirs(model, **given)
        args = (ours, trace, source, decoder)
        can |= {word: _said(CAN[word], *args) for word, said in can.items() if said == "no"}
        return max(_off(trace[line], numbers.numpy()) for line, numbers in exposed(ours, out))


def _read_by(name: str, model: Any) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    if name.startswith("vit"):
        side, channels = model.config.image_size, model.config.num_channels
        image = np.random.default_rng(4).normal(size=(channels, side, side)).astype(np.float32)
        return image, None, {"pixel_values": torch.from_numpy(image)[None]}
    if name.startswith("pair"):
        return reads(name, IDS * 4)
    return IDS, None, {"input_ids": torch.tensor([IDS])}


def _said(does: Callable[..., float], ours: Model, trace: Any, source: Any, decoder: Any) -> str:
    try:
        return "yes" if does(ours, trace, source, decoder) <= BOUND else "WRONG"
    except ClearheadError:
        return "no"


def _batch(ours: Model, trace: Any, source: Any, decoder: Any) -> float:
    short = source if isinstance(source, np.ndarray) else source[:5]
    both = np.stack([source, source]) if isinstance(source, np.ndarray) else [source, short]
    together = ours.trace(both, decoder=None if decoder is None else [decoder, decoder])
    return max(_off(together[line][0], trace[line]) for line in ours.hidden)


def _cache(ours: Model, trace: Any, source: Any, decoder: Any) -> float:
    keep = ["hidden", "cache"]
    if decoder is None:
        rest = ours.trace(source[5:], past=ours.trace(source[:5], keep=keep))
        return max(_off(rest[line], trace[line][5:]) for line in ours.hidden)
    first = ours.trace(source, decoder=decoder[:2], keep=keep)
    rest = ours.trace(source, decoder=decoder[2:], past=first)
    return max(_off(rest[line], trace[line][2:]) for line in ours.hidden)


def _inspect(ours: Model, trace: Any, source: Any, decoder: Any) -> float:
    of_encoder = ours.spec.encoder is not None and decoder is None
    last = ours.encoder_hidden[-1] if of_encoder else ours.hidden[-1]
    return _off(ours.inspect(source, decoder=decoder).output, trace[last])


def _quantised(ours: Model, _trace: Any, source: Any, decoder: Any) -> float:
    return quantised(ours.path, ours, source, decoder, _off)


CAN: dict[str, Callable[..., float]] = {
    "batch": _batch, "cache": _cache, "inspect": _inspect, "quantised": _quantised,
}  # fmt: skip
"""What is tried besides a trace: how far its numbers are off those of the text alone."""


def _off(array: Any, expected: Any) -> float:
    """The largest difference, relative to the largest number of its row."""
    expected = np.asarray(expected).reshape(array.shape)
    unit = np.abs(expected).max(-1, keepdims=True)
    return float((np.abs(array - expected) / np.maximum(unit, 0.1 * np.median(unit))).max())


def counted() -> str:
    """How many architectures are read, of those side by side and by the repositories that people use."""
    read = {name for family in FAMILIES if family.transformers for name in family.architectures}
    missing = [name for name in SIDE_BY_SIDE if name not in read]
    used, whole = sum(n for name, n in REPOSITORIES.items() if name in read), sum(REPOSITORIES.values())
    there = len(SIDE_BY_SIDE) - len(missing)
    return f"""
## Counted

Of {len(SIDE_BY_SIDE)} architectures side by side (listed in `tests/conformance/listed.py`) {there} are read. Not read:
{", ".join(missing)}.

Of the {whole:,} repositories with 500 downloads or more in TransformerLens 4.3.0's list of models {used:,}, or
{used / whole:.1%}, name an architecture that is read. This counts names, not checkpoints that were tried. Of models
that read images too (`ForConditionalGeneration` of Gemma 3 and 4, Mistral and Qwen 3.5) the text model is read.
"""


def page() -> str:
    """The whole page."""
    rows = [row(family) for family in FAMILIES if family.transformers]
    files = sorted(each.architectures[0] for each in FAMILIES if not each.transformers)
    return HEAD + "\n".join(rows) + "\n" + TAIL + ", ".join(files) + ".\n" + counted()


if __name__ == "__main__":
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    PAGE.write_text(page(), "utf-8")
