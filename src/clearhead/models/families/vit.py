"""Encoders of images."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.parts import BASE, EVERYWHERE, activation, affine, norm, norms, sizes
from clearhead.models.family import Family
from clearhead.models.key import choice, key
from clearhead.spec import Norm, Patches


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

DEIT = replace(
    VIT,
    name="deit",
    architectures=("DeiTModel", "DeiTForImageClassification"),
    spec={**VIT.spec, "embedding": Patches(distillation=True)},
    arrays={**VIT.arrays, "embedding.distillation": "embeddings.distillation_token: flat"},
    prefixes=("", "deit."),
    by_architecture={
        "DeiTModel": VIT.by_architecture["ViTModel"],
        "DeiTForImageClassification": VIT.by_architecture["ViTForImageClassification"],
    },
)
"""As ViT, with one token more in front."""

_DINO = "encoder.layer.{n}."
_DINO_CLASSES = {"head.reads": "first", "head.rest": 1, "head.bias": True, "pooler": None}

DINOV2 = replace(
    VIT,
    name="dinov2",
    architectures=("Dinov2Model", "Dinov2ForImageClassification"),
    spec={
        **VIT.spec,
        **norms("layer", key("layer_norm_eps", default=1e-6)),
        "output_gain": True,
        "mlp.gated": key("use_swiglu_ffn", default=False),
        "mlp.activation": choice(
            key("use_swiglu_ffn", default=False), {False: activation("hidden_act", default="gelu"), True: "silu"}
        ),
        "pooler": "first",
    },
    arrays={
        **VIT.arrays,
        **affine("layers.{n}.mlp.gate", _DINO + "mlp.weights_in", "linear first-half"),
        "layers.{n}.mlp.up.weight": (
            _DINO + "mlp.fc1.weight: linear", _DINO + "mlp.weights_in.weight: linear second-half",
        ),
        "layers.{n}.mlp.up.bias": (_DINO + "mlp.fc1.bias", _DINO + "mlp.weights_in.bias: second-half"),
        "layers.{n}.mlp.output.weight": (_DINO + "mlp.fc2.weight: linear", _DINO + "mlp.weights_out.weight: linear"),
        "layers.{n}.mlp.output.bias": (_DINO + "mlp.fc2.bias", _DINO + "mlp.weights_out.bias"),
        "layers.{n}.attention.output.gain": _DINO + "layer_scale1.lambda1",
        "layers.{n}.mlp.output.gain": _DINO + "layer_scale2.lambda1",
        **norm("layers.{n}.attention.norm", _DINO + "norm1"),
        **norm("layers.{n}.mlp.norm", _DINO + "norm2"),
        "logits.weight": "classifier.weight: first-half linear",
        "logits.rest.weight": "classifier.weight: second-half linear",
    },
    prefixes=("", "dinov2."),
    by_architecture={"Dinov2Model": BASE, "Dinov2ForImageClassification": _DINO_CLASSES},
    without_effect={
        **VIT.without_effect,
        "mlp_ratio": "is a size that the arrays have",
        "layerscale_value": "says how the gains began, before training",
        "drop_path_rate": "matters in training only",
        "use_mask_token": "stands for patches that training leaves out",
        "apply_layernorm": "belongs to a backbone",
        "reshape_hidden_states": "belongs to a backbone",
        "out_features": "belongs to a backbone",
        "out_indices": "belongs to a backbone",
        "stage_names": "belongs to a backbone",
    },
)  # fmt: skip
"""As ViT, with a gain of what each half gives, and perhaps a gated MLP."""

DINOV2_REGISTERS = replace(
    DINOV2,
    name="dinov2_with_registers",
    architectures=("Dinov2WithRegistersModel", "Dinov2WithRegistersForImageClassification"),
    spec={**DINOV2.spec, "embedding": Patches(registers=True)},
    arrays={**DINOV2.arrays, "embedding.register": "embeddings.register_tokens: flat-rows"},
    prefixes=("", "dinov2_with_registers."),
    by_architecture={
        "Dinov2WithRegistersModel": BASE,
        "Dinov2WithRegistersForImageClassification": {
            **_DINO_CLASSES,
            "head.rest": key("num_register_tokens", default=5, by=lambda count: count + 1),
        },
    },
    without_effect={**DINOV2.without_effect, "num_register_tokens": "is a size that the arrays have"},
)
"""As DINOv2, with tokens that belong to no patch (Darcet et al. 2024)."""

_CLIP = "encoder.layers.{n}."

CLIP_VISION = replace(
    VIT,
    name="clip_vision_model",
    architectures=("CLIPVisionModel",),
    spec={
        **VIT.spec,
        **norms("layer", 1e-5),
        "final_norm": None,
        "attention.bias": EVERYWHERE,
        "mlp.activation": activation("hidden_act", default="gelu-sigmoid"),
        "embedding": Patches(bias=False, norm=Norm("layer", 1e-5)),
        "pooler": "normed",
    },
    arrays={
        "embedding.class": "embeddings.class_embedding",
        "embedding.position.weight": "embeddings.position_embedding.weight",
        "embedding.patch.weight": "embeddings.patch_embedding.weight: patch",
        **norm("embedding", "pre_layrnorm"),
        **affine("layers.{n}.attention.query", _CLIP + "self_attn.q_proj", "linear heads"),
        **affine("layers.{n}.attention.key", _CLIP + "self_attn.k_proj", "linear heads"),
        **affine("layers.{n}.attention.value", _CLIP + "self_attn.v_proj", "linear heads"),
        **affine("layers.{n}.attention.output", _CLIP + "self_attn.out_proj"),
        **norm("layers.{n}.attention.norm", _CLIP + "layer_norm1"),
        **affine("layers.{n}.mlp.up", _CLIP + "mlp.fc1"),
        **affine("layers.{n}.mlp.output", _CLIP + "mlp.fc2"),
        **norm("layers.{n}.mlp.norm", _CLIP + "layer_norm2"),
        **norm("pooled", "post_layernorm"),
    },
    prefixes=("", "vision_model."),
    by_architecture={"CLIPVisionModel": BASE},
    fixed={"layer_norm_eps": (1e-5,)},
    without_effect={
        **VIT.without_effect,
        "projection_dim": "belongs to a model of images and texts",
        "initializer_factor": "matters in training only",
    },
    spare={"*embeddings.position_ids": "the numbers 0, 1, 2 ..."},
)
"""As ViT, with a norm of the embeddings, and of the first token in the place of a last norm."""
