"""Each claimed line compared with the lines claimed before it: an error that is carried forward counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.brief import Brief
from clearhead.check.compare.comparison import claims_by_line, expected_of
from clearhead.check.compare.slips import Slip, are_slips, slips_of
from clearhead.check.fit.candidate import Candidate, fitted_or_matched, in_order, without_repeats
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.judge.by_chance import chance_of
from clearhead.check.judge.by_parts import by_parts
from clearhead.check.precision.propagation import as_slack, hand_noise, part_of, reach, worked_by_hand
from clearhead.check.search.chance import WEAK, digits_of
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import plans_for, written
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import TooMany, search
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, deviate
from clearhead.errors import ClearheadError
from clearhead.line import split_head
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

LARGEST = 2
"""The largest sets of deviations that are tried between one claimed line and the next."""

MAX_WRONG = 4
"""With more lines than these that do not follow, no causes are searched line by line."""

LEFT_BY_NOISE = 0.5
"""The largest part of the cells that rounding each step may leave off by a unit, if a deviation is the cause."""

MAX_CAUSES, MAX_CONFIRMED = 5, 40
"""How many sets are reported for a line, and how many of the search's results are examined."""


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


class _Step(Struct, frozen=True):
    """A claimed line, and the working entered at the lines that are claimed before it."""

    name: str
    claims: list[Claim]
    working: Working
    arrays: Arrays
    slack: Arrays
    by_hand: bool = False
    other: _Step | None = None
    """Another way to the line, from parts of it that are claimed."""


def judge(claims: Sequence[Claim], trace: Trace, arrays: Arrays, *, by_hand: bool = False) -> tuple[Judged, ...]:
    """Compares each claimed line with the lines claimed before it.

    Args:
        claims: what is claimed.
        trace: the working as it is.
        arrays: its given arrays.
        by_hand: whether steps between two claimed lines may be rounded too, to the decimals of the claims.
    """
    return tuple(_judged(replace(step, by_hand=by_hand), trace) for step in _steps(claims, trace, arrays))


def follows_by_hand(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> bool:
    """Whether each claimed line follows from those before it, if every step between is rounded by hand."""
    return all(_judged(replace(step, by_hand=True), trace).follows for step in _steps(claims, trace, arrays))


def judge_with_causes(
    claims: Sequence[Claim],
    trace: Trace,
    arrays: Arrays,
    *,
    largest: int = LARGEST,
    by_hand: bool = False,
    every: bool = False,
) -> tuple[Judged, ...]:
    """As `judge`, with the deviations, sets of ``largest`` at most, by which the lines that do not follow would.

    With ``every`` each line must have a cause, but for slips: no further causes are looked for once one has none, and
    parameters are fitted only where larger sets are tried, too.
    """
    steps = [replace(step, by_hand=by_hand) for step in _steps(claims, trace, arrays)]
    judged = [_judged(step, trace) for step in steps]
    if sum(not each.follows for each in judged) > MAX_WRONG:
        return tuple(judged)
    # Where nothing else is claimed, what was tried for all claims was tried for this line.
    for number, step in enumerate(steps) if len(steps) > 1 else ():
        if not judged[number].follows and not (every and judged[number].slips):
            judged[number] = replace(judged[number], causes=_causes(step, largest, fits=largest > 1 or not every))
            if every and not judged[number].causes:
                break
    return _likeliest_first(judged, trace.working)


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


def _steps(claims: Sequence[Claim], trace: Trace, arrays: Arrays) -> Iterator[_Step]:
    working = trace.working
    by_line = claims_by_line(claims, working)
    complete: Arrays = {}
    slack: Arrays = {}
    differs = False
    for line in working.lines:
        if line.name not in by_line:
            continue
        mine = by_line[line.name]
        entered = _entered(working, tuple(complete), line.name)
        values = {**arrays, **complete}
        parts = by_parts(working, tuple(complete), line.name)
        step, *others = (
            _Step(line.name, mine, each, {given.name: values[given.name] for given in each.givens}, dict(slack))
            for each in (entered, *(() if parts is None else (_entered(parts, tuple(complete), line.name),)))
        )
        step = replace(step, other=others[0]) if others else step
        yield step
        written, claimed = _filled(trace, line.name, mine, "values")
        half_units, _ = _filled(trace, line.name, mine, "half_units")
        differs = differs or any(_wrong(claim, trace).any() for claim in mine)
        own = _slack(written, None if differs else trace.numpy(line.name), half_units)
        rest, far = _unclaimed(step) if not claimed.all() else (written, own)
        complete[line.name] = np.where(claimed, written, rest)
        slack[line.name] = np.where(claimed, own, far)


def _unclaimed(step: _Step) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A line as it follows from what was claimed before it, for cells not claimed, and how far it may be off."""
    line = step.working.run(step.arrays, keep=(step.name,)).numpy(step.name)
    if not any(array.any() for name, array in step.slack.items() if name in step.arrays):
        return line, np.zeros(line.shape)
    return line, reach(step.working, step.arrays, step.slack, step.name)


def _slack(
    claimed: np.ndarray[Any, Any], known: np.ndarray[Any, Any] | None, half_units: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """How far each claimed number may be from the number that was carried on.

    A number that agrees was carried on as written or exact (``known``). Once a line differs, of its numbers and those
    behind it only the written form is known: what looks right may come from another number.
    """
    with np.errstate(invalid="ignore"):
        off = half_units if known is None else np.minimum(np.abs(claimed - known), half_units)
    return np.where(np.isfinite(claimed), off, 0.0)


@lru_cache(maxsize=512)
def _entered(working: Working, complete: tuple[str, ...], name: str) -> Working:
    """The working entered at known lines, unless a line could then not be computed."""
    entered = working.starting_at(*complete) if complete else working
    return entered if name in entered.names else working


def _judged(step: _Step, known: Trace) -> Judged:
    exact = [_wrong(claim, known) for claim in step.claims]
    if not any(wrong.any() for wrong in exact):
        return Judged(step.name, tuple(step.claims), _right(step.claims, exact))
    loose, trace = _held(step)
    expected = [(expected_of(claim, trace)[1], expected_of(claim, known)[1]) for claim in loose]
    wrong = [one & differing(claim, each) for one, claim, (each, _) in zip(exact, loose, expected, strict=True)]
    if step.by_hand:
        wrong = [one & each for one, each in zip(wrong, _not_by_hand(step), strict=True)]
    if step.other is not None:
        wrong = [
            one & each for one, each in zip(wrong, _missed(replace(step.other, by_hand=step.by_hand)), strict=True)
        ]
    right = _right(step.claims, wrong)
    cells = sum(int(claim.claimed.sum()) for claim in step.claims)
    slips: tuple[Slip, ...] = ()
    if are_slips(cells - sum(right), cells):
        slips = tuple(
            slip
            for claim, where, (each, _) in zip(step.claims, wrong, expected, strict=True)
            for slip in slips_of(claim, where, each, trace.working.label_base)
        )
    carried = any((one & ~each).any() for one, each in zip(exact, wrong, strict=True))
    chance = _by_chance(step, loose, wrong, expected) if 0 < sum(right) < cells else 0.0
    return Judged(step.name, tuple(step.claims), right, slips=slips, carried=carried, by_chance=chance)


def _missed(step: _Step) -> list[np.ndarray[Any, Any]]:
    """Which cells of the claims of a step do not follow."""
    loose, trace = _held(step)
    missed = [_wrong(claim, trace) for claim in loose]
    return [one & each for one, each in zip(missed, _not_by_hand(step), strict=True)] if step.by_hand else missed


def _not_by_hand(step: _Step) -> list[np.ndarray[Any, Any]]:
    """Which cells of the claims of a step are not what it gives if each number on the way is rounded."""
    line = worked_by_hand(step.working, step.arrays, _half_unit(step), step.name)
    return [differing(claim, part_of(claim, step.working, step.name, line)) for claim in step.claims]


def _half_unit(step: _Step) -> float:
    return max(claim.tolerance for claim in step.claims)


def _by_chance(
    step: _Step,
    claims: Sequence[Claim],
    wrong: Sequence[np.ndarray[Any, Any]],
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
    right = sum(int((each & ~cells).sum()) for each, cells in zip(open_, wrong, strict=True))
    return chance_of(right, claims, expected, open_) if right else 1.0


def _held(step: _Step) -> tuple[list[Claim], Trace]:
    """The claims with the slack that earlier lines give them, and the step computed from these lines."""
    trace = step.working.run(step.arrays, keep=(step.name,))
    if not step.by_hand and not any(array.any() for name, array in step.slack.items() if name in step.arrays):
        return list(step.claims), trace
    far = reach(step.working, step.arrays, step.slack, step.name)
    if step.by_hand:
        far = far + hand_noise(step.working, step.arrays, _half_unit(step), step.name)
    return [claim.with_slack(as_slack(part_of(claim, step.working, step.name, far))) for claim in step.claims], trace


def _wrong(claim: Claim, trace: Trace) -> np.ndarray[Any, Any]:
    """Which cells of a claim differ from a trace, which may hold only the claimed line."""
    return differing(claim, expected_of(claim, trace)[1])


def _right(claims: Sequence[Claim], wrong: Sequence[np.ndarray[Any, Any]]) -> tuple[int, ...]:
    return tuple(int((claim.claimed & ~cells).sum()) for claim, cells in zip(claims, wrong, strict=True))


def _causes(step: _Step, largest: int, *, fits: bool) -> tuple[tuple[Applied, ...], ...]:
    """The smallest sets of deviations with which a step gives its claims, beyond what chance would."""
    claims, _ = _held(step)
    trace = step.working.run(step.arrays)
    values = {name: trace.numpy(name) for name in trace}
    evaluation = Evaluation(tuple(claims), step.working, values)
    shapes = {name: array.shape for name, array in values.items()}
    plans = plans_for(step.working, tuple((name, array.shape) for name, array in step.arrays.items()))
    hypotheses = Hypotheses(plans, roundings(step.working, claims, shapes, brief=True))
    for size in range(1, largest + 1):
        try:
            sets = search(hypotheses, step.arrays, claims, size).sets[:MAX_CONFIRMED]
        except TooMany:
            sets = ()
        found = [each for chosen in sets if (each := _confirmed(hypotheses, chosen, evaluation)) is not None]
        if fits and size == 1 and not any(each.plain for each in found):
            found += fitted_or_matched(evaluation)
        sure = [each for each in without_repeats(found) if _beyond_chance(each, evaluation, len(hypotheses.candidates))]
        if sure:
            return tuple(each.applied for each in sure[:MAX_CAUSES])
    return tuple((each,) for each in plans.deviations if _given_by_hand(step, each)) if step.by_hand else ()


def _shape(step: _Step) -> tuple[int, ...] | None:
    """The shape of the line of a step; None where a rewritten working lacks it."""
    given = {each.name: step.arrays[each.name].shape for each in step.working.givens}
    return step.working.shapes(given).get(step.name)


def _given_by_hand(step: _Step, cause: Applied) -> bool:
    """Whether a step with a deviation in it, each number on the way rounded, gives the claims.

    The noise of rounding is another than that of the step as it should be.
    """
    try:
        wrong = replace(step, working=cause.rewrite(step.working))
        if _shape(wrong) != _shape(step):
            return False
        missed = _not_by_hand(wrong)
        if sum(each.sum() for each in missed) > LEFT_BY_NOISE * sum(int(claim.claimed.sum()) for claim in step.claims):
            return False
        loose, trace = _held(wrong)
    except ClearheadError:
        return False
    return not any((each & _wrong(claim, trace)).any() for claim, each in zip(loose, missed, strict=True))


def _confirmed(hypotheses: Hypotheses, chosen: Chosen, evaluation: Evaluation) -> Candidate | None:
    """A set as a candidate, if the step, rewritten for the whole set, gives the claims."""
    working = hypotheses.rewritten(chosen)
    values = None if working is None else evaluation.lines(working)
    if working is None or values is None or not evaluation.agrees(evaluation.parts(working, values)):
        return None
    return Candidate(in_order(evaluation.working, working, [hypotheses.candidates[each] for each in chosen]), working)


def _beyond_chance(candidate: Candidate, evaluation: Evaluation, tried: int) -> bool:
    """Whether only few of the same number of unrelated sets would give the claims."""
    base = evaluation.parts(evaluation.working, evaluation.values) or []
    digits = 0.0
    for claim, part in zip(evaluation.claims, base, strict=False):
        wrong = differing(claim, part)
        numbers = claim.values[wrong], part[wrong], claim.tolerances[wrong]
        digits += digits_of(*numbers, fitted=candidate.values > 1)
    return bool(tried ** len(candidate.applied) * candidate.values * 10.0**-digits <= WEAK)


def _filled(
    trace: Trace, name: str, claims: Sequence[Claim], what: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The values, or half units, of the claimed cells of a line, NaN elsewhere; and which cells are claimed."""
    array = np.full(trace.numpy(name).shape, np.nan)
    filled = np.zeros(array.shape, dtype=bool)
    first = trace.working.label_base
    for claim in claims:
        _, label = split_head(claim.line)
        axis = head_axis(trace.working.axes[name])
        heads: Any = ... if label is None or axis is None else (..., label - first, *[slice(None)] * (-1 - axis))
        cell = () if claim.cell is None else tuple(each - first for each in claim.cell)
        part, there = array[heads], filled[heads]
        part[cell or ...] = np.where(claim.claimed, getattr(claim, what), part[cell or ...])
        there[cell or ...] |= claim.claimed
    return array, filled
