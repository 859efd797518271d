"""A formula: the indices of operands and result, and the arithmetic of one cell.

Written as a signature and a body::

    formula("i k, k j -> i j", lambda a, b: total(k, a[i, k] * b[k, j]))

The signature names the *core* axes, those of the arithmetic. All axes in front of them are looped over and
broadcast against each other, as in NumPy. One letter stands for one size throughout. A letter of the result that no
operand has gets its size from a keyword: ``formula("h i d -> i c", ..., c=Size("h") * Size("d"))``.

A body with a parameter ``result`` is a recurrence: its cells read other cells of the result, which come before them::

    formula("i d, i j -> i d", lambda v, a, result: v[i, d] - total(j, where(j < i, a[i, j] * result[j, d], 0)))

Its gradient is a recurrence too, whose cells read those after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any

from msgspec import Struct

from clearhead.axes import Cell, Shape
from clearhead.errors import ShapeError
from clearhead.expr.evaluate import Arithmetic, Scope, evaluate
from clearhead.expr.nodes import Expr, Index, Ref, Where, lift, walk
from clearhead.expr.text import number, text

OWN = "result"
"""The role of the result in a formula whose cells read cells of the result before them."""


class Misfit(ShapeError):
    """An operand whose size along an index differs from that of another; the message has the formula's names."""

    def __init__(self, role: str, letter: str, size: int, owner: str, expected: int) -> None:
        super().__init__(f"{role} has {letter}={size} where {owner} has {letter}={expected}")
        self.role = role
        self.letter = letter
        self.owner = owner
        self.expected = expected


class Formula(Struct, frozen=True, dict=True):
    """The signature of an operation and the arithmetic of one cell of its result.

    Attributes:
        roles: the names of the operands.
        operands: the letters of each operand's core axes.
        result: the letters of the result's.
        body: the arithmetic of one cell.
        sizes: sizes of letters that no operand has.
        backwards: whether the cells of a recurrence read those after them, not those before.
    """

    roles: tuple[str, ...]
    operands: tuple[tuple[str, ...], ...]
    result: tuple[str, ...]
    body: Expr
    sizes: tuple[tuple[str, Expr], ...] = ()
    backwards: bool = False

    @cached_property
    def read(self) -> frozenset[str]:
        """The roles of the operands whose cells are read, not just their sizes."""
        return frozenset(node.operand for node in walk(self.body) if isinstance(node, Ref)) - {OWN}

    @cached_property
    def recurs(self) -> int | None:
        """The axis of the result along which its cells read other cells of it; None where they read none."""
        own = (node.indices for node in walk(self.body) if isinstance(node, Ref) and node.operand == OWN)
        indices = next(own, ())
        pairs = enumerate(zip(indices, self.result, strict=False))
        return next((axis for axis, (index, letter) in pairs if index != Index(letter)), None)

    @cached_property
    def copies(self) -> bool:
        """Whether each cell of the result is a copy of a cell of an operand."""
        return _copies(self.body)

    def bind(self, shapes: Sequence[Shape]) -> dict[str, int]:
        """The size of every index, from the ``shapes`` of the operands.

        Raises:
            Misfit: two sizes of one index differ.
            ShapeError: an operand has too few axes, or too small ones.
        """
        found: dict[str, tuple[int, str]] = {}
        for role, letters, shape in zip(self.roles, self.operands, shapes, strict=True):
            if len(shape) < len(letters):
                raise ShapeError(f"{role} needs {len(letters)} axes ({' '.join(letters)}) or more and has {len(shape)}")
            for letter, size in zip(letters, shape[len(shape) - len(letters) :], strict=True):
                first, owner = found.setdefault(letter, (size, role))
                if first != size:
                    raise Misfit(role, letter, size, owner, first)
        sizes = {letter: size for letter, (size, _) in found.items()}
        for letter, expr in self.sizes:
            size = evaluate(expr, Scope({}, sizes, {}))
            sizes[letter] = int(size)
            if size < 0:
                raise ShapeError(f"{text(expr)} cannot be negative and is {number(size, 3)}")
            if size != sizes[letter]:
                raise ShapeError(f"{text(expr)} has to be a whole number and is {number(size, 3)}")
        return sizes

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of the result for operands of these ``shapes``.

        An operand of which only the sizes are read does not count for the leading axes.

        Raises:
            ShapeError: as `bind`, or the leading axes do not broadcast.
        """
        sizes = self.bind(shapes)
        read = self.read
        leads = [
            shape[: len(shape) - len(letters)]
            for role, letters, shape in zip(self.roles, self.operands, shapes, strict=True)
            if role in read
        ]
        return broadcast(leads) + tuple(sizes[letter] for letter in self.result)

    def ordered(self, shape: Shape) -> Iterator[Cell]:
        """All cells of a result of this ``shape``, each behind those of the result that it reads."""
        ranges = (range(size)[:: -1 if self.backwards else 1] for size in shape)
        return product(*ranges)

    def cell(self, arrays: Sequence[Any], result: Any, cell: Cell, arithmetic: Arithmetic) -> Any:
        """One cell of the result in any arithmetic, as `evaluate`.

        Args:
            arrays: the operands, each a NumPy array with all of its axes; numbers of the arithmetic as objects.
            result: the result as far as it is known: a recurrence reads cells that are `ordered` before this one.
            cell: an index for each axis of the result.
            arithmetic: what functions and symbols mean.
        """
        ahead, own = cell[: len(cell) - len(self.result)], cell[len(cell) - len(self.result) :]
        leads = [
            leading(ahead, array.shape[: array.ndim - len(core)])
            for array, core in zip(arrays, self.operands, strict=True)
        ]
        parts = {role: array[*lead, ...] for role, array, lead in zip(self.roles, arrays, leads, strict=True)}
        sizes = self.bind([array.shape for array in arrays])
        scope = Scope({**parts, OWN: result[*ahead, ...]}, sizes, dict(zip(self.result, own, strict=True)))
        return evaluate(self.body, scope, arithmetic)


def _copies(body: Expr) -> bool:
    return isinstance(body, Ref) or (isinstance(body, Where) and _copies(body.then) and _copies(body.otherwise))


def broadcast(leads: Sequence[Shape]) -> Shape:
    """The common shape of leading axes, by NumPy's rule.

    Raises:
        ShapeError: two sizes differ and neither is 1.
    """
    rank = max((len(lead) for lead in leads), default=0)
    columns = zip(*((1,) * (rank - len(lead)) + tuple(lead) for lead in leads), strict=True)
    common: list[int] = []
    for column in columns:
        sizes = {size for size in column if size != 1}
        if len(sizes) > 1:
            raise ShapeError(f"the axes in front do not broadcast: {' and '.join(str(tuple(lead)) for lead in leads)}")
        common.append(sizes.pop() if sizes else 1)
    return tuple(common)


def leading(indices: Cell, shape: Sequence[int]) -> Cell:
    """The leading indices of an operand for those of the result: aligned at the right, 0 where it broadcasts.

    An operand read only for its sizes may have leading axes that the result does not have; any of their cells serves.
    """
    mine = ((0,) * len(shape) + indices)[len(indices) :]
    return tuple(min(index, size - 1) for index, size in zip(mine, shape, strict=True))


class Operand:
    """A placeholder for an operand while a formula is written: ``a[i, k]`` is a `Ref`."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __getitem__(self, key: Expr | tuple[Expr, ...]) -> Ref:
        return Ref(self._role, key if isinstance(key, tuple) else (key,))


def formula(signature: str, body: Callable[..., Expr | float], **sizes: Expr | int) -> Formula:
    """A `Formula` from its signature and a function of its operands, whose parameter names become the roles.

    Args:
        signature: the core axes of operands and result, such as ``"i k, k j -> i j"``.
        body: makes the arithmetic of one cell of its operands; its parameter names are the roles, and ``result`` is
            the result itself.
        **sizes: the sizes of letters of the result that no operand has.

    Raises:
        TypeError: signature and body do not fit each other, or a size is missing.
    """
    left, _, right = signature.partition("->")
    operands = tuple(tuple(part.split()) for part in left.split(",")) if left.strip() else ()
    names = body.__code__.co_varnames[: body.__code__.co_argcount]
    roles = tuple(name for name in names if name != OWN)
    if len(roles) != len(operands):
        raise TypeError(f"{signature!r} has {len(operands)} operands, its body takes {len(roles)}")
    result = tuple(right.split())
    known = {letter for letters in operands for letter in letters} | set(sizes)
    if missing := [letter for letter in result if letter not in known]:
        raise TypeError(f"{signature!r} gives no size for {', '.join(missing)}")
    return Formula(
        roles, operands, result, lift(body(*map(Operand, names))), tuple((k, lift(v)) for k, v in sizes.items())
    )
