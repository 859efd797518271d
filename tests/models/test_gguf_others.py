"""GGUF files of families other than Llama give the numbers of the same weights in safetensors."""

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.conformance.families import GPT2, GROUPED, MOE, ROUTED, SIZES, WIDE_HEADS, made_of

from clearhead.errors import CheckpointError
from clearhead.models import load

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19, 4, 33, 12]
RMS = {"attention.layer_norm_rms_epsilon": "rms_norm_eps"}
MEAN = {"attention.layer_norm_epsilon": "layer_norm_eps"}
EXPERTS = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok"}
HALF = {"partial_rotary_factor": 0.5}

CASES = {
    "gemma": ("GEMMA", "GemmaForCausalLM", "GemmaConfig", WIDE_HEADS, {**RMS, "attention.key_length": "head_dim"}),
    "gemma2": (
        "GEMMA2", "Gemma2ForCausalLM", "Gemma2Config",
        {**WIDE_HEADS, "sliding_window": 4, "query_pre_attn_scalar": 10, "attn_logit_softcapping": 3.0},
        {**RMS, "attention.key_length": "head_dim", "attention.sliding_window": "sliding_window",
         "attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"},
    ),
    "gemma3": (
        "GEMMA3", "Gemma3ForCausalLM", "Gemma3TextConfig",
        {**WIDE_HEADS, "num_hidden_layers": 7, "sliding_window": 4, "query_pre_attn_scalar": 10,
         "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                             "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500.0}}},
        {**RMS, "attention.key_length": "head_dim", "attention.sliding_window": "sliding_window",
         "rope.freq_base": 500.0, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
    ),
    "olmo": (
        "OLMO", "OlmoForCausalLM", "OlmoConfig", {**GROUPED, "clip_qkv": 0.3},
        {"attention.layer_norm_epsilon": 1e-5, "attention.clamp_kqv": "clip_qkv"},
    ),
    "falcon": (
        "FALCON", "FalconForCausalLM", "FalconConfig", SIZES,
        {"attention.layer_norm_epsilon": "layer_norm_epsilon", "attention.head_count_kv": 1,
         "tensor_data_layout": "jploski"},
    ),
    "falcon, new": (
        "FALCON", "FalconForCausalLM", "FalconConfig", {**SIZES, "new_decoder_architecture": True, "num_kv_heads": 2},
        {"attention.layer_norm_epsilon": "layer_norm_epsilon", "attention.head_count_kv": 2},
    ),
    "command-r": (
        "COMMAND_R", "CohereForCausalLM", "CohereConfig", {**GROUPED, "logit_scale": 0.3},
        {**MEAN, "logit_scale": "logit_scale", "rope.scaling.type": "none"},
    ),
    "command-r, normed": (
        "COMMAND_R", "CohereForCausalLM", "CohereConfig", {**GROUPED, "use_qk_norm": True},
        {**MEAN, "logit_scale": "logit_scale"},
    ),
    "cohere2": (
        "COHERE2", "Cohere2ForCausalLM", "Cohere2Config", {**GROUPED, "num_hidden_layers": 5, "sliding_window": 4},
        {**MEAN, "logit_scale": "logit_scale", "attention.sliding_window": "sliding_window"},
    ),
    "llama": (
        "LLAMA", "MixtralForCausalLM", "MixtralConfig", {**ROUTED, "num_local_experts": 5},
        {**RMS, "expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok"},
    ),
    "llama, dense": ("LLAMA", "LlamaForCausalLM", "LlamaConfig", GROUPED, RMS),
    "llama, as Mistral": ("LLAMA", "MistralForCausalLM", "MistralConfig", {**GROUPED, "sliding_window": None}, RMS),
    "qwen2": ("QWEN2", "Qwen2ForCausalLM", "Qwen2Config", GROUPED, RMS),
    "qwen3": ("QWEN3", "Qwen3ForCausalLM", "Qwen3Config", WIDE_HEADS, {**RMS, "attention.key_length": "head_dim"}),
    "gpt-oss": (
        "GPT_OSS", "GptOssForCausalLM", "GptOssConfig",
        {**ROUTED, "num_local_experts": 5, "head_dim": 8, "sliding_window": 4, "num_experts_per_tok": 2},
        {**RMS, "expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok",
         "attention.sliding_window": "sliding_window", "attention.key_length": "head_dim",
         "rope.scaling.type": "yarn", "rope.scaling.factor": 32.0, "rope.scaling.original_context_length": 4096},
    ),
    "gpt2": (
        "GPT2", "GPT2LMHeadModel", "GPT2Config", GPT2, {"attention.layer_norm_epsilon": "layer_norm_epsilon"},
    ),
    "phi3": ("PHI3", "Phi3ForCausalLM", "Phi3Config", {**GROUPED, "pad_token_id": 0, "sliding_window": None}, RMS),
    "starcoder2": (
        "STARCODER2", "Starcoder2ForCausalLM", "Starcoder2Config", GROUPED,
        {"attention.layer_norm_epsilon": "norm_epsilon"},
    ),
    "stablelm": (
        "STABLELM", "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, **HALF, "use_qkv_bias": True},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "stablelm, parallel": (
        "STABLELM", "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, **HALF, "use_parallel_residual": True, "qk_layernorm": True},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "olmo2": ("OLMO2", "Olmo2ForCausalLM", "Olmo2Config", GROUPED, RMS),
    "nemotron": (
        "NEMOTRON", "NemotronForCausalLM", "NemotronConfig", {**GROUPED, "head_dim": 4},
        {"attention.layer_norm_epsilon": "norm_eps", "rope.dimension_count": 2},
    ),
    "granite": (
        "GRANITE", "GraniteForCausalLM", "GraniteConfig",
        {**GROUPED, "embedding_multiplier": 3.0, "logits_scaling": 7.0, "residual_multiplier": 0.4,
         "attention_multiplier": 0.2},
        {**RMS, "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
         "residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier"},
    ),
    "qwen2moe": (
        "QWEN2MOE", "Qwen2MoeForCausalLM", "Qwen2MoeConfig", {**MOE, "shared_expert_intermediate_size": 20},
        {**RMS, **EXPERTS},
    ),
    "qwen3moe": (
        "QWEN3MOE", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**MOE, "head_dim": 10, "norm_topk_prob": True},
        {**RMS, **EXPERTS, "attention.key_length": "head_dim"},
    ),
}  # fmt: skip
"""The architecture as llama.cpp calls it, the model of Transformers, and where its metadata come from."""

PLUS_ONE = ("gemma", "gemma2", "gemma3", "nemotron")
PERMUTED = ("granite", "olmo", "llama")
"""Whose rows of queries and keys the converter reorders."""

"""Whose gains the converter adds 1 to."""

TURNED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def interleaved(rows, heads):
    """Rows of queries or keys in llama.cpp's order."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def in_blocks(fused, config):
    """Falcon's queries, keys and values in three blocks."""
    groups = config.num_kv_heads if config.new_decoder_architecture else 1
    served = config.num_attention_heads // groups
    apart = fused.reshape(groups, served + 2, -1, *fused.shape[1:])
    parts = apart[:, :served], apart[:, served : served + 1], apart[:, served + 1 :]
    return np.concatenate([each.reshape(-1, *fused.shape[1:]) for each in parts])


def turned_experts(array):
    """The matrices of experts as (expert, out, in); biases as they are."""
    return array.swapaxes(1, 2) if array.ndim == 3 else array


def converted(arrays, config, architecture):
    """The arrays as llama.cpp's converter changes them, under Hugging Face's names."""
    out, experts = {}, {}
    for name, stored in arrays.items():
        array = stored.T if architecture == "gpt2" and name.endswith(TURNED) else stored
        if architecture in PLUS_ONE and name.endswith("norm.weight"):
            array = array + 1
        if architecture in PERMUTED and "q_proj" in name:
            array = interleaved(array, config.num_attention_heads)
        if architecture in PERMUTED and "k_proj" in name:
            array = interleaved(array, config.num_key_value_heads)
        if architecture == "falcon" and "query_key_value" in name:
            array = in_blocks(array, config)
        if (
            architecture == "gpt-oss" and "gate_up_proj" in name
        ):  # as llama.cpp's converter: gate and up are every second column
            for first, part in enumerate(("gate", "up")):
                end = "bias" if name.endswith("_bias") else "weight"
                out[f"{name.partition('gate_up')[0]}{part}_proj.{end}"] = turned_experts(array[..., first::2])
            continue
        if architecture == "gpt-oss" and "experts.down_proj" in name:
            array = turned_experts(array)
            name = name.removesuffix("_bias") + (".bias" if name.endswith("_bias") else ".weight")
        if name.endswith("sinks"):
            name += ".weight"
        for many in (".experts.", "_layernorm.norms."):
            before, _, rest = name.partition(many)
            number, _, after = rest.partition(".")
            if number.isdigit():
                together = f"{before}{many}{after}".replace("norms.", "")
                experts.setdefault(together, []).append((int(number), array))
                break
        else:
            out[name] = array
    return out | {
        name: np.stack([each for _, each in sorted(found, key=lambda pair: pair[0])]) for name, found in experts.items()
    }


def write(path, case, model, more=()):
    """A model of Transformers as a GGUF file, its arrays named by the gguf package's own table."""
    kind, _, _, _, said = CASES[case]
    architecture, config = gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[kind]], model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_context_length(41)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", config.num_attention_heads))
    base = (getattr(config, "rope_parameters", None) or {}).get("rope_theta")
    if base is not None:
        writer.add_rope_freq_base(base)
    entries = {f"{architecture}.{name}": getattr(config, v, v) if isinstance(v, str) else v for name, v in said.items()}
    for name, value in {**entries, **dict(more)}.items():
        kinds = {
            bool: gguf.GGUFValueType.BOOL,
            int: gguf.GGUFValueType.UINT32,
            float: gguf.GGUFValueType.FLOAT32,
            str: gguf.GGUFValueType.STRING,
        }
        writer.add_key_value(name, value, kinds[type(value)])
    model.save_pretrained(path.parent / "saved")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[kind], config.num_hidden_layers)
    stored = load_file(path.parent / "saved" / "model.safetensors")
    for name, array in converted(stored, config, architecture).items():
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert ours is not None, name
        writer.add_tensor(ours, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def written(case, folder):
    """The path of a file of a case, with random weights."""
    _, model_class, config_class, options, _ = CASES[case]
    write(folder / "model.gguf", case, made_of(model_class, config_class, dict(options), sum(map(ord, case))))
    return folder / "model.gguf"


@pytest.mark.parametrize("case", CASES)
def test_files_give_the_numbers_of_safetensors(case, tmp_path):
    """States, weights and logits of a file are those of the model that Transformers saved, which other tests hold."""
    found, expected = load(written(case, tmp_path)).trace(IDS), load(tmp_path / "saved").trace(IDS)
    assert {*found} == {*expected}
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("entry", ["attention.temperature_scale", "rope.scaling.yarn_log_multiplier", "residual_twist"])
def test_metadata_that_nobody_knows_are_refused_by_name(entry, tmp_path):
    """An entry that may change numbers is no reason to guess."""
    model = made_of("Gemma2ForCausalLM", "Gemma2Config", dict(WIDE_HEADS), 3)
    write(tmp_path / "model.gguf", "gemma2", model, {f"gemma2.{entry}": 0.5}.items())
    with pytest.raises(CheckpointError, match=entry):
        load(tmp_path / "model.gguf")
