"""The result of a probe: a report of the numbers, the inputs, symptoms, and properties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes, describe, with_batch
from clearhead.brief import Brief
from clearhead.check.calls.calling import Form, Symptom
from clearhead.check.diagnosis import Report
from clearhead.check.measure.causes import causes_of
from clearhead.check.measure.naming import VAGUE
from clearhead.check.measure.parts import WHOLE, Measurement
from clearhead.check.measure.premises import same
from clearhead.check.measure.remedies import remedy
from clearhead.check.measure.wording import beyond, differences, explains, found_right, headline, like, tried
from clearhead.check.measure.wording_premises import rule_of
from clearhead.check.probing.arrays import SHOWN_DECIMALS, squeezed, written_out
from clearhead.check.probing.metamorphic import Violation
from clearhead.check.probing.violation_data import violation_data
from clearhead.check.report.diagnosis import formulas
from clearhead.check.report.plain import lines_of
from clearhead.check.report.sentences import KINDS, does, remedy_of
from clearhead.check.results import Finding
from clearhead.deviations import deviation
from clearhead.deviations.deviation import MAX_DECIMALS
from clearhead.document import Document, Heading, Part, Prose, Remark
from clearhead.expr import number

EXPLAINING = {
    "axis-order": "It computes the right numbers, but returns them with axes in another order.",
    "layout": "It computes the right numbers in another layout, and so differs in this one.",
    "arguments": "It differs, and the cause is found: it uses what it is given for something else.",
    "line": "It differs, and the cause is found: it returns another line.",
}
"""The verdicts where a symptom, not a deviation, is the explanation."""

SCREEN, WIDE = 40, 240
"""A report as text has no more lines than this, and none is longer; the document has all."""

TRIVIAL = "from 2 tokens on"
"""With one key all weights are 1, so there most of what is wrong cannot be seen."""

MAX_SHOWN = 3
"""Further explanations are only counted."""

MAX_CELLS = 120
"""For arrays with more numbers than this only the shape is shown."""


class Tested(Brief, frozen=True, eq=False):
    """A property that was tested: whether it holds, and if not the smallest input that was found to show it.

    ``follows``: the numbers are explained, and the property fails for the explanation too.
    """

    id: str
    says: str
    violation: Violation | None = None
    follows: bool = False

    @property
    def holds(self) -> bool:
        """Whether no input was found on which it fails."""
        return self.violation is None


class Drawn(Struct, frozen=True):
    """The inputs of a function: how many, their sizes, types, and form.

    An explanation is found on one of the inputs, and confirmed on the others.
    """

    count: int
    sizes: dict[str, int]
    dtypes: tuple[str, ...]
    form: Form
    takes: dict[str, Axes]
    returns: tuple[str, ...]


class Probe(Report, frozen=True, eq=False, kw_only=True):
    """The result of a probe: a `Report`, and what only calling the function can show.

    Attributes:
        drawn: the inputs.
        symptoms: what is odd from outside: it raises, returns another shape, NaN, other numbers each time ...
        properties: the properties of attention of this kind, each with the smallest input on which it fails.
        smallest: the smallest input that was found on which the numbers differ from the working's.
        notes: further notes for the reader.
        measured: what was measured part by part, where the function takes queries, keys and values; else None.
    """

    drawn: Drawn
    symptoms: tuple[Symptom, ...] = ()
    properties: tuple[Tested, ...] = ()
    smallest: Violation | None = None
    notes: tuple[str, ...] = ()
    measured: Measurement | None = None

    @property
    def failing(self) -> tuple[Tested, ...]:
        """The properties that fail."""
        return tuple(each for each in self.properties if not each.holds)

    @property
    def causes(self) -> tuple[str, ...]:
        """Stable ids of the cause: the deviations of the first finding, or else of what was measured to differ.

        An id of a measured step names its lines: ``"step-reads:attention.key,attention.value"``.
        """
        if self.findings:
            return self.findings[0].ids
        return causes_of(self.measured) if self.measured else ()

    def document(self, *, title: str = "Probe") -> Document:
        """The report as a document with this ``title``: render it with `clearhead.show.lower`."""
        return Document(title, list(self.parts()), SHOWN_DECIMALS)

    def parts(self) -> Iterator[Part]:
        """The parts of the report, in order."""
        yield Remark(_verdict(self), "good" if self.verdict == "agrees" and not _bad(self) else "warning")
        yield from symptoms_of(self)
        if self.measured and self.verdict == "agrees":
            yield from (Remark(line, "warning") if _bad(self) else Prose(line) for line in beyond(self.measured))
        yield from _measured(self)
        yield from _change(self)
        yield from _sure(self)
        yield from the_smallest(self)
        yield from tested(self)
        yield from causes(self, briefly=True)
        yield from _rest(self)
        yield Prose(drawn_as(self.drawn))

    def data(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            **Report.data(self),
            "symptoms": [{"kind": each.kind, "says": each.says, "remedy": each.remedy} for each in self.symptoms],
            "properties": [_tested_data(each) for each in self.properties],
            "smallest": violation_data(self.smallest),
            "notes": list(self.notes),
            "causes": list(self.causes),
            "drawn": {
                "count": self.drawn.count,
                "sizes": self.drawn.sizes,
                "dtypes": list(self.drawn.dtypes),
                "library": self.drawn.form.library,
            },
        }

    def __str__(self) -> str:
        whole = "\n".join(line for part in self.parts() for line in _plain(part)).strip("\n")
        long = (len(each) > WIDE and "[" in each for each in whole.split("\n"))  # numbers are cut, and no sentence
        lines = [f"{each[: WIDE - 4]} ..." if cut else each for each, cut in zip(whole.split("\n"), long, strict=True)]
        if len(lines) <= SCREEN:
            return "\n".join(lines)
        more = f"... {len(lines) - SCREEN + 1} more lines: report.document() has all."
        return "\n".join([*lines[: SCREEN - 1], more])


def symptoms_of(probe: Probe) -> Iterator[Part]:
    """What is odd from outside, and notes."""
    for symptom in probe.symptoms:
        yield Remark(" ".join(filter(None, (symptom.says, symptom.remedy))), "warning")
    yield from (Prose(note) for note in probe.notes)


def _measured(probe: Probe) -> Iterator[Part]:
    """The measurements beside what is expected, without what the verdict says already."""
    if probe.measured and (probe.measured.parts or probe.measured.premise):
        if probe.findings and VAGUE & {*probe.measured.names}:  # what another step leaves behind is no evidence
            return
        first = [headline(probe.measured, named=True)] if probe.findings else []
        known = bool(probe.findings)  # long lists say nothing more where the cause is known
        says = [*first, *differences(probe.measured)]
        yield from (Prose(line) for line in says if not (known and "[[" in line))


def _change(probe: Probe) -> Iterator[Part]:
    """What to change: of the deviations that were found, or of the first part that differs."""
    if probe.findings:
        ids = dict.fromkeys(each.partition(":")[0] for each in probe.findings[0].deviations)
        yield from (Prose(remedy_of(deviation(id))) for id in ids)
    elif probe.measured and probe.measured.parts and (says := remedy(probe.measured.parts[0])):
        yield Prose(f"To fix it: {says}")


def _sure(probe: Probe) -> Iterator[Part]:
    """How many sizes and digits support the verdict."""
    found = probe.measured
    if found is None or probe.verdict == "agrees" or not (found.parts or probe.findings):
        return
    digits = int(-np.log10(same(found.eps)))
    sizes = f"{tried(found)} sizes" if tried(found) > 1 else "one size"
    if probe.findings or found.parts[0].name in WHOLE:
        exact = f"{digits} digit{'s' if digits > 1 else ''}"
        what = f"with this change the working gives the numbers of all {sizes}, to {exact}"
    else:
        what = explains(found)[:-1]
        what = f"{what[0].lower()}{what[1:]}"
    agreeing = f"{len(found.agrees)} of {tried(found)}" if found.agrees else "none"
    if found.agrees and (rule := rule_of(found.differs, (*found.agrees, *found.differs))) and rule != TRIVIAL:
        agreeing += f"; it differs {rule}"
    where = f" The working as it is gives those of {agreeing}." if found.differs else ""
    known = "" if probe.findings else f" Cause: {', '.join(probe.causes)}."
    yield Prose(f"How sure: {what}.{where} {found.calls} calls.{known}")


def _rest(probe: Probe) -> Iterator[Part]:
    """What was found right, and where numbers overflow if something differs."""
    if probe.measured and (probe.measured.parts or probe.measured.premise or probe.verdict == "unexplained"):
        yield from (Prose(line) for line in found_right(probe.measured))
    elif probe.measured and probe.verdict != "agrees":
        yield from (Prose(line) for line in beyond(probe.measured))


def _bad(probe: Probe) -> bool:
    return bool(probe.symptoms or probe.failing)


def _verdict(probe: Probe) -> str:
    returns = " and ".join(probe.drawn.returns)
    on = f"{probe.drawn.count} input{'s' if probe.drawn.count != 1 else ''}"
    kinds = {each.kind for each in probe.symptoms}
    if probe.verdict == "agrees":
        precise = like(probe.measured) if probe.measured else ""
        return f"It agrees with the working: {returns} on {on}{precise}{', but see below' if _bad(probe) else ''}."
    if probe.measured and not probe.findings and not kinds & EXPLAINING.keys():
        return f"It differs. {headline(probe.measured)}" if probe.measured.parts else headline(probe.measured)
    if probe.verdict == "explained" and not probe.findings:
        return next(says for kind, says in EXPLAINING.items() if kind in kinds)
    if probe.verdict == "explained":
        first = probe.findings[0].deviations
        about = [_does(each, free=_is_free(each, first, probe)) for each in first]
        more = len(_different(probe)) - 1
        or_else = f" Or {more} other{'s' if more > 1 else ''}, below." if more else ""
        same = "".join(f" Or, with the same numbers: {each}" for each in _alike(probe))
        return f"It differs. {' '.join(about)}{same}{or_else}"
    if {"raises", "returns-nothing", "shape", "dtype"} & kinds and not probe.comparison.lines:
        return "It could not be compared with the working."
    if "varies" in kinds:
        return "It gives other numbers each time, so it cannot be compared with the working."
    return (
        f"It differs from the working, and none of the {probe.tried:,} sets of deviations that were tried is the cause."
    )


def _alike(probe: Probe) -> Iterator[str]:
    """What else gives the same numbers on all inputs, and is no larger: each as one text."""
    first = {each.partition(":")[0] for each in probe.findings[0].deviations}
    for group in probe.indistinguishable:
        others = (each for each in group.sets[1 : group.smallest] if {id.partition(":")[0] for id in each} != first)
        yield from (" ".join(map(_does, each)) for each in others)


def _does(written: str, *, free: bool = False) -> str:
    """What a deviation does, and its parameters; ``free``: others would do the same."""
    id, _, parameters = written.partition(":")
    values = parameters.replace("=", " = ").replace(",", ", ")
    return f"{does(written)} Here {values}{', or another' if free else ''}." if values else deviation(id).does


def _is_free(written: str, chosen: Sequence[str], probe: Probe) -> bool:
    """Whether a set gives the same numbers with other parameters of this deviation too."""
    id, rest = written.partition(":")[0], {each for each in chosen if each != written}
    alike = [each for group in probe.indistinguishable for each in group.sets if rest < set(each)]
    return any(other != written and other.partition(":")[0] == id for each in alike for other in {*each} - rest)


def the_smallest(probe: Probe) -> Iterator[Part]:
    """The smallest input on which the numbers differ."""
    found = probe.smallest
    if found is None or probe.verdict == "agrees":
        return
    yield Heading("The smallest input that shows it")
    yield from (Prose(line) for line in _inputs(probe, found))
    got, expected = told_apart(found.got, found.expected)
    yield Prose(f"{_cell(found)} is {got}, where the working gives {expected}.")


def causes(probe: Probe, *, briefly: bool = False) -> Iterator[Part]:
    """The deviations with their formulas and remedies, possible further ones, or near misses.

    ``briefly``: of the first finding only the formulas, where the rest stands before.
    """
    for place, finding in enumerate(_different(probe)[:MAX_SHOWN]):
        for written, kind in zip(finding.deviations, finding.kinds, strict=True):
            about = deviation(written.partition(":")[0])
            yield Heading(written, aside=f"({KINDS[kind]})")
            yield from [] if briefly and not place else [Prose(does(written))]
            yield from formulas(probe.trace.working, written, finding.deviations)
            yield from [] if briefly and not place else [Prose(remedy_of(about))]
    for group in probe.indistinguishable:
        hidden = sorted({name for each in group.sets[group.smallest :] for name in each} - {*group.sets[0]})
        if hidden:
            yield Prose(f"Not to be seen on such inputs, and perhaps there besides: {', '.join(hidden)}.")
    if probe.findings and not probe.measured:
        what = f"the working as it is{', and every smaller set' if probe.largest > 1 else ''}"
        hold = "1 holds" if probe.fitting == 1 else f"{probe.fitting} hold"
        yield Prose(f"Ruled out: {what}. {probe.tried:,} sets were tried; {hold} on all inputs.")
    near = [each for each in probe.near_misses if each.deviations and each.wrong < each.cells]
    if near:
        nearest = (
            f"{' and '.join(each.deviations)} ({each.cells - each.wrong} of {each.cells} numbers)" for each in near[:3]
        )
        yield Prose(f"What came nearest: {'; '.join(nearest)}.")


def _different(probe: Probe) -> list[Finding]:
    """The findings without those that give the same numbers as an earlier one."""
    same = {each for group in probe.indistinguishable for each in group.sets[1 : group.smallest]}
    return [finding for finding in probe.findings if finding.deviations not in same]


def tested(probe: Probe) -> Iterator[Part]:
    """The properties: those that fail, with an example, and those that hold."""
    holding = [each.id for each in probe.properties if each.holds]
    for each in probe.failing:
        assert each.violation is not None  # noqa: S101 - it fails
        if each.follows:
            yield Prose(f"Fails, which follows from the cause: {each.id}. {each.says}")
            continue
        yield Heading(f"Fails: {each.id}")
        yield Prose(each.says)
        yield from (Prose(line) for line in _inputs(probe, each.violation))
        yield Prose(_told(each.violation))
    if holding:
        yield Prose(f"Holds: {', '.join(holding)}.")


def _told(found: Violation) -> str:
    got, expected = told_apart(found.got, found.expected)
    return f"{found.says} {_cell(found)} is then {got}, where {expected} is expected."


def _cell(found: Violation) -> str:
    return f"{found.line}[{', '.join(map(str, found.cell))}]"


def told_apart(one: float, other: float, decimals: int = SHOWN_DECIMALS) -> tuple[str, str]:
    """Two numbers as text, with as many decimals, ``decimals`` or more, as it takes to tell them apart."""
    for each in (*range(decimals, MAX_DECIMALS), None):
        pair = number(one, each), number(other, each)
        if float(pair[0]) != float(pair[1]):
            break
    return pair


def _inputs(probe: Probe, found: Violation) -> Iterator[str]:
    """The arrays of an input, one per line; for changed ones, both."""
    for name, array in found.inputs.arrays.items():
        array, axes = squeezed(array, with_batch(probe.drawn.takes.get(name, ()), array.ndim))
        after = found.changed.get(name)
        after = None if after is None else after.reshape(array.shape)
        if array.size > MAX_CELLS:
            yield f"{name} {describe(axes, array.shape)}"
        elif after is None or np.array_equal(after, array):
            yield f"{name} {describe(axes, array.shape)} = {written_out(array)}"
        else:
            yield f"{name} {describe(axes, array.shape)} = {written_out(array)}, changed to {written_out(after)}"


def drawn_as(drawn: Drawn) -> str:
    """The inputs of the probe."""
    sizes = ", ".join(f"{word} {size}" for word, size in drawn.sizes.items())
    form = [] if drawn.form.batch else ["one example at a time"]
    form += [] if drawn.form.heads else ["without an axis of heads"]
    called = f"called with {_LIBRARIES.get(drawn.form.library, drawn.form.library)}" + "".join(
        f", {each}" for each in form
    )
    inputs = "1 input" if drawn.count == 1 else f"{drawn.count} inputs"
    return f"Tried on {inputs} ({' and '.join(drawn.dtypes)}; {sizes}), {called}."


_LIBRARIES = {"numpy": "NumPy arrays", "torch": "PyTorch tensors", "jax": "JAX arrays"}


def _plain(part: Part) -> list[str]:
    """A part as bare lines, with a blank one before headings."""
    lines = list(lines_of(part, SHOWN_DECIMALS))
    return ["", *lines] if isinstance(part, Heading) else lines


def _tested_data(each: Tested) -> dict[str, Any]:
    return {
        "id": each.id, "says": each.says, "holds": each.holds, "follows": each.follows,
        "violation": violation_data(each.violation),
    }  # fmt: skip
