"""Models that are nearly Llama, with norms in further places or another activation: HunYuan, BitNet, Apertus."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import LAYER, LLAMA
from clearhead.models.families.parts import BASE, activation, affine, norms, without
from clearhead.models.key import key
from clearhead.models.rope import Rope

_EPS = key("rms_norm_eps", default=1e-5)

HUNYUAN = with_heads(
    replace(
        LLAMA,
        name="hunyuan_v1_dense",
        architectures=("HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Model"),
        spec={
            **without(LLAMA.spec, "mlp.bias"),
            **norms("rms", _EPS),
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": _EPS,
            "attention.qk_norm_last": True,
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.attention.query.norm.gain": LAYER + "self_attn.query_layernorm.weight",
            "layers.{n}.attention.key.norm.gain": LAYER + "self_attn.key_layernorm.weight",
        },
        by_architecture={"HunYuanDenseV1Model": BASE},
        arrays_by_architecture={},
        without_effect={"eod_token_id": "matters where text is generated"},
    ),
    "HunYuanDenseV1",
    "ForSequenceClassification",
    pad=0,
)
"""As Llama, with norms of queries and keys behind rotary positions."""

BITNET = replace(
    LLAMA,
    name="bitnet",
    architectures=("BitNetForCausalLM", "BitNetModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias", "depth"),
        **norms("rms", _EPS),
        "attention.kv_heads": key("num_key_value_heads", default=5),
        "attention.rotary": Rope(theta=500000.0),
        "attention.output_norm.kind": "rms",
        "attention.output_norm.eps": _EPS,
        "mlp.activation": activation("hidden_act", default="relu-squared"),
        "mlp.norm.kind": "rms",
        "mlp.norm.eps": _EPS,
    },
    arrays={
        **LLAMA.arrays,
        "layers.{n}.attention.concat.norm.gain": LAYER + "self_attn.attn_sub_norm.weight",
        "layers.{n}.mlp.inner.norm.gain": LAYER + "mlp.ffn_sub_norm.weight",
    },
    by_architecture={"BitNetModel": BASE},
    arrays_by_architecture={},
    fixed={"head_dim": (None,)},
)
"""As Llama, with a norm before the last product of each half; weights as they are trained, not packed."""

_SCALED = {
    "rope_type": "llama3", "rope_theta": 12000000.0, "factor": 8.0, "original_max_position_embeddings": 8192,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0,
}  # fmt: skip

APERTUS = with_heads(
    replace(
        LLAMA,
        name="apertus",
        architectures=("ApertusForCausalLM", "ApertusModel"),
        spec={
            **without(LLAMA.spec, "mlp.bias", "mlp.gated"),
            **norms("rms", _EPS),
            "attention.qk_norm.kind": "rms",
            "attention.qk_norm.eps": _EPS,
            "attention.rotary": Rope(theta=12000000.0, context=65536, absent=_SCALED),
            "mlp.activation": key("hidden_act", default="xielu", words={"xielu": "xielu"}),
        },
        arrays={
            **LLAMA.arrays,
            "layers.{n}.attention.norm.gain": LAYER + "attention_layernorm.weight",
            "layers.{n}.mlp.norm.gain": LAYER + "feedforward_layernorm.weight",
            "layers.{n}.mlp.active.positive": LAYER + "mlp.act_fn.alpha_p",
            "layers.{n}.mlp.active.negative": LAYER + "mlp.act_fn.alpha_n",
        },
        by_architecture={"ApertusModel": BASE},
        arrays_by_architecture={},
        constant={"*mlp.act_fn.beta": 0.5, "*mlp.act_fn.eps": -1e-6},
    ),
    "Apertus",
    "ForTokenClassification",
    pad=3,
)
"""As Llama, with a plain MLP, an activation with learned bends, and norms of queries and keys."""

_OWN = {"kind": "rms", "eps": key("rms_norm_eps", default=1e-6), "gain": False}

NANOCHAT = replace(
    LLAMA,
    name="nanochat",
    architectures=("NanoChatForCausalLM", "NanoChatModel"),
    spec={
        **without(LLAMA.spec, "mlp.bias", "mlp.gated"),
        **norms("rms", key("rms_norm_eps", default=1e-6), gain=False),
        **{f"embedding.norm.{name}": value for name, value in _OWN.items()},
        **{f"attention.qk_norm.{name}": value for name, value in _OWN.items()},
        "attention.qk_norm_last": True,
        "mlp.activation": activation("hidden_act", default="relu-squared"),
        "head.softcap": key("final_logit_softcapping", default=15.0),
    },
    arrays={
        **LLAMA.arrays,
        **affine("layers.{n}.attention.query", LAYER + "self_attn.q_proj", "linear heads exchanged-halves"),
        **affine("layers.{n}.attention.key", LAYER + "self_attn.k_proj", "linear groups exchanged-halves"),
        **affine("layers.{n}.mlp.up", LAYER + "mlp.fc1"),
        **affine("layers.{n}.mlp.output", LAYER + "mlp.fc2"),
    },
    by_architecture={"NanoChatModel": BASE},
)
"""As Llama, with norms without gains, of embeddings, queries and keys too; positions turn the other way."""
