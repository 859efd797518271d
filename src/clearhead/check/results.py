"""The results of a diagnosis, as data."""

from __future__ import annotations

from typing import Any, Literal

from clearhead.brief import Brief
from clearhead.check.compare.comparison import Comparison
from clearhead.check.compare.slips import Slip
from clearhead.check.judge.first_wrong import Judged
from clearhead.check.precision.arithmetic import Precision
from clearhead.check.search.chance import Fit
from clearhead.check.search.separation import Indistinguishable, Separation
from clearhead.claim import Claim
from clearhead.deviations import Applied
from clearhead.trace import Trace
from clearhead.working import Working


class Finding(Brief, frozen=True):
    """A smallest set of deviations that explains all claims.

    Attributes:
        deviations: the deviations as text, in an order in which they can be applied.
        working: the working with them in it.
        fit: the evidence, and how many unrelated sets would also fit.
        kinds: for each deviation whether it is a mistake, a convention or rounding.
        applied: the deviations as data, with their parameters.
        readings: likely forms of fitted parameters, by their name: ``{"factor": "1/8 = 1/sqrt(64)"}``.
    """

    deviations: tuple[str, ...]
    working: Working
    fit: Fit
    kinds: tuple[str, ...]
    applied: tuple[Applied, ...] = ()
    readings: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it

    @property
    def ids(self) -> tuple[str, ...]:
        """The deviations without their parameters."""
        return tuple(each.partition(":")[0] for each in self.deviations)


class First(Brief, frozen=True):
    """The first finding, and the other sets that give the same numbers on this data.

    Attributes:
        finding: the finding.
        equals: the other sets of its size, each as the texts of its deviations.
    """

    finding: Finding
    equals: tuple[tuple[str, ...], ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The deviations of the finding without their parameters."""
        return self.finding.ids

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The parameters of each deviation, by its id."""
        return {each.id: dict(each.parameters) for each in self.finding.applied}


class NearMiss(Brief, frozen=True):
    """A set of deviations that explains some claims.

    Attributes:
        deviations: the set, as text; none for the working as it is.
        line: the first claim that it misses.
        wrong, cells: how many cells of that claim are wrong, and how many it has.
        off, claimed: how many cells it misses in all, and how many are claimed.
        slips: the cells that it misses, where these are few.
    """

    deviations: tuple[str, ...]
    line: str
    wrong: int
    cells: int
    off: int
    claimed: int
    slips: tuple[Slip, ...] = ()


class Outcome(Brief, frozen=True, eq=False):
    """What a diagnosis found.

    Attributes:
        verdict: whether all claims agree, some sets of deviations explain them, or none of those tried does.
        comparison: the claims compared with the working.
        trace: the working as it is, with its numbers.
        findings: the smallest sets that explain, those with the fewest roundings first.
        indistinguishable: sets that give the same numbers on this data; `separate` finds data that separates them.
        first_wrong_line: for "unexplained", the first line that does not follow from the lines claimed before it, with
            any deviation that was tried; None if each line by itself can be explained, or too little is claimed. For
            "explained" the first line that differs.
        near_misses: the sets that explain the most, but not all; for "explained" smaller ones.
        judged: for "unexplained", and where each line is explained by itself, each claimed line compared with the
            lines claimed before it.
        tried: how many sets were tried, with the empty one.
        largest: the size up to which all sets were tried.
        fitting: how many sets of the smallest size fit; `findings` has no more than 40.
        precision: in what sense numbers are right that differ from the working in some digits; None if they are equal
            digit for digit, or not right.
        symptom: a sentence on numbers that show no cause: all zero, all equal, all NaN.
    """

    verdict: Literal["agrees", "explained", "unexplained"]
    comparison: Comparison
    trace: Trace
    findings: tuple[Finding, ...] = ()
    indistinguishable: tuple[Indistinguishable, ...] = ()
    first_wrong_line: str | None = None
    near_misses: tuple[NearMiss, ...] = ()
    judged: tuple[Judged, ...] = ()
    tried: int = 1
    largest: int = 0
    fitting: int = 0
    precision: Precision | None = None
    symptom: str = ""

    @property
    def within(self) -> tuple[Claim, ...]:
        """The claims with the slack of the precision in which all are right; none where they are equal, or not right.

        Compared with this slack they agree, as the verdict says.
        """
        return self.precision.claims if self.precision is not None and self.verdict == "agrees" else ()

    @property
    def first(self) -> First | None:
        """The first finding with its equals; None without findings."""
        if not self.findings:
            return None
        finding = self.findings[0]
        group = next((each for each in self.indistinguishable if finding.deviations in each.sets), None)
        equals = () if group is None else group.sets[: group.smallest]
        return First(finding, tuple(each for each in equals if each != finding.deviations))

    @property
    def line_by_line(self) -> bool:
        """Whether the findings explain each line from the claimed lines before it, but not all claims at once."""
        return bool(self.findings and self.judged)

    def explained_by(self, id: str) -> bool:
        """Whether a finding has this deviation, given by its id, or by its text with parameters."""
        return any(id in each.ids or id in each.deviations for each in self.findings)

    @property
    def convincing(self) -> bool:
        """Whether the explanation fits beyond chance, and no other set of its size gives other numbers that fit."""
        return bool(self.findings) and all(each.fit.convincing for each in self.findings)

    def separate(self) -> tuple[Separation, ...]:
        """For each group of sets that this data cannot separate, arrays on which their predictions differ.

        A group for which none was found is left out: its members may be equivalent.
        """
        arrays = {given.name: self.trace.numpy(given.name) for given in self.trace.working.givens}
        found = (group.separate(arrays) for group in self.indistinguishable)
        return tuple(each for each in found if each is not None)
