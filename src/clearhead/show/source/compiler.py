"""A formula as array code: from the arithmetic of one cell to that of all cells at once.

Each index of the formula becomes an axis. Cells of operands become views and slices, sums of products become matrix
products, other sums reductions, conditions on the data selections, and conditions on an index only concatenated
pieces. The sizes are known, so all this is decided before any code is written. The general form, indexing with the
formula's own indices, is for all other cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clearhead.axes import Shape
from clearhead.errors import ShapeError
from clearhead.expr import Binary, Call, Expr, Formula, Index, Let, Local, Number, Reduce, Ref, Size, Where
from clearhead.expr.evaluate import NEARLY
from clearhead.expr.formula import OWN
from clearhead.show.formula.patterns import Softmax, is_known, may_be_masked, softmax_of
from clearhead.show.source.branches import listed, moves_with, runs_of
from clearhead.show.source.cells import Cells, Variable
from clearhead.show.source.dialect import Dialect
from clearhead.show.source.indices import Ranges, factors, folded, grid, indices_in
from clearhead.show.source.value import (
    ADDED,
    ATOM,
    MULTIPLIED,
    NEGATED,
    SYMBOLS,
    Letters,
    Value,
    aligned,
    broadcast_axes,
    common_lead,
    common_order,
)  # fmt: skip


class Compiler:
    """Writes the formula of one line as array code: see `whole`."""

    def __init__(
        self, formula: Formula, operands: Mapping[str, Variable], dialect: Dialect, masked: frozenset[str]
    ) -> None:
        self.formula = formula
        self.operands = operands
        self.dialect = dialect
        self.masked = masked
        self.sizes = formula.bind([operands[role].shape for role in formula.roles])
        self._statements: list[str] = []
        self._locals: dict[str, Value] = {}
        self._grids: dict[str, Value] = {}
        self._branches = 0

    def whole(self, shape: Shape) -> tuple[list[str], str]:
        """The first statements, and the expression for the whole result, which has this shape."""
        order = self.formula.result
        ranges = {letter: range(self.sizes[letter]) for letter in order}
        axis = self.formula.recurs
        rows, code = ([], self._all(ranges, shape)) if axis is None else (self._recurrence(axis, ranges, shape), OWN)
        grids = [f"{name} = {self._grids[name].code}" for name in sorted(self._grids, key=self._place)]
        return [*grids, *self._statements, *rows], code

    def _all(self, ranges: Ranges, shape: Shape) -> str:
        """The cells of the result in these ranges."""
        order, value = self.formula.result, self.write(self.formula.body, ranges)
        return self._full(value, ranges, order, shape[: len(shape) - len(order)]).code

    def _recurrence(self, axis: int, ranges: Ranges, shape: Shape) -> list[str]:
        """Statements that fill the result row by row, since its cells read other rows."""
        order, rows = self.formula.result, ranges[self.formula.result[axis]]
        self.operands = {**self.operands, OWN: Variable(OWN, shape, len(order))}
        statements = [f"{OWN} = {self.dialect.call('zeros', str(tuple(shape)))}"]
        for row in reversed(rows) if self.formula.backwards else rows:
            code = self._all({**ranges, order[axis]: range(row, row + 1)}, shape)
            place = ["...", f"{row}:{row + 1}", *":" * (len(order) - axis - 1)]
            statements.append(f"{OWN}[{', '.join(place)}] = {code}")
        return statements

    def _place(self, name: str) -> int:
        return self.formula.result.index(name) if name in self.formula.result else len(self.formula.result)

    def _align(self, value: Value, order: Letters) -> Value:
        return aligned(value, order, self.dialect.permuted)

    def write(self, expr: Expr, ranges: Ranges) -> Value:
        """Code for an expression, for all values of its indices."""
        if is_known(expr) and indices_in(expr):
            expr = folded(expr, self.sizes)
        match expr:
            case Number(value):
                return self._number(value)
            case Index(name):
                return self._index(name, ranges)
            case Size(index):
                return self._size(index)
            case Local(name):
                return self._locals[name]
            case Ref(operand, indices):
                return self._cells(operand, indices, ranges)
            case Call(function, arguments):
                return self._call(function, arguments, ranges)
            case Binary():
                return self._binary(expr, ranges)
            case Reduce():
                return self._reduce(expr, ranges)
            case Where():
                return self._where(expr, ranges)
            case Let(name, value, body):
                self._locals[name] = self._named(name, self.write(value, ranges))
                return self.write(body, ranges)
        raise TypeError(f"{type(expr).__name__} cannot be written as array code")

    # Leaves

    def _number(self, value: float) -> Value:
        if not np.isfinite(value):
            named = f"{self.dialect.constants}.{'nan' if np.isnan(value) else 'inf'}"
            return Value(f"-{named}" if value < 0 else named, NEGATED, array=False)
        return Value(repr(value), NEGATED if value < 0 else ATOM, array=False)

    def _index(self, name: str, ranges: Ranges) -> Value:
        """An index as numbers: a row, with axes of one entry after it where it must broadcast against the others."""
        behind = len(ranges) - 1 - list(ranges).index(name)
        axes: Letters = (name, *[None] * behind)
        stops = ranges[name]
        bounds = [stops.stop] if (stops.start, stops.step) == (0, 1) else [stops.start, stops.stop]
        bounds += [] if stops.step == 1 else [stops.step]
        code = self.dialect.call("arange", *map(str, bounds)) + (f"[:{', None' * behind}]" if behind else "")
        known = self._grids.get(name)
        if known is None:
            self._grids[name] = Value(code, axes=axes)
        elif known.code != code:
            return Value(code, ATOM, axes)
        return Value(name, ATOM, axes)

    def _size(self, index: str) -> Value:
        for role, letters in zip(self.formula.roles, self.formula.operands, strict=True):
            if index in letters:
                code = f"{self.operands[role].code}.shape[{letters.index(index) - len(letters)}]"
                return Value(code, ATOM, array=False)
        return self.write(dict(self.formula.sizes)[index], {})

    def _cells(self, operand: str, indices: tuple[Expr, ...], ranges: Ranges) -> Value:
        if not all(map(is_known, indices)):
            return self._chosen(operand, indices, ranges)
        cells = Cells(self.operands[operand], indices, ranges, self.sizes, self.dialect)
        return cells.value(lambda index, over: self._grid_index(index, over, ranges))

    def _chosen(self, operand: str, indices: tuple[Expr, ...], ranges: Ranges) -> Value:
        """The rows of a table, or the cell of each row, that another operand's numbers select."""
        table, (row, *rest) = self.operands[operand], indices
        if table.lead:
            raise ShapeError(f"{table.code}: rows chosen by numbers are written as code for one table alone")
        columns = tuple(index.name for index in rest if isinstance(index, Index))
        if len(columns) == len(rest) and [ranges[letter] for letter in columns] == [*map(range, table.sizes[1:])]:
            chosen = self.write(row, ranges)
            return Value(f"{table.code}[{chosen.code}]", ATOM, (*chosen.axes, *columns), chosen.lead)
        places = [self._place_along(*each, ranges) for each in zip(indices, table.sizes, strict=True)]
        return self._elementwise(lambda s: f"{table.code}[{', '.join(side.code for side in s)}]", ATOM, places)

    def _place_along(self, index: Expr, size: int, ranges: Ranges) -> Value:
        """An index as code. Both branches of a condition are computed, so the cell of each must exist."""
        place = self.write(index, ranges)
        if is_known(index) or not self._branches:
            return place
        return self._elementwise(lambda s: self.dialect.call("clip", s[0].code, "0", str(size - 1)), ATOM, [place])

    def _grid_index(self, index: Expr, over: tuple[str, ...], ranges: Ranges) -> str:
        """An index as code that spans, with the others, a grid over these letters."""
        return self._align(self.write(index, {letter: ranges[letter] for letter in over}), over).code

    # Arithmetic

    def _elementwise(self, write: Callable[[Sequence[Value]], str], strength: int, values: Sequence[Value]) -> Value:
        """A function of values cell by cell."""
        if not any(value.array for value in values):
            return Value(write(values), strength, array=False)
        order = common_order(values, self._canonical(values))
        turned = [self._align(value, order) for value in values]
        arrays = [value for value in values if value.array]
        kept = None
        if len(arrays) == 1 and arrays[0].kept is not None:
            kept = self._elementwise(write, strength, [arrays[0].kept if value.array else value for value in values])
        return Value(write(turned), strength, broadcast_axes(turned), common_lead(values), kept)

    def _canonical(self, values: Sequence[Value]) -> list[str]:
        """The result's indices, followed by those that are summed over."""
        others = {letter: None for value in values for letter in value.letters}
        return [*self.formula.result, *(letter for letter in others if letter not in self.formula.result)]

    def _binary(self, expr: Binary, ranges: Ranges) -> Value:
        values = [self.write(expr.left, ranges), self.write(expr.right, ranges)]
        if expr.symbol == "and":
            joint = self.dialect.functions["and"]
            return self._elementwise(lambda sides: f"{joint}({sides[0].code}, {sides[1].code})", ATOM, values)
        symbol, own, left, right = SYMBOLS[expr.symbol]
        return self._elementwise(
            lambda sides: f"{sides[0].inside(left)} {symbol} {sides[1].inside(right)}", own, values
        )

    def _call(self, function: str, arguments: tuple[Expr, ...], ranges: Ranges) -> Value:
        if function == "share":
            return self._share(arguments[0], arguments[1], ranges)
        values = [self.write(argument, ranges) for argument in arguments]
        match function:
            case "neg":
                return self._elementwise(lambda sides: f"-{sides[0].inside(NEGATED)}", NEGATED, values)
            case "max":
                return self._elementwise(lambda s: self.dialect.at_least(s[0].code, s[1].code), ATOM, values)
            case "round":
                return self._round(values[0], values[1], 0.5)
            case "truncate":
                return self._round(values[0], values[1], NEARLY)
            case "round_even":
                unit, nearest = f"10**{values[1].code}", self.dialect.functions["round"]
                return self._elementwise(
                    lambda s: f"{nearest}({s[0].inside(MULTIPLIED)} * {unit}) / {unit}", MULTIPLIED, values[:1]
                )
        array = any(value.array for value in values)
        name = (self.dialect.functions if array else self.dialect.scalars)[function]
        if not values:
            return Value(name, ATOM, array=False)
        return self._elementwise(lambda sides: f"{name}({', '.join(side.code for side in sides)})", ATOM, values)

    def _round(self, value: Value, decimals: Value, more: float) -> Value:
        """Rounding halves away from zero, which libraries round to even; or truncation, without adding a half."""
        unit = f"10**{decimals.code}"
        if not value.array:
            copysign, floor, size = (self.dialect.scalars[name] for name in ("copysign", "floor", "abs"))
            return self._elementwise(
                lambda s: f"{copysign}({floor}({size}({s[0].code}) * {unit} + {more!r}), {s[0].code}) / {unit}",
                MULTIPLIED,
                [value],
            )
        sign, floor, size = (self.dialect.functions[name] for name in ("sign", "floor", "abs"))
        return self._elementwise(
            lambda s: f"{sign}({s[0].code}) * {floor}({size}({s[0].code}) * {unit} + {more!r}) / {unit}",
            MULTIPLIED,
            [value],
        )

    def _share(self, part: Expr, whole: Expr, ranges: Ranges) -> Value:
        """A quotient that is 0 where the divisor is 0."""
        found = softmax_of(part, whole)
        if found is not None:
            return self._softmax(found, ranges)
        values = [self.write(part, ranges), self.write(whole, ranges)]
        where = self.dialect.call
        return self._elementwise(
            lambda s: f"{s[0].inside(MULTIPLIED)} / {where('where', f'{s[1].inside(ADDED)} == 0', '1.0', s[1].code)}",
            MULTIPLIED,
            values,
        )

    def _softmax(self, found: Softmax, ranges: Ranges) -> Value:
        """A softmax, with the maximum of each row subtracted, so that no exponential overflows."""
        scores = self._align(self.write(found.exponent, ranges), self._order_of(found.exponent, ranges))
        axes = self._axes_of(found, scores)
        top = self.dialect.reduced("max", scores.inside(ATOM), axes, keep=True)
        masked = may_be_masked(found.exponent, self.masked)
        if masked:
            top = self.dialect.at_least(top, self.dialect.lowest(scores.inside(ATOM)))
        shifted = f"{scores.inside(ADDED)} - top"
        power = f"{found.base!r} ** ({shifted})" if found.base else self.dialect.call("exp", shifted)
        total = self.dialect.reduced("sum", "parts", axes, keep=True)
        self._statements += [f"top = {top}", f"parts = {power}", f"total = {total}"]
        if not masked:
            return Value("parts / total", MULTIPLIED, scores.axes, scores.lead)
        # Where all scores of a query are minus infinity, all exponentials are 0, and so are its weights.
        safe = self.dialect.call("where", "total > 0", "total", "1.0")
        return Value(f"parts / {safe}", MULTIPLIED, scores.axes, scores.lead)

    def _order_of(self, exponent: Expr, ranges: Ranges) -> Letters:
        used = indices_in(exponent)
        return tuple(letter for letter in ranges if letter in used)

    def _axes_of(self, found: Softmax, scores: Value) -> int | tuple[int, ...]:
        """The axes of the softmax's sum, counted from the end."""
        gone = [at - len(scores.axes) for at, letter in enumerate(scores.axes) if letter in found.over]
        return gone[0] if len(gone) == 1 else tuple(gone)

    # Reductions

    def _reduce(self, expr: Reduce, ranges: Ranges) -> Value:
        inner = {**ranges, **{letter: range(self.sizes[letter]) for letter in expr.over}}
        if expr.kind == "sum":
            contracted = self._contraction(expr, inner)
            if contracted is not None:
                return contracted
        body = self.write(expr.body, inner)
        if missing := [letter for letter in expr.over if letter not in body.axes]:
            order = (*body.letters, *missing)
            body = self._full(body, inner, order, body.lead)
        places = [at for at, letter in enumerate(body.axes) if letter in expr.over]
        axes = tuple(at - len(body.axes) for at in places)
        chosen = axes[0] if len(axes) == 1 else axes
        plain = self.dialect.reduced(expr.kind, body.inside(ATOM), chosen, keep=False)
        kept = self.dialect.reduced(expr.kind, body.inside(ATOM), chosen, keep=True)
        with_ones = tuple(None if at in places else letter for at, letter in enumerate(body.axes))
        without = tuple(letter for at, letter in enumerate(body.axes) if at not in places)
        return Value(plain, ATOM, without, body.lead, Value(kept, ATOM, with_ones, body.lead))

    def _named(self, name: str, value: Value) -> Value:
        """The value as a variable, with the axes that a reduction removed kept."""
        form = value.kept or value
        self._statements.append(f"{name} = {form.code}")
        return Value(name, ATOM, form.axes, form.lead, array=form.array)

    def _contraction(self, expr: Reduce, ranges: Ranges) -> Value | None:
        """A sum of products of two operands: a matrix product if its axes fit, else an einsum."""
        parts = factors(expr.body)
        if len(parts) != 2 or not all(isinstance(part, Ref) for part in parts):
            return None
        left, right = (self.write(part, ranges) for part in parts)
        letters = [*left.letters, *right.letters]
        out = tuple(
            letter for letter in self._canonical([left, right]) if letter in letters and letter not in expr.over
        )
        if not all(letter in left.letters and letter in right.letters for letter in expr.over):
            return None
        lead = common_lead([left, right])
        if len(expr.over) == 1 and len(out) >= 2:
            row, column = out[-2:]
            if (row in left.letters) > (row in right.letters) and (column in right.letters) > (column in left.letters):
                return self._matmul(left, right, expr.over[0], out, lead)
            if (row in right.letters) > (row in left.letters) and (column in left.letters) > (column in right.letters):
                return self._matmul(right, left, expr.over[0], out, lead)
        dots = "..." if lead else ""
        subscripts = f"{dots}{''.join(left.letters)},{dots}{''.join(right.letters)}->{dots}{''.join(out)}"
        return Value(self.dialect.call("einsum", f'"{subscripts}"', left.code, right.code), ATOM, out, lead)

    def _matmul(self, left: Value, right: Value, over: str, out: tuple[str, ...], lead: Shape) -> Value:
        *batch, row, column = out
        first, second = self._align(left, (*batch, row, over)), self._align(right, (*batch, over, column))
        return Value(f"{first.inside(MULTIPLIED)} @ {second.inside(NEGATED)}", MULTIPLIED, out, lead)

    # Conditions

    def _where(self, expr: Where, ranges: Ranges) -> Value:
        if is_known(expr.condition):
            letters = indices_in(expr.condition)
            truth = grid(expr.condition, letters, ranges, self.sizes)
            if truth.all() or not truth.any():
                return self.write(expr.then if truth.all() else expr.otherwise, ranges)
            if len(letters) == 1 and moves_with(expr, letters[0]):
                split = self._beside(expr, letters[0], ranges) or self._alternating(expr, letters[0], ranges)
                if split is not None:
                    return split
        self._branches += 1
        values = [self.write(part, ranges) for part in (expr.condition, expr.then, expr.otherwise)]
        self._branches -= 1
        return self._elementwise(lambda s: self.dialect.call("where", *(side.code for side in s)), ATOM, values)

    def _beside(self, expr: Where, letter: str, ranges: Ranges) -> Value | None:
        """The branches concatenated, where each condition holds on one end of an index."""
        runs = runs_of(expr, letter, ranges[letter], self.sizes)
        if len(runs) < 2:
            return None
        pieces, order, lead = self._pieces(runs, letter, ranges)
        axis = order.index(letter) - len(order)
        return Value(self.dialect.along("concat", listed(pieces), axis=axis), ATOM, order, lead)

    def _alternating(self, expr: Where, letter: str, ranges: Ranges) -> Value | None:
        """The branches interleaved, where a condition holds for every second value of the last index."""
        places = ranges[letter]
        truth = grid(expr.condition, (letter,), ranges, self.sizes)
        if len(truth) % 2 or (truth[::2] != truth[0]).any() or (truth[1::2] == truth[0]).any():
            return None
        branches = (expr.then, expr.otherwise) if truth[0] else (expr.otherwise, expr.then)
        runs = list(zip(branches, (places[::2], places[1::2]), strict=True))
        pieces, order, lead = self._pieces(runs, letter, ranges)
        if order[-1] != letter:
            return None
        stacked = self.dialect.along("stack", listed(pieces), axis=-1)
        shape = (*lead, *(len(ranges[each]) for each in order))
        return Value(f"{stacked}.reshape({', '.join(map(str, shape))})", ATOM, order, lead)

    def _pieces(
        self, runs: Sequence[tuple[Expr, range]], letter: str, ranges: Ranges
    ) -> tuple[list[str], tuple[str, ...], Shape]:
        """Code for each branch on its own values of an index, all with the same axes; these, and the leading ones."""
        places = [{**ranges, letter: part} for _, part in runs]
        values = [self.write(branch, place) for (branch, _), place in zip(runs, places, strict=True)]
        found = {each for value in values for each in value.letters} | {letter}
        order = tuple(each for each in self._canonical(values) if each in found)
        lead = common_lead(values)
        return [self._full(*each, order, lead).code for each in zip(values, places, strict=True)], order, lead

    def _full(self, value: Value, ranges: Ranges, order: tuple[str, ...], lead: Shape) -> Value:
        """The value with every axis at its full size."""
        value = self._align(value, order)
        if value.array and value.axes == order and value.lead == lead:
            return value
        shape = (*lead, *(len(ranges[letter]) for letter in order))
        if value.array:
            return Value(self.dialect.broadcast(value.code, shape), ATOM, order, lead)
        return Value(self.dialect.call("full", str(shape), value.code), ATOM, order, lead)
