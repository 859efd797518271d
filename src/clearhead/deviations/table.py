"""All deviations, in the order in which a block is computed."""

from __future__ import annotations

from clearhead.deviations import (
    activations,
    alibi,
    batch,
    heads,
    inputs,
    masks,
    norms,
    residuals,
    rotary,
    rounding,
    scores,
    softmax,
)
from clearhead.deviations.deviation import Deviation

GROUPS: dict[str, tuple[Deviation, ...]] = {
    "Inputs and positions": inputs.ROWS,
    "Projections and heads": heads.ROWS,
    "Rotary positions and ALiBi": (*rotary.ROWS, *alibi.ROWS),
    "Scores and scale": scores.ROWS,
    "Masks": masks.ROWS,
    "Softmax and values": softmax.ROWS,
    "Residuals": residuals.ROWS,
    "Norms": norms.ROWS,
    "Activations": activations.ROWS,
    "Batches": batch.ROWS,
    "Rounding, and what is only shown": rounding.ROWS,
}
"""Every deviation, by theme."""

DEVIATIONS: dict[str, Deviation] = {row.id: row for rows in GROUPS.values() for row in rows}
"""Every deviation by its id."""
