"""CLIP and SigLIP: the encoder of texts of each, and SigLIP's of images."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from clearhead.models.families.parts import BASE, EVERYWHERE, activation, norm, norms, without
from clearhead.models.families.vit import CLIP_VISION
from clearhead.models.family import Family
from clearhead.models.key import key
from clearhead.spec import Patches

_TOKENS = {
    "embedding.weight": "embeddings.token_embedding.weight",
    "embedding.position.weight": "embeddings.position_embedding.weight",
    **norm("norm", "final_layer_norm"),
}
_BLOCKS = {name: place for name, place in CLIP_VISION.arrays.items() if name.startswith("layers.")}


def _texts(name: str, architecture: str, spec: dict[str, Any], **more: Any) -> Family:
    """An encoder of texts; what is made of one of its tokens, to be compared with images, is left aside."""
    return Family(
        name=name,
        architectures=(architecture,),
        spec={
            **without(CLIP_VISION.spec, "embedding", "pooler", "final_norm"),
            **spec,
            "attention.bias": EVERYWHERE,
            "embedding.positions": True,
            "head": None,
        },
        arrays={**_BLOCKS, **_TOKENS},
        prefixes=("", "text_model."),
        without_effect={
            "projection_dim": "belongs to a model of images and texts",
            "projection_size": "belongs to a model of images and texts",
            "initializer_factor": "matters in training only",
        },
        **more,
    )


CLIP_TEXT = _texts(
    "clip_text_model",
    "CLIPTextModel",
    {
        **norms("layer", key("layer_norm_eps", default=1e-5)),
        "attention.causal": True,
        "mlp.activation": activation("hidden_act", default="gelu-sigmoid"),
    },
    spare={"*embeddings.position_ids": "the numbers 0, 1, 2 ..."},
)
"""As CLIP's encoder of images, of tokens, with a causal mask and a last norm."""

_SIGLIP = {
    **norms("layer", key("layer_norm_eps", default=1e-6)),
    "attention.causal": False,
    "mlp.activation": activation("hidden_act", default="gelu-tanh"),
}

SIGLIP_TEXT = _texts(
    "siglip_text_model",
    "SiglipTextModel",
    _SIGLIP,
    spare={
        "*embeddings.position_ids": "the numbers 0, 1, 2 ...",
        **dict.fromkeys(
            ("*head.weight", "*head.bias"), "the product that makes one row of the last token, which is not computed"
        ),
    },
)
"""As CLIP's, without a mask."""

SIGLIP_VISION = replace(
    CLIP_VISION,
    name="siglip_vision_model",
    architectures=("SiglipVisionModel",),
    spec={**without(CLIP_VISION.spec, "final_norm"), **_SIGLIP, "embedding": Patches(first=False), "pooler": None},
    arrays={
        **_BLOCKS,
        "embedding.position.weight": "embeddings.position_embedding.weight",
        "embedding.patch.weight": "embeddings.patch_embedding.weight: patch",
        "embedding.patch.bias": "embeddings.patch_embedding.bias",
        **norm("norm", "post_layernorm"),
    },
    by_architecture={"SiglipVisionModel": BASE},
    fixed={},
    without_effect={**CLIP_VISION.without_effect, "vision_use_head": "belongs to a head that is not computed"},
    spare={
        **CLIP_VISION.spare,
        **dict.fromkeys(
            (
                "*head.probe",
                *(f"*head.attention.{part}" for part in ("in_proj_weight", "in_proj_bias")),
                *(
                    f"*head.{part}.{end}"
                    for part in ("attention.out_proj", "layernorm", "mlp.fc1", "mlp.fc2")
                    for end in ("weight", "bias")
                ),
            ),
            "attention that makes one row of all patches, which is not computed",
        ),
    },
)
"""As CLIP's encoder of images, without a token in front."""
