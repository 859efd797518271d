"""Learned biases of scores by distance, as a spec."""

from __future__ import annotations

from clearhead.errors import SpecError
from clearhead.spec.fields import Spec

MAX_BUCKETS = 4096
"""More than any model has."""


class Relative(Spec, frozen=True):
    """Scores plus a learned number for each head and distance of query and key (Raffel et al. 2020, section 2.1).

    Distances fall into buckets: half of these have one distance each, the others grow wider up to ``reach``, from where
    on all share the last. Without a causal mask half of the buckets are for keys behind the query.

    Attributes:
        buckets: how many there are.
        reach: the distance from which on all are alike.
    """

    buckets: int = 32
    reach: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 4 <= self.buckets <= MAX_BUCKETS:
            raise SpecError(f"relative buckets expects 4 to {MAX_BUCKETS}, got {self.buckets}.")
        if self.reach <= self.buckets // 2:
            raise SpecError(
                f"relative reach expects more than half of the buckets ({self.buckets // 2}), got {self.reach}."
            )
