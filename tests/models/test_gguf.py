"""GGUF: metadata and every quantisation, against the gguf package."""

import gguf
import numpy as np
import pytest

from clearhead.models.gguf import read_gguf
from clearhead.models.quantised import KINDS


def same_bits(ours, theirs):
    """Whether two arrays are the same to the bit, but for what kind of NaN one is."""
    theirs = np.ascontiguousarray(theirs, np.float32).reshape(ours.shape)
    return np.array_equal(np.isnan(ours), np.isnan(theirs)) and np.array_equal(
        np.nan_to_num(ours).view(np.uint32), np.nan_to_num(theirs).view(np.uint32)
    )


@pytest.mark.parametrize("number", [number for number, kind in KINDS.items() if not kind.name.startswith("I")])
def test_quantisations(number):
    """Random blocks are widened to the same bits as the reference package's."""
    kind = KINDS[number]
    data = np.random.default_rng(number).integers(0, 256, (5, 3 * kind.bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):
        ours = kind.widen(data.reshape(-1))
        if kind.name == "F64":
            theirs = data.view(np.float64).astype(np.float32)
        else:
            theirs = gguf.dequantize(data, gguf.GGMLQuantizationType(number))
    assert same_bits(ours, theirs)


def test_a_file_of_the_package(tmp_path):
    """What the gguf package writes is read: metadata of every type, arrays of several, shapes in NumPy's order."""
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("a.number", 7)
    writer.add_float32("a.part", 0.5)
    writer.add_bool("a.yes", val=True)
    writer.add_string("a.text", "naïve ▁")
    writer.add_array("a.words", ["x", "", "東京"])
    writer.add_array("a.scores", [1.5, -2.0])
    rng = np.random.default_rng(2)
    plain, packed = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(2, 64)).astype(np.float32)
    writer.add_tensor("plain", plain)
    quantised = gguf.quantize(packed, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("packed", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_gguf(path)
    assert {name: value for name, value in found.metadata.items() if name.startswith("a.")} == {
        "a.number": 7, "a.part": 0.5, "a.yes": True, "a.text": "naïve ▁", "a.words": ["x", "", "東京"],
        "a.scores": [1.5, -2.0],
    }  # fmt: skip
    np.testing.assert_array_equal(found.tensors["plain"].array(), plain)
    theirs = gguf.dequantize(quantised, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(found.tensors["packed"].array(), theirs)


def test_a_real_file(smollm):
    """One layer of SmolLM2 is, array by array, what the gguf package reads."""
    theirs = {each.name: each for each in gguf.GGUFReader(smollm.path).tensors if each.name.startswith("blk.7.")}
    assert len(theirs) == 9
    for name, each in theirs.items():
        assert same_bits(smollm.checkpoint.tensors[name].array(), gguf.dequantize(each.data, each.tensor_type))
