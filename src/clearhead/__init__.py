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
    from clearhead.check import (
        Adapted,
        Autograd,
        Compared,
        Comparison,
        Finding,
        GradientProbe,
        Indistinguishable,
        Judged,
        NearMiss,
        Place,
        Probe,
        Report,
        Separation,
        Slope,
        adapt,
        assert_agrees,
        autograd,
        diagnose,
        probe,
        probe_gradients,
    )
    from clearhead.check.compare.comparison import compare
    from clearhead.check.measure.laws import Law
    from clearhead.check.measure.measure import measure
    from clearhead.check.measure.parts import Measurement, Part, Premise
    from clearhead.check.precision.arithmetic import Precision
    from clearhead.claim import Claim
    from clearhead.corpora import Corpus, Dask, Local, Options, corpus
    from clearhead.deviations import Applied, Deviation, Parameter, Span, deviate
    from clearhead.deviations.table import DEVIATIONS
    from clearhead.document import Document
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
    from clearhead.explanation import Explanation, Intermediate, Note
    from clearhead.expr import Expr, Formula, Index, Ref, call, formula, indices, mean, total, where
    from clearhead.inspection import Inspection, Received, inspect
    from clearhead.inspection.survey import Survey
    from clearhead.line import Given, Line
    from clearhead.models import Encoded, Family, Guess, Inputs, Key, Model, Tensor, Tokenizer, load
    from clearhead.ops import Operation, Remark, Step, operation
    from clearhead.ops.table import OPERATIONS
    from clearhead.problems import Problem, read_problem, widget, write_problem
    from clearhead.show import View, ViewOptions, render
    from clearhead.show.data.reading import read_trace
    from clearhead.spec import (
        Attention,
        Backward,
        Block,
        Delta,
        Disentangled,
        Draft,
        Dynamic,
        Embedding,
        Encoder,
        Experts,
        Extra,
        Extras,
        Factors,
        Frames,
        Frequencies,
        Growth,
        Head,
        Latent,
        Linear,
        Llama3Scaling,
        LongRope,
        Loss,
        Mlp,
        Norm,
        Optimizer,
        Patches,
        Positions,
        Proportional,
        Relative,
        Rotary,
        Transformer,
        Yarn,
    )
    from clearhead.trace import Trace
    from clearhead.working import BackwardOf, Working

__version__ = "0.1.0.dev0"

_HOMES = {
    "clearhead.check": (
        "Adapted Autograd Compared Comparison Finding GradientProbe Indistinguishable Judged NearMiss Place Probe "
        "Report Separation Slope adapt assert_agrees autograd diagnose probe probe_gradients"
    ),
    "clearhead.check.compare.comparison": "compare",
    "clearhead.check.measure.laws": "Law",
    "clearhead.check.measure.measure": "measure",
    "clearhead.check.measure.parts": "Measurement Part Premise",
    "clearhead.check.precision.arithmetic": "Precision",
    "clearhead.claim": "Claim",
    "clearhead.corpora": "Corpus Dask Local Options corpus",
    "clearhead.deviations": "Applied Deviation Parameter Span deviate",
    "clearhead.deviations.table": "DEVIATIONS",
    "clearhead.document": "Document",
    "clearhead.errors": (
        "CheckpointError ClearheadError FileError MissingPackage ProblemError ShapeError SpecError UnknownName "
        "WrongType"
    ),
    "clearhead.exercises.generate": "generate",
    "clearhead.expr": "Expr Formula Index Ref call formula indices mean total where",
    "clearhead.inspection": "Inspection Received inspect",
    "clearhead.inspection.survey": "Survey",
    "clearhead.line": "Given Line",
    "clearhead.models": "Encoded Family Guess Inputs Key Model Tensor Tokenizer load",
    "clearhead.ops": "Operation Remark Step operation",
    "clearhead.ops.table": "OPERATIONS",
    "clearhead.problems": "Problem read_problem widget write_problem",
    "clearhead.show": "View ViewOptions render",
    "clearhead.show.data.reading": "read_trace",
    "clearhead.spec": (
        "Attention Backward Block Delta Disentangled Draft Dynamic Embedding Encoder Experts Extra Extras Factors "
        "Frames Frequencies Growth Head Latent Linear Llama3Scaling LongRope Loss Mlp Norm Optimizer Patches Positions "
        "Proportional Relative Rotary Transformer Yarn"
    ),
    "clearhead.explanation": "Explanation Intermediate Note",
    "clearhead.trace": "Trace",
    "clearhead.working": "BackwardOf Working",
}
"""Where each public name is defined, several of a module in one text."""

_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DEVIATIONS", "OPERATIONS", "Adapted", "Applied", "Attention", "Autograd", "Backward", "BackwardOf", "Block",
    "CheckpointError", "Claim", "ClearheadError", "Compared", "Comparison", "Corpus", "Dask", "Delta", "Deviation",
    "Disentangled", "Document", "Draft", "Dynamic", "Embedding", "Encoded", "Encoder", "Experts", "Explanation", "Expr",
    "Extra", "Extras",
    "Factors",
    "Family", "FileError", "Finding", "Formula", "Frames", "Frequencies", "Given", "GradientProbe", "Growth", "Guess",
    "Head", "Index", "Indistinguishable", "Inputs", "Inspection", "Intermediate", "Judged", "Key", "Latent", "Law",
    "Line", "Linear", "Llama3Scaling", "Local", "LongRope", "Loss", "Measurement", "MissingPackage", "Mlp",
    "Model", "NearMiss", "Norm", "Note", "Operation", "Optimizer", "Options", "Parameter", "Part", "Patches",
    "Place", "Positions", "Precision", "Premise", "Probe", "Problem", "ProblemError", "Proportional", "Received",
    "Ref", "Relative", "Remark", "Report", "Rotary", "Separation", "ShapeError", "Slope", "Span", "SpecError",
    "Step", "Survey", "Tensor", "Tokenizer", "Trace", "Transformer", "UnknownName", "View", "ViewOptions",
    "Working", "WrongType", "Yarn", "adapt", "assert_agrees", "autograd", "call", "compare", "corpus", "deviate",
    "diagnose", "formula", "generate", "indices", "inspect", "load", "mean", "measure", "operation", "probe",
    "probe_gradients", "read_problem", "read_trace", "render", "total", "where", "widget", "write_problem",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
