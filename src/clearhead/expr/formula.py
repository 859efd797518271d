"""A formula: how the indices of operands and result hang together, and the arithmetic of one cell.

Written as a signature and a body::

    formula("i k, k j -> i j", lambda a, b: total(k, a[i, k] * b[k, j]))

The signature names the *core* axes, those the arithmetic speaks of. Any axes in front of them are looped over and
broadcast against each other, as NumPy does. One letter stands for one size throughout. A letter of the result that no
operand has gets its size from a keyword: ``formula("h i d -> i c", ..., c=Size("h") * Size("d"))``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from msgspec import Struct

from clearhead.axes import Shape
from clearhead.errors import ShapeError
from clearhead.expr.evaluate import Scope, evaluate
from clearhead.expr.nodes import Expr, Ref, Where, lift, walk
from clearhead.expr.text import number, text


class Misfit(ShapeError):
    """An operand whose size along an index is not the one found before; says so in the formula's own terms."""

    def __init__(self, role: str, letter: str, size: int, owner: str, expected: int) -> None:
        super().__init__(f"{role} has {letter}={size} where {owner} has {letter}={expected}")
        self.role = role
        self.letter = letter
        self.owner = owner
        self.expected = expected


class Formula(Struct, frozen=True, dict=True):
    """The signature of an operation and the arithmetic of one cell of its result."""

    roles: tuple[str, ...]
    operands: tuple[tuple[str, ...], ...]
    result: tuple[str, ...]
    body: Expr
    sizes: tuple[tuple[str, Expr], ...] = ()

    @cached_property
    def read(self) -> frozenset[str]:
        """The roles of the operands whose cells are read, not just their sizes."""
        return frozenset(node.operand for node in walk(self.body) if isinstance(node, Ref))

    @cached_property
    def copies(self) -> bool:
        """Whether each cell of the result is a cell of an operand, with nothing computed from it."""
        return _copies(self.body)

    def bind(self, shapes: Sequence[Shape]) -> dict[str, int]:
        """The size of every index, from the shapes of the operands.

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
        """The shape of the result for operands of these shapes.

        An operand that only lends its sizes, of which no cell is read, has no say in the leading axes.

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


class Operand:
    """Stands for an operand while a formula is written: ``a[i, k]`` is a `Ref`."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __getitem__(self, key: Expr | tuple[Expr, ...]) -> Ref:
        return Ref(self._role, key if isinstance(key, tuple) else (key,))


def formula(signature: str, body: Callable[..., Expr | float], **sizes: Expr | int) -> Formula:
    """A `Formula` from its signature and a function of its operands, whose parameter names become the roles."""
    left, _, right = signature.partition("->")
    operands = tuple(tuple(part.split()) for part in left.split(",")) if left.strip() else ()
    roles = body.__code__.co_varnames[: body.__code__.co_argcount]
    if len(roles) != len(operands):
        raise TypeError(f"{signature!r} has {len(operands)} operands, its body takes {len(roles)}")
    result = tuple(right.split())
    known = {letter for letters in operands for letter in letters} | set(sizes)
    if missing := [letter for letter in result if letter not in known]:
        raise TypeError(f"{signature!r} gives no size for {', '.join(missing)}")
    return Formula(
        roles, operands, result, lift(body(*map(Operand, roles))), tuple((k, lift(v)) for k, v in sizes.items())
    )
