"""Encoders of images."""

from __future__ import annotations

from clearhead.models.families.parts import ACTIVATIONS, SIZES, affine, norm
from clearhead.models.family import Family, key


def _vit(ours: str, new: str, old: str, words: str = "linear") -> dict[str, tuple[str, ...]]:
    """A product and its bias, under the names of Transformers 5 or of earlier ones."""
    after, before = affine(ours, "layers.{n}." + new, words), affine(ours, "encoder.layer.{n}." + old, words)
    return {name: (after[name], before[name]) for name in after}


VIT = Family(
    name="vit",
    architectures=("ViTModel", "ViTForImageClassification"),
    conventions={
        **SIZES,
        "causal": False,
        "patches": True,
        "norm": "layer",
        "eps": key("layer_norm_eps", default=1e-12),
        "bias": key("qkv_bias", default=True),
        "output_bias": True,
        "activation": key("hidden_act", default="gelu", words=ACTIVATIONS),
        "mlp_bias": True,
        "head": None,
    },
    arrays={
        "embedding.class": "embeddings.cls_token: flat",
        "embedding.position.weight": "embeddings.position_embeddings: flat-rows",
        "embedding.patch.weight": "embeddings.patch_embeddings.projection.weight: patch",
        "embedding.patch.bias": "embeddings.patch_embeddings.projection.bias",
        **_vit("layers.{n}.attention.query", "attention.q_proj", "attention.attention.query", "linear heads"),
        **_vit("layers.{n}.attention.key", "attention.k_proj", "attention.attention.key", "linear heads"),
        **_vit("layers.{n}.attention.value", "attention.v_proj", "attention.attention.value", "linear heads"),
        **_vit("layers.{n}.attention.output", "attention.o_proj", "attention.output.dense"),
        **_vit("layers.{n}.mlp.up", "mlp.fc1", "intermediate.dense"),
        **_vit("layers.{n}.mlp.output", "mlp.fc2", "output.dense"),
        **{
            f"layers.{{n}}.{half}.norm.{ours}": (
                f"layers.{{n}}.{theirs}.{end}", f"encoder.layer.{{n}}.{theirs}.{end}"
            )
            for half, theirs in (("attention", "layernorm_before"), ("mlp", "layernorm_after"))
            for ours, end in (("gain", "weight"), ("bias", "bias"))
        },
        **norm("norm", "layernorm"),
        **affine("pooler", "pooler.dense"),
        **affine("logits", "classifier"),
    },
    prefixes=("", "vit."),
    by_architecture={
        "ViTModel": {"pooler": True},
        "ViTForImageClassification": {"head": "first", "head_bias": True},
    },
)  # fmt: skip
