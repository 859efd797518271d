"""A case: what is asked, what somebody wrote for it, and the arrays it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clearhead import Attention, Block, Claim

Arrays = Mapping[str, Any]
Solve = Callable[[Arrays], Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """One person's answer: ``solve`` returns the lines they claim, computed in their own way."""

    name: str
    spec: Attention | Block
    solve: Solve
    sizes: Mapping[str, int]
    decimals: int = 5
    given: Arrays = field(default_factory=dict)
    seed: int = 0

    def arrays(self) -> dict[str, Any]:
        """The given arrays, drawn by the seed to two decimals, as people give them."""
        rng = np.random.default_rng([self.seed, *self.name.encode()])
        arrays = {}
        for each in self.spec.working().givens:
            shape = [dict(each.sizes).get(axis) or self.sizes[axis] for axis in each.axes]
            drawn = rng.normal(scale=0.8, size=shape).round(2)
            arrays[each.name] = (1 + drawn / 2).round(2) if each.name.endswith("gain") else drawn
        return arrays | {name: np.asarray(array) for name, array in self.given.items()}

    def claims(self) -> list[Claim]:
        """What they claim, at this number of decimals."""
        with np.errstate(invalid="ignore"):
            solved = self.solve(self.arrays())
        return [
            Claim.of(line, np.round(numbers, self.decimals), decimals=self.decimals) for line, numbers in solved.items()
        ]


def collector(sizes: Mapping[str, int]) -> tuple[list[Case], Callable[..., Callable[[Solve], Solve]]]:
    """A list, and a decorator that adds cases to it: ``@case(spec, depth=4, decimals=6, given={...})``."""
    cases: list[Case] = []

    def case(
        spec: Attention | Block, *, decimals: int = 5, given: Arrays | None = None, **other: int
    ) -> Callable[[Solve], Solve]:
        def add(solve: Solve) -> Solve:
            both = {**sizes, **other}
            heads = (spec.attention if isinstance(spec, Block) else spec).heads
            both.setdefault("head*depth", heads * both["depth"])
            cases.append(Case(solve.__name__, spec, solve, both, decimals, given or {}))
            return solve

        return add

    return cases, case
