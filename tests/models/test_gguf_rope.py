"""Rotary scaling in GGUF files gives the numbers of the same scaling in safetensors."""

import gguf
import numpy as np
import pytest
import transformers
from tests.conformance.families import GROUPED, LLAMA3, YARN, made_of

from clearhead.errors import CheckpointError
from clearhead.models import load

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19] * 3
SIZES = {**GROUPED, "head_dim": 4, "max_position_embeddings": 80}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "input_layernorm": "attn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def interleaved(rows, heads):
    """Rows of queries or keys in llama.cpp's order."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def write_gguf(path, model, metadata, arrays, without=()):
    """A Llama of Transformers as llama.cpp's converter writes it."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_context_length(config.max_position_embeddings)
    if "attention.layer_norm_rms_epsilon" not in without:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    for name, value in metadata.items():
        writer.add_float32(name, value) if isinstance(value, float) else writer.add_key_value(
            name, value, gguf.GGUFValueType.STRING if isinstance(value, str) else gguf.GGUFValueType.UINT32
        )
    stored = {name: array.detach().numpy() for name, array in model.state_dict().items()}
    tensors = {
        "token_embd.weight": stored["model.embed_tokens.weight"],
        "output_norm.weight": stored["model.norm.weight"],
    }
    tensors |= {"output.weight": stored["lm_head.weight"], **arrays}
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for theirs, ours in NAMES.items():
            array = stored[f"model.layers.{layer}.{theirs}.weight"]
            tensors[f"blk.{layer}.{ours}.weight"] = interleaved(array, heads[ours]) if ours in heads else array
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama3_factors():
    """What llama.cpp's converter stores for Llama 3.1: by how much each frequency is divided."""
    base, half = LLAMA3["rope_theta"], SIZES["head_dim"] // 2
    frequencies = base ** -(np.arange(half) / half)
    wavelength = 2 * np.pi / frequencies
    low, high, trained = (
        LLAMA3[k] for k in ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    share = (trained / wavelength - low) / (high - low)
    between = 1 / ((1 - share) / LLAMA3["factor"] + share)
    slow = np.where(wavelength > trained / low, LLAMA3["factor"], between)
    return np.where(wavelength < trained / high, 1.0, slow).astype(np.float32)


CASES = {
    "plain": ({"rope_type": "default", "rope_theta": 50.0}, {}, {}),
    "linear": (
        {"rope_type": "linear", "factor": 4.0, "rope_theta": 50.0},
        {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
        {},
    ),
    "old linear": (
        {"rope_type": "linear", "factor": 4.0, "rope_theta": 50.0}, {"llama.rope.scale_linear": 4.0}, {},
    ),
    "linear by default": (
        {"rope_type": "linear", "factor": 4.0, "rope_theta": 50.0}, {"llama.rope.scaling.factor": 4.0}, {},
    ),
    "a factor of 0": (
        {"rope_type": "default", "rope_theta": 50.0},
        {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 0.0},
        {},
    ),
    "yarn, grown": (
        {**YARN, "attention_factor": 1.5 * 0.8 * (1 + 0.1 * np.log(4))},
        {
            "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0,
            "llama.rope.scaling.original_context_length": 20, "llama.rope.scaling.attn_factor": 1.5,
            "llama.rope.scaling.yarn_attn_factor": 0.8,
        },
        {},
    ),
    "yarn": (
        YARN,
        {
            "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0,
            "llama.rope.scaling.original_context_length": 20,
        },
        {},
    ),
    "llama3": (LLAMA3, {}, {"rope_freqs.weight": llama3_factors()}),
}  # fmt: skip
"""Transformers' parameters, GGUF metadata and GGUF arrays that mean the same."""


@pytest.mark.parametrize("name", CASES)
def test_scaling_from_gguf(name, tmp_path):
    """States and logits from the GGUF file are those from the safetensors."""
    parameters, metadata, arrays = CASES[name]
    model = made_of("LlamaForCausalLM", "LlamaConfig", {**SIZES, "rope_parameters": dict(parameters)}, 5)
    model.save_pretrained(tmp_path / "safe")
    write_gguf(tmp_path / "x.gguf", model, metadata, arrays)
    ours, theirs = (load(path, engine="array").trace(IDS) for path in (tmp_path / "x.gguf", tmp_path / "safe"))
    assert np.abs(ours["logits"] - theirs["logits"]).max() < 1e-4 * np.abs(theirs["logits"]).max()


@pytest.mark.parametrize("kind", ["none", "linear"])
def test_a_factor_of_attention_counts_without_yarn(kind, tmp_path):
    """Cosines and sines are multiplied by attn_factor whatever the type of scaling is, as in llama.cpp."""
    model = made_of("LlamaForCausalLM", "LlamaConfig", {**SIZES, "rope_parameters": dict(CASES["plain"][0])}, 5)
    said = {"llama.rope.scaling.type": kind, "llama.rope.scaling.factor": 4.0}
    for name, more in (("plain.gguf", {}), ("grown.gguf", {"llama.rope.scaling.attn_factor": 1.5})):
        write_gguf(tmp_path / name, model, {**said, **more}, {})
    plain, grown = (load(tmp_path / name).trace(IDS, keep="*.rotary.*") for name in ("plain.gguf", "grown.gguf"))
    for part in ("cos", "sin"):
        line = f"layers.1.attention.rotary.{part}"
        np.testing.assert_allclose(grown[line], 1.5 * plain[line], rtol=1e-6)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama.rope.scaling.type": "longrope"}, "metadata have rotary scaling of type 'longrope'; known are none"),
        ({"llama.rope.scaling.type": "cosy"}, "rotary scaling of type 'cosy'"),
        ({"llama.rope.scaling.twist": 2.0}, "rope.scaling.twist"),
        ({"llama.attention.scale": 0.5}, "attention.scale"),
        ({"llama.rope.dimension_sections": 3}, "rope.dimension_sections"),
        ({"llama.expert_count": 8}, "nothing for layers.0.mlp.router.weight"),
        ({"llama.attention.clamp_kqv": 2.0}, "attention.clamp_kqv"),
    ],
)
def test_metadata_that_change_arithmetic_are_refused(metadata, message, tmp_path):
    """What GGUF metadata say of the arithmetic and is not read is refused by name."""
    transformers.set_seed(1)
    model = made_of("LlamaForCausalLM", "LlamaConfig", {**SIZES, "rope_parameters": dict(CASES["plain"][0])}, 5)
    write_gguf(tmp_path / "x.gguf", model, metadata, {})
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "x.gguf")


def test_an_eps_that_is_not_stated_is_not_guessed(tmp_path):
    """llama.cpp requires the eps of norms in the metadata; a file without it is refused."""
    model = made_of("LlamaForCausalLM", "LlamaConfig", {**SIZES, "rope_parameters": dict(CASES["plain"][0])}, 5)
    write_gguf(tmp_path / "x.gguf", model, {}, {}, without=("attention.layer_norm_rms_epsilon",))
    with pytest.raises(CheckpointError, match=r"no attention\.layer_norm_rms_epsilon"):
        load(tmp_path / "x.gguf")
