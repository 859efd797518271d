"""Weights of 4 bits: what is unpacked is, to the bit, what the library that writes such files unpacks."""

import json

import bitsandbytes.functional as bits_and_bytes
import numpy as np
import pytest
import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from clearhead.errors import CheckpointError
from clearhead.models import load
from clearhead.models.checkpoint import open_checkpoint
from clearhead.models.scaled import with_scales

ROWS, COLUMNS, GROUP = 16, 24, 8


def words(numbers, order):
    """Numbers of 4 bits along the last axis, eight in a word, number ``order[n]`` of them at bits 4n."""
    apart = numbers.reshape(*numbers.shape[:-1], -1, 8).astype(np.int64)
    packed = sum(apart[..., number] << (4 * place) for place, number in enumerate(order))
    return torch.from_numpy(packed.astype(np.uint32).view(np.int32).copy())


def grouped(rng, *, shuffled):
    """Numbers, zero points, scales and groups, and by plain loops the weight (out, in) that they stand for."""
    numbers, zeros = rng.integers(0, 16, (COLUMNS, ROWS)), rng.integers(1, 15, (COLUMNS // GROUP, ROWS))
    scales = rng.uniform(0.01, 0.1, zeros.shape).astype(np.float16)
    group = np.arange(COLUMNS) // GROUP
    group = rng.permutation(group) if shuffled else group
    meant = np.zeros((ROWS, COLUMNS), np.float32)
    for i in range(COLUMNS):
        for o in range(ROWS):
            meant[o, i] = np.float32(numbers[i, o] - zeros[group[i], o]) * np.float32(scales[group[i], o])
    return numbers, zeros, scales, group, meant


def gptq(rng, less=1, **stated):
    """Frantar et al. 2022, in the format of AutoGPTQ."""
    numbers, zeros, scales, group, meant = grouped(rng, shuffled=True)
    plain = range(8)
    arrays = {
        "qweight": words(numbers.T, plain).T.contiguous(), "qzeros": words(zeros - less, plain),
        "scales": torch.from_numpy(scales), "g_idx": torch.from_numpy(group.astype(np.int32)),
    }  # fmt: skip
    return {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": True, **stated}, arrays, meant


def awq(rng):
    """Lin et al. 2023, in the format of AutoAWQ's GEMM: number 0, 2, 4, 6, 1, 3, 5, 7 in each word."""
    numbers, zeros, scales, _, meant = grouped(rng, shuffled=False)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    arrays = {"qweight": words(numbers, order), "qzeros": words(zeros, order), "scales": torch.from_numpy(scales)}
    return {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}, arrays, meant


def nf4(rng, kind="nf4", *, nested=False, dtype=torch.float32):
    """Dettmers et al. 2023, by bitsandbytes itself: with whole blocks in each row, which it needs with AVX-512."""
    weight = torch.from_numpy(rng.normal(size=(ROWS, 64)).astype(np.float32)).to(dtype)
    packed, state = bits_and_bytes.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
    arrays = {"weight": packed, **{f"weight.{name}": each for name, each in state.as_dict(packed=True).items()}}
    meant = bits_and_bytes.dequantize_4bit(packed, state).float().numpy()
    return {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False}, arrays, meant


def nf4_across_rows(rng):
    """As bitsandbytes packs it, with blocks that go on in the next row; unpacked as its files define it."""
    config, _, _ = nf4(rng)
    weight = torch.from_numpy(rng.normal(size=(ROWS, 2 * COLUMNS)).astype(np.float32))
    packed, state = bits_and_bytes.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    arrays = {"weight": packed, **{f"weight.{name}": each for name, each in state.as_dict(packed=True).items()}}
    numbers = [half for byte in packed.flatten().tolist() for half in (byte >> 4, byte & 15)]
    scales = np.repeat(state.absmax.numpy(), 64)
    meant = (state.code.numpy()[numbers] * scales).reshape(weight.shape)
    return config, arrays, meant


def compressed(rng, *, symmetric):
    """By compressed-tensors itself."""
    weights = QuantizationArgs(num_bits=4, symmetric=symmetric, strategy="group", group_size=GROUP)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    weight = torch.from_numpy(rng.normal(size=(ROWS, COLUMNS)).astype(np.float32))
    arrays = {
        "weight": weight,
        "weight_scale": torch.from_numpy(rng.uniform(0.1, 0.3, (ROWS, COLUMNS // GROUP)).astype("f4")),
    }
    if not symmetric:
        arrays["weight_zero_point"] = torch.from_numpy(rng.integers(-3, 4, (ROWS, COLUMNS // GROUP)).astype(np.int8))
    packed = PackedQuantizationCompressor.compress(arrays, scheme)
    meant = PackedQuantizationCompressor.decompress(packed, scheme)["weight"].numpy()
    groups = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "symmetric": symmetric}}}
    return {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}, packed, meant


def mxfp4(rng):
    """OCP Microscaling Formats 1.0, by Transformers' own code."""
    blocks = torch.from_numpy(rng.integers(0, 256, (3, ROWS, 2, 16)).astype(np.uint8))
    scales = torch.from_numpy(rng.integers(118, 130, (3, ROWS, 2)).astype(np.uint8))
    meant = convert_moe_packed_tensors(blocks, scales).float().numpy()
    return {"quant_method": "mxfp4"}, {"weight_blocks": blocks, "weight_scales": scales}, meant


KINDS = {
    "gptq": gptq,
    "gptq, second format": lambda rng: gptq(rng, 0, checkpoint_format="gptq_v2"),
    "awq": awq,
    "nf4": nf4,
    "nf4, blocks across rows": nf4_across_rows,
    "nf4, nested": lambda rng: nf4(rng, nested=True),
    "nf4, bfloat16": lambda rng: nf4(rng, nested=True, dtype=torch.bfloat16),
    "fp4": lambda rng: nf4(rng, "fp4"),
    "compressed": lambda rng: compressed(rng, symmetric=True),
    "compressed, zero points": lambda rng: compressed(rng, symmetric=False),
    "mxfp4": mxfp4,
}


@pytest.fixture
def written(tmp_path):
    """A function that writes a checkpoint of one packed weight, and opens it."""

    def write(stated, arrays):
        save_file({f"layer.{name}": each.contiguous() for name, each in arrays.items()}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps({"architectures": ["X"], "quantization_config": stated}))
        return open_checkpoint(tmp_path)

    return write


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_packed_weights_are_those_of_the_library(kind, seed, written):
    """Each number is that of the library, or of the published definition where no library runs on processors."""
    stated, arrays, meant = KINDS[kind](np.random.default_rng(seed))
    checkpoint, notes = with_scales(written(stated, arrays))
    assert list(checkpoint.tensors) == ["layer.weight"]
    weight = checkpoint.tensors["layer.weight"]
    assert weight.shape == meant.shape
    np.testing.assert_array_equal(weight.array(), meant)
    assert "quantised" in notes[0]


def test_a_model_with_packed_weights_is_that_of_the_weights_meant(small, tmp_path):
    """A Llama in NF4 gives, to the bit, the numbers of the same with the weights that bitsandbytes unpacks."""
    packed, meant = {}, {}
    for name, weight in load_file(small / "model.safetensors").items():
        meant[name] = packed[name] = weight
        if name.endswith("_proj.weight"):
            numbers, state = bits_and_bytes.quantize_4bit(weight.contiguous(), quant_type="nf4")
            meant[name] = bits_and_bytes.dequantize_4bit(numbers, state)
            packed |= {name: numbers, **{f"{name}.{end}": each for end, each in state.as_dict(packed=True).items()}}
    config = json.loads((small / "config.json").read_text())
    traces = []
    for arrays, more in (
        (packed, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}),
        (meant, {}),
    ):
        folder = tmp_path / str(len(traces))
        folder.mkdir()
        save_file({name: each.contiguous() for name, each in arrays.items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config | more))
        traces.append(load(folder, engine="array").trace([3, 16, 8, 2]))
    np.testing.assert_array_equal(traces[0]["logits"], traces[1]["logits"])


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("gptq", {"scales": torch.zeros(2, 5)}, "do not fit each other"),
        ("gptq", {"qzeros": None}, "qzeros is missing"),
        ("awq", {"qweight": torch.zeros(24, 2)}, "do not fit each other"),
        ("nf4", {"weight.quant_state.bitsandbytes__nf4": None}, "do not fit each other"),
        ("nf4", {"weight.absmax": torch.zeros(3)}, "do not fit each other"),
        ("compressed", {"weight_shape": torch.tensor([4, 4])}, "do not fit each other"),
        ("mxfp4", {"weight_scales": torch.zeros(3, 5, 2)}, "do not fit each other"),
    ],
)
def test_parts_that_do_not_fit_are_refused(kind, change, message, written):
    """Arrays of wrong shapes, or none, are refused before a number is read, and the weight is named."""
    stated, arrays, _ = KINDS[kind](np.random.default_rng(0))
    arrays = {name: each for name, each in {**arrays, **change}.items() if each is not None}
    with pytest.raises(CheckpointError, match=f"quantised, and .*layer.*{message}"):
        with_scales(written(stated, arrays))


@pytest.mark.parametrize(
    ("kind", "stated", "message"),
    [
        ("gptq", {"bits": 3}, "bits = 3"),
        ("gptq", {"checkpoint_format": "marlin"}, "checkpoint_format = 'marlin'"),
        ("awq", {"version": "gemv"}, "version = 'gemv'"),
        ("awq", {"twist": 1}, "twist = 1"),
        ("compressed", {"config_groups": {"a": {"weights": {"num_bits": 3}}}}, "of 4, not"),
        ("mxfp4", {"bits": 4}, "bits = 4"),
    ],
)
def test_what_is_stated_and_not_known_is_refused(kind, stated, message, written):
    """An entry of the quantisation that nobody has heard of, or another value of one, is refused by name."""
    given, arrays, _ = KINDS[kind](np.random.default_rng(0))
    with pytest.raises(CheckpointError, match=message):
        with_scales(written({**given, **stated}, arrays))


def test_zero_points_that_libraries_read_in_two_ways_are_refused(written):
    """A zero point of 16 in GPTQ's first format is 0 to one library and 16 to another."""
    stated, arrays, _ = gptq(np.random.default_rng(0))
    checkpoint, _ = with_scales(written(stated, {**arrays, "qzeros": torch.full_like(arrays["qzeros"], -1)}))
    with pytest.raises(CheckpointError, match="zero point 16"):
        checkpoint.tensors["layer.weight"].array()
