"""Models of Transformers as GGUF files, their arrays changed as llama.cpp's converter does, for tests."""

import gguf
import numpy as np
import torch
from safetensors.numpy import load_file
from tests.conformance.families import made_of

from .gguf_cases import CASES
from .gguf_changes import CHANGES

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19, 4, 33, 12]
PLUS_ONE = ("gemma", "gemma2", "gemma3", "nemotron")
"""Whose gains the converter adds 1 to."""

PERMUTED = ("granite", "granitemoe", "olmo", "llama", "smollm3", "arcee")
"""Whose rows of queries and keys the converter reorders."""

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


def changed(arrays, config, architecture):
    """The arrays with those changes that an architecture has for itself."""
    change, found = CHANGES.get(architecture), {}
    for name, each in arrays.items():
        named = name.replace("e_score_correction_bias", "e_score_correction.bias")
        found |= change(named, each, config) if change else {named: each}
    return found


def converted(arrays, config, architecture):
    """The arrays as llama.cpp's converter changes them, under Hugging Face's names."""
    out, experts = {}, {}
    for name, stored in changed(arrays, config, architecture).items():
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
        if isinstance(value, list):
            writer.add_array(name, value)
            continue
        kinds = {
            bool: gguf.GGUFValueType.BOOL,
            int: gguf.GGUFValueType.UINT32,
            float: gguf.GGUFValueType.FLOAT32,
            str: gguf.GGUFValueType.STRING,
        }
        writer.add_key_value(name, value, kinds[type(value)])
    if hasattr(model, "pooler"):
        model.pooler = None  # the converter leaves it out
    model.save_pretrained(path.parent / "saved")
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH[kind], max(config.num_hidden_layers, getattr(config, "num_decoder_layers", None) or 0)
    )
    stored = load_file(path.parent / "saved" / "model.safetensors")
    for name, array in converted(stored, config, architecture).items():
        ours = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert ours is not None, name
        writer.add_tensor(ours, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def traced(model):
    """What a model makes of the tokens; an encoder-decoder has written some already."""
    return model.trace(IDS, decoder=None if model.spec.encoder is None else IDS[:4])


def written(case, folder):
    """The path of a file of a case, with random weights."""
    _, model_class, config_class, options, _ = CASES[case]
    model = made_of(model_class, config_class, dict(options), sum(map(ord, case)))
    if "own head" in case:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight * 1.5)
    write(folder / "model.gguf", case, model)
    return folder / "model.gguf"
