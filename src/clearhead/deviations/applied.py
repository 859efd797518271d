"""A deviation with its parameters: as text, as data, and applied to a working."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import Shape
from clearhead.backward import GRAD
from clearhead.budgets import MAX_DEVIATIONS
from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import Nothing
from clearhead.errors import ShapeError, SpecError, UnknownName, suggest
from clearhead.line import split_head
from clearhead.ops import Parameters, as_parameters
from clearhead.working import Working


class Applied(Struct, frozen=True):
    """A deviation with its parameters: what a problem declares, and what ``--deviate`` says.

    As text: ``softmax-over-queries``, ``round:line=weights,decimals=2``.
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

    def _of_forward(self) -> bool:
        """Whether gradients are to be made again: not where numbers are rounded, or a line of a gradient is named."""
        named = dict(self.parameters).get("line")
        gradient = named is not None and GRAD in split_head(str(named))[0]
        return not gradient and deviation(self.id).kind != "rounding"

    def rewrite(self, working: Working) -> Working:
        """The working with this deviation in it; it asks for the same arrays, also for those it no longer uses.

        Raises:
            SpecError: the working has no line that it could rewrite, or is so already.
            UnknownName: a parameter names a line that does not exist.
        """
        if working.backward_of is not None and self._of_forward():
            # The gradients are those of what is then computed.
            return working.backward_of.again(self.rewrite(working.backward_of.forward))
        try:
            rewritten = deviation(self.id).rewrite(working, **dict(self.parameters))
            if rewritten.lines == working.lines:
                raise Nothing("this working is so already.")
        except Nothing as nothing:
            raise SpecError(f"{self.id} has nothing to rewrite: {nothing}") from None
        return rewritten if rewritten.givens == working.givens else replace(rewritten, givens=working.givens)


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
        try:
            values[name] = types.get(name, str)(value)
        except ValueError:
            raise SpecError(f"{id} expects {name} as {types[name].__name__}, got {value!r}.") from None
    return Applied(id, as_parameters(values))


def check_count(deviations: Sequence[object]) -> None:
    """Refuses more deviations than anybody combines, each of which makes the working longer for all that follow.

    Raises:
        SpecError: there are too many.
    """
    if len(deviations) > MAX_DEVIATIONS:
        raise SpecError(f"a working takes at most {MAX_DEVIATIONS} deviations, got {len(deviations)}. Leave some out.")


def deviate(working: Working, *deviations: str | Applied) -> Working:
    """The working with these deviations in it, applied in order, each given by its text or as `Applied`.

    Raises:
        UnknownName: no such deviation, or it names a line that does not exist.
        SpecError: its parameters do not fit, the working has no line that it could rewrite, or there are too many.
    """
    check_count(deviations)
    for each in deviations:
        working = (parse_deviation(each) if isinstance(each, str) else each).rewrite(working)
    return working


def candidates(working: Working, shapes: Mapping[str, Shape] | None = None) -> tuple[Applied, ...]:
    """Every deviation that applies to a working, with every value of its parameters that people use.

    With the shapes of the given arrays only those whose lines fit these. Rounding is left to the search.
    """
    return tuple(applied for applied in _all_tries(working) if _applies(applied, working, shapes))


def _all_tries(working: Working) -> Iterator[Applied]:
    working = working.backward_of.forward if working.backward_of else working
    for each in _table().values():
        if each.kind != "rounding":
            for parameters in each.tries(working):
                yield Applied(each.id, as_parameters(dict(parameters)))


def _applies(applied: Applied, working: Working, shapes: Mapping[str, Shape] | None) -> bool:
    try:
        rewritten = applied.rewrite(working)
        if shapes is not None:
            rewritten.shapes(shapes)
    except (SpecError, UnknownName, ShapeError):
        return False
    return True
