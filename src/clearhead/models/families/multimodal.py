"""Models that read images too, of which the text model is read: Gemma 3 and 4, Mistral Small 3.1, Qwen 3.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.delta import QWEN35, QWEN35_MOE
from clearhead.models.families.gemma import GEMMA3, LAYERS
from clearhead.models.families.gemma4 import GEMMA4, GEMMA4_UNIFIED
from clearhead.models.families.heads import with_heads
from clearhead.models.families.llama import MISTRAL
from clearhead.models.families.ministral3 import MINISTRAL3
from clearhead.models.families.parts import windows
from clearhead.models.family import Family
from clearhead.models.key import choice, key

_IMAGES = "matters where a model is given images"
_OUTSIDE = {
    **dict.fromkeys(
        ("vision_config", "image_token_id", "image_token_index", "video_token_id", "vision_start_token_id",
         "vision_end_token_id", "boi_token_index", "eoi_token_index", "boi_token_id", "eoi_token_id",
         "mm_tokens_per_image", "multimodal_projector_bias", "projector_hidden_act", "spatial_merge_size",
         "vision_feature_layer", "language_model_only", "audio_config", "boa_token_id", "eoa_token_id",
         "eoa_token_index", "audio_token_id"),
        _IMAGES,
    ),
}  # fmt: skip


def _text_of(family: Family, architecture: str, arrays: str, *, tied: bool, **changed: Any) -> Family:
    """The text model within a model that reads images too.

    Args:
        family: the table of the text model alone.
        architecture: the name of the whole.
        arrays: patterns of the arrays that read images.
        tied: whether the whole is tied where its config does not say it; that of the text model is not read.
        changed: fields of the table that differ.
    """
    spec: Mapping[str, Any] = {**family.spec, **changed.pop("spec", {})}
    return replace(
        family,
        name=changed.pop("name"),
        architectures=(architecture,),
        spec={**spec, "head.tied": key("tie_word_embeddings", default=tied)},
        by_architecture={},
        arrays_by_architecture={},
        prefixes=("model.language_model.", "language_model.model.", "", "language_model."),
        inside="text_config",
        outside=_OUTSIDE,
        spare={**family.spare, **dict.fromkeys(arrays.split(), "reads images, which are not read")},
        **changed,
    )


GEMMA3_IMAGES = with_heads(
    _text_of(
        GEMMA3,
        "Gemma3ForConditionalGeneration",
        "*vision_tower.* *multi_modal_projector.*",
        name="gemma3_multimodal",
        tied=True,
        spec={
            "layers": key("num_hidden_layers", default=26),
            "width": key("hidden_size", default=2304),
            "attention.heads": key("num_attention_heads", default=8),
            "embedding.scale": key("hidden_size", default=2304**0.5, by=lambda width: width**0.5),
            "attention.causal": True,
            "attention.window": windows(key("sliding_window", default=4096), LAYERS),
        },
        fixed={"use_bidirectional_attention": (False, None)},
    ),
    "Gemma3",
    "ForSequenceClassification",
    prefix="",
    pad=0,
)
"""The text model of Gemma 3 with images, whose config may leave out what is usual."""

GEMMA4_IMAGES = _text_of(
    GEMMA4,
    "Gemma4ForConditionalGeneration",
    "*vision_tower.* *embed_vision.* *audio_tower.* *embed_audio.*",
    name="gemma4_multimodal",
    tied=True,
)
"""The text model of Gemma 4 with images and recordings."""

GEMMA4_UNIFIED_IMAGES = _text_of(
    GEMMA4_UNIFIED,
    "Gemma4UnifiedForConditionalGeneration",
    "*embed_vision.* *embed_audio.*",
    name="gemma4_unified_multimodal",
    tied=True,
)
"""The same of the Gemma 4 that reads patches and frames without towers."""

_EITHER = {
    path: choice(
        key("model_type", default="mistral"),
        {"mistral": MISTRAL.spec.get(path), "ministral3": MINISTRAL3.spec[path]},
    )
    for path in MINISTRAL3.spec
    if path not in MISTRAL.spec or MINISTRAL3.spec[path] is not MISTRAL.spec[path]
}
"""What depends on the kind of the text model."""

MISTRAL3 = _text_of(
    MISTRAL,
    "Mistral3ForConditionalGeneration",
    "*vision_tower.* *multi_modal_projector.*",
    name="mistral3",
    tied=True,
    spec=_EITHER,
)
"""The text model of Mistral Small 3.1 or of Ministral 3, with images."""

_VISUAL = "model.visual.* visual.* mtp.*"

QWEN35_IMAGES = with_heads(
    _text_of(QWEN35, "Qwen3_5ForConditionalGeneration", _VISUAL, name="qwen3_5_multimodal", tied=False),
    "Qwen3_5",
    "ForSequenceClassification",
    "ForTokenClassification",
    prefix="",
)
"""The text model of Qwen 3.5 with images."""

QWEN35_MOE_IMAGES = _text_of(
    QWEN35_MOE, "Qwen3_5MoeForConditionalGeneration", _VISUAL, name="qwen3_5_moe_multimodal", tied=False
)
"""The same with experts."""
