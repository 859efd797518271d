"""All deviations, in the order in which a block is computed."""

from __future__ import annotations

from clearhead.deviations import (
    activations,
    alibi,
    batch,
    given_masks,
    heads,
    inputs,
    instances,
    maps,
    masks,
    norms,
    one_sided,
    residuals,
    rotary,
    rounding,
    scores,
    softmax,
    undeclared,
)
from clearhead.deviations.deviation import Deviation

GROUPS: dict[str, tuple[Deviation, ...]] = {
    "Inputs and positions": inputs.ROWS,
    "Projections and heads": (*heads.ROWS, *maps.ROWS),
    "Rotary positions and ALiBi": (*rotary.ROWS, *one_sided.ROWS, *alibi.ROWS),
    "Scores and scale": scores.ROWS,
    "Masks": (*masks.ROWS, *given_masks.ROWS),
    "Softmax and values": softmax.ROWS,
    "Residuals": residuals.ROWS,
    "Norms": (*norms.ROWS, *instances.ROWS),
    "What nobody asked for": undeclared.ROWS,
    "Activations": activations.ROWS,
    "Batches": batch.ROWS,
    "Rounding, and what is only shown": rounding.ROWS,
}
"""Every deviation, by theme."""

DEVIATIONS: dict[str, Deviation] = {row.id: row for rows in GROUPS.values() for row in rows}
"""Every deviation by its id."""
