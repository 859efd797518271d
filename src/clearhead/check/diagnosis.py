"""Why numbers differ: the smallest sets of deviations with which the working gives what was claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

import clearhead.doors as doors
from clearhead.check.alike import run
from clearhead.check.compare.comparison import Comparison, claims_of, compare, trace_of
from clearhead.check.judge.first_wrong import judge
from clearhead.check.report.data import diagnosis_data
from clearhead.check.report.diagnosis import diagnosis_document, plain_text
from clearhead.check.report.hints import hint_lines
from clearhead.check.report.summary import summary_document
from clearhead.check.results import Outcome
from clearhead.check.search.plans import plans_for, written
from clearhead.check.search.separation import Arrays
from clearhead.check.stages import Stages
from clearhead.claim import Claim, Misfit
from clearhead.deviations import Applied, deviation
from clearhead.document import Document
from clearhead.dust import without_dust
from clearhead.errors import ClearheadError, ProblemError, require
from clearhead.trace import Trace, to_numpy

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Report(Outcome, frozen=True, eq=False):
    """The result of a diagnosis, as a document, as data for JSON, and as text."""

    @property
    def heading(self) -> str:
        """What the report is called beside other text."""
        return "What is claimed" if self.verdict == "agrees" else "Why they differ"

    def summary(self, *, title: str = "Diagnosis") -> Document:
        """What matters first, on one screen, under ``title``: verdict, cause, numbers, what to change, how sure."""
        return summary_document(self, title=title)

    def document(self, *, title: str = "Diagnosis") -> Document:
        """The report as a document with this ``title``: render it with `clearhead.show.lower`."""
        return diagnosis_document(self, title=title)

    def data(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return diagnosis_data(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the report."""
        return doors.document_bundle(self.document())

    def __str__(self) -> str:
        return plain_text(self)


def diagnose(
    claims: Iterable[Claim],
    trace: Trace,
    *,
    max_deviations: int = 3,
    rounded: Sequence[Applied] | None = None,
) -> Report:
    """Finds the smallest sets of deviations with which the working gives the claimed numbers.

    Args:
        claims: the numbers that somebody got, for any lines, heads or cells.
        trace: the right computation. Its given arrays are run again, in float64.
        max_deviations: the largest sets to try. Sets of one are tried first, then of two, and so on.
        rounded: the roundings to try; None for those that the claims allow. Code has none: ``()``.

    Raises:
        ClearheadError: as `compare`; or a given array was not kept in the trace.
    """
    claims = claims_of(claims)
    trace = _in_float64(trace_of(trace))
    arrays = {name: trace.numpy(name) for name in trace.given}
    comparison = _compared(claims, trace, arrays)
    if comparison.agrees:
        return Report("agrees", comparison, trace)
    found = Stages(claims, trace, arrays, comparison, rounded).outcome(max_deviations)
    return Report(*(getattr(found, field) for field in Outcome.__struct_fields__))


def _compared(claims: tuple[Claim, ...], trace: Trace, arrays: Arrays) -> Comparison:
    """The claims compared with the trace; if one has another shape, the error names a deviation that gives it."""
    try:
        return compare(claims, trace)
    except Misfit as misfit:
        shapes = tuple((name, array.shape) for name, array in arrays.items())
        named = [each for each in plans_for(trace.working, shapes).deviations if _gives(each, claims, trace, arrays)]
        if not named:
            raise
        does = " ".join(f"{written(each)} gives these numbers: {deviation(each.id).does}" for each in named)
        raise ProblemError(f"{misfit} {does}") from None


def _gives(applied: Applied, claims: tuple[Claim, ...], trace: Trace, arrays: Arrays) -> bool:
    try:
        return compare(claims, run(applied.rewrite(trace.working), arrays)).agrees
    except ClearheadError:
        return False


def _in_float64(trace: Trace) -> Trace:
    """The same given arrays, run as NumPy arrays of float64."""
    given = {name: to_numpy(array) for name, array in trace.given.items()}
    exact = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in given.items()}
    return without_dust(trace.working.run(exact, tokens=trace.tokens, key_tokens=trace.key_tokens))


def assert_agrees(
    actual: Any,
    expected: Trace,
    line: str | None = None,
    *,
    decimals: int | None = None,
    hints: bool = False,
    after: Mapping[str, Any] = NOTHING,
) -> None:
    """Checks, in a test, that numbers agree with a trace; if not, the message says why they differ.

    Args:
        actual: an array, or arrays by the name of their line.
        expected: the right trace.
        line: the line that a single array is of; the last of the working, if None.
        decimals: how many decimals count; None for those of the arrays' type.
        hints: whether the message has only hints, without numbers: for tests that students see.
        after: arrays of earlier lines: what follows from these is right, so that an error carried on costs once.

    Raises:
        AssertionError: with the diagnosis, or with hints.
        WrongType: ``expected`` is no trace.
    """
    __tracebackhide__ = True
    remedy = 'Give the whole trace, and the line by its name: assert_agrees(mine, trace, "weights").'
    require(expected, Trace, "expected", remedy)
    lines = actual if isinstance(actual, Mapping) else {line or expected.working.lines[-1].name: actual}
    claims = [claim_of(name, numbers, decimals) for name, numbers in lines.items()]
    if after and _follow(claims, [claim_of(name, numbers, decimals) for name, numbers in after.items()], expected):
        return
    report = diagnose(claims, expected)
    if report.verdict != "agrees" and hints:
        known = report.findings[0].deviations if report.findings else ()
        raise AssertionError("\n" + "\n".join(hint_lines(claims, expected, known)))
    if report.verdict != "agrees":
        raise AssertionError(f"\n{report}")


def _follow(claims: Sequence[Claim], earlier: Sequence[Claim], expected: Trace) -> bool:
    """Whether claims follow from earlier ones; if these do not fit their lines, nothing does."""
    arrays = {given.name: expected.numpy(given.name) for given in expected.working.givens}
    try:
        judged = {each.line: each.follows for each in judge((*earlier, *claims), expected, arrays)}
        return all(judged[expected.locate(claim.line)[0]] for claim in claims)
    except ClearheadError:
        return False


def claim_of(line: str, numbers: Any, decimals: int | None = None) -> Claim:
    """A claim of computed numbers, as `Claim.computed`."""
    return Claim.computed(line, numbers, decimals=decimals)
