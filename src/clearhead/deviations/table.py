"""All deviations, in the order in which a block is computed."""

from __future__ import annotations

from clearhead.deviations import (
    activations,
    alibi,
    batch,
    delta,
    given_masks,
    gradient_masks,
    gradient_norms,
    gradients,
    gradients_beside,
    heads,
    inputs,
    instances,
    limits,
    losses,
    maps,
    masks,
    norms,
    one_sided,
    residuals,
    rotary,
    rounding,
    routers,
    scores,
    softcaps,
    softmax,
    steps,
    undeclared,
)
from clearhead.deviations.deviation import Deviation

GROUPS: dict[str, tuple[Deviation, ...]] = {
    "Inputs and positions": inputs.ROWS,
    "Projections and heads": (*heads.ROWS, *maps.ROWS),
    "Rotary positions and ALiBi": (*rotary.ROWS, *one_sided.ROWS, *alibi.ROWS),
    "Scores and scale": (*scores.ROWS, *softcaps.ROWS),
    "Masks": (*masks.ROWS, *given_masks.ROWS),
    "Softmax and values": softmax.ROWS,
    "Residuals": residuals.ROWS,
    "Norms": (*norms.ROWS, *instances.ROWS),
    "Steps that are not in the spec": undeclared.ROWS,
    "Clips, limits, factors and sinks": limits.ROWS,
    "Routers and learned distances": routers.ROWS,
    "Gated delta nets and gates of heads": delta.ROWS,
    "Activations": activations.ROWS,
    "Losses": losses.ROWS,
    "Batches": batch.ROWS,
    "Gradients": (*gradients.ROWS, *gradient_masks.ROWS, *gradient_norms.ROWS, *gradients_beside.ROWS),
    "Steps of training": steps.ROWS,
    "Rounding, and what is only shown": rounding.ROWS,
}
"""Every deviation, by theme."""

DEVIATIONS: dict[str, Deviation] = {row.id: row for rows in GROUPS.values() for row in rows}
"""Every deviation by its id."""
