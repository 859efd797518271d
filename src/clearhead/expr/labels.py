"""Formulas for readers who count cells from 1: where an index is a number, ``i`` becomes ``i - 1``.

Inside, indices count from 0. On paper labels count from 1, so the formula of a position has ``(i - 1)/10000^...`` and
that of concatenated heads ``head@((c - 1)//n_d + 1)``: it agrees with the labels of the cells.
"""

from __future__ import annotations

from clearhead.expr.nodes import Binary, Expr, Index, Number, Ref, Size, map_children, walk

_COMPARED = ("<", "<=", "==")


def counted_from(expr: Expr, first: int) -> Expr:
    """The expression with every index counted from ``first``; it has the same values for the same cells."""
    return _value(expr, first) if first else expr


def _value(expr: Expr, first: int) -> Expr:
    """An expression whose value is used as a number or a condition."""
    if isinstance(expr, Ref):
        at = None if expr.at is None else _label(expr.at, first)
        return Ref(expr.operand, tuple(_label(index, first) for index in expr.indices), at, expr.value)
    if not _is_place(expr):
        return map_children(expr, lambda child: _value(child, first))
    if isinstance(expr, Binary) and expr.symbol in _COMPARED:
        left, right = _split(expr.left, first), _split(expr.right, first)
        common = right[1] if left[1] and right[1] else 0
        if expr.symbol == "<" and left[1] - common == -1 and _is_whole(expr):
            return Binary("<=", _joined(left[0], 0), _joined(right[0], right[1] - common))
        return Binary(expr.symbol, _joined(left[0], left[1] - common), _joined(right[0], right[1] - common))
    return _joined(*_split(expr, first))


def _label(index: Expr, first: int) -> Expr:
    """The indices in brackets after a name, as labels of a cell. Printers themselves count plain numbers."""
    if isinstance(index, Number):
        return index
    if not _is_place(index):  # a number in another cell is a position, counted from 0
        return _joined(_value(index, first), first)
    core, constant = _split(index, first)
    return _joined(core, constant + first)


def _is_place(expr: Expr) -> bool:
    """Whether an expression is computed from indices alone."""
    nodes = list(walk(expr))
    return any(isinstance(node, Index) for node in nodes) and all(
        isinstance(node, (Index, Size, Number, Binary)) for node in nodes
    )


def _is_whole(expr: Expr) -> bool:
    """Whether all values in an expression of indices are whole numbers, so that below n is up to n - 1."""
    return all(isinstance(node, (Index, Size)) or _keeps_whole(node) for node in walk(expr))


def _keeps_whole(node: Expr) -> bool:
    if isinstance(node, Number):
        return isinstance(node.value, int)
    return isinstance(node, Binary) and node.symbol not in ("/", "^")


def _split(expr: Expr, first: int) -> tuple[Expr | None, int]:
    """An expression as a rest plus a whole number."""
    match expr:
        case Index():
            return expr, -first
        case Number(int(value)):
            return None, value
        case Binary("+" | "-" as symbol, left, right):
            (one, a), (other, b) = _split(left, first), _split(right, first)
            if other is None or (one is None and symbol == "+"):
                return one or other, a + b if symbol == "+" else a - b
            return Binary(symbol, one or Number(0), other), a + b if symbol == "+" else a - b
    return map_children(expr, lambda child: _value(child, first)), 0


def _joined(core: Expr | None, constant: int) -> Expr:
    if core is None:
        return Number(constant)
    if constant == 0:
        return core
    return Binary("+" if constant > 0 else "-", core, Number(abs(constant)))
