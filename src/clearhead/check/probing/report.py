"""What a probe found: a report of the numbers, with what was drawn, what is odd, and which properties hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Axes, describe, with_batch
from clearhead.brief import Brief
from clearhead.check.calls.calling import Form, Symptom
from clearhead.check.diagnosis import Report
from clearhead.check.measure.parts import Measurement
from clearhead.check.measure.wording import headline, like, lines
from clearhead.check.probing.metamorphic import Violation
from clearhead.check.report.diagnosis import formulas
from clearhead.check.report.plain import lines_of
from clearhead.check.report.sentences import KINDS, remedy_of
from clearhead.check.results import Finding
from clearhead.deviations import deviation
from clearhead.document import Document, Heading, Part, Prose, Remark
from clearhead.expr import number

EXPLAINING = {
    "axis-order": "It computes the right numbers, but returns them with axes in another order.",
    "layout": "It computes the right numbers in another layout, and so differs in this one.",
    "arguments": "It differs, and the cause is found: it uses what it is given for something else.",
    "line": "It differs, and the cause is found: it returns another line.",
}
"""What a verdict says where no deviation but a symptom is the explanation."""

SHOWN_DECIMALS = 4
LARGEST_WHOLE = 1e9
"""Numbers are shown without a point up to this size."""

MAX_SHOWN = 3
"""Explanations beyond these are only counted."""

MAX_CELLS = 120
"""Of arrays with more numbers than this only the shape is given."""


class Tested(Brief, frozen=True, eq=False):
    """A property that was tried: whether it holds, and if not the smallest input that was found to show it.

    ``follows``: the numbers are explained, and the property fails of the explanation too.
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
    """What a function was called with: how many inputs, their sizes, their types, in what form.

    An explanation is found on one of the inputs; the others are fresh to it.
    """

    count: int
    sizes: dict[str, int]
    dtypes: tuple[str, ...]
    form: Form
    takes: dict[str, Axes]
    returns: tuple[str, ...]


class Probe(Report, frozen=True, eq=False, kw_only=True):
    """What a probe of a function found: a `Report`, and what only calling it can find.

    Attributes:
        drawn: the inputs.
        symptoms: what can be seen from outside: it raises, returns another shape, NaN, other numbers each time ...
        properties: what must hold of any attention of this kind, each with the smallest input on which it fails.
        smallest: the smallest input that was found on which the numbers differ from the working's.
        notes: what a reader should know besides.
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

    def document(self, *, title: str = "Probe") -> Document:
        """The report to read: render it with `clearhead.show.lower`."""
        return Document(title, list(_parts(self)), SHOWN_DECIMALS)

    def data(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            **Report.data(self),
            "symptoms": [{"kind": each.kind, "says": each.says, "remedy": each.remedy} for each in self.symptoms],
            "properties": [_tested_data(each) for each in self.properties],
            "smallest": _violation_data(self.smallest),
            "notes": list(self.notes),
            "drawn": {
                "count": self.drawn.count,
                "sizes": self.drawn.sizes,
                "dtypes": list(self.drawn.dtypes),
                "library": self.drawn.form.library,
            },
        }

    def __str__(self) -> str:
        return "\n".join(line for part in _parts(self) for line in _plain(part)).strip("\n")


def _parts(probe: Probe) -> Iterator[Part]:
    yield Remark(_verdict(probe), "good" if probe.verdict == "agrees" and not _bad(probe) else "warning")
    for symptom in probe.symptoms:
        yield Remark(" ".join(filter(None, (symptom.says, symptom.remedy))), "warning")
    yield from (Prose(note) for note in probe.notes)
    yield from _measured(probe)
    if probe.smallest and probe.verdict != "agrees":
        yield from _smallest(probe, probe.smallest)
    yield from _cause(probe)
    yield from _properties(probe)
    yield Prose(_drawn(probe.drawn))


def _measured(probe: Probe) -> Iterator[Part]:
    """What was measured; what the verdict has said already is not said again."""
    if probe.measured and (probe.measured.parts or probe.measured.premise or probe.verdict == "unexplained"):
        if probe.findings:
            yield Prose(headline(probe.measured))
        yield from (Prose(line) for line in lines(probe.measured))


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
        return headline(probe.measured)
    if probe.verdict == "explained" and not probe.findings:
        return next(says for kind, says in EXPLAINING.items() if kind in kinds)
    if probe.verdict == "explained":
        fresh = probe.drawn.count - 1
        sizes = len(probe.measured.differs) + len(probe.measured.agrees) if probe.measured else 0
        sets = [" and ".join(each.deviations) for each in probe.findings]
        names = sets[0] if len(sets) == 1 else f"one of {len(sets)} sets with the same numbers, such as {sets[0]},"
        where = f"at all {sizes} sizes that were tried" if sizes else f"on {fresh} fresh inputs too"
        found = f"with {names} the working gives {returns}, {where}"
        return f"It differs, and the cause is found: {found}."
    if {"raises", "returns-nothing", "shape", "dtype"} & kinds and not probe.comparison.lines:
        return "It could not be compared with the working."
    if "varies" in kinds:
        return "It gives other numbers each time, so it cannot be compared with the working."
    return (
        f"It differs from the working, and none of the {probe.tried:,} sets of deviations that were tried is the cause."
    )


def _smallest(probe: Probe, found: Violation) -> Iterator[Part]:
    yield Heading("The smallest input that shows it")
    yield from (Prose(line) for line in _inputs(probe, found))
    yield Prose(f"{_cell(found)} is {_number(found.got)}, where the working gives {_number(found.expected)}.")


def _cause(probe: Probe) -> Iterator[Part]:
    """The deviations with their formulas and remedies, what may be there besides, or what came nearest."""
    for finding in _different(probe)[:MAX_SHOWN]:
        for written, kind in zip(finding.deviations, finding.kinds, strict=True):
            about = deviation(written.partition(":")[0])
            yield Heading(written, aside=f"({KINDS[kind]})")
            yield Prose(about.does)
            yield from formulas(probe.trace.working, written)
            yield Prose(remedy_of(about))
    for group in probe.indistinguishable:
        alike = [" and ".join(each) for each in group.sets[1 : group.smallest]]
        hidden = sorted({name for each in group.sets[group.smallest :] for name in each} - {*group.sets[0]})
        if alike:
            yield Prose(f"The same numbers on all inputs come from {'; '.join(alike)}, which may be the cause instead.")
        if hidden:
            yield Prose(f"Not to be seen on such inputs, and perhaps there besides: {', '.join(hidden)}.")
    if probe.findings and not probe.measured:
        what = f"the working as it is{', and every smaller set' if probe.largest > 1 else ''}"
        hold = "1 holds" if probe.fitting == 1 else f"{probe.fitting} hold"
        yield Prose(f"Ruled out: {what}. {probe.tried:,} sets were tried; {hold} on all inputs.")
    near = [each for each in probe.near_misses if each.wrong < each.cells]
    if near:
        nearest = (
            f"{' and '.join(each.deviations)} ({each.cells - each.wrong} of {each.cells} numbers)" for each in near[:3]
        )
        yield Prose(f"What came nearest: {'; '.join(nearest)}.")


def _different(probe: Probe) -> list[Finding]:
    """The findings without those that give the same numbers as an earlier one."""
    same = {each for group in probe.indistinguishable for each in group.sets[1 : group.smallest]}
    return [finding for finding in probe.findings if finding.deviations not in same]


def _properties(probe: Probe) -> Iterator[Part]:
    holding = [each.id for each in probe.properties if each.holds]
    for each in probe.failing:
        assert each.violation is not None  # noqa: S101 - it fails
        yield Heading(f"Fails: {each.id}", aside="(follows from the cause)" if each.follows else "")
        yield Prose(each.says)
        yield from (Prose(line) for line in _inputs(probe, each.violation))
        yield Prose(_told(each.violation))
    if holding:
        yield Prose(f"Holds: {', '.join(holding)}.")


def _told(found: Violation) -> str:
    return f"{found.says} {_cell(found)} is then {_number(found.got)}, where {_number(found.expected)} is expected."


def _cell(found: Violation) -> str:
    return f"{found.line}[{', '.join(map(str, found.cell))}]"


def _squeezed(array: np.ndarray[Any, Any], axes: Axes) -> tuple[np.ndarray[Any, Any], Axes]:
    """An array without a batch of one."""
    while axes[:1] == ("batch",) and array.shape[0] == 1:
        array, axes = array[0], axes[1:]
    return array, axes


def _number(value: float) -> str:
    return number(value, SHOWN_DECIMALS)


def _inputs(probe: Probe, found: Violation) -> Iterator[str]:
    """The arrays of an input, one in a line; of those that are changed, both."""
    for name, array in found.inputs.arrays.items():
        array, axes = _squeezed(array, with_batch(probe.drawn.takes.get(name, ()), array.ndim))
        after = found.changed.get(name)
        after = None if after is None else after.reshape(array.shape)
        if array.size > MAX_CELLS:
            yield f"{name} {describe(axes, array.shape)}"
        elif after is None or np.array_equal(after, array):
            yield f"{name} {describe(axes, array.shape)} = {_written(array)}"
        else:
            yield f"{name} {describe(axes, array.shape)} = {_written(array)}, changed to {_written(after)}"


def _written(array: np.ndarray[Any, Any]) -> str:
    """An array as nested lists, whole numbers without a point."""
    if array.dtype.kind == "b":
        return str(array.tolist())
    whole = np.all(np.abs(array) < LARGEST_WHOLE) and np.all(array == np.round(array))
    return str(array.astype(int).tolist() if whole else np.round(array, SHOWN_DECIMALS).tolist())


def _drawn(drawn: Drawn) -> str:
    """On what it was tried."""
    sizes = ", ".join(f"{word} {size}" for word, size in drawn.sizes.items())
    form = [] if drawn.form.batch else ["one example at a time"]
    form += [] if drawn.form.heads else ["without an axis of heads"]
    called = f"called with {_LIBRARIES.get(drawn.form.library, drawn.form.library)}" + "".join(
        f", {each}" for each in form
    )
    return f"Tried on {drawn.count} inputs ({' and '.join(drawn.dtypes)}; {sizes}), {called}."


_LIBRARIES = {"numpy": "NumPy arrays", "torch": "PyTorch tensors", "jax": "JAX arrays"}


def _plain(part: Part) -> list[str]:
    """A part as bare lines, with a blank one before headings."""
    lines = list(lines_of(part, SHOWN_DECIMALS))
    return ["", *lines] if isinstance(part, Heading) else lines


def _tested_data(each: Tested) -> dict[str, Any]:
    return {
        "id": each.id, "says": each.says, "holds": each.holds, "follows": each.follows,
        "violation": _violation_data(each.violation),
    }  # fmt: skip


def _violation_data(found: Violation | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "says": found.says,
        "line": found.line,
        "cell": list(found.cell),
        "expected": _json(found.expected),
        "got": _json(found.got),
        "inputs": {name: _json(array.tolist()) for name, array in found.inputs.arrays.items()},
        "changed": {name: _json(array.tolist()) for name, array in found.changed.items()},
    }


def _json(value: Any) -> Any:
    """Numbers that JSON has; NaN and infinities as text."""
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if isinstance(value, bool) or np.isfinite(value) else str(value)
