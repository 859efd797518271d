"""ModernBERT."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import (
    ACTIVATIONS,
    BASE,
    EVERYWHERE,
    FULL,
    SLIDING,
    activation,
    affine,
    heads,
    norms,
    sizes,
)
from clearhead.models.family import Family
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

_LAYER = "layers.{n}."


def _every(layer: int, pattern: int) -> str:
    return SLIDING if layer % pattern else FULL


_KINDS = Layers(("layer_types",), _every, (key("global_attn_every_n_layers", default=3),))
_WINDOW = choice(
    key("sliding_window", by=lambda _half: True),
    {
        True: key("sliding_window", by=lambda half: half + 1),
        None: key("local_attention", default=65, by=lambda whole: whole // 2 + 1),
    },
)
_EPS = key("norm_eps", default=1e-5)
_BIAS = key("norm_bias", default=False)
_PARTS = {
    f"layers.{{n}}.{ours}.{end}": f"{_LAYER}{theirs}.{end}: {words}"
    for ours, theirs, turned, flat in (
        ("attention.query", "attn.Wqkv", "linear query heads", "query heads"),
        ("attention.key", "attn.Wqkv", "linear key heads", "key heads"),
        ("attention.value", "attn.Wqkv", "linear value heads", "value heads"),
        ("attention.output", "attn.Wo", "linear", ""),
        ("mlp.gate", "mlp.Wi", "linear first-half", "first-half"),
        ("mlp.up", "mlp.Wi", "linear second-half", "second-half"),
        ("mlp.output", "mlp.Wo", "linear", ""),
    )
    for end, words in (("weight", turned), ("bias", flat))
}

_TRANSFORM = {
    "head.reads": "tokens",
    "head.transform": key("classifier_activation", default="gelu", words=ACTIVATIONS),
    "head.eps": _EPS,
    "head.plain": choice(_BIAS, {False: choice(key("classifier_bias", default=False), {False: True})}),
}

MODERNBERT = Family(
    name="modernbert",
    architectures=(
        "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification",
        "ModernBertForTokenClassification", "ModernBertForQuestionAnswering",
    ),
    spec={
        **sizes(),
        **norms("layer", _EPS, bias=_BIAS),
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": _EPS,
        "embedding.norm.bias": _BIAS,
        "placement": "pre",
        "attention_norm": Layers((), lambda layer: layer > 0),
        "attention.causal": False,
        "attention.bias": key("attention_bias", default=(), words={True: EVERYWHERE, False: ()}),
        "attention.window": choice(
            _KINDS, {SLIDING: _WINDOW, FULL: None}
        ),
        "attention.rotary": choice(
            _KINDS,
            {
                FULL: Rope(theta=160000.0, theta_names=("global_rope_theta",), kind=FULL, context=8192),
                SLIDING: Rope(theta_names=("local_rope_theta",), kind=SLIDING, context=8192),
            },
        ),
        "mlp.activation": activation("hidden_activation", default="gelu"),
        "mlp.gated": True,
        "mlp.bias": key("mlp_bias", default=False),
    },
    arrays={
        "embedding.weight": "embeddings.tok_embeddings.weight",
        "embedding.gain": "embeddings.norm.weight",
        "embedding.bias": "embeddings.norm.bias",
        **_PARTS,
        "layers.{n}.attention.norm.gain": _LAYER + "attn_norm.weight",
        "layers.{n}.attention.norm.bias": _LAYER + "attn_norm.bias",
        "layers.{n}.mlp.norm.gain": _LAYER + "mlp_norm.weight",
        "layers.{n}.mlp.norm.bias": _LAYER + "mlp_norm.bias",
        "norm.gain": "final_norm.weight",
        "norm.bias": "final_norm.bias",
        "transform.weight": "head.dense.weight: linear",
        "transform.norm.gain": "head.norm.weight",
        "logits.weight": "decoder.weight: linear",
        "logits.bias": "decoder.bias",
    },
    prefixes=("model.", ""),
    by_architecture={
        "ModernBertModel": BASE,
        "ModernBertForMaskedLM": {
            **_TRANSFORM,
            "head.bias": key("decoder_bias", default=True),
            "head.tied": key("tie_word_embeddings", default=True),
        },
        "ModernBertForSequenceClassification": {
            **_TRANSFORM,
            "head.reads": key("classifier_pooling", default="first", words={"cls": "first", "mean": "mean"}),
            "head.bias": True,
        },
        "ModernBertForTokenClassification": {**_TRANSFORM, "head.bias": True},
        "ModernBertForQuestionAnswering": {**_TRANSFORM, "head.bias": True},
    },
    arrays_by_architecture=heads(
        "ModernBertFor",
        dict.fromkeys(("SequenceClassification", "TokenClassification", "QuestionAnswering"), "classifier"),
    ),
    without_effect={
        "classifier_pooling": "belongs to a head for classes",
        "deterministic_flash_attn": "says how the same numbers are computed",
        "reference_compile": "says how the same numbers are computed",
        "repad_logits_with_grad": "says how the same numbers are computed",
        "sparse_prediction": "matters in training only",
        "sparse_pred_ignore_index": "matters in training only",
        "initializer_cutoff_factor": "matters in training only",
        "position_embedding_type": "Transformers does not read it",
        "layer_norm_eps": "Transformers reads norm_eps",
        "gradient_checkpointing": "says how the same numbers are computed",
    },
)  # fmt: skip
"""Windows in two of three layers, gated MLPs, and no norm before the first attention (Warner et al. 2024)."""

_HALF_WINDOW = choice(
    key("sliding_window", by=lambda _width: True),
    {True: key("sliding_window"), None: key("local_attention", default=64, by=lambda whole: whole // 2)},
)

MODERNBERT_DECODER = replace(
    MODERNBERT,
    name="modernbert_decoder",
    architectures=(
        "ModernBertDecoderForCausalLM", "ModernBertDecoderModel", "ModernBertDecoderForSequenceClassification",
    ),
    spec={
        **MODERNBERT.spec,
        "attention.causal": True,
        "attention.window": choice(_KINDS, {SLIDING: _HALF_WINDOW, FULL: None}),
    },
    arrays={
        **MODERNBERT.arrays,
        **affine("layers.{n}.attention.query", _LAYER + "attn.q_proj", "linear heads"),
        **affine("layers.{n}.attention.key", _LAYER + "attn.k_proj", "linear heads"),
        **affine("layers.{n}.attention.value", _LAYER + "attn.v_proj", "linear heads"),
        "transform.weight": "lm_head.dense.weight: linear",
        "transform.norm.gain": "lm_head.norm.weight",
    },
    by_architecture={
        "ModernBertDecoderModel": BASE,
        "ModernBertDecoderForCausalLM": MODERNBERT.by_architecture["ModernBertForMaskedLM"],
        "ModernBertDecoderForSequenceClassification": {
            **_TRANSFORM, "head.reads": "last", "head.pad": key("pad_token_id", default=50283),
            "head.bias": key("classifier_bias", default=False),
        },
    },
    arrays_by_architecture={
        "ModernBertDecoderForSequenceClassification": {
            "transform.weight": "head.dense.weight: linear", "transform.norm.gain": "head.norm.weight",
            **affine("logits", "classifier"),
        },
    },
)  # fmt: skip
"""As ModernBERT with a causal mask, and queries, keys and values in three matrices."""
