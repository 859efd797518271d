"""Small models with random weights, saved by Transformers: several configurations of each family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import transformers

from .pairs import PAIRS

SIZES = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 22, "vocab_size": 37,
    "max_position_embeddings": 41,
}  # fmt: skip
GROUPED = {**SIZES, "num_key_value_heads": 2}
WIDE_HEADS = {**SIZES, "num_key_value_heads": 3, "head_dim": 10}
ROUTED = {**GROUPED, "intermediate_size": 20}
"""Widths that are multiples of four, as Transformers' products of experts need."""
MOE = {**ROUTED, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
GROUPS = {
    **ROUTED, "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 8, "n_group": 4,
    "topk_group": 2, "first_k_dense_replace": 1,
}  # fmt: skip
LATENT = {
    **GROUPS, "num_key_value_heads": 6, "kv_lora_rank": 12, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4,
    "v_head_dim": 5,
}  # fmt: skip
SHARED = {**MOE, "num_hidden_layers": 4, "shared_expert_intermediate_size": 20}
DELTA = {
    **ROUTED, "num_hidden_layers": 4, "head_dim": 8, "linear_key_head_dim": 6, "linear_value_head_dim": 5,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4,
}  # fmt: skip
SEEING = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
SEEN_BY_QWEN = {
    "depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 12, "out_hidden_size": 24,
    "num_position_embeddings": 16,
}  # fmt: skip
XGLM = {
    "d_model": 24, "ffn_dim": 20, "num_layers": 3, "attention_heads": 6, "vocab_size": 37,
    "max_position_embeddings": 41,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16, "rope_theta": 50.0,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 20, "rope_theta": 300.0}
LONG = {"rope_type": "longrope", "original_max_position_embeddings": 7, "factor": 3.0, "rope_theta": 300.0}
BERT = {**SIZES, "type_vocab_size": 3}
GPT2 = {"n_embd": 24, "n_layer": 3, "n_head": 4, "vocab_size": 37, "n_positions": 41}
NEO = {
    "hidden_size": 24, "num_layers": 3, "num_heads": 4, "intermediate_size": 22, "vocab_size": 37,
    "max_position_embeddings": 41, "attention_types": [[["global", "local"], 1], [["global"], 1]],
}  # fmt: skip
MODERN = {
    **SIZES, "num_hidden_layers": 4, "local_attention": 8,
    **{f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")},
}  # fmt: skip
DEBERTA = {
    **SIZES, "relative_attention": True, "pos_att_type": "p2c|c2p", "position_buckets": 6, "type_vocab_size": 0,
    "max_position_embeddings": 90, "position_biased_input": False, "share_att_key": True, "norm_rel_ebd": "layer_norm",
}  # fmt: skip
GEMMA4 = {
    **GROUPED, "num_hidden_layers": 4, "head_dim": 4, "global_head_dim": 8, "sliding_window": 4,
    "hidden_size_per_layer_input": 5, "vocab_size_per_layer_input": 37, "num_kv_shared_layers": 2,
    "use_double_wide_mlp": True, "layer_types": [*["sliding_attention", "full_attention"] * 2],
}  # fmt: skip
GEMMA4_PLAIN = {name: value for name, value in GEMMA4.items() if "per_layer" not in name}
MPT = {"d_model": 24, "n_layers": 3, "n_heads": 6, "vocab_size": 37, "max_seq_len": 41}
BLOOM = {"hidden_size": 24, "n_layer": 3, "n_head": 6, "vocab_size": 37}
DISTIL = {"dim": 24, "n_layers": 3, "n_heads": 6, "hidden_dim": 22, "vocab_size": 37, "max_position_embeddings": 41}
IMAGE = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 22, "image_size": 12,
    "patch_size": 4,
}  # fmt: skip

CONFIGURATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertModel", "BertConfig", BERT),
    "bert, relu, another eps": ("BertModel", "BertConfig", {**BERT, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "bert, masked": ("BertForMaskedLM", "BertConfig", {**BERT, "hidden_act": "gelu_new"}),
    "bert, untied": ("BertForMaskedLM", "BertConfig", {**BERT, "tie_word_embeddings": False}),
    "bert, classes": ("BertForSequenceClassification", "BertConfig", {**BERT, "num_labels": 5}),
    "bert, token classes": ("BertForTokenClassification", "BertConfig", {**BERT, "num_labels": 5}),
    "roberta": ("RobertaModel", "RobertaConfig", {**BERT, "pad_token_id": 1}),
    "roberta, masked": ("RobertaForMaskedLM", "RobertaConfig", {**BERT, "pad_token_id": 1, "hidden_act": "relu"}),
    "roberta, classes": (
        "RobertaForSequenceClassification", "RobertaConfig", {**BERT, "pad_token_id": 1, "num_labels": 4},
    ),
    "roberta, padding within": ("RobertaModel", "RobertaConfig", {**BERT, "pad_token_id": 8}),
    "camembert, questions": ("CamembertForQuestionAnswering", "CamembertConfig", {**BERT, "pad_token_id": 2}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2),
    "gpt2, base, exact gelu": ("GPT2Model", "GPT2Config", {**GPT2, "activation_function": "gelu", "n_inner": 31}),
    "gpt2, scaled by layer": (
        "GPT2LMHeadModel", "GPT2Config", {**GPT2, "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False},
    ),
    "gpt2, untied": ("GPT2LMHeadModel", "GPT2Config", {**GPT2, "tie_word_embeddings": False}),
    "neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {**SIZES, "num_attention_heads": 3}),
    "neox, one after the other, all turned": (
        "GPTNeoXForCausalLM", "GPTNeoXConfig",
        {**SIZES, "num_attention_heads": 3, "use_parallel_residual": False,
         "rope_parameters": {"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 1.0}},
    ),
    "neox, no bias, linear scaling": (
        "GPTNeoXForCausalLM", "GPTNeoXConfig",
        {**SIZES, "num_attention_heads": 3, "attention_bias": False,
         "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 99.0, "partial_rotary_factor": 0.5}},
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "llama, wide heads, biases, tied": (
        "LlamaForCausalLM", "LlamaConfig",
        {**WIDE_HEADS, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-3},
    ),
    "llama, stretched": ("LlamaForCausalLM", "LlamaConfig", {**GROUPED, "rope_parameters": LLAMA3}),
    "llama, base": ("LlamaModel", "LlamaConfig", {**GROUPED, "hidden_act": "gelu"}),
    "mistral, window": ("MistralForCausalLM", "MistralConfig", {**WIDE_HEADS, "sliding_window": 4}),
    "mistral, defaults": ("MistralForCausalLM", "MistralConfig", {**SIZES, "num_attention_heads": 8, "head_dim": 6}),
    "ministral": (
        "MinistralForCausalLM", "MinistralConfig",
        {**WIDE_HEADS, "sliding_window": 4,
         "layer_types": ["full_attention", "sliding_attention", "sliding_attention"]},
    ),
    "llama, yarn": ("LlamaForCausalLM", "LlamaConfig", {**GROUPED, "head_dim": 12, "rope_parameters": YARN}),
    "llama, yarn, more of it": (
        "LlamaModel", "LlamaConfig",
        {**GROUPED, "head_dim": 12, "rope_parameters": {
            **YARN, "mscale": 0.7, "mscale_all_dim": 0.3, "truncate": False, "beta_fast": 3, "beta_slow": 0.5}},
    ),
    "llama, proportional": (
        "LlamaForCausalLM", "LlamaConfig",
        {**WIDE_HEADS, "rope_parameters": {
            "rope_type": "proportional", "rope_theta": 60.0, "partial_rotary_factor": 0.4, "factor": 3.0}},
    ),
    "llama, dynamic": (
        "LlamaForCausalLM", "LlamaConfig",
        {**GROUPED, "head_dim": 12, "max_position_embeddings": 6,
         "rope_parameters": {"rope_type": "dynamic", "factor": 3.0, "rope_theta": 60.0}},
    ),
    "qwen3, long": (
        "Qwen3ForCausalLM", "Qwen3Config",
        {**WIDE_HEADS, "rope_parameters": {**LONG, "short_factor": [1.0] * 5, "long_factor": [1, 2.0, 3, 4, 5]}},
    ),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", GROUPED),
    "qwen2, window above, tied": (
        "Qwen2ForCausalLM", "Qwen2Config",
        {**GROUPED, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 2,
         "tie_word_embeddings": True},
    ),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", WIDE_HEADS),
    "qwen3, biases": ("Qwen3ForCausalLM", "Qwen3Config", {**GROUPED, "head_dim": 8, "attention_bias": True}),
    "gemma": ("GemmaForCausalLM", "GemmaConfig", {**WIDE_HEADS, "hidden_act": "gelu"}),
    "gemma, biases": ("GemmaModel", "GemmaConfig", {**GROUPED, "head_dim": 8, "attention_bias": True}),
    "gemma2": (
        "Gemma2ForCausalLM", "Gemma2Config", {**WIDE_HEADS, "sliding_window": 4, "query_pre_attn_scalar": 13},
    ),
    "gemma2, no caps": (
        "Gemma2ForCausalLM", "Gemma2Config",
        {**GROUPED, "head_dim": 8, "attn_logit_softcapping": None, "final_logit_softcapping": 2.0,
         "hidden_activation": "silu"},
    ),
    "gemma3": (
        "Gemma3ForCausalLM", "Gemma3TextConfig", {**WIDE_HEADS, "sliding_window": 4, "query_pre_attn_scalar": 7},
    ),
    "gemma3, mixed layers": (
        "Gemma3ForCausalLM", "Gemma3TextConfig",
        {**GROUPED, "head_dim": 8, "sliding_window": 5,
         "layer_types": ["full_attention", "sliding_attention", "full_attention"],
         "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
                             "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500.0}}},
    ),
    "gemma3, long": (
        "Gemma3TextModel", "Gemma3TextConfig",
        {**WIDE_HEADS, "sliding_window": 4,
         "layer_types": ["full_attention", "sliding_attention", "full_attention"],
         "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
                             "full_attention": {**LONG, "short_factor": [1.0] * 5, "long_factor": [1, 2.0, 3, 4, 5]}}},
    ),
    "gemma3, both ways": (
        "Gemma3TextModel", "Gemma3TextConfig",
        {**WIDE_HEADS, "sliding_window": 6, "use_bidirectional_attention": True, "query_pre_attn_scalar": 7},
    ),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", {**GROUPED, "pad_token_id": 0, "sliding_window": 5}),
    "phi3, long": (
        "Phi3ForCausalLM", "Phi3Config",
        {**SIZES, "num_attention_heads": 3, "pad_token_id": 0, "original_max_position_embeddings": 8,
         "rope_parameters": {"rope_type": "longrope", "rope_theta": 90.0, "short_factor": [1.0, 1.5, 2, 3],
                             "long_factor": [1.0, 2.5, 4, 9]}},
    ),
    "phi3, short": (
        "Phi3ForCausalLM", "Phi3Config",
        {**SIZES, "num_attention_heads": 3, "pad_token_id": 0, "original_max_position_embeddings": 30,
         "rope_parameters": {"rope_type": "longrope", "rope_theta": 90.0, "short_factor": [1.0, 1.5, 2, 3],
                             "long_factor": [1.0, 2.5, 4, 9]}},
    ),
    "phi3, part turned": (
        "Phi3ForCausalLM", "Phi3Config",
        {**SIZES, "num_attention_heads": 3, "num_key_value_heads": 3, "pad_token_id": 0, "tie_word_embeddings": True,
         "rope_parameters": {"rope_type": "default", "rope_theta": 60.0, "partial_rotary_factor": 0.5}},
    ),
    "olmo": ("OlmoForCausalLM", "OlmoConfig", {**GROUPED, "clip_qkv": 0.3}),
    "olmo, biases": ("OlmoModel", "OlmoConfig", {**SIZES, "attention_bias": True}),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", GROUPED),
    "olmo2, biases, tied": (
        "Olmo2ForCausalLM", "Olmo2Config",
        {**GROUPED, "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-2, "hidden_act": "gelu"},
    ),
    "olmo3": ("Olmo3ForCausalLM", "Olmo3Config", {**GROUPED, "sliding_window": 4, "num_hidden_layers": 5}),
    "olmo3, yarn": (
        "Olmo3Model", "Olmo3Config",
        {**GROUPED, "head_dim": 12, "sliding_window": 4,
         "layer_types": ["full_attention", "sliding_attention", "full_attention"],
         "rope_parameters": {"full_attention": YARN, "sliding_attention": {"rope_type": "default"}}},
    ),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", {**GPT2, "rotary_dim": 4}),
    "gptj, relu, tied": (
        "GPTJForCausalLM", "GPTJConfig",
        {**GPT2, "rotary_dim": 2, "activation_function": "relu", "tie_word_embeddings": True, "n_inner": 31},
    ),
    "phi": ("PhiForCausalLM", "PhiConfig", GROUPED),
    "phi, normed, all turned": (
        "PhiForCausalLM", "PhiConfig",
        {**GROUPED, "qk_layernorm": True,
         "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 60.0, "partial_rotary_factor": 1.0}},
    ),
    "cohere": ("CohereForCausalLM", "CohereConfig", GROUPED),
    "cohere, normed": (
        "CohereForCausalLM", "CohereConfig",
        {**GROUPED, "use_qk_norm": True, "logit_scale": 0.3, "attention_bias": True, "tie_word_embeddings": False},
    ),
    "cohere2": ("Cohere2ForCausalLM", "Cohere2Config", {**GROUPED, "sliding_window": 4, "num_hidden_layers": 5}),
    "cohere2, base": ("Cohere2Model", "Cohere2Config", {**SIZES, "sliding_window": 5, "sliding_window_pattern": 2}),
    "falcon": ("FalconForCausalLM", "FalconConfig", SIZES),
    "falcon, new": (
        "FalconForCausalLM", "FalconConfig",
        {**SIZES, "new_decoder_architecture": True, "num_kv_heads": 2, "bias": True, "activation": "gelu_new"},
    ),
    "falcon, one after the other": (
        "FalconModel", "FalconConfig",
        {**SIZES, "multi_query": False, "parallel_attn": False, "bias": True, "ffn_hidden_size": 31},
    ),
    "glm": ("GlmForCausalLM", "GlmConfig", {**GROUPED, "head_dim": 8, "pad_token_id": 0}),
    "glm, no bias": (
        "GlmModel", "GlmConfig",
        {**GROUPED, "head_dim": 12, "attention_bias": False, "pad_token_id": 0,
         "rope_parameters": {"rope_type": "default", "rope_theta": 60.0, "partial_rotary_factor": 1.0}},
    ),
    "glm4": ("Glm4ForCausalLM", "Glm4Config", {**GROUPED, "head_dim": 8, "pad_token_id": 0}),
    "glm4, tied": (
        "Glm4ForCausalLM", "Glm4Config",
        {**GROUPED, "head_dim": 6, "pad_token_id": 0, "tie_word_embeddings": True, "partial_rotary_factor": 0.67},
    ),
    "ernie": ("Ernie4_5ForCausalLM", "Ernie4_5Config", {**GROUPED, "head_dim": 8}),
    "ernie, biases": ("Ernie4_5Model", "Ernie4_5Config", {**GROUPED, "head_dim": None, "use_bias": True}),
    "seed": ("SeedOssForCausalLM", "SeedOssConfig", {**GROUPED, "head_dim": 8}),
    "seed, output": (
        "SeedOssForCausalLM", "SeedOssConfig",
        {**GROUPED, "head_dim": 8, "attention_bias": False, "attention_out_bias": True, "mlp_bias": True},
    ),
    "smollm3": ("SmolLM3ForCausalLM", "SmolLM3Config", {**GROUPED, "pad_token_id": 0, "num_hidden_layers": 5}),
    "smollm3, window": (
        "SmolLM3ForCausalLM", "SmolLM3Config",
        {**GROUPED, "pad_token_id": 0, "no_rope_layers": [0, 1, 0], "use_sliding_window": True, "sliding_window": 4,
         "tie_word_embeddings": False},
    ),
    "granite": ("GraniteForCausalLM", "GraniteConfig", GROUPED),
    "granite, multiplied": (
        "GraniteForCausalLM", "GraniteConfig",
        {**GROUPED, "embedding_multiplier": 3.0, "logits_scaling": 7.0, "residual_multiplier": 0.4,
         "attention_multiplier": 0.2, "attention_bias": True},
    ),
    "helium": ("HeliumForCausalLM", "HeliumConfig", {**GROUPED, "head_dim": 4}),
    "helium, biases": (
        "HeliumForCausalLM", "HeliumConfig", {**GROUPED, "head_dim": 4, "attention_bias": True, "mlp_bias": True},
    ),
    "arcee": ("ArceeForCausalLM", "ArceeConfig", GROUPED),
    "arcee, yarn": (
        "ArceeModel", "ArceeConfig", {**GROUPED, "head_dim": 12, "mlp_bias": True, "rope_parameters": YARN},
    ),
    "exaone4": ("Exaone4ForCausalLM", "Exaone4Config", {**GROUPED, "sliding_window": 4, "num_hidden_layers": 5}),
    "exaone4, no window": (
        "Exaone4ForCausalLM", "Exaone4Config",
        {**GROUPED, "sliding_window": None, "layer_types": ["full_attention"] * 3, "tie_word_embeddings": True},
    ),
    "nemotron, odd width": (
        "NemotronForCausalLM", "NemotronConfig",
        {**GROUPED, "head_dim": 10, "rope_parameters": {
            "rope_type": "linear", "factor": 2.0, "rope_theta": 60.0, "partial_rotary_factor": 0.5}},
    ),
    "nemotron": ("NemotronForCausalLM", "NemotronConfig", {**GROUPED, "head_dim": 8}),
    "nemotron, biases": (
        "NemotronForCausalLM", "NemotronConfig",
        {**GROUPED, "attention_bias": True, "mlp_bias": True, "hidden_act": "silu", "norm_eps": 1e-2},
    ),
    "stablelm": (
        "StableLmForCausalLM", "StableLmConfig", {**SIZES, "num_attention_heads": 3, "num_key_value_heads": 3},
    ),
    "stablelm, parallel": (
        "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, "use_parallel_residual": True, "use_qkv_bias": True, "partial_rotary_factor": 0.5},
    ),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", GROUPED),
    "starcoder2, window, no bias": (
        "Starcoder2ForCausalLM", "Starcoder2Config",
        {**GROUPED, "use_bias": False, "sliding_window": 4, "tie_word_embeddings": False},
    ),
    "stablelm, normed": (
        "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, "qk_layernorm": True, "partial_rotary_factor": 0.5, "layer_norm_eps": 1e-2},
    ),
    "mpnet": ("MPNetModel", "MPNetConfig", SIZES),
    "mpnet, masked": ("MPNetForMaskedLM", "MPNetConfig", {**SIZES, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
    "mpnet, classes": ("MPNetForSequenceClassification", "MPNetConfig", {**SIZES, "num_labels": 5}),
    "nanochat": ("NanoChatForCausalLM", "NanoChatConfig", GROUPED),
    "nanochat, biases": (
        "NanoChatForCausalLM", "NanoChatConfig",
        {**SIZES, "attention_bias": True, "hidden_act": "silu", "final_logit_softcapping": None, "rms_norm_eps": 1e-3},
    ),
    "modernbert, decoder": ("ModernBertDecoderForCausalLM", "ModernBertDecoderConfig", MODERN),
    "modernbert, decoder, biases": (
        "ModernBertDecoderModel", "ModernBertDecoderConfig",
        {**MODERN, "attention_bias": True, "mlp_bias": True, "local_attention": 6, "norm_bias": True},
    ),
    "modernbert, classes by the mean": (
        "ModernBertForSequenceClassification", "ModernBertConfig",
        {**MODERN, "classifier_pooling": "mean", "num_labels": 5, "norm_eps": 1e-3},
    ),
    "modernbert, classes by the first": ("ModernBertForSequenceClassification", "ModernBertConfig", MODERN),
    "modernbert, token classes": (
        "ModernBertForTokenClassification", "ModernBertConfig", {**MODERN, "classifier_activation": "relu"},
    ),
    "modernbert, questions": ("ModernBertForQuestionAnswering", "ModernBertConfig", MODERN),
    "modernbert, decoder, classes": (
        "ModernBertDecoderForSequenceClassification", "ModernBertDecoderConfig", {**MODERN, "pad_token_id": 19},
    ),
    "clip, text": ("CLIPTextModel", "CLIPTextConfig", {**SIZES, "eos_token_id": 2}),
    "siglip, text": ("SiglipTextModel", "SiglipTextConfig", {**SIZES, "hidden_act": "gelu", "projection_size": 9}),
    "eurobert": ("EuroBertForMaskedLM", "EuroBertConfig", {**GROUPED, "pad_token_id": 0}),
    "eurobert, biases": (
        "EuroBertForMaskedLM", "EuroBertConfig", {**GROUPED, "pad_token_id": 0, "mlp_bias": True, "hidden_act": "gelu"},
    ),
    "eurobert, base": ("EuroBertModel", "EuroBertConfig", {**WIDE_HEADS, "pad_token_id": 0, "attention_bias": True}),
    "eurobert, classes": (
        "EuroBertForSequenceClassification", "EuroBertConfig", {**GROUPED, "pad_token_id": 0, "num_labels": 5},
    ),
    "eurobert, classes by the mean": (
        "EuroBertForSequenceClassification", "EuroBertConfig",
        {**GROUPED, "pad_token_id": 0, "classifier_pooling": "mean"},
    ),
    "eurobert, classes by the first": (
        "EuroBertForSequenceClassification", "EuroBertConfig",
        {**GROUPED, "pad_token_id": 0, "classifier_pooling": "bos"},
    ),
    "eurobert, token classes": ("EuroBertForTokenClassification", "EuroBertConfig", {**GROUPED, "pad_token_id": 0}),
    "gpt_neo": ("GPTNeoForCausalLM", "GPTNeoConfig", {**NEO, "window_size": 4}),
    "gpt_neo, untied": (
        "GPTNeoForCausalLM", "GPTNeoConfig",
        {**NEO, "attention_types": [[["local"], 2], [["global"], 1]], "window_size": 3, "tie_word_embeddings": False},
    ),
    "opt": ("OPTForCausalLM", "OPTConfig", {**SIZES, "ffn_dim": 22}),
    "opt, norms after": (
        "OPTForCausalLM", "OPTConfig",
        {**SIZES, "ffn_dim": 22, "do_layer_norm_before": False, "enable_bias": False, "activation_function": "gelu"},
    ),
    "bloom": ("BloomForCausalLM", "BloomConfig", BLOOM),
    "bloom, base": ("BloomModel", "BloomConfig", {**BLOOM, "n_head": 3, "layer_norm_epsilon": 1e-2}),
    "distilbert": ("DistilBertModel", "DistilBertConfig", DISTIL),
    "distilbert, masked": ("DistilBertForMaskedLM", "DistilBertConfig", {**DISTIL, "activation": "relu"}),
    "distilbert, classes": ("DistilBertForSequenceClassification", "DistilBertConfig", {**DISTIL, "num_labels": 5}),
    "distilbert, questions": ("DistilBertForQuestionAnswering", "DistilBertConfig", DISTIL),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", {**ROUTED, "num_local_experts": 4}),
    "mixtral, window, more": (
        "MixtralModel", "MixtralConfig",
        {**ROUTED, "num_local_experts": 5, "num_experts_per_tok": 3, "sliding_window": 4, "hidden_act": "gelu"},
    ),
    "qwen2_moe": ("Qwen2MoeForCausalLM", "Qwen2MoeConfig", {**MOE, "shared_expert_intermediate_size": 20}),
    "qwen2_moe, dense layer": (
        "Qwen2MoeForCausalLM", "Qwen2MoeConfig",
        {**MOE, "shared_expert_intermediate_size": 12, "norm_topk_prob": True, "mlp_only_layers": [1],
         "qkv_bias": False, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 2},
    ),
    "qwen3_moe": ("Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**MOE, "head_dim": 10}),
    "qwen3_moe, every second": (
        "Qwen3MoeForCausalLM", "Qwen3MoeConfig",
        {**MOE, "decoder_sparse_step": 2, "norm_topk_prob": True, "attention_bias": True, "use_sliding_window": True,
         "sliding_window": 4, "tie_word_embeddings": True},
    ),
    "olmoe": ("OlmoeForCausalLM", "OlmoeConfig", MOE),
    "olmoe, clipped": (
        "OlmoeForCausalLM", "OlmoeConfig", {**MOE, "clip_qkv": 0.4, "norm_topk_prob": True, "attention_bias": True},
    ),
    "gpt_oss": (
        "GptOssForCausalLM", "GptOssConfig", {**ROUTED, "num_local_experts": 5, "head_dim": 8, "sliding_window": 4},
    ),
    "gpt_oss, bounded": (
        "GptOssModel", "GptOssConfig",
        {**ROUTED, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 12, "swiglu_limit": 0.5,
         "attention_bias": False, "layer_types": ["full_attention", "sliding_attention", "full_attention"],
         "sliding_window": 3, "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
    "qwen3_next": ("Qwen3NextForCausalLM", "Qwen3NextConfig", {**DELTA, **SHARED}),
    "qwen3_next, as many heads, dense layer": (
        "Qwen3NextForCausalLM", "Qwen3NextConfig",
        {**DELTA, **SHARED, "attention_bias": True, "linear_num_key_heads": 4, "hidden_act": "gelu",
         "norm_topk_prob": False, "mlp_only_layers": [1], "linear_conv_kernel_dim": 2,
         "layer_types": ["full_attention", "linear_attention", "full_attention", "linear_attention"],
         "rope_parameters": {"rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.5}},
    ),
    "qwen3_5": ("Qwen3_5ForCausalLM", "Qwen3_5TextConfig", DELTA),
    "qwen3_5, wide steps": (
        "Qwen3_5TextModel", "Qwen3_5TextConfig",
        {**DELTA, "linear_num_value_heads": 6, "linear_conv_kernel_dim": 6, "attention_bias": True,
         "rope_parameters": {"rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.5,
                             "mrope_section": [1, 1, 0], "mrope_interleaved": True}},
    ),
    "qwen3_5_moe": ("Qwen3_5MoeForCausalLM", "Qwen3_5MoeTextConfig", {**DELTA, **SHARED}),
    "gemma3, of images": (
        "Gemma3ForConditionalGeneration", "Gemma3Config",
        {"text_config": {**WIDE_HEADS, "sliding_window": 4}, "vision_config": SEEING, "mm_tokens_per_image": 4},
    ),
    "mistral3": (
        "Mistral3ForConditionalGeneration", "Mistral3Config",
        {"text_config": {**WIDE_HEADS, "model_type": "mistral", "sliding_window": 5}, "tie_word_embeddings": False,
         "vision_config": {**SEEING, "model_type": "pixtral"}},
    ),
    "qwen3_5, of images": (
        "Qwen3_5ForConditionalGeneration", "Qwen3_5Config",
        {"text_config": {**DELTA, "tie_word_embeddings": True}, "vision_config": SEEN_BY_QWEN},
    ),
    "qwen3_5_moe, of images": (
        "Qwen3_5MoeForConditionalGeneration", "Qwen3_5MoeConfig",
        {"text_config": {**DELTA, **SHARED}, "vision_config": SEEN_BY_QWEN, "tie_word_embeddings": True},
    ),
    "xglm": ("XGLMForCausalLM", "XGLMConfig", XGLM),
    "xglm, not scaled": ("XGLMModel", "XGLMConfig", {**XGLM, "scale_embedding": False, "activation_function": "relu"}),
    "glm4_moe": (
        "Glm4MoeForCausalLM", "Glm4MoeConfig",
        {**GROUPS, "use_qk_norm": True, "head_dim": 8, "attention_bias": True},
    ),
    "glm4_moe, dense, wide": (
        "Glm4MoeModel", "Glm4MoeConfig",
        {**GROUPS, "first_k_dense_replace": 2, "norm_topk_prob": False, "routed_scaling_factor": 1.7,
         "rope_parameters": {"rope_type": "default", "rope_theta": 60.0, "partial_rotary_factor": 1.0}},
    ),
    "ernie4_5_moe": (
        "Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeConfig",
        {**ROUTED, "moe_num_experts": 5, "moe_intermediate_size": 8, "moe_k": 2},
    ),
    "ernie4_5_moe, every second": (
        "Ernie4_5_MoeModel", "Ernie4_5_MoeConfig",
        {**ROUTED, "moe_num_experts": 4, "moe_intermediate_size": 8, "moe_k": 3, "moe_num_shared_experts": 0,
         "moe_layer_interval": 2},
    ),
    "minimax_m2": (
        "MiniMaxM2ForCausalLM", "MiniMaxM2Config",
        {**ROUTED, "num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 8,
         "rope_parameters": {"rope_type": "default", "rope_theta": 40.0, "partial_rotary_factor": 0.5}},
    ),
    "minimax_m2, width": (
        "MiniMaxM2Model", "MiniMaxM2Config",
        {**ROUTED, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 12, "rotary_dim": 6},
    ),
    "granitemoe": (
        "GraniteMoeForCausalLM", "GraniteMoeConfig",
        {**ROUTED, "num_local_experts": 5, "attention_multiplier": 0.3, "logits_scaling": 3.0,
         "residual_multiplier": 0.4, "embedding_multiplier": 2.0},
    ),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config", {**LATENT, "topk_group": 2, "q_lora_rank": 10}),
    "deepseek_v3, no latent of queries, yarn": (
        "DeepseekV3Model", "DeepseekV3Config",
        {**LATENT, "topk_group": 3, "q_lora_rank": None, "rope_interleave": False, "norm_topk_prob": False,
         "rope_parameters": {**YARN, "factor": 8.0, "mscale": 0.7, "mscale_all_dim": 0.5}},
    ),
    "deepseek_v2": ("DeepseekV2ForCausalLM", "DeepseekV2Config", {**LATENT, "q_lora_rank": None, "n_group": None}),
    "deepseek_v2, groups": (
        "DeepseekV2ForCausalLM", "DeepseekV2Config",
        {**LATENT, "q_lora_rank": 7, "topk_method": "group_limited_greedy", "topk_group": 2,
         "routed_scaling_factor": 3.0, "tie_word_embeddings": True,
         "rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7}},
    ),
    "llama, classes": ("LlamaForSequenceClassification", "LlamaConfig", {**GROUPED, "num_labels": 5}),
    "llama, classes, padding": (
        "LlamaForSequenceClassification", "LlamaConfig", {**GROUPED, "num_labels": 3, "pad_token_id": 19},
    ),
    "llama, questions": ("LlamaForQuestionAnswering", "LlamaConfig", GROUPED),
    "mistral, classes of tokens": ("MistralForTokenClassification", "MistralConfig", {**GROUPED, "num_labels": 5}),
    "qwen2, classes": (
        "Qwen2ForSequenceClassification", "Qwen2Config", {**GROUPED, "num_labels": 5, "pad_token_id": 0},
    ),
    "gemma2, classes": ("Gemma2ForSequenceClassification", "Gemma2Config", {**WIDE_HEADS, "num_labels": 5}),
    "gpt2, classes": ("GPT2ForSequenceClassification", "GPT2Config", {**GPT2, "num_labels": 5}),
    "vaultgemma": ("VaultGemmaForCausalLM", "VaultGemmaConfig", {**WIDE_HEADS, "sliding_window": 4}),
    "hunyuan": ("HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Config", {**WIDE_HEADS, "attention_bias": True}),
    "bitnet": ("BitNetForCausalLM", "BitNetConfig", GROUPED),
    "bitnet, biases": ("BitNetModel", "BitNetConfig", {**GROUPED, "attention_bias": True, "hidden_act": "silu"}),
    "apertus": ("ApertusForCausalLM", "ApertusConfig", GROUPED),
    "apertus, biases": (
        "ApertusModel", "ApertusConfig",
        {**GROUPED, "attention_bias": True, "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    ),
    "openai-gpt": ("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", GPT2),
    "openai-gpt, relu": ("OpenAIGPTModel", "OpenAIGPTConfig", {**GPT2, "afn": "relu", "layer_norm_epsilon": 1e-2}),
    "gpt_bigcode": ("GPTBigCodeForCausalLM", "GPTBigCodeConfig", GPT2),
    "gpt_bigcode, all heads": (
        "GPTBigCodeModel", "GPTBigCodeConfig", {**GPT2, "multi_query": False, "scale_attn_weights": False},
    ),
    "codegen": ("CodeGenForCausalLM", "CodeGenConfig", {**GPT2, "n_embd": 48, "rotary_dim": 4}),
    "biogpt": ("BioGptForCausalLM", "BioGptConfig", SIZES),
    "biogpt, not scaled": ("BioGptModel", "BioGptConfig", {**SIZES, "scale_embedding": False, "hidden_act": "relu"}),
    "mpt": ("MptForCausalLM", "MptConfig", MPT),
    "mpt, clipped": (
        "MptModel", "MptConfig", {**MPT, "n_heads": 4, "attn_config": {"clip_qkv": 0.5, "softmax_scale": 0.3}},
    ),
    "electra": ("ElectraModel", "ElectraConfig", {**BERT, "embedding_size": 10}),
    "electra, masked": ("ElectraForMaskedLM", "ElectraConfig", {**BERT, "embedding_size": 10, "hidden_act": "relu"}),
    "electra, masked, as wide": ("ElectraForMaskedLM", "ElectraConfig", {**BERT, "embedding_size": 24}),
    "electra, classes": (
        "ElectraForSequenceClassification", "ElectraConfig", {**BERT, "embedding_size": 10, "num_labels": 5},
    ),
    "electra, questions": ("ElectraForQuestionAnswering", "ElectraConfig", {**BERT, "embedding_size": 10}),
    "albert": ("AlbertModel", "AlbertConfig", {**BERT, "embedding_size": 10}),
    "albert, masked": ("AlbertForMaskedLM", "AlbertConfig", {**BERT, "embedding_size": 24, "hidden_act": "relu"}),
    "albert, token classes": ("AlbertForTokenClassification", "AlbertConfig", {**BERT, "embedding_size": 10}),
    "albert, questions": ("AlbertForQuestionAnswering", "AlbertConfig", {**BERT, "embedding_size": 10}),
    "albert, untied": (
        "AlbertForMaskedLM", "AlbertConfig", {**BERT, "embedding_size": 10, "tie_word_embeddings": False},
    ),
    "bert, before training": ("BertForPreTraining", "BertConfig", BERT),
    "bert, next sentence": ("BertForNextSentencePrediction", "BertConfig", BERT),
    "roberta, decoder": ("RobertaForCausalLM", "RobertaConfig", {**BERT, "pad_token_id": 1, "is_decoder": True}),
    "esm": (
        "EsmModel", "EsmConfig",
        {**SIZES, "position_embedding_type": "rotary", "token_dropout": True, "mask_token_id": 8, "pad_token_id": 1},
    ),
    "esm, masked": (
        "EsmForMaskedLM", "EsmConfig",
        {**SIZES, "position_embedding_type": "rotary", "rope_theta": 50.0, "token_dropout": True, "mask_token_id": 36,
         "pad_token_id": 1, "layer_norm_eps": 1e-3},
    ),
    "esm, learned positions": (
        "EsmForSequenceClassification", "EsmConfig",
        {**SIZES, "emb_layer_norm_before": True, "pad_token_id": 8, "mask_token_id": 2, "num_labels": 5},
    ),
    "modernbert": ("ModernBertModel", "ModernBertConfig", MODERN),
    "modernbert, masked": (
        "ModernBertForMaskedLM", "ModernBertConfig",
        {**MODERN, "attention_bias": True, "mlp_bias": True, "local_attention": 4, "hidden_activation": "silu"},
    ),
    "modernbert, masked, untied": (
        "ModernBertForMaskedLM", "ModernBertConfig",
        {**MODERN, "decoder_bias": False, "tie_word_embeddings": False, "classifier_activation": "relu",
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]},
    ),
    "deberta_v2": ("DebertaV2Model", "DebertaV2Config", DEBERTA),
    "deberta_v2, own, biased positions": (
        "DebertaV2ForSequenceClassification", "DebertaV2Config",
        {**DEBERTA, "share_att_key": False, "position_biased_input": True, "type_vocab_size": 2, "num_labels": 5,
         "max_relative_positions": 12, "layer_norm_eps": 1e-3, "pooler_hidden_act": "tanh"},
    ),
    "deberta_v2, each distance": (
        "DebertaV2ForMaskedLM", "DebertaV2Config",
        {**DEBERTA, "position_buckets": -1, "max_relative_positions": 7, "pos_att_type": ["c2p"],
         "norm_rel_ebd": "none", "hidden_act": "relu"},
    ),
    "deberta_v2, of keys": (
        "DebertaV2ForQuestionAnswering", "DebertaV2Config",
        {**DEBERTA, "pos_att_type": ["p2c"], "share_att_key": False, "position_buckets": 9},
    ),
    "deberta_v2, no distances": (
        "DebertaV2ForTokenClassification", "DebertaV2Config",
        {**DEBERTA, "relative_attention": False, "position_biased_input": True, "norm_rel_ebd": "none"},
    ),
    "phimoe": ("PhimoeForCausalLM", "PhimoeConfig", {**ROUTED, "num_local_experts": 5, "lm_head_bias": True}),
    "phimoe, long, near": (
        "PhimoeModel", "PhimoeConfig",
        {**ROUTED, "num_local_experts": 6, "router_jitter_noise": 0.4, "attention_bias": True, "sliding_window": 7,
         "rope_parameters": {
             "rope_type": "longrope", "rope_theta": 90.0, "short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0],
             "short_mscale": 1.2, "long_mscale": 1.2, "original_max_position_embeddings": 12}},
    ),
    "minimax": (
        "MiniMaxForCausalLM", "MiniMaxConfig",
        {**ROUTED, "num_local_experts": 5, "layer_types": ["full_attention"] * 3, "full_attn_alpha_factor": 3.5,
         "mlp_alpha_factor": 3.5},
    ),
    "minimax, window": (
        "MiniMaxModel", "MiniMaxConfig",
        {**ROUTED, "num_local_experts": 4, "num_experts_per_tok": 3, "head_dim": 8, "sliding_window": 5,
         "layer_types": ["full_attention"] * 3, "full_attn_beta_factor": 0.4, "mlp_beta_factor": 0.4},
    ),
    "ministral3": (
        "Ministral3ForCausalLM", "Ministral3Config",
        {**GROUPED, "head_dim": 12, "rope_parameters": {
            **YARN, "original_max_position_embeddings": 7, "llama_4_scaling_beta": 0.4, "mscale": 1.0,
            "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1}},
    ),
    "ministral3, defaults, window": (
        "Ministral3Model", "Ministral3Config", {**WIDE_HEADS, "sliding_window": 5, "rms_norm_eps": 1e-3},
    ),
    "mistral3, ministral": (
        "Mistral3ForConditionalGeneration", "Mistral3Config",
        {"text_config": {**GROUPED, "head_dim": 12, "model_type": "ministral3", "rope_parameters": {
             **YARN, "original_max_position_embeddings": 5, "llama_4_scaling_beta": 0.3}},
         "tie_word_embeddings": False, "vision_config": {**SEEING, "model_type": "pixtral"}},
    ),
    "opt, projected": (
        "OPTForCausalLM", "OPTConfig",
        {**SIZES, "ffn_dim": 22, "word_embed_proj_dim": 10, "do_layer_norm_before": False,
         "max_position_embeddings": 90},
    ),
    "gemma4": ("Gemma4ForCausalLM", "Gemma4TextConfig", GEMMA4),
    "gemma4, no extras, keys as values": (
        "Gemma4TextModel", "Gemma4TextConfig",
        {**GEMMA4, "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0, "attention_k_eq_v": True,
         "layer_types": None, "num_hidden_layers": 6,
         "num_global_key_value_heads": 1, "attention_bias": True, "final_logit_softcapping": 3.0},
    ),
    "gemma4, both ways": (
        "Gemma4ForCausalLM", "Gemma4TextConfig",
        {**GEMMA4, "use_bidirectional_attention": "all", "hidden_activation": "silu", "final_logit_softcapping": 2.0,
         "attention_k_eq_v": True, "rms_norm_eps": 1e-3,
         "rope_parameters": {
             "full_attention": {"rope_type": "proportional", "rope_theta": 50.0, "partial_rotary_factor": 0.5},
             "sliding_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 77.0}}},
    ),
    "gemma4, experts": (
        "Gemma4ForCausalLM", "Gemma4TextConfig",
        {**GEMMA4, "enable_moe_block": True, "num_experts": 5, "top_k_experts": 2, "moe_intermediate_size": 12},
    ),
    "gemma4, experts, no extras": (
        "Gemma4TextModel", "Gemma4TextConfig",
        {**GEMMA4, "enable_moe_block": True, "num_experts": 4, "top_k_experts": 3, "moe_intermediate_size": 8,
         "hidden_size_per_layer_input": 0, "rms_norm_eps": 1e-3, "hidden_activation": "silu"},
    ),
    "gemma4_unified": (
        "Gemma4UnifiedForCausalLM", "Gemma4UnifiedTextConfig", {**GEMMA4_PLAIN, "attention_k_eq_v": True},
    ),
    "gemma4_unified, yarn in full layers": (
        "Gemma4UnifiedForCausalLM", "Gemma4UnifiedTextConfig",
        {**GEMMA4_PLAIN, "rope_parameters": {
            "full_attention": {**YARN, "truncate": False, "beta_fast": 3, "beta_slow": 0.5},
            "sliding_attention": {"rope_type": "default", "rope_theta": 77.0}}},
    ),
    "gemma4_unified, of images": (
        "Gemma4UnifiedForConditionalGeneration", "Gemma4UnifiedConfig",
        {"text_config": GEMMA4_PLAIN, "vision_config": None, "audio_config": None},
    ),
    "gemma4, of images": (
        "Gemma4ForConditionalGeneration", "Gemma4Config",
        {"text_config": {**GEMMA4, "hidden_size_per_layer_input": 0}, "vision_config": None, "audio_config": None},
    ),
    "vit": ("ViTModel", "ViTConfig", IMAGE),
    "vit, deit": ("DeiTModel", "DeiTConfig", IMAGE),
    "vit, deit, classes": ("DeiTForImageClassification", "DeiTConfig", {**IMAGE, "num_labels": 5, "qkv_bias": False}),
    "vit, dinov2": ("Dinov2Model", "Dinov2Config", IMAGE),
    "vit, dinov2, gated": (
        "Dinov2Model", "Dinov2Config", {**IMAGE, "use_swiglu_ffn": True, "qkv_bias": False, "layer_norm_eps": 1e-3},
    ),
    "vit, dinov2, registers": (
        "Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**IMAGE, "num_register_tokens": 3, "mlp_ratio": 2},
    ),
    "vit, dinov2, classes": ("Dinov2ForImageClassification", "Dinov2Config", {**IMAGE, "num_labels": 5}),
    "vit, dinov2, registers, classes": (
        "Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig",
        {**IMAGE, "num_register_tokens": 3, "num_labels": 5},
    ),
    "vit, siglip": ("SiglipVisionModel", "SiglipVisionConfig", {**IMAGE, "num_channels": 2, "layer_norm_eps": 1e-3}),
    "vit, clip": ("CLIPVisionModel", "CLIPVisionConfig", IMAGE),
    **PAIRS,
    "vit, classes, no bias": (
        "ViTForImageClassification", "ViTConfig",
        {**IMAGE, "qkv_bias": False, "num_labels": 5, "num_channels": 2, "patch_size": 3, "hidden_act": "gelu_new"},
    ),
}  # fmt: skip
"""What each is, its class, its config's class, and how its config differs from the defaults."""


TEXTS = [name for name in CONFIGURATIONS if not name.startswith(("vit", "pair"))]
"""Those that read one text."""


def made(name: str) -> Any:
    """A model of a configuration, with weights large enough that every convention shows."""
    return made_of(*CONFIGURATIONS[name], sum(map(ord, name)))


def made_of(model_class: str, config_class: str, options: dict[str, Any], seed: int) -> Any:
    """A model of these classes and options."""
    torch.manual_seed(seed)
    config = getattr(transformers, config_class)(**options)
    model = getattr(transformers, model_class)._from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue  # sinusoids
            parameter.add_(torch.randn_like(parameter) * (0.1 if parameter.ndim > 1 else 0.3))
        for name, buffer in model.named_buffers():
            if name.endswith("correction_bias"):
                buffer.add_(torch.randn_like(buffer) * 0.3)
    return model


def theirs(model: Any, **given: torch.Tensor) -> Any:
    """What Transformers works out, with all it exposes."""
    with torch.inference_mode():
        return model(**given, output_hidden_states=True, output_attentions=True)


def exposed(model: Any, out: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Each array that Transformers gives, without its batch of one, by our name of the line."""
    if model.spec.encoder is not None:
        yield from _of_two(model, out)
        return
    last = getattr(out, "last_hidden_state", None)
    tied = not model.reads_images if last is None else torch.equal(last, out.hidden_states[-1])
    ends_with_norm = model.spec.norm is not None and tied
    ends_narrow = model.spec.narrowed and tied
    hidden = [*model.hidden[:-1], "narrowed" if ends_narrow else "norm" if ends_with_norm else model.hidden[-1]]
    yield from zip(hidden, (each[0] for each in out.hidden_states), strict=True)
    softmaxed = [layer for layer, block in enumerate(model.spec.layers) if block.attention.delta is None]
    for layer, weights in zip(softmaxed, out.attentions, strict=True):
        yield f"layers.{layer}.attention.weights", weights[0]
    for name, result in (("pooled", "pooler_output"), ("logits", "logits"), ("logits", "prediction_logits")):
        if getattr(out, result, None) is not None and name in model.working().names:
            yield name, getattr(out, result)[0]
    if getattr(out, "start_logits", None) is not None:
        yield "logits", torch.stack([out.start_logits[0], out.end_logits[0]], dim=-1)


def _of_two(model: Any, out: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The same of an encoder-decoder."""
    stacks = ("encoder.", model.encoder_hidden, out.encoder_hidden_states, out.encoder_attentions), (
        "", model.hidden, out.decoder_hidden_states, out.decoder_attentions,
    )  # fmt: skip
    for path, ours, states, attentions in stacks:
        norm = model.spec.norm if path == "" else model.spec.encoder.norm
        names = [*ours[:-1], f"{path}norm" if norm is not None else ours[-1]]
        yield from zip(names, (each[0] for each in states), strict=True)
        yield from ((f"{path}layers.{n}.attention.weights", each[0]) for n, each in enumerate(attentions))
    yield from ((f"layers.{n}.cross.weights", each[0]) for n, each in enumerate(out.cross_attentions))
    yield "logits", out.logits[0] if "logits" in out else torch.stack([out.start_logits[0], out.end_logits[0]], dim=-1)
