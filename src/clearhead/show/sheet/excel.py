"""The formula of a cell for a spreadsheet: the arithmetic of the algebra over the addresses of the cells it reads.

Only functions that Excel 2016 and LibreOffice have in common, and none that needs to be entered as an array formula:
SUM, AVERAGE, MAX, VARP, SUMPRODUCT, and MMULT of a row and a column inside SUM. A spreadsheet has no infinity: minus
infinity is the number named ``minus_infinity``, so low that its exponential is 0, and any other value that is not
finite is an error, as in every spreadsheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

from msgspec import Struct

from clearhead.axes import Cell
from clearhead.errors import ShapeError
from clearhead.expr import (
    Binary,
    Call,
    Expr,
    Formula,
    Index,
    Number,
    Reduce,
    Ref,
    Scope,
    Size,
    Where,
    evaluate,
    walk,
)  # fmt: skip
from clearhead.show.formula.patterns import (
    Softmax,
    free_indices,
    inlined,
    is_known,
    is_of_whole_numbers,
    may_be_masked,
    moving_refs,
    rewritten,
    softmax_of,
    spread_of,
)  # fmt: skip
from clearhead.show.sheet.places import Area, Block
from clearhead.show.sheet.syntax import (
    ADDED,
    ATOM,
    CELLWISE,
    COMPARED,
    FUNCTIONS,
    LARGEST_EXPONENT,
    MASKED,
    MAX_DEPTH,
    MAX_LENGTH,
    MULTIPLIED,
    RAISED,
    ROUNDED,
    SYMBOLS,
    Piece,
    arguments_of,
    depth_of,
    number_of,
    power,
)  # fmt: skip

Places = Mapping[str, int]
"""The value of each index."""


class Operand(Struct, frozen=True):
    """An operand of a line: its block, and how many of its axes the formula has."""

    block: Block
    core: int

    def lead(self, cell: Cell) -> Cell:
        """The leading indices of the operand for those of the result: aligned at the right, 0 where it broadcasts."""
        shape = self.block.shape[: len(self.block.shape) - self.core]
        mine = ((0,) * len(shape) + cell)[len(cell) :]
        return tuple(min(index, size - 1) for index, size in zip(mine, shape, strict=True))


class NotARange(Exception):
    """An expression that no function of a range computes: it must be written cell by cell."""


class Printer:
    """Writes the formulas of one line, for its sheet."""

    def __init__(
        self,
        formula: Formula,
        operands: Mapping[str, Operand],
        sizes: Mapping[str, int],
        masked: frozenset[str],
        sheet: str,
    ) -> None:
        self.formula = formula
        self.operands = operands
        self.sizes = sizes
        self.masked = masked
        self.sheet = sheet
        self.body = inlined(formula.body)
        self._lead: Cell = ()
        self._read: dict[str, dict[str, None]] = {}
        self._guards: dict[str, None] = {}
        self._areas: dict[object, Area] = {}

    def cell(self, cell: Cell) -> tuple[str, Mapping[str, Sequence[str]]]:
        """The formula of a cell of the line, without its ``=``, and the ranges that it reads of each operand.

        Raises:
            ShapeError: the formula is longer or deeper than spreadsheets allow.
        """
        core = len(self.formula.result)
        self._lead, self._read, self._guards = cell[: len(cell) - core], {}, {}
        places = dict(zip(self.formula.result, cell[len(cell) - core :], strict=True))
        written = self.write(self.body, places)[0]
        if self._guards:
            condition = next(iter(self._guards)) if len(self._guards) == 1 else f"OR({','.join(self._guards)})"
            written = f"IF({condition},NA(),{written})"
        if len(written) >= MAX_LENGTH or depth_of(written) > MAX_DEPTH:
            raise ShapeError(f"a formula of {len(written)} characters is longer or deeper than spreadsheets allow")
        return written, {role: list(read) for role, read in self._read.items()}

    def inside(self, expr: Expr, strength: int, places: Places, over: tuple[str, ...] = ()) -> str:
        """The expression as `write` returns it, in parentheses if what surrounds it binds more tightly."""
        written, own = self.write(expr, places, over)
        return written if own >= strength else f"({written})"

    def write(self, expr: Expr, places: Places, over: tuple[str, ...] = ()) -> Piece:
        """An expression for these values of its indices, and for all values of the indices ``over``, as a range."""
        if is_known(expr):
            expr = self._folded(expr, places)
        match expr:
            case Number(value):
                return number_of(value)
            case Ref(_, at) if not all(map(is_known, at)) and not free_indices(expr).intersection(over):
                return self._chosen(expr, places), ATOM
            case Ref():
                return self._area(expr, places, over).seen_from(self.sheet), ATOM
            case Call(function, arguments):
                return self._call(function, arguments, places, over)
            case Binary():
                return self._binary(expr, places, over)
            case Reduce() if not free_indices(expr).intersection(over):
                return self._reduce(expr, places)
            case Where() if not over or (
                is_known(expr.condition) and not free_indices(expr.condition).intersection(over)
            ):
                return self._where(expr, places, over)
        raise NotARange

    # Leaves

    def _folded(self, expr: Expr, places: Places) -> Expr:
        """A known expression with its sizes and indices as numbers, and arithmetic of whole numbers computed."""

        def fold(node: Expr) -> Expr:
            if isinstance(node, Index):
                return Number(places[node.name])
            if isinstance(node, Size):
                return Number(self.sizes[node.index])
            if isinstance(node, Where):
                return node.then if evaluate(node.condition, Scope({}, self.sizes, places)) else node.otherwise
            whole = isinstance(node, (Binary, Call)) and is_of_whole_numbers(node)
            return Number(evaluate(node, Scope({}, {}, {}))) if whole else node

        return rewritten(expr, fold) if not free_indices(expr) - places.keys() else expr

    def _area(self, ref: Ref, places: Places, over: tuple[str, ...]) -> Area:
        """The cells of an operand, for all values of some indices: one cell, a row, a column or a rectangle."""
        if not all(map(is_known, ref.indices)):
            raise NotARange
        used = free_indices(ref)
        if not used <= {*places, *over}:  # it moves with a sum inside this one
            raise NotARange
        key = (ref, over, self._lead, tuple(places[name] for name in used if name not in over))
        if key not in self._areas:
            self._areas[key] = self._rectangle(ref, places, tuple(name for name in over if name in used))
        area = self._areas[key]
        self._read.setdefault(ref.operand, {})[area.seen_from(self.sheet)] = None
        return area

    def _chosen(self, ref: Ref, places: Places) -> str:
        """The cell of a table in the row or column whose number, counted from 0, another cell holds."""
        axis, named = next((axis, each) for axis, each in enumerate(ref.indices) if not is_known(each))
        number = self.inside(named, ADDED, places)
        letter = dict(zip(self.formula.roles, self.formula.operands, strict=True))[ref.operand][axis]
        along = Ref(ref.operand, (*ref.indices[:axis], Index(letter), *ref.indices[axis + 1 :]))
        return f"INDEX({self._area(along, places, (letter,)).seen_from(self.sheet)},{number}+1)"

    def _rectangle(self, ref: Ref, places: Places, moving: tuple[str, ...]) -> Area:
        runs = list(product(*(range(self.sizes[name]) for name in moving)))
        found = [self._place(ref, {**places, **dict(zip(moving, run, strict=True))}) for run in runs]
        (top, left), (bottom, right) = found[0], found[-1]
        shape = tuple(self.sizes[name] for name in moving)
        rows, columns = bottom - top + 1, right - left + 1
        if len(shape) > 2 or found != list(product(range(top, bottom + 1), range(left, right + 1))):
            raise NotARange
        if len(shape) == 2 and shape != (rows, columns):
            raise NotARange
        return Area(self.operands[ref.operand].block.sheet, top, left, bottom, right)

    def _place(self, ref: Ref, places: Places) -> tuple[int, int]:
        operand = self.operands[ref.operand]
        scope = Scope({}, self.sizes, places)
        cell = (*operand.lead(self._lead), *(int(evaluate(index, scope)) for index in ref.indices))
        return operand.block.place(cell)

    # Arithmetic

    def _binary(self, expr: Binary, places: Places, over: tuple[str, ...]) -> Piece:
        match expr:
            case Binary("and", left, right):
                return self._function("AND", (left, right), places, over)
            case Binary("//", left, right):
                return (
                    f"INT({self.inside(left, MULTIPLIED, places, over)}/{self.inside(right, RAISED, places, over)})",
                    ATOM,
                )
            case Binary("%", left, right):
                return self._function("MOD", (left, right), places, over)
            case Binary("==", left, Number(value)) if value == -math.inf:
                return f"{self.inside(left, ADDED, places, over)}<{MASKED}", COMPARED
            case Binary("/", _, Binary("+", Number(1) as one, Call("exp", (exponent,)))) if not over:
                safe = f"{number_of(one.value)[0]}+EXP(MIN({self.write(exponent, places)[0]},{LARGEST_EXPONENT}))"
                return f"{self.inside(expr.left, MULTIPLIED, places)}/({safe})", MULTIPLIED
        symbol, own, *strengths = SYMBOLS[expr.symbol]
        sides = [
            self.inside(side, strength, places, over)
            for side, strength in zip((expr.left, expr.right), strengths, strict=True)
        ]
        self._guard(expr, sides[0], sides[1], places)
        return symbol.join(sides), own

    def _guard(self, expr: Binary, left: str, right: str, places: Places) -> None:
        """Notes where arithmetic with minus infinity has no value; the low number would hide it."""
        lows = [may_be_masked(side, self.masked) for side in (expr.left, expr.right)]
        if expr.symbol == "-" and all(lows):
            self._guards[f"{right}<{MASKED}"] = None
        if expr.symbol == "/" and all(lows):
            self._guards[f"AND({left}<{MASKED},{right}<{MASKED})"] = None
        if expr.symbol == "*" and any(lows):
            other, low = (expr.right, left) if lows[0] else (expr.left, right)
            if not is_known(other) or self._folded(other, places) == Number(0):
                self._guards[f"MIN({low})<{MASKED}"] = None

    def _call(self, function: str, arguments: tuple[Expr, ...], places: Places, over: tuple[str, ...]) -> Piece:
        if over and function not in CELLWISE:
            raise NotARange
        if function == "neg":
            return f"-{self.inside(arguments[0], ATOM, places, over)}", ADDED
        if function == "share":
            return self._share(arguments[0], arguments[1], places)
        if function in ROUNDED:
            return ROUNDED[function].format(*(self.inside(argument, ATOM, places) for argument in arguments)), ATOM
        return self._function(FUNCTIONS[function], arguments, places, over)

    def _function(self, name: str, arguments: Sequence[Expr], places: Places, over: tuple[str, ...]) -> Piece:
        if name == "SQRT" and (spread := spread_of(arguments[0])) is not None:
            # Equal numbers have no spread, even if their mean is rounded.
            return self._root_of_spread(spread, arguments[0], places), ATOM
        return f"{name}({','.join(self.write(argument, places, over)[0] for argument in arguments)})", ATOM

    def _root_of_spread(self, cells: Ref, mean: Expr, places: Places) -> str:
        """A standard deviation, which is 0 for equal numbers, even if their mean is rounded."""
        over = mean.over if isinstance(mean, Reduce) else ()
        area = self._area(cells, places, over).seen_from(self.sheet)
        return f"SQRT(IF(MAX({area})=MIN({area}),0,VARP({area})))"

    def _share(self, part: Expr, whole: Expr, places: Places) -> Piece:
        """A quotient that is 0 where the divisor is 0; a softmax is written without overflow."""
        found = softmax_of(part, whole)
        if found is not None:
            return self._softmax(found, places)
        divisor = self.inside(whole, RAISED, places)
        return f"IF({divisor}=0,0,{self.inside(part, MULTIPLIED, places)}/{divisor})", ATOM

    def _softmax(self, found: Softmax, places: Places) -> Piece:
        """A softmax, with the maximum of each row subtracted, so that no exponential overflows."""
        score = self.inside(found.exponent, ADDED, places)
        exponents = found.whole_exponent
        try:
            cells = self.inside(exponents, ADDED, places, found.whole.over)
            top = f"MAX({cells})"
            total = f"SUMPRODUCT({power(found.base, f'{cells}-{top}')})"
        except NotARange:
            listed = [self.inside(exponents, ADDED, run) for run in self._runs(places, found.whole.over)]
            top = f"MAX({arguments_of(listed)})"
            total = f"({'+'.join(power(found.base, f'{cell}-{top}') for cell in listed)})"
        share = f"{power(found.base, f'{score}-{top}')}/{total}"
        if may_be_masked(found.exponent, self.masked):
            return f"IF({top}<{MASKED},0,{share})", ATOM
        return share, MULTIPLIED

    # Reductions

    def _runs(self, places: Places, over: Sequence[str]) -> list[Places]:
        ranges = (range(self.sizes[name]) for name in over)
        return [{**places, **dict(zip(over, run, strict=True))} for run in product(*ranges)]

    def _reduce(self, expr: Reduce, places: Places) -> Piece:
        try:
            return self._over_ranges(expr, places)
        except NotARange:
            return self._over_some(expr, places)

    def _over_some(self, expr: Reduce, places: Places) -> Piece:
        """A reduction whose first index is written out, and the others if they can be as ranges."""
        first, rest = expr.over[0], expr.over[1:]
        runs = self._runs(places, (first,))
        inner = Reduce("sum" if expr.kind == "mean" else expr.kind, rest, expr.body) if rest else expr.body
        if expr.kind == "max":
            return f"MAX({arguments_of([self.write(inner, run)[0] for run in runs])})", ATOM
        total = "+".join(self.inside(inner, ADDED, run) for run in runs)
        if may_be_masked(expr.body, self.masked):
            self._guard_reads(expr.body)
        if expr.kind == "mean":
            return f"({total})/{math.prod(self.sizes[name] for name in expr.over)}", MULTIPLIED
        return total, ADDED

    def _over_ranges(self, expr: Reduce, places: Places) -> Piece:
        if isinstance(expr.body, Ref):
            name = {"sum": "SUM", "mean": "AVERAGE", "max": "MAX"}[expr.kind]
            return f"{name}({self.write(expr.body, places, expr.over)[0]})", ATOM
        if expr.kind == "max":
            raise NotARange
        if (spread := spread_of(expr)) is not None:
            return f"VARP({self.write(spread, places, expr.over)[0]})", ATOM
        total, own = self._sum(expr, places)
        if expr.kind == "mean":
            count = math.prod(self.sizes[name] for name in expr.over)
            return f"{total if own >= MULTIPLIED else f'({total})'}/{count}", MULTIPLIED
        return total, own

    def _sum(self, expr: Reduce, places: Places) -> Piece:
        """A sum over ranges: of products of a row and a row or column, of squares, or of arithmetic on like ranges."""
        areas = {ref: self._area(ref, places, expr.over) for ref in moving_refs(expr.body, expr.over)}
        forms = [area.form for area in areas.values()]
        texts = [area.seen_from(self.sheet) for area in areas.values()]
        if may_be_masked(expr.body, self.masked):
            self._guard_reads(expr.body)
        match expr.body:
            case Binary("*", Ref(), Ref()) if set(forms) == {(1, 1)}:
                return self.write(expr.body, self._runs(places, expr.over)[0])
            case Binary("*", Ref(), Ref()) if len(texts) == 2 and forms[0] == forms[1]:
                return f"SUMPRODUCT({','.join(texts)})", ATOM
            case Binary("*", Ref(), Ref()) if len(texts) == 2 and forms[0] == forms[1][::-1] and 1 in forms[0]:
                row, column = texts if forms[0][0] == 1 else texts[::-1]
                return f"SUM(MMULT({row},{column}))", ATOM
            case Binary("^", Ref(), Number(2)):
                return f"SUMSQ({texts[0]})", ATOM
        if len(set(forms)) != 1:
            raise NotARange
        return f"SUMPRODUCT({self.write(expr.body, places, expr.over)[0]})", ATOM

    def _guard_reads(self, body: Expr) -> None:
        """Notes that a sum with minus infinity in it is no number."""
        roles = {ref.operand for ref in walk(body) if isinstance(ref, Ref) and ref.operand in self.masked}
        for role in roles:
            for area in self._read.get(role, {}):
                self._guards[f"MIN({area})<{MASKED}"] = None

    def _where(self, expr: Where, places: Places, over: tuple[str, ...]) -> Piece:
        if is_known(expr.condition):
            holds = evaluate(expr.condition, Scope({}, self.sizes, places))
            return self.write(expr.then if holds else expr.otherwise, places, over)
        parts = (self.write(part, places)[0] for part in (expr.condition, expr.then, expr.otherwise))
        return f"IF({','.join(parts)})", ATOM
