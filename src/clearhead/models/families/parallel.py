"""Decoders whose halves read one norm of the block's input, side by side: GPT-J, Phi, Cohere, Falcon."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import (
    BASE,
    EVERYWHERE,
    FULL,
    LISTED,
    SLIDING,
    activation,
    affine,
    biased,
    every,
    norm,
    norms,
    sizes,
    windows,
    without,
)
from clearhead.models.family import Family
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

_INVERSE = {"*rotary_emb.inv_freq": "rotary frequencies, which are computed from the config"}
_GPTJ = "h.{n}."

GPTJ = with_heads(
    Family(
        name="gptj",
        architectures=("GPTJForCausalLM", "GPTJModel"),
        spec={
            **sizes(("num_hidden_layers", "n_layer"), ("hidden_size", "n_embd"), ("num_attention_heads", "n_head")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5)),
            "placement": "parallel",
            "attention.causal": True,
            "attention.rotary.layout": "interleaved",
            "attention.rotary.width": key("rotary_dim", default=64),
            "mlp.activation": activation("activation_function", default="gelu-tanh"),
            "mlp.bias": True,
            "head.bias": True,
            "head.tied": key("tie_word_embeddings", default=False),
        },
        arrays={
            "embedding.weight": "wte.weight",
            "layers.{n}.attention.query.weight": _GPTJ + "attn.q_proj.weight: linear heads",
            "layers.{n}.attention.key.weight": _GPTJ + "attn.k_proj.weight: linear heads",
            "layers.{n}.attention.value.weight": _GPTJ + "attn.v_proj.weight: linear heads",
            "layers.{n}.attention.output.weight": _GPTJ + "attn.out_proj.weight: linear",
            **norm("layers.{n}.attention.norm", _GPTJ + "ln_1"),
            **norm("layers.{n}.mlp.norm", _GPTJ + "ln_1"),
            **affine("layers.{n}.mlp.up", _GPTJ + "mlp.fc_in"),
            **affine("layers.{n}.mlp.output", _GPTJ + "mlp.fc_out"),
            **norm("norm", "ln_f"),
            **affine("logits", "lm_head"),
        },
        prefixes=("transformer.", ""),
        by_architecture={"GPTJModel": BASE},
        without_effect={"rotary": "Transformers reads rotary_dim"},
        spare={
            "*h.*.attn.bias": "the causal mask",
            "*h.*.attn.masked_bias": "minus infinity, for the causal mask",
            "*h.*.attn.embed_positions": "rotary angles, which are computed from the config",
        },
    ),
    "GPTJ",
    "ForSequenceClassification",
    "ForQuestionAnswering",
)

PHI = with_heads(
    replace(
        LLAMA,
        name="phi",
        architectures=("PhiForCausalLM", "PhiModel"),
        spec={
            **without(LLAMA.spec, "mlp.gated"),
            **norms("layer", key("layer_norm_eps", default=1e-5)),
            "placement": "parallel",
            "attention.bias": EVERYWHERE,
            "attention.rotary": Rope(share=0.5),
            "attention.qk_norm": choice(key("qk_layernorm", default=False), {True: {}, False: None}),
            "attention.qk_norm.kind": "layer",
            "attention.qk_norm.eps": key("layer_norm_eps", default=1e-5),
            "mlp.activation": activation("hidden_act", default="gelu-tanh"),
            "mlp.bias": True,
            "head.bias": True,
        },
        arrays={
            **LLAMA.arrays,
            **affine("layers.{n}.attention.output", LAYER + "self_attn.dense"),
            **norm("layers.{n}.attention.query.norm", LAYER + "self_attn.q_layernorm"),
            **norm("layers.{n}.attention.key.norm", LAYER + "self_attn.k_layernorm"),
            **norm("layers.{n}.attention.norm", LAYER + "input_layernorm"),
            **norm("layers.{n}.mlp.norm", LAYER + "input_layernorm"),
            **affine("layers.{n}.mlp.up", LAYER + "mlp.fc1"),
            **affine("layers.{n}.mlp.output", LAYER + "mlp.fc2"),
            **norm("norm", "final_layernorm"),
            **affine("logits", "lm_head"),
        },
        by_architecture={"PhiModel": BASE},
    ),
    "Phi",
    "ForSequenceClassification",
    "ForTokenClassification",
)
"""As Llama in its names only: layer norms, biases, a plain MLP, half of each head turned."""

_EPS = key("layer_norm_eps", default=1e-5)

COHERE = replace(
    LLAMA,
    name="cohere",
    architectures=("CohereForCausalLM", "CohereModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias"),
        **norms("layer", _EPS, bias=False),
        "placement": "parallel",
        "attention.rotary": Rope("interleaved", theta=500000.0, context=8192),
        "attention.qk_norm": choice(key("use_qk_norm", default=False), {True: {}, False: None, None: None}),
        "attention.qk_norm.kind": "layer",
        "attention.qk_norm.eps": _EPS,
        "attention.qk_norm_over": "depth-own",
        "head.scale": key("logit_scale", default=0.0625),
        "head.tied": key("tie_word_embeddings", default=True),
    },
    arrays={**LLAMA.arrays, "layers.{n}.mlp.norm.gain": LAYER + "input_layernorm.weight"},
    by_architecture={"CohereModel": BASE},
)
"""As Llama, both halves side by side, layer norms without a bias, interleaved rotary positions, scaled logits."""

_LAYERS = Layers(("layer_types",), every, (key("sliding_window_pattern", default=4),))

COHERE2 = replace(
    COHERE,
    name="cohere2",
    architectures=("Cohere2ForCausalLM", "Cohere2Model"),
    spec={
        **without(
            COHERE.spec,
            "attention.qk_norm", "attention.qk_norm.kind", "attention.qk_norm.eps", "attention.qk_norm_over",
        ),
        "attention.rotary": choice(_LAYERS, {SLIDING: Rope("interleaved", context=8192), FULL: None}),
        "attention.window": windows(key("sliding_window", default=4096), _LAYERS),
    },
    by_architecture={"Cohere2Model": BASE},
)  # fmt: skip
"""As Cohere, with a window and rotary positions in three of four layers, and neither in the fourth."""

_FALCON = "h.{n}."
_FUSED = _FALCON + "self_attention.query_key_value"
_OLD = choice(key("multi_query", default=True), {True: 1, False: None})

FALCON = with_heads(
    Family(
        name="falcon",
        architectures=("FalconForCausalLM", "FalconModel"),
        spec={
            **sizes(width=("n_embed", "hidden_size")),
            **norms("layer", key("layer_norm_epsilon", default=1e-5)),
            "placement": choice(
                key("new_decoder_architecture", default=False),
                {True: "parallel", False: choice(key("parallel_attn", default=True), {True: "parallel", False: "pre"})},
            ),
            "attention.kv_heads": choice(
                key("new_decoder_architecture", default=False), {True: key("num_kv_heads"), False: _OLD}
            ),
            "attention.causal": True,
            "attention.bias": biased("bias", default=False),
            "attention.rotary": Rope(),
            "mlp.activation": activation("activation", default="gelu"),
            "mlp.bias": key("bias", default=False),
            "head.tied": key("tie_word_embeddings", default=True),
        },
        arrays={
            "embedding.weight": "word_embeddings.weight",
            **{
                f"layers.{{n}}.attention.{part}.{end}": f"{_FUSED}.{end}: {words} {part}-of-group {heads}"
                for part, heads in (("query", "heads"), ("key", "groups"), ("value", "groups"))
                for end, words in (("weight", "linear"), ("bias", ""))
            },
            **LISTED,
            **affine("layers.{n}.attention.output", _FALCON + "self_attention.dense"),
            **affine("layers.{n}.mlp.up", _FALCON + "mlp.dense_h_to_4h"),
            **affine("layers.{n}.mlp.output", _FALCON + "mlp.dense_4h_to_h"),
            **{
                f"layers.{{n}}.{half}.norm.{ours}": tuple(f"{_FALCON}{name}.{theirs}" for name in names)
                for half, names in (
                    ("attention", ("ln_attn", "input_layernorm")),
                    ("mlp", ("ln_mlp", "post_attention_layernorm", "input_layernorm")),
                )
                for ours, theirs in (("gain", "weight"), ("bias", "bias"))
            },
            **norm("norm", "ln_f"),
            "logits.weight": "lm_head.weight: linear",
        },
        prefixes=("transformer.", ""),
        by_architecture={"FalconModel": BASE},
        fixed={"alibi": (False, None)},
        without_effect={
            "head_dim": "is a size that the arrays have",
            "num_ln_in_parallel_attn": "shows in which norms the arrays have",
            "ffn_hidden_size": "is a size that the arrays have",
            "rotary": "Transformers reads alibi",
            "apply_residual_connection_post_layernorm": "Transformers does not read it in this family",
        },
        spare=_INVERSE,
    ),
    "Falcon",
    prefix="",
    tokens="classifier",
)
