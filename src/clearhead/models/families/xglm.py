"""XGLM: a decoder with sinusoids, whose wavelengths end at the last pair."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.bart import BART
from clearhead.models.families.parts import EVERYWHERE, activation, affine, norm, norms, sizes
from clearhead.models.key import choice, key

_WIDTH = ("hidden_size", "d_model")


def _base(width: int) -> float:
    """The base for which the last pair of features turns by 1 / 10000, as in tensor2tensor."""
    half = width // 2
    return float(10000 ** (half / (half - 1)))


def _blocks(place: str) -> str:
    return f"layers.{{n}}.{place}"


XGLM = replace(
    BART,
    name="xglm",
    architectures=("XGLMForCausalLM", "XGLMModel"),
    spec={
        **sizes(("num_hidden_layers", "num_layers"), _WIDTH, ("num_attention_heads", "attention_heads")),
        **norms("layer", 1e-5),
        "placement": "pre",
        "attention.causal": True,
        "attention.bias": EVERYWHERE,
        "mlp.activation": activation("activation_function", default="gelu"),
        "mlp.bias": True,
        "embedding.scale": choice(
            key("scale_embedding", default=True), {True: key(*_WIDTH, by=lambda width: width**0.5), False: None}
        ),
        "embedding.positions.kind": "sinusoidal",
        "embedding.positions.layout": "halves",
        "embedding.positions.width": key(*_WIDTH),
        "embedding.positions.base": key(*_WIDTH, by=_base),
        "embedding.positions.start": 2.0,
        "head.tied": key("tie_word_embeddings", default=True),
    },
    arrays={
        "embedding.weight": "embed_tokens.weight",
        **affine(_blocks("attention.query"), _blocks("self_attn.q_proj"), "linear heads"),
        **affine(_blocks("attention.key"), _blocks("self_attn.k_proj"), "linear heads"),
        **affine(_blocks("attention.value"), _blocks("self_attn.v_proj"), "linear heads"),
        **affine(_blocks("attention.output"), _blocks("self_attn.out_proj")),
        **norm(_blocks("attention.norm"), _blocks("self_attn_layer_norm")),
        **affine(_blocks("mlp.up"), _blocks("fc1")),
        **affine(_blocks("mlp.output"), _blocks("fc2")),
        **norm(_blocks("mlp.norm"), _blocks("final_layer_norm")),
        **norm("norm", "layer_norm"),
        "logits.weight": "lm_head.weight: linear",
    },
    prefixes=("model.", ""),
    by_architecture={"XGLMModel": {"head": None}},
    # A later padding token would have a position of zeros: its number is among those of positions.
    fixed={"pad_token_id": (None, 0, 1)},
    without_effect={
        "ffn_dim": "is a size that the arrays have",
        "activation_dropout": "matters in training only",
    },
    spare={"*embed_positions.weights": "sinusoids, which are computed"},
)
"""As OPT, with sinusoids in the place of a table (Lin et al. 2021)."""
