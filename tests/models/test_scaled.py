"""Quantised weights whose scales define them: the numbers are those of the checkpoint saved dequantised, to the bit."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from clearhead.errors import CheckpointError
from clearhead.models import load

IDS = [3, 16, 8, 2, 11, 8]
LINEAR = ("_proj.weight",)


def by_blocks(weight, block):
    """fp8 numbers and their scales, as the DeepSeek V3 report defines them: the largest of a block is 448."""
    rows, columns = weight.shape
    scales = torch.zeros(-(-rows // block[0]), -(-columns // block[1]))
    numbers, meant = torch.zeros_like(weight, dtype=torch.float8_e4m3fn), torch.zeros_like(weight)
    for i, j in np.ndindex(*scales.shape):
        part = slice(i * block[0], (i + 1) * block[0]), slice(j * block[1], (j + 1) * block[1])
        scales[i, j] = weight[part].abs().max() / 448
        numbers[part] = (weight[part] / scales[i, j]).to(torch.float8_e4m3fn)
        meant[part] = numbers[part].float() * scales[i, j]
    return numbers, scales, meant


def by_rows(weight, divide=127.0):
    """int8 numbers and a scale for each row."""
    scales = weight.abs().amax(1)
    numbers = torch.round(weight / scales[:, None] * 127).to(torch.int8)
    return numbers, scales, numbers.float() * (scales / divide)[:, None]


WEIGHTS = {"num_bits": 8, "symmetric": True, "strategy": "channel"}
GROUP = {"group_0": {"targets": ["Linear"], "weights": WEIGHTS}}
KINDS = {
    "fp8": (
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [5, 4], "fmt": "e4m3"},
        lambda weight: dict(zip(("weight", "weight_scale_inv", "meant"), by_blocks(weight, (5, 4)), strict=True)),
    ),
    "compressed-tensors, rows": (
        {
            "quant_method": "compressed-tensors",
            "format": "int-quantized",
            "config_groups": GROUP,
            "ignore": ["lm_head"],
        },
        lambda weight: {
            "weight": by_rows(weight, 127)[0],
            "weight_scale": (by_rows(weight)[1] / 127)[:, None],
            "meant": by_rows(weight)[0].float() * (by_rows(weight)[1] / 127)[:, None],
        },
    ),
    "compressed-tensors, one": (
        {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": GROUP},
        lambda weight: {
            "weight": (weight * 10).to(torch.float8_e4m3fn),
            "weight_scale": torch.tensor([0.1]),
            "meant": (weight * 10).to(torch.float8_e4m3fn).float() * torch.tensor(0.1),
            "input_scale": torch.tensor([0.5]),
        },
    ),
    "bitsandbytes": (
        {"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False, "llm_int8_threshold": 6.0},
        lambda weight: {
            **dict(zip(("weight", "SCB", "meant"), by_rows(weight), strict=True)),
            "weight_format": torch.tensor(0, dtype=torch.uint8),
        },
    ),
}


@pytest.fixture
def quantise(small, tmp_path):
    """A function that saves the small Llama quantised, and what the numbers mean beside it."""

    def save(kind, **stated):
        config, scheme = KINDS[kind]
        quantised, meant = {}, {}
        for name, weight in load_file(small / "model.safetensors").items():
            parts = scheme(weight) if name.endswith(LINEAR) else {"weight": weight, "meant": weight}
            meant[name] = parts.pop("meant").contiguous()
            stem = name.removesuffix("weight")
            quantised |= {stem + end: array.contiguous() for end, array in parts.items()}
        for folder, arrays, more in (
            (tmp_path / "quantised", quantised, {"quantization_config": {**config, **stated}}),
            (tmp_path / "meant", meant, {}),
        ):
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps(json.loads((small / "config.json").read_text()) | more))
            save_file(arrays, folder / "model.safetensors")
        return tmp_path / "quantised", tmp_path / "meant"

    return save


@pytest.mark.parametrize("kind", KINDS)
def test_scales_define_the_weights(kind, quantise):
    """Weights of 8 bits times their scales are, to the bit, what the published definition says."""
    quantised, meant = (load(path, engine="array") for path in quantise(kind))
    assert any("quantised" in note for note in quantised.notes)
    for name, array in meant.arrays.items():
        np.testing.assert_array_equal(quantised.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(quantised.trace(IDS)["logits"], meant.trace(IDS)["logits"])


@pytest.mark.parametrize(
    ("kind", "stated", "message"),
    [
        ("fp8", {"weight_block_size": [6, 4]}, "quantised, and .*does not scale a weight"),
        ("fp8", {"weight_block_size": None}, "quantised, and .*does not scale a weight"),
        ("fp8", {"activation_scheme": "static"}, "quantization_config.activation_scheme = 'static'"),
        ("fp8", {"twist": 1}, "quantization_config.twist = 1"),
        ("fp8", {"quant_method": "gptq"}, "activation_scheme = 'dynamic' is not known"),
        ("compressed-tensors, rows", {"format": "pack-quantized"}, "pack-quantized ones of 4, not"),
        ("compressed-tensors, rows", {"config_groups": {"a": {"weights": {"num_bits": 4}}}}, "of 8 bits"),
        ("bitsandbytes", {"load_in_4bit": True}, "load_in_8bit = True"),
    ],
)
def test_other_quantisation_is_refused(kind, stated, message, quantise):
    """What is stated of the quantisation and not known is refused by name."""
    with pytest.raises(CheckpointError, match=message):
        load(quantise(kind, **stated)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantisation_that_no_array_shows_is_refused(kind, small):
    """A config that says quantised beside plain weights is refused: Transformers may quantise them; you may insist."""
    path = small / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": KINDS[kind][0]}))
    with pytest.raises(CheckpointError, match=r"quantised \(quantization_config: .*has no array whose name ends with"):
        load(small)
    assert not load(small, ignore=["quantization_config"]).notes


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_8_bits_need_their_scales(kind, quantise):
    """Where one weight's scales are missing, its numbers are not taken for weights."""
    folder, _ = quantise(kind)
    arrays = load_file(folder / "model.safetensors")
    lost = "model.layers.1.mlp.up_proj."
    kept = {name: each for name, each in arrays.items() if name == f"{lost}weight" or not name.startswith(lost)}
    save_file(kept, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"{lost}weight holds \w+ numbers without scales"):
        load(folder)
