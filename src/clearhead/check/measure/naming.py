"""Names for what was measured: deviations whose rewrite of the working gives the function's numbers at every size.

No list of what each deviation does is needed: a working that is rewritten by one is measured by the same code, so it
shows itself which parts change. What a deviation takes as parameters follows from the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product
from math import exp, log

import numpy as np
from msgspec import Struct

from clearhead.check.calls.calling import Caller, Form
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Attend, Refused, Roles, Size, running
from clearhead.check.measure.compare import compare_parts
from clearhead.check.measure.observe import Observed, drawn, observe
from clearhead.check.measure.parts import Array, Measurement, Part
from clearhead.check.measure.premises import Swept, drawn_masks, same
from clearhead.deviations import Applied, candidates
from clearhead.deviations.table import DEVIATIONS, GROUPS
from clearhead.errors import ClearheadError
from clearhead.working import Working

LARGE = 48
"""With more keys than this an edge may lie beyond the keys that were tried."""

MAX_SETS = 400
"""Sets of deviations that are tried where several parts differ."""

MAX_KEPT = 6
"""Deviations that are tried for each of several parts."""

NEVER = ("finite", "follows inputs", "repeatable")
"""Where these premises fail, numbers are degenerate, and equal ones say nothing of a cause."""

ORDINARY = 20
"""Sizes on which a set must hold."""


class Named(Struct, frozen=True):
    """A set of deviations that gives all numbers of a function, and the working with them in it."""

    deviations: tuple[Applied, ...]
    working: Working


class Evidence(Struct, frozen=True, eq=False):
    """What a name is held against: the numbers of a sweep, and what was measured at one size."""

    task: Task
    roles: Roles
    swept: tuple[Swept, ...]
    rows: tuple[tuple[Observed, Observed], ...]
    measurement: Measurement

    def names(self) -> tuple[Named, ...]:
        """The smallest sets of deviations that give all numbers of the function."""
        return names_of(self)


# Parameters that follow from parts


def _factor(part: Part) -> Iterator[Applied]:
    if part.law and not part.law.of:
        yield from _applied("scale-factor", factor=part.law.factor)
    ratio = float(part.details.get("ratio", 0.0))
    if 0 < ratio != 1:
        yield from _applied("softmax-base", base=float(_rounded(exp(ratio))))


def _base(part: Part) -> Iterator[Applied]:
    mine, _ = part.details.get("spectrum") or (None, None)
    if mine:
        yield from _applied("rotary-base", base=_rounded(mine[0]))
    ratio = part.details.get("ratio")
    if ratio is not None and np.ptp(ratio) < 1e-4 * np.abs(ratio).max() and abs(ratio[0]) > 0:
        yield from _applied("rotary-interpolated", factor=_rounded(1 / float(ratio[0])))
    spectra = part.details.get("spectrum") or (None, None)
    if spectra[0] and spectra[1]:
        width = 2 * len(part.measured)
        raised = spectra[0][0] / spectra[1][0]
        if width > 2 and raised > 0:
            yield from _applied("rotary-ntk", factor=_rounded(exp(log(raised) * (width - 2) / width)))


def _offset(part: Part) -> Iterator[Applied]:
    (mine, _), (due, _) = part.measured, part.expected
    gap = np.nanmedian(mine - due)
    if gap and abs(gap - round(gap)) < 0.01:
        yield from _applied("rotary-offset", by=round(gap))


def _edges(part: Part) -> Iterator[Applied]:
    mine, due = (np.argwhere(each[0]) for each in (part.measured, part.expected))
    if not len(mine) or not len(due) or part.sizes[0]["key"] > LARGE:
        return
    for id, sign in (("causal-off-by-one", 1), ("window-off-by-one", -1)):
        reach, wanted = (sign * (cells[:, 1] - cells[:, 0]) for cells in (mine, due))
        by = int(reach.max() - wanted.max())
        if by:
            yield from _applied(id, by=by)
    if part.details.get("fill"):
        yield from _applied("mask-filled", fill=_rounded(part.details["fill"]))


THEMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pairs", "frequencies", "positions", "turn", "features"), ("Rotary positions and ALiBi",)),
    **dict.fromkeys(("key heads", "value heads", "query heads", "output heads"), ("Projections and heads",)),
    **dict.fromkeys(("scale", "score curve"), ("Scores and scale", "Softmax and values")),
    "keys seen": ("Masks",),
    "bias": ("Masks", "Rotary positions and ALiBi"),
    "mass": ("Softmax and values", "Masks"),
    "overflow": ("Softmax and values",),
}
"""The themes of the table in which the deviations of a part stand."""

FITS: dict[str, Callable[[Part], Iterator[Applied]]] = {
    "scale": _factor,
    "frequencies": _base,
    "positions": _offset,
    "keys seen": _edges,
}
"""For a part, the deviations whose parameters follow from what was measured."""


def _applied(id: str, **parameters: float) -> Iterator[Applied]:
    """A deviation with these parameters, if the table has it with these."""
    known = {each.name: each.type for each in DEVIATIONS[id].parameters} if id in DEVIATIONS else {}
    if known.keys() == parameters.keys():
        yield Applied(id, tuple((name, known[name](value)) for name, value in parameters.items()))


def _rounded(value: float) -> float:
    """A number as somebody would have written it: in few digits if these are near enough."""
    for digits in range(1, 7):
        written = float(f"{value:.{digits}g}")
        if abs(written - value) <= 1e-5 * abs(value):
            return written
    return value


# Confirmation


def names_of(evidence: Evidence) -> tuple[Named, ...]:
    """The smallest sets of deviations that give all numbers of the function; none where numbers are degenerate."""
    premise = evidence.measurement.premise
    if premise and premise.name in NEVER:
        return ()
    confirm = _Confirming(evidence)
    parts = evidence.measurement.parts
    if not evidence.measurement.differs:  # the numbers say nothing of a cause
        return ()
    found = [each for each in _tries(parts, evidence.task.working) if confirm.holds((each,))]
    if not found and len(parts) > 1 and not premise:
        kept = [confirm.showing(part) for part in parts]
        sets = list(product(*(each for each in kept if each)))[:MAX_SETS]
        smaller = {tuple(dict.fromkeys(chosen)) for chosen in sets}
        held = [chosen for chosen in sorted(smaller, key=len) if len(chosen) > 1 and confirm.holds(chosen)]
        return tuple(confirm.named(chosen) for chosen in held if len(chosen) == len(held[0]))
    return tuple(confirm.named((each,)) for each in _distinct(found))


def _tries(parts: Iterable[Part], working: Working, themes: Collection[str] = GROUPS) -> Iterator[Applied]:
    """The deviations of these themes that apply, those without parameters first, then those with fitted ones."""
    ids = {row.id for theme in themes for row in GROUPS.get(theme, ())}
    known = [each for each in candidates(working) if each.id in ids]
    fitted = [each for part in parts for each in _fitted(part)]
    plain = [each for each in known if not each.parameters]
    yield from dict.fromkeys((*plain, *fitted, *known))


def _fitted(part: Part) -> Iterator[Applied]:
    """The deviations whose parameters follow from a part."""
    yield from FITS[part.name](part) if part.name in FITS else ()


def _distinct(found: Sequence[Applied]) -> Iterator[Applied]:
    """Each deviation once, with the first of its parameters."""
    seen: set[str] = set()
    for each in found:
        if each.id not in seen:
            seen.add(each.id)
            yield each


class _Confirming:
    """Sets of deviations held against the numbers of the sweep, the smallest sizes that differ first."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        eps = evidence.measurement.eps
        least = 2 if evidence.roles.masks else 1  # of one key, masks hide all or nothing
        ran = [each for each in evidence.swept if each.y is not None and each.size.keys >= least]
        off = [each for each in ran if not each.agrees(eps)]
        rest = [each for each in ran if each.agrees(eps)]
        self.held = sorted(off[:ORDINARY] + rest[:ORDINARY], key=lambda each: each.size.tokens * each.size.keys)
        self.near = same(eps)

    def rewritten(self, chosen: Iterable[Applied]) -> Working | None:
        """The working with these deviations in it; None where one does not apply."""
        working = self.evidence.task.working
        try:
            for each in chosen:
                working = each.rewrite(working)
        except ClearheadError:
            return None
        return working

    def named(self, chosen: tuple[Applied, ...]) -> Named:
        """A set with its working."""
        working = self.rewritten(chosen)
        assert working is not None  # noqa: S101 - it held, so it applies
        return Named(chosen, working)

    def holds(self, chosen: tuple[Applied, ...]) -> bool:
        """Whether the working with these deviations gives the function's numbers at every size."""
        working = self.rewritten(chosen)
        return working is not None and bool(self.held) and all(self._same(working, each) for each in self.held)

    def _same(self, working: Working, each: Swept) -> bool:
        assert each.y is not None  # noqa: S101 - only those with numbers are held
        try:
            y = self._attend(working)(*self._drawn(each.size))
        except Refused:
            return False
        known = np.isfinite(each.y)
        if (known != np.isfinite(y)).any() or not known.any():
            return False
        return bool(np.abs(y - each.y)[known].max() <= self.near * max(float(np.abs(each.y[known]).max()), 1e-30))

    def _attend(self, working: Working) -> Attend:
        task, roles = self.evidence.task, self.evidence.roles
        return Attend(Caller(running(task, working), task, Form("numpy")), roles)

    def _drawn(self, size: Size) -> tuple[Array, Array, Array, int, dict[str, Array]]:
        made = drawn(size, batch=2)
        return (
            made.q,
            made.k,
            made.v,
            size.past,
            drawn_masks(self._attend(self.evidence.task.working), size, made.rng, batch=2),
        )

    def showing(self, part: Part) -> list[Applied]:
        """The deviations with which the working, measured by the same code, shows a part as the function has it."""
        a, b = next((row for row in self.evidence.rows if row[0].size.words in part.sizes[:1]), self.evidence.rows[0])
        kept: list[Applied] = []
        for each in _tries((part,), self.evidence.task.working, THEMES.get(part.name, tuple(GROUPS))):
            working = self.rewritten((each,))
            if working is None or len(kept) >= MAX_KEPT:
                continue
            try:
                shown = observe(self._attend(working), b.size, eps=max(a.eps, b.eps), brief=True)
            except Refused:
                continue
            left = compare_parts([(a, shown)])
            if part.name not in {each.name for each in left.differing}:
                kept.append(each)
        return kept
