"""A working with its arrays: every number by name, and its arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

import clearhead.doors as doors
from clearhead.axes import TOKENS, Axes, Cell, Shape, head_axis, with_batch
from clearhead.backward import gradients
from clearhead.compiled.program import Engine
from clearhead.errors import ShapeError, UnknownName
from clearhead.explanation import Explanation, Intermediate, Note
from clearhead.expr import Number, Ref, Scope, evaluate, substitute, walk
from clearhead.expr.formula import OWN, leading
from clearhead.expr.nodes import replace_refs
from clearhead.files import FilePath
from clearhead.line import Given, Line, equation, find, head_position, memory_words, split_head
from clearhead.ops import Array, namespace
from clearhead.ops.panels import plain

if TYPE_CHECKING:
    from clearhead.working import Working

MAX_TERMS = 6
"""Sums of more terms than this show only their largest."""

MAX_NAMES = 24
"""The most kept lines that an error lists."""


class Trace(Mapping[str, Array]):
    """The arrays of a working by name.

    ``trace["weights"]`` is a whole line, ``trace["weights@2"]`` one head of it; any unambiguous ending of a path is a
    valid name. Arrays are of the library that the working was run with. ``notes`` has notes on unusual rows. ``engine``
    is the engine that computed them, and that computes the gradients of long attention.
    """

    def __init__(
        self,
        working: Working,
        arrays: Mapping[str, Array],
        *,
        tokens: Sequence[str] | None = None,
        key_tokens: Sequence[str] | None = None,
        flags: Mapping[str, Array] | None = None,
        hidden_arrays: Mapping[str, Array] | None = None,
    ) -> None:
        self.working = working
        self.engine: Engine = "array"
        self.tokens = tuple(tokens) if tokens is not None else None
        self.key_tokens = tuple(key_tokens) if key_tokens is not None else None
        self._arrays = arrays
        self._flags = flags or {}
        self._hidden_arrays = hidden_arrays or {}
        self._located: dict[str, tuple[str, int | None]] = {}

    def __getitem__(self, address: str) -> Array:
        name, head = self.locate(address)
        array = self._arrays[name]
        if head is None:
            return array
        axis = head_axis(self.working.axes[name])
        return array[(..., head, *[slice(None)] * (-1 - axis))]  # type: ignore[operator]  # locate made sure of it

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, address: object) -> bool:
        try:
            self.locate(str(address))
        except UnknownName:
            return False
        return True

    def __repr__(self) -> str:
        return f"<Trace of {len(self._arrays)} arrays: {self._kept}>"

    def locate(self, address: str) -> tuple[str, int | None]:
        """The full name of a line and the position of its head, counted from 0, for an ``address``.

        Raises:
            UnknownName: no such line, it was not kept, or it has no such head.
        """
        if address not in self._located:
            self._located[address] = self._locate(address)
        return self._located[address]

    def _locate(self, address: str) -> tuple[str, int | None]:
        short, label = split_head(address)
        name = find(short, self.working.names)
        if name not in self._arrays:
            raise UnknownName(f"{name} was not kept. Kept are {self._kept}; add it to keep=.")
        if label is None:
            return name, None
        axes, shape = self.axes(name), self._arrays[name].shape
        axis = head_axis(axes)
        heads = None if axis is None else shape[axis]
        return name, head_position(name, label, axes, heads, self.working.label_base)

    def place(self, address: str, *cell: int) -> tuple[str, Cell]:
        """The full name of a line, and the cell with an index for all of its axes, for ``address`` and ``cell``.

        Raises:
            UnknownName: no such line or head.
            ShapeError: too few or too many indices, or one out of range.
        """
        name, head = self.locate(address)
        return name, self._full_cell(name, head, cell)

    @property
    def _kept(self) -> str:
        """The names of kept lines, as many as an error has room for."""
        names = list(self._arrays)
        if len(names) > MAX_NAMES:
            names = [line.name for line in self.working.lines if line.name in self._arrays]
        more = len(names) - MAX_NAMES
        return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")

    def axes(self, name: str) -> Axes:
        """The axis words of the array ``name``, with ``batch`` for leading axes."""
        full, _ = self.locate(name)
        return with_batch(self.working.axes[full], self._arrays[full].ndim)

    def left_axes(self, address: str) -> Axes:
        """The axis words for ``address``: for one head, without the axis of heads."""
        name, head = self.locate(address)
        words, axis = self.axes(name), None if head is None else head_axis(self.axes(name))
        return words if axis is None else (*words[:axis], *words[len(words) + axis + 1 :])

    def labels(self, address: str) -> tuple[tuple[str, ...], ...]:
        """The labels of each axis of ``address``: the tokens where it runs over them, numbers elsewhere."""
        name, _ = self.locate(address)
        sizes = zip(self.left_axes(address), self[address].shape, strict=True)
        return tuple(
            self.tokens_along(name, word, size) or tuple(str(index + self.working.label_base) for index in range(size))
            for word, size in sizes
        )

    def tokens_along(self, name: str, word: str, size: int) -> tuple[str, ...] | None:
        """The tokens over which the axis ``word`` of the line ``name``, of this ``size``, runs; None for numbers."""
        if word not in TOKENS:
            return None
        kinds = (self.key_tokens,) if self._memory.get(name) == word else (self.tokens, self.key_tokens)
        return next((tokens for tokens in kinds if tokens is not None and len(tokens) == size), None)

    @cached_property
    def _memory(self) -> dict[str, str]:
        return memory_words(self.working.givens, self.working.lines)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Notes on unusual rows: those that are NaN or that attend to nothing, with reason and remedy."""
        return tuple(note for line in self.working.lines if (note := self._note(line)))

    def _note(self, line: Line) -> Note | None:
        """The note of an operation's remark on a line, if there is one."""
        remark = line.operation.remark
        if remark is None or not (line.name in self._flags or line.name in self._arrays):
            return None
        if line.name in self._flags:
            found = self._flags[line.name]
        else:
            out = self._arrays[line.name]
            there = {**self._hidden_arrays, **self._arrays}
            operands = line.operands if remark.reads_operands else ()
            if any(operand not in there for operand in operands):
                return None
            found = remark.find(namespace(out), out, *(there[operand] for operand in operands))
        rows = tuple(tuple(int(i) for i in row) for row in np.argwhere(to_numpy(found)))
        if not rows:
            return None
        words = with_batch(line.axes, found.ndim + 1)[:-1]
        shown = "; ".join(self._row_name(line.name, words, row, found.shape) for row in rows[:3])
        more = f" and {len(rows) - 3} more rows" if len(rows) > 3 else ""
        return Note(line.name, rows, shown + more, remark.says, remark.reason, remark.remedy)

    def _row_name(self, name: str, words: Axes, row: Cell, shape: Shape) -> str:
        named = []
        for word, index, size in zip(words, row, shape, strict=True):
            tokens = self.tokens_along(name, word, size)
            token = f" ({tokens[index]})" if tokens else ""
            named.append(f"{word} {index + self.working.label_base}{token}")
        return ", ".join(named) or "the only row"

    @property
    def given(self) -> dict[str, Array]:
        """The arrays that the working was given, by name.

        Raises:
            UnknownName: the trace lacks one of them.
        """
        known = {**self._hidden_arrays, **self._arrays}
        if missing := [each.name for each in self.working.givens if each.name not in known]:
            raise UnknownName(f"The trace lacks the given array {missing[0]}. Run the working on all its given arrays.")
        return {each.name: plain(known[each.name]) for each in self.working.givens}

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shapes of all arrays of the working, kept or not, as far as they follow from kept ones."""
        there = {**self._hidden_arrays, **self._arrays}
        if any(given.name not in there for given in self.working.givens):
            return {name: tuple(array.shape) for name, array in there.items()}
        return self.working.shapes({given.name: tuple(there[given.name].shape) for given in self.working.givens})

    @property
    def flags(self) -> Mapping[str, Array]:
        """The rows of notes, for lines whose numbers were not kept."""
        return self._flags

    def numpy(self, address: str) -> np.ndarray[Any, Any]:
        """The array of ``address`` as a NumPy array on the CPU, whatever library it is of."""
        return to_numpy(self[address])

    def save(self, path: FilePath, **view: Unpack[doors.ViewOptions]) -> None:
        """Writes the trace to a file of the kind of its ending, such as ``"mine.md"``.

        Args:
            path: the file; it is written completely or not at all.
            view: title, about, decimals and the other attributes of `clearhead.show.View`.

        Raises:
            UnknownName: no kind of file has this ending.
            FileError: the file cannot be written.
            MissingPackage: the kind needs a package that is not installed.
        """
        doors.save_trace(self, path, doors.View(**view))

    def plot(self, address: str, kind: doors.PlotKind = "heatmap") -> Any:
        """A matplotlib figure of a line, or of one head of it: save it with ``.savefig("weights.png")``.

        Args:
            address: the line, such as ``"weights"``, or a head of it, ``"weights@2"``.
            kind: ``"heatmap"``, a panel for each head; or ``"entropy"``, that of each head's weights, in nats.

        Raises:
            UnknownName: no such line, head or kind.
            ClearheadError: entropy of a line whose rows are no weights.
            MissingPackage: matplotlib is not installed.
        """
        return doors.plot(self, address, kind)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows: the page, or text."""
        return doors.trace_bundle(self)

    def explain(self, address: str, *cell: int, decimals: int | None = 3, max_terms: int = MAX_TERMS) -> Explanation:
        """The arithmetic of one cell: formula, numbers and value.

        Args:
            address: a line, or one head of it (``"head@2"``).
            cell: the indices of the cell, counted from 0, one for each axis that the address leaves.
            decimals: how many to show; None for all digits. The value itself is never rounded.
            max_terms: the most terms of a sum that are written out; of a longer one only its largest are shown.

        Raises:
            UnknownName: no such line or head.
            ShapeError: too few or too many indices, or one out of range.

        Lines that it reads and that were not kept are computed again.
        """
        name = find(split_head(address)[0], self.working.names)
        line = self.working.line(name)
        operands = () if isinstance(line, Given) else line.operands
        return self._with((name, *operands))._explain(address, cell, decimals, max_terms)  # noqa: SLF001 - a Trace too

    def _with(self, names: Sequence[str]) -> Trace:
        """The trace with these lines in it."""
        missing = [name for name in names if name not in self._arrays]
        if not missing:
            return self
        again = self.working.compute(missing, {**self._hidden_arrays, **self._arrays})
        return self._of({**self._arrays, **again}, {})

    def _of(self, arrays: Mapping[str, Array], hidden_arrays: Mapping[str, Array]) -> Trace:
        """The same trace with these arrays."""
        made = Trace(self.working, arrays, flags=self._flags, hidden_arrays=hidden_arrays)
        made.tokens, made.key_tokens, made.engine = self.tokens, self.key_tokens, self.engine
        return made

    def replaced(self, arrays: Mapping[str, Array]) -> Trace:
        """The trace with other numbers, ``arrays``, for some of its lines; lines that read these keep their own."""
        return self._of({**self._arrays, **arrays}, self._hidden_arrays)

    def only(self, names: Iterable[str]) -> Trace:
        """The same trace, of which only ``names`` are shown and saved; cells are still explained from all arrays.

        Raises:
            UnknownName: there is no such line, or it was not kept.
        """
        shown = {name: self._arrays[name] for name in dict.fromkeys(self.locate(each)[0] for each in names)}
        rest = {name: array for name, array in self._arrays.items() if name not in shown}
        return self._of(shown, {**self._hidden_arrays, **rest})

    def gradients(self, of: str | None = None, wrt: str | Sequence[str] | None = None) -> dict[str, Array]:
        """The gradients of a line with respect to others, by the names of these, from the numbers of this trace.

        Args:
            of: the line, such as ``"loss"``; the last, if None. Of a line with axes, that of the sum of its numbers.
            wrt: the lines or given arrays; all given arrays of numbers, if None. Each gradient has the shape of its
                array: an array that several examples or heads share gets the sum over all of them.

        Raises:
            UnknownName: there is no such line, or lines that it needs were not kept.
            SpecError: an array holds no numbers, or an operation has no derivative.
        """
        known = {**self._hidden_arrays, **self._arrays}
        return gradients(self.working, {name: plain(array) for name, array in known.items()}, of, wrt, self.engine)

    def _explain(self, address: str, cell: Cell, decimals: int | None, max_terms: int) -> Explanation:
        name, full = self.place(address, *cell)
        line = self.working.line(name)
        target = self._named_cell(name, full)
        if isinstance(line, Given):
            value = _float(self._arrays[name][full])
            filled = Ref(name, target.indices, target.at, value)
            return Explanation(target, (target, target), (), filled, value, (), self.working.label_base, decimals)
        return self._explain_computed(line, full, target, decimals, max_terms)

    def _explain_computed(
        self, line: Line, full: Cell, target: Ref, decimals: int | None, max_terms: int
    ) -> Explanation:
        formula = line.formula
        roles, names = (*formula.roles, OWN), (*line.operands, line.name)
        arrays, cores = [self._arrays[name] for name in names], (*formula.operands, formula.result)
        ahead, own = full[: len(full) - len(formula.result)], full[len(full) - len(formula.result) :]
        leads = [leading(ahead, a.shape[: a.ndim - len(core)]) for a, core in zip(arrays, cores, strict=True)]
        operands = {role: to_numpy(array[lead]) for role, array, lead in zip(roles, arrays, leads, strict=True)}
        sizes = formula.bind([array.shape for array in arrays[:-1]])
        scope = Scope(operands, sizes, dict(zip(formula.result, own, strict=True)))
        source = dict(zip(roles, zip(names, leads, strict=True), strict=True))
        filled, steps = substitute(formula.body, scope, max_terms=max_terms)

        def full_ref(ref: Ref) -> tuple[str, Cell]:
            name, lead = source[ref.operand]
            return name, lead + tuple(int(evaluate(index, scope)) for index in ref.indices)

        def rename(ref: Ref) -> Ref:
            named = self._named_cell(*full_ref(ref))
            return Ref(named.operand, named.indices, named.at, ref.value)

        written = [filled, *(expr for _, expr, _ in steps)]
        reads = [full_ref(node) for expr in written for node in walk(expr) if isinstance(node, Ref)]
        return Explanation(
            target,
            equation(line, self.working.axes, self.working.label_base),
            tuple(Intermediate(name, replace_refs(expr, rename), value) for name, expr, value in steps),
            replace_refs(filled, rename),
            _float(self._arrays[line.name][full]),
            tuple(dict.fromkeys(reads)),
            self.working.label_base,
            decimals,
        )

    def _full_cell(self, name: str, head: int | None, cell: Sequence[int]) -> Cell:
        """The indices of a cell for all axes, with the head in its place."""
        shape, axes = list(self._arrays[name].shape), list(self.axes(name))
        axis = None if head is None else head_axis(self.working.axes[name])
        if axis is not None:
            del shape[axis], axes[axis]
        first = self.working.label_base
        if not all(isinstance(index, int | np.integer) for index in cell):
            raise ShapeError(f"A cell of {name} has whole numbers as indices, got {', '.join(map(repr, cell))}.")
        if len(cell) != len(shape):
            got = f"{len(cell)} ({', '.join(str(c + first) for c in cell)})" if cell else "none"
            raise ShapeError(f"A cell of {name} needs {len(shape)} indices ({', '.join(axes)}), got {got}.")
        for index, size, word in zip(cell, shape, axes, strict=True):
            if not 0 <= index < size:
                raise ShapeError(f"{name} has {word} {first} to {first + size - 1}, not {index + first}.")
        if axis is None or head is None:
            return tuple(cell)
        place = len(cell) + 1 + axis
        return (*cell[:place], head, *cell[place:])

    def _named_cell(self, name: str, full: Cell) -> Ref:
        axis = head_axis(self.working.axes[name])
        if axis is None:
            return Ref(name, tuple(map(Number, full)))
        rest = full[: len(full) + axis] + full[len(full) + axis + 1 :]
        return Ref(name, tuple(map(Number, rest)), Number(full[axis]))


def _float(value: Array) -> float:
    return float(to_numpy(value))


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """An array of any library as a NumPy array on the CPU, without its gradient; bfloat16 becomes float32."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        if "bfloat16" in str(array.dtype):
            array = array.float()
    return np.asarray(array)
