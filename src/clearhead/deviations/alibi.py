"""Deviations in ALiBi: the bias of scores by distance."""

from __future__ import annotations

from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import leave_out, swap
from clearhead.ops.textbook import scores
from clearhead.ops.variants import positions as variants_positions

_SLOPES = (
    scores.alibi_slopes,
    variants_positions.alibi_slopes_from_zero,
    variants_positions.alibi_slopes_plain,
)
ALIBIS = (scores.alibi, variants_positions.alibi_added, variants_positions.alibi_by_key)

ROWS = (
    Deviation(
        id="alibi-slopes-from-zero",
        kind="mistake",
        does="ALiBi's slopes begin at 1: the exponent of head h is 8*h/heads and not 8*(h+1)/heads.",
        invisible="At distance 0.",
        remedy="slopes = 2 ** (-8 * np.arange(1, heads + 1) / heads).",
        seen="aprender PR#2143, mlx PR#3071.",
        rewrite=swap(dict.fromkeys(_SLOPES, variants_positions.alibi_slopes_from_zero)),
        catalogue=("C11",),
    ),
    Deviation(
        id="alibi-slopes-plain",
        kind="mistake",
        does="ALiBi's slopes follow the rule for powers of two with another number of heads.",
        invisible="Where the number of heads is a power of two.",
        remedy="Take those of the next lower power, then every second of the next higher one.",
        seen="mlx PR#3071, attention-gym PR#86, Baichuan2#225.",
        rewrite=swap(dict.fromkeys(_SLOPES, variants_positions.alibi_slopes_plain)),
        catalogue=("C11",),
    ),
    Deviation(
        id="alibi-added",
        kind="mistake",
        does="ALiBi's sign is wrong: scores grow with distance.",
        invisible="At distance 0.",
        remedy="scores - slope * distance.",
        seen="attention-gym PR#86, vllm PR#945.",
        rewrite=swap({scores.alibi: variants_positions.alibi_added}),
        catalogue=("C11",),
    ),
    Deviation(
        id="alibi-by-key",
        kind="convention",
        does="ALiBi adds slope times the key's position, not times the distance.",
        invisible="In the weights under a causal mask: it differs by a constant for each query.",
        remedy="Use the distance where attention is not causal.",
        seen="BLOOM; vllm PR#945, Baichuan2#225.",
        rewrite=swap(dict.fromkeys(ALIBIS, variants_positions.alibi_by_key)),
        catalogue=("C11",),
    ),
    Deviation(
        id="alibi-missing",
        kind="mistake",
        does="ALiBi is not subtracted.",
        invisible="At distance 0.",
        remedy="scores = q @ k.T / sqrt(d) - slope * distance.",
        seen="The family of vllm PR#945; no thread is known.",
        rewrite=leave_out(*ALIBIS),
        catalogue=("C11",),
    ),
)
