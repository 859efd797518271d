"""Modules of other libraries as functions with a working: a table has the names of their parameters.

No library is imported to recognise a module: its class is known by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from msgspec import Struct

from clearhead.check.calls.task import Task, task_of
from clearhead.check.probing.kinds import KINDS, Kind
from clearhead.check.probing.layouts import laid_out
from clearhead.errors import SpecError
from clearhead.line import find
from clearhead.working import Working


class Adapted(Struct, frozen=True, eq=False):
    """A module as a function, with its working: all that `probe` needs.

    Attributes:
        function: calls the module with arrays in clearhead's layout.
        working: what it should compute.
        given: the module's parameters, in the working's layout.
        takes: the function's arguments.
        returns: its results.
        library: the library of its arrays.
    """

    function: Callable[..., Any]
    working: Working
    given: Mapping[str, Any]
    takes: tuple[str, ...]
    returns: tuple[str, ...]
    library: str = "torch"

    def task(self) -> Task:
        """The task of the function."""
        return task_of(self.working, self.takes, self.returns, self.given)


def adapt(module: Any) -> Adapted:
    """A module of a known kind as a function with its textbook working, to be probed: ``probe(adapt(module))``.

    Known are PyTorch's ``MultiheadAttention`` and ``TransformerEncoderLayer``, and of Hugging Face the attention of
    BERT, GPT-2, and Llama with those that share its code (Mistral, Qwen2, Arcee, Gemma, Granite, Phi-MoE, Jais 2 and
    others), each with the options that clearhead has. Subclasses count as their base.

    Args:
        module: the module.

    Returns:
        What `probe` needs: the function, its working, its parameters.

    Raises:
        SpecError: the module is of no known kind, or has an option that clearhead does not have.
    """
    kind = _kind(module)
    if reason := kind.refuses(module):
        raise SpecError(f"This {kind.name} {reason}. Probe it by hand: {BY_HAND}")
    spec = kind.spec(module)
    working = spec.working()
    axes = {each.name: each.axes for each in working.givens}
    sizes = {"part": kind.parts, **kind.sizes(module)}
    given = {}
    for row in kind.parameters:
        if row.array in axes:
            stored = attrgetter(row.path)(module)
            given[row.array] = laid_out(stored, row, axes[row.array], sizes)
    takes = tuple(find(name, axes) for name in kind.takes)
    return Adapted(_Called(module, kind), working, given, takes, kind.returns(spec))


class _Called:
    """A module called with tensors of any precision: it is copied once for each."""

    def __init__(self, module: Any, kind: Kind) -> None:
        self.module = module
        self.kind = kind
        self.copies: dict[Any, Any] = {}

    def __call__(self, tokens: Any, *masks: Any) -> Any:
        from copy import deepcopy

        import torch

        if tokens.dtype not in self.copies:
            self.copies[tokens.dtype] = deepcopy(self.module).to(tokens.dtype)
        with torch.no_grad():
            return self.kind.call(self.copies[tokens.dtype], tokens, *masks)


BY_HAND = (
    'probe(function, working, takes=("input",), returns="output", given={"query.weight": ...}), with a function that '
    "calls it and a working such as Attention(heads=8).working()."
)


def _kind(module: Any) -> Kind:
    """The kind of a module, by the name of its class or of a base."""
    for base in type(module).__mro__:
        found = KINDS.get(f"{base.__module__}.{base.__qualname__}")
        if found:
            return found
    known = ", ".join(dict.fromkeys(kind.name for kind in KINDS.values()))
    raise SpecError(f"{type(module).__name__} is of no known kind. Known are {known}. Else: {BY_HAND}")
