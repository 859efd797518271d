"""Attention whose weights are too many to store, and its gradients: weights are computed again, a tile at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clearhead.compiled.program import Engine
from clearhead.inspection import plain, plain_gradients
from clearhead.inspection.choice import choose
from clearhead.inspection.request import Request

if TYPE_CHECKING:
    from clearhead.inspection.cpu_gradients import Forward

Array = Any


class Attended(Struct, frozen=True, eq=False, dict=True):
    """A forward pass: what was asked, and what the compiled kernel left of it; None where array code computes."""

    request: Request
    forward: Forward | None

    @property
    def output(self) -> Array:
        """The weighted sums of the values (*batch, head, query, feature)."""
        if self.forward is None:
            return self.request.unflatten(self._by_array_code[0])
        from clearhead.inspection.cpu_gradients import output

        return self.request.unflatten(self.request.xp.asarray(output(self.request, self.forward)))

    @property
    def remarked(self) -> Array:
        """Whether the softmax has a remark on a row of its weights (*batch, head, query)."""
        if self.forward is None:
            return self.request.unflatten(self._by_array_code[1])
        from clearhead.inspection.cpu_gradients import largest

        return self.request.unflatten(plain.remarked(self.request, largest(self.request, self.forward)[..., None]))

    @cached_property
    def _by_array_code(self) -> tuple[Array, Array]:
        return plain.outputs(self.request)

    def gradients(self, grad: Array, wrt: Sequence[str]) -> dict[str, Array]:
        """The gradients of arrays that the lines are given, by name, from that of the output, ``grad``.

        Args:
            grad: (*batch, head, query, feature), or what can be broadcast to it.
            wrt: the names of the arrays: query, key, value, and others that are the same for all queries.
        """
        request, xp = self.request, self.request.xp
        rows, heads, queries, _ = request.query.shape
        features = request.value.shape[-1]
        whole = xp.broadcast_to(grad, (*request.batch, heads, queries, features))
        grad = xp.reshape(whole, (rows, heads, queries, features))
        if self.forward is None or not request.all_finite(grad):
            found: Mapping[str, Array] = plain_gradients.gradients(request, grad, wrt)
        else:
            found = self._compiled(self.forward, grad)
        return {name: request.unflatten(found[name]) for name in wrt}

    def _compiled(self, forward: Forward, grad: Array) -> dict[str, Array]:
        from clearhead.inspection.cpu_gradients import gradients

        core, (query, key, value) = self.request.core, gradients(self.request, forward, grad)
        found = {core.query: query, core.key: key, core.value: value}
        return {name: self.request.xp.asarray(array) for name, array in found.items()}


def attend(request: Request, wrt: Sequence[str], engine: Engine = "auto") -> Attended:
    """The forward pass of a request, to be followed by gradients.

    Args:
        request: the arrays, and the lines from queries, keys and values to heads.
        wrt: the names of the arrays whose gradients will be asked.
        engine: ``"array"`` for array code; else the compiled kernel where it can compute them.
    """
    core = request.core
    compiled = engine != "array" and {*wrt} <= {core.query, core.key, core.value}
    if not compiled or choose(request).kernel != "numba":
        return Attended(request, None)
    from clearhead.inspection.cpu_gradients import attend as compiled_pass

    return Attended(request, compiled_pass(request))
