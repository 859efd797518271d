"""Each claimed line compared with the lines claimed before it: an error that is carried forward counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.brief import Brief
from clearhead.check.compare.comparison import expected_of
from clearhead.check.compare.slips import Slip, are_slips, slips_of
from clearhead.check.judge.by_chance import chance_of
from clearhead.check.judge.line_causes import causes_of_step
from clearhead.check.judge.steps import Arrays, Cells, Step, any_of, steps, wrong
from clearhead.check.search.chance import WEAK
from clearhead.check.search.plans import written
from clearhead.claim import Claim
from clearhead.deviations import Applied, deviate
from clearhead.trace import Trace
from clearhead.working import Working

LARGEST = 2
"""The largest sets of deviations that are tried between one claimed line and the next."""

MAX_WRONG = 4
"""With more lines than these that do not follow, no causes are searched line by line."""


class Judged(Brief, frozen=True):
    """A claimed line by itself: whether it follows from the lines claimed before it, and if not, by which deviations.

    It also follows if it agrees with the working: a line with a slip of the pen may have been continued with the right
    numbers. A cell follows within its own rounding and the effect of the rounding of the earlier lines.

    Attributes:
        line: its full name.
        claims: what is claimed of it.
        right: how many cells of each claim follow.
        causes: sets of deviations with which it would follow.
        slips: the cells that do not follow, where nearly all do.
        carried: whether cells follow that do not agree with the working.
        by_chance: where some cells do not follow, how likely as many would if each held another number of the line.
            Cells that are the same whatever the numbers are, such as masked weights, show nothing and do not count.
    """

    line: str
    claims: tuple[Claim, ...]
    right: tuple[int, ...]
    causes: tuple[tuple[Applied, ...], ...] = ()
    slips: tuple[Slip, ...] = ()
    carried: bool = False
    by_chance: float = 0.0

    @property
    def worth(self) -> int:
        """How many cells count: those that follow, unless as many would by chance; slips take nothing from others."""
        return sum(self.right) if self.follows or self.slips or self.by_chance <= WEAK else 0

    @property
    def cells(self) -> tuple[int, ...]:
        """How many cells each claim on the line has."""
        return tuple(int(claim.claimed.sum()) for claim in self.claims)

    @property
    def explained_by(self) -> tuple[tuple[str, ...], ...]:
        """The causes as text."""
        return tuple(tuple(map(written, each)) for each in self.causes)

    @property
    def follows(self) -> bool:
        """Whether every claimed cell follows."""
        return self.right == self.cells


class Judgement:
    """The claimed lines, each judged once.

    Args:
        all_steps: the way to each claimed line, as `steps` gives them.
        trace: the working as it is.
        by_hand: whether steps between two claimed lines may be rounded too, to the decimals of the claims.
    """

    def __init__(self, all_steps: Sequence[Step], trace: Trace, *, by_hand: bool = False) -> None:
        self.trace = trace
        # Fractions are exact: they do not show to which decimals steps were rounded.
        self._steps = [replace(step, by_hand=by_hand and step.half_unit > 0) for step in all_steps]
        self._judged: dict[int, Judged] = {}

    def with_steps_rounded(self) -> Judgement:
        """The same lines, judged as if every step between them was rounded by hand."""
        return Judgement(self._steps, self.trace, by_hand=True)

    def _line(self, number: int) -> Judged:
        if number not in self._judged:
            self._judged[number] = _judged(self._steps[number], self.trace)
        return self._judged[number]

    @property
    def all_follow(self) -> bool:
        """Whether all lines follow; what comes after the first that does not is not judged for this."""
        return all(self._line(number).follows for number in range(len(self._steps)))

    @property
    def lines(self) -> tuple[Judged, ...]:
        """Each claimed line compared with the lines claimed before it."""
        return tuple(map(self._line, range(len(self._steps))))

    def with_causes(self, largest: int = LARGEST, *, every: bool = False) -> tuple[Judged, ...]:
        """The lines with the deviations, sets of ``largest`` at most, by which those that do not follow would.

        With ``every`` each line must have a cause, but for slips: no further causes are looked for once one has none,
        and parameters are fitted only where larger sets are tried, too.
        """
        judged = [*self.lines]
        if sum(not each.follows for each in judged) > MAX_WRONG:
            return tuple(judged)
        # Where nothing else is claimed, what was tried for all claims was tried for this line.
        for number, step in enumerate(self._steps) if len(self._steps) > 1 else ():
            if not judged[number].follows and not (every and judged[number].slips):
                causes = causes_of_step(step, largest, fits=largest > 1 or not every)
                judged[number] = replace(judged[number], causes=causes)
                if every and not causes:
                    break
        return _likeliest_first(judged, self.trace.working)


def judgement(claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, by_hand: bool = False) -> Judgement:
    """The judgement of claims; arguments as for `judge`."""
    return Judgement(tuple(steps(claims, trace, arrays)), trace, by_hand=by_hand)


def judge(claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, by_hand: bool = False) -> tuple[Judged, ...]:
    """Compares each claimed line with the lines claimed before it.

    Args:
        claims: what is claimed.
        trace: the working as it is.
        arrays: its given arrays.
        by_hand: whether steps between two claimed lines may be rounded too, to the decimals of the claims.
    """
    return judgement(claims, trace, arrays, by_hand=by_hand).lines


def _likeliest_first(judged: Sequence[Judged], working: Working) -> tuple[Judged, ...]:
    """The causes of each line in order: first those of most lines, and of these what changes the fewest others.

    A line that others were continued from was not only shown otherwise.
    """
    shared = Counter(cause for each in judged for cause in each.causes)

    def rank(causes: tuple[Applied, ...]) -> tuple[int, int]:
        return -shared[causes], sum(_changed(working, cause) for cause in causes)

    ranked = []
    for place, each in enumerate(judged):
        continued = any(later.carried for later in judged[place + 1 :])
        causes = [c for c in each.causes if not (continued and any(one.id.startswith("shown-") for one in c))]
        ranked.append(replace(each, causes=tuple(sorted(causes, key=rank))))
    return tuple(ranked)


def _changed(working: Working, cause: Applied) -> int:
    """How many lines of the whole working a deviation rewrites."""
    rewritten = deviate(working, cause)
    return len({*working.lines} ^ {*rewritten.lines})


def _judged(step: Step, known: Trace) -> Judged:
    exact = [wrong(claim, known) for claim in step.claims]
    if not any_of(exact):
        return Judged(step.name, tuple(step.claims), _right(step.claims, exact))
    trace = step.run()
    loose, left = step.missed(trace, exact)
    expected = [(expected_of(claim, trace)[1], expected_of(claim, known)[1]) for claim in loose]
    right = _right(step.claims, left)
    cells = sum(int(claim.claimed.sum()) for claim in step.claims)
    slips: tuple[Slip, ...] = ()
    if are_slips(cells - sum(right), cells):
        slips = tuple(
            slip
            for claim, where, (each, _) in zip(step.claims, left, expected, strict=True)
            for slip in slips_of(claim, where, each, trace.working.label_base)
        )
    carried = any((one & ~each).any() for one, each in zip(exact, left, strict=True))
    chance = _by_chance(step, loose, left, expected) if 0 < sum(right) < cells else 0.0
    return Judged(step.name, tuple(step.claims), right, slips=slips, carried=carried, by_chance=chance)


def _by_chance(
    step: Step,
    claims: Sequence[Claim],
    left: Cells,
    expected: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]],
) -> float:
    """How likely as many cells would follow by chance, of those that depend on the numbers of the step."""
    rng = np.random.default_rng(0)
    other = {
        name: np.where(np.isfinite(array), rng.normal(size=array.shape), array) if array.dtype.kind == "f" else array
        for name, array in step.arrays.items()
    }
    trace = step.working.run(other, keep=(step.name,))
    fixed = [expected_of(claim, trace)[1] == each for claim, (each, _) in zip(claims, expected, strict=True)]
    open_ = [claim.claimed & ~same for claim, same in zip(claims, fixed, strict=True)]
    right = sum(int((each & ~cells).sum()) for each, cells in zip(open_, left, strict=True))
    return chance_of(right, claims, expected, open_) if right else 1.0


def _right(claims: Sequence[Claim], left: Cells) -> tuple[int, ...]:
    return tuple(int((claim.claimed & ~cells).sum()) for claim, cells in zip(claims, left, strict=True))
