"""Several texts on their way through a model together: their tokens are rows of the same arrays.

Between two attentions, nearly all models compute each token from its own row. So these lines are computed once for the
tokens of all texts, by products of clearhead's own, in which no row's numbers depend on the rows beside it; attention
is computed text by text. So a text has the same numbers to the last bit, alone or in any company.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from clearhead.compiled.program import planned, run_planned
from clearhead.compiled.program.sizes import Sizes
from clearhead.errors import SpecError
from clearhead.expr import Size, walk
from clearhead.inspection import inspect_texts
from clearhead.inspection.core import Core
from clearhead.inspection.request import Wanted
from clearhead.inspection.rows import row_axis
from clearhead.inspection.survey import Numbers
from clearhead.line import Given, Line
from clearhead.models.lengths import check_lengths
from clearhead.models.texts import Inputs
from clearhead.models.walking import Asked, Attended, Run
from clearhead.ops.numpy import numpy_namespace as xp
from clearhead.plan import steps_of
from clearhead.working import Working

if TYPE_CHECKING:
    from clearhead.compiled.program.schedule import Plan
    from clearhead.models.model import Model

QUANTUM = 64
"""Rows are a multiple of this, so that there are few shapes to write programs for."""

MAX_PLANS = 256
"""Programs that are kept of a model: one for each layer and number of rows."""


class NotTogether(SpecError):
    """A model whose texts cannot be computed together; the message says why."""


class Cut:
    """Lines between two attentions: those that count positions, and those that have a row for each token."""

    def __init__(self, working: Working, whole: Working, wanted: tuple[str, ...]) -> None:
        self.working, given = working, {each.name for each in working.givens}
        self.tables = tuple(line for line in working.lines if _is_table(line, given))
        names = given | {line.name for line in self.tables}
        self.rows = whole.starting_at(*names).ending_at(*wanted) if self.tables else working
        axis = {each.name: place for each in self.rows.givens if (place := _place(each)) is not None}
        for line in self.rows.lines:
            try:
                found = row_axis(line, axis)
            except SpecError:
                raise NotTogether(f"{line.name} does not compute each token from its own row alone.") from None
            if found is not None:
                axis[line.name] = found
        self.plans: dict[int, Plan] = {}


def _place(each: Given | Line) -> int | None:
    """The axis of an array that runs over tokens, from the end; None if it has none."""
    return each.axes.index("token") - len(each.axes) if "token" in each.axes else None


def _is_table(line: Line, given: Set[str]) -> bool:
    """Whether a line has a row for each position that depends on nothing else: not on a token, nor on their count."""
    place, formula = _place(line), line.formula
    if place is None or -place > len(formula.result):
        return False
    letter, operands = formula.result[place], zip(formula.roles, line.operands, formula.operands, strict=True)
    read = [(name, letters) for role, name, letters in operands if role in formula.read]
    if any(letter in letters or name not in given for name, letters in read):
        return False
    return not any(isinstance(part, Size) and part.index == letter for part in walk(formula.body))


_KEPT: WeakKeyDictionary[Model, dict[tuple[frozenset[str], tuple[str, ...]], Cut]] = WeakKeyDictionary()


class Together(Run):
    """A model on its way through the layers with several texts.

    Raises:
        NotTogether: its lines need the text as a whole, or compiled code cannot compute them row by row.
        ShapeError: a text is too long.
    """

    def __init__(self, model: Model, texts: Sequence[Inputs], asked: Asked) -> None:
        self._begin(model, asked)
        read = [{name: array for name, array in each.arrays.items() if name.startswith(self.path)} for each in texts]
        lengths = [len(next(iter(each.values()))) for each in read]
        check_lengths(model.spec, {**self.weights, **texts[int(np.argmax(lengths))].arrays})
        self.ends = np.cumsum(lengths)
        rest = -int(self.ends[-1]) % QUANTUM
        self.place = np.concatenate([*map(np.arange, lengths), np.zeros(rest, np.int64)])
        self._enter({name: _joined([each[name] for each in read], rest) for name in read[0]})

    def _attend(self, number: int, cut: Core, asked: Asked, count: int) -> Attended:  # noqa: ARG002 - as the others
        _, between = self.at
        query, key, value = (between[name] for name in (cut.query, cut.key, cut.value))
        given = {each.name: self.weights[each.name] for each in cut.others}
        wanted = Wanted(asked.top, asked.received, asked.bands or None)
        found = inspect_texts((query, key, value), given, cut, wanted, self.ends.tolist())
        return Attended(cut, {cut.query: query, cut.key: key, cut.value: value, **given}, found)

    def _between(self, arrays: Mapping[str, Numbers], *wanted: str) -> dict[str, Numbers]:
        cuts, key = _KEPT.setdefault(self.model, {}), (frozenset(arrays), wanted)
        if key not in cuts:
            cuts[key] = Cut(self.cuts.between(*key), self.cuts.working, wanted)
        cut, rows = cuts[key], len(self.place)
        known = {**arrays, **dict(self._tables(cut, arrays))} if cut.tables else arrays
        values = self._given(cut.rows, known)
        if rows not in cut.plans:
            if len(cut.plans) >= MAX_PLANS:
                cut.plans.clear()
            cut.plans[rows] = _plan(cut.rows, values, wanted)
        run_planned(cut.plans[rows], values, {})
        return {name: values[name] for name in wanted}

    def _given(self, working: Working, known: Mapping[str, Numbers]) -> dict[str, Numbers]:
        """What lines read: known arrays, and weights."""
        names = (each.name for each in working.givens)
        return {name: known[name] if name in known else self.weights[name] for name in names}

    def _tables(self, cut: Cut, arrays: Mapping[str, Numbers]) -> Iterator[tuple[str, Numbers]]:
        """The lines that count positions, each with the rows of all tokens."""
        given = self._given(cut.working, arrays)
        shapes = cut.working.shapes({name: array.shape for name, array in given.items()})
        most = int(self.place.max()) + 1
        for line in cut.tables:
            operands = []
            for role, name in zip(line.formula.roles, line.operands, strict=True):
                if role in line.formula.read:
                    operands.append(given[name])
                    continue
                axes = cut.working.axes[name]
                shape = [most if word == "token" else size for word, size in zip(axes, shapes[name], strict=True)]
                operands.append(np.broadcast_to(np.float32(0), shape))
            found = line.operation.code(xp, *operands, **dict(line.parameters))
            yield line.name, np.take(found, self.place, axis=_place(line))


def _joined(arrays: Iterable[Numbers], rest: int) -> Numbers:
    """The tokens of all texts one after the other, and as many more as are missing."""
    found = np.concatenate(list(arrays))
    return np.concatenate([found, np.repeat(found[:1], rest)])


def _plan(working: Working, values: Mapping[str, Numbers], wanted: tuple[str, ...]) -> Plan:
    steps = steps_of(working.lines, set(wanted), set(values), fuse=True)
    shapes = working.shapes({name: array.shape for name, array in values.items()})
    plan = planned(steps, set(wanted), Sizes(working.axes, shapes), values, engine="compiled")
    if plan is None or not plan.steady:
        raise NotTogether("compiled code does not compute each row of this model by itself.")
    return plan
