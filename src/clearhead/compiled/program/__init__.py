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

from clearhead.axes import Axes
from clearhead.compiled.program.sizes import Sizes
from clearhead.errors import SpecError, UnknownName, suggest
from clearhead.line import Line
from clearhead.ops import Array
from clearhead.ops.panels import Panels
from clearhead.plan import Step

if TYPE_CHECKING:
    from clearhead.compiled.program.schedule import Plan

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
    steps: Sequence[Step], kept: Set[str], sizes: Sizes, arrays: Mapping[str, Array], *, engine: Engine
) -> Plan | None:
    """The stages in which compiled code computes steps for arrays like these; None where array code computes them.

    Raises:
        SpecError: the engine is ``"compiled"``, and compiled code cannot do it.
    """
    lines = [line for step in steps for line in step.lines]
    if engine == "auto" and _is_small(sizes):
        return None
    if obstacle := _obstacle(lines, sizes, arrays):
        if engine == "compiled":
            raise SpecError(f'engine="compiled" cannot be used: {obstacle}. Use engine="auto" to fall back.')
        return None
    from clearhead.compiled.program.schedule import plan_of

    return plan_of(steps, kept, sizes, arrays)


def is_compiled(lines: Sequence[Line], sizes: Sizes, arrays: Mapping[str, Array], engine: Engine) -> bool:
    """Whether compiled code computes lines for arrays like these."""
    if engine == "array" or (engine == "auto" and _is_small(sizes)):
        return False
    return not _obstacle(lines, sizes, arrays)


def _is_small(sizes: Sizes) -> bool:
    return sum(map(prod, sizes.shapes.values())) < MIN_CELLS


def _obstacle(lines: Sequence[Line], sizes: Sizes, arrays: Mapping[str, Array]) -> str:
    """Why compiled code cannot compute lines for arrays like these; empty if it can."""
    if others := [each for each in arrays.values() if not isinstance(each, np.ndarray | Panels)]:
        return f"it is for NumPy arrays, and there is one of {type(others[0]).__module__.partition('.')[0]}"
    if wrong := [f"{n} is {a.dtype}" for n, a in arrays.items() if a.dtype.kind == "f" and a.dtype != np.float32]:
        return f"it is for float32, and {wrong[0]}"
    if len(sizes.batches) > 1:
        return f"it is for one kind of batch, and there are {' and '.join(map(str, sorted(sizes.batches)))}"
    if sizes.batches and (mixing := next((line.name for line in lines if _mixes(line, sizes.axes)), None)):
        return f"it computes the examples of a batch one by one, and {mixing} reads several"
    return "" if _is_possible() else "it needs the packages numba and threadpoolctl, and an OpenBLAS"


def _mixes(line: Line, axes: Mapping[str, Axes]) -> bool:
    """Whether a line has a formula for axes of a batch."""
    formula = line.formula
    operands = (len(letters) > len(axes[name]) for name, letters in zip(line.operands, formula.operands, strict=True))
    return len(formula.result) > len(line.axes) or any(operands)


@cache
def _is_possible() -> bool:
    if find_spec("numba") is None or find_spec("threadpoolctl") is None:
        return False
    from clearhead.compiled.program.blas import sgemm

    return sgemm() is not None


def run_planned(plan: Plan, values: dict[str, Array], flags: dict[str, Array]) -> None:
    """Runs all stages of a plan; adds their lines to the values, and flags of remarks to the flags."""
    from clearhead.compiled.program.running import run

    run(plan, values, flags)
