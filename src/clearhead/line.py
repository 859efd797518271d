"""Lines, the parts of a working, and their names.

A name is a path (``layers.3.attention.weights``); any unambiguous ending of it, cut at a dot, also names the line
(``weights``). ``weights@2`` is one head of a line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain, count
from typing import Literal

from msgspec import Struct

from clearhead.axes import Axes, describe, head_axis
from clearhead.axes import axes as words
from clearhead.errors import UnknownName, WrongType, suggest
from clearhead.expr import Expr, Formula, Index, Ref, text
from clearhead.expr.formula import OWN
from clearhead.expr.labels import counted_from
from clearhead.expr.nodes import replace_refs, walk
from clearhead.ops import Operation, Parameters, as_parameters

Holds = Literal["numbers", "booleans", "integers"]

CODE = re.compile(r"``(\w+)``")
"""A parameter or operand in the sentence of an operation."""

MAX_LISTED = 40
"""The most lines, and the most given arrays, of a listing."""


class Given(Struct, frozen=True):
    """A given array: its ``name``, its ``axes``, and ``sizes`` that are known, by axis word.

    ``holds`` is ``"booleans"`` for masks, where True means: may attend; ``"integers"`` for numbers that select rows.
    """

    name: str
    axes: Axes
    sizes: tuple[tuple[str, int], ...] = ()
    holds: Holds = "numbers"

    def known_sizes(self) -> tuple[int | None, ...]:
        """The size of each axis, None where the working leaves it open."""
        known = dict(self.sizes)
        return tuple(known.get(word) for word in self.axes)


def common_sizes(givens: Iterable[Given]) -> dict[str, int]:
    """The sizes of axes that are the same in all given arrays; layers may differ in heads and groups."""
    stated = {size for given in givens for size in given.sizes}
    return {word: size for word, size in stated if sum(word == other for other, _ in stated) == 1}


class Line(Struct, frozen=True):
    """One step of a working.

    Attributes:
        name: its name, a path.
        operation: the operation.
        operands: the names of its operands.
        axes: the axis words of the result, without a batch.
        parameters: the operation's parameters.
    """

    name: str
    operation: Operation
    operands: tuple[str, ...]
    axes: Axes
    parameters: Parameters = ()

    @property
    def formula(self) -> Formula:
        """The formula of the operation, in its own terms."""
        return self.operation.formula(self.parameters)

    @property
    def summary(self) -> str:
        """What the line is, in a sentence, with its parameters and operands."""
        known = dict(zip(self.formula.roles, self.operands, strict=True))
        known |= {name: f"{value:g}" for name, value in self.parameters if type(value) in (int, float)}
        said = self.operation.summary_of(self.name, self.operands)
        return CODE.sub(lambda found: known.get(found[1], found[1]), said)


def line(name: str, operation: Operation, operands: str, axes: str, **parameters: object) -> Line:
    """A `Line` written briefly: operands and axes as words in a string."""
    return Line(name, operation, tuple(operands.split()), words(axes), as_parameters(parameters))


def equation(line: Line, axes: Mapping[str, Axes], first: int = 0) -> tuple[Ref, Expr]:
    """The formula of a line in the line's own terms, as left and right side.

    Args:
        line: the line.
        axes: the axis words of every operand; the index of a head is written after ``@``.
        first: the label of the first cell, so that the formula agrees with the labels of cells.
    """
    formula = line.formula
    operands = {**dict(zip(formula.roles, line.operands, strict=True)), OWN: line.name}
    left = Ref(line.name, tuple(Index(letter) for letter in formula.result))

    def rename(ref: Ref) -> Expr:
        name = operands[ref.operand]
        return _head_apart(Ref(name, ref.indices), line.axes if name == line.name else axes[name])

    return _head_apart(left, line.axes), counted_from(replace_refs(formula.body, rename), first)


def selections(line: Line) -> Iterator[tuple[str, str, int]]:
    """Operands whose whole numbers select places of another one: the two, and the axis of it, counted from the end."""
    operands = dict(zip(line.formula.roles, line.operands, strict=True))
    for node in walk(line.formula.body):
        if isinstance(node, Ref):
            for axis, index in enumerate(node.indices):
                if isinstance(index, Ref):
                    yield operands[index.operand], operands[node.operand], axis - len(node.indices)


def memory_words(givens: Sequence[Given], lines: Sequence[Line]) -> dict[str, str]:
    """The axis word of each array that runs over the tokens of a memory, to which cross-attention looks back.

    A given memory has the word ``key`` and no ``query``. What is made of it has its tokens, until they are summed.
    """
    found = {
        each.name: "key"
        for each in givens
        if "key" in each.axes and "query" not in each.axes and each.holds == "numbers"
    }
    axes = {each.name: each.axes for each in givens} | {each.name: each.axes for each in lines}
    for line in lines:
        own = line.name.partition(".grad")[0]
        reads = [name for name in line.operands if name in found]
        if own != line.name:
            word = found.get(own)
        elif "query" in line.axes:
            word = "key" if reads else None
        else:
            word = "token" if reads and not any("query" in axes[name] for name in line.operands) else None
        if word in line.axes:
            found[line.name] = word
    return found


def listing(givens: Sequence[Given], lines: Sequence[Line], axes: Mapping[str, Axes], first: int) -> str:
    """Given arrays with their axes and lines with their formulas, one per row; of many only the first."""
    rows = [f"{each.name} {describe(each.axes, each.known_sizes())} given" for each in givens[:MAX_LISTED]]
    rows += _more(len(givens), "given arrays")
    for each in lines[:MAX_LISTED]:
        left, right = equation(each, axes, first)
        rows.append(f"{text(left)} = {text(right)}")
    return "\n".join([*rows, *_more(len(lines), "lines")])


def _more(count: int, of: str) -> list[str]:
    return [f"... and {count - MAX_LISTED} more {of}"] if count > MAX_LISTED else []


def _head_apart(ref: Ref, axes: Axes) -> Ref:
    """The reference with the index of its head, if it has one, after ``@``."""
    named = axes[len(axes) - len(ref.indices) :]
    if len(named) != len(ref.indices) or head_axis(named) is None:
        return ref
    return Ref(ref.operand, ref.indices[1:], ref.indices[0])


_GRADIENT = ".grad"
"""How the names of gradients end, of which there are none without a backward pass."""


def find(name: str, names: Collection[str], *, what: str = "line") -> str:
    """The full name that ``name`` is, or is an unambiguous ending of.

    Raises:
        UnknownName: no name has this ending, or several have; the message names the closest, or the several.
    """
    if name in names:
        return name
    ends = [full for full in names if full.endswith("." + name)]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UnknownName(f"{name!r} could be {' or '.join(ends)}. Write more of the path, so that only one fits.")
    meant = OTHER_WORDS.get(name.rpartition(".")[2].lower().replace("-", "_"))
    ours = [full for full in names if full.rpartition(".")[2] == meant]
    close = f"Did you mean {' or '.join(ours[:3])}?" if ours else suggest(name, names)
    if name.endswith(_GRADIENT) and not any(full.endswith(_GRADIENT) for full in names):
        close = (
            "Gradients belong to a backward pass. On the command line add --backward LINE, with the line that it "
            f"begins at, such as {[*names][-1]}; in Python take working.backward()."
        )
    raise UnknownName(f"There is no {what} {name!r}. {close}")


OTHER_WORDS = {
    "context": "head", "context_vector": "head", "context_vectors": "head", "attention_output": "head", "z": "head",
    "attention": "weights", "attention_weights": "weights", "attn": "weights", "attn_weights": "weights",
    "alpha": "weights", "softmax": "weights", "attention_scores": "scores", "attn_scores": "scores", "energy": "scores",
    "scaled_scores": "scaled", "q": "query", "k": "key", "v": "value", "queries": "query", "keys": "key",
    "values": "value", "x": "input", "concatenated": "concat", "multi_head": "concat", "probs": "probabilities",
    "pe": "position", "positional_encoding": "position", "exp": "exponentials",
}  # fmt: skip
"""Other names of lines: the last part of a name, and clearhead's."""


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern, in which ``*`` matches anything, is a name or an ending of its path."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def free_name(name: str, names: Collection[str]) -> str:
    """The name, or the name with the first number that is not in use: a step may occur twice."""
    numbered = chain([name], (f"{name}{number}" for number in count(2)))
    return next(free for free in numbered if free not in names)


def steps_of(line: Line, names: Collection[str]) -> list[Line]:
    """The lines of the steps of a line's operation; the last has the line's name.

    ``names`` are those in use.
    """
    made: dict[str, str] = {}
    lines: list[Line] = []
    for step in line.operation.steps:
        name = free_name(f"{line.name}.{step.name}", names) if step.name else line.name
        operands = tuple(made[each] if isinstance(each, str) else line.operands[each] for each in step.operands)
        known = step.operation.parameters
        parameters = tuple((key, value) for key, value in line.parameters if key in known)
        lines.append(Line(name, step.operation, operands, line.axes, parameters))
        made[step.name] = name
    return lines


def select_names(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern selects: the name itself, else all that match."""
    every = list(names)
    return [pattern] if pattern in every else [name for name in every if matches(pattern, name)]


MAX_DIGITS = 9
"""The most digits of a head's label."""


def split_head(address: str) -> tuple[str, int | None]:
    """``"weights@2"`` as ``("weights", 2)``; without ``@`` the head is None.

    Raises:
        UnknownName: what follows ``@`` is not a whole number.
        WrongType: it is no text.
    """
    if not isinstance(address, str):
        raise WrongType(f"A line is called by its name, such as 'weights' or 'weights@2'; got {address!r}.")
    name, at, head = address.partition("@")
    if not at:
        return name, None
    if not head.isdecimal() or len(head) > MAX_DIGITS:
        raise UnknownName(f"{address!r}: after @ comes the number of a head, as in {name}@2; got {head!r}.")
    return name, int(head)


def head_position(name: str, label: int, axes: Axes, heads: int | None, label_base: int) -> int:
    """The position, counted from 0, of the head with this label.

    Args:
        name: the line, for the message.
        label: the number after ``@``, counted from ``label_base``.
        axes: the axis words of the line.
        heads: how many heads it has; None where that is not known yet.
        label_base: the label of the first head.

    Raises:
        UnknownName: the line has no heads, or none with this label.
    """
    if head_axis(axes) is None:
        raise UnknownName(f"{name} has no heads: its axes are {', '.join(axes)}. Leave out @{label}.")
    if label < label_base or (heads is not None and label >= label_base + heads):
        last = "on" if heads is None else f"to {label_base + heads - 1}"
        raise UnknownName(f"{name} has heads {label_base} {last}, not {label}.")
    return label - label_base
