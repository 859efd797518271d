"""Entries of all families' configs that change no number, each with the reason, or that may have one value only."""

from __future__ import annotations

from typing import Any


def _each(names: str, reason: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


COMMON: dict[str, str] = {
    **_each(
        "architectures model_type _name_or_path name_or_path transformers_version auto_map tokenizer_class "
        "finetuning_task task_specific_params problem_type id2label label2id num_labels _num_labels language license "
        "model_name base_model_name_or_path unsloth_version unsloth_fixed _commit_hash transformers.js_config "
        "sentence_transformers prefix custom_pipelines",
        "says the model's name or purpose",
    ),
    **_each(
        "torch_dtype dtype use_bfloat16 fp32_residual_connection bf16 fp16",
        "says in which type numbers were stored; they are converted to float32",
    ),
    **_each(
        "use_cache output_attentions output_hidden_states output_scores return_dict return_dict_in_generate "
        "torchscript tf_legacy_loss chunk_size_feed_forward gradient_checkpointing attn_implementation "
        "_attn_implementation _attn_implementation_autoset _attn_implementation_internal _flash_attn_2_enabled "
        "use_flash_attn use_flash_attention keys_to_ignore_at_inference remove_invalid_values _experts_implementation "
        "_output_attentions tie_last_hidden_states pretraining_tp",
        "says how the same numbers are computed or returned",
    ),
    **_each(
        "attention_dropout hidden_dropout dropout resid_pdrop embd_pdrop attn_pdrop embed_dropout resid_dropout "
        "classifier_dropout embedding_dropout residual_dropout attention_probs_dropout_prob hidden_dropout_prob "
        "attn_dropout layerdrop qa_dropout seq_classif_dropout mlp_dropout classifier_dropout_prob "
        "summary_first_dropout attention_dropout_prob initializer_range init_std initializer_factor "
        "router_aux_loss_coef z_loss_coefficient aux_loss_alpha label_smoothing",
        "matters in training only",
    ),
    **_each(
        "bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id decoder_start_token_id "
        "pad_token_id max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty "
        "temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size "
        "encoder_no_repeat_ngram_size bad_words_ids num_return_sequences forced_bos_token_id forced_eos_token_id "
        "exponential_decay_length_penalty suppress_tokens begin_suppress_tokens max_new_tokens",
        "matters where text is generated",
    ),
    **_each(
        "vocab_size intermediate_size n_inner max_position_embeddings n_positions n_ctx type_vocab_size "
        "max_sequence_length seq_length "
        "max_seq_len model_max_length tokenizer_model_max_length",
        "is a size that the arrays have, or a limit of training",
    ),
}
"""Entries of a config that change no number."""

FIXED: dict[str, tuple[Any, ...]] = {
    "quantization_config": (None,),
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "per_layer_config": ({}, None),
    "is_decoder": (False, None),
    "use_bidirectional_attention": (False, None),
    "adapter_config": (None,),
}
"""Entries of which only these values are known to change nothing."""

QUANTISED = {
    "weight_scale_inv", "weight_scale", "weight_scale_2", "input_scale", "SCB", "weight_format", "qweight", "qzeros",
    "scales", "g_idx", "absmax", "quant_map", "nested_absmax", "nested_quant_map", "bitsandbytes__nf4",
    "bitsandbytes__fp4", "weight_packed", "weight_shape", "weight_zero_point", "weight_g_idx", "k_scale", "v_scale",
    "weight_global_scale", "input_global_scale", "activation_scale",
}  # fmt: skip
"""The last words of the names of arrays that belong to quantised weights."""
