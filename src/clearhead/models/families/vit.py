"""Encoders of images."""

from __future__ import annotations

from clearhead.models.families.parts import BASE, EVERYWHERE, activation, affine, norm, norms, sizes
from clearhead.models.family import Family
from clearhead.models.key import key
from clearhead.spec import Patches


def _vit(ours: str, new: str, old: str, words: str = "linear") -> dict[str, tuple[str, ...]]:
    """A product and its bias, under the names of Transformers 5 or of earlier ones."""
    after, before = affine(ours, "layers.{n}." + new, words), affine(ours, "encoder.layer.{n}." + old, words)
    return {name: (after[name], before[name]) for name in after}


_BIASES = key("qkv_bias", default=EVERYWHERE, words={True: EVERYWHERE, False: ("output",)})

VIT = Family(
    name="vit",
    architectures=("ViTModel", "ViTForImageClassification"),
    spec={
        **sizes(),
        **norms("layer", key("layer_norm_eps", default=1e-12)),
        "placement": "pre",
        "attention.causal": False,
        "attention.bias": _BIASES,
        "mlp.activation": activation("hidden_act", default="gelu"),
        "mlp.bias": True,
        "embedding": Patches(),
        "pooler": None,
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
        "ViTModel": {**BASE, "pooler": activation("pooler_act", default="tanh")},
        "ViTForImageClassification": {"head.reads": "first", "head.bias": True},
    },
    without_effect={
        "image_size": "is a size that the arrays have",
        "patch_size": "is a size that the arrays have",
        "num_channels": "is a size that the arrays have",
        "pooler_output_size": "is a size that the arrays have",
        "encoder_stride": "belongs to a head that restores images",
    },
    spare={"*embeddings.mask_token": "stands for patches that training leaves out"},
)  # fmt: skip
