"""The lines of attention from scores to heads, which are inspected: of a spec, a working or a model."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from clearhead.errors import SpecError
from clearhead.line import Given, Line
from clearhead.ops import Role
from clearhead.spec import Attention
from clearhead.working import Working

BEFORE: tuple[Role, ...] = ("product", "bias", "join", "repeat")
"""The operations that may make a spec's queries and keys; others would change them before their product."""


class Core(Struct, frozen=True):
    """Lines that start at a query, key and value and end at the heads.

    Attributes:
        working: the lines; other arrays that they read are given.
        query: the name of the queries, as in the product with keys.
        key: the name of the keys, before they are repeated for the heads of their group.
        value: the name of the values, before they are repeated.
        product: the line that multiplies queries with keys.
        softmax: the line that makes weights of scores.
        head: the weighted sum of the values.
    """

    working: Working
    query: str
    key: str
    value: str
    product: Line
    softmax: Line
    head: Line

    @property
    def others(self) -> tuple[Given, ...]:
        """Other arrays that the lines read, besides queries, keys and values: masks, sinks."""
        return tuple(each for each in self.working.givens if each.name not in (self.query, self.key, self.value))

    @property
    def path(self) -> tuple[Line, ...]:
        """The lines from the product to the softmax, both included."""
        found = [self.softmax]
        while found[-1] != self.product:
            found.append(_line(self.working, found[-1].operands[0]))
        return tuple(found[::-1])


def core_of(working: Working, path: str = "") -> Core:
    """The lines from scores to heads of a working, or of a part of it whose names begin with a path.

    Raises:
        SpecError: there are none, or there are those of several attentions.
    """
    sums = [each for each in working.lines if each.operation.role == "weighted-sum" and each.name.startswith(path)]
    if len(sums) != 1:
        raise SpecError(f"inspect expects lines of one attention, got {len(sums)} weighted sums of values.")
    head = sums[0]
    softmax = _back(working, head.operands[0], "softmax")
    product = _back(working, softmax.operands[0], "product")
    query, key, value = product.operands[0], _shared(working, product.operands[1]), _shared(working, head.operands[1])
    entered = working.starting_at(query, key, value).ending_at(head.name)
    return Core(entered, query, key, value, product, softmax, head)


def core_of_spec(spec: Attention) -> Core:
    """The lines from scores to heads of a spec.

    Raises:
        SpecError: it changes queries or keys before their product, which given queries and keys do not show.
    """
    core = core_of(spec.working())
    before = spec.working().ending_at(core.query, core.key, core.value).lines
    if changing := [line.name for line in before if line.operation.role not in BEFORE]:
        raise SpecError(
            f"inspect takes queries and keys as in their product, and spec changes them before: {', '.join(changing)}. "
            f"Leave this out of spec, and give the changed queries and keys."
        )
    return core


def _line(working: Working, name: str) -> Line:
    line = working.line(name)
    if isinstance(line, Given):
        raise SpecError(f"inspect expects weights that a softmax makes of scores, and {name} is given.")
    return line


def _back(working: Working, name: str, role: Role) -> Line:
    """The line of a role that another comes from, by the first operands."""
    line = _line(working, name)
    while line.operation.role != role:
        line = _line(working, line.operands[0])
    return line


def _shared(working: Working, name: str) -> str:
    """The line that is repeated for each head of a group."""
    line = working.line(name)
    return line.operands[0] if isinstance(line, Line) and line.operation.role == "repeat" else name


def apart(core: Core, inner: Sequence[Line]) -> Core:
    """The same with the softmax written as these steps."""
    lines = tuple(new for line in core.working.lines for new in (inner if line == core.softmax else [line]))
    return Core(
        Working(core.working.givens, lines, core.working.label_base),
        core.query, core.key, core.value, core.product, core.softmax, core.head,
    )  # fmt: skip
