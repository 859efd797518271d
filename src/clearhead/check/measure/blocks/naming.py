"""Names for other behaviour of norms, MLPs and blocks: deviations that give the numbers of all trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from time import process_time

import numpy as np
from msgspec.structs import replace

from clearhead.check.calls.task import Task
from clearhead.check.diagnosis import claim_of
from clearhead.check.fit.candidate import fitted_or_matched, rewritten
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed
from clearhead.check.measure.blocks.trials import Trial
from clearhead.check.measure.naming import Named
from clearhead.claim import MAX_DECIMALS
from clearhead.deviations import Applied, candidates
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.working import Working

MAX_SECONDS = 1.0
"""Pairs are tried for so long, by the clock of the processor."""

MAX_JOINED = 8
"""The most deviations that are combined, of those that explain some trials."""


def names_of(task: Task, ran: Sequence[Trial]) -> tuple[Named, ...]:
    """The smallest sets of deviations that give all results of a function; none where these are right."""
    known = [each for each in ran if each.y is not None]
    if all(each.agrees for each in known):
        return ()
    telling = _telling(known)
    counts = {each: _solved(task, (each,), telling) for each in candidates(task.working)}
    held = tuple(each for each in counts if counts[each] == len(telling) and _holds(task, (each,), known))
    if not held:
        fits = [each for each in _fitted(task, telling) if each not in counts]
        counts |= {each: _solved(task, (each,), telling) for each in fits}
        held = tuple(each for each in fits if counts[each] == len(telling) and _holds(task, (each,), known))
    if held:
        return tuple(_named(task, (each,)) for each in _once(held))
    return _together(task, counts, known)


def _telling(known: Sequence[Trial]) -> list[Trial]:
    """Few trials that differ in many ways: of ordinary sizes, with halves off, and the small ones that differ most."""
    off = [each for each in known if not each.agrees]
    kinds = {kind: [each for each in off if each.kind == kind] for kind in ("ordinary", "off", "small")}
    small = sorted(kinds["small"], key=lambda each: -min(each.off, 1e30))
    return [*kinds["ordinary"][:1], *kinds["off"], *small[:1]]


def _together(task: Task, counts: dict[Applied, int], known: Sequence[Trial]) -> tuple[Named, ...]:
    """Sets of deviations that each explain some trials."""
    useful = sorted((each for each, solved in counts.items() if solved), key=lambda each: -counts[each])
    best = list(_once(useful))[:MAX_JOINED]
    for size in (2, 3):
        sets = [chosen for chosen in combinations(best, size) if _holds(task, chosen, known)]
        if sets:
            return tuple(_named(task, chosen) for chosen in sets)
    return tuple(_named(task, chosen) for chosen in _any_two(task, counts, known)) if not useful else ()


def _any_two(task: Task, tried: Iterable[Applied], known: Sequence[Trial]) -> Iterator[tuple[Applied, ...]]:
    """Pairs of which neither explains a trial by itself, as where both change all numbers."""
    end = process_time() + MAX_SECONDS
    for chosen in combinations(_once(tried), 2):
        if process_time() > end:
            return
        if _holds(task, chosen, known):
            yield chosen


def _once(found: Iterable[Applied]) -> Iterator[Applied]:
    """Each deviation once, with the first of its parameters; of those of one line, once for each."""
    seen = set()
    for each in found:
        key = (each.id, tuple(value for _, value in each.parameters if isinstance(value, str)))
        if key not in seen:
            seen.add(key)
            yield each


def _named(task: Task, chosen: tuple[Applied, ...]) -> Named:
    working = rewritten(task.working, chosen)
    assert working is not None  # noqa: S101 - it held, so it applies
    return Named(chosen, working)


def in_one_half(task: Task, ran: Sequence[Trial]) -> tuple[Applied, str] | None:
    """The deviation of one half alone that gives all results of a function, and that half."""
    known = [each for each in ran if each.y is not None]
    paths = dict.fromkeys(name.partition(".")[0] for name in task.working.names if "." in name)
    for applied in candidates(task.working) if len(paths) > 1 else ():
        whole = rewritten(task.working, (applied,))
        for path in paths:
            if whole and all(_right(task, _spliced(task.working, whole, path), _smallest(known))):
                return applied, path
    return None


def _spliced(working: Working, other: Working, path: str) -> Working | None:
    """A working with the lines of one half of another; None where these read lines of the rest of it."""
    mine = [line for line in other.lines if line.name.startswith(f"{path}.")]
    lines: list[Line] = []
    for line in working.lines:
        if not line.name.startswith(f"{path}."):
            lines.append(line)
        elif mine:
            lines += mine
            mine = []
    try:
        return replace(working, lines=tuple(lines))
    except ClearheadError:
        return None


def _solved(task: Task, chosen: tuple[Applied, ...], telling: Sequence[Trial]) -> int:
    """How many of the trials that differ get the function's numbers."""
    return sum(_right(task, rewritten(task.working, chosen), telling))


def _holds(task: Task, chosen: tuple[Applied, ...], known: Sequence[Trial]) -> bool:
    """Whether all trials get the function's numbers, the smallest first."""
    return all(_right(task, rewritten(task.working, chosen), _smallest(known)))


def _smallest(known: Sequence[Trial]) -> list[Trial]:
    return sorted(known, key=lambda each: each.expected[-1].size)


def _right(task: Task, working: Working | None, trials: Sequence[Trial]) -> Iterator[bool]:
    run = Computed(task, working) if working else None
    for trial in trials:
        try:
            yield run is not None and trial.holds(run(trial.arrays))
        except Refused:
            yield False


def _fitted(task: Task, telling: Sequence[Trial]) -> Iterator[Applied]:
    """The deviations of which a fitted parameter gives the numbers of one of the trials: the first, or the last."""
    for trial in {id(each): each for each in (telling[-1], telling[0])}.values():
        evaluation = _evaluation(task, trial)
        found = fitted_or_matched(evaluation) if evaluation else []
        yield from (each.applied[0] for each in found)
        if found:
            return


def _evaluation(task: Task, trial: Trial) -> Evaluation | None:
    """A trial as claims, to fit parameters to."""
    given = {**task.fixed, **trial.arrays}
    try:
        trace = task.working.run({each.name: given[each.name] for each in task.working.givens})
    except ClearheadError:
        return None
    values = {name: trace.numpy(name) for name in (*(each.name for each in task.working.givens), *task.working.names)}
    claims = tuple(
        claim_of(name, np.asarray(y), _decimals(y, trial.near))
        for name, y in zip(task.returns, trial.y or (), strict=True)
    )
    return Evaluation(claims, task.working, values)


def _decimals(y: np.ndarray, near: float) -> int:
    """To how many decimals numbers hold, of those that a claim may have."""
    largest = float(np.abs(y[np.isfinite(y)]).max(initial=1e-30))
    return int(np.clip(np.floor(-np.log10(near * max(largest, 1e-30))) - 1, 0, MAX_DECIMALS))
