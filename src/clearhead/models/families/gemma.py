"""Gemma 1 to 3, their text models."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import ACTIVATIONS, BASE, FULL, SLIDING, activation, every, inverse_root, windows
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

_ROOT = key("hidden_size", by=lambda width: width**0.5)

_PLUS_ONE = {
    "layers.{n}.attention.norm.gain": LAYER + "input_layernorm.weight: plus-one",
    "layers.{n}.mlp.norm.gain": LAYER + "post_attention_layernorm.weight: plus-one",
    "norm.gain": "norm.weight: plus-one",
}

GEMMA = with_heads(
    replace(
        LLAMA,
        name="gemma",
        architectures=("GemmaForCausalLM", "GemmaModel"),
        spec={
            **{path: value for path, value in LLAMA.spec.items() if path != "mlp.bias"},
            "depth": key("head_dim", default=256),
            "attention.kv_heads": key("num_key_value_heads", default=16),
            "attention.rotary": Rope(context=8192),
            "mlp.activation": key("hidden_act", default="gelu-tanh", words={**ACTIVATIONS, "gelu": "gelu-tanh"}),
            "embedding.scale": _ROOT,
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={**LLAMA.arrays, **_PLUS_ONE},
        by_architecture={"GemmaModel": BASE},
    ),
    "Gemma",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=0,
)
"""As Llama, with embeddings times the root of the width and gains from which 1 was taken off."""

_SANDWICH = {
    **_PLUS_ONE,
    "layers.{n}.attention.outer.norm.gain": LAYER + "post_attention_layernorm.weight: plus-one",
    "layers.{n}.mlp.norm.gain": LAYER + "pre_feedforward_layernorm.weight: plus-one",
    "layers.{n}.mlp.outer.norm.gain": LAYER + "post_feedforward_layernorm.weight: plus-one",
    "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_norm.weight: plus-one",
    "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_norm.weight: plus-one",
}

_WINDOW = key("sliding_window", default=4096)

GEMMA2 = with_heads(
    replace(
        GEMMA,
        name="gemma2",
        architectures=("Gemma2ForCausalLM", "Gemma2Model"),
        spec={
            **GEMMA.spec,
            "placement": "sandwich",
            "attention.kv_heads": key("num_key_value_heads", default=4),
            "attention.scale": key("query_pre_attn_scalar", default=256**-0.5, by=inverse_root),
            "attention.softcap": key("attn_logit_softcapping", default=50.0),
            "attention.window": windows(_WINDOW, Layers(("layer_types",), lambda layer: every(layer, 2))),
            "mlp.activation": activation("hidden_activation", default="gelu-tanh"),
            "head.softcap": key("final_logit_softcapping", default=30.0),
        },
        arrays={**GEMMA.arrays, **_SANDWICH},
        by_architecture={"Gemma2Model": BASE},
        without_effect={**GEMMA.without_effect, "hidden_act": "Transformers reads hidden_activation"},
    ),
    "Gemma2",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=0,
)
"""As Gemma, with norms before and after each half, capped scores and logits, and a window in every other layer."""

VAULT_GEMMA = replace(
    GEMMA2,
    name="vaultgemma",
    architectures=("VaultGemmaForCausalLM", "VaultGemmaModel"),
    spec={**GEMMA2.spec, "placement": "pre"},
    arrays={
        **GEMMA.arrays,
        "layers.{n}.mlp.norm.gain": LAYER + "pre_feedforward_layernorm.weight: plus-one",
    },
    by_architecture={"VaultGemmaModel": BASE},
    arrays_by_architecture={},
)
"""As Gemma 2, with norms before each half only."""

_BOTH_WAYS = key("use_bidirectional_attention", default=False, words={True: True, False: False, None: False})
LAYERS = Layers(("layer_types",), every, (key("sliding_window_pattern", default=6),))

GEMMA3 = with_heads(
    replace(
        GEMMA2,
        name="gemma3",
        architectures=("Gemma3ForCausalLM", "Gemma3TextModel"),
        spec={
            **{path: value for path, value in GEMMA2.spec.items() if path != "attention.softcap"},
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": key("rms_norm_eps", default=1e-6),
            "attention.rotary": choice(
                LAYERS,
                {
                    FULL: Rope(theta=1e6, kind=FULL, context=131_072),
                    SLIDING: Rope(theta_names=("rope_local_base_freq",), kind=SLIDING, old=False, context=131_072),
                },
            ),
            "attention.causal": choice(_BOTH_WAYS, {True: False, False: True}),
            "attention.window": windows(
                choice(
                    _BOTH_WAYS,
                    {True: key("sliding_window", default=2049, by=lambda width: width // 2 + 1), False: _WINDOW},
                ),
                LAYERS,
            ),
            "head.softcap": key("final_logit_softcapping"),
        },
        by_architecture={"Gemma3TextModel": BASE},
        without_effect={
            **GEMMA2.without_effect,
            "attn_logit_softcapping": "Transformers does not pass it to the attention",
            "_sliding_window_pattern": "Transformers reads sliding_window_pattern",
        },
    ),
    "Gemma3Text",
    "ForSequenceClassification",
    prefix="",
    pad=0,
)
"""As Gemma 2, with a norm of queries and keys, and another rotary base in the layers with a window; EmbeddingGemma, in
which every token sees all."""
