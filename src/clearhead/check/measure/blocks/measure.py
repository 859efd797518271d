"""Measuring norms, MLPs, blocks, and functions with weights inside: trials, and the parts that explain them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks import mlps
from clearhead.check.measure.blocks.access import Computed, Run
from clearhead.check.measure.blocks.added import added
from clearhead.check.measure.blocks.constants import constants
from clearhead.check.measure.blocks.curves import after_of
from clearhead.check.measure.blocks.factors import factored
from clearhead.check.measure.blocks.follows import follows
from clearhead.check.measure.blocks.gates import gates_elsewhere
from clearhead.check.measure.blocks.inside import Solved, solved
from clearhead.check.measure.blocks.mlps import MlpArrays, is_certain, lost_cells, measure_mlp, mlp_arrays
from clearhead.check.measure.blocks.naming import in_one_half, names_of
from clearhead.check.measure.blocks.norm_axes import declared_eps, norm_axes
from clearhead.check.measure.blocks.norms import (
    UNITS,
    NormArrays,
    aspects,
    is_near,
    measure_norm,
    norm_arrays,
    rebuilt,
)
from clearhead.check.measure.blocks.outline import Half, halves
from clearhead.check.measure.blocks.places import places
from clearhead.check.measure.blocks.projections import read_elsewhere
from clearhead.check.measure.blocks.rebuild import remainder
from clearhead.check.measure.blocks.residuals import Mixed, gives, mixed
from clearhead.check.measure.blocks.sinusoids import reading as read_waves
from clearhead.check.measure.blocks.sinusoids import reading_of_columns, waves
from clearhead.check.measure.blocks.trials import Trial, precision_of, trials, within
from clearhead.check.measure.edits import Edit, edited, edited_in_turn, part_of_edits
from clearhead.check.measure.naming import Named
from clearhead.check.measure.parts import Measurement, Part, Sizes
from clearhead.check.measure.precision import FLOATS
from clearhead.deviations import Applied, deviation
from clearhead.working import Working

CLOSE = 1e-3
"""The relative tolerance within which measured numbers count as equal."""


ODDITY = "norm features"
"""The part of what is no norm of each token over its features, of which no more is measured."""

SINGLE = 2.0**-23
"""The relative precision of single precision."""


class BlockEvidence(Struct, frozen=True, eq=False):
    """What was measured, and the sets of deviations that give all numbers of it."""

    task: Task
    named: tuple[Named, ...]
    measurement: Measurement
    ran: tuple[Trial, ...]

    def names(self) -> tuple[Named, ...]:
        """The smallest sets of deviations that give all numbers of the function."""
        return self.named

    def holds(self, working: Working) -> bool:
        """Whether a working gives all numbers of the function."""
        return gives(self.task, working, self.ran)


def measure_block(begun: Start) -> BlockEvidence | None:
    """Measures a function that was called already; None if its results cannot be compared."""
    if begun.rank > 0:
        return None
    clock = perf_counter()
    task = begun.caller.task
    f, expected = Run(begun.caller), Computed(task, task.working)
    eps = precision_of(begun, f, expected)
    ran = trials(begun, f, expected, eps)
    if not any(each.y for each in ran):
        return None
    names = names_of(task, ran)
    if not (names or eps >= SINGLE or all(each.agrees for each in ran if each.y)):
        # No deviation gives these numbers; they may be right, with a constant in single precision.
        rough = tuple(within(each, expected, SINGLE) for each in ran)
        eps, ran = (SINGLE, rough) if all(each.agrees for each in rough if each.y) else (eps, ran)
    measurement = _Measuring(begun, f, expected, eps, ran).measurement(clock, named=bool(names))
    return BlockEvidence(task, names, measurement, tuple(ran))


class _Measuring:
    """One measurement in progress."""

    def __init__(self, begun: Start, f: Run, expected: Run, eps: float, ran: Sequence[Trial]) -> None:
        self.begun = begun
        self.f = f
        self.expected = expected
        self.eps = eps
        self.ran = ran
        self.base = next(each for each in ran if each.y)
        self.task = begun.caller.task
        self.inside = ""
        self.rest = np.inf

    def measurement(self, clock: float, *, named: bool) -> Measurement:
        """The parts that differ and those that are right; weights inside where no part has a name."""
        known = [each for each in self.ran if each.y]
        off = [each for each in known if not each.agrees]
        parts: list[Part] = []
        explained = False
        if off:
            found, explained = self._whole()
            if explained and (rounded := _rounded(found)):
                self.eps, self.inside = UNITS[rounded], f"{rounded}, in its mean square"
                known = [within(each, self.expected, self.eps) for each in known]
                off = [each for each in known if not each.agrees]
        if off:
            followed = list(self._followed())
            if not explained and any(each.differs and each.name != "arrays read" for each in followed):
                found = []  # what is measured of single tokens says nothing where they follow others
            parts = [*found, *followed, *(() if explained else self._located(off))]
            whole = () if explained or named else self._explaining(parts)
            parts = [*whole, *(each for each in parts if not (whole and each.name == ODDITY))]
            explained = explained or bool(whole)
        differing = tuple(each for each in parts if each.differs)
        sizes = {True: [each.sizes for each in known if each.agrees and each.kind == "ordinary"],
                 False: [each.sizes for each in known if not each.agrees]}  # fmt: skip
        return Measurement(
            differing,
            (*(each for each in parts if not each.differs), self._precision()),
            rest=None if not off else 0.0 if explained else self.rest,
            tolerance=CLOSE,
            sizes=(self.base.sizes,),
            agrees=tuple(sizes[True]),
            differs=_distinct(sizes[False]),
            refused=_distinct([each.sizes for each in self.ran if each.refused]),
            eps=self.eps,
            calls=self.f.calls,
            seconds=perf_counter() - clock,
        )

    def _explaining(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """A part with which all numbers are right: of weights inside, one half, a residual, or one step."""
        if self.task.fixed and (inside := solved(self.begun, self.f, self.base.near)):
            return (_inside(inside),)
        if rows := added(self.f, self.expected, self.task, self.ran):
            return (Part("added positions", rows, tuple(range(len(rows))), differs=True, axes=("token",)),)
        if found := places(self.task, self.ran):
            return (Part("places", found.axes, (), differs=True, details={"rule": found.rule, "fix": found.fix}),)
        if axes := norm_axes(self.task, self.ran):
            details = {"eps": declared_eps(self.task)}
            return (Part("norm axes", axes, "each token over its features", differs=True, details=details),)
        if half := in_one_half(self.task, self.ran):
            return (_one_half(*half),)
        if any(each.name == "arrays read" and each.differs for each in parts) and (mix := mixed(self.task, self.ran)):
            return tuple(map(_residual, mix))
        if steps := edited(self.task.working, self._gives):
            return (part_of_edits(steps),)
        if read := read_elsewhere(self.task, self.ran):
            return (Part("projections", tuple(each.says for each in read), (), differs=True),)
        if laid := gates_elsewhere(self.task, self.ran):
            return (Part("projections", (laid,), (), differs=True),)
        if scaled := factored(self.task, self.ran):
            return (Part("sum factors", scaled, (), differs=True),)
        if odd := constants(self.task, self.ran):
            return (Part("constants", odd[0], (), differs=True, details={"alike": odd[1:]}),)
        if mix := mixed(self.task, self.ran):
            return tuple(map(_residual, mix))
        steps = next(filter(None, map(self._in_turn, halves(self.task))), ())
        return (part_of_edits(steps[:1], besides=steps[1:]),) if steps else ()

    def _in_turn(self, half: Half) -> tuple[Edit, ...]:
        """Two steps that differ, the first of them in this half, with the others off."""
        alone = [each for each in self.ran if each.kind == "off" and half.name not in each.of]
        most = max((len(each.of) for each in alone), default=0)
        alone = [each for each in alone if len(each.of) == most]
        if not alone or all(each.agrees for each in alone):
            return ()
        return edited_in_turn(self.task.working, lambda made: gives(self.task, made, alone), self._gives)

    def _gives(self, working: Working) -> bool:
        """Whether a working gives all results of the function."""
        return gives(self.task, working, self.ran)

    def _precision(self) -> Part:
        bits = -np.log2(self.eps)
        kind = next((name for name, kept in FLOATS.items() if bits <= kept + 1 and kept < 50), "float64")
        return Part("precision", bits, 52, differs=False, details={"type": kind, "inside": self.inside})

    # Norms and MLPs by themselves

    def _whole(self) -> tuple[list[Part], bool]:
        """The parts of a task that is one norm or one MLP, and whether they give the numbers of all trials."""
        if norm := norm_arrays(self.task):
            return self._norm(norm)
        if found := self._waves():
            return [found], found.differs
        mlp = mlp_arrays(self.task)
        return self._hidden(mlp) if mlp else ([], False)

    def _waves(self) -> Part | None:
        """The columns of positions, where the task is their table."""
        found = waves(self.f, self.task, self.base, self.ran)
        right = waves(self.expected, self.task, self.base) if found else None
        if found is None or right is None:
            return None
        mine, expected = found.frequencies, right.frequencies
        moved = tuple(np.nonzero(found.sines != right.sines)[0].tolist())
        off = np.abs(mine / expected - 1) > CLOSE
        where = {"model": tuple(np.nonzero(off)[0].tolist()) or moved}
        even, due = (each.frequencies[each.sines] for each in (found, right))
        paired = len(even) == len(due) and np.allclose(even, mine[~found.sines][: len(even)], rtol=CLOSE)
        details = {
            "sines": (found.sines, right.sines),
            "reading": read_waves(even, due) if paired else reading_of_columns(mine, expected),
        }
        differs = bool(off.any() or moved)
        return Part("position frequencies", mine, expected, differs, ("model",), where,
                    sizes=(self.base.sizes,), details=details)  # fmt: skip

    def _norm(self, names: NormArrays) -> tuple[list[Part], bool]:
        mine, expected = (measure_norm(each, names, self.base.arrays, self.eps) for each in (self.f, self.expected))
        if mine is None or expected is None:
            return [], False
        if mine.odd:
            return [Part(ODDITY, mine.odd, expected.odd, differs=mine.odd != expected.odd)], False
        seen, wanted = aspects(mine), aspects(expected)
        parts = [self._part(name, seen[name], wanted[name]) for name in seen if name in wanted]
        again = ((each, rebuilt(mine, names, each.arrays)) for each in self.ran)
        return parts, all(
            y is not None and is_near(y, each.y[-1], each.near, UNITS.get(mine.rounding, 0.0))
            for each, y in again
            if each.y
        )

    def _hidden(self, names: MlpArrays) -> tuple[list[Part], bool]:
        mine, expected = (measure_mlp(each, names, self.base.sizes, self.eps) for each in (self.f, self.expected))
        if mine is None or expected is None or not is_certain(self.task, names, mine, expected):
            return [], False
        if not mine.is_linear:
            after = after_of(mine.curve, expected.curve, self.eps)
            return [Part("last product", after, "", differs=True, details={"name": names.output})], False
        if lost := lost_cells(mine.curve, expected.curve, self.base.near):
            return [Part("hidden cells", lost, (), differs=True, details={"of": len(mine.curve)})], False
        said = tuple(each.formula.name if each.formula else "" for each in (mine, expected))
        near = self.base.near * max(np.abs(expected.curve).max(), 1e-30)
        differs = bool(np.abs(mine.curve - expected.curve).max() > near)
        parts = [Part("hidden cell", mine.curve, expected.curve, differs, sizes=(self.base.sizes,),
                      details={"names": said})]  # fmt: skip
        for name, use in mine.biases.items():
            expect = expected.biases.get(name, "?")
            parts.append(Part("hidden bias", use, expect, use != expect, (), details={"name": name}))
        if names.off or names.source not in self.task.takes or "residual" in self.task.returns[-1].split("."):
            if mine.formula and all(each.differs == (each.name == "hidden cell") for each in parts):
                self.rest = remainder(self.task, mine.formula, self.ran)
            return parts, self.rest == 0
        again = ((each, mlps.rebuilt(mine, names, each.arrays)) for each in self.ran)
        return parts, all(y is not None and is_near(y, each.y[-1], each.near) for each, y in again if each.y)

    def _part(self, name: str, mine: Any, expected: Any) -> Part:
        return Part(name, mine, expected, not _same(mine, expected), sizes=(self.base.sizes,))

    # What follows what, and where the difference lies

    def _followed(self) -> Iterator[Part]:
        """What outputs depend on, compared with what they should."""
        near = max(self.base.near, 1e-9)
        try:
            mine, expected = (follows(each, self.base.arrays, near) for each in (self.f, self.expected))
        except Refused:
            return
        for name, found in mine.items():
            kind = next(kind for kind in ("arrays", "tokens", "examples") if name.startswith(kind))
            differs = (
                bool(np.any(found != expected[name])) if isinstance(found, np.ndarray) else found != expected[name]
            )
            yield Part(f"{kind} read", found, expected[name], differs, sizes=(self.base.sizes,), details={"what": name})

    def _located(self, off: Sequence[Trial]) -> Iterator[Part]:
        """Where the difference lies: in what half, or where which arrays are small."""
        ordinary = [each for each in off if each.kind == "ordinary"]
        if not ordinary and (small := [each for each in off if each.kind == "small"]):
            worst = {each.of[0]: each.off for each in small}
            yield Part("small inputs", worst, {}, differs=True, sizes=(self.base.sizes,))
        single = [each for each in self.ran if each.kind == "off" and len(each.of) == 1 and each.y]
        clean = tuple(each.of[0] for each in single if each.agrees)
        if ordinary and len(halves(self.task)) > 1 and len(clean) == 1:
            yield Part("halves", clean, (), differs=True, sizes=(self.base.sizes,))


def _rounded(parts: Sequence[Part]) -> str:
    """The type to which the mean square of a norm is rounded, if that is all that differs."""
    names = [each.name for each in parts if each.differs]
    return next((each.measured[0] for each in parts if names == ["norm rounding"] and each.differs), "")


def _inside(found: Solved) -> Part:
    return Part("weights inside", found.found, found.given, differs=True, axes=found.axes,
                details={"name": found.name, "says": found.says})  # fmt: skip


def _residual(found: Mixed) -> Part:
    return Part("residual", found.adds, found.expected, differs=True, details={"line": found.line})


def _one_half(applied: Applied, half: str) -> Part:
    known = deviation(applied.id)
    details = {"half": half, "does": known.does, "remedy": re.sub(r"\battention\(", f"{half}(", known.remedy)}
    return Part("one half", str(applied), "", differs=True, details=details)


def _same(mine: Any, expected: Any) -> bool:
    if mine is None or expected is None:
        return mine is expected
    return all(
        (a is None) == (b is None)
        and bool(np.isclose(a, b, rtol=CLOSE) if isinstance(a, float) and b is not None else a == b)
        for a, b in zip(mine, expected, strict=True)
    )


def _distinct(sizes: Sequence[Sizes]) -> tuple[Sizes, ...]:
    return tuple({tuple(each.items()): each for each in sizes}.values())
