"""Decoders whose MLPs are mixtures of experts: Mixtral, Qwen 2 and 3, OLMoE, gpt-oss."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA, MISTRAL, QWEN2, QWEN3
from clearhead.models.families.olmo import OLMO2
from clearhead.models.families.parts import BASE, FULL, SLIDING, affine, biased, norms, windows, without
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

_EXPERT = LAYER + "mlp.experts.{e}."
EACH = {
    "layers.{n}.mlp.router.weight": LAYER + "mlp.gate.weight: linear",
    "layers.{n}.mlp.up.weight": (LAYER + "mlp.up_proj.weight: linear", _EXPERT + "up_proj.weight: linear"),
    "layers.{n}.mlp.gate.weight": (LAYER + "mlp.gate_proj.weight: linear", _EXPERT + "gate_proj.weight: linear"),
    "layers.{n}.mlp.output.weight": (LAYER + "mlp.down_proj.weight: linear", _EXPERT + "down_proj.weight: linear"),
}
"""The MLPs of experts, each with its own arrays."""

BLOCK = LAYER + "block_sparse_moe."
IN_BLOCK = {
    "layers.{n}.mlp.router.weight": BLOCK + "gate.weight: linear",
    "layers.{n}.mlp.gate.weight": BLOCK + "experts.{e}.w1.weight: linear",
    "layers.{n}.mlp.up.weight": BLOCK + "experts.{e}.w3.weight: linear",
    "layers.{n}.mlp.output.weight": BLOCK + "experts.{e}.w2.weight: linear",
}
"""The same under the names of Mixtral."""


def shared_in(stored: str) -> dict[str, str]:
    """The MLP that all tokens use, where names in a layer start with ``stored``."""
    names = {"up": "up_proj", "gate": "gate_proj", "output": "down_proj"}
    return {f"layers.{{n}}.mlp.shared.{ours}.weight": f"{stored}{name}.weight: linear" for ours, name in names.items()}


WITHOUT_EFFECT = {
    "output_router_logits": "says what is returned",
    "router_jitter_noise": "matters in training only",
    "moe_intermediate_size": "is a size that the arrays have",
    "shared_expert_intermediate_size": "is a size that the arrays have",
}


def experts(count: Any, chosen: Any, **more: Any) -> dict[str, Any]:
    """The paths of a mixture of experts."""
    stated = {"count": count, "chosen": chosen, **more}
    return {f"mlp.experts.{name}": value for name, value in stated.items()}


def local_experts(count: int, chosen: int, **more: Any) -> dict[str, Any]:
    """The paths of a mixture of experts whose config has ``num_local_experts``; the numbers are the defaults."""
    counted = key("num_local_experts", "num_experts", default=count)
    return experts(counted, key("num_experts_per_tok", default=chosen), **more)


MIXTRAL = with_heads(replace(
    MISTRAL,
    name="mixtral",
    architectures=("MixtralForCausalLM", "MixtralModel"),
    spec={
        **MISTRAL.spec,
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "attention.rotary": Rope(theta=1e6, context=4096 * 32),
        "attention.window": key("sliding_window"),
        **local_experts(8, 2),
    },
    arrays={**MISTRAL.arrays, **IN_BLOCK},
    by_architecture={"MixtralModel": BASE},
    without_effect=WITHOUT_EFFECT,
), "Mixtral")  # fmt: skip
"""As Mistral, with experts."""


def _sparse(layer: int, dense: list[int] | None, step: int, count: int) -> str:
    return "dense" if layer in (dense or ()) or count < 1 or (layer + 1) % step else "experts"


def sparse(count: Any) -> Any:
    """In which layers of Qwen there are experts."""
    asked = (key("mlp_only_layers"), key("decoder_sparse_step", default=1), count)
    return choice(Layers((), _sparse, asked), {"experts": {}, "dense": None})


def _alternating(layer: int, used: bool, first: int) -> str:  # noqa: FBT001 - what keys read comes in order
    return SLIDING if used and layer % 2 == 0 and layer < first else FULL


_USED = key("use_sliding_window", default=False)
_KINDS = Layers(("layer_types",), _alternating, (_USED, key("max_window_layers", default=28)))
_WIDTH = key("sliding_window", default=4096)
_COUNT2 = key("num_experts", default=60)

QWEN2_MOE = with_heads(replace(
    QWEN2,
    name="qwen2_moe",
    architectures=("Qwen2MoeForCausalLM", "Qwen2MoeModel"),
    spec={
        **without(QWEN2.spec, "depth"),
        "attention.kv_heads": key("num_key_value_heads", default=16),
        "attention.bias": biased("qkv_bias", default=True, projections=("query", "key", "value")),
        "attention.window": windows(choice(_USED, {True: _WIDTH, False: 0}), _KINDS),
        "mlp.experts": sparse(_COUNT2),
        **experts(
            _COUNT2, key("num_experts_per_tok", default=4), renormalise=key("norm_topk_prob", default=False),
            shared=True, shared_gate=True,
        ),
    },
    arrays={
        **QWEN2.arrays,
        **EACH,
        **shared_in(LAYER + "mlp.shared_expert."),
        "layers.{n}.mlp.shared.share.weight": LAYER + "mlp.shared_expert_gate.weight: flat",
    },
    by_architecture={"Qwen2MoeModel": BASE},
    fixed={"head_dim": (None,)},
    without_effect=WITHOUT_EFFECT,
), "Qwen2Moe")  # fmt: skip
"""As Qwen 2, with experts, and one more that every token uses."""

_COUNT3 = key("num_experts", "num_local_experts", default=128)

QWEN3_MOE = with_heads(replace(
    QWEN3,
    name="qwen3_moe",
    architectures=("Qwen3MoeForCausalLM", "Qwen3MoeModel"),
    spec={
        **QWEN3.spec,
        "depth": key("head_dim"),
        "attention.kv_heads": key("num_key_value_heads", default=4),
        "attention.window": choice(_USED, {True: _WIDTH, False: None}),
        "mlp.experts": sparse(_COUNT3),
        **experts(
            _COUNT3, key("num_experts_per_tok", default=8), renormalise=key("norm_topk_prob", default=False),
        ),
    },
    arrays={**QWEN3.arrays, **EACH},
    by_architecture={"Qwen3MoeModel": BASE},
    without_effect={**WITHOUT_EFFECT, "max_window_layers": "all layers have a window or none"},
), "Qwen3Moe")  # fmt: skip
"""As Qwen 3, with experts."""

OLMOE = replace(
    OLMO2,
    name="olmoe",
    architectures=("OlmoeForCausalLM", "OlmoeModel"),
    spec={
        **without(OLMO2.spec, "depth"),
        "placement": "pre",
        "attention.clip": key("clip_qkv"),
        **experts(
            key("num_experts", "num_local_experts", default=64), key("num_experts_per_tok", default=8),
            renormalise=key("norm_topk_prob", default=False),
        ),
    },
    arrays={
        **OLMO2.arrays,
        **EACH,
        "layers.{n}.attention.norm.gain": LAYER + "input_layernorm.weight",
        "layers.{n}.mlp.norm.gain": LAYER + "post_attention_layernorm.weight",
    },
    by_architecture={"OlmoeModel": BASE},
    fixed={"head_dim": (None,)},
    without_effect=WITHOUT_EFFECT,
)  # fmt: skip
"""As Llama, with experts, and norms of queries and keys over all heads."""

_LAYERS = Layers(("layer_types",), lambda layer: FULL if layer % 2 else SLIDING)
_FUSED = LAYER + "mlp.experts.gate_up_proj"
_YARN = {"rope_type": "yarn", "factor": 32.0, "truncate": False, "original_max_position_embeddings": 4096}

GPT_OSS = with_heads(replace(
    LLAMA,
    name="gpt_oss",
    architectures=("GptOssForCausalLM", "GptOssModel"),
    spec={
        **without(LLAMA.spec, "mlp.activation", "mlp.bias"),
        **norms("rms", key("rms_norm_eps", default=1e-5)),
        "depth": key("head_dim", default=64),
        "attention.kv_heads": key("num_key_value_heads", default=8),
        "attention.bias": biased("attention_bias", default=True),
        "attention.window": windows(key("sliding_window", default=128), _LAYERS),
        "attention.rotary": Rope(theta=150000.0, context=131072, absent=_YARN),
        "attention.sink": True,
        "mlp.activation": "gelu-sigmoid",
        "mlp.bias": True,
        "mlp.limit": key("swiglu_limit", default=7.0),
        **local_experts(128, 4, bias=True),
    },
    arrays={
        **LLAMA.arrays,
        "layers.{n}.attention.sink": LAYER + "self_attn.sinks",
        **affine("layers.{n}.mlp.router", LAYER + "mlp.router"),
        "layers.{n}.mlp.gate.weight": _FUSED + ": even",
        "layers.{n}.mlp.gate.bias": _FUSED + "_bias: even",
        "layers.{n}.mlp.up.weight": _FUSED + ": odd",
        "layers.{n}.mlp.up.bias": _FUSED + "_bias: odd",
        "layers.{n}.mlp.output.weight": LAYER + "mlp.experts.down_proj",
        "layers.{n}.mlp.output.bias": LAYER + "mlp.experts.down_proj_bias",
    },
    by_architecture={"GptOssModel": BASE},
    fixed={"swiglu_alpha": (1.702,)},
    without_effect={**WITHOUT_EFFECT, "hidden_act": "experts have an activation of their own"},
), "GptOss", "ForSequenceClassification", "ForTokenClassification")  # fmt: skip
"""Experts with biases and bounded gates, sinks, and a window in every second layer (OpenAI 2025)."""
