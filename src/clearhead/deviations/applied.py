"""A deviation with its parameters: as text, as data, and applied to a working."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import Shape
from clearhead.budgets import MAX_DEVIATIONS
from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import Nothing
from clearhead.errors import ShapeError, SpecError, UnknownName, WrongType, suggest
from clearhead.line import split_head
from clearhead.ops import Parameters, as_parameters
from clearhead.ops.textbook import training
from clearhead.working import Working


class Applied(Struct, frozen=True):
    """A deviation with its parameters: what a problem declares, and what ``--deviate`` says.

    As text: ``softmax-over-queries``, ``round:line=weights,decimals=2``.

    Attributes:
        id: the deviation's id.
        parameters: the values of its parameters, in the order of the table.
    """

    id: str
    parameters: Parameters = ()

    def __post_init__(self) -> None:
        known = {parameter.name: parameter for parameter in deviation(self.id).parameters}
        given = dict(self.parameters)
        if given.keys() != known.keys():
            expected = ", ".join(f"{p.name} ({p.about})" for p in known.values()) or "no parameters"
            raise SpecError(f"{self.id} expects {expected}; got {', '.join(given) or 'none'}.")
        for name, value in given.items():
            if wanted := known[name].fault(value):
                raise SpecError(f"{self.id} expects {name} as {wanted}, got {value!r}.")

    def __str__(self) -> str:
        values = ",".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.id}:{values}" if values else self.id

    def _of_forward(self, working: Working, forward: Working) -> bool:
        """Whether gradients are derived again: not where numbers are rounded, or a line behind ``forward`` is named."""
        name = split_head(str(dict(self.parameters).get("line")))[0]
        among = [any(f".{known}".endswith(f".{name}") for known in each.names) for each in (working, forward)]
        row = deviation(self.id)
        return among != [True, False] and row.kind != "rounding" and row.of == "forward"

    def rewrite(self, working: Working) -> Working:
        """``working`` with this deviation; it takes the same arrays, also those that it no longer uses.

        Raises:
            SpecError: the working has no line to rewrite, or already has this deviation.
            UnknownName: a parameter names a line that does not exist.
        """
        if working.backward_of is not None and self._of_forward(working, working.backward_of.forward):
            # The gradients are those of what is then computed.
            return working.backward_of.again(self.rewrite(working.backward_of.forward))
        if deviation(self.id).of == "backward" and not _has_gradients(working):
            raise SpecError(f"{self.id} has nothing to rewrite: this working has no gradients.")
        try:
            rewritten = deviation(self.id).rewrite(working, **dict(self.parameters))
            if rewritten.lines == working.lines:
                raise Nothing("this working already has it.")
        except Nothing as nothing:
            raise SpecError(f"{self.id} has nothing to rewrite: {nothing}") from None
        source = working.backward_of
        if source is not None and deviation(self.id).of == "backward":
            source = replace(source, then=(*source.then, self))
            return Working(working.givens, rewritten.lines, working.label_base, source)
        return rewritten if rewritten.givens == working.givens else replace(rewritten, givens=working.givens)

    def behind(self, backward: Working) -> Working:
        """As ``rewrite``: what is done once more when the gradients of another forward pass are made.

        Args:
            backward: a working with its gradients.
        """
        return self.rewrite(backward)


def _has_gradients(working: Working) -> bool:
    """Whether it has a backward pass, or steps of training that begin at gradients which are given."""
    steps = (training.step_along, training.step_scaled)
    return working.backward_of is not None or any(line.operation in steps for line in working.lines)


def deviation(id: str) -> Deviation:
    """The deviation of this id.

    Raises:
        UnknownName: there is none; the message offers the closest.
    """
    table = _table()
    try:
        return table[id]
    except KeyError:
        raise UnknownName(f"No deviation is called {id!r}. {suggest(id, table)}") from None


def _table() -> Mapping[str, Deviation]:
    """All deviations by id, loaded at the first use."""
    from clearhead.deviations.table import DEVIATIONS

    return DEVIATIONS


def parse_deviation(written: str) -> Applied:
    """An applied deviation from its text.

    Raises:
        UnknownName: no such deviation.
        SpecError: its parameters are missing, unknown or of the wrong type.
    """
    id, _, rest = written.strip().partition(":")
    types = {parameter.name: parameter.type for parameter in deviation(id).parameters}
    values: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name in values:
            raise SpecError(f"{id} takes {name} once, got it twice.")
        try:
            values[name] = types.get(name, str)(value)
        except ValueError:
            raise SpecError(f"{id} expects {name} as {types[name].__name__}, got {value!r}.") from None
    return Applied(id, as_parameters(values))


def check_count(deviations: Sequence[object]) -> None:
    """Refuses more deviations than anybody combines: each makes the working longer for all that follow.

    Raises:
        SpecError: there are too many.
    """
    if len(deviations) > MAX_DEVIATIONS:
        raise SpecError(f"a working takes at most {MAX_DEVIATIONS} deviations, got {len(deviations)}. Leave some out.")


def deviate(working: Working, *deviations: str | Applied) -> Working:
    """``working`` with these ``deviations``, applied in order, each given by its text or as `Applied`.

    Raises:
        UnknownName: no such deviation, or it names a line that does not exist.
        SpecError: its parameters do not fit, the working has no line that it could rewrite, or there are too many.
        WrongType: one is neither a text nor `Applied`.
    """
    check_count(deviations)
    for each in deviations:
        if not isinstance(each, str | Applied):
            raise WrongType(f"A deviation is its text, such as 'scale-missing', or Applied; got {type(each).__name__}.")
        working = (parse_deviation(each) if isinstance(each, str) else each).rewrite(working)
    return working


def candidates(
    working: Working, shapes: Mapping[str, Shape] | None = None, among: Collection[str] | None = None
) -> tuple[Applied, ...]:
    """Every deviation that applies to a working, with every value of its parameters that is in use.

    With the shapes of the given arrays, only those whose lines fit these; with ids only these. Rounding is left to the
    search.
    """
    return tuple(applied for applied, _ in rewritten_by_each(working, shapes, among))


def rewritten_by_each(
    working: Working, shapes: Mapping[str, Shape] | None = None, among: Collection[str] | None = None
) -> Iterator[tuple[Applied, Working]]:
    """The `candidates`, each with the working that it makes."""
    for applied in _all_tries(working, among):
        rewritten = _rewritten(applied, working, shapes)
        if rewritten is not None:
            yield applied, rewritten


def _all_tries(working: Working, among: Collection[str] | None) -> Iterator[Applied]:
    forward = working.backward_of.forward if working.backward_of else working
    for each in _table().values():
        if each.kind != "rounding" and (among is None or each.id in among):
            for parameters in each.tries(forward if each.of == "forward" else working):
                yield Applied(each.id, as_parameters(dict(parameters)))


def _rewritten(applied: Applied, working: Working, shapes: Mapping[str, Shape] | None) -> Working | None:
    """The working with a deviation; None if it does not apply, or does not fit arrays of these shapes."""
    try:
        rewritten = applied.rewrite(working)
        if shapes is not None:
            rewritten.shapes(shapes)
    except (SpecError, UnknownName, ShapeError):
        return None
    return rewritten
