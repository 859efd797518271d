"""The shapes of all lines, found before anything is computed, and what is said where sizes do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clearhead.axes import Axes, Shape, describe, with_batch
from clearhead.errors import ShapeError
from clearhead.expr.formula import Misfit
from clearhead.line import Given, Line


def shapes_of(
    givens: Iterable[Given], lines: Iterable[Line], axes: Mapping[str, Axes], given: Mapping[str, Shape]
) -> dict[str, Shape]:
    """The shapes of given arrays and of all lines.

    Args:
        givens: the given arrays.
        lines: the lines, in order.
        axes: the axis words of all of these.
        given: the shapes of the given arrays, by full names.

    Raises:
        ShapeError: sizes do not fit; the message names the line, the arrays and the axis.
    """
    shapes = dict(given)
    for each in givens:
        _check_given(each, shapes[each.name])
    for line in lines:
        shapes[line.name] = _result_shape(line, axes, [shapes[operand] for operand in line.operands])
    return shapes


def _check_given(given: Given, shape: Shape) -> None:
    sizes = given.known_sizes()
    own = shape[len(shape) - len(sizes) :]
    fits = len(shape) >= len(sizes) and all(n in (None, size) for n, size in zip(sizes, own, strict=True))
    if not fits:
        raise ShapeError(
            f"{given.name} expects {describe(given.axes, sizes)}, got {_tuple(shape)}. "
            f"Give one number per {' and '.join(given.axes)}, the first of these outermost."
        )
    if 0 in shape:
        raise ShapeError(f"{given.name} has no numbers: its shape is {_tuple(shape)}. Give at least one per axis.")


def _result_shape(line: Line, axes: Mapping[str, Axes], shapes: Sequence[Shape]) -> Shape:
    formula = line.formula
    try:
        return formula.shape(shapes)
    except Misfit as clash:
        operand = formula.roles.index(clash.role)
        name, shape = line.operands[operand], shapes[operand]
        words = with_batch(axes[name], len(shape))
        word = words[len(words) - len(formula.operands[operand]) + formula.operands[operand].index(clash.letter)]
        owner = line.operands[formula.roles.index(clash.owner)]
        raise ShapeError(
            f"{line.name}: {name} expects {word}={clash.expected}, as {owner} has, got {describe(words, shape)}. "
            f"Change one of the two."
        ) from None
    except ShapeError as error:
        operands = " and ".join(f"{n} {_tuple(s)}" for n, s in zip(line.operands, shapes, strict=True))
        raise ShapeError(f"{line.name}: {error}, for {operands}.") from None


def check_upstream(of: str, axes: Mapping[str, Axes], shapes: Mapping[str, Shape]) -> None:
    """Checks that the gradient that a backward pass begins with has the size of the line that it is of.

    Raises:
        ShapeError: it has another.
    """
    grad = f"{of}.grad"
    if of not in shapes or grad not in shapes:
        return
    count = len(axes[of])
    line, given = (shapes[name][len(shapes[name]) - count :] for name in (of, grad))
    if line != given:
        raise ShapeError(
            f"{grad} expects the shape of {of}, {describe(axes[of], line)}, got {describe(axes[of], given)}. "
            "Give one number for each of the line's."
        )


def _tuple(shape: Shape) -> str:
    return f"shape ({', '.join(map(str, shape))})"
