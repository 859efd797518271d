"""Earlier families as llama.cpp keeps them in GGUF files: GPT-NeoX, BLOOM, MPT, Phi 2, StarCoder, BERT, T5."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from clearhead.models.families.gguf import DENSE, GGUF_LLAMA
from clearhead.models.families.gguf_others import EPS, GGUF_GPT2, LAYER_NORMS, OF_THREE, PLAIN, POOLED, RMS, gguf_family
from clearhead.models.families.parts import EVERYWHERE, inverse_root, norm, norms, without
from clearhead.models.key import Either, There, choice, key, required

_BLOCK = "blk.{n}."
_FUSED = {**PLAIN, **OF_THREE, **LAYER_NORMS}
_UNTURNED = {**GGUF_LLAMA.without_effect, "context_length": "is a size that the arrays have"}
"""Of families without rotary positions."""

_PARALLEL = choice(key("use_parallel_residual", default=True), {True: "parallel", False: "pre"})

GGUF_NEOX = gguf_family(
    "gptneox",
    {
        **without(DENSE, "mlp.gated"),
        **norms("layer", EPS),
        "placement": _PARALLEL,
        "attention.bias": choice(There(("blk.0.attn_qkv.bias",)), {True: EVERYWHERE, False: ()}),
        "mlp.activation": "gelu",
        "mlp.bias": True,
    },
    _FUSED,
)
"""Both halves read the block's input; part of each head turned; query, key and value in three blocks of one matrix."""

GGUF_PHI2 = gguf_family(
    "phi2",
    {
        **without(DENSE, "mlp.gated"),
        **norms("layer", EPS),
        "placement": "parallel",
        "attention.bias": EVERYWHERE,
        "mlp.activation": "gelu-tanh",
        "mlp.bias": True,
        "head.bias": True,
    },
    {
        **_FUSED,
        **{name: (PLAIN[name], place) for name, place in OF_THREE.items()},
        **norm("layers.{n}.mlp.norm", _BLOCK + "attn_norm"),
        "logits.bias": "output.bias",
    },
)
"""Both halves read one norm; biases everywhere."""

GGUF_BLOOM = gguf_family(
    "bloom",
    {
        **without(GGUF_GPT2.spec, "embedding.positions"),
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": EPS,
        "attention.alibi": True,
    },
    {**_FUSED, **norm("embedding", "token_embd_norm")},
    without_effect=_UNTURNED,
)
"""Scores fall with distance; a norm of the embeddings."""

GGUF_MPT = gguf_family(
    "mpt",
    {
        **without(GGUF_GPT2.spec, "embedding.positions", "attention.bias", "mlp.bias"),
        **norms("layer", EPS, bias=False),
        "attention.alibi": True,
        "attention.clip": key("attention.clamp_kqv", by=lambda limit: limit or None),
        "mlp.activation": "gelu",
    },
    _FUSED,
    fixed={**GGUF_GPT2.fixed, "attention.max_alibi_bias": (8.0,)},
    without_effect=_UNTURNED,
)
"""Scores fall with distance; no biases."""

GGUF_STARCODER = replace(GGUF_GPT2, name="starcoder (GGUF)", architectures=("starcoder",))
"""As GPT-2, with one key and one value for all heads."""

_ENCODER_FIXED = {**GGUF_GPT2.fixed, "attention.causal": (False,)}

GGUF_BERT = gguf_family(
    "bert",
    {
        **without(GGUF_GPT2.spec, "placement", "head.tied"),
        "final_norm": None,
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": EPS,
        "embedding.types": There(("token_types.weight",)),
        "placement": "post",
        "attention.causal": False,
        "mlp.activation": "gelu",
        "pooler": None,
        "head": None,
    },
    {
        **PLAIN,
        **norm("embedding", "token_embd_norm"),
        "embedding.position.weight": "position_embd.weight",
        "embedding.type.weight": "token_types.weight",
        **norm("layers.{n}.attention.norm", _BLOCK + "attn_output_norm"),
        **norm("layers.{n}.mlp.norm", _BLOCK + "layer_output_norm"),
    },
    fixed=_ENCODER_FIXED,
    without_effect={**_UNTURNED, **POOLED},
)
"""BERT, RoBERTa and DistilBERT without heads; positions begin with the first row."""


def _half(ours: str, theirs: str, part: str, table: tuple[str, ...] = ()) -> dict[str, Any]:
    """The arrays of an attention; one table of distances serves all layers, or each has its own."""
    names = {"query": "q", "key": "k", "value": "v"}
    return {
        **{f"{ours}.{name}.weight": f"{theirs}.{part}_{end}.weight: linear heads" for name, end in names.items()},
        f"{ours}.output.weight": f"{theirs}.{part}_o.weight: linear",
        f"{ours}.norm.gain": f"{theirs}.{part}_norm.weight",
        **({f"{ours}.relative.weight": table} if table else {}),
    }


def _blocks(ours: str, side: str) -> dict[str, Any]:
    """The arrays of a stack of blocks."""
    block = f"{side}.blk.{{n}}"
    table = tuple(f"{side}.blk.{number}.attn_rel_b.weight" for number in ("{n}", "0"))
    return {
        **_half(f"{ours}.attention", block, "attn", table),
        **{
            f"{ours}.mlp.{name}.weight": f"{block}.ffn_{end}.weight: linear"
            for name, end in (("gate", "gate"), ("up", "up"), ("output", "down"))
        },
        f"{ours}.mlp.norm.gain": f"{block}.ffn_norm.weight",
    }


_GATED = There(("enc.blk.0.ffn_gate.weight",))
_STACK = {
    "width": required("embedding_length"),
    "depth": key("attention.key_length"),
    "attention.heads": required("attention.head_count"),
    "attention.kv_heads": key("attention.head_count_kv"),
    **norms("rms", RMS),
    "placement": "pre",
    "attention.scale": 1.0,
    "attention.relative.buckets": required("attention.relative_buckets_count"),
    "attention.relative.reach": 128,
    "mlp.activation": choice(_GATED, {True: "gelu-tanh", False: "relu"}),
    "mlp.gated": _GATED,
}
_T5_SAID = {**_UNTURNED, "attention.layer_norm_epsilon": "norms have no mean; theirs is layer_norm_rms_epsilon"}

GGUF_T5 = gguf_family(
    "t5",
    {
        **_STACK,
        "layers": Either((key("decoder_block_count"), required("block_count"))),
        "attention.causal": True,
        "cross.heads": required("attention.head_count"),
        "cross.scale": 1.0,
        **{f"encoder.{path}": value for path, value in _STACK.items()},
        "encoder.layers": required("block_count"),
        "head.tied": True,
        "head.scale": choice(There(("output.weight",)), {True: None, False: key("embedding_length", by=inverse_root)}),
    },
    {
        "encoder.embedding.weight": "token_embd.weight",
        "embedding.weight": "token_embd.weight",
        **_blocks("encoder.layers.{n}", "enc"),
        **_blocks("layers.{n}", "dec"),
        **_half("layers.{n}.cross", "dec.blk.{n}", "cross_attn"),
        "encoder.norm.gain": "enc.output_norm.weight",
        "norm.gain": "dec.output_norm.weight",
        "logits.weight": "output.weight: linear",
    },
    fixed={},
    without_effect=_T5_SAID,
)
"""T5, mT5 and UMT5: an encoder and a decoder, learned numbers for distances up to 128. Logits without a head of their
own are scaled as T5's are; llama.cpp leaves that out, which does not change their order."""

GGUF_T5_ENCODER = gguf_family(
    "t5encoder",
    {**_STACK, "layers": required("block_count"), "attention.causal": False, "head": None},
    {
        "embedding.weight": "token_embd.weight",
        **_blocks("layers.{n}", "enc"),
        "norm.gain": "enc.output_norm.weight",
    },
    fixed={},
    without_effect=_T5_SAID,
)
"""The encoder of T5 alone."""
