"""Mixtures of experts as llama.cpp keeps them in GGUF files: OLMoE, Granite, MiniMax M2, Ernie, GLM-4.5, DeepSeek."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from clearhead.models.families.experts import experts
from clearhead.models.families.gguf import DENSE
from clearhead.models.families.gguf_others import BESIDE, GGUF_GRANITE, PLAIN, RMS, ROUTED, gguf_family
from clearhead.models.families.parts import QKV, without
from clearhead.models.key import At, Either, Layers, There, choice, key, required
from clearhead.models.rope import GgufRope
from clearhead.spec import Norm

_COUNT, _CHOSEN = key("expert_count"), key("expert_used_count")
_FIXED = {"attention.causal": (True,)}
_SAID = {**ROUTED, "expert_shared_count": "is a size that the arrays have"}
_CORRECTED = {**BESIDE, "layers.{n}.mlp.router.correction": "blk.{n}.exp_probs_b.bias: flat"}
_SCORES = choice(key("expert_gating_func", default=1), {1: "softmax", 2: "sigmoid"})
_OVER_HEADS = {
    "layers.{n}.attention.query.norm.gain": "blk.{n}.attn_q_norm.weight: heads",
    "layers.{n}.attention.key.norm.gain": "blk.{n}.attn_k_norm.weight: groups",
}
_NORMED = {"attention.qk_norm.kind": "rms", "attention.qk_norm.eps": RMS, "attention.qk_norm_over": "heads"}


def _behind(layer: int, first: int, step: int = 1) -> str:
    return "experts" if layer >= first and (layer + 1) % step == 0 else "dense"


_DENSE_FIRST = key("leading_dense_block_count", default=0)
_SPARSE: dict[str, Any] = {"experts": {}, "dense": None}

GGUF_OLMOE = gguf_family(
    "olmoe",
    {**DENSE, **_NORMED, **experts(_COUNT, _CHOSEN, renormalise=False)},
    {**PLAIN, **_OVER_HEADS, **BESIDE},
    fixed=_FIXED,
    without_effect=ROUTED,
)
"""As Llama in halves, with experts, and norms of queries and keys over all heads."""

GGUF_GRANITE_MOE = gguf_family(
    "granitemoe",
    {**GGUF_GRANITE.spec, **experts(_COUNT, _CHOSEN)},
    {**GGUF_GRANITE.arrays, **BESIDE},
    fixed=_FIXED,
    without_effect=ROUTED,
)
"""As Granite, with experts."""

GGUF_MINIMAX_M2 = gguf_family(
    "minimax-m2",
    {**DENSE, **_NORMED, **experts(_COUNT, _CHOSEN, scores=_SCORES, correction=True)},
    {**PLAIN, **_OVER_HEADS, **_CORRECTED},
    fixed={**_FIXED, "expert_gating_func": (2,)},
    without_effect=ROUTED,
)
"""Experts chosen by sigmoids with a correction, norms of queries and keys over all heads."""

GGUF_ERNIE_MOE = gguf_family(
    "ernie4_5-moe",
    {
        **DENSE,
        "attention.rotary": GgufRope("interleaved"),
        "mlp.experts": choice(
            Layers((), _behind, (_DENSE_FIRST, key("interleave_moe_layer_step", default=1))), _SPARSE
        ),
        **experts(_COUNT, _CHOSEN, correction=True, shared=key("expert_shared_count", default=False, by=bool)),
    },
    {**PLAIN, **_CORRECTED},
    fixed=_FIXED,
    without_effect=ROUTED,
)
"""As Ernie 4.5, with experts chosen by scores with a correction."""

_IN_GROUPS = experts(
    _COUNT,
    _CHOSEN,
    scores=_SCORES,
    renormalise=key("expert_weights_norm", default=False),
    scale=key("expert_weights_scale", default=1.0),
    groups=key("expert_group_count"),
    chosen_groups=key("expert_group_used_count", default=1),
    shared=True,
)
_BEHIND = choice(Layers((), _behind, (_DENSE_FIRST,)), _SPARSE)

GGUF_GLM4_MOE = gguf_family(
    "glm4moe",
    {
        **DENSE,
        "layers": Layers(
            (),
            lambda _layer, blocks, further: blocks - further,
            (required("block_count"), key("nextn_predict_layers", default=0)),
        ),
        "attention.bias": choice(There(("blk.0.attn_q.bias",)), {True: QKV, False: ()}),
        "attention.qk_norm": choice(There(("blk.0.attn_q_norm.weight",)), {True: {"kind": "rms"}, False: None}),
        "attention.qk_norm.eps": RMS,
        "mlp.experts": _BEHIND,
        **_IN_GROUPS,
        "mlp.experts.correction": True,
    },
    {**PLAIN, **_CORRECTED, "layers.{n}.mlp.norm.gain": "blk.{n}.post_attention_norm.weight"},
    fixed={**_FIXED, "expert_gating_func": (2,)},
    without_effect=_SAID,
    spare={"blk.{layers}.*": "a layer after the last, which predicts a further token"},
)
"""Experts as DeepSeek V3's, half of each head rotated, and optionally norms of queries and keys (GLM-4.5)."""


class _Scale(Struct, frozen=True):
    """The factor of scores of latent attention: 1 / sqrt(depth), times a square that grows with YaRN's factor."""

    names: tuple[str, ...] = ("rope.scaling.yarn_log_multiplier", "rope.scaling.factor")

    def read(self, at: At) -> float | None:
        """The factor; None for the usual one."""
        share, factor = (at.config.get(name) for name in self.names)
        if not isinstance(share, float) or not isinstance(factor, float) or factor <= 1:
            return None
        return float(at.depth**-0.5 * (share * math.log(factor) + 1) ** 2)


_GATED_BY = key("expert_gating_func", default=1)

GGUF_DEEPSEEK2 = gguf_family(
    "deepseek2",
    {
        **without(DENSE, "attention.kv_heads", "depth"),
        "turned": required("rope.dimension_count"),
        "depth": Either((key("attention.key_length_mla"), required("attention.key_length"))),
        "value_depth": Either((key("attention.value_length_mla"), required("attention.value_length"))),
        "attention.latent.norm": Norm("rms", 1e-6),
        "attention.latent.query": There(("blk.0.attn_q_a.weight",)),
        "attention.scale": _Scale(),
        "attention.rotary": GgufRope("interleaved", latent=True),
        "mlp.experts": _BEHIND,
        **_IN_GROUPS,
        "mlp.experts.correction": choice(_GATED_BY, {1: False, 2: True}),
        "mlp.experts.group_counts": choice(_GATED_BY, {1: 1, 2: 2}),
    },
    {
        **without(PLAIN, *(f"layers.{{n}}.attention.{part}.bias" for part in QKV)),
        **_CORRECTED,
        "layers.{n}.attention.query.weight": tuple(
            f"blk.{{n}}.{name}.weight: linear heads turned-first" for name in ("attn_q_b", "attn_q")
        ),
        "layers.{n}.attention.query.latent.weight": "blk.{n}.attn_q_a.weight: linear",
        "layers.{n}.attention.query.latent.gain": "blk.{n}.attn_q_a_norm.weight",
        "layers.{n}.attention.latent.weight": "blk.{n}.attn_kv_a_mqa.weight: linear but-turned",
        "layers.{n}.attention.latent.gain": "blk.{n}.attn_kv_a_norm.weight",
        "layers.{n}.attention.key.shared.weight": "blk.{n}.attn_kv_a_mqa.weight: linear turned",
        "layers.{n}.attention.key.weight": ("blk.{n}.attn_k_b.weight", "blk.{n}.attn_kv_b.weight: linear own-key"),
        "layers.{n}.attention.value.weight": (
            "blk.{n}.attn_v_b.weight: linear",
            "blk.{n}.attn_kv_b.weight: linear own-value",
        ),
    },
    fixed=_FIXED,
    without_effect={
        **_SAID,
        "attention.head_count_kv": "all heads have keys and values of their own, from the latent",
        "attention.key_length": "is a size that the arrays have",
        "attention.value_length": "is a size that the arrays have",
        "attention.kv_lora_rank": "is a size that the arrays have",
        "attention.q_lora_rank": "is a size that the arrays have",
    },
)
"""DeepSeek V2 and V3: latent attention; experts in groups, and a shared one."""
