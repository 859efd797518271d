"""Many people's claims about one working: each gets a verdict, and credit line by line.

Shared work is done once: the numbers of every set of deviations are in tables, and each person's
claims are looked up there; equal claims are graded once. An error that is carried forward costs once, since later
lines are judged from the claimed ones before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec.structs import replace

from clearhead.brief import Brief
from clearhead.check.compare.comparison import expected_of
from clearhead.check.compare.slips import are_slips
from clearhead.check.fit.candidate import MAX_BY_HAND
from clearhead.check.judge.first_wrong import LARGEST, Judged, Judgement, judgement
from clearhead.check.judge.steps import Arrays
from clearhead.check.precision.arithmetic import measured
from clearhead.check.search.chance import fit_of
from clearhead.check.search.hypotheses import Chosen, Hypotheses
from clearhead.check.search.plans import plans_for, written
from clearhead.check.search.roundings import USUAL, roundings
from clearhead.check.search.search import TooMany
from clearhead.check.search.table import Table
from clearhead.claim import Claim, differing
from clearhead.deviations import Applied, deviation
from clearhead.deviations.common import COMMON
from clearhead.errors import ClearheadError
from clearhead.line import find, split_head
from clearhead.ops import as_parameters
from clearhead.trace import Trace

Claims = Sequence[Claim]

MAX_BESIDE_SLIPS = 2
"""The most deviations that are combined with slips of the pen."""

FEW = 1.0
"""Several deviations explain only if fewer than about this many others would fit by chance."""

MAX_CONFIRMED = 40
"""Further sets that fit are not run again as a whole."""


class Grade(Brief, frozen=True):
    """The grade of one person's claims.

    Attributes:
        verdict: all claims agree; or a set of deviations explains them; or none that was tried does.
        deviations: a smallest set that explains, or what explains each wrong line by itself; for "unexplained" a set
            that does but for slips, if there is one.
        slips: how many cells this set, or the working without deviations, does not explain, where these are few.
        others: how many other sets of this size would explain as well.
        judged: each claimed line compared with the claimed lines before it.
    """

    verdict: Literal["agrees", "explained", "unexplained"]
    deviations: tuple[str, ...] = ()
    slips: int = 0
    others: int = 0
    judged: tuple[Judged, ...] = ()

    @property
    def first_wrong_line(self) -> str | None:
        """The first line that does not follow from those before it."""
        return next((each.line for each in self.judged if not each.follows), None)

    @property
    def right(self) -> dict[str, int]:
        """How many cells of each claimed line are right, and not just by chance."""
        return {each.line: each.worth for each in self.judged}


class _Work:
    """One person's claims, and what each line is judged to be: as it is, and with every step rounded by hand."""

    def __init__(self, claims: Claims, trace: Trace, arrays: Arrays) -> None:
        self.claims = claims
        self.exact = judgement(claims, trace, arrays)
        self.by_hand = self.exact.with_steps_rounded()

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Each line, as it is."""
        return self.exact.lines


def _off(judged: Judged) -> int:
    """How many cells of a line do not follow."""
    return sum(judged.cells) - sum(judged.right)


def _off_in(judged: Iterable[Judged]) -> int:
    """How many cells do not follow in all lines."""
    return sum(map(_off, judged))


def _odd(grade: Grade) -> int:
    """How many deviations of a grade are neither roundings nor what people do by hand."""
    ids = (each.partition(":")[0] for each in grade.deviations)
    return sum(each not in COMMON and deviation(each).kind != "rounding" for each in ids)


class Grader:
    """Grades claims about one trace.

    Args:
        trace: the right numbers.
        everyone: all claims that will be graded; tables hold only lines that somebody claims.
        max_deviations: the largest sets of deviations to try.
    """

    def __init__(self, trace: Trace, everyone: Iterable[Claims], *, max_deviations: int = 3) -> None:
        self.trace = trace
        self.max_deviations = max_deviations
        self.arrays: Arrays = {given.name: trace.numpy(given.name) for given in trace.working.givens}
        addresses = dict.fromkeys(claim.line for claims in everyone for claim in claims)
        self._hypotheses = self._prepare([address for address in addresses if address in trace])
        self._tables: dict[int, Table | None] = {}
        self._grades: dict[tuple[Claim, ...], Grade] = {}
        self._traces: dict[Chosen, Trace | None] = {}

    def grade(self, claims: Claims) -> Grade:
        """The grade of one person's claims; who claims the same has the same.

        Raises:
            ProblemError: a claim has another shape than its line, or a cell that its line does not have.
            UnknownName: a claim is for a line or head that does not exist.
        """
        same = tuple(claims)
        if same not in self._grades:
            self._grades[same] = self._grade(same)
        return self._grades[same]

    def _grade(self, claims: Claims) -> Grade:
        work = _Work(claims, self.trace, self.arrays)
        if self._agrees(claims, self.trace):
            return Grade("agrees", judged=work.judged)
        for explain in (self._alone, self._pairs, self._line_by_line, self._larger, self._with_roundings):
            found = explain(work)
            if found is not None:
                return found
        deviations, slips = self._but_for_slips(claims)
        return Grade("unexplained", deviations, slips, judged=work.judged)

    def _alone(self, work: _Work) -> Grade | None:
        """One deviation; what people do not do by hand is less likely than rounding of every step."""
        found = self._set(work, 1)
        return self._rounded_steps(work) or found if found is None or _odd(found) else found

    def _rounded_steps(self, work: _Work) -> Grade | None:
        """The grade of somebody who rounded every step: each line then follows from those before it."""
        if not work.by_hand.all_follow or not measured(work.claims, self.trace, {}, "steps").digits:
            return None
        return Grade("explained", (self._by_hand(work.claims),), judged=work.by_hand.lines)

    def _pairs(self, work: _Work) -> Grade | None:
        """Two deviations, neither of which is a rounding."""
        return self._set(work, 2, rounded=False)

    def _larger(self, work: _Work) -> Grade | None:
        """More deviations than two where one line is claimed, else two to a line; none of them is a rounding."""
        if len(work.judged) > 1:
            return self._causes_of(work.exact, largest=min(self.max_deviations, LARGEST))
        found = (self._set(work, size, rounded=False) for size in self._sizes(3))
        return next((each for each in found if each is not None), None)

    def _line_by_line(self, work: _Work) -> Grade | None:
        """A cause for each line that does not follow; with rounding of every step, if that is less odd."""
        exact = self._causes_of(work.exact)
        sure = exact is not None and not (exact.slips or _odd(exact))
        if sure or (exact is not None and _off_in(work.by_hand.lines) >= _off_in(work.judged)):
            return exact
        by_hand = self._causes_of(work.by_hand)
        if by_hand is None or (exact and (by_hand.slips, _odd(by_hand)) >= (exact.slips, _odd(exact))):
            return exact
        return replace(by_hand, deviations=(*by_hand.deviations, self._by_hand(work.claims)))

    @staticmethod
    def _causes_of(judgement: Judgement, *, largest: int = 1) -> Grade | None:
        """The grade by a cause for each line that does not follow; slips have none. None if a line has none either."""
        judged = judgement.lines
        if any(not each.follows and not each.slips for each in judged):
            judged = judgement.with_causes(largest, every=True)
        wrong = [each for each in judged if not each.follows and not each.slips]
        if not all(each.causes for each in wrong):
            return None
        causes = dict.fromkeys(text for each in wrong for text in each.explained_by[0])
        slips = sum(_off(each) for each in judged if each.slips)
        return Grade("unexplained" if slips else "explained", tuple(causes), slips, judged=judged)

    def _with_roundings(self, work: _Work) -> Grade | None:
        found = (self._set(work, size) for size in self._sizes(2) if size == 2 or len(work.judged) == 1)
        return next((each for each in found if each is not None), None)

    def _sizes(self, least: int) -> range:
        return range(least, self.max_deviations + 1)

    def _set(self, work: _Work, size: int, *, rounded: bool = True) -> Grade | None:
        """The grade by a set of a size, which has the fewest roundings: none, unless ``rounded``."""
        sets = self._explaining(work.claims, size)
        if not sets or (self._roundings_in(sets[0]) and not rounded) or not self._convinces(sets[0], work.claims):
            return None
        return Grade("explained", self._hypotheses.texts(sets[0]), others=len(sets) - 1, judged=work.judged)

    def _convinces(self, chosen: Chosen, claims: Claims) -> bool:
        """Whether these claims show each deviation of a set: of several, chance may fit a few cells."""
        if len(chosen) == 1:
            return True
        without = {str(each): self._traced(tuple(other for other in chosen if other != each)) for each in chosen}
        known = {name: trace for name, trace in without.items() if trace is not None}
        return fit_of(claims, known, len(self._hypotheses.candidates)).by_chance <= FEW

    def _rank(self, chosen: Chosen) -> tuple[int, int]:
        """The likelier sets first: with few roundings, and of mistakes that people make by hand."""
        known = self._hypotheses.plans.deviations
        others = sum(each < len(known) and known[each].id not in COMMON for each in chosen)
        return self._roundings_in(chosen), others

    def _roundings_in(self, chosen: Chosen) -> int:
        return sum(each >= len(self._hypotheses.plans.deviations) for each in chosen)

    @staticmethod
    def _by_hand(claims: Claims) -> str:
        """Rounding of every step to the decimals of these claims, as text."""
        decimals = min(max(claim.precision or 0 for claim in claims), MAX_BY_HAND)
        return written(Applied("rounded-by-hand", as_parameters({"decimals": decimals, "at": "steps"})))

    def _prepare(self, addresses: Sequence[str]) -> Hypotheses:
        working = self.trace.working
        shapes = {name: self.trace.numpy(name).shape for name in self.trace}
        plans = plans_for(working, tuple((name, shapes[name]) for name in self.arrays))
        heads = [
            Applied("round", as_parameters({"line": f"{find(short, working.names)}@{label}", "decimals": decimals}))
            for short, label in map(split_head, addresses)
            if label is not None and find(short, working.names) not in self.arrays
            for decimals in USUAL
        ]
        self._claimed = {find(split_head(address)[0], working.names) for address in addresses}
        return Hypotheses(plans, (*roundings(working, (), shapes, brief=True), *heads))

    @staticmethod
    def _agrees(claims: Claims, trace: Trace) -> bool:
        return not any(differing(claim, expected_of(claim, trace)[1]).any() for claim in claims)

    def _explaining(self, claims: Claims, size: int) -> list[Chosen]:
        """The sets of a size that explain, the likelier first."""
        table = self._table(size) if size <= self.max_deviations else None
        if table is None:
            return []
        fitting = [each for each in table.fitting(claims) if len(each) == size]
        alike = [each for chosen in fitting[:MAX_CONFIRMED] for each in table.alike(chosen)]
        likely = sorted(dict.fromkeys(alike), key=self._rank)
        return [each for each in likely[:MAX_CONFIRMED] if self._explains(each, claims)]

    def _but_for_slips(self, claims: Claims) -> tuple[tuple[str, ...], int]:
        """The set that explains all cells but a few, and how many are left; 0 if these are too many."""
        table = self._table(min(self.max_deviations, MAX_BESIDE_SLIPS))
        for chosen in [] if table is None else table.nearest(claims, 1):
            wrong = self._wrong_by(chosen, claims)
            if wrong is not None and are_slips(wrong, sum(int(claim.claimed.sum()) for claim in claims)):
                return self._hypotheses.texts(chosen), wrong
        return (), 0

    def _wrong_by(self, chosen: Chosen, claims: Claims) -> int | None:
        """How many cells a set leaves wrong; None if its lines are not there, or have other shapes."""
        trace = self._traced(chosen)
        try:
            return None if trace is None else sum(int(differing(c, expected_of(c, trace)[1]).sum()) for c in claims)
        except ClearheadError:
            return None

    def _table(self, size: int) -> Table | None:
        if size not in self._tables:
            try:
                self._tables[size] = Table(self._hypotheses, self.arrays, size, self._claimed)
            except TooMany:
                self._tables[size] = None
        return self._tables[size]

    def _explains(self, chosen: Chosen, claims: Claims) -> bool:
        """Whether the whole working, rewritten for the whole set, gives the claims."""
        trace = self._traced(chosen)
        try:
            return trace is not None and self._agrees(claims, trace)
        except ClearheadError:
            return False

    def _traced(self, chosen: Chosen) -> Trace | None:
        if chosen not in self._traces:
            self._traces[chosen] = self._run(chosen)
        return self._traces[chosen]

    def _run(self, chosen: Chosen) -> Trace | None:
        working = self._hypotheses.rewritten(chosen)
        if working is None:
            return None
        try:
            return working.run({given.name: self.arrays[given.name] for given in working.givens})
        except ClearheadError:
            return None
