"""Other forms of a family's weights: GGUF files, and matrices of 8 bits with scales."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tests.models.gguf_cases import CASES
from tests.models.gguf_files import traced, written

from clearhead.errors import ClearheadError
from clearhead.models import Family, Model, load
from clearhead.trace import Trace

Off = Callable[[Any, Any], float]
Arrays = dict[str, torch.Tensor]
INT8 = {"quant_method": "bitsandbytes", "load_in_8bit": True}


def from_gguf(family: Family, off: Off) -> float | None:
    """How far the numbers of the family's GGUF files are off those of safetensors; None where no case is of it.

    Raises:
        ClearheadError: a file is refused.
    """
    cases = [case for case, (_, made_by, *_) in CASES.items() if made_by in family.architectures]
    return max([_of_case(case, off) for case in cases], default=None)


def _of_case(case: str, off: Off) -> float:
    with tempfile.TemporaryDirectory() as folder:
        found = traced(load(written(case, Path(folder)), engine="array"))
        expected = traced(load(Path(folder) / "saved", engine="array"))
        return max(off(found[name], expected[name]) for name in expected)


def quantised(folder: Path, ours: Model, source: Any, decoder: Any, off: Off) -> float:
    """How far a model with matrices of 8 bits is off the model of the weights that these stand for.

    Args:
        folder: where Transformers saved the model.
        ours: the model.
        source: what it reads.
        decoder: what its decoder has written, if it has one.
        off: the difference of two arrays.

    Raises:
        ClearheadError: it is refused, or has no matrix that a layer multiplies by.
    """
    matrices = {
        name
        for line, (tensor, words) in ours.stored.items()
        for name in tensor.names
        if "linear" in words and "layers." in line
    }
    stored = load_file(folder / "model.safetensors")
    small, meant = dict(stored), dict(stored)
    for name in sorted(matrices):
        if stored[name].ndim == 2 and name.endswith(".weight"):
            scales = stored[name].abs().amax(1)
            small[name] = torch.round(stored[name] / scales[:, None] * 127).to(torch.int8)
            small[name.removesuffix("weight") + "SCB"] = scales
            meant[name] = small[name].float() * (scales / 127)[:, None]
    if small.keys() == stored.keys():
        raise ClearheadError("no matrix")
    found = _traced(small, folder, {"quantization_config": INT8}, source, decoder)
    expected = _traced(meant, folder, {}, source, decoder)
    return max(off(found[line], expected[line]) for line in ours.hidden)


def _traced(arrays: Arrays, folder: Path, more: dict[str, Any], source: Any, decoder: Any) -> Trace:
    """What the model of a folder computes with other arrays, and more entries in its config."""
    with tempfile.TemporaryDirectory() as other:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (Path(other) / "config.json").write_text(json.dumps({**config, **more}), "utf-8")
        save_file({name: each.contiguous() for name, each in arrays.items()}, Path(other) / "model.safetensors")
        return load(other, engine="array").trace(source, decoder=decoder)
