"""Random configurations of every family: entries away from their defaults, drawn and held against Transformers.

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

from .families import CONFIGURATIONS, LLAMA3, LONG, YARN, made_of, theirs

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
}
"""Entries and what they may be; a configuration has those that its class has a field for."""


def draw(seed: int) -> tuple[str, str, dict[str, Any]]:
    """A class, its config's class, and a configuration with some entries away from the defaults."""
    choose = random.Random(seed)
    name = choose.choice([name for name in CONFIGURATIONS if not name.startswith("vit")])
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
        ids = [[int(i) for i in np.random.default_rng(seed).integers(2, 36, length)] for length in LENGTHS]
        expected = [theirs(model, input_ids=torch.tensor([each])) for each in ids]
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


def _worst(ours: Any, ids: list[int], out: Any) -> float:
    """The largest difference of states, weights and logits, in units of their row's largest number where above 1."""
    trace = ours.trace(ids)
    pairs = [(trace[f"layers.{n}.attention.weights"], each[0]) for n, each in enumerate(out.attentions)]
    names = [*ours.hidden[:-1], "norm" if ours.spec.norm is not None else ours.hidden[-1]]
    pairs += [(trace[name], each[0]) for name, each in zip(names, out.hidden_states, strict=True)]
    if getattr(out, "logits", None) is not None:
        pairs.append((trace["logits"], out.logits[0]))
    if getattr(out, "prediction_logits", None) is not None:
        pairs.append((trace["logits"], out.prediction_logits[0]))
    if getattr(out, "start_logits", None) is not None:
        pairs.append((trace["logits"], torch.stack([out.start_logits[0], out.end_logits[0]], dim=-1)))
    return max(_difference(array, expected.numpy()) for array, expected in pairs)


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
