"""Measuring what computes norms, MLPs and blocks, and what has weights inside: trials, and the parts behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.starting import Start
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Computed, Run
from clearhead.check.measure.blocks.follows import follows
from clearhead.check.measure.blocks.inside import Solved, solved
from clearhead.check.measure.blocks.mlps import MlpArrays, measure_mlp, mlp_arrays, named
from clearhead.check.measure.blocks.naming import in_one_half, names_of
from clearhead.check.measure.blocks.norms import NormArrays, aspects, measure_norm, norm_arrays, rebuilt
from clearhead.check.measure.blocks.outline import halves
from clearhead.check.measure.blocks.trials import Trial, precision_of, trials, within
from clearhead.check.measure.naming import Named
from clearhead.check.measure.parts import Measurement, Part, Sizes
from clearhead.check.measure.precision import FLOATS
from clearhead.deviations import Applied, deviation

CLOSE = 1e-3
"""How near numbers that were measured must be, relative to their size, to be the same."""


SINGLE = 2.0**-23
"""The relative precision of single precision."""


class BlockEvidence(Struct, frozen=True, eq=False):
    """What was measured, and the sets of deviations that give all numbers of it."""

    task: Task
    named: tuple[Named, ...]
    measurement: Measurement

    def names(self) -> tuple[Named, ...]:
        """The smallest sets of deviations that give all numbers of the function."""
        return self.named


def measure_block(begun: Start) -> BlockEvidence | None:
    """Measures a function that was called already; None if it gives nothing that can be compared."""
    if begun.rank > 0:
        return None
    clock = perf_counter()
    task = begun.caller.task
    f, due = Run(begun.caller), Computed(task, task.working)
    eps = precision_of(begun, f, due)
    ran = trials(begun, f, due, eps)
    if not any(each.y for each in ran):
        return None
    names = names_of(task, ran)
    if not (names or eps >= SINGLE or all(each.agrees for each in ran if each.y)):
        # Nothing that is done else gives these numbers; they may be right, with a constant in single precision.
        rough = tuple(within(each, due, SINGLE) for each in ran)
        eps, ran = (SINGLE, rough) if all(each.agrees for each in rough if each.y) else (eps, ran)
    measurement = _Measuring(begun, f, due, eps, ran).measurement(clock, named=bool(names))
    return BlockEvidence(task, names, measurement)


class _Measuring:
    """One measuring in the making."""

    def __init__(self, begun: Start, f: Run, due: Run, eps: float, ran: Sequence[Trial]) -> None:
        self.begun = begun
        self.f = f
        self.due = due
        self.eps = eps
        self.ran = ran
        self.base = next(each for each in ran if each.y)
        self.task = begun.caller.task

    def measurement(self, clock: float, *, named: bool) -> Measurement:
        """The parts that differ where any number does, and what is right; weights inside where nothing has a name."""
        known = [each for each in self.ran if each.y]
        off = [each for each in known if not each.agrees]
        parts: list[Part] = []
        explained = False
        if off:
            found, explained = self._whole()
            parts = [*found, *self._followed(), *self._located(off)]
            wanted = self.task.fixed and not explained and not named
            inside = solved(self.begun, self.f, self.base.near) if wanted else None
            half = None if explained or named or inside else in_one_half(self.task, self.ran)
            parts = [*([_inside(inside)] if inside else []), *([_one_half(*half)] if half else []), *parts]
            explained = explained or bool(inside or half)
        differing = tuple(each for each in parts if each.differs)
        sizes = {True: [each.sizes for each in known if each.agrees and each.kind == "ordinary"],
                 False: [each.sizes for each in known if not each.agrees]}  # fmt: skip
        return Measurement(
            differing,
            (*(each for each in parts if not each.differs), self._precision()),
            rest=None if not off else 0.0 if explained else np.inf,
            sizes=(self.base.sizes,),
            agrees=tuple(sizes[True]),
            differs=_distinct(sizes[False]),
            refused=_distinct([each.sizes for each in self.ran if each.refused]),
            eps=self.eps,
            calls=self.f.calls,
            seconds=perf_counter() - clock,
        )

    def _precision(self) -> Part:
        bits = -np.log2(self.eps)
        kind = next((name for name, kept in FLOATS.items() if bits <= kept + 1 and kept < 50), "float64")
        return Part("precision", bits, 52, differs=False, details={"type": kind})

    # Norms and MLPs by themselves

    def _whole(self) -> tuple[list[Part], bool]:
        """The parts of a task that is one norm or one MLP, and whether they give the numbers of all trials."""
        if norm := norm_arrays(self.task):
            return self._norm(norm)
        mlp = mlp_arrays(self.task)
        return (self._hidden(mlp) if mlp else []), False

    def _norm(self, names: NormArrays) -> tuple[list[Part], bool]:
        mine, due = (measure_norm(each, names, self.base.arrays) for each in (self.f, self.due))
        if mine is None or due is None:
            return [], False
        seen, wanted = aspects(mine), aspects(due)
        parts = [self._part(name, seen[name], wanted[name]) for name in seen if name in wanted]
        again = ((each, rebuilt(mine, names, each.arrays)) for each in self.ran)
        return parts, all(y is not None and _near(y, each.y[-1], each) for each, y in again if each.y)

    def _hidden(self, names: MlpArrays) -> list[Part]:
        mine, due = (measure_mlp(each, names) for each in (self.f, self.due))
        if mine is None or due is None:
            return []
        said = tuple(named(each, gated=bool(names.gate), eps=self.eps) for each in (mine, due))
        differs = bool(np.abs(mine - due).max() > self.base.near * max(np.abs(due).max(), 1e-30))
        return [Part("hidden cell", mine, due, differs, sizes=(self.base.sizes,), details={"names": said})]

    def _part(self, name: str, mine: Any, due: Any) -> Part:
        return Part(name, mine, due, not _same(mine, due), sizes=(self.base.sizes,))

    # What follows what, and where the difference lies

    def _followed(self) -> Iterator[Part]:
        """What outputs follow, beside what they should."""
        near = max(self.base.near, 1e-9)
        try:
            mine, due = (follows(each, self.base.arrays, near) for each in (self.f, self.due))
        except Refused:
            return
        for name, found in mine.items():
            kind = next(kind for kind in ("arrays", "tokens", "examples") if name.startswith(kind))
            differs = bool(np.any(found != due[name])) if isinstance(found, np.ndarray) else found != due[name]
            yield Part(f"{kind} read", found, due[name], differs, sizes=(self.base.sizes,), details={"what": name})

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


def _inside(found: Solved) -> Part:
    return Part("weights inside", found.found, found.given, differs=True, axes=found.axes,
                details={"name": found.name, "says": found.says})  # fmt: skip


def _one_half(applied: Applied, half: str) -> Part:
    return Part("one half", str(applied), "", differs=True, details={"half": half, "does": deviation(applied.id).does})


def _near(y: np.ndarray[Any, Any], given: np.ndarray[Any, Any], trial: Trial) -> bool:
    """Whether what was measured gives these numbers, within what measuring leaves open."""
    bound = max(trial.near, CLOSE) * max(float(np.abs(given).max()), 1e-30)
    return y.shape == given.shape and bool(np.abs(y - given).max() <= bound)


def _same(mine: Any, due: Any) -> bool:
    if mine is None or due is None:
        return mine is due
    return all(
        (a is None) == (b is None)
        and bool(np.isclose(a, b, rtol=CLOSE) if isinstance(a, float) and b is not None else a == b)
        for a, b in zip(mine, due, strict=True)
    )


def _distinct(sizes: Sequence[Sizes]) -> tuple[Sizes, ...]:
    return tuple({tuple(each.items()): each for each in sizes}.values())
