"""What llama.cpp's converter changes in arrays before it names them, by its name of the architecture."""

import numpy as np


def in_three(name, array, config):
    """Query, key and value of each head side by side, put into three blocks."""
    if "query_key_value" not in name:
        return {name: array}
    apart = array.reshape(config.num_attention_heads, 3, -1, *array.shape[1:])
    return {name: np.concatenate([apart[:, part].reshape(-1, *array.shape[1:]) for part in range(3)])}


def of_bloom(name, array, config):
    """The same, and names without the first word."""
    return in_three(name.removeprefix("transformer."), array, config)


def latent_apart(name, array, config):
    """DeepSeek's keys and values from the latent, in an array for each head, the keys' with the latent first."""
    if "kv_b_proj" not in name:
        return {name: array}
    apart = array.reshape(config.num_attention_heads, -1, array.shape[1])
    keys, values = apart[:, : config.qk_nope_head_dim], apart[:, config.qk_nope_head_dim :]
    return {name.replace("kv_b", "k_b"): keys.swapaxes(1, 2), name.replace("kv_b", "v_b"): values}


def gate_and_up(name, array, _config):
    """Granite's first matrices of all experts, cut in two."""
    if not name.endswith("input_linear.weight"):
        return {name: array}
    experts = name.replace("block_sparse_moe.input_linear", "mlp.experts.{}_proj")
    return dict(zip(map(experts.format, ("gate", "up")), np.split(array, 2, axis=1), strict=True))


def without_first_positions(name, array, config):
    """RoBERTa's positions without the rows up to that of padding."""
    cut = name.endswith("position_embeddings.weight") and config.model_type == "roberta"
    return {name: array[config.pad_token_id + 1 :] if cut else array}


def one_axis(name, array, _config):
    """Ernie's correction of scores as a vector."""
    return {name: array.squeeze() if "moe_statics" in name else array}


CHANGES = {
    "gptneox": in_three,
    "bloom": of_bloom,
    "deepseek2": latent_apart,
    "granitemoe": gate_and_up,
    "bert": without_first_positions,
    "ernie4_5-moe": one_axis,
}
