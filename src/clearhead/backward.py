"""The lines of a backward pass: for each line that has an effect, its gradient as another line.

The gradient of ``weights`` is called ``weights.grad``. It reads the gradient of each line that uses ``weights``, and
results of the forward pass. If several lines use one, the gradient through each is a separate line, such as
``input.grad.through_query``, and their sum follows. A line that is a recurrence uses itself: its ``.grad`` is what
comes through other lines, and ``.grad.accumulated`` has what comes through its own later cells too. Leading axes that
the formulas do not have are separate examples, each with its own loss: an array that they share has a gradient for
each of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from clearhead.axes import Axes, Shape
from clearhead.line import Given, Line, free_name
from clearhead.ops import Array, as_parameters, namespace
from clearhead.ops.gradients.sums import none, one, sum_of, sum_over_first

if TYPE_CHECKING:
    from clearhead.compiled.program import Engine
    from clearhead.working import BackwardOf, Working

GRAD = ".grad"
"""What follows the name of a line in the name of its gradient."""

ACCUMULATED = ".accumulated"
"""What follows that in the name of the gradient with all that passes through later cells of the line itself."""

LONG = 1 << 22
"""Weights of one attention from which on nothing stores them that does not need them."""


class _Part(Struct, frozen=True):
    """The gradient of a line through one that uses it: a line without a name, and leading axes still to be summed."""

    through: str
    line: Line
    extra: Axes


def gradient_lines(lines: Sequence[Line], axes: Mapping[str, Axes], of: str, wrt: Sequence[str]) -> list[Line]:
    """The lines that lead from the gradient of a line to those of others.

    Args:
        lines: the forward pass, in order.
        axes: the axis words of all of its lines and given arrays.
        of: the line with whose gradient the pass starts. Where it has axes, ``<of>.grad`` must be given.
        wrt: the lines or given arrays whose gradients are requested, by full names.

    Raises:
        SpecError: an operation between has no derivative.
    """
    between = _between(lines, of, {*wrt})
    made = [] if axes[of] else [Line(of + GRAD, one, (of,), ())]
    taken = {*axes, of + GRAD}
    parts: dict[str, list[_Part]] = defaultdict(list)
    reached = {of}

    def close(name: str) -> None:
        """Writes the gradient of a line, after those of all lines that use it."""
        if parts[name]:
            new = _joined(name, parts[name], axes[name], taken)
            taken.update(each.name for each in new)
            made.extend(new)
            reached.add(name)

    for line in reversed(lines):
        if line.name in between:
            close(line.name)
            if line.name in reached:
                found = _parts(line, axes, between)
                made.extend(_through_itself(line) if found else [])
                for operand, part in found:
                    parts[operand].append(part)
    for name in wrt:
        if name not in reached:
            close(name)
        if name not in reached:
            made.append(_no_effect(name, axes[name]))
            reached.add(name)
    return made


def _between(lines: Sequence[Line], of: str, wrt: set[str]) -> set[str]:
    """The names between the requested arrays and the line at which the pass starts."""
    changed = set(wrt)
    for line in lines:
        if changed & {*line.operands}:
            changed.add(line.name)
    needed = {of}
    for line in reversed(lines):
        if line.name in needed:
            needed.update(line.operands)
    return changed & needed


def _through_itself(line: Line) -> list[Line]:
    """The gradient of a recurrence with what passes through its own cells; none for other lines."""
    from clearhead.expr.derivative import RESULT, UPSTREAM
    from clearhead.ops.gradients.gradient import accumulated

    own = accumulated(line.operation, line.parameters)
    if own is None:
        return []
    names = {**dict(zip(line.formula.roles, line.operands, strict=True)), UPSTREAM: line.name + GRAD, RESULT: line.name}
    operands = tuple(names[role] for role in own.formula(line.parameters).roles)
    return [Line(line.name + GRAD + ACCUMULATED, own, operands, line.axes, line.parameters)]


def _parts(line: Line, axes: Mapping[str, Axes], between: set[str]) -> list[tuple[str, _Part]]:
    """The gradients through a line to each of its operands that has an effect."""
    from clearhead.expr.derivative import RESULT, UPSTREAM
    from clearhead.ops.gradients.gradient import gradient

    formula = line.formula
    own_grad = line.name + GRAD + (ACCUMULATED if formula.recurs is not None else "")
    names = {**dict(zip(formula.roles, line.operands, strict=True)), UPSTREAM: own_grad, RESULT: line.name}
    found: list[tuple[str, _Part]] = []
    for role, letters, operand in zip(formula.roles, formula.operands, line.operands, strict=True):
        own = gradient(line.operation, role, line.parameters) if operand in between else None
        if own is None:
            continue
        lead = len(line.axes) - len(formula.result) - (len(axes[operand]) - len(letters))
        extra = line.axes[: max(lead, 0)]
        operands = tuple(names[each] for each in own.formula(line.parameters).roles)
        part = Line(operand + GRAD, own, operands, (*extra, *axes[operand]), line.parameters)
        found.append((operand, _Part(line.name, part, extra)))
    return found


def _joined(name: str, parts: Sequence[_Part], axes: Axes, taken: set[str]) -> list[Line]:
    """The lines of all gradients of a line through others, and of their sum."""
    if len(parts) == 1:
        return _summed(name + GRAD, parts[0])
    made: list[Line] = []
    names: list[str] = []
    for part in parts:
        path = free_name(f"{name}{GRAD}.through_{_beside(part.through, name)}", {*taken, *names})
        names.append(path)
        made.extend(_summed(path, part))
    sizes = as_parameters({"count": len(parts), "rank": len(axes)})
    return [*made, Line(name + GRAD, sum_of, tuple(names), axes, sizes)]


def _summed(name: str, part: _Part) -> list[Line]:
    """A part under its name, summed over the axes along which the line was used."""
    line, extra = part.line, part.extra
    if not extra:
        return [Line(name, line.operation, line.operands, line.axes, line.parameters)]
    each = f"{name}.for_each_{'_'.join(extra)}"
    own = line.axes[len(extra) :]
    sizes = as_parameters({"count": len(extra), "rank": len(own)})
    return [
        Line(each, line.operation, line.operands, line.axes, line.parameters),
        Line(name, sum_over_first, (each,), own, sizes),
    ]


def _beside(user: str, name: str) -> str:
    """The name of a line that uses another, without their common path, in one word.

    A dot in it would make the line's name an ending of the gradient's name, and so ambiguous.
    """
    path, own = user.split("."), name.split(".")
    while len(path) > 1 and own and path[0] == own[0]:
        path, own = path[1:], own[1:]
    return "_".join(path)


def _no_effect(name: str, axes: Axes) -> Line:
    return Line(name + GRAD, none, (name,), axes, as_parameters({"rank": len(axes)}))


def upstream(of: str, axes: Axes, sizes: Sequence[tuple[str, int]]) -> Given:
    """The given array with which a backward pass starts, where it does not start with a single number."""
    return Given(of + GRAD, axes, tuple(sizes))


def gradients(
    working: Working, arrays: Mapping[str, Array], of: str | None, wrt: str | Sequence[str] | None, engine: Engine
) -> dict[str, Array]:
    """The gradients of `Trace.gradients`, from the numbers of a trace; ``engine`` computes those of long attention."""
    whole = working.backward(of, wrt)
    source = cast("BackwardOf", whole.backward_of)
    there = dict(arrays)
    shapes = _shapes(source.forward, arrays)
    long = engine if shapes and is_long(source.forward.lines, shapes) else None
    if whole.axes[source.of]:
        if source.of in arrays or long is None:
            start = working.compute([source.of], arrays)[source.of]
            shape = start.shape
        else:
            # Its numbers do not matter, only their type.
            holds = next(given.name for given in source.forward.givens if given.holds == "numbers")
            start, shape = arrays[holds], shapes[source.of]
        there[source.of + GRAD] = namespace(start).broadcast_to(one.code(namespace(start), start), shape)
    found = whole.compute([name + GRAD for name in source.wrt], there, long=long)
    own = {**shapes, **{name: tuple(array.shape) for name, array in arrays.items()}}
    return {name: _of_shape(grad, own.get(name, grad.shape)) for name in source.wrt for grad in [found[name + GRAD]]}


def _shapes(forward: Working, arrays: Mapping[str, Array]) -> Mapping[str, Shape]:
    """The shapes of all lines; none, where a given array is missing."""
    if any(given.name not in arrays for given in forward.givens):
        return {}
    return forward.shapes({given.name: tuple(arrays[given.name].shape) for given in forward.givens})


def is_long(lines: Iterable[Line], shapes: Mapping[str, Shape]) -> bool:
    """Whether some attention has too many weights to store them where that can be avoided."""
    sums = (line.operands[0] for line in lines if line.operation.role == "weighted-sum")
    return any(prod(shapes[name]) >= LONG for name in sums)


def _of_shape(grad: Array, shape: Shape) -> Array:
    """A gradient in the shape of its array: summed over what was broadcast."""
    xp = namespace(grad)
    if extra := grad.ndim - len(shape):
        grad = xp.sum(grad, axis=tuple(range(extra)))
    wide = tuple(axis for axis, size in enumerate(shape) if size == 1 != grad.shape[axis])
    return xp.sum(grad, axis=wide, keepdims=True) if wide else grad
