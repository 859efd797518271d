"""Safetensors: every type of number, in one file or several."""

import json
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import save_file

from clearhead.errors import CheckpointError
from clearhead.models.safetensors import KINDS, read_safetensors, read_sharded
from clearhead.models.tensors import Tensor, mapped, plain

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
    "U8": torch.uint8, "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64, "BOOL": torch.bool,
}  # fmt: skip


def test_every_type_is_tried():
    """Each type that is read is compared with PyTorch below, and four-bit numbers against ml_dtypes."""
    assert {*TYPES, "F4"} == KINDS.keys()


@pytest.mark.parametrize("name", TYPES)
def test_types(name, tmp_path):
    """Every bit pattern of a small type, and a few hundred of a large one, is the number that PyTorch says."""
    bits = torch.arange(256, dtype=torch.uint8) if name != "BOOL" else torch.arange(256, dtype=torch.uint8) % 2
    if TYPES[name].itemsize > 1:
        bits = torch.from_numpy(np.random.default_rng(1).integers(0, 256, 2048, dtype=np.uint8))
    stored = bits.view(TYPES[name]).reshape(2, -1)
    path = tmp_path / "x.safetensors"
    try:
        safetensors.torch.save_file({"first": stored, "second": stored[:1].clone()}, path)
    except KeyError:  # the package cannot write the type: its header is changed instead
        safetensors.torch.save_file({"first": stored.view(torch.uint8), "second": stored[:1].view(torch.uint8)}, path)
        path.write_bytes(path.read_bytes().replace(b'"U8"', f'"{name}"'.encode()))
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little") + 2 * (len(name) - 2)
        path.write_bytes(size.to_bytes(8, "little") + data[8:])
    found = read_safetensors(path)
    expected = (stored.float() if stored.is_floating_point() else stored).numpy()
    np.testing.assert_array_equal(found["first"].array(), expected)
    np.testing.assert_array_equal(found["second"].array(), expected[:1])


def test_four_bits(tmp_path):
    """Two four-bit numbers stand in a byte, the lower half first."""
    values = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    header = json.dumps({"x": {"dtype": "F4", "shape": [2, 4], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([0x10, 0x32, 0xBA, 0xFE]))
    np.testing.assert_array_equal(
        read_safetensors(path)["x"].array(), values[[0, 1, 2, 3, 10, 11, 14, 15]].reshape(2, 4)
    )


def test_float32_is_not_copied(tmp_path):
    """What is stored as float32 is the file itself, mapped, and cannot be written to."""
    save_file({"x": np.arange(6, dtype=np.float32).reshape(2, 3)}, tmp_path / "x.safetensors")
    tensor = read_safetensors(tmp_path / "x.safetensors")["x"]
    assert np.shares_memory(tensor.array(), tensor.stored)
    assert not tensor.array().flags.writeable


def test_shards(tmp_path):
    """An index says which file has which array; a file it does not name is not read."""
    save_file({"a": np.float32([1, 2]), "b": np.float32([3])}, tmp_path / "one.safetensors")
    save_file({"c": np.float32([[4]])}, tmp_path / "two.safetensors")
    (tmp_path / "three.safetensors").write_text("nothing")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "c": "two.safetensors"}}))
    assert {name: each.array().tolist() for name, each in read_sharded(index, tmp_path).items()} == {
        "a": [1, 2],
        "c": [[4]],
    }
    index.write_text(json.dumps({"weight_map": {"c": "one.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"c is said to be in one.safetensors, and is not"):
        read_sharded(index, tmp_path)


def test_converted_numbers_give_the_file_s_memory_back(tmp_path):
    """Once numbers of a mapped file are widened, its pages are no longer in memory; they are read again if needed."""
    path = tmp_path / "half.bin"
    stored = (np.arange(1 << 20) % 1000).astype(np.float16)
    stored.tofile(path)
    tensor = Tensor("a", plain("F16", "<f2"), (1 << 10, 1 << 10), mapped(path))
    np.testing.assert_array_equal(tensor.array().reshape(-1), stored.astype(np.float32))
    held = re.search(rf"{re.escape(str(path))}\n.*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text("utf-8"), re.S)
    assert int(held[1]) < 20
    np.testing.assert_array_equal(tensor.array().reshape(-1), stored.astype(np.float32))
