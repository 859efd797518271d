"""Weights of 4 bits, packed: GPTQ, AWQ, compressed-tensors, bitsandbytes (NF4, FP4) and MXFP4.

Each kind is a row: which arrays encode a weight, and how they are unpacked. Products of integers with scales are
taken in float32; what bitsandbytes unpacks has the type that the file states.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.errors import CheckpointError
from clearhead.models.key import shown
from clearhead.models.tensors import Floats, Tensor, Tensors, bfloat16

MAX_STATE_BYTES = 4096
"""The most bytes of bitsandbytes' description of a weight."""

Stated = Mapping[str, Any]
Parts = Mapping[str, Tensor]


class Packed(Tensor, frozen=True, eq=False):
    """A weight that several arrays of the file encode.

    Attributes:
        parts: these arrays, by the ends of their names.
        unpack: makes the numbers of them.
    """

    parts: Parts
    unpack: Callable[[Parts], Floats]

    def array(self) -> Floats:
        """The numbers, as float32."""
        out = self.unpack(self.parts)
        if out.shape != self.shape:
            raise CheckpointError(
                f"the checkpoint is quantised, and {self.name[:120]} unpacks to {out.shape}, not {self.shape}."
            )
        return out


class Packing(Struct, frozen=True):
    """One kind of packing.

    Attributes:
        entries: what ``quantization_config`` may say: of entries with values, only these.
        parts: the endings of the names of the arrays that encode a weight; the first must exist.
        weight: the ending of the weight's name instead.
        shape: the shape of the weight, by its arrays and what the config states.
        unpack: makes the numbers of the arrays, by what the config states.
        optional: the parts that may be missing.
    """

    entries: Mapping[str, tuple[Any, ...] | None]
    parts: tuple[str, ...]
    weight: str
    shape: Callable[[Parts, Stated], Shape]
    unpack: Callable[[Parts, Stated], Floats]
    optional: tuple[str, ...] = ()


def unpacked(tensors: Tensors, packing: Packing, stated: Stated) -> dict[str, Tensor]:
    """The arrays of a checkpoint, with each packed weight as one array.

    Raises:
        CheckpointError: a part is missing, or parts do not fit each other.
    """
    found = dict(tensors)
    first = packing.parts[0]
    if not any(name.endswith(first) for name in tensors):
        raise nothing_packed(stated.get("quant_method"), first)
    for name in tensors:
        if not name.endswith(first):
            continue
        stem = name.removesuffix(first)
        parts = {end: found.pop(stem + end) for end in packing.parts if stem + end in found}
        if missing := [end for end in packing.parts if end not in (*parts, *packing.optional)]:
            raise CheckpointError(f"the checkpoint is quantised, and {stem[:120]}{missing[0]} is missing.")
        weight = stem + packing.weight
        found[weight] = _weight(weight, parts, packing, stated)
    return found


def nothing_packed(method: Any, ending: str) -> CheckpointError:
    """The error for a checkpoint whose config states a quantisation, and that has no array which belongs to it."""
    return CheckpointError(
        f"the config says that the checkpoint is quantised (quantization_config: {shown(method)}), and it has no array "
        f"whose name ends with {ending}. If its weights are plain numbers, load(..., ignore=['quantization_config']) "
        f"reads them; Transformers may quantise them first."
    )


def _weight(name: str, parts: Parts, packing: Packing, stated: Stated) -> Packed:
    head = next(iter(parts.values()))
    try:
        shape = packing.shape(parts, stated)
    except (ValueError, KeyError, TypeError, ZeroDivisionError, IndexError):
        shapes = ", ".join(f"{end} {part.shape}" for end, part in parts.items())
        raise CheckpointError(
            f"the checkpoint is quantised, and the arrays of {name[:120]} do not fit each other: {shapes[:200]}."
        ) from None

    def unpack(given: Parts) -> Floats:
        return packing.unpack(given, stated)

    return Packed(name, head.kind, shape, head.stored, parts, unpack)


def _fits(*conditions: bool) -> None:
    if not all(conditions):
        raise ValueError


def _nibbles(packed: Floats) -> Floats:
    """The numbers of 4 bits in words of 32, the lowest first, along the last axis."""
    words = np.ascontiguousarray(packed).view(np.uint32)
    apart = (words[..., None] >> np.arange(0, 32, 4, dtype=np.uint32)) & np.uint32(15)
    return apart.astype(np.int32).reshape(*packed.shape[:-1], -1)


def _grouped_shape(parts: Parts, *, along: int) -> Shape:
    """Of GPTQ and AWQ: (out, in), with eight numbers in a word along the rows (0) or the columns (1)."""
    rows, columns = parts["qweight"].shape
    inside, outside = (rows * 8, columns) if along == 0 else (rows, columns * 8)
    groups = parts["scales"].shape[0]
    _fits(
        parts["qweight"].kind.name == "I32",
        parts["scales"].shape == (groups, outside),
        parts["qzeros"].shape == (groups, outside // 8),
        inside % groups == 0 or "g_idx" in parts,
    )
    return outside, inside


def _by_groups(numbers: Floats, zeros: Floats, scales: Floats, group: Floats) -> Floats:
    return np.ascontiguousarray(((numbers - zeros[group]).astype(np.float32) * scales[group]).T)


def _group_of(rows: int, groups: int) -> Floats:
    return np.arange(rows) // (rows // groups)


def _gptq(parts: Parts, stated: Stated) -> Floats:
    """Frantar et al. 2022, as AutoGPTQ stores it: numbers down the columns; zero points less 1 in the first format."""
    numbers = _nibbles(parts["qweight"].array().T).T
    zeros = _nibbles(parts["qzeros"].array())
    if stated.get("checkpoint_format", "gptq") == "gptq":
        if (zeros == 15).any():
            raise CheckpointError(
                f"the checkpoint is quantised, and {parts['qzeros'].name[:120]} holds the zero point 16, which "
                f"libraries read in different ways."
            )
        zeros = zeros + 1
    scales = parts["scales"].array()
    group = parts["g_idx"].array() if "g_idx" in parts else _group_of(len(numbers), len(scales))
    if not (group >= 0).all() or not (group < len(scales)).all():
        raise CheckpointError(f"the checkpoint is quantised, and {parts['g_idx'].name[:120]} names no group.")
    return _by_groups(numbers, zeros, scales, group)


_AWQ_ORDER = np.array([0, 4, 1, 5, 2, 6, 3, 7])


def _awq(parts: Parts, _stated: Stated) -> Floats:
    """Lin et al. 2023, as AutoAWQ's GEMM stores it: numbers along the rows, eight of them in a special order."""
    numbers, zeros = (
        _nibbles(parts[name].array())
        .reshape(parts[name].shape[0], -1, 8)[..., _AWQ_ORDER]
        .reshape(parts[name].shape[0], -1)
        for name in ("qweight", "qzeros")
    )
    scales = parts["scales"].array()
    return _by_groups(numbers, zeros, scales, _group_of(len(numbers), len(scales)))


def _compressed_shape(parts: Parts, _stated: Stated) -> Shape:
    rows, columns = (int(each) for each in parts["weight_shape"].array().reshape(-1))
    words, scales = parts["weight_packed"], parts["weight_scale"]
    _fits(
        words.kind.name == "I32",
        words.shape == (rows, -(-columns // 8)),
        len(scales.shape) == 2 and scales.shape[0] == rows,
        columns % scales.shape[1] == 0,
        "weight_zero_point" not in parts or parts["weight_zero_point"].shape == (-(-rows // 8), scales.shape[1]),
    )
    return rows, columns


def _compressed(parts: Parts, _stated: Stated) -> Floats:
    """compressed-tensors' ``pack-quantized``: numbers from -8 on along the rows, a scale for each group of a row."""
    rows, columns = _compressed_shape(parts, {})
    numbers = _nibbles(parts["weight_packed"].array())[:, :columns] - 8
    scales = parts["weight_scale"].array()
    group = parts["weight_g_idx"].array() if "weight_g_idx" in parts else _group_of(columns, scales.shape[1])
    if "weight_zero_point" in parts:
        zeros = _nibbles(parts["weight_zero_point"].array().T).T[:rows] - 8
        numbers = numbers - zeros[:, group]
    return numbers.astype(np.float32) * scales[:, group]


def _state(parts: Parts) -> dict[str, Any]:
    """The description of a weight that bitsandbytes writes."""
    (tensor,) = (part for end, part in parts.items() if end.startswith("weight.quant_state."))
    if tensor.stored.size > MAX_STATE_BYTES:
        raise ValueError
    state = json.loads(bytes(tensor.stored).decode())
    _fits(isinstance(state, dict), isinstance(state.get("blocksize"), int), state["blocksize"] > 0)
    return dict(state)


def _bits_and_bytes_shape(parts: Parts, _stated: Stated) -> Shape:
    state = _state(parts)
    shape = tuple(int(each) for each in state["shape"])
    nested = "weight.nested_absmax" in parts
    _fits(
        parts["weight.quant_map"].shape == (16,),
        math.prod(parts["weight"].shape) == -(-math.prod(shape) // 2),
        parts["weight.absmax"].shape == (-(-math.prod(shape) // state["blocksize"]),),
        nested == ("weight.nested_quant_map" in parts) == ("nested_blocksize" in state),
        state["dtype"] in ("float32", "bfloat16", "float16"),
    )
    return shape


def _bits_and_bytes(parts: Parts, _stated: Stated) -> Floats:
    """Dettmers et al. 2023: a table of 16 numbers, the upper half of a byte first, times the largest of each block."""
    state = _state(parts)
    packed = parts["weight"].array().reshape(-1)
    numbers = np.stack([packed >> np.uint8(4), packed & np.uint8(15)], axis=-1).reshape(-1)
    count = math.prod(state["shape"])
    largest = parts["weight.absmax"].array()
    if "weight.nested_absmax" in parts:
        outer = parts["weight.nested_absmax"].array()
        block = np.arange(len(largest)) // int(state["nested_blocksize"])
        table = parts["weight.nested_quant_map"].array()
        largest = table[largest] * outer[block] + np.float32(state["nested_offset"])
    block = np.arange(count) // state["blocksize"]
    out = parts["weight.quant_map"].array()[numbers[:count]] * largest[block].astype(np.float32)
    return _as_stated(out, state["dtype"]).reshape(state["shape"])


def _as_stated(values: Floats, dtype: str) -> Floats:
    """Numbers rounded to a type, as float32."""
    if dtype == "float16":
        return values.astype(np.float16).astype(np.float32)
    if dtype == "float32":
        return values
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return bfloat16(np.ascontiguousarray(rounded.astype("<u2")).view(np.uint8))


_FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
_FP4 = np.concatenate([_FP4, -_FP4])


def _mxfp4_shape(parts: Parts, _stated: Stated) -> Shape:
    *lead, groups, half = parts["_blocks"].shape
    _fits(parts["_scales"].shape == (*lead, groups), parts["_blocks"].kind.name == "U8", len(lead) == 2)
    return lead[0], groups * half * 2, lead[1]


def _mxfp4(parts: Parts, _stated: Stated) -> Floats:
    """OCP Microscaling Formats 1.0: E2M1 numbers, the lower half of a byte first, times a power of two for 32."""
    blocks, scales = parts["_blocks"].array(), parts["_scales"].array()
    numbers = np.stack([_FP4[blocks & np.uint8(15)], _FP4[blocks >> np.uint8(4)]], axis=-1)
    numbers = numbers.reshape(*blocks.shape[:-1], -1)
    powers = scales.astype(np.int32)[..., None] - 127
    out = np.ldexp(numbers, powers).astype(np.float32)
    turned: Floats = out.reshape(*blocks.shape[:-2], -1).swapaxes(-1, -2)
    return turned


_BY_GROUPS: dict[str, tuple[Any, ...] | None] = {
    "bits": (4,), "w_bit": (4,), "group_size": None, "q_group_size": None, "sym": None, "zero_point": (True,),
    "desc_act": None, "damp_percent": None, "true_sequential": None, "static_groups": None, "model_name_or_path": None,
    "model_file_base_name": None, "is_marlin_format": (False,), "quantizer": None, "meta": None, "lm_head": None,
    "checkpoint_format": ("gptq", "gptq_v2"), "format": ("gptq", "gptq_v2", "gemm"), "version": ("gemm", "GEMM"),
    "modules_to_not_convert": None, "modules_in_block_to_quantize": None, "backend": None, "do_fuse": (False, None),
    "dataset": None, "tokenizer": None, "batch_size": None, "module_name_preceding_first_block": None,
    "block_name_to_quantize": None, "use_cuda_fp16": None, "use_exllama": None, "exllama_config": None,
    "disable_exllama": None, "max_input_length": None, "cache_block_outputs": None, "model_seqlen": None,
    "pad_token_id": None, "act_group_aware": None, "dynamic": (None, {}), "pack_dtype": ("int32",),
}  # fmt: skip
_STATES = tuple(f"weight.quant_state.bitsandbytes__{kind}" for kind in ("nf4", "fp4"))

PACKINGS: dict[str, Packing] = {
    "gptq": Packing(
        {**_BY_GROUPS, "checkpoint_format": ("gptq", "gptq_v2"), "format": ("gptq", "gptq_v2")},
        ("qweight", "qzeros", "scales", "g_idx"),
        "weight",
        lambda parts, _: _grouped_shape(parts, along=0),
        _gptq,
        ("g_idx",),
    ),
    "awq": Packing(
        {**_BY_GROUPS, "format": ("gemm",)},
        ("qweight", "qzeros", "scales"),
        "weight",
        lambda parts, _: _grouped_shape(parts, along=1),
        _awq,
    ),
    "compressed-tensors": Packing(
        {},
        ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx"),
        "weight",
        _compressed_shape,
        _compressed,
        ("weight_zero_point", "weight_g_idx"),
    ),
    "bitsandbytes": Packing(
        {},
        ("weight.absmax", "weight", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map", *_STATES),
        "weight",
        _bits_and_bytes_shape,
        _bits_and_bytes,
        ("weight.nested_absmax", "weight.nested_quant_map", *_STATES),
    ),
    "mxfp4": Packing({"modules_to_not_convert": None}, ("_blocks", "_scales"), "", _mxfp4_shape, _mxfp4),
}
"""The kinds of packing, by ``quant_method``."""


def check_entries(stated: Stated, entries: Mapping[str, tuple[Any, ...] | None]) -> None:
    """Whether what a config says of its quantisation is known.

    Raises:
        CheckpointError: an entry or its value is not.
    """
    for name, value in stated.items():
        allowed = entries.get(name, ())
        if name != "quant_method" and allowed is not None and value not in allowed:
            raise CheckpointError(
                f"the checkpoint is quantised, and quantization_config.{name[:60]} = {shown(value)} is not known."
            )
