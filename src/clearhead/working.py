"""A working: the ordered lines of a computation, before any number exists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

import clearhead.doors as doors
from clearhead.accept import as_array, kinds_of, library
from clearhead.axes import Axes, Shape, describe
from clearhead.backward import gradient_lines, is_long, upstream
from clearhead.compiled.program import Engine, check_engine, planned, run_planned
from clearhead.compiled.program.sizes import Sizes
from clearhead.errors import SpecError, UnknownName, suggest
from clearhead.line import Given, Line, common_sizes, find, listing, select_names
from clearhead.ops import Array
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.panels import Panels, layout_of, plain
from clearhead.plan import Step, follow, released, steps_of
from clearhead.shapes import check_upstream, shapes_of
from clearhead.trace import Trace

if TYPE_CHECKING:
    from clearhead.compiled.program.schedule import Plan


class BackwardOf(Struct, frozen=True):
    """The origin of gradients: the working ``forward``, its line ``of``, arrays ``wrt``; ``then``: training steps."""

    forward: Working
    of: str
    wrt: tuple[str, ...]
    then: tuple[Any, ...] = ()

    def again(self, forward: Working) -> Working:
        """The same backward pass of ``forward``, another forward working, such as one with a deviation."""
        backward = forward.backward(self.of, self.wrt)
        return reduce(lambda made, each: cast("Working", each.behind(made)), self.then, backward)


class Working(Struct, frozen=True, dict=True):
    """``lines`` in order, and ``givens``, the arrays that must be given for them.

    ``label_base`` is the number that labels of heads, tokens and cells count from: 1 on paper, 0 in checkpoints.
    ``backward_of`` is the forward pass whose gradients it has; None for none.
    A working holds no numbers, so it can be run on any arrays that fit, of any array library.
    """

    givens: tuple[Given, ...]
    lines: tuple[Line, ...]
    label_base: int = 1
    backward_of: BackwardOf | None = None

    def __post_init__(self) -> None:
        known = {given.name for given in self.givens}
        for line in self.lines:
            if line.name in known:
                raise SpecError(f"Two lines are called {line.name}. Give each line its own name.")
            if not known.issuperset(line.operands):
                missing = ", ".join(name for name in line.operands if name not in known)
                raise SpecError(f"{line.name} uses {missing}, which no earlier line makes.")
            known.add(line.name)

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axis words of every line and given array, without the batch."""
        return {name: part.axes for name, part in self._parts.items()}

    @property
    def names(self) -> Collection[str]:
        """The names of all given arrays and lines, in order."""
        return self.axes.keys()

    @cached_property
    def _parts(self) -> dict[str, Given | Line]:
        parts: list[Given | Line] = [*self.givens, *self.lines]
        return {part.name: part for part in parts}

    def line(self, name: str) -> Given | Line:
        """A line, or a given array, by its ``name`` or an unambiguous ending of it."""
        return self._parts[find(name, self._parts)]

    def starting_at(self, *names: str) -> Working:
        """The same working entered at ``names``: these are given, and lines that only they need are dropped.

        Raises:
            UnknownName: there is no such line.
        """
        entered = {find(name, self._parts) for name in names}
        needed = {line.name for line in self._needed(self._ends, entered)}
        lines = tuple(line for line in self.lines if line.name in needed)
        used = {operand for line in lines for operand in line.operands} | entered
        givens = tuple(given for given in self.givens if given.name in used)
        new = (line for line in self.lines if line.name in entered)
        return Working(
            (*givens, *(Given(line.name, line.axes, self._known(line.axes)) for line in new)), lines, self.label_base
        )

    def ending_at(self, *names: str) -> Working:
        """The same working up to ``names``: lines that these do not need are dropped, and so are unused given arrays.

        Raises:
            UnknownName: there is no such line.
        """
        wanted = {find(name, self._parts) for name in names}
        lines = tuple(self._needed(wanted))
        used = {operand for line in lines for operand in line.operands} | wanted
        givens = tuple(given for given in self.givens if given.name in used)
        return Working(givens, lines, self.label_base)

    def backward(self, of: str | None = None, wrt: str | Sequence[str] | None = None) -> Working:
        """The same lines, followed by the gradients of a line with respect to others, as further lines.

        The gradient of ``weights`` is the line ``weights.grad``. Where the pass starts at a single number, such as a
        loss, its gradient is 1; where it starts at a line with axes, ``<of>.grad`` is one more given array.

        Args:
            of: the line at which the pass starts; the last, if None.
            wrt: the lines or given arrays whose gradients are computed; all given arrays of numbers, if None.

        Raises:
            UnknownName: there is no such line.
            SpecError: an array holds booleans or whole numbers, or an operation has no derivative.
        """
        if not self.lines:
            raise SpecError("A working without lines has no gradients.")
        start = self.line(of).name if of is not None else self.lines[-1].name
        names = [wrt] if isinstance(wrt, str) else self._numbers() if wrt is None else wrt
        wanted = tuple(dict.fromkeys(find(name, self._parts) for name in names))
        for each in self.givens:
            if each.name in wanted and each.holds != "numbers":
                raise SpecError(
                    f"{each.name} holds {each.holds}, so there is no gradient with respect to it. Leave it out of wrt."
                )
        axes = self._parts[start].axes
        given = (upstream(start, axes, self._known(axes)),) if axes else ()
        lines = gradient_lines(self.lines, self.axes, start, wanted)
        source = BackwardOf(self, start, wanted)
        return Working((*self.givens, *given), (*self.lines, *lines), self.label_base, source)

    def _numbers(self) -> list[str]:
        """The given arrays that hold numbers."""
        return [given.name for given in self.givens if given.holds == "numbers"]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes of axes that are known without arrays: heads and groups."""
        return dict(size for given in self.givens for size in given.sizes)

    def _known(self, axes: Axes) -> tuple[tuple[str, int], ...]:
        known = common_sizes(self.givens)
        return tuple((word, known[word]) for word in axes if word in known)

    @cached_property
    def _ends(self) -> set[str]:
        """The lines that no other line uses."""
        return {line.name for line in self.lines} - {operand for line in self.lines for operand in line.operands}

    def _needed(self, wanted: Iterable[str], entered: Iterable[str] = ()) -> list[Line]:
        """The lines, in order, that are needed to compute the wanted ones from the entered ones."""
        needed, stop, found = set(wanted), set(entered), []
        for line in reversed(self.lines):
            if line.name in needed and line.name not in stop:
                needed.update(line.operands)
                found.append(line)
        return found[::-1]

    def rewrite(self, change: Callable[[Line], Iterable[Line]]) -> Working:
        """The working with each line replaced by the result of ``change``; unused arrays are dropped."""
        lines = tuple([new for line in self.lines for new in change(line)])
        used = set[str]().union(*[line.operands for line in lines])
        return Working(tuple([given for given in self.givens if given.name in used]), lines, self.label_base)

    def shapes(self, given: Mapping[str, Shape]) -> dict[str, Shape]:
        """The shape of every line for the shapes of ``given`` arrays, before anything is computed.

        Raises:
            UnknownName: a shape is missing or not known.
            ShapeError: sizes do not fit; the message names the line, the arrays and the axis.
        """
        shapes = {name: tuple(shape) for name, shape in self._by_full_name(given).items()}
        key = tuple(shapes[each.name] for each in self.givens)
        if key not in self._shapes:
            if len(self._shapes) >= MAX_PLANS:
                self._shapes.clear()
            found = shapes_of(self.givens, self.lines, self.axes, shapes)
            if self.backward_of is not None:
                check_upstream(self.backward_of.of, self.axes, found)
            self._shapes[key] = found
        return dict(self._shapes[key])

    @cached_property
    def _shapes(self) -> dict[tuple[Shape, ...], dict[str, Shape]]:
        """The shapes of all lines, for shapes of given arrays; those of earlier calls are remembered."""
        return {}

    def run(
        self,
        arrays: Mapping[str, Array],
        *,
        keep: Iterable[str] | None = None,
        tokens: Sequence[str] | None = None,
        key_tokens: Sequence[str] | None = None,
        engine: Engine = "array",
    ) -> Trace:
        """Computes the lines.

        Args:
            arrays: the given arrays by name, or by an unambiguous ending of it. NumPy, PyTorch, JAX or any other
                array-API library, all of one; nested lists become NumPy arrays, and whole numbers float64.
            keep: names, endings or patterns (``"*.weights"``) of the lines to store; all, if None. Lines that no
                kept one needs are not computed.
            tokens: the names of the tokens, for notes and headings.
            key_tokens: the names of the tokens of a memory, to which cross-attention looks back.
            engine: ``"array"``: the functions of the arrays' own library. ``"compiled"``: compiled code, which takes
                NumPy's float32 and pays off from the second run (see docs/explanation/compiled.md), examples of a batch
                one by one. The numbers are the same but for their rounding. ``"auto"``: compiled code for large such
                inputs. Both store no weights of long attention that ``keep`` does not select.

        Raises:
            UnknownName: an array is missing or not known, ``keep`` names nothing, or there is no such engine.
            ShapeError: sizes do not fit each other.
            SpecError: ``engine`` is ``"compiled"``, and compiled code cannot run on these arrays, or is not installed.
        """
        values = self._accept(arrays)
        names = None if keep is None else ((keep,) if isinstance(keep, str) else tuple(keep))
        flags: dict[str, Array] = {}
        if check_engine(engine) != "array" and (plan := self._compiled_plan(names, values, engine)):
            run_planned(plan, values, flags)
            values = {name: values[name] for name in self.names if name in values}
        else:
            if engine != "array":
                values = {name: plain(array) for name, array in values.items()}
            xp = library(values)
            steps = self._plan(names, fuse=xp is numpy_namespace)
            if engine != "array" and xp is numpy_namespace:
                steps = self._without_weights(steps, names, values, engine)
            follow(xp, steps, values, values.__getitem__, flags)
        made = Trace(self, values, tokens=tokens, key_tokens=key_tokens, flags=flags)
        made.engine = engine
        return made

    def __str__(self) -> str:
        return listing(self.givens, self.lines, self.axes, self.label_base)

    def __repr__(self) -> str:
        ends = f", from {self.lines[0].name} to {self.lines[-1].name}" if self.lines else ""
        return f"<Working of {len(self.lines)} lines{ends}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the lines with their formulas."""
        return doors.working_bundle(self)

    def compute(
        self, names: Iterable[str], arrays: Mapping[str, Array], *, long: Engine | None = None
    ) -> dict[str, Array]:
        """The lines ``names``, computed from known ``arrays``, by full names; only the lines needed are computed.

        Args:
            names: the lines.
            arrays: what is known.
            long: the engine for gradients of long attention, whose weights are then not stored; None to store them.

        Raises:
            UnknownName: a given array that is needed is not among the known ones.
        """
        wanted, values = tuple(names), dict(arrays)
        xp = library({name: array for name, array in values.items() if not isinstance(array, Panels)})
        steps = steps_of(self._needed(wanted, arrays), {*wanted}, {*arrays}, fuse=xp is numpy_namespace)
        if long is not None:
            steps = released(doors.without_weights(self, steps, {*wanted}, arrays, long), {*wanted}, {*arrays})
        there = {*values, *(step.name for step in steps)}
        for step in steps:
            if missing := [each for each in step.operands if each not in there]:
                raise UnknownName(f"{missing[0]} was not kept, and {step.name} cannot be computed without it.")
        follow(xp, steps, values, lambda name: plain(values[name]))
        if missing := [name for name in wanted if name not in values]:
            raise UnknownName(f"{missing[0]} was not kept. It is a given array, which cannot be computed.")
        return {name: plain(values[name]) for name in wanted}

    @cached_property
    def _plans(self) -> dict[tuple[tuple[str, ...] | None, bool], list[Step]]:
        return {}

    def _plan(self, keep: tuple[str, ...] | None, *, fuse: bool) -> list[Step]:
        """The steps of a run that keeps some lines."""
        key = keep, fuse
        if key not in self._plans:
            kept = self._kept(keep)
            self._plans[key] = steps_of(self._needed(kept), kept, self._given_names, fuse=fuse)
        return self._plans[key]

    def _compiled_plan(self, keep: tuple[str, ...] | None, values: Mapping[str, Array], engine: Engine) -> Plan | None:
        """The plan of compiled code for arrays like these; None where array code is used."""
        layouts = tuple(map(layout_of, values.values()))
        key = keep, engine, kinds_of(values.values()), layouts
        if key not in self._compiled_plans:
            if len(self._compiled_plans) >= MAX_PLANS:
                self._compiled_plans.clear()
            shapes = self.shapes({name: array.shape for name, array in values.items()})
            steps, kept = self._without_weights(self._plan(keep, fuse=True), keep, values, engine), self._kept(keep)
            self._compiled_plans[key] = planned(steps, kept, Sizes(self.axes, shapes), values, engine=engine)
        return self._compiled_plans[key]

    @cached_property
    def _compiled_plans(self) -> dict[tuple[Any, ...], Plan | None]:
        return {}

    def _without_weights(
        self, steps: list[Step], keep: tuple[str, ...] | None, values: Mapping[str, Array], engine: Engine
    ) -> list[Step]:
        """The steps of a run, of which those of long attention whose weights nobody reads are fewer."""
        if keep is None or not is_long(self.lines, self.shapes({name: each.shape for name, each in values.items()})):
            return steps
        kept = self._kept(keep)
        return released(doors.without_weights(self, steps, kept, values, engine), kept, {*values})

    def _kept(self, keep: tuple[str, ...] | None) -> set[str]:
        """The names that patterns select; all, if None."""
        if keep is None:
            return set(self.names)
        kept: set[str] = set()
        for pattern in keep:
            found = select_names(pattern, self.names)
            if not found:
                raise UnknownName(f"keep: nothing is called {pattern!r}. {suggest(pattern, self.names)}")
            kept.update(found)
        return kept

    def _accept(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The given arrays in the working's order, under their full names, as arrays whose shapes fit."""
        full = self._by_full_name(arrays)
        values = {given.name: full[given.name] for given in self.givens}
        kinds = kinds_of(values.values())
        if kinds in self._fitting:
            return values
        values = {given.name: as_array(given, values[given.name]) for given in self.givens}
        self.shapes({name: tuple(array.shape) for name, array in values.items()})
        if len(self._fitting) < MAX_FITTING and all(values[name] is full[name] for name in values):
            self._fitting.add(kinds)
        return values

    def _by_full_name(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if given.keys() == self._given_names:
            return given
        full = {self._given_name(name): value for name, value in given.items()}
        if missing := [given for given in self.givens if given.name not in full]:
            needs = ", ".join(f"{given.name} {describe(given.axes, given.known_sizes())}" for given in missing)
            raise UnknownName(f"Not given: {needs}. Give {'it' if len(missing) == 1 else 'them'} by name.")
        return full

    @cached_property
    def _fitting(self) -> set[tuple[Any, ...] | None]:
        """Shapes and types of arrays that were found to fit unchanged."""
        return set()

    def _given_name(self, name: str) -> str:
        return name if name in self._given_names else find(name, self._given_names, what="array")

    @cached_property
    def _given_names(self) -> frozenset[str]:
        return frozenset(given.name for given in self.givens)


MAX_FITTING = 256
"""How many kinds of arrays that fit are remembered."""

MAX_PLANS = 16
"""How many plans, and shapes of all lines, are kept for further runs."""
