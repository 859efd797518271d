"""Families near to Llama as llama.cpp keeps them in GGUF files: GLM, Ernie 4.5, SmolLM3, Exaone 4, OLMo and others."""

from __future__ import annotations

from clearhead.models.families.gguf import DENSE, DENSE_ONLY, GGUF_LLAMA
from clearhead.models.families.gguf_others import GATE_AND_UP, OF_THREE, PLAIN, POOLED, RMS, gguf_family
from clearhead.models.families.parts import EVERYWHERE, FULL, QKV, SLIDING, every, windows, without
from clearhead.models.key import Layers, There, choice, key
from clearhead.models.rope import GgufRope

_WINDOWED = without(GGUF_LLAMA.without_effect, "attention.sliding_window")
_BIASED = choice(There(("blk.0.attn_q.bias", "blk.0.attn_qkv.bias")), {True: QKV, False: ()})
"""Biases of queries, keys and values where a file has them."""

KINDS = choice(
    Layers(("attention.sliding_window_pattern",), lambda layer: every(layer, 4)),
    {True: SLIDING, False: FULL, SLIDING: SLIDING, FULL: FULL},
)
"""Which layers have a window: listed, or three of four."""

GGUF_CHATGLM = gguf_family(
    "chatglm",
    {**DENSE, "attention.rotary": GgufRope("interleaved"), "attention.bias": _BIASED},
    {
        **PLAIN,
        **GATE_AND_UP,
        **{name: (PLAIN[name], place) for name, place in OF_THREE.items()},
    },
)
"""As Llama, with half of each head rotated, interleaved, and gate and up in one matrix."""

GGUF_GLM4 = gguf_family(
    "glm4",
    {**GGUF_CHATGLM.spec, "placement": "sandwich"},
    {
        **PLAIN,
        **GATE_AND_UP,
        "layers.{n}.attention.outer.norm.gain": "blk.{n}.post_attention_norm.weight",
        "layers.{n}.mlp.outer.norm.gain": "blk.{n}.post_ffw_norm.weight",
    },
    fixed={**DENSE_ONLY, "nextn_predict_layers": (0,)},
)
"""As GLM, with norms before and after each half."""

GGUF_ERNIE = gguf_family("ernie4_5", {**DENSE, "attention.rotary": GgufRope("interleaved")})
"""As Llama, with interleaved rotary positions."""

GGUF_SEED_OSS = gguf_family(
    "seed_oss",
    {
        **DENSE,
        "attention.bias": choice(There(("blk.0.attn_output.bias",)), {True: EVERYWHERE, False: _BIASED}),
    },
    {**PLAIN, "layers.{n}.mlp.norm.gain": "blk.{n}.post_attention_norm.weight"},
)
"""As Llama in halves, with biases."""

_EVERY_FOURTH = Layers((), lambda layer: every(layer, 4))

GGUF_SMOLLM3 = gguf_family(
    "smollm3",
    {**DENSE, "attention.rotary": choice(_EVERY_FOURTH, {SLIDING: GgufRope(), FULL: None})},
    GGUF_LLAMA.arrays,
)
"""As Llama, without rotary positions in every fourth layer."""

GGUF_ARCEE = gguf_family("arcee", {**without(DENSE, "mlp.gated"), "mlp.activation": "relu-squared"}, GGUF_LLAMA.arrays)
"""As Llama, with a plain MLP of squared ReLU."""

GGUF_HUNYUAN = gguf_family(
    "hunyuan-dense",
    {**DENSE, "attention.qk_norm.kind": "rms", "attention.qk_norm.eps": RMS, "attention.qk_norm_last": True},
)
"""As Llama in halves, with norms of queries and keys behind rotary positions."""

_WIDTH = key("attention.sliding_window")
_HAS_WINDOW = key("attention.sliding_window", by=lambda _width: True)

GGUF_EXAONE4 = gguf_family(
    "exaone4",
    {
        **DENSE,
        "placement": "after",
        "attention.qk_norm.kind": "rms",
        "attention.qk_norm.eps": RMS,
        "attention.window": windows(_WIDTH, KINDS),
        "attention.rotary": choice(
            _HAS_WINDOW,
            {None: GgufRope(), True: choice(KINDS, {SLIDING: GgufRope(), FULL: None})},
        ),
    },
    {
        **PLAIN,
        "layers.{n}.attention.norm.gain": "blk.{n}.post_attention_norm.weight",
        "layers.{n}.mlp.norm.gain": "blk.{n}.post_ffw_norm.weight",
    },
    without_effect=_WINDOWED,
)
"""As Llama in halves, norms behind each half; where there are windows, rotary positions in their layers only."""

GGUF_OLMO2 = gguf_family(
    "olmo2",
    {
        **DENSE,
        "placement": "after",
        "attention.qk_norm.kind": "rms",
        "attention.qk_norm.eps": RMS,
        "attention.qk_norm_over": "heads",
        "attention.window": windows(_WIDTH, KINDS),
        "attention.rotary": choice(
            _HAS_WINDOW,
            {None: GgufRope(), True: choice(KINDS, {SLIDING: GgufRope(scaled=False), FULL: GgufRope()})},
        ),
    },
    {
        **GGUF_EXAONE4.arrays,
        "layers.{n}.attention.query.norm.gain": "blk.{n}.attn_q_norm.weight: heads",
        "layers.{n}.attention.key.norm.gain": "blk.{n}.attn_k_norm.weight: groups",
    },
    fixed={**DENSE_ONLY, "rope.scaling.attn_factor": (1.0,), "rope.scaling.yarn_attn_factor": (1.0,)},
    without_effect=_WINDOWED,
)
"""OLMo 2 and 3: as Exaone 4, with norms of all heads' queries and keys, and rotary positions in all layers, unscaled in
those with a window."""

GGUF_EUROBERT = gguf_family(
    "eurobert",
    {**without(DENSE, "head.tied"), "attention.causal": False, "head": None},
    fixed={**DENSE_ONLY, "attention.causal": (False,)},
    without_effect={**GGUF_LLAMA.without_effect, **POOLED},
)
"""Llama in halves as an encoder: every token sees all."""
