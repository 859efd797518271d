"""BART and those that are nearly it: mBART, Marian, Whisper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.heads import with_pair_heads
from clearhead.models.families.parts import EVERYWHERE, activation, affine, norm, without
from clearhead.models.family import Family
from clearhead.models.key import Key, There, choice, key, required
from clearhead.spec import Frames

_WIDTH = ("hidden_size", "d_model")
_NORM = {"norm.kind": "layer", "norm.eps": 1e-5}
_SCALE = choice(key("scale_embedding", default=False), {True: key(*_WIDTH, by=math.sqrt), False: None, None: None})


def _stack(layers: Key, heads: Key) -> dict[str, Any]:
    """What encoder and decoder have in common."""
    return {
        "layers": layers,
        "width": required(*_WIDTH),
        "attention.heads": heads,
        **_NORM,
        "final_norm": None,
        "placement": "post",
        "attention.bias": EVERYWHERE,
        "mlp.activation": activation("activation_function", default="gelu"),
        "mlp.bias": True,
        "embedding.scale": _SCALE,
        "embedding.positions": True,
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": 1e-5,
    }


_DECODER_HEADS = required("decoder_attention_heads")
_DECODER = {
    **_stack(required("decoder_layers"), _DECODER_HEADS),
    "attention.causal": True,
    "cross.heads": _DECODER_HEADS,
    "cross.bias": EVERYWHERE,
}
_ENCODER = _stack(
    required("num_hidden_layers", "encoder_layers"), required("num_attention_heads", "encoder_attention_heads")
)


def _both(decoder: Mapping[str, Any], encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {**decoder, **{f"encoder.{path}": value for path, value in encoder.items()}}


def _attention(ours: str, theirs: str, after: str) -> dict[str, str]:
    return {
        **affine(f"{ours}.query", f"{theirs}.q_proj", "linear heads"),
        **affine(f"{ours}.key", f"{theirs}.k_proj", "linear heads"),
        **affine(f"{ours}.value", f"{theirs}.v_proj", "linear heads"),
        **affine(f"{ours}.output", f"{theirs}.out_proj"),
        **norm(f"{ours}.norm", after),
    }


def _blocks(ours: str, theirs: str) -> dict[str, Any]:
    """The arrays of a stack: embeddings, blocks, norms."""
    block, layer = f"{theirs}.layers.{{n}}.", f"{ours}layers.{{n}}."
    return {
        f"{ours}embedding.weight": (f"{theirs}.embed_tokens.weight", "model.shared.weight"),
        f"{ours}embedding.position.weight": f"{theirs}.embed_positions.weight: skip-two",
        **norm(f"{ours}embedding", f"{theirs}.layernorm_embedding"),
        **_attention(f"{layer}attention", f"{block}self_attn", f"{block}self_attn_layer_norm"),
        **affine(f"{layer}mlp.up", f"{block}fc1"),
        **affine(f"{layer}mlp.output", f"{block}fc2"),
        **norm(f"{layer}mlp.norm", f"{block}final_layer_norm"),
        **norm(f"{ours}norm", f"{theirs}.layer_norm"),
    }


_CROSS = "model.decoder.layers.{n}.encoder_attn"

BART = with_pair_heads(
    Family(
        name="bart",
        architectures=("BartForConditionalGeneration",),
        spec={
            **_both(_DECODER, _ENCODER),
            "head.tied": key("tie_word_embeddings", default=True),
            "head.bias": There(("final_logits_bias",)),
        },
        arrays={
            **_blocks("", "model.decoder"),
            **_blocks("encoder.", "model.encoder"),
            **_attention("layers.{n}.cross", _CROSS, _CROSS + "_layer_norm"),
            "logits.weight": "lm_head.weight: linear",
            "logits.bias": "final_logits_bias: flat",
        },
        fixed={"is_encoder_decoder": (True, None)},
        without_effect={
            **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), "is a size that the arrays have"),
            **dict.fromkeys(
                ("activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "classif_dropout"),
                "matters in training only",
            ),
            **dict.fromkeys(
                ("add_bias_logits", "add_final_layer_norm", "normalize_before", "normalize_embedding",
                 "extra_pos_embeddings", "static_position_embeddings", "force_bos_token_to_be_generated", "output_past",
                 "save_step", "do_blenderbot_90_layernorm"),
                "Transformers does not read it",
            ),
        },
        spare={
            "model.shared.weight": "stands for embeddings that the file has for encoder and decoder apart",
            "model.*coder.version": "the number of a version",
        },
        tied_to="model.shared.weight: linear",
    ),
    "Bart", end=2,
)  # fmt: skip
"""Norms after each half and of the embeddings, learned positions from the third row on (Lewis et al. 2020)."""

_PRE = {"placement": "pre", "final_norm.kind": "layer", "final_norm.eps": 1e-5}


def _with(spec: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    return {**without(spec, *(path for path in spec if path.split(".")[0] == "final_norm")), **changed}


MBART = replace(
    BART,
    name="mbart",
    architectures=("MBartForConditionalGeneration",),
    spec={
        **_both(_with(_DECODER, **_PRE), _with(_ENCODER, **_PRE)),
        "head.tied": key("tie_word_embeddings", default=True),
        "head.bias": There(("final_logits_bias",)),
    },
)
"""As BART, with norms before each half and a last one."""


def _positions(part: str) -> dict[str, Any]:
    """The table of a file that has one, which Transformers reads; else sinusoids."""
    there = There((f"model.{part}.embed_positions.weight",))
    return {
        "embedding.norm": None,
        "embedding.positions": choice(there, {True: True, False: {}}),
        "embedding.positions.kind": "sinusoidal",
        "embedding.positions.layout": "halves",
        "embedding.positions.width": key(*_WIDTH),
    }


_LESS = ("embedding.norm.kind", "embedding.norm.eps", "embedding.positions")

MARIAN = replace(
    BART,
    name="marian",
    arrays={
        **BART.arrays,
        "embedding.position.weight": "model.decoder.embed_positions.weight",
        "encoder.embedding.position.weight": "model.encoder.embed_positions.weight",
    },
    architectures=("MarianMTModel",),
    spec={
        **_both(
            {**without(_DECODER, *_LESS), **_positions("decoder")},
            {**without(_ENCODER, *_LESS), **_positions("encoder")},
        ),
        "head.tied": key("tie_word_embeddings", default=True),
        "head.bias": There(("final_logits_bias",)),
    },
    without_effect={
        **BART.without_effect,
        "decoder_vocab_size": "is a size that the arrays have",
        "share_encoder_decoder_embeddings": "shows in which arrays there are",
    },
)
"""As BART, with sinusoids, all sines in front, and no norm of the embeddings."""

PEGASUS = replace(
    MARIAN,
    name="pegasus",
    architectures=("PegasusForConditionalGeneration",),
    spec={
        **_both(
            _with({**without(_DECODER, *_LESS), **_positions("decoder")}, **_PRE),
            _with({**without(_ENCODER, *_LESS), **_positions("encoder")}, **_PRE),
        ),
        "head.tied": key("tie_word_embeddings", default=True),
        "head.bias": There(("final_logits_bias",)),
    },
)
"""As Marian, with norms before each half and a last one (Zhang et al. 2020)."""

_WITHOUT_KEY = ("query", "value", "output")
_OWN = {**_PRE, "attention.bias": _WITHOUT_KEY}
_TABLE = {"embedding.positions": True}
_EMBEDDED = ("embedding.norm.kind", "embedding.norm.eps", "embedding.positions", "embedding.scale")

WHISPER = replace(
    BART,
    name="whisper",
    architectures=("WhisperForConditionalGeneration",),
    spec={
        **_both(
            _with({**without(_DECODER, *_EMBEDDED), **_TABLE, "cross.bias": _WITHOUT_KEY}, **_OWN),
            _with({**without(_ENCODER, *_EMBEDDED), "embedding": Frames()}, **_OWN),
        ),
        "head.tied": key("tie_word_embeddings", default=True),
    },
    arrays={
        **BART.arrays,
        "embedding.position.weight": "model.decoder.embed_positions.weight",
        "encoder.embedding.position.weight": "model.encoder.embed_positions.weight",
        "encoder.embedding.frame.weight": "model.encoder.conv1.weight: taps",
        "encoder.embedding.frame.bias": "model.encoder.conv1.bias",
        "encoder.embedding.token.weight": "model.encoder.conv2.weight: taps",
        "encoder.embedding.token.bias": "model.encoder.conv2.bias",
        "logits.weight": "proj_out.weight: linear",
    },
    # Transformers takes it for the encoder's heads.
    fixed={"is_encoder_decoder": (True, None), "num_key_value_heads": (None,)},
    without_effect={
        **BART.without_effect,
        **dict.fromkeys(
            ("num_mel_bins", "max_source_positions", "max_target_positions", "classifier_proj_size"),
            "is a size that the arrays have",
        ),
        **dict.fromkeys(
            ("apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob",
             "mask_feature_length", "mask_feature_min_masks"),
            "matters in training only",
        ),
        "scale_embedding": "Transformers does not apply it in this family",
        "use_weighted_layer_sum": "belongs to a classifier",
        "median_filter_width": "matters where words get times",
        "forced_decoder_ids": "matters where text is generated",
        "lang_to_id": "matters where text is generated",
        "alignment_heads": "matters where words get times",
    },
)  # fmt: skip
"""As mBART, with frames of a recording as tokens, and no biases of keys (Radford et al. 2022)."""
