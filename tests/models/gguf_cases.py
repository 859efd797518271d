"""Families as GGUF files: the configurations that tests write, and the metadata of each."""

from tests.conformance.families import (
    BERT,
    BLOOM,
    DISTIL,
    GPT2,
    GROUPED,
    GROUPS,
    LATENT,
    MOE,
    MPT,
    ROUTED,
    SIZES,
    WIDE_HEADS,
    YARN,
)
from tests.conformance.pairs import T5

RMS = {"attention.layer_norm_rms_epsilon": "rms_norm_eps"}
MEAN = {"attention.layer_norm_epsilon": "layer_norm_eps"}
EXPERTS = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok"}
LOCAL = {"expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok"}
HALF = {"partial_rotary_factor": 0.5}
GPT_MEAN = {"attention.layer_norm_epsilon": "layer_norm_epsilon"}
ENCODER = {"attention.causal": False, "pooling_type": 1}
DEPTH = {"attention.key_length": "head_dim"}
OF_T5 = {
    "attention.layer_norm_epsilon": "layer_norm_epsilon", "attention.layer_norm_rms_epsilon": "layer_norm_epsilon",
    "attention.key_length": "d_kv", "attention.value_length": "d_kv",
    "attention.relative_buckets_count": "relative_attention_num_buckets", "decoder_start_token_id": 0,
}  # fmt: skip
IN_GROUPS = {
    "expert_count": "n_routed_experts", "expert_used_count": "num_experts_per_tok", "expert_group_count": "n_group",
    "expert_group_used_count": "topk_group", "expert_shared_count": 1,
    "leading_dense_block_count": "first_k_dense_replace", "expert_weights_scale": "routed_scaling_factor",
}  # fmt: skip
OF_LATENT = {
    **RMS, **IN_GROUPS, "attention.head_count_kv": 1, "attention.kv_lora_rank": 12, "attention.key_length": 16,
    "attention.value_length": 12, "attention.key_length_mla": 10, "attention.value_length_mla": 5,
    "rope.dimension_count": 4,
}  # fmt: skip

CASES = {
    "gemma": ("GEMMA", "GemmaForCausalLM", "GemmaConfig", WIDE_HEADS, {**RMS, "attention.key_length": "head_dim"}),
    "gemma2": (
        "GEMMA2", "Gemma2ForCausalLM", "Gemma2Config",
        {**WIDE_HEADS, "sliding_window": 4, "query_pre_attn_scalar": 10, "attn_logit_softcapping": 3.0},
        {**RMS, "attention.key_length": "head_dim", "attention.sliding_window": "sliding_window",
         "attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"},
    ),
    "gemma3": (
        "GEMMA3", "Gemma3ForCausalLM", "Gemma3TextConfig",
        {**WIDE_HEADS, "num_hidden_layers": 7, "sliding_window": 4, "query_pre_attn_scalar": 10,
         "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                             "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500.0}}},
        {**RMS, "attention.key_length": "head_dim", "attention.sliding_window": "sliding_window",
         "rope.freq_base": 500.0, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
    ),
    "olmo": (
        "OLMO", "OlmoForCausalLM", "OlmoConfig", {**GROUPED, "clip_qkv": 0.3},
        {"attention.layer_norm_epsilon": 1e-5, "attention.clamp_kqv": "clip_qkv"},
    ),
    "falcon": (
        "FALCON", "FalconForCausalLM", "FalconConfig", SIZES,
        {"attention.layer_norm_epsilon": "layer_norm_epsilon", "attention.head_count_kv": 1,
         "tensor_data_layout": "jploski"},
    ),
    "falcon, new": (
        "FALCON", "FalconForCausalLM", "FalconConfig", {**SIZES, "new_decoder_architecture": True, "num_kv_heads": 2},
        {"attention.layer_norm_epsilon": "layer_norm_epsilon", "attention.head_count_kv": 2},
    ),
    "command-r": (
        "COMMAND_R", "CohereForCausalLM", "CohereConfig", {**GROUPED, "logit_scale": 0.3},
        {**MEAN, "logit_scale": "logit_scale", "rope.scaling.type": "none"},
    ),
    "command-r, normed": (
        "COMMAND_R", "CohereForCausalLM", "CohereConfig", {**GROUPED, "use_qk_norm": True},
        {**MEAN, "logit_scale": "logit_scale"},
    ),
    "cohere2": (
        "COHERE2", "Cohere2ForCausalLM", "Cohere2Config", {**GROUPED, "num_hidden_layers": 5, "sliding_window": 4},
        {**MEAN, "logit_scale": "logit_scale", "attention.sliding_window": "sliding_window"},
    ),
    "llama": (
        "LLAMA", "MixtralForCausalLM", "MixtralConfig", {**ROUTED, "num_local_experts": 5},
        {**RMS, "expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok"},
    ),
    "llama, dense": ("LLAMA", "LlamaForCausalLM", "LlamaConfig", GROUPED, RMS),
    "llama, as Mistral": ("LLAMA", "MistralForCausalLM", "MistralConfig", {**GROUPED, "sliding_window": None}, RMS),
    "qwen2": ("QWEN2", "Qwen2ForCausalLM", "Qwen2Config", GROUPED, RMS),
    "qwen3": ("QWEN3", "Qwen3ForCausalLM", "Qwen3Config", WIDE_HEADS, {**RMS, "attention.key_length": "head_dim"}),
    "gpt-oss": (
        "GPT_OSS", "GptOssForCausalLM", "GptOssConfig",
        {**ROUTED, "num_local_experts": 5, "head_dim": 8, "sliding_window": 4, "num_experts_per_tok": 2},
        {**RMS, "expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok",
         "attention.sliding_window": "sliding_window", "attention.key_length": "head_dim",
         "rope.scaling.type": "yarn", "rope.scaling.factor": 32.0, "rope.scaling.original_context_length": 4096},
    ),
    "gpt2": (
        "GPT2", "GPT2LMHeadModel", "GPT2Config", GPT2, {"attention.layer_norm_epsilon": "layer_norm_epsilon"},
    ),
    "phi3": ("PHI3", "Phi3ForCausalLM", "Phi3Config", {**GROUPED, "pad_token_id": 0, "sliding_window": None}, RMS),
    "starcoder2": (
        "STARCODER2", "Starcoder2ForCausalLM", "Starcoder2Config", GROUPED,
        {"attention.layer_norm_epsilon": "norm_epsilon"},
    ),
    "stablelm": (
        "STABLELM", "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, **HALF, "use_qkv_bias": True},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "stablelm, parallel": (
        "STABLELM", "StableLmForCausalLM", "StableLmConfig",
        {**GROUPED, **HALF, "use_parallel_residual": True, "qk_layernorm": True},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "olmo2": ("OLMO2", "Olmo2ForCausalLM", "Olmo2Config", GROUPED, RMS),
    "nemotron": (
        "NEMOTRON", "NemotronForCausalLM", "NemotronConfig", {**GROUPED, "head_dim": 4},
        {"attention.layer_norm_epsilon": "norm_eps", "rope.dimension_count": 2},
    ),
    "granite": (
        "GRANITE", "GraniteForCausalLM", "GraniteConfig",
        {**GROUPED, "embedding_multiplier": 3.0, "logits_scaling": 7.0, "residual_multiplier": 0.4,
         "attention_multiplier": 0.2},
        {**RMS, "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
         "residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier"},
    ),
    "qwen2moe": (
        "QWEN2MOE", "Qwen2MoeForCausalLM", "Qwen2MoeConfig", {**MOE, "shared_expert_intermediate_size": 20},
        {**RMS, **EXPERTS},
    ),
    "qwen3moe": (
        "QWEN3MOE", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**MOE, "head_dim": 10, "norm_topk_prob": True},
        {**RMS, **EXPERTS, "attention.key_length": "head_dim"},
    ),
    "gptneox": (
        "GPTNEOX", "GPTNeoXForCausalLM", "GPTNeoXConfig", {**SIZES, "num_attention_heads": 3},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "gptneox, one after the other": (
        "GPTNEOX", "GPTNeoXForCausalLM", "GPTNeoXConfig",
        {**SIZES, "num_attention_heads": 3, "use_parallel_residual": False},
        {**MEAN, "rope.dimension_count": 2, "use_parallel_residual": "use_parallel_residual"},
    ),
    "phi2": ("PHI2", "PhiForCausalLM", "PhiConfig", SIZES, {**MEAN, "rope.dimension_count": 2}),
    "bloom": ("BLOOM", "BloomForCausalLM", "BloomConfig", BLOOM, GPT_MEAN),
    "mpt": (
        "MPT", "MptForCausalLM", "MptConfig", {**MPT, "attn_config": {"clip_qkv": 0.4}},
        {"attention.layer_norm_epsilon": 1e-5, "attention.clamp_kqv": 0.4, "attention.max_alibi_bias": 8.0},
    ),
    "starcoder": (
        "STARCODER", "GPTBigCodeForCausalLM", "GPTBigCodeConfig", GPT2, {**GPT_MEAN, "attention.head_count_kv": 1},
    ),
    "bert": ("BERT", "BertModel", "BertConfig", BERT, {**MEAN, **ENCODER}),
    "bert, roberta": ("BERT", "RobertaModel", "RobertaConfig", {**BERT, "pad_token_id": 1}, {**MEAN, **ENCODER}),
    "bert, distilbert": (
        "BERT", "DistilBertModel", "DistilBertConfig", DISTIL, {"attention.layer_norm_epsilon": 1e-12, **ENCODER},
    ),
    "eurobert": ("EUROBERT", "EuroBertModel", "EuroBertConfig", {**GROUPED, "pad_token_id": 0}, {**RMS, **ENCODER}),
    "t5": ("T5", "T5ForConditionalGeneration", "T5Config", T5, {**OF_T5, "decoder_block_count": "num_decoder_layers"}),
    "t5, umt5, own head": (
        "T5", "UMT5ForConditionalGeneration", "UMT5Config",
        {**T5, "num_decoder_layers": None, "relative_attention_num_buckets": 8, "tie_word_embeddings": False}, OF_T5,
    ),
    "t5encoder": ("T5ENCODER", "T5EncoderModel", "T5Config", T5, OF_T5),
    "chatglm": (
        "CHATGLM", "GlmForCausalLM", "GlmConfig", {**GROUPED, "head_dim": 4, "pad_token_id": 0},
        {**RMS, "rope.dimension_count": 2},
    ),
    "glm4": (
        "GLM4", "Glm4ForCausalLM", "Glm4Config", {**GROUPED, "head_dim": 8, "pad_token_id": 0},
        {**RMS, **DEPTH, "rope.dimension_count": 4},
    ),
    "ernie4_5": ("ERNIE4_5", "Ernie4_5ForCausalLM", "Ernie4_5Config", {**GROUPED, "head_dim": 8}, {**RMS, **DEPTH}),
    "seed_oss": ("SEED_OSS", "SeedOssForCausalLM", "SeedOssConfig", {**GROUPED, "head_dim": 8}, {**RMS, **DEPTH}),
    "smollm3": (
        "SMOLLM3", "SmolLM3ForCausalLM", "SmolLM3Config", {**GROUPED, "pad_token_id": 0, "num_hidden_layers": 5}, RMS,
    ),
    "arcee": ("ARCEE", "ArceeForCausalLM", "ArceeConfig", GROUPED, RMS),
    "hunyuan-dense": (
        "HUNYUAN_DENSE", "HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Config", WIDE_HEADS, {**RMS, **DEPTH},
    ),
    "exaone4": (
        "EXAONE4", "Exaone4ForCausalLM", "Exaone4Config",
        {**GROUPED, "sliding_window": 4, "layer_types": ["full_attention", *["sliding_attention"] * 2]},
        {**RMS, "attention.sliding_window": "sliding_window", "attention.sliding_window_pattern": [False, True, True]},
    ),
    "exaone4, no window": (
        "EXAONE4", "Exaone4ForCausalLM", "Exaone4Config",
        {**GROUPED, "sliding_window": None, "layer_types": ["full_attention"] * 3}, RMS,
    ),
    "olmo2, OLMo 3": (
        "OLMO2", "Olmo3ForCausalLM", "Olmo3Config",
        {**GROUPED, "sliding_window": 4, "num_hidden_layers": 5, "rope_parameters": {
            "full_attention": YARN, "sliding_attention": {"rope_type": "default", "rope_theta": 300.0}}},
        {**RMS, "attention.sliding_window": "sliding_window", "rope.freq_base": 300.0, "rope.scaling.type": "yarn",
         "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 20},
    ),
    "olmoe": ("OLMOE", "OlmoeForCausalLM", "OlmoeConfig", MOE, {**RMS, **EXPERTS}),
    "granitemoe": (
        "GRANITE_MOE", "GraniteMoeForCausalLM", "GraniteMoeConfig",
        {**ROUTED, "num_local_experts": 5, "attention_multiplier": 0.3, "logits_scaling": 3.0,
         "residual_multiplier": 0.4, "embedding_multiplier": 2.0},
        {**RMS, **LOCAL, "embedding_scale": "embedding_multiplier", "logit_scale": "logits_scaling",
         "residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier"},
    ),
    "minimax-m2": (
        "MINIMAXM2", "MiniMaxM2ForCausalLM", "MiniMaxM2Config",
        {**ROUTED, "num_local_experts": 5, "num_experts_per_tok": 2, "head_dim": 12, "rotary_dim": 6},
        {**RMS, **LOCAL, **DEPTH, "rope.dimension_count": 6, "expert_gating_func": 2},
    ),
    "ernie4_5-moe": (
        "ERNIE4_5_MOE", "Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeConfig",
        {**ROUTED, "num_hidden_layers": 4, "moe_num_experts": 4, "moe_intermediate_size": 8, "moe_k": 3,
         "moe_layer_interval": 2},
        {**RMS, "expert_count": 4, "expert_used_count": 3, "leading_dense_block_count": "moe_layer_start_index",
         "interleave_moe_layer_step": 2, "expert_shared_count": "moe_num_shared_experts"},
    ),
    "glm4moe": (
        "GLM4_MOE", "Glm4MoeForCausalLM", "Glm4MoeConfig",
        {**GROUPS, "use_qk_norm": True, "head_dim": 8, "attention_bias": True, "routed_scaling_factor": 1.7},
        {**RMS, **DEPTH, **IN_GROUPS, "rope.dimension_count": 4, "expert_gating_func": 2, "nextn_predict_layers": 0,
         "expert_weights_norm": "norm_topk_prob"},
    ),
    "deepseek2": (
        "DEEPSEEK2", "DeepseekV3ForCausalLM", "DeepseekV3Config",
        {**LATENT, "q_lora_rank": 10, "rope_parameters": {**YARN, "mscale": 0.7, "mscale_all_dim": 0.7}},
        {**OF_LATENT, "attention.q_lora_rank": 10, "expert_gating_func": 2, "expert_weights_norm": "norm_topk_prob",
         "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 20,
         "rope.scaling.yarn_log_multiplier": 0.07},
    ),
    "deepseek2, V2": (
        "DEEPSEEK2", "DeepseekV2ForCausalLM", "DeepseekV2Config",
        {**LATENT, "q_lora_rank": None, "topk_method": "group_limited_greedy", "routed_scaling_factor": 3.0},
        OF_LATENT,
    ),
}  # fmt: skip
"""The architecture as llama.cpp calls it, the model of Transformers, and where its metadata come from."""
