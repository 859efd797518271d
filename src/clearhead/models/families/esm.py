"""ESM-1b and ESM-2, encoders of proteins."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.models.families.bert import BERT, LAYER, PREDICTION, either_norm
from clearhead.models.families.parts import BASE, affine, heads, norms, without
from clearhead.models.key import There, choice, key
from clearhead.spec import Frequencies

_EPS = key("layer_norm_eps", default=1e-12)
_KIND = key("position_embedding_type", default="absolute", words={"absolute": "absolute", "rotary": "rotary"})
_FIRST = "encoder.layer.0.attention.self.rotary_embeddings.inv_freq"
_STORED = ("rotary_embeddings.inv_freq", "esm.rotary_embeddings.inv_freq", _FIRST, f"esm.{_FIRST}")
_NORMED = key("emb_layer_norm_before", default=False, words={True: True, False: False, None: False})
_DROPPED = key("token_dropout", default=False, words={True: True, False: False, None: False})

ESM = replace(
    BERT,
    name="esm",
    architectures=("EsmModel", "EsmForMaskedLM", "EsmForSequenceClassification", "EsmForTokenClassification"),
    spec={
        **without(BERT.spec, "embedding.types", "embedding.norm.kind", "embedding.norm.eps", "attention.causal"),
        **norms("layer", _EPS),
        "final_norm": {},
        "placement": "pre",
        "attention.causal": False,
        "attention.rotary": choice(_KIND, {"rotary": {}, "absolute": None}),
        "attention.rotary.base": key("rope_theta", default=10000.0),
        "attention.rotary.scaling": choice(There(_STORED), {True: Frequencies(), False: None}),
        "mlp.activation": "gelu",
        "embedding.norm": choice(_NORMED, {True: {}, False: None}),
        "embedding.norm.kind": "layer",
        "embedding.norm.eps": _EPS,
        "embedding.positions": choice(_KIND, {"rotary": False, "absolute": True}),
        "embedding.pad": key("pad_token_id"),
        "embedding.masked": choice(_DROPPED, {True: key("mask_token_id"), False: None}),
    },
    arrays={
        **BERT.arrays,
        **either_norm("embedding", "embeddings.layer_norm"),
        **either_norm("layers.{n}.attention.norm", LAYER + "attention.LayerNorm"),
        **either_norm("layers.{n}.mlp.norm", LAYER + "LayerNorm"),
        "layers.{n}.attention.rotary.frequency": ("rotary_embeddings.inv_freq", _FIRST),
        **either_norm("norm", "encoder.emb_layer_norm_after"),
        **affine("transform", "lm_head.dense"),
        **either_norm("transform.norm", "lm_head.layer_norm"),
        "logits.weight": "lm_head.decoder.weight: linear",
        "logits.bias": "lm_head.bias",
    },
    prefixes=("", "esm."),
    by_architecture={
        "EsmModel": {**BASE, "pooler": "tanh"},
        "EsmForMaskedLM": {**PREDICTION, "head.transform": "gelu"},
        "EsmForSequenceClassification": {"head.reads": "pooled", "head.bias": True, "pooler": "tanh"},
        "EsmForTokenClassification": {"head.reads": "tokens", "head.bias": True},
    },
    arrays_by_architecture={
        **heads("EsmFor", {"TokenClassification": "classifier"}),
        "EsmForSequenceClassification": {
            **affine("pooler", "classifier.dense"), **affine("logits", "classifier.out_proj"),
        },
    },
    fixed={"is_folding_model": (False,)},
    without_effect={
        "hidden_act": "Transformers does not read it: it is always GELU",
        "esmfold_config": "belongs to a model that folds",
        "vocab_list": "belongs to a model that folds",
    },
    spare={
        "*embeddings.position_ids": "the numbers 0, 1, 2 ...",
        "*rotary_embeddings.inv_freq": "Transformers reads those of the first layer",
        "*contact_head.regression.*": "the head that predicts contacts from all weights",
    },
)  # fmt: skip
"""As RoBERTa with norms before each half, a last norm, and learned or rotary positions (Lin et al. 2023)."""
