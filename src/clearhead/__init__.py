"""Transformer attention with all of its working shown.

>>> import clearhead
>>> trace = clearhead.read_problem("soccer").trace()
>>> print(trace.explain("head@2", 0, 0))
head@2[1,1] = 0.212*(-1) + 0.576*1 + 0.212*(-2) = -0.06

What is public is in ``__all__`` and described in docs/reference/api.md; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clearhead.check import Comparison, Report, adapt, assert_agrees, diagnose, probe
    from clearhead.check.compare.comparison import compare
    from clearhead.claim import Claim
    from clearhead.deviations import DEVIATIONS, Deviation, deviate
    from clearhead.errors import (
        CheckpointError,
        ClearheadError,
        FileError,
        MissingPackage,
        ProblemError,
        ShapeError,
        SpecError,
        UnknownName,
        WrongType,
    )
    from clearhead.exercises.generate import generate
    from clearhead.inspection import Inspection, inspect
    from clearhead.line import Given, Line
    from clearhead.models import Family, Model, load
    from clearhead.ops import OPERATIONS, Operation
    from clearhead.problems import Problem, read_problem, write_problem
    from clearhead.show import read_trace, render
    from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary
    from clearhead.trace import Explanation, Note, Trace
    from clearhead.working import Working

__version__ = "0.1.0.dev0"

_HOMES = {
    "clearhead.check": ("Comparison", "Report", "adapt", "assert_agrees", "compare", "diagnose", "probe"),
    "clearhead.claim": ("Claim",),
    "clearhead.deviations": ("DEVIATIONS", "Deviation", "deviate"),
    "clearhead.errors": (
        "CheckpointError",
        "ClearheadError",
        "FileError",
        "MissingPackage",
        "ProblemError",
        "ShapeError",
        "SpecError",
        "UnknownName",
        "WrongType",
    ),
    "clearhead.exercises": ("generate",),
    "clearhead.inspection": ("Inspection", "inspect"),
    "clearhead.line": ("Given", "Line"),
    "clearhead.models": ("Family", "Model", "load"),
    "clearhead.ops": ("OPERATIONS", "Operation"),
    "clearhead.problems": ("Problem", "read_problem", "write_problem"),
    "clearhead.show": ("read_trace", "render"),
    "clearhead.spec": ("Attention", "Block", "Mlp", "Norm", "Positions", "Rotary"),
    "clearhead.trace": ("Explanation", "Note", "Trace"),
    "clearhead.working": ("Working",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DEVIATIONS", "OPERATIONS", "Attention", "Block", "CheckpointError", "Claim", "ClearheadError", "Comparison",
    "Deviation", "Explanation", "Family", "FileError", "Given", "Inspection", "Line", "MissingPackage", "Mlp",
    "Model", "Norm", "Note", "Operation", "Positions", "Problem", "ProblemError", "Report", "Rotary", "ShapeError",
    "SpecError", "Trace", "UnknownName", "Working", "WrongType", "adapt", "assert_agrees", "compare", "deviate",
    "diagnose", "generate", "inspect", "load", "probe", "read_problem", "read_trace", "render", "write_problem",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
