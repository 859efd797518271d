"""Models that differ from Llama in a few rows: GLM, Ernie 4.5, Granite, Nemotron, StableLM and others."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import PLAIN, with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import (
    BASE,
    EVERYWHERE,
    FULL,
    QKV,
    SLIDING,
    activation,
    affine,
    biased,
    every,
    inverse,
    norm,
    norms,
    windows,
    without,
)
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

_UP = LAYER + "mlp.gate_up_proj.weight: linear "

GLM = with_heads(
    replace(
        LLAMA,
        name="glm",
        architectures=("GlmForCausalLM", "GlmModel"),
        spec={
            **without(LLAMA.spec, "mlp.bias"),
            **norms("rms", key("rms_norm_eps", default=1.5625e-07)),
            "depth": key("head_dim", default=128),
            "attention.kv_heads": key("num_key_value_heads", default=2),
            "attention.bias": biased("attention_bias", default=True, projections=QKV),
            "attention.rotary": Rope("interleaved", share=0.5, context=131072),
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.mlp.gate.weight": _UP + "first-half",
            "layers.{n}.mlp.up.weight": _UP + "second-half",
        },
        by_architecture={"GlmModel": BASE},
    ),
    "Glm",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=151329,
)
"""As Llama, with half of each head rotated, interleaved, and gate and up in one matrix."""

GLM4 = with_heads(
    replace(
        GLM,
        name="glm4",
        architectures=("Glm4ForCausalLM", "Glm4Model"),
        spec={**GLM.spec, "placement": "sandwich"},
        arrays={
            **GLM.arrays,
            "layers.{n}.attention.outer.norm.gain": LAYER + "post_self_attn_layernorm.weight",
            "layers.{n}.mlp.outer.norm.gain": LAYER + "post_mlp_layernorm.weight",
        },
        by_architecture={"Glm4Model": BASE},
    ),
    "Glm4",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=151329,
)
"""As GLM, with norms before and after each half."""

ERNIE = replace(
    LLAMA,
    name="ernie4_5",
    architectures=("Ernie4_5ForCausalLM", "Ernie4_5Model"),
    spec={
        **LLAMA.spec,
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "depth": key("head_dim", default=128),
        "attention.kv_heads": key("num_key_value_heads", default=2),
        "attention.bias": biased("use_bias", default=False),
        "attention.rotary": Rope("interleaved", theta=500000.0, context=131072),
        "mlp.bias": key("use_bias", default=False, words={True: True, False: False, None: False}),
        "head.tied": key("tie_word_embeddings", default=True),
    },
    by_architecture={"Ernie4_5Model": BASE},
)
"""As Llama, with interleaved rotary positions."""

_OUT = key("attention_out_bias", default=False)

SEED_OSS = with_heads(
    replace(
        LLAMA,
        name="seed_oss",
        architectures=("SeedOssForCausalLM", "SeedOssModel"),
        spec={
            **LLAMA.spec,
            "depth": key("head_dim", default=128),
            "attention.kv_heads": key("num_key_value_heads", default=8),
            "attention.bias": choice(
                key("attention_bias", default=True),
                {
                    True: choice(_OUT, {True: EVERYWHERE, False: QKV}),
                    False: choice(_OUT, {True: ("output",), False: ()}),
                },
            ),
            "attention.rotary": Rope(context=524288),
        },
        by_architecture={"SeedOssModel": BASE},
    ),
    "SeedOss",
    pad=1,
)
"""As Llama, with biases of queries, keys and values, and optionally of the output."""


def _turned(layer: int, interval: int) -> int:
    return int((layer + 1) % interval != 0)


def _sliding(_layer: int, used: int, turned: int, width: int | None) -> str:
    return SLIDING if used and not turned and width is not None else FULL


_ROPE = Layers(("no_rope_layers",), _turned, (key("no_rope_layer_interval", default=4),))
_WINDOW = key("sliding_window")

SMOLLM3 = with_heads(
    replace(
        LLAMA,
        name="smollm3",
        architectures=("SmolLM3ForCausalLM", "SmolLM3Model"),
        spec={
            **LLAMA.spec,
            "attention.kv_heads": key("num_key_value_heads", default=4),
            "attention.rotary": choice(_ROPE, {1: Rope(theta=2e6, context=32768), 0: None}),
            # Kinds that are listed count, whatever use_sliding_window says.
            "attention.window": windows(
                _WINDOW, Layers(("layer_types",), _sliding, (key("use_sliding_window", default=False), _ROPE, _WINDOW))
            ),
            "head.tied": key("tie_word_embeddings", default=True),
        },
        by_architecture={"SmolLM3Model": BASE},
    ),
    "SmolLM3",
    pad=128004,
)
"""As Llama, without rotary positions in every fourth layer."""

GRANITE = replace(
    LLAMA,
    name="granite",
    architectures=("GraniteForCausalLM", "GraniteModel"),
    spec={
        **LLAMA.spec,
        "residual_scale": key("residual_multiplier", default=1.0),
        "attention.scale": key("attention_multiplier", default=1.0),
        "embedding.scale": key("embedding_multiplier", default=1.0),
        "head.scale": key("logits_scaling", default=1.0, by=inverse),
    },
    by_architecture={"GraniteModel": BASE},
)
"""As Llama, with multipliers of embeddings, scores, halves and logits."""

HELIUM = with_heads(
    replace(
        LLAMA,
        name="helium",
        architectures=("HeliumForCausalLM", "HeliumModel"),
        spec={
            **LLAMA.spec,
            **norms("rms", key("rms_norm_eps", default=1e-8)),
            "depth": key("head_dim", default=128),
            "attention.kv_heads": key("num_key_value_heads", default=20),
            "attention.bias": biased("attention_bias", default=False, projections=QKV),
            "attention.rotary": Rope("interleaved", theta=100000.0, context=4096),
        },
        by_architecture={"HeliumModel": BASE},
    ),
    "Helium",
    "ForSequenceClassification",
    "ForTokenClassification",
    pad=3,
)
"""As Llama, with interleaved rotary positions."""

ARCEE = with_heads(
    replace(
        LLAMA,
        name="arcee",
        architectures=("ArceeForCausalLM", "ArceeModel"),
        spec={
            **without(LLAMA.spec, "mlp.gated"),
            **norms("rms", key("rms_norm_eps", default=1e-5)),
            "attention.rotary": Rope(context=4096),
            "mlp.activation": activation("hidden_act", default="relu-squared"),
        },
        by_architecture={"ArceeModel": BASE},
    ),
    "Arcee",
)
"""As Llama, with a plain MLP of squared ReLU."""

_LAYERS = Layers(("layer_types",), every, (key("sliding_window_pattern", default=4),))
_ROTARY = Rope()

EXAONE4 = with_heads(
    replace(
        LLAMA,
        name="exaone4",
        architectures=("Exaone4ForCausalLM", "Exaone4Model"),
        spec={
            **without(LLAMA.spec, "attention.bias", "mlp.bias"),
            **norms("rms", key("rms_norm_eps", default=1e-5)),
            "placement": "after",
            "attention.kv_heads": key("num_key_value_heads", default=32),
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": key("rms_norm_eps", default=1e-5),
            "attention.window": windows(key("sliding_window", default=4096), _LAYERS),
            "attention.rotary": choice(
                key("sliding_window", default=True, by=lambda _width: True),
                {None: _ROTARY, True: choice(_LAYERS, {SLIDING: _ROTARY, FULL: None})},
            ),
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.attention.norm.gain": LAYER + "post_attention_layernorm.weight",
            "layers.{n}.mlp.norm.gain": LAYER + "post_feedforward_layernorm.weight",
        },
        by_architecture={"Exaone4Model": BASE},
    ),
    "Exaone4",
)
"""As Llama, with a norm after each half, and rotary positions only in the layers with a window."""

_LAYER_NORMS = {
    **norm("layers.{n}.attention.norm", LAYER + "input_layernorm"),
    **norm("layers.{n}.mlp.norm", LAYER + "post_attention_layernorm"),
    **norm("norm", "norm"),
}

NEMOTRON = with_heads(
    replace(
        LLAMA,
        name="nemotron",
        architectures=("NemotronForCausalLM", "NemotronModel"),
        spec={
            **without(LLAMA.spec, "mlp.gated"),
            **norms("layer", key("norm_eps", default=1e-5)),
            "attention.rotary": Rope(share=0.5, context=4096),
            "mlp.activation": activation("hidden_act", default="relu-squared"),
        },
        arrays={
            **LLAMA.arrays,
            **norm("layers.{n}.attention.norm", LAYER + "input_layernorm", "plus-one"),
            **norm("layers.{n}.mlp.norm", LAYER + "post_attention_layernorm", "plus-one"),
            **norm("norm", "norm", "plus-one"),
        },
        by_architecture={"NemotronModel": BASE},
    ),
    "Nemotron",
)
"""As Llama, with layer norms whose gains lack 1, a plain MLP of squared ReLU, half of each head rotated."""

STABLELM = with_heads(
    replace(
        LLAMA,
        name="stablelm",
        architectures=("StableLmForCausalLM", "StableLmModel"),
        spec={
            **without(LLAMA.spec, "mlp.bias", "depth"),
            **norms("layer", key("layer_norm_eps", default=1e-5)),
            "placement": choice(key("use_parallel_residual", default=False), {True: "parallel", False: "pre"}),
            "attention.kv_heads": key("num_key_value_heads", default=32),
            "attention.bias": biased("use_qkv_bias", default=False, projections=QKV),
            "attention.rotary": Rope(share=0.25, context=4096),
            "attention.qk_norm": choice(
                key("qk_layernorm", default=False),
                {True: {}, False: None, None: None},
            ),
            "attention.qk_norm.kind": "layer",
            "attention.qk_norm.eps": key("layer_norm_eps", default=1e-5),
            "attention.qk_norm.bias": False,
            "attention.qk_norm_over": "depth-own",
        },
        arrays={
            **LLAMA.arrays,
            **_LAYER_NORMS,
            "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_layernorm.norms.{e}.weight",
            "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_layernorm.norms.{e}.weight",
            "layers.{n}.mlp.norm.gain": (LAYER + "post_attention_layernorm.weight", LAYER + "input_layernorm.weight"),
            "layers.{n}.mlp.norm.bias": (LAYER + "post_attention_layernorm.bias", LAYER + "input_layernorm.bias"),
        },
        by_architecture={"StableLmModel": BASE},
        fixed={"head_dim": (None,)},
    ),
    "StableLm",
    "ForSequenceClassification",
    "ForTokenClassification",
)
"""As Llama, with layer norms, a quarter of each head rotated, and optionally both halves in parallel."""

STARCODER2 = with_heads(
    replace(
        LLAMA,
        name="starcoder2",
        architectures=("Starcoder2ForCausalLM", "Starcoder2Model"),
        spec={
            **without(LLAMA.spec, "mlp.gated"),
            **norms("layer", key("norm_epsilon", default=1e-5)),
            "attention.kv_heads": key("num_key_value_heads", default=2),
            "attention.bias": biased("use_bias", default=True),
            "attention.rotary": Rope(context=4096),
            "attention.window": key("sliding_window"),
            "mlp.activation": activation("hidden_act", default="gelu-tanh"),
            "mlp.bias": key("use_bias", default=True),
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            **LLAMA.arrays,
            **_LAYER_NORMS,
            **affine("layers.{n}.mlp.up", LAYER + "mlp.c_fc"),
            **affine("layers.{n}.mlp.output", LAYER + "mlp.c_proj"),
        },
        by_architecture={"Starcoder2Model": BASE},
    ),
    "Starcoder2",
    "ForSequenceClassification",
    "ForTokenClassification",
)
"""As Llama, with layer norms, biases and a plain MLP."""

_POOLING = {"late": "tokens", "bos": "first", "mean": "mean"}

EUROBERT = replace(
    LLAMA,
    name="eurobert",
    architectures=(
        "EuroBertModel",
        "EuroBertForMaskedLM",
        "EuroBertForSequenceClassification",
        "EuroBertForTokenClassification",
    ),
    spec={
        **LLAMA.spec,
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "attention.causal": False,
        "attention.rotary": Rope(context=8192),
        "head.bias": key("mlp_bias", default=False),
    },
    arrays={**LLAMA.arrays, "logits.bias": "lm_head.bias"},
    by_architecture={
        "EuroBertModel": BASE,
        "EuroBertForSequenceClassification": {
            **PLAIN,
            "head.reads": key("classifier_pooling", default="tokens", words=_POOLING),
            "head.averaged": key("classifier_pooling", default=True, words={"late": True, "bos": False, "mean": False}),
            "head.transform": "gelu",
            "head.normed": False,
            "head.bias": True,
        },
        "EuroBertForTokenClassification": {**PLAIN, "head.bias": True},
    },
    arrays_by_architecture={
        "EuroBertForSequenceClassification": {**affine("transform", "dense"), **affine("logits", "classifier")},
        "EuroBertForTokenClassification": affine("logits", "classifier"),
    },
    without_effect={"classifier_pooling": "belongs to a head for classes"},
)
"""Llama as an encoder: every token sees all."""
