"""OLMo 1 to 3."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import BASE, FULL, SLIDING, every, norms, windows, without
from clearhead.models.key import Layers, choice, key
from clearhead.models.rope import Rope

OLMO = with_heads(
    replace(
        LLAMA,
        name="olmo",
        architectures=("OlmoForCausalLM", "OlmoModel"),
        spec={
            **without(LLAMA.spec, "mlp.bias"),
            **norms("layer", 1e-5, gain=False),
            "attention.clip": key("clip_qkv"),
        },
        by_architecture={"OlmoModel": BASE},
    ),
    "Olmo",
    "ForSequenceClassification",
    pad=1,
)
"""As Llama, with norms that have no gain."""

_EPS = key("rms_norm_eps", default=1e-5)

OLMO2 = with_heads(
    replace(
        LLAMA,
        name="olmo2",
        architectures=("Olmo2ForCausalLM", "Olmo2Model"),
        spec={
            **without(LLAMA.spec, "mlp.bias"),
            **norms("rms", _EPS),
            "placement": "after",
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": _EPS,
            "attention.qk_norm_over": "heads",
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.q_norm.weight: heads",
            "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.k_norm.weight: groups",
            "layers.{n}.attention.norm.gain": LAYER + "post_attention_layernorm.weight",
            "layers.{n}.mlp.norm.gain": LAYER + "post_feedforward_layernorm.weight",
        },
        by_architecture={"Olmo2Model": BASE},
    ),
    "Olmo2",
    "ForSequenceClassification",
    pad=1,
)
"""As Llama, with a norm behind each half, and one of queries and keys over all heads together."""

_LAYERS = Layers(("layer_types",), lambda layer: every(layer, 4))

OLMO3 = with_heads(
    replace(
        OLMO2,
        name="olmo3",
        architectures=("Olmo3ForCausalLM", "Olmo3Model"),
        spec={
            **OLMO2.spec,
            "attention.window": windows(key("sliding_window", default=4096), _LAYERS),
            "attention.rotary": choice(
                _LAYERS,
                {
                    FULL: Rope(theta=500000.0, kind=FULL),
                    SLIDING: Rope(theta=500000.0, theta_names=(), kind=SLIDING, old=False),
                },
            ),
        },
        by_architecture={"Olmo3Model": BASE},
    ),
    "Olmo3",
    "ForSequenceClassification",
    pad=1,
)
"""As OLMo 2, with a window in three of four layers."""
