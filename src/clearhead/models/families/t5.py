"""T5 and those that are nearly it: mT5, UMT5, and their encoders alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from clearhead.models.families.heads import PATHS, with_pair_heads
from clearhead.models.families.parts import ACTIVATIONS, BASE, affine, inverse_root
from clearhead.models.family import Family
from clearhead.models.key import Either, choice, key, required

_EPS = key("layer_norm_epsilon", default=1e-6)
_PROJ = {"relu": "relu", "gelu": "gelu", "silu": "silu", "gated-gelu": "gelu-tanh", "gated-relu": "relu",
         "gated-silu": "silu", "gelu_new": "gelu-tanh", "gated-gelu_new": "gelu-tanh"}  # fmt: skip
_GATED = {name: name.startswith("gated") for name in _PROJ}
_NORM = {
    f"{place}.{name}": value for place in ("norm", "final_norm") for name, value in (("kind", "rms"), ("eps", _EPS))
}


def _stack(feed: str) -> dict[str, Any]:
    """What encoder and decoder have in common."""
    return {
        "width": required("hidden_size", "d_model"),
        "depth": key("head_dim", "d_kv", default=64),
        "attention.heads": required("num_attention_heads", "num_heads"),
        **_NORM,
        "placement": "pre",
        "attention.scale": 1.0,
        "attention.relative.buckets": key("relative_attention_num_buckets", default=32),
        "attention.relative.reach": key("relative_attention_max_distance", default=128),
        "mlp.activation": Either(
            (
                key("dense_act_fn", words=ACTIVATIONS),
                key("feed_forward_proj", default=_PROJ[feed], words=_PROJ),
            )
        ),
        "mlp.gated": Either((key("is_gated_act"), key("feed_forward_proj", default=_GATED[feed], words=_GATED))),
    }


def _half(ours: str, theirs: str, part: str, bias: str) -> dict[str, str]:
    """The arrays of an attention; one table of distances serves all layers, or each has its own."""
    return {
        f"{ours}.query.weight": f"{theirs}.{part}.q.weight: linear heads",
        f"{ours}.key.weight": f"{theirs}.{part}.k.weight: linear heads",
        f"{ours}.value.weight": f"{theirs}.{part}.v.weight: linear heads",
        f"{ours}.output.weight": f"{theirs}.{part}.o.weight: linear",
        f"{ours}.norm.gain": f"{theirs}.layer_norm.weight",
        **({f"{ours}.relative.weight": bias} if bias else {}),
    }


def _blocks(ours: str, theirs: str, *, cross: bool, shared: bool) -> Mapping[str, Any]:
    """The arrays of a stack of blocks."""
    first = f"{theirs}.block.{'0' if shared else '{n}'}.layer.0.SelfAttention.relative_attention_bias.weight"
    block, last = f"{theirs}.block.{{n}}.layer", 2 if cross else 1
    dense = f"{block}.{last}.DenseReluDense"
    return {
        **_half(f"{ours}.attention", f"{block}.0", "SelfAttention", first),
        **(_half(f"{ours}.cross", f"{block}.1", "EncDecAttention", "") if cross else {}),
        f"{ours}.mlp.gate.weight": f"{dense}.wi_0.weight: linear",
        f"{ours}.mlp.up.weight": (f"{dense}.wi.weight: linear", f"{dense}.wi_1.weight: linear"),
        f"{ours}.mlp.output.weight": f"{dense}.wo.weight: linear",
        f"{ours}.mlp.norm.gain": f"{block}.{last}.layer_norm.weight",
    }


def _arrays(*, shared: bool) -> dict[str, Any]:
    return {
        "encoder.embedding.weight": ("encoder.embed_tokens.weight", "shared.weight"),
        "embedding.weight": ("decoder.embed_tokens.weight", "shared.weight"),
        **_blocks("encoder.layers.{n}", "encoder", cross=False, shared=shared),
        **_blocks("layers.{n}", "decoder", cross=True, shared=shared),
        "encoder.norm.gain": "encoder.final_layer_norm.weight",
        "norm.gain": "decoder.final_layer_norm.weight",
        "logits.weight": "lm_head.weight: linear",
    }


_SAID = {
    "d_ff": "is a size that the arrays have",
    "dropout_rate": "matters in training only",
    "is_encoder_decoder": "Transformers goes by the architecture",
    "tie_word_embeddings": "Transformers ties them, unless the file has a head of its own",
    "num_decoder_layers": "counts the layers of a decoder",
    "scale_decoder_outputs": "belongs to a decoder",
    "output_past": "Transformers does not read it",
}


def _without(*names: str) -> dict[str, str]:
    return {name: reason for name, reason in _SAID.items() if name not in names}


_ROOT = key("hidden_size", "d_model", by=inverse_root)
_UNLESS_UNTIED = choice(key("tie_word_embeddings", default=True), {True: _ROOT, None: _ROOT, False: None})

T5 = with_pair_heads(
    Family(
        name="t5",
        architectures=("T5ForConditionalGeneration", "T5WithLMHeadModel"),
        spec={
            **_stack("relu"),
            "layers": Either((key("num_decoder_layers"), required("num_hidden_layers", "num_layers"))),
            "attention.causal": True,
            "cross.heads": required("num_attention_heads", "num_heads"),
            "cross.scale": 1.0,
            **{f"encoder.{path}": value for path, value in _stack("relu").items()},
            "encoder.layers": required("num_hidden_layers", "num_layers"),
            "head.tied": True,
            "head.scale": choice(
                key("scale_decoder_outputs", default="absent"),
                {True: _ROOT, False: None, None: None, "absent": _UNLESS_UNTIED},
            ),
        },
        arrays=_arrays(shared=True),
        without_effect=_without("scale_decoder_outputs", "tie_word_embeddings", "num_decoder_layers"),
        spare={
            "*shared.weight": "stands for embeddings that the file has for encoder and decoder apart",
            "*decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": "Transformers does not read it",
        },
        tied_to="shared.weight: linear",
        prefixes=("", "transformer."),
    ),
    "T5",
    end=1,
)
"""Scores without a scale and with learned numbers for distances, RMS norms, and an encoder (Raffel et al. 2020)."""

MT5 = with_pair_heads(
    replace(
        T5,
        name="mt5",
        architectures=("MT5ForConditionalGeneration",),
        spec={
            **T5.spec,
            **_stack("gated-gelu"),
            **{f"encoder.{path}": value for path, value in _stack("gated-gelu").items()},
            "head.scale": None,
        },
        without_effect=_without("num_decoder_layers"),
    ),
    "MT5",
    end=1,
)
"""As T5, with gated MLPs, and logits that are not scaled."""

UMT5 = with_pair_heads(
    replace(
        MT5,
        name="umt5",
        architectures=("UMT5ForConditionalGeneration",),
        spec={**MT5.spec, "head.scale": T5.spec["head.scale"]},
        arrays=_arrays(shared=False),
        without_effect=T5.without_effect,
    ),
    "UMT5",
    end=1,
)
"""As mT5, with a table of distances in each layer."""


def _encoder(name: str, stem: str, feed: str, *, shared: bool) -> Family:
    """The encoder of a family alone."""
    return Family(
        name=name,
        architectures=(stem + "EncoderModel", stem + "ForTokenClassification"),
        spec={
            **_stack(feed),
            "layers": required("num_hidden_layers", "num_layers"),
            "attention.causal": False,
        },
        arrays={
            "embedding.weight": ("encoder.embed_tokens.weight", "shared.weight"),
            **_blocks("layers.{n}", "encoder", cross=False, shared=shared),
            "norm.gain": "encoder.final_layer_norm.weight",
            **affine("logits", "classifier"),
        },
        prefixes=("", "transformer."),
        by_architecture={
            stem + "EncoderModel": BASE,
            stem + "ForTokenClassification": PATHS["ForTokenClassification"],
        },
        without_effect={**_SAID, "use_cache": "says how the same numbers are computed"},
        spare={
            "decoder.*": "the decoder, which this architecture leaves aside",
            "lm_head.weight": "the head, which this architecture leaves aside",
            "shared.weight": "stands for embeddings that the file has for the encoder",
        },
    )


T5_ENCODER = _encoder("t5_encoder", "T5", "relu", shared=True)
MT5_ENCODER = _encoder("mt5_encoder", "MT5", "gated-gelu", shared=True)
UMT5_ENCODER = _encoder("umt5_encoder", "UMT5", "gated-gelu", shared=False)
