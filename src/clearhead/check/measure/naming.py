"""Names for what was measured: deviations whose rewrite of the working gives the function's numbers at every size.

No list of the effects of deviations is needed: a working that is rewritten by one is measured by the same code, which
shows the parts that change. The parameters of a deviation follow from the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product
from math import exp, log
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.calls.calling import Caller, Form
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Attend, Refused, Roles, Size, running
from clearhead.check.measure.compare import compare_parts
from clearhead.check.measure.curve_names import CurveName, curve_name
from clearhead.check.measure.edits import edited, part_of_edits
from clearhead.check.measure.kept_tables import Step, kept_table
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

ROUGH, NEARER = 1e-3, 3
"""How many times nearer a name must bring numbers, with a coarser tolerance than the first."""

MAX_KEPT = 6
"""Deviations that are tried for each of several parts."""

NEVER = ("finite", "follows inputs", "repeatable")
"""Where these premises fail, numbers are degenerate, and agreement says nothing about a cause."""

VAGUE = frozenset({"form", "features", "turn", "bias"})
"""Parts that may be what another step leaves behind."""

TURNED = frozenset({"turn", "frequencies", "positions"})
"""Parts that may be what rounding in a table of rotary positions leaves behind."""

ORDINARY = 20
"""Sizes on which a set must hold."""


UNSEEING = Applied("softmax-unshifted")
"""The softmax that gives NaN for a query that sees no key."""


class Named(Struct, frozen=True):
    """A set of deviations that gives all numbers of a function, and the working with them in it."""

    deviations: tuple[Applied, ...]
    working: Working


SINGLE = 2.0**-24
"""The relative precision of float32."""


class Evidence(Struct, frozen=True, eq=False):
    """What a name must explain: the numbers at all sizes, and the measurements at one size."""

    task: Task
    roles: Roles
    swept: tuple[Swept, ...]
    rows: tuple[tuple[Observed, Observed], ...]
    measurement: Measurement
    named: tuple[Named, ...] | None = None

    def names(self) -> tuple[Named, ...]:
        """The smallest sets of deviations that give all numbers of the function."""
        return names_of(self) if self.named is None else self.named

    def agrees_in_single(self) -> bool:
        """Whether the outputs at all sizes are the working's in single precision."""
        return all(each.agrees(SINGLE) for each in self.swept if not each.refused)

    def with_edits(self) -> Evidence:
        """The same with the step that differs, where parts do not explain everything and no deviation does."""
        known = self.measurement
        failed = known.premise.name in NEVER if known.premise else False
        vague = known.verdict == "unexplained" or set(known.names) & (VAGUE | TURNED)
        if not vague or failed or not known.differs:
            return self
        named = self.names()
        curve = known.part("score curve")
        bent = curve.details.get("bent") if curve else None
        formula = curve_name(*bent) if bent and not named else None
        if curve and formula and not named and _Confirming(self).bends(formula):
            curve.details["formula"] = formula
            return replace(self, measurement=replace(known, rest=0.0), named=named)
        if set(known.names) & TURNED and not named and known.eps < SINGLE:
            part = kept_table(self.task.working, _Confirming(self).follows)
            if part:
                return replace(self, measurement=replace(known, parts=(part,), premise=None, rest=0.0), named=named)
        found = () if named else edited(self.task.working, _Confirming(self).gives)
        if found:
            known = replace(known, parts=(part_of_edits(found),), premise=None, rest=0.0)
        return replace(self, measurement=known, named=named)


# Parameters that follow from parts


def _factor(part: Part) -> Iterator[Applied]:
    if part.law and not part.law.of:
        yield from _applied("scale-factor", factor=_to_digits(part.law.factor))
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
    (mine, _), (expected, _) = part.measured, part.expected
    gap = np.nanmedian(mine - expected)
    if gap and abs(gap - round(gap)) < 0.01:
        yield from _applied("rotary-offset", by=round(gap))


def _edges(part: Part) -> Iterator[Applied]:
    mine, expected = (np.argwhere(each[0]) for each in (part.measured, part.expected))
    if not len(mine) or not len(expected) or part.sizes[0]["key"] > LARGE:
        return
    for id, sign in (("causal-off-by-one", 1), ("window-off-by-one", -1)):
        reach, wanted = (sign * (cells[:, 1] - cells[:, 0]) for cells in (mine, expected))
        by = int(reach.max() - wanted.max())
        if by:
            yield from _applied(id, by=by)
    if fill := part.details.get("fill") or part.details.get("tiny"):
        yield from _applied("mask-filled", fill=_rounded(fill))


THEMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pairs", "frequencies", "positions", "turn", "features"), ("Rotary positions and ALiBi",)),
    **dict.fromkeys(("key heads", "value heads", "query heads", "output heads"), ("Projections and heads",)),
    **dict.fromkeys(("scale", "score curve"), ("Scores and scale", "Softmax and values")),
    "keys seen": ("Masks",),
    "bias": ("Masks", "Rotary positions and ALiBi"),
    "mass": ("Softmax and values", "Masks"),
    "overflow": ("Softmax and values",),
}
"""The themes of the table with the deviations of a part."""

FITS: dict[str, Callable[[Part], Iterator[Applied]]] = {
    "scale": _factor,
    "frequencies": _base,
    "positions": _offset,
    "keys seen": _edges,
}
"""For a part, the deviations whose parameters follow from what was measured."""


def _applied(id: str, **parameters: float) -> Iterator[Applied]:
    """A deviation with these parameters, if the table has it with these, and these are valid."""
    known = {each.name: each for each in DEVIATIONS[id].parameters} if id in DEVIATIONS else {}
    if known.keys() == parameters.keys():
        typed = {name: known[name].type(value) for name, value in parameters.items()}
        if not any(known[name].fault(value) for name, value in typed.items()):
            yield Applied(id, tuple(typed.items()))


def _rounded(value: float) -> float:
    """A number as somebody would write it: with few digits if these are near enough."""
    for digits in range(1, 7):
        written = float(f"{value:.{digits}g}")
        if abs(written - value) <= 1e-5 * abs(value):
            return written
    return _to_digits(value)


def _to_digits(value: float) -> float:
    """A measured number with the ten digits that it has."""
    return float(f"{value:.10g}")


# Confirmation


def names_of(evidence: Evidence) -> tuple[Named, ...]:
    """The smallest sets of deviations that give all numbers of the function; none where numbers are degenerate."""
    premise = evidence.measurement.premise
    if premise and premise.name == "finite":
        return _of_blind_rows(evidence)
    if premise and premise.name in NEVER:
        return ()
    confirm = _Confirming(evidence)
    parts = evidence.measurement.parts
    if not evidence.measurement.differs:  # the numbers say nothing about a cause
        return ()
    found = [each for each in _tries(parts, evidence.task.working) if confirm.holds((each,))]
    if any(part.details.get("tiny") for part in parts):  # which is not 0, as a product with the mask would be
        found = [each for each in found if each.id != "mask-multiplied"] or found
    if not found and len(parts) > 1 and not premise:
        kept = [confirm.showing(part) for part in parts]
        sets = list(product(*(each for each in kept if each)))[:MAX_SETS]
        smaller = {tuple(dict.fromkeys(chosen)) for chosen in sets}
        held = [chosen for chosen in sorted(smaller, key=len) if len(chosen) > 1 and confirm.holds(chosen)]
        by_ids = {tuple(each.id for each in chosen): chosen for chosen in reversed(held) if len(chosen) == len(held[0])}
        return tuple(confirm.named(chosen) for chosen in reversed(by_ids.values()))
    return tuple(confirm.named((each,)) for each in _distinct(found))


def _of_blind_rows(evidence: Evidence) -> tuple[Named, ...]:
    """The other masks with which queries see no key just where outputs are no numbers, and all others are right."""
    confirm = _Confirming(evidence, blind=True)
    if not any(np.isfinite(each.y).any() for each in confirm.held if each.y is not None and not each.finite):
        return ()
    found = [each for each in _tries((), evidence.task.working, ("Masks",)) if confirm.holds((each,))]
    if found and evidence.measurement.premise:
        evidence.measurement.premise.found["rows"] = "unseeing"
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
    """Sets of deviations compared with the numbers at all sizes, the smallest sizes that differ first."""

    def __init__(self, evidence: Evidence, *, blind: bool = False) -> None:
        self.evidence = evidence
        self.blind = blind  # whether a query that sees no key gets NaN
        self.eps = eps = evidence.measurement.eps
        least = 2 if evidence.roles.masks else 1  # with one key, masks hide all or nothing
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
        working = self.rewritten((*chosen, UNSEEING)) if self.blind else None
        working = working or self.rewritten(chosen)
        assert working is not None  # noqa: S101 - it held, so it applies
        return Named(chosen, working)

    def holds(self, chosen: tuple[Applied, ...]) -> bool:
        """Whether the working with these deviations gives the function's numbers at every size."""
        working = self.rewritten(chosen)
        return working is not None and self.gives(working)

    def gives(self, working: Working) -> bool:
        """Whether a working gives the function's numbers at every size."""
        return bool(self.held) and all(self._same(working, each) for each in self.held)

    def bends(self, curve: CurveName) -> bool:
        """Whether the working with this curve of its scaled scores gives the function's numbers at every size."""
        lines = {line.operation.role: line for line in self.evidence.task.working.lines}
        if "scale" not in lines:
            return False
        after = lines.get("cap", lines["scale"]).name
        return self.follows((lines["scale"].name,), (after,), lambda s: (curve(s),))

    def follows(self, reads: tuple[str, ...], makes: tuple[str, ...], step: Step) -> bool:
        """Whether the working gives the function's numbers at every size where a step makes these lines from those."""
        task = self.evidence.task
        before, rest = task.working.ending_at(*reads), task.working.starting_at(*makes)

        def run(*arrays: Any) -> Any:
            given = {**task.fixed, **dict(zip(task.takes, arrays, strict=True))}
            known = before.run({each.name: given[each.name] for each in before.givens}, keep=reads)
            given |= zip(makes, step(*(known[name] for name in reads)), strict=True)
            trace = rest.run({each.name: given[each.name] for each in rest.givens}, keep=task.returns)
            return tuple(trace[name] for name in task.returns)

        attend = Attend(Caller(run, task, Form("numpy")), self.evidence.roles)
        return bool(self.held) and all(self._near(attend, each) for each in self.held)

    def _same(self, working: Working, each: Swept) -> bool:
        return self._near(self._attend(working), each)

    def _near(self, attend: Attend, each: Swept) -> bool:
        """Whether attention gives the numbers at one size, and is clearly nearer to them where the right one is off.

        With few bits much else is near: what only moves numbers within what the precision leaves open is no cause.
        """
        assert each.y is not None  # noqa: S101 - only those with numbers are held
        q, k, v, past, masks = self._drawn(each.size)
        try:
            y = attend(q, k, v, past, masks)
            if self.blind:
                sums = attend(q, k, np.ones_like(v), past, masks)
                y = np.where(sums.any(-1, keepdims=True), y, np.nan)
        except Refused:
            return False
        known = np.isfinite(each.y)
        if not np.array_equal(np.where(known, 0, each.y), np.where(np.isfinite(y), 0, y), equal_nan=True):
            return False
        if not known.any():
            return self.blind
        near = self.near if self.near < ROUGH or each.agrees(self.eps) else min(self.near, each.off / NEARER)
        return bool(np.abs(y[known] - each.y[known]).max() <= near * max(float(np.abs(each.y[known]).max()), 1e-30))

    def _attend(self, working: Working) -> Attend:
        task, roles = self.evidence.task, self.evidence.roles
        return Attend(Caller(running(task, working), task, Form("numpy")), roles)

    def _drawn(self, size: Size) -> tuple[Array, Array, Array, int, dict[str, Array]]:
        made = drawn(size, batch=size.batch)
        return (
            made.q,
            made.k,
            made.v,
            size.past,
            drawn_masks(self._attend(self.evidence.task.working), size, made.rng, batch=size.batch),
        )

    def showing(self, part: Part) -> list[Applied]:
        """The deviations with which the working, measured by the same code, shows the function's value of a part."""
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
