"""The one table of deviations: wrong, or merely different, ways to do the same, each a rewrite of a working.

A deviation knows lines by their operation, not by their place, so it applies to any working that has such a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, count
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import Shape, head_axis
from clearhead.errors import ShapeError, SpecError, UnknownName, suggest
from clearhead.line import Line, find, split_head
from clearhead.ops import Operation, Parameters, as_parameters, rounding, scores, tokens
from clearhead.working import Working


class Parameter(Struct, frozen=True):
    """A parameter of a deviation: its name, its type, and what it says."""

    name: str
    type: type[int] | type[float] | type[str]
    about: str


class Deviation(Struct, frozen=True):
    """A named rewrite of a working.

    Attributes:
        id: its name in files, on the command line and in reports.
        kind: a mistake, a convention that others follow, or rounding.
        does: what it does, in a sentence.
        invisible: on what data it changes nothing.
        remedy: how to mend it in one's own code.
        seen: where it was seen.
        rewrite: the working with the deviation in it; raises SpecError where there is nothing to rewrite.
        parameters: what ``rewrite`` needs beside the working.
    """

    id: str
    kind: Literal["mistake", "convention", "rounding"]
    does: str
    invisible: str
    remedy: str
    seen: str
    rewrite: Callable[..., Working]
    parameters: tuple[Parameter, ...] = ()


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
            if not isinstance(value, known[name].type) or isinstance(value, bool):
                raise SpecError(f"{self.id} expects {name} as {known[name].type.__name__}, got {value!r}.")

    def __str__(self) -> str:
        values = ",".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.id}:{values}" if values else self.id

    def rewrite(self, working: Working) -> Working:
        """The working with this deviation in it."""
        return deviation(self.id).rewrite(working, **dict(self.parameters))


def deviation(id: str) -> Deviation:
    """The deviation of this id.

    Raises:
        UnknownName: there is none; the message offers the closest.
    """
    try:
        return DEVIATIONS[id]
    except KeyError:
        raise UnknownName(f"No deviation is called {id!r}. {suggest(id, DEVIATIONS)}") from None


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


def deviate(working: Working, *deviations: str | Applied) -> Working:
    """The working with these deviations in it, applied in order, each given by its text or as `Applied`.

    Raises:
        UnknownName: no such deviation, or it names a line that does not exist.
        SpecError: its parameters do not fit, or the working has no line that it could rewrite.
    """
    for each in deviations:
        working = (parse_deviation(each) if isinstance(each, str) else each).rewrite(working)
    return working


def candidates(working: Working, shapes: Mapping[str, Shape] | None = None) -> tuple[Applied, ...]:
    """Every deviation that applies to a working; with the shapes of the given arrays only those that fit these.

    Rounding is left to the search, which knows the decimals that claims were written in.
    """
    found = (Applied(each.id) for each in DEVIATIONS.values() if each.kind != "rounding")
    return tuple(applied for applied in found if _applies(applied, working, shapes))


def _applies(applied: Applied, working: Working, shapes: Mapping[str, Shape] | None) -> bool:
    try:
        rewritten = applied.rewrite(working)
        if shapes is not None:
            rewritten.shapes(shapes)
    except (SpecError, UnknownName, ShapeError):
        return False
    return True


def _swap_operation(old: Operation, new: Operation, id: str) -> Callable[[Working], Working]:
    """A rewrite that puts another operation in the place of one."""

    def rewrite(working: Working) -> Working:
        _need(working, (old,), id)
        return working.rewrite(lambda line: [replace(line, operation=new) if line.operation is old else line])

    return rewrite


def _need(working: Working, operations: Iterable[Operation], id: str) -> None:
    if not any(line.operation in operations for line in working.lines):
        names = " or ".join(operation.name for operation in operations)
        raise SpecError(f"{id} has nothing to rewrite: no line of this working is a {names}.")


_SCALES = (scores.scale_by_depth, scores.scale)
_SOFTMAXES = (scores.softmax, scores.softmax_over_queries)


def _scale_after_softmax(working: Working) -> Working:
    """Takes each scale out of the way to its softmax and applies it to the weights."""
    _need(working, _SCALES, "scale-after-softmax")
    _need(working, _SOFTMAXES, "scale-after-softmax")
    renamed: dict[str, str] = {}
    waiting: list[Line] = []

    def change(line: Line) -> list[Line]:
        line = replace(line, operands=tuple(renamed.get(name, name) for name in line.operands))
        if line.operation in _SCALES:
            renamed[line.name] = line.operands[0]
            waiting.append(line)
            return []
        if line.operation in _SOFTMAXES and waiting:
            unscaled = replace(line, name=f"{line.name}.unscaled")
            moved = waiting.pop()
            return [unscaled, replace(moved, name=line.name, operands=(unscaled.name, *moved.operands[1:]))]
        return [line]

    return working.rewrite(change)


_MOST_DECIMALS = 15
"""A float64 has no more that mean anything."""


def _round(working: Working, line: str, decimals: int) -> Working:
    """Puts a rounded line in the place of a line; what follows reads the rounded one."""
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise SpecError(f"round expects decimals from 0 to {_MOST_DECIMALS}, got {decimals}.")
    short, label = split_head(line)
    full = find(short, [each.name for each in working.lines])
    if label is None:
        operation, chosen = rounding.round_decimals, {}
    else:
        operation, chosen = rounding.round_head, {"head": _head_number(working, full, label)}

    def change(each: Line) -> list[Line]:
        if each.name != full:
            return [each]
        exact = replace(each, name=_free_name(f"{full}.unrounded", working))
        return [exact, Line(full, operation, (exact.name,), each.axes, as_parameters({"decimals": decimals, **chosen}))]

    return working.rewrite(change)


def _free_name(name: str, working: Working) -> str:
    """The name, or with a number behind it the first that no line bears: a line may be rounded head by head."""
    names = chain([name], (f"{name}{number}" for number in count(2)))
    return next(free for free in names if free not in working.names)


def _head_number(working: Working, name: str, label: int) -> int:
    """The position of a head, counted from 0, that a label of a line means."""
    axes = working.axes[name]
    if head_axis(axes) != -3:
        raise SpecError(f"round: {name} has no heads: its axes are {', '.join(axes)}. Leave out @{label}.")
    first, heads = working.first, working.sizes.get(axes[-3], label + 1)
    if not first <= label < first + heads:
        raise UnknownName(f"{name} has heads {first} to {first + heads - 1}, not {label}.")
    return label - first


DEVIATIONS: dict[str, Deviation] = {
    each.id: each
    for each in (
        Deviation(
            id="softmax-over-queries",
            kind="mistake",
            does="Softmax runs down the columns of the scores: each key's shares add up to one over the queries.",
            invisible="Where the scores are symmetric in queries and keys up to constants, or there is one token.",
            remedy="With tokens as rows normalise over the last axis: axis=-1 with keepdims=True, or dim=-1.",
            seen="The notebook this project grew from (axis=0); with tokens as columns the same axis is right.",
            rewrite=_swap_operation(scores.softmax, scores.softmax_over_queries, "softmax-over-queries"),
        ),
        Deviation(
            id="scale-after-softmax",
            kind="mistake",
            does="The weights, not the scores, are divided by the square root of the depth: a query's weights add up "
            "to 1/sqrt(depth), not to 1.",
            invisible="Where the depth is 1.",
            remedy="Divide the scores before the softmax: softmax(q @ k.T / sqrt(d)) @ v.",
            seen="The lecture behind the notebook this project grew from: softmax(Q K^T) / sqrt(d_k) V.",
            rewrite=_scale_after_softmax,
        ),
        Deviation(
            id="norm-over-matrix",
            kind="mistake",
            does="The layer norm takes one mean and one standard deviation over all tokens together.",
            invisible="Where there is one token, or all tokens have the same mean and spread.",
            remedy="Take both over the last axis: x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True).",
            seen="The notebook this project grew from: np.mean(x) and np.std(x) without an axis.",
            rewrite=_swap_operation(tokens.layer_norm, tokens.norm_over_matrix, "norm-over-matrix"),
        ),
        Deviation(
            id="round",
            kind="rounding",
            does="A line is rounded, halves away from zero, and the rounded numbers are carried on.",
            invisible="Where the numbers have no more decimals than that.",
            remedy="Carry at least two decimals more than you show, and round only what you show.",
            seen="The hand solutions in the notebook this project grew from: weights with two decimals.",
            rewrite=_round,
            parameters=(
                Parameter("line", str, "a line, or one head of it, as in weights@2"),
                Parameter("decimals", int, "how many are kept"),
            ),
        ),
    )
}
"""Every deviation by its id."""
