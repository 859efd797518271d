"""Decoders as llama.cpp keeps them in GGUF files: Gemma 3, OLMo, Falcon, Command-R and gpt-oss."""

from __future__ import annotations

import math

from clearhead.models.families.experts import experts
from clearhead.models.families.gguf import DENSE, DENSE_ONLY, GGUF_LLAMA
from clearhead.models.families.gguf_others import (
    BESIDE,
    EPS,
    GGUF_GEMMA2,
    LAYER_NORMS,
    OF_THREE,
    PLAIN,
    RMS,
    ROUTED,
    gguf_family,
)
from clearhead.models.families.parts import EVERYWHERE, FULL, SLIDING, affine, every, norms, windows, without
from clearhead.models.key import Layers, There, choice, key
from clearhead.models.rope import GgufRope


def _scale(_layer: int, blocks: int, width: int, heads: int, depth: int) -> float:
    """What llama.cpp scales scores by: in the largest, of 62 layers, by the width for each head."""
    return 1 / math.sqrt(width / heads if blocks == 62 else depth)


_UNSCALED = GgufRope(scaled=False, base="rope.freq_base_swa")
_GEMMA_LAYERS = Layers((), lambda layer: every(layer, 6))
_SIZES = ("block_count", "embedding_length", "attention.head_count", "attention.key_length")

GGUF_GEMMA3 = gguf_family(
    "gemma3",
    {
        **without(GGUF_GEMMA2.spec, "attention.softcap"),
        "attention.qk_norm.kind": "rms",
        "attention.qk_norm.eps": RMS,
        "attention.scale": Layers((), _scale, tuple(key(name) for name in _SIZES)),
        "attention.rotary": choice(_GEMMA_LAYERS, {FULL: GgufRope(), SLIDING: _UNSCALED}),
        "attention.window": windows(key("attention.sliding_window"), _GEMMA_LAYERS),
        "head.softcap": key("final_logit_softcapping"),
    },
    GGUF_GEMMA2.arrays,
    fixed={**DENSE_ONLY, "attention.sliding_window_pattern": (6,)},
    without_effect=GGUF_GEMMA2.without_effect,
)
"""As Gemma 2 without caps, with norms of queries and keys, and another rotary base in the layers with a window."""

GGUF_OLMO = gguf_family(
    "olmo",
    {
        **DENSE,
        **norms("layer", EPS, gain=False),
        "attention.clip": key("attention.clamp_kqv", by=lambda limit: limit or None),
    },
    GGUF_LLAMA.arrays,
)
"""As Llama, with norms that have no gain."""

GGUF_FALCON = gguf_family(
    "falcon",
    {
        **without(DENSE, "depth", "mlp.gated"),
        **norms("layer", EPS),
        "placement": "parallel",
        "mlp.activation": "gelu",
    },
    {
        **PLAIN,
        **OF_THREE,
        **LAYER_NORMS,
        **{
            f"layers.{{n}}.{half}.norm.{ours}": tuple(f"blk.{{n}}.{name}.{theirs}" for name in names)
            for half, names in (("attention", ("attn_norm_2", "attn_norm")), ("mlp", ("attn_norm",)))
            for ours, theirs in (("gain", "weight"), ("bias", "bias"))
        },
    },
    without_effect={**GGUF_LLAMA.without_effect, "tensor_data_layout": "names the order that falcon files have"},
)
"""Both halves read norms of the block's input; queries, keys and values in blocks of one matrix."""

_COHERE = {
    **without(DENSE, "depth"),
    **norms("layer", EPS, bias=False),
    "placement": "parallel",
    "head.scale": key("logit_scale"),
}
_COHERE_ARRAYS = {**PLAIN, "layers.{n}.mlp.norm.gain": "blk.{n}.attn_norm.weight"}

GGUF_COMMAND_R = gguf_family(
    "command-r",
    {
        **_COHERE,
        "attention.rotary": GgufRope("interleaved"),
        "attention.qk_norm": choice(There(("blk.0.attn_q_norm.weight",)), {True: {}, False: None}),
        "attention.qk_norm.kind": "layer",
        "attention.qk_norm.eps": EPS,
        "attention.qk_norm_over": "depth-own",
    },
    _COHERE_ARRAYS,
)
"""Both halves read one norm; interleaved rotary positions, scaled logits."""

_COHERE_LAYERS = Layers((), lambda layer: every(layer, 4))

GGUF_COHERE2 = gguf_family(
    "cohere2",
    {
        **_COHERE,
        "attention.rotary": choice(_COHERE_LAYERS, {SLIDING: GgufRope("interleaved"), FULL: None}),
        "attention.window": windows(key("attention.sliding_window"), _COHERE_LAYERS),
    },
    _COHERE_ARRAYS,
    without_effect=without(GGUF_LLAMA.without_effect, "attention.sliding_window"),
)
"""As Command-R, with a window and rotary positions in three of four layers, and neither in the fourth."""

_OSS_LAYERS = Layers((), lambda layer: every(layer, 2))

GGUF_GPT_OSS = gguf_family(
    "gpt-oss",
    {
        **without(DENSE, "mlp.activation"),
        "attention.bias": EVERYWHERE,
        "attention.window": windows(key("attention.sliding_window"), _OSS_LAYERS),
        "attention.rotary": GgufRope(truncate=False),
        "attention.sink": True,
        "mlp.activation": "gelu-sigmoid",
        "mlp.bias": True,
        "mlp.limit": 7.0,
        **experts(key("expert_count"), key("expert_used_count"), bias=True),
    },
    {
        **PLAIN,
        **BESIDE,
        "layers.{n}.attention.sink": "blk.{n}.attn_sinks.weight",
        **affine("layers.{n}.mlp.router", "blk.{n}.ffn_gate_inp"),
        **{
            f"layers.{{n}}.mlp.{ours}.bias": f"blk.{{n}}.ffn_{theirs}_exps.bias"
            for ours, theirs in (("gate", "gate"), ("up", "up"), ("output", "down"))
        },
        "layers.{n}.mlp.norm.gain": ("blk.{n}.post_attention_norm.weight", "blk.{n}.ffn_norm.weight"),
    },
    fixed={"attention.causal": (True,)},
    without_effect=without(ROUTED, "attention.sliding_window"),
)
"""Experts with biases and bounded gates, sinks, and a window in every second layer."""
