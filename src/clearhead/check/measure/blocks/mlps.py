"""An MLP by itself: what one hidden cell makes of its gate and of its other factor, as a curve with a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.drawing import known_sizes
from clearhead.check.calls.task import Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.outline import lines_of, roles, tokens_taken
from clearhead.check.measure.parts import Array
from clearhead.ops.textbook import linear
from clearhead.spec.mlp import ACTIVATIONS

GRID = np.array([-4.0, -2.0, -0.7, -0.2, 0.0, 0.3, 1.0, 2.5, 5.0])
"""What a hidden cell is given."""

CLOSE, NOISE = 1e-7, 30
"""How near a curve must be to one that has a name: relative to its largest value, or in units of its precision."""


class MlpArrays(Struct, frozen=True):
    """What an MLP takes: tokens, weights, and biases; ``gate`` is "" in one without."""

    tokens: str
    up: str
    gate: str
    output: str
    biases: tuple[str, ...]


def mlp_arrays(task: Task) -> MlpArrays | None:
    """The arrays of a task that is one MLP, if its function takes all of them; None of others."""
    taken = tokens_taken(task)
    if not roles(task) <= {"product", "bias", "activation", "gate"} or len(taken) != 1:
        return None
    products = [line for line in lines_of(task, "product") if line.operation is linear.matmul]
    names = {line.name.removesuffix(".product").rpartition(".")[2]: line.operands[1] for line in products}
    biases = tuple(line.operands[1] for line in lines_of(task, "bias"))
    found = MlpArrays(taken[0], names.get("up", ""), names.get("gate", ""), names.get("output", ""), biases)
    needed = {found.up, found.output, *biases, *([found.gate] if found.gate else [])}
    return found if needed <= set(task.takes) and not known_sizes(task) else None


def cells() -> tuple[Array, Array]:
    """The gates and the other factors that a hidden cell is given, in pairs."""
    gate, up = np.meshgrid(GRID, GRID, indexing="ij")
    return gate.reshape(-1), up.reshape(-1)


def measure_mlp(f: Run, names: MlpArrays) -> Array | None:
    """What hidden cells give: each stands alone in a row of the hidden layer, and is read by itself."""
    gate, up = cells()
    gate = gate if names.gate else up
    n = len(up)
    first = np.eye(n, 1).T  # the first feature of a token is 1, all others 0
    weights = {names.up: np.outer(first, up), names.output: np.eye(n)}
    if names.gate:
        weights[names.gate] = np.outer(first, gate)
    lead = (1,) if f.caller.form.batch else ()
    biases = {name: np.zeros(n) for name in names.biases}
    try:
        out = f.last({names.tokens: first.reshape(*lead, 1, n), **weights, **biases})
    except Refused:
        return None
    return np.asarray(out.reshape(-1)) if out.size == n else None


def named(curve: Array, *, gated: bool, eps: float) -> tuple[str, ...]:
    """The formulas that give this curve, in numbers of this relative precision."""
    gate, up = cells()
    bound = max(CLOSE, NOISE * eps) * max(float(np.abs(curve).max()), 1.0)
    return tuple(
        dict.fromkeys(name for name, given in _formulas(gate, up, gated=gated) if np.abs(given - curve).max() < bound)
    )


def _formulas(gate: Array, up: Array, *, gated: bool) -> Iterator[tuple[str, Array]]:
    for name, act in _activations():
        if not gated:
            yield name.format("x") if "{" in name else f"{name}(x)", act(up)
            continue
        for inner, given in {"gate": gate, "up": up, "gate * up": gate * up, "gate + up": gate + up}.items():
            written = name.format(inner) if "{" in name else f"{name}({inner})"
            yield written, act(given)
            other = {"gate": ("up", up), "up": ("gate", gate)}.get(inner)
            if other:
                yield f"{written} * {other[0]}", act(given) * other[1]
    if gated:
        yield "gate * up", gate * up


def _activations() -> Iterator[tuple[str, Callable[[Array], Any]]]:
    """The activations that are known, those of the package first."""
    yield from ACTIVATIONS.items()
    with np.errstate(all="ignore"):
        yield "sigmoid", lambda x: 1 / (1 + np.exp(-x))
        yield "leaky relu of slope 0.01", lambda x: np.where(x > 0, x, 0.01 * x)
        yield "elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        yield "softplus", lambda x: np.logaddexp(0, x)
        yield "mish", lambda x: x * np.tanh(np.logaddexp(0, x))
        yield "{}, without an activation", lambda x: x
