"""DeepSeek V2 and V3, and those with their experts: GLM-4.5, Ernie 4.5, MiniMax M2, Granite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.models.families.akin import ERNIE, GRANITE
from clearhead.models.families.experts import (
    BLOCK,
    EACH,
    IN_BLOCK,
    WITHOUT_EFFECT,
    experts,
    local_experts,
    shared_in,
)
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA, QWEN3
from clearhead.models.families.parts import BASE, QKV, biased, norms, without
from clearhead.models.key import At, Layers, Sum, choice, key
from clearhead.models.rope import OBJECTS, Rope
from clearhead.spec import Norm

_ARRAYS = {
    **EACH,
    "layers.{n}.mlp.router.correction": LAYER + "mlp.gate.e_score_correction_bias",
    **shared_in(LAYER + "mlp.shared_experts."),
}
_WITHOUT_EFFECT = {
    **WITHOUT_EFFECT,
    "n_shared_experts": "is a size that the arrays have",
    "num_nextn_predict_layers": "counts layers after the last, which predict further tokens",
    "num_mtp_layers": "counts layers after the last, which predict further tokens",
    "ep_size": "says how the same numbers are computed",
    "seq_aux": "matters in training only",
    "moe_layer_freq": "is 1 in all models, and not read by Transformers",
}
_SPARE = {**LLAMA.spare, "model.layers.{layers}.*": "a layer after the last, which predicts a further token"}


def _behind(layer: int, first: int) -> str:
    return "experts" if layer >= first else "dense"


def _from(default: int) -> Any:
    """Experts from one layer on."""
    return choice(Layers((), _behind, (key("first_k_dense_replace", default=default),)), {"experts": {}, "dense": None})


class LatentScale(Struct, frozen=True):
    """The factor of scores: 1 / sqrt(depth), times a square that grows with YaRN's factor."""

    names: tuple[str, ...] = OBJECTS

    def read(self, at: At) -> float | None:
        """The factor; None for the usual one."""
        said: Mapping[str, Any] = next((at.config[name] for name in self.names if at.config.get(name)), {})
        kind, share = said.get("rope_type", said.get("type", "default")), said.get("mscale_all_dim", 0)
        if kind == "default" or not share:
            return None
        factor = float(said["factor"])
        grown = 0.1 * share * math.log(factor) + 1 if factor > 1 else 1.0
        return float(at.depth**-0.5 * grown * grown)


_TURNED = key("qk_rope_head_dim", default=64)
_LATENT = {
    "turned": _TURNED,
    "depth": Sum((key("qk_nope_head_dim", default=128), _TURNED)),
    "value_depth": key("v_head_dim", default=128),
    "attention.latent.norm": Norm("rms", 1e-6),
    "attention.latent.query": choice(key("q_lora_rank", default=True, by=bool), {True: True, None: False}),
    "attention.scale": LatentScale(),
}
_LATENT_ARRAYS = {
    "layers.{n}.attention.query.weight": (
        LAYER + "self_attn.q_b_proj.weight: linear heads turned-first",
        LAYER + "self_attn.q_proj.weight: linear heads turned-first",
    ),
    "layers.{n}.attention.query.latent.weight": LAYER + "self_attn.q_a_proj.weight: linear",
    "layers.{n}.attention.query.latent.gain": LAYER + "self_attn.q_a_layernorm.weight",
    "layers.{n}.attention.latent.weight": LAYER + "self_attn.kv_a_proj_with_mqa.weight: linear but-turned",
    "layers.{n}.attention.latent.gain": LAYER + "self_attn.kv_a_layernorm.weight",
    "layers.{n}.attention.key.shared.weight": LAYER + "self_attn.kv_a_proj_with_mqa.weight: linear turned",
    "layers.{n}.attention.key.weight": LAYER + "self_attn.kv_b_proj.weight: linear own-key",
    "layers.{n}.attention.value.weight": LAYER + "self_attn.kv_b_proj.weight: linear own-value",
}
_LATENT_SIZES = {
    "kv_lora_rank": "is a size that the arrays have",
    "head_dim": "Transformers takes that of the shared part",
    "qk_head_dim": "Transformers takes the sum of the two parts",
    "num_key_value_heads": "all heads have keys and values of their own, from the latent",
}


def _turning(context: int, layout: Any = "interleaved") -> Rope:
    return Rope(layout, context=context, width=_TURNED)


DEEPSEEK_V3 = with_heads(replace(
    LLAMA,
    name="deepseek_v3",
    architectures=("DeepseekV3ForCausalLM", "DeepseekV3Model"),
    spec={
        **without(LLAMA.spec, "attention.kv_heads", "attention.bias", "mlp.bias"),
        **_LATENT,
        "attention.rotary": choice(
            key("rope_interleave", default=True), {True: _turning(4096), False: _turning(4096, "half")}
        ),
        "mlp.experts": _from(3),
        **experts(
            key("n_routed_experts", "num_local_experts", default=256), key("num_experts_per_tok", default=8),
            scores="sigmoid", correction=True, renormalise=key("norm_topk_prob", default=True),
            scale=key("routed_scaling_factor", default=2.5), groups=key("n_group", default=8),
            chosen_groups=key("topk_group", default=4), shared=True,
        ),
    },
    arrays={**LLAMA.arrays, **_ARRAYS, **_LATENT_ARRAYS},
    by_architecture={"DeepseekV3Model": BASE},
    fixed={"attention_bias": (False,), "topk_method": ("noaux_tc",), "scoring_func": ("sigmoid",)},
    without_effect={**_WITHOUT_EFFECT, **_LATENT_SIZES},
    spare=_SPARE,
), "DeepseekV3", "ForSequenceClassification", "ForTokenClassification")  # fmt: skip
"""Latent attention; experts in groups, chosen by scores with a correction, and a shared one (DeepSeek-AI 2024)."""

_GREEDY = key("topk_method", default="greedy")

DEEPSEEK_V2 = with_heads(replace(
    DEEPSEEK_V3,
    name="deepseek_v2",
    architectures=("DeepseekV2ForCausalLM", "DeepseekV2Model"),
    spec={
        **without(DEEPSEEK_V3.spec, "mlp.experts.correction"),
        "mlp.bias": key("mlp_bias", default=False),
        "attention.rotary": _turning(2048),
        "mlp.experts": _from(0),
        **experts(
            key("n_routed_experts", "num_experts", default=64), key("num_experts_per_tok"),
            renormalise=False, scale=key("routed_scaling_factor", default=1.0),
            groups=choice(_GREEDY, {"greedy": None, "group_limited_greedy": key("n_group")}),
            chosen_groups=choice(_GREEDY, {"greedy": 1, "group_limited_greedy": key("topk_group")}),
            group_counts=1, shared=True, scores="softmax",
        ),
    },
    by_architecture={"DeepseekV2Model": BASE},
    fixed={"attention_bias": (False,), "mlp_bias": (False,), "scoring_func": ("softmax",)},
    without_effect={**DEEPSEEK_V3.without_effect, "norm_topk_prob": "Transformers does not read it here"},
), "DeepseekV2", "ForSequenceClassification")  # fmt: skip
"""As DeepSeek V3, with softmax of the router and no correction."""

GLM4_MOE = replace(
    QWEN3,
    name="glm4_moe",
    architectures=("Glm4MoeForCausalLM", "Glm4MoeModel"),
    spec={
        **without(QWEN3.spec, "attention.window", "attention.qk_norm.kind", "attention.qk_norm.eps"),
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "depth": key("head_dim"),
        "attention.kv_heads": key("num_key_value_heads", default=8),
        "attention.bias": biased("attention_bias", default=False, projections=QKV),
        "attention.rotary": Rope(share=0.5, context=131072),
        "attention.qk_norm": choice(key("use_qk_norm", default=False), {True: {"kind": "rms"}, False: None}),
        "attention.qk_norm.eps": key("rms_norm_eps", default=1e-5),
        "mlp.experts": _from(1),
        **experts(
            key("n_routed_experts", "num_local_experts", default=128), key("num_experts_per_tok", default=8),
            scores="sigmoid", correction=True, renormalise=key("norm_topk_prob", default=True),
            scale=key("routed_scaling_factor", default=1.0), groups=key("n_group", default=1),
            chosen_groups=key("topk_group", default=1), shared=True,
        ),
    },
    arrays={**QWEN3.arrays, **_ARRAYS},
    by_architecture={"Glm4MoeModel": BASE},
    without_effect=_WITHOUT_EFFECT,
    spare=_SPARE,
)  # fmt: skip
"""Experts as DeepSeek V3's, half of each head rotated, and optionally norms of queries and keys (GLM-4.5)."""


def _between(layer: int, first: int, last: int, interval: int, layers: int) -> str:
    last = layers - 1 if last == -1 else last
    return "experts" if first <= layer <= last and (layer + 1) % interval == 0 else "dense"


_WITH_EXPERTS = Layers(
    (),
    _between,
    (
        key("moe_layer_start_index", default=1), key("moe_layer_end_index", default=-1),
        key("moe_layer_interval", default=1), key("num_hidden_layers", default=28),
    ),
)  # fmt: skip

ERNIE_MOE = replace(
    ERNIE,
    name="ernie4_5_moe",
    architectures=("Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeModel"),
    spec={
        **ERNIE.spec,
        "depth": key("head_dim"),
        "attention.kv_heads": key("num_key_value_heads", default=4),
        "mlp.bias": False,
        "mlp.experts": choice(_WITH_EXPERTS, {"experts": {}, "dense": None}),
        **experts(
            key("moe_num_experts", "num_experts", default=64), key("moe_k", "num_experts_per_tok", default=6),
            correction=True, shared=key("moe_num_shared_experts", default=True, by=bool),
        ),
    },
    arrays={
        **ERNIE.arrays,
        **_ARRAYS,
        "layers.{n}.mlp.router.correction": LAYER + "mlp.moe_statics.e_score_correction_bias: flat",
    },
    by_architecture={"Ernie4_5_MoeModel": BASE},
    fixed={"use_bias": (False,), "moe_norm_min": (1e-12,)},
    without_effect=WITHOUT_EFFECT,
)  # fmt: skip
"""As Ernie 4.5, with experts chosen by scores with a correction."""

MINIMAX_M2 = replace(
    LLAMA,
    name="minimax_m2",
    architectures=("MiniMaxM2ForCausalLM", "MiniMaxM2Model"),
    spec={
        **without(LLAMA.spec, "attention.bias", "mlp.bias"),
        "depth": key("head_dim", default=128),
        "attention.kv_heads": key("num_key_value_heads", default=8),
        "attention.rotary": choice(
            key("partial_rotary_factor", "rope_parameters.partial_rotary_factor", by=lambda _share: True),
            {
                True: Rope(theta=5e6, share=1.0, context=196608),
                None: choice(
                    key("rotary_dim", by=lambda _width: True),
                    {
                        None: Rope(theta=5e6, share=1.0, context=196608),
                        True: Rope(theta=5e6, context=196608, width=key("rotary_dim")),
                    },
                ),
            },
        ),
        "attention.qk_norm.kind": "rms",
        "attention.qk_norm.eps": key("rms_norm_eps", default=1e-6),
        "attention.qk_norm_over": "heads",
        **local_experts(256, 8, scores="sigmoid", correction=True),
    },
    arrays={
        **LLAMA.arrays,
        "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_norm.weight: heads",
        "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_norm.weight: groups",
        **IN_BLOCK,
        "layers.{n}.mlp.router.correction": BLOCK + "e_score_correction_bias",
    },
    by_architecture={"MiniMaxM2Model": BASE},
    without_effect=WITHOUT_EFFECT,
)  # fmt: skip
"""Experts chosen by sigmoids with a correction, norms of queries and keys over all heads."""

GRANITE_MOE = replace(
    GRANITE,
    name="granitemoe",
    architectures=("GraniteMoeForCausalLM", "GraniteMoeModel"),
    spec={
        **without(GRANITE.spec, "mlp.bias"),
        **local_experts(8, 2),
    },
    arrays={
        **GRANITE.arrays,
        "layers.{n}.mlp.router.weight": BLOCK + "router.layer.weight: linear",
        "layers.{n}.mlp.gate.weight": BLOCK + "input_linear.weight: linear first-half",
        "layers.{n}.mlp.up.weight": BLOCK + "input_linear.weight: linear second-half",
        "layers.{n}.mlp.output.weight": BLOCK + "output_linear.weight: linear",
    },
    by_architecture={"GraniteMoeModel": BASE},
    without_effect=WITHOUT_EFFECT,
)  # fmt: skip
"""As Granite, with experts."""
