"""All operations by name: the textbook's, and those that only deviations use."""

from clearhead.errors import UnknownName, suggest
from clearhead.ops.gradients.gradient import gradient_named
from clearhead.ops.operation import Operation
from clearhead.ops.textbook import (
    disentangled,
    experts,
    linear,
    losses,
    positions,
    recurrent,
    relative,
    rotary_scaling,
    scores,
    tables,
    tokens,
    training,
)
from clearhead.ops.variants import batch as variants_batch
from clearhead.ops.variants import experts as variants_experts
from clearhead.ops.variants import gradients as variants_gradients
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import losses as variants_losses
from clearhead.ops.variants import maps as variants_maps
from clearhead.ops.variants import norms as variants_norms
from clearhead.ops.variants import positions as variants_positions
from clearhead.ops.variants import recurrent as variants_recurrent
from clearhead.ops.variants import rounding
from clearhead.ops.variants import scores as variants_scores
from clearhead.ops.variants import training as variants_training

TEXTBOOK: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        linear.matmul, linear.matmul_transposed, linear.project, linear.add, linear.multiply, linear.bias,
        linear.head_bias, linear.weighted_sum, linear.concat, linear.split, linear.repeat, linear.append,
        linear.beside_shared, linear.convolve, relative.relative_bias, disentangled.add_by_query,
        disentangled.add_by_key,
        scores.scale, scores.scale_by_depth, scores.softcap, scores.mask_boolean, scores.mask_additive,
        scores.mask_padding, scores.mask_causal, scores.mask_window, scores.alibi_slopes, scores.alibi,
        scores.softmax, scores.softmax_with_sink, scores.softmax_over_queries, scores.append_sink, scores.drop_sink,
        scores.exponential, scores.sum_of_row,
        tokens.layer_norm, tokens.rms_norm, tokens.norm_over_matrix, tokens.gain, tokens.gain_and_bias,
        tokens.layer_scale,
        tokens.relu, tokens.silu, tokens.gelu, tokens.gelu_tanh, tokens.tanh, tokens.relu_squared, tokens.gelu_sigmoid,
        tokens.xielu, tokens.clip, tokens.clip_above, tokens.shift, tokens.rms_norm_of_heads, tokens.head_gain,
        tokens.dropout,
        experts.softmax_over_experts, experts.logistic, experts.among_largest, experts.best_of_groups,
        experts.mask_groups, experts.near_largest, experts.mask_chosen,
        experts.shares, experts.project_chosen, experts.matmul_chosen, experts.sum_chosen,
        experts.dot, experts.scale_rows,
        recurrent.convolve_before, recurrent.unit_length, recurrent.project_to_numbers, recurrent.softplus_of_sum,
        recurrent.log_decay, recurrent.decay_since, recurrent.corrected,
        positions.sinusoidal, positions.sinusoidal_at, positions.count, positions.count_on, positions.divide_positions,
        positions.rotary_angles, positions.rotary_frequencies, positions.angles,
        positions.log_growth, positions.grow,
        positions.cos, positions.sin, positions.rotate_half, positions.rotate_interleaved,
        rotary_scaling.stretch_slow, rotary_scaling.divide_by_ramp, rotary_scaling.divide_frequencies,
        rotary_scaling.turn_first,
        rotary_scaling.divide_by_length, rotary_scaling.dynamic_frequencies,
        tables.look_up, tables.rows_of_real, tables.first_rows, tables.next_rows, tables.prepend, tables.insert_second,
        tables.drop_masked, tables.first_token,
        tables.last_token, tables.last_real_token, tables.last_marked_token, tables.mean_token, tables.mean_real_token,
        tables.pick, tables.instead, tables.instead_of_head,
        losses.cross_entropy, losses.negative_log_likelihood, losses.squared_error, losses.mean_of_tokens,
        losses.sum_of_tokens, losses.mean_of_counted, losses.mean_of_cells, losses.weigh_by_class,
        losses.mean_by_weight,
        training.zeros, training.add_decay, training.shrink, training.velocity, training.look_ahead,
        training.first_moment, training.second_moment, training.unbiased, training.add_square, training.step_along,
        training.step_scaled, training.squared_length, training.root_of_number, training.shorten,
        rounding.round_decimals, rounding.round_head,
    )
}  # fmt: skip
"""The operations that specs use, and those of the first deviations, by name."""

VARIANTS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        variants_heads.unchanged, variants_heads.transposed, variants_heads.weighted_sum_transposed,
        variants_heads.project_transposed, variants_heads.swap_heads, variants_heads.first_head,
        variants_heads.split_by_reshape, variants_heads.split_interleaved, variants_heads.concat_by_reshape,
        variants_heads.concat_interleaved, variants_heads.sum_heads, variants_heads.average_heads,
        variants_heads.average_weights,
        variants_heads.tile, variants_heads.repeat_tokens, variants_heads.fused_as_blocks,
        variants_heads.fused_by_head,
        variants_positions.scale_by_root_width, variants_positions.sinusoidal_shifted,
        variants_positions.sinusoidal_concatenated, variants_positions.sinusoidal_doubled,
        variants_positions.sinusoidal_unpaired, variants_positions.sinusoidal_swapped,
        variants_positions.sinusoidal_at_shifted, variants_positions.sinusoidal_at_concatenated,
        variants_positions.sinusoidal_at_doubled, variants_positions.sinusoidal_at_unpaired,
        variants_positions.angles_over_depth,
        variants_positions.rotate_half_other_table, variants_positions.rotate_interleaved_other_table,
        variants_positions.alibi_slopes_from_zero, variants_positions.alibi_slopes_plain,
        variants_positions.add_by_query_mirrored, variants_positions.add_by_key_mirrored,
        variants_positions.alibi_added, variants_positions.alibi_by_key, variants_positions.rotary_angles_ntk,
        variants_scores.divide_by_depth, variants_scores.multiply_by_root_depth,
        variants_scores.divide_by_fourth_root, variants_scores.scale_by_all_heads,
        variants_scores.scale_by_keys, variants_scores.mask_inverted, variants_scores.padding_inverted,
        variants_scores.mask_padding_queries, variants_scores.mask_causal_shifted,
        variants_scores.mask_future_only, variants_scores.mask_causal_top_left, variants_scores.fill_masked,
        variants_scores.add_to_allowed, variants_scores.add_to_masked, variants_scores.add_zero_times_infinity,
        variants_scores.zero_masked, variants_scores.softmax_over_heads, variants_scores.softmax_over_matrix,
        variants_scores.softmax_of_one, variants_scores.softmax_base, variants_scores.softmax_unshifted,
        variants_scores.softmax_shifted_globally, variants_scores.softmax_one,
        variants_scores.softmax_one_shifted, variants_scores.exp_over_sum, variants_scores.share_of_sum,
        variants_scores.parts_of_sums, variants_scores.sum_of_column,
        variants_scores.sigmoid, variants_scores.exponentials, variants_scores.scale_by_rounded_root,
        variants_scores.mask_padding_of_new, variants_scores.fill_all,
        variants_scores.infinite_masked, variants_scores.softcap_times_itself,
        variants_batch.swap_batch, variants_batch.batch_as_heads, variants_batch.mask_padding_tiled,
        variants_batch.mask_padding_by_head, variants_batch.mask_padding_repeated, variants_batch.concat_of_exchanged,
        variants_maps.take_heads, variants_maps.take_tokens, variants_maps.take_columns,
        variants_norms.centred, variants_norms.centred_over_matrix, variants_norms.centred_over_tokens,
        variants_norms.centred_over_batch, variants_norms.centred_over_heads, variants_norms.mean_square,
        variants_norms.mean_square_over_matrix, variants_norms.mean_square_over_tokens,
        variants_norms.mean_square_over_batch, variants_norms.mean_square_over_heads, variants_norms.root,
        variants_norms.root_then_eps, variants_norms.no_root, variants_norms.squared, variants_norms.quotient,
        variants_norms.gain_plus_one, variants_norms.gain_plus_one_and_bias,
        variants_norms.gain_less_one, variants_norms.gain_less_one_and_bias,
        variants_losses.in_base, variants_losses.negated_loss, variants_losses.unchanged_loss,
        variants_losses.likelihood_smoothed_over_others, variants_losses.absolute_error, variants_losses.sum_of_cells,
        variants_losses.mean_of_rows, variants_losses.times, variants_losses.perplexity,
        variants_losses.kept_of_ignored, variants_losses.mean_of_ignored, variants_losses.next_target,
        variants_losses.spread_part, variants_losses.with_spread, variants_losses.mean_of_parts,
        variants_experts.shares_of_all_tokens,
        variants_recurrent.decay_between, variants_recurrent.corrected_whole, variants_recurrent.convolve_ahead,
        variants_recurrent.convolve_reversed,
        rounding.round_half_even, rounding.round_half_even_head, rounding.truncate, rounding.truncate_head,
    )
}  # fmt: skip
"""Operations that only deviations use: other, often wrong, ways to do the same."""

GRADIENTS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        variants_gradients.softmax_grad_unweighted, variants_gradients.shares_by_other_sum,
        variants_gradients.softmax_grad_with_kept_sums,
        variants_gradients.last_of_group, variants_gradients.sum_of_interleaved,
        variants_gradients.divided_by_rows, variants_gradients.mean_over_tokens,
        variants_gradients.mean_over_tokens_of_head, variants_gradients.layer_norm_grad_fixed_mean,
        variants_gradients.layer_norm_grad_fixed_variance, variants_gradients.layer_norm_grad_fixed,
        variants_gradients.layer_norm_grad_over_tokens, variants_gradients.rms_norm_grad_over_tokens,
        variants_gradients.layer_norm_grad_gain_twice, variants_gradients.rms_norm_grad_gain_twice,
        variants_gradients.layer_norm_grad_mean_twice, variants_gradients.tanh_grad_plus,
        variants_training.step_with_eps_inside, variants_training.step_with_eps_early,
        variants_training.step_without_root, variants_training.shrink_by_constant,
        variants_gradients.rms_norm_grad_fixed, variants_gradients.silu_grad_of_gate,
        variants_gradients.look_up_grad_overwritten, variants_gradients.cross_entropy_grad_without_target,
    )
}  # fmt: skip
"""Gradients and steps of training that only deviations use. Nobody differentiates them again."""

OPERATIONS: dict[str, Operation] = TEXTBOOK | VARIANTS
"""Every operation by name."""


def operation_named(name: str) -> Operation:
    """The operation of this name, or the gradient of one.

    Raises:
        UnknownName: there is none; the message offers the closest.
    """
    found = OPERATIONS.get(name) or GRADIENTS.get(name) or gradient_named(name, OPERATIONS)
    if found is None:
        raise UnknownName(f"No operation is called {name!r}. {suggest(name, OPERATIONS)}")
    return found
