"""Qwen3-Next and Qwen 3.5: gated delta nets in three of four layers, gated attention in the others."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from clearhead.models.families.experts import EACH, WITHOUT_EFFECT, experts, shared_in, sparse
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import BASE, FULL, activation, biased, without
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

LINEAR = "linear_attention"


def _kind(layer: int, interval: int) -> str:
    return LINEAR if (layer + 1) % interval else FULL


_KINDS = Layers(("layer_types",), _kind, (key("full_attention_interval", default=4),))


def _full(value: Any, other: Any = None) -> Any:
    """A value of layers with full attention."""
    return choice(_KINDS, {FULL: value, LINEAR: other})


_EPS = key("rms_norm_eps", default=1e-6)
_DELTA = LAYER + "linear_attn."
_TAPS = _DELTA + "conv1d.weight: rows-last delta-"
_QUERY = LAYER + "self_attn.q_proj"
_ACTIVATION = activation("hidden_act", default="silu")
_IMAGES = frozenset({"mrope_section", "mrope_interleaved"})
"""Entries of rotary positions that matter for images: all tokens of a text have one position each."""


def _attention(kv_heads: int) -> dict[str, Any]:
    return {
        "depth": key("head_dim", default=256),
        "delta_depth": key("linear_key_head_dim", default=128),
        "delta_value_depth": key("linear_value_head_dim", default=128),
        "attention.kv_heads": key("num_key_value_heads", default=kv_heads),
        "attention.causal": True,
        "attention.rotary": _full(Rope(share=0.25, context=32768, ignored=_IMAGES)),
        "attention.bias": _full(biased("attention_bias", default=False), ()),
        "attention.qk_norm": _full({"kind": "rms"}),
        "attention.qk_norm.eps": _EPS,
        "attention.gated": choice(_KINDS, {FULL: True, LINEAR: False}),
        "attention.delta": _full(None, {}),
        "attention.delta.heads": key("linear_num_value_heads", default=32),
        "attention.delta.key_heads": key("linear_num_key_heads", default=16),
        "attention.delta.activation": _ACTIVATION,
        "attention.delta.norm.kind": "rms",
        "attention.delta.norm.eps": _EPS,
    }


_BOTH = {
    **LLAMA.arrays,
    "layers.{n}.attention.query.weight": (
        _QUERY + ".weight: linear heads first-half", _DELTA + "in_proj_qkvz.weight: linear apart-query groups",
        _DELTA + "in_proj_qkv.weight: linear delta-query groups",
    ),
    "layers.{n}.attention.query.bias": _QUERY + ".bias: heads first-half",
    "layers.{n}.attention.key.weight": (
        LAYER + "self_attn.k_proj.weight: linear groups", _DELTA + "in_proj_qkvz.weight: linear apart-key groups",
        _DELTA + "in_proj_qkv.weight: linear delta-key groups",
    ),
    "layers.{n}.attention.value.weight": (
        LAYER + "self_attn.v_proj.weight: linear groups", _DELTA + "in_proj_qkvz.weight: linear apart-value heads",
        _DELTA + "in_proj_qkv.weight: linear delta-value heads",
    ),
    "layers.{n}.attention.gate.weight": (
        _QUERY + ".weight: linear heads second-half", _DELTA + "in_proj_qkvz.weight: linear apart-gate heads",
        _DELTA + "in_proj_z.weight: linear heads",
    ),
    "layers.{n}.attention.gate.bias": _QUERY + ".bias: heads second-half",
    "layers.{n}.attention.output.weight": (
        LAYER + "self_attn.o_proj.weight: linear", _DELTA + "out_proj.weight: linear",
    ),
    "layers.{n}.attention.query.taps": _TAPS + "query groups tap-last",
    "layers.{n}.attention.key.taps": _TAPS + "key groups tap-last",
    "layers.{n}.attention.value.taps": _TAPS + "value heads tap-last",
    "layers.{n}.attention.share.weight": (
        _DELTA + "in_proj_ba.weight: linear apart-share linear", _DELTA + "in_proj_b.weight",
    ),
    "layers.{n}.attention.step.weight": (
        _DELTA + "in_proj_ba.weight: linear apart-step linear", _DELTA + "in_proj_a.weight",
    ),
    "layers.{n}.attention.step.bias": _DELTA + "dt_bias",
    "layers.{n}.attention.rate": _DELTA + "A_log",
    "layers.{n}.attention.head.norm.gain": _DELTA + "norm.weight",
    "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_norm.weight: plus-one",
    "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_norm.weight: plus-one",
    "layers.{n}.attention.norm.gain": LAYER + "input_layernorm.weight: plus-one",
    "layers.{n}.mlp.norm.gain": LAYER + "post_attention_layernorm.weight: plus-one",
    "norm.gain": "norm.weight: plus-one",
}  # fmt: skip
_EXPERTS = {
    **EACH,
    **shared_in(LAYER + "mlp.shared_expert."),
    "layers.{n}.mlp.shared.share.weight": LAYER + "mlp.shared_expert_gate.weight: flat",
}
_SPARE = {**LLAMA.spare, "mtp.*": "layers after the last, which predict further tokens"}
_SIZES = {
    "linear_conv_kernel_dim": "is a size that the arrays have",
    "mtp_num_hidden_layers": "counts layers after the last, which predict further tokens",
    "mtp_use_dedicated_embeddings": "is of layers after the last, which predict further tokens",
}
_COUNT = key("num_experts", default=512)

QWEN3_NEXT = with_heads(replace(
    LLAMA,
    name="qwen3_next",
    architectures=("Qwen3NextForCausalLM", "Qwen3NextModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias"),
        **_attention(2),
        "mlp.experts": sparse(_COUNT),
        **experts(
            _COUNT, key("num_experts_per_tok", default=10), renormalise=key("norm_topk_prob", default=True),
            shared=True, shared_gate=True,
        ),
    },
    arrays={**_BOTH, **_EXPERTS},
    by_architecture={"Qwen3NextModel": BASE},
    arrays_by_architecture={},
    without_effect={**WITHOUT_EFFECT, **_SIZES},
    spare=_SPARE,
), "Qwen3Next")  # fmt: skip
"""Gated delta nets (Yang et al. 2025) in three of four layers, gated attention in the fourth; experts."""

QWEN35 = with_heads(
    replace(
        QWEN3_NEXT,
        name="qwen3_5",
        architectures=("Qwen3_5ForCausalLM", "Qwen3_5TextModel"),
        spec={**without(LLAMA.spec, "mlp.bias"), **_attention(4)},
        arrays=_BOTH,
        by_architecture={"Qwen3_5TextModel": BASE},
        without_effect=_SIZES,
    ),
    "Qwen3_5Text",
    "ForSequenceClassification",
    prefix="",
)
"""As Qwen3-Next, without experts, and with the projections of delta nets apart."""

_COUNT_OF_MOE = key("num_experts", default=256)

QWEN35_MOE = replace(
    QWEN3_NEXT,
    name="qwen3_5_moe",
    architectures=("Qwen3_5MoeForCausalLM", "Qwen3_5MoeTextModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias"),
        **_attention(2),
        **experts(_COUNT_OF_MOE, key("num_experts_per_tok", default=8), shared=True, shared_gate=True),
    },
    arrays={**_BOTH, **_EXPERTS},
    by_architecture={"Qwen3_5MoeTextModel": BASE},
)
"""As Qwen 3.5, with experts."""
