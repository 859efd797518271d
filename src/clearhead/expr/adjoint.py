"""The gradient of one cell of an operand, as a formula: the places that read the cell, and what passes through each.

A formula says what a result reads. A gradient needs the inverse, so the indices of each place that reads are
solved for those of the cell: ``d - n == t`` becomes ``d = t + n``, ``c // n == h`` beside ``c % n == d`` becomes
``c = h*n + d``. Equations that are not solved stay as conditions: ``sum_i (grad[i] if token[i] == v else 0)``.

The gradient of a recurrence is a recurrence backwards. A cell of its result changes the loss by itself, ``grad``, and
through all cells that read it. The sum of both is the gradient of `OWN`, and those of its operands follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from string import ascii_lowercase

from clearhead.expr.derivative import RESULT, UPSTREAM, Fresh, Term, letter_of, terms, with_named
from clearhead.expr.formula import OWN, Formula
from clearhead.expr.nodes import (
    Binary,
    Expr,
    Index,
    Number,
    Reduce,
    Ref,
    Size,
    Where,
    map_children,
    replace_refs,
    same,
    walk,
)  # fmt: skip
from clearhead.expr.polynomial import Polynomial, always, constant, divided, polynomial, same_size, times
from clearhead.expr.simplify import ZERO, added, choice, names, summed, with_indices


@lru_cache(maxsize=4096)
def adjoint(forward: Formula, role: str) -> Formula | None:
    """The formula of the gradient of an operand; None where the result does not depend on its numbers.

    Its operands are those of the forward formula that it reads, and ``grad``, which has a number for each cell of the
    result. Axes in front of the operand's own are looped over, as in any formula: an operand that was broadcast has a
    gradient for each of them, still to be summed.

    Of a recurrence ``out`` is the result, and ``grad`` is what the role `OWN` gives: the gradient of each cell with all
    that passes through cells that read it. For `OWN` itself, ``grad`` is the gradient without that, and the formula is
    a recurrence backwards.

    Raises:
        SpecError: the formula holds something that has no derivative.
    """
    fresh = Fresh()
    found = [term for term in terms(forward, fresh) if term.ref.operand == role]
    if not found:
        return None
    cell = forward.result if role == OWN else forward.operands[forward.roles.index(role)]
    sizes = _Sizes(forward)
    body = _joined([_Solved(term, cell, sizes, fresh).parts() for term in found])
    body = _renamed(body, {OWN: RESULT, UPSTREAM: OWN} if role == OWN else {OWN: RESULT})
    if role == OWN:
        body = added(Ref(UPSTREAM, tuple(map(Index, cell))), body)
    return _signed(forward, cell, body, sizes, backwards=role == OWN and not forward.backwards)


def _renamed(expr: Expr, roles: Mapping[str, str]) -> Expr:
    """An expression with other roles of operands."""

    def change(ref: Ref) -> Ref:
        return Ref(roles.get(ref.operand, ref.operand), tuple(replace_refs(index, change) for index in ref.indices))

    return replace_refs(expr, change)


class _Sizes:
    """What is known of the size of each index, fresh indices included."""

    def __init__(self, forward: Formula) -> None:
        self._stated = {**dict(forward.sizes), **dict(_equal(forward.sizes))}
        self._made: dict[str, Expr] = {}

    def make(self, name: str, size: Expr) -> None:
        """Records the size of an index that no letter of the formula has."""
        self._made[name] = size

    def expr(self, name: str) -> Expr:
        """The size of an index as an expression."""
        return self._made.get(name, Size(letter_of(name)))

    def __call__(self, name: str) -> Polynomial | None:
        """The size of an index as a polynomial of independent sizes."""
        if name in self._made:
            return polynomial(self._made[name], self)
        letter = letter_of(name)
        if letter not in self._stated:
            return {(f"#{letter}",): constant(1)[()]}
        return polynomial(self._stated[letter], self) or {(f"#{letter}",): constant(1)[()]}


def _equal(stated: Sequence[tuple[str, Expr]]) -> Iterator[tuple[str, Expr]]:
    """Sizes that are equal, since neither less the other may be negative."""
    differences = [expr for _, expr in stated]
    for expr in differences:
        match expr:
            case Binary("-", Size(first) as left, Size(second) as right) if first < second:
                if Binary("-", right, left) in differences:
                    yield second, left


Parts = tuple[Expr, "tuple[tuple[str, Expr], ...]"]
"""What passes through one place to a cell, and the named values that it uses."""


class _Solved:
    """The indices around a place that reads an operand, solved for the indices of the operand's cell."""

    def __init__(self, term: Term, cell: Sequence[str], sizes: _Sizes, fresh: Fresh) -> None:
        self.term, self.sizes, self.fresh = term, sizes, fresh
        self.open = list(term.over)
        self.by: dict[str, Expr] = {}
        self.conditions: list[Expr] = []
        self.left = [(index, Index(letter)) for index, letter in zip(term.ref.indices, cell, strict=True)]
        for attempt in (self._plain, self._digits, self._mixed, self._shifted, self._beside, self._block):
            self._try(attempt)

    def parts(self) -> Parts:
        """What passes through the place, summed over indices that are not solved."""
        stay = [same(target, self._now(index)) for index, target in self.left]
        change = self._settled(self._now(self.term.change))
        inner: list[Expr] = []
        outer: list[Expr] = []
        for condition in (*self.conditions, *stay):
            holds = always(condition, self.sizes)
            if holds is False:
                return ZERO, ()
            if holds is None:
                (inner if names(condition) & {*self.open} else outer).append(condition)
        named = tuple((name, self._now(value)) for name, value in self.term.named)
        within = [each for each in named if names(each[1]) & {*self.open}]
        body = summed(tuple(self.open), with_named(_guarded(inner, change), within))
        return _guarded(outer, body), tuple(each for each in named if each not in within)

    def _now(self, expr: Expr) -> Expr:
        return with_indices(expr, self.by) if self.by else expr

    def _settled(self, expr: Expr) -> Expr:
        """An expression without the conditions that always or never hold."""
        if isinstance(expr, Where):
            holds = always(expr.condition, self.sizes)
            if holds is not None:
                return self._settled(expr.then if holds else expr.otherwise)
            return choice(_tidy(expr.condition), self._settled(expr.then), self._settled(expr.otherwise))
        return expr

    def _try(self, attempt: Callable[[Expr, Index], bool]) -> None:
        """Applies an attempt to all equations until it solves no more."""
        for pair in list(self.left):
            if pair in self.left and attempt(*pair):
                self.left.remove(pair)

    def _solve(self, name: str, value: Expr, *, above: bool = True, below: bool = True) -> bool:
        """Records the value of an index; ``above`` and ``below`` say which of its bounds do not follow."""
        self.by = {other: with_indices(expr, {name: value}) for other, expr in self.by.items()}
        self.by[name] = value
        self.open.remove(name)
        if above:
            self.conditions.append(_tidy(value >= ZERO))
        if below:
            self.conditions.append(_tidy(value < self.sizes.expr(name)))
        return True

    def _plain(self, index: Expr, target: Index) -> bool:
        """``i == t``."""
        if not (isinstance(index, Index) and index.name in self.open):
            return False
        known = same_size(self.sizes(index.name), self.sizes(target.name))
        return self._solve(index.name, target, above=False, below=not known)

    def _digits(self, index: Expr, target: Index) -> bool:
        """``c // n == h`` beside ``c % n == d``: ``c = h*n + d``."""
        match index:
            case Binary("//", Index(name), divisor) if name in self.open:
                pairs = [pair for pair in self.left if pair[0] == Binary("%", Index(name), divisor)]
                if not pairs or not self._is_size(divisor, pairs[0][1].name):
                    return False
                self.left.remove(pairs[0])
                whole = _times(self._polynomial(divisor), self.sizes(target.name))
                known = same_size(whole, self.sizes(name))
                return self._solve(name, target * divisor + pairs[0][1], above=False, below=not known)
        return False

    def _mixed(self, index: Expr, target: Index) -> bool:
        """``h*n + d == c``, where d runs over n: ``h = c // n`` and ``d = c % n``."""
        for high, low in _summands(index):
            match high:
                case Binary("*", Index(slow), count) if slow in self.open and isinstance(low, Index):
                    if low.name not in self.open or low.name == slow or not self._is_size(count, low.name):
                        continue
                    whole = _times(self._polynomial(count), self.sizes(slow))
                    known = same_size(whole, self.sizes(target.name))
                    self._solve(low.name, target % count, above=False, below=False)
                    return self._solve(slow, target // count, above=False, below=not known)
        return False

    def _shifted(self, index: Expr, target: Index) -> bool:
        """``i + a == t``, ``i - a == t`` or ``a - i == t``."""
        match self._now(index):
            case Binary("+", Index(name), rest) | Binary("+", rest, Index(name)) if self._may(name, rest):
                return self._solve(name, _minus(target, rest))
            case Binary("-", Index(name), rest) if self._may(name, rest):
                return self._solve(name, target + rest)
            case Binary("-", rest, Index(name)) if self._may(name, rest):
                return self._solve(name, _minus(rest, target))
            case Binary("-" | "+" as symbol, Binary() as inner, rest) if not names(rest) & {*self.open}:
                moved = target + rest if symbol == "-" else _minus(target, rest)
                if inner.symbol == "+":
                    for one, other in _summands(inner):
                        if isinstance(one, Index) and self._may(one.name, other):
                            return self._solve(one.name, _minus(moved, other))
        return False

    def _beside(self, index: Expr, target: Index) -> bool:
        """``i + k - a == t``, where k is summed over: ``i = t + a - k``."""
        match self._now(index):
            case Binary("-", Binary("+", Index(name), Index(other)), rest) if name in self.open and other in self.open:
                if name != other and not names(rest) & {*self.open} and _of_indices(rest):
                    return self._solve(name, _minus(target + rest, Index(other)))
        return False

    def _block(self, index: Expr, target: Index) -> bool:
        """``h // n == g``: h runs over the n of block g. ``h % n == g``: over every n-th from g on."""
        match index:
            case Binary("//", Index(name), divisor) if name in self.open and not names(divisor):
                value: Expr = target * divisor + self._index(name, divisor)
                whole = _times(self._polynomial(divisor), self.sizes(target.name))
            case Binary("%", Index(name), divisor) if name in self.open and self._is_size(divisor, target.name):
                count = _divided(self.sizes(name), self._polynomial(divisor))
                if count is None or set(count) != {()}:
                    return False
                value = self._index(name, Number(int(count[()]))) * divisor + target
                whole = self.sizes(name)
            case _:
                return False
        return self._solve(name, value, above=False, below=not same_size(whole, self.sizes(name)))

    def _index(self, name: str, size: Expr) -> Index:
        """A new index to sum over."""
        new = self.fresh.name(name)
        self.sizes.make(new, size)
        self.open.append(new)
        return Index(new)

    def _polynomial(self, expr: Expr) -> Polynomial | None:
        return polynomial(expr, self.sizes)

    def _is_size(self, expr: Expr, name: str) -> bool:
        """Whether an expression is the size of an index."""
        return same_size(self._polynomial(expr), self.sizes(name))

    def _may(self, name: str, rest: Expr) -> bool:
        """Whether an index is still to be solved for, and the rest of the equation is known."""
        return name in self.open and not names(rest) & {*self.open} and _of_indices(rest)


def _of_indices(expr: Expr) -> bool:
    return not any(isinstance(node, Ref) for node in walk(expr))


def _times(a: Polynomial | None, b: Polynomial | None) -> Polynomial | None:
    return None if a is None or b is None else times(a, b)


def _divided(a: Polynomial | None, b: Polynomial | None) -> Polynomial | None:
    return None if a is None or b is None else divided(a, b)


def _minus(left: Expr, right: Expr) -> Expr:
    """``left - right``, with each term of ``right`` subtracted."""
    match right:
        case Number(value) if value < 0:
            return left + Number(-value)
        case Binary("-", a, b):
            return _minus(left + b, a)
    return left - right


def _summands(expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Both orders of the two parts of a sum."""
    if isinstance(expr, Binary) and expr.symbol == "+":
        yield expr.left, expr.right
        yield expr.right, expr.left


def _guarded(conditions: Sequence[Expr], expr: Expr) -> Expr:
    """An expression where all conditions hold, 0 elsewhere."""
    both: Expr | None = None
    for condition in conditions:
        both = condition if both is None else both & condition
    return expr if both is None or expr == ZERO else choice(both, expr)


def _tidy(condition: Expr) -> Expr:
    """A comparison with subtracted terms added to the other side: ``t - n < n`` becomes ``t < n + n``."""
    match condition:
        case Binary("and", left, right):
            return _tidy(left) & _tidy(right)
        case Binary("<" | "<=" as symbol, Binary("-", left, off), right):
            return _tidy(Binary(symbol, left, added(right, off)))
        case Binary("<" | "<=" as symbol, left, Binary("-", right, off)):
            return _tidy(Binary(symbol, added(left, off), right))
    return condition


def _joined(found: Sequence[Parts]) -> Expr:
    """What passes through all places together."""
    whole: Expr = ZERO
    named: dict[str, Expr] = {}
    for body, values in found:
        if any(named.get(name, value) != value for name, value in values):
            body, values = with_named(body, values), ()
        named.update(values)
        whole = added(whole, body)
    return with_named(whole, list(named.items()))


class _Letters:
    """Letters for the indices of a gradient: each letter has one size, and none is bound twice in one place."""

    def __init__(self, forward: Formula, sizes: _Sizes) -> None:
        self.sizes = sizes
        self.known = {*chain(*forward.operands), *forward.result, *(letter for letter, _ in forward.sizes)}
        self.made: dict[str, Expr] = {}

    def name(self, expr: Expr, taken: frozenset[str]) -> Expr:
        """An expression with letters for its fresh names, none of them in use already."""
        if not isinstance(expr, Reduce):
            return map_children(expr, lambda child: self.name(child, taken))
        chosen: dict[str, Expr] = {}
        for name in expr.over:
            letter = self._choose(name, taken)
            taken |= {letter}
            chosen[name] = Index(letter)
        body = self.name(with_indices(expr.body, chosen), taken)
        return Reduce(expr.kind, tuple(index.name for index in chosen.values() if isinstance(index, Index)), body)

    def _choose(self, name: str, taken: frozenset[str]) -> str:
        """A letter of the size of an index: its own, another of the formula, or a new one."""
        size = self.sizes(name)
        for letter in (letter_of(name), *sorted(self.known | self.made.keys())):
            if letter not in taken and same_size(self._size(letter), size):
                return letter
        near = ascii_lowercase.index(letter_of(name)[0]) + 1
        used = taken | self.known | self.made.keys()
        letter = next(each for each in ascii_lowercase[near:] + ascii_lowercase if each not in used)
        self.made[letter] = self.sizes.expr(name)
        return letter

    def _size(self, letter: str) -> Polynomial | None:
        return polynomial(self.made[letter], self.sizes) if letter in self.made else self.sizes(letter)


def _signed(forward: Formula, cell: tuple[str, ...], body: Expr, sizes: _Sizes, *, backwards: bool = False) -> Formula:
    """A formula of this body, with the operands that it reads and those that only give it sizes."""
    letters = _Letters(forward, sizes)
    body = letters.name(body, frozenset(cell))
    read = {node.operand for node in walk(body) if isinstance(node, Ref)} - {OWN} | {UPSTREAM}
    taken = dict(zip(forward.roles, forward.operands, strict=True))
    operands = {**taken, RESULT: forward.result, UPSTREAM: forward.result}
    stated = {**dict(forward.sizes), **letters.made}
    needed = _sizes_in(body) | {*cell}

    def lacking() -> set[str]:
        """The letters whose size is not given by the operands that are read."""
        given = {letter for role in read for letter in operands[role]}
        missing, looked = {*needed} - given, set[str]()
        while more := [letter for letter in missing - looked if letter in stated]:
            looked.update(more)
            missing.update(letter for each in more for letter in _sizes_in(stated[each]) if letter not in given)
        return missing - {*stated}

    for role, own in operands.items():
        if lacking() & {*own}:
            read.add(role)
    given = {letter for role in read for letter in operands[role]}
    used, wanted = dict[str, Expr](), [*needed]
    while wanted:
        letter = wanted.pop()
        if letter in stated and letter not in given:
            used[letter] = stated[letter]
            wanted.extend(_sizes_in(stated[letter]))
    ordered = tuple((letter, expr) for letter, expr in stated.items() if letter in used)
    roles = tuple(role for role in operands if role in read)
    return Formula(roles, tuple(operands[role] for role in roles), cell, body, ordered, backwards)


def _sizes_in(expr: Expr) -> set[str]:
    """The letters whose sizes an expression needs."""
    sums = (node.over for node in walk(expr) if isinstance(node, Reduce))
    return {node.index for node in walk(expr) if isinstance(node, Size)} | {*chain(*sums)}
