"""Weights that a checkpoint holds as small numbers with scales beside them, where the scales alone define the weights.

Block fp8 (``weight_scale_inv``), fp8 and int8 of compressed-tensors (``weight_scale``), int8 of bitsandbytes (``SCB``).
What such checkpoints say of activations is for kernels that multiply small numbers; here products are of the weights
that the numbers stand for, in float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import CheckpointError
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.key import shown
from clearhead.models.packed import PACKINGS, Packing, check_entries, nothing_packed, unpacked
from clearhead.models.tensors import Floats, Tensor, Tensors

EIGHT = ("F8_E4M3", "F8_E5M2", "I8")
"""The types of numbers that are read with scales."""


class Scheme(Struct, frozen=True):
    """How one kind of quantisation is stored.

    Attributes:
        scale: how the name of the array with the scales ends, in the place of ``weight``.
        divide: what the scales are divided by.
        entries: what ``quantization_config`` may say: of entries with values, only these.
        idle: how the names of arrays end that change no weight.
    """

    scale: str
    divide: float
    entries: Mapping[str, tuple[Any, ...] | None]
    idle: tuple[str, ...] = ()


SCHEMES: dict[str, Scheme] = {
    "fp8": Scheme(
        "weight_scale_inv",
        1.0,
        {
            "activation_scheme": ("dynamic",), "fmt": ("e4m3", None), "weight_block_size": None, "scale_fmt": None,
            "modules_to_not_convert": None, "dequantize": (False, None),
        },
    ),
    "compressed-tensors": Scheme(
        "weight_scale",
        1.0,
        {
            "format": ("float-quantized", "int-quantized", "naive-quantized"), "config_groups": None, "ignore": None,
            "quantization_status": None, "global_compression_ratio": None, "kv_cache_scheme": (None,),
            "sparsity_config": ({}, None), "transform_config": ({}, None), "version": None,
        },
        ("input_scale", "weight_zero_point"),
    ),
    "bitsandbytes": Scheme(
        "SCB",
        127.0,
        {
            "load_in_8bit": (True,), "load_in_4bit": (False, None), "_load_in_8bit": None, "_load_in_4bit": None,
            "llm_int8_threshold": None, "llm_int8_skip_modules": None, "llm_int8_has_fp16_weight": None,
            "llm_int8_enable_fp32_cpu_offload": None, "bnb_4bit_compute_dtype": None, "bnb_4bit_quant_storage": None,
            "bnb_4bit_quant_type": None, "bnb_4bit_use_double_quant": None,
        },
        ("weight_format",),
    ),
}  # fmt: skip
"""The kinds that are read, by ``quant_method``."""


class Scaled(Tensor, frozen=True, eq=False):
    """An array of small numbers (row, column), each block of which has a scale in another array.

    Attributes:
        scales: one for each block, along rows and columns.
        block: rows and columns of a block; the last ones may be smaller.
        divide: what scales are divided by.
    """

    scales: Tensor
    block: tuple[int, int]
    divide: float = 1.0

    def array(self) -> Floats:
        """The numbers times their scales."""
        (rows, columns), (height, width) = self.shape, self.block
        numbers = self.kind.widen(self.stored).reshape(self.shape).astype(np.float32)
        scales = self.scales.array().astype(np.float32).reshape(-(-rows // height), -(-columns // width))
        scales = scales / np.float32(self.divide)
        return numbers * np.repeat(np.repeat(scales, height, 0)[:rows], width, 1)[:, :columns]


def with_scales(checkpoint: Checkpoint, ignore: Collection[str] = ()) -> tuple[Checkpoint, tuple[str, ...]]:
    """A checkpoint whose quantised weights are read with their scales, and notes on it; others as they are.

    Raises:
        CheckpointError: the quantisation is of a kind that is read, and says or holds something that is not known.
    """
    stated = checkpoint.config.get("quantization_config")
    method = stated.get("quant_method") if isinstance(stated, Mapping) else None
    scheme = SCHEMES.get(method) if isinstance(method, str) else None
    if not isinstance(stated, Mapping) or "quantization_config" in ignore:
        return checkpoint, ()
    if packing := _packing(stated):
        check_entries(stated, {**packing.entries, **_entries(scheme, stated)})
        return _read(checkpoint, unpacked(checkpoint.tensors, packing, stated), method)
    if scheme is None:
        return checkpoint, ()
    _check_stated(stated, scheme)
    tensors = dict(checkpoint.tensors)
    names = [name for name in checkpoint.tensors if name.endswith(f".{scheme.scale}")]
    if not names:
        raise nothing_packed(method, f".{scheme.scale}")
    for name in names:
        stem = name.removesuffix(scheme.scale)
        weight = tensors.get(f"{stem}weight")
        if weight is None or weight.kind.name not in EIGHT or len(weight.shape) != 2:
            raise CheckpointError(f"the checkpoint is quantised, and {name[:120]} has no weight of 8 bits beside it.")
        tensors[weight.name] = _scaled(weight, tensors.pop(name), stated.get("weight_block_size"), scheme)
        for idle in scheme.idle:
            _check_idle(tensors.pop(f"{stem}{idle}", None))
    _check_all_scaled(tensors, scheme)
    return _read(checkpoint, tensors, method)


def _packing(stated: Mapping[str, Any]) -> Packing | None:
    """How weights of 4 bits are packed; None for those of 8 bits, and kinds that are not known."""
    method = stated.get("quant_method")
    if method == "compressed-tensors" and stated.get("format") != "pack-quantized":
        return None
    if method == "bitsandbytes" and stated.get("load_in_4bit") is not True:
        return None
    return PACKINGS.get(method) if isinstance(method, str) else None


def _entries(scheme: Scheme | None, stated: Mapping[str, Any]) -> Mapping[str, tuple[Any, ...] | None]:
    """What a config may say where 4 bits share a method with 8."""
    if scheme is None:
        return {}
    _check_groups(stated, bits=4)
    own = {"format": ("pack-quantized",), "load_in_4bit": (True,), "load_in_8bit": (False, None)}
    return {**scheme.entries, **{name: value for name, value in own.items() if name in scheme.entries}}


def _read(checkpoint: Checkpoint, tensors: Tensors, method: Any) -> tuple[Checkpoint, tuple[str, ...]]:
    config = {name: value for name, value in checkpoint.config.items() if name != "quantization_config"}
    note = f"Weights are quantised ({method}) and read with their scales, as float32; activations are not quantised."
    return replace(checkpoint, config=config, tensors=tensors), (note,)


def _scaled(weight: Tensor, scales: Tensor, block: Any, scheme: Scheme) -> Scaled:
    """A weight with its scales: one for each block, row, group within a row, or for all."""
    rows, columns = weight.shape
    groups = scales.shape[1] if len(scales.shape) == 2 and scales.shape[0] == rows else 1
    if isinstance(block, Sequence) and len(block) == 2 and all(isinstance(each, int) and each > 0 for each in block):
        size = block[0], block[1]
        fits = scales.shape == (-(-rows // size[0]), -(-columns // size[1]))
    elif scales.shape in ((), (1,), (1, 1)):
        size, fits = (rows, columns), block is None
    else:
        size = 1, columns // max(groups, 1)
        fits = block is None and scales.shape in ((rows,), (rows, groups)) and groups * size[1] == columns
    if not fits:
        raise CheckpointError(
            f"the checkpoint is quantised, and {scales.name[:120]} of shape {scales.shape} does not scale a weight of "
            f"({rows}, {columns}) in blocks of {shown(block)}."
        )
    return Scaled(
        weight.name, weight.kind, weight.shape, weight.stored, scales=scales, block=size, divide=scheme.divide
    )


def _check_stated(stated: Mapping[str, Any], scheme: Scheme) -> None:
    check_entries(stated, scheme.entries)
    _check_groups(stated, bits=8)


def _check_groups(stated: Mapping[str, Any], *, bits: int) -> None:
    """Whether all weights have this number of bits, those of 8 without zero points."""
    groups = stated.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        said = weights if isinstance(weights, Mapping) else {}
        if said.get("num_bits") != bits or (bits == 8 and said.get("symmetric") is not True):
            raise CheckpointError(
                f"the checkpoint is quantised, and of config_groups only symmetric weights of 8 bits are read, or "
                f"pack-quantized ones of 4, not {shown(weights)}."
            )


def _check_all_scaled(tensors: Tensors, scheme: Scheme) -> None:
    """Whether none of 8 bits is left without its scales, where a config says that they have some."""
    for name, tensor in tensors.items():
        if tensor.kind.name in EIGHT and not isinstance(tensor, Scaled):
            raise CheckpointError(
                f"the checkpoint is quantised, and {name[:120]} holds {tensor.kind.name} numbers without scales: "
                f"expected {name.rpartition('.')[0][:120]}.{scheme.scale} beside it. Is a file missing?"
            )


def _check_idle(tensor: Tensor | None) -> None:
    """Of zero points only zeros change nothing."""
    if tensor is not None and tensor.name.endswith("zero_point") and np.any(tensor.array()):
        raise CheckpointError(
            f"the checkpoint is quantised, and {tensor.name[:120]} has zero points, which are not read."
        )
