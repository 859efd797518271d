"""Large workings without Python between their lines: written as a program, which all cores run together.

Array code computes line by line. Each line reads numbers from memory and writes them back, and the threads of the BLAS
and of other code compete. A program has an instruction for most lines, and all cores work on each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cache
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from clearhead.axes import Shape
from clearhead.errors import SpecError, UnknownName, suggest
from clearhead.line import Line
from clearhead.ops import Array
from clearhead.ops.numpy import numpy_namespace as xp
from clearhead.ops.panels import Panels, plain
from clearhead.ops.textbook.tables import look_up
from clearhead.plan import Step

if TYPE_CHECKING:
    from clearhead.compiled.program.schedule import ByArrayCode, Compiled, Plan

Engine = Literal["auto", "array", "compiled"]
"""How lines are computed: by array code, by compiled code, or by compiled code for large inputs only."""

MIN_CELLS = 1 << 20
"""Workings that read and make fewer numbers than this gain too little ever to repay the loading of compiled code."""


def check_engine(engine: Engine) -> Engine:
    """The engine, if there is one of this name.

    Raises:
        UnknownName: there is none.
    """
    if engine not in get_args(Engine):
        raise UnknownName(f"engine: nothing is called {engine!r}. {suggest(str(engine), get_args(Engine))}")
    return engine


def planned(
    steps: Sequence[Step], kept: Set[str], shapes: Mapping[str, Shape], arrays: Mapping[str, Array], *, engine: Engine
) -> Plan | None:
    """The stages in which compiled code computes steps for arrays like these; None where array code computes them.

    Raises:
        SpecError: the engine is ``"compiled"``, and compiled code cannot do it.
    """
    lines = [line for step in steps for line in step.lines]
    if engine == "auto" and _is_small(shapes):
        return None
    if obstacle := _obstacle(lines, shapes, arrays):
        if engine == "compiled":
            raise SpecError(f'engine="compiled" cannot be used: {obstacle}. Use engine="auto" to fall back.')
        return None
    from clearhead.compiled.program.schedule import plan_of

    return plan_of(steps, kept, shapes, arrays)


def is_compiled(
    lines: Sequence[Line], shapes: Mapping[str, Shape], arrays: Mapping[str, Array], engine: Engine
) -> bool:
    """Whether compiled code computes lines for arrays like these."""
    if engine == "array" or (engine == "auto" and _is_small(shapes)):
        return False
    return not _obstacle(lines, shapes, arrays)


def _is_small(shapes: Mapping[str, Shape]) -> bool:
    return sum(map(prod, shapes.values())) < MIN_CELLS


def _obstacle(lines: Sequence[Line], shapes: Mapping[str, Shape], arrays: Mapping[str, Array]) -> str:
    """Why compiled code cannot compute lines for arrays like these; empty if it can."""
    if others := [each for each in arrays.values() if not isinstance(each, np.ndarray | Panels)]:
        return f"it is for NumPy arrays, and there is one of {type(others[0]).__module__.partition('.')[0]}"
    if wrong := [f"{n} is {a.dtype}" for n, a in arrays.items() if a.dtype.kind == "f" and a.dtype != np.float32]:
        return f"it is for float32, and {wrong[0]}"
    if any(len(shapes[line.name]) != len(line.axes) for line in lines):
        return "it is for arrays without batch axes"
    return "" if _is_possible() else "it needs the packages numba and threadpoolctl, and an OpenBLAS"


@cache
def _is_possible() -> bool:
    if find_spec("numba") is None or find_spec("threadpoolctl") is None:
        return False
    from clearhead.compiled.program.blas import sgemm

    return sgemm() is not None


def run_planned(plan: Plan, values: dict[str, Array], flags: dict[str, Array]) -> None:
    """Runs all stages of a plan; adds their lines to the values, and flags of remarks to the flags."""
    from clearhead.compiled.program import blas
    from clearhead.compiled.program.program import MEMORY
    from clearhead.compiled.program.schedule import Compiled

    known = {**values, MEMORY: np.empty(plan.size, np.uint8)}
    with blas.single(), np.errstate(all="ignore"):
        for stage in plan.stages:
            if isinstance(stage, Compiled):
                _by_program(stage, known, flags)
            else:
                _by_array_code(stage, known, flags)
    for name in (*plan.done, MEMORY):
        known.pop(name, None)
    values.update(known)


def _by_program(stage: Compiled, known: dict[str, Array], flags: dict[str, Array]) -> None:
    from clearhead.compiled.program.blas import sgemm
    from clearhead.compiled.program.program import MEMORY

    product = sgemm()
    if product is None:
        raise RuntimeError("A program was planned without a BLAS.")
    filled = {name: np.empty(prod(view.shape), np.float32) for name, view in stage.fills.items()}
    stage.program.run({**known, **filled}, product)
    for name, view in stage.fills.items():
        known[name] = np.ndarray(view.shape, np.float32, filled[name], 0, view.strides)
    for name, view in stage.leaves.items():
        known[name] = np.ndarray(view.shape, np.float32, known[MEMORY], view.offset, view.strides)
    for line, name in stage.flags.items():
        flags[line] = known.pop(name)[..., 0] != 0
    for name in stage.done:
        known.pop(name, None)


def _by_array_code(stage: ByArrayCode, known: dict[str, Array], flags: dict[str, Array]) -> None:
    step, lent = stage.step, stage.lent
    by_rows = step.lines[-1].operation is look_up  # of a table that may lie in panels
    found = {name: known[name] if by_rows else plain(known[name]) for name in step.operands if name not in lent}
    operands = [found[name] if name in found else np.broadcast_to(np.float32(0), lent[name]) for name in step.operands]
    result = np.ascontiguousarray(step.code(xp, *operands), np.float32)
    # It may share memory with an operand, which is used again.
    known[step.name] = result.copy() if any(np.may_share_memory(result, each) for each in operands) else result
    if step.after and step.after.flag:
        flags[step.name] = step.after.flag(xp, result, *operands)
