"""Dropout that is on: weights that are 0 by chance, and all others right, or larger to make up for it."""

from __future__ import annotations

import numpy as np

from clearhead.check.calls.starting import Start
from clearhead.check.measure.access import Attend, Refused, reference, roles_of
from clearhead.check.measure.observe import SEEN, drawn
from clearhead.check.measure.parts import Measurement, Premise
from clearhead.check.measure.sizes import Plan
from clearhead.check.measure.weights import weights

CALLS = 12
"""How often weights are measured, to see which are 0."""

SPREAD = 4.0
"""How many standard deviations the share of zeros may be from the rate."""

FEWEST = 0.005
"""A smaller share of zeros shows no rate."""


def dropped(begun: Start) -> Measurement | None:
    """The rate at which a function drops its weights at random; None if it does something else at random."""
    task = begun.caller.task
    found = roles_of(task) if not begun.rank else None
    if found is None:
        return None
    f, expected = Attend(begun.caller, found), reference(task, found)
    size = next((each for each in Plan(task, found, begun.sizes, begun.tied).measured()), None)
    if size is None:
        return None
    made = drawn(size)
    try:
        due = weights(expected, made.q, made.k, size.past)
        seen = due > SEEN
        times = np.array([(weights(f, made.q, made.k, size.past) / np.where(seen, due, 1))[seen] for _ in range(CALLS)])
    except Refused:
        return None
    kept = times[times > SEEN]
    share = 1 - kept.size / times.size
    if not FEWEST < share < 1 - FEWEST or np.ptp(kept) > 1e-3 * kept.max():
        return None
    factor = float(np.median(kept))
    rate = share if abs(factor - 1) < 1e-3 else 1 - 1 / factor
    if not 0 < rate < 1 or abs(share - rate) > SPREAD * np.sqrt(rate * (1 - rate) / times.size):
        return None
    what = {"rate": round(rate, 6), "share": share, "scaled": factor > 1 + 1e-3}
    words = (size.words,)
    return Measurement(premise=Premise("dropped", what, words, words, explains=True), differs=words, calls=f.calls)
