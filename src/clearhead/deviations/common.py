"""Which deviations people make by hand: exercises show them, and pages take them along."""

from __future__ import annotations

COMMON = frozenset({
    "softmax-over-queries", "softmax-over-matrix", "softmax-missing", "softmax-without-exp", "softmax-twice",
    "scale-missing", "scale-squared", "scale-by-model", "scale-by-keys", "scale-inverted", "scale-after-softmax",
    "query-key-exchanged", "keys-not-transposed", "weights-transposed", "projection-copied", "value-unprojected",
    "bias-missing", "positions-missing", "residual-from-embedding",
    "heads-split-by-reshape", "heads-merged-by-reshape", "heads-share-weights", "heads-averaged", "groups-tiled",
    "causal-missing", "causal-transposed", "causal-off-by-one", "mask-after-softmax", "mask-multiplied",
    "rotary-missing", "rotary-one-sided", "rotary-on-values", "rotary-other-layout",
    "norm-over-matrix", "norm-missing", "norm-of-other-kind", "activation-missing",
})  # fmt: skip
"""The mistakes that people make by hand, with each value of their parameters."""

COMMON_BACKWARD = frozenset({
    "grad-softmax-diagonal", "grad-softmax-missing", "grad-softmax-sum-missing", "grad-scale-missing",
    "grad-scale-twice", "grad-values-not-transposed", "grad-keys-not-transposed", "grad-queries-transposed",
    "grad-causal-forgotten", "grad-bias-averaged", "grad-norm-mean-fixed", "grad-norm-variance-fixed",
    "grad-residual-missing", "grad-overwritten", "grad-activation-missing", "grad-loss-not-averaged",
    "grad-target-missing",
})  # fmt: skip
"""The mistakes that people make in gradients by hand."""
