"""Small encoder-decoders, and what they are given to read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

SEQ = {
    "d_model": 24, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 22, "decoder_ffn_dim": 20, "vocab_size": 37, "max_position_embeddings": 90,
    "decoder_start_token_id": 2,
}  # fmt: skip
T5 = {
    "d_model": 24, "d_kv": 5, "d_ff": 22, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4, "vocab_size": 37,
    "decoder_start_token_id": 0,
}  # fmt: skip
MARIAN = {**SEQ, "pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 0}
WHISPER = {
    **{name: value for name, value in SEQ.items() if name != "max_position_embeddings"},
    "max_source_positions": 20, "max_target_positions": 90, "num_mel_bins": 7, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip

PAIRS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "pair, t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "pair, t5, gated, own head": (
        "T5ForConditionalGeneration", "T5Config",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "relative_attention_num_buckets": 12,
         "relative_attention_max_distance": 20},
    ),
    "pair, mt5": ("MT5ForConditionalGeneration", "MT5Config", {**T5, "layer_norm_epsilon": 1e-3}),
    "pair, umt5": ("UMT5ForConditionalGeneration", "UMT5Config", {**T5, "num_decoder_layers": None}),
    "pair, bart": ("BartForConditionalGeneration", "BartConfig", {**SEQ, "scale_embedding": True}),
    "pair, mbart": ("MBartForConditionalGeneration", "MBartConfig", {**SEQ, "activation_function": "relu"}),
    "pair, marian": (
        "MarianMTModel", "MarianConfig", {**MARIAN, "activation_function": "swish", "scale_embedding": True},
    ),
    "pair, marian, apart": (
        "MarianMTModel", "MarianConfig",
        {**MARIAN, "share_encoder_decoder_embeddings": False, "decoder_vocab_size": 31},
    ),
    "pair, pegasus": (
        "PegasusForConditionalGeneration", "PegasusConfig", {**SEQ, "pad_token_id": 0, "decoder_start_token_id": 0},
    ),
    "pair, whisper": ("WhisperForConditionalGeneration", "WhisperConfig", {**WHISPER, "scale_embedding": True}),
    "pair, t5, classes": ("T5ForSequenceClassification", "T5Config", {**T5, "eos_token_id": 8, "num_labels": 5}),
    "pair, t5, questions": ("T5ForQuestionAnswering", "T5Config", {**T5, "feed_forward_proj": "gated-gelu"}),
    "pair, mt5, classes": ("MT5ForSequenceClassification", "MT5Config", {**T5, "eos_token_id": 19}),
    "pair, mt5, questions": ("MT5ForQuestionAnswering", "MT5Config", T5),
    "pair, umt5, classes": ("UMT5ForSequenceClassification", "UMT5Config", {**T5, "eos_token_id": 19}),
    "pair, umt5, questions": ("UMT5ForQuestionAnswering", "UMT5Config", T5),
    "pair, bart, classes": (
        "BartForSequenceClassification", "BartConfig", {**SEQ, "eos_token_id": 19, "num_labels": 5},
    ),
    "pair, bart, questions": ("BartForQuestionAnswering", "BartConfig", {**SEQ, "scale_embedding": True}),
    "t5 encoder, token classes": ("T5ForTokenClassification", "T5Config", {**T5, "num_labels": 5}),
    "mt5 encoder, token classes": ("MT5ForTokenClassification", "MT5Config", T5),
    "umt5 encoder, token classes": ("UMT5ForTokenClassification", "UMT5Config", T5),
    "t5 encoder": ("T5EncoderModel", "T5Config", {**T5, "feed_forward_proj": "gated-silu"}),
    "mt5 encoder": ("MT5EncoderModel", "MT5Config", T5),
    "umt5 encoder": ("UMT5EncoderModel", "UMT5Config", {**T5, "relative_attention_num_buckets": 8}),
}  # fmt: skip
"""What each is, its class, its config's class, and how its config differs from the defaults."""

RECORDING = np.random.default_rng(7).normal(size=(7, 40)).astype(np.float32)


def reads(name: str, ids: list[int]) -> tuple[Any, list[int] | None, dict[str, torch.Tensor]]:
    """What an encoder-decoder is given: a source and numbers for the decoder, and both as Transformers takes them.

    Of a model with classes both read the same source, which Transformers moves by one token itself.
    """
    if "classes" in name or "questions" in name:
        return ids, None, {"input_ids": torch.tensor([ids])}
    decoder = [2, *ids[:3], ids[-1]]
    theirs = {"decoder_input_ids": torch.tensor([decoder])}
    if "whisper" in name:
        return RECORDING, decoder, {"input_features": torch.from_numpy(RECORDING)[None], **theirs}
    return ids, decoder, {"input_ids": torch.tensor([ids]), **theirs}
