"""The result of probing gradients, as a document, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clearhead.backward import GRAD
from clearhead.check.diagnosis import Report
from clearhead.check.gradients.differences import Slope
from clearhead.check.gradients.places import Place
from clearhead.check.probing.report import Probe, causes, drawn_as, symptoms_of, tested, the_smallest, told_apart
from clearhead.deviations import deviation
from clearhead.document import Part, Prose, Remark
from clearhead.expr import number


class GradientProbe(Probe, frozen=True, eq=False, kw_only=True):
    """The result of probing gradients: a `Probe`, and what is said of gradients besides.

    Attributes:
        slopes: each gradient against differences of the function's own forward pass; empty where none was given.
        places: each gradient compared with the working's: whether it is right, and how it is wrong.
        suspects: the lines of which one is wrong, if a single one is and each is computed once.
        forward: the report on the forward pass; None where none was given, or it gives nothing to compare.
        rough: how much the gradients jump when inputs move a little, where that is more than float64 explains.
    """

    slopes: tuple[Slope, ...] = ()
    places: tuple[Place, ...] = ()
    suspects: tuple[str, ...] = ()
    forward: Report | None = None
    rough: float = 0.0

    @property
    def fits_forward(self) -> bool | None:
        """Whether the gradients fit their own forward pass; None where that was not measured."""
        kinds = {each.verdict for each in self.slopes}
        return False if "differs" in kinds else True if kinds == {"fits"} else None

    @property
    def wrong(self) -> tuple[str, ...]:
        """The gradients that differ from the working's."""
        return tuple(each.line for each in self.places if not each.right)

    def parts(self) -> Iterator[Part]:
        """The parts of the report, in order."""
        good = self.verdict == "agrees" and self.fits_forward is not False and not self.symptoms
        yield Remark(_verdict(self), "good" if good and not self.failing else "warning")
        if said := _own_forward(self):
            yield Remark(said, "good" if self.fits_forward else "warning")
        if self.forward and self.places:
            yield Prose(_forward(self, self.forward))
        yield from symptoms_of(self)
        yield from (Prose(line) for line in _places(self))
        if self.rough:
            yield Prose(
                f"Its numbers jump by about {self.rough:.1g}, as those of low precision do: less cannot be seen."
            )
        yield from the_smallest(self)
        yield from causes(self)
        yield from tested(self)
        yield Prose(drawn_as(self.drawn))

    def data(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            **Probe.data(self),
            "slopes": [_plain(each) for each in self.slopes],
            "places": [_plain(each) for each in self.places],
            "suspects": list(self.suspects),
            "forward": self.forward.data() if self.forward else None,
            "rough": self.rough,
        }


def _plain(each: Slope | Place) -> dict[str, Any]:
    values = {name: getattr(each, name) for name in each.__struct_fields__}
    return {name: list(value) if isinstance(value, tuple) else _finite(value) for name, value in values.items()}


def _finite(value: Any) -> Any:
    """Numbers that JSON has; others as text."""
    return str(value) if isinstance(value, float) and value - value != 0 else value


def _verdict(probe: GradientProbe) -> str:
    if not probe.places:
        kinds = {each.kind for each in probe.symptoms}
        varies = "It gives other numbers each time, so it cannot be compared with the working."
        return varies if "varies" in kinds else "It could not be compared with the working."
    names = _listed([each.line for each in probe.places])
    if probe.verdict == "agrees":
        limited = any(each.kind == "layout" and each.remedy for each in probe.symptoms)
        odd = limited or probe.failing or probe.fits_forward is False or probe.notes
        but = ", but see below" if odd else ""
        return f"The gradients are those of the working: {names} on {probe.drawn.count} inputs{but}."
    if probe.verdict == "explained" and probe.findings:
        sets = [" and ".join(each.deviations) for each in probe.findings]
        one = sets[0] if len(sets) == 1 else f"one of {len(sets)} sets with the same numbers, such as {sets[0]},"
        passes = {deviation(each.partition(":")[0]).of for each in probe.findings[0].deviations}
        said = f"with {one} the working gives {names}, on {probe.drawn.count - 1} fresh inputs too"
        return f"The gradients differ from the working's, and the cause is found: {said}. {_PASSES[frozenset(passes)]}"
    return (
        f"The gradients differ from the working's, and none of the {probe.tried:,} sets of deviations that were tried "
        "is the cause."
    )


_PASSES: dict[frozenset[str], str] = {
    frozenset({"backward"}): "This is a mistake of the backward pass alone.",
    frozenset({"forward"}): "They are right for a forward pass that does this.",
    frozenset({"forward", "backward"}): "They belong to another forward pass, and are wrong for that one too.",
}


def _own_forward(probe: GradientProbe) -> str:
    """Whether the gradients fit the function's own forward pass."""
    if not probe.slopes:
        return ""
    by = {kind: [each for each in probe.slopes if each.verdict == kind] for kind in ("fits", "differs", "unknown")}
    said = []
    if by["differs"]:
        first = by["differs"][0]
        measured, claimed = told_apart(first.measured, first.claimed, 6)
        said.append(
            f"{_listed([each.line for each in by['differs']])} {_do(by['differs'])} not fit the function's own forward "
            f"pass: along a random direction of {first.line.removesuffix(GRAD)} its result, weighted by the gradient "
            f"that it is given, changes by {measured} per step, where {first.line} says {claimed}."
        )
    if by["fits"]:
        digits = min(each.digits for each in by["fits"])
        fit = "fits" if len(by["fits"]) == 1 else "fit"
        said.append(f"{_listed([each.line for each in by['fits']])} {fit} its own forward pass, to {digits} digits.")
    if by["unknown"]:
        names = _listed([each.line for each in by["unknown"]])
        fit = "fits" if len(by["unknown"]) == 1 else "fit"
        said.append(f"Whether {names} {fit} its own forward pass is not known: its differences are too rough to tell.")
    return " ".join(said)


def _do(slopes: list[Slope]) -> str:
    return "does" if len(slopes) == 1 else "do"


def _forward(probe: GradientProbe, own: Report) -> str:
    """What the forward pass does, and whether the gradients follow from it."""
    if own.verdict == "agrees":
        if probe.findings and probe.fits_forward:
            return (
                "Its forward pass agrees with the working, with as many keys as queries; `clearhead.probe` tries more."
            )
        done = {deviation(each.partition(":")[0]).of for found in probe.findings[:1] for each in found.deviations}
        return "Its forward pass agrees with the working." + (
            " So the backward pass alone does this." if "forward" in done else ""
        )
    if own.findings:
        names = " and ".join(own.findings[0].deviations)
        both = probe.findings and own.findings[0].deviations == probe.findings[0].deviations
        then = " Correct it there: its gradients follow." if both and probe.fits_forward else ""
        return f"Its forward pass differs from the working too: with {names} the working gives its numbers.{then}"
    return "Its forward pass differs from the working too: `clearhead.probe` says how."


def _places(probe: GradientProbe) -> Iterator[str]:
    """Which gradients are wrong, and where."""
    wrong = [each for each in probe.places if not each.right]
    if not wrong:
        return
    for each in wrong:
        yield f"{each.line} is wrong in {each.wrong} of {each.cells} numbers{_how(each)}."
    if right := [each.line for each in probe.places if each.right]:
        yield f"{_listed(right)} {'is' if len(right) == 1 else 'are'} right."
    if probe.suspects:
        yield (
            f"If each line is computed once and one is wrong, it is {_listed(probe.suspects, 'or')}: all that is wrong "
            "comes from it, and nothing that is right."
        )
    else:
        yield "No line that all these come from is wrong alone: at least two are, or one is computed more than once."


def _how(place: Place) -> str:
    if place.factor == 0:
        return ": it is 0 everywhere"
    if place.holds and place.holds.startswith(f"{place.line}.through_"):
        return f": it has the numbers of {place.holds}, which is only a part of the sum"
    if place.holds:
        return f": it has the numbers that {place.holds} should have"
    if place.factor is not None:
        return f": it is {number(place.factor, 6)} times what it should be"
    if place.factors:
        each = ", ".join(f"{number(factor, 6)} at {where}" for where, factor in place.factors)
        return f": it is a multiple of what it should be, another at each size: {each}"
    if place.nothing and place.nothing != place.only:
        return f": it is 0 at {_where(place.nothing)}"
    if place.only:
        return f", only at {_where(place.only)}{', where it is 0' if place.nothing else ''}"
    return ""


def _where(found: Sequence[tuple[str, tuple[int, ...], int]]) -> str:
    each = ", ".join(f"{word} {', '.join(map(str, at))} of {size}" for word, at, size in found)
    return f"{each} (counted from 0)"


def _listed(names: Any, word: str = "and") -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
