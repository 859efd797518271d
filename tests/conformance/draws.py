"""Random configurations of every family, of images too: entries away from their defaults, against Transformers.

``make families`` runs this file for hundreds of draws; the ordinary suite takes a few from a fixed seed.
"""

from __future__ import annotations

import copy
import random
import sys
import tempfile
from typing import Any

import numpy as np
import torch
import transformers

from clearhead.errors import CheckpointError, ShapeError
from clearhead.models import load

from .families import CONFIGURATIONS, LLAMA3, LONG, YARN, exposed, made_of, theirs
from .pairs import reads

BOUND = 5e-5
LENGTHS = (19, 83)

ROPES = (
    {"rope_type": "default", "rope_theta": 77.0},
    {"rope_type": "linear", "factor": 2.5, "rope_theta": 300.0},
    {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 300.0},
    LLAMA3,
    YARN,
    {**YARN, "mscale": 0.8, "mscale_all_dim": 0.4},
    {**YARN, "attention_factor": 1.3, "beta_fast": 5, "beta_slow": 0.7},
    LONG,
    {"rope_type": "proportional", "rope_theta": 300.0, "partial_rotary_factor": 0.5},
)
VARIED: dict[str, tuple[Any, ...]] = {
    "num_key_value_heads": (1, 2, 3, 6),
    "head_dim": (4, 8, 12),
    "hidden_act": ("gelu", "gelu_new", "silu", "relu"),
    "rms_norm_eps": (1e-3, 1e-7),
    "layer_norm_eps": (1e-3, 1e-7),
    "attention_bias": (True, False),
    "mlp_bias": (True, False),
    "tie_word_embeddings": (True, False),
    "sliding_window": (1, 3, 40, None),
    "rope_parameters": ROPES,
    "partial_rotary_factor": (0.5, 1.0),
    "logit_scale": (0.5, 2.0),
    "query_pre_attn_scalar": (3, 30),
    "final_logit_softcapping": (2.0, None),
    "attn_logit_softcapping": (1.5, None),
    "use_qk_norm": (True, False),
    "qk_layernorm": (True, False),
    "use_parallel_residual": (True, False),
    "use_bias": (True, False),
    "clip_qkv": (0.2, None),
    "residual_multiplier": (0.3,),
    "attention_multiplier": (0.1,),
    "relative_attention_num_buckets": (8, 20, 33),
    "relative_attention_max_distance": (40, 70),
    "feed_forward_proj": ("relu", "gated-gelu", "gated-silu", "gelu_new"),
    "d_kv": (3, 8),
    "num_decoder_layers": (1, 4, None),
    "scale_embedding": (True, False),
    "activation_function": ("relu", "gelu_new", "silu"),
    "decoder_attention_heads": (1, 6),
    "qkv_bias": (True, False),
    "image_size": (8, 20),
    "patch_size": (2, 4),
    "num_channels": (1, 4),
    "mlp_ratio": (1, 3),
    "layerscale_value": (0.3,),
    "use_swiglu_ffn": (True, False),
    "num_register_tokens": (1, 5),
    "pooler_act": ("tanh", "relu"),
}
"""Entries and what they may be; a configuration has those that its class has a field for."""


def draw(seed: int) -> tuple[str, str, dict[str, Any]]:
    """A class, its config's class, and a configuration with some entries away from the defaults."""
    choose = random.Random(seed)
    name = choose.choice([*CONFIGURATIONS])
    architecture, config_class, options = CONFIGURATIONS[name]
    fields = getattr(transformers, config_class).__dataclass_fields__
    there = [name for name in VARIED if name in fields]
    changed = {name: choose.choice(VARIED[name]) for name in choose.sample(there, min(len(there), 4))}
    if "max_position_embeddings" in fields and "max_position_embeddings" in options:
        changed["max_position_embeddings"] = choose.choice((90, 130))
    if "n_positions" in options:
        changed["n_positions"] = 90
    if "max_seq_len" in options:
        changed["max_seq_len"] = 90
    # Copied, since configs write into what they are given.
    return architecture, config_class, copy.deepcopy({**options, **changed})


def outcome(seed: int) -> str:
    """What becomes of a draw: ``right``, ``wrong ...``, ``refused ...``, or ``impossible`` if Transformers cannot."""
    architecture, config_class, options = draw(seed)
    said = f"seed {seed}: {architecture} {options}"
    try:
        model = made_of(architecture, config_class, options, seed)
        ids: list[Any] = [[int(i) for i in np.random.default_rng(seed).integers(2, 36, length)] for length in LENGTHS]
        batches = [{"input_ids": torch.tensor([each])} for each in ids]
        if model.main_input_name == "pixel_values":
            ids = [_image(model.config, seed)]
            batches = [{"pixel_values": torch.from_numpy(each)[None]} for each in ids]
        elif hasattr(model, "get_encoder") and model.config.is_encoder_decoder:
            batches = [reads(type(model).__name__.lower(), each)[2] for each in ids]
        expected = [theirs(model, **each) for each in batches]
    except Exception:  # whatever Transformers raises for a configuration that it does not allow
        return "impossible"
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        try:
            ours = load(folder, engine="array")
            worst = max(_worst(ours, each, out) for each, out in zip(ids, expected, strict=True))
        except (CheckpointError, ShapeError) as error:
            return f"refused {said}: {error}"
    return "right" if worst <= BOUND else f"wrong by {worst:.1e} {said}"


def _image(config: Any, seed: int) -> Any:
    shape = config.num_channels, config.image_size, config.image_size
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _worst(ours: Any, ids: Any, out: Any) -> float:
    """The largest difference of states, weights and logits, in units of their row's largest number where above 1."""
    source, decoder = (ids, None) if ours.spec.encoder is None else reads(_recorded(ours), ids)[:2]
    trace = ours.trace(source, decoder=decoder)
    return max(_difference(trace[name], expected.numpy()) for name, expected in exposed(ours, out))


def _recorded(ours: Any) -> str:
    return "whisper" if ours.family.name == "whisper" else ""


def _difference(array: Any, expected: Any) -> float:
    expected = expected.reshape(array.shape)
    return float((np.abs(array - expected) / np.maximum(1, np.abs(expected).max(-1, keepdims=True))).max())


def main(first: int, count: int) -> int:
    """Draws ``count`` configurations, says what became of them, and ends with 1 if one is wrong."""
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    found: dict[str, int] = {}
    for seed in range(first, first + count):
        said = outcome(seed)
        word = said.partition(" ")[0]
        found[word] = found.get(word, 0) + 1
        if word in ("wrong", "refused"):
            sys.stdout.write(f"{said}\n")
    sys.stdout.write(f"{found}\n")
    return int("wrong" in found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
