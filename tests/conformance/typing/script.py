"""What a user writes, fully typed: mypy --strict and pyright accept every line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import clearhead
from clearhead import (
    Attention,
    Block,
    Claim,
    Comparison,
    Explanation,
    Llama3Scaling,
    Mlp,
    Model,
    Norm,
    Operation,
    Probe,
    Problem,
    Report,
    Rotary,
    Survey,
    Trace,
    View,
    Working,
)


def spec() -> Block:
    """A spec with everything that is chosen by a word."""
    scaling = Llama3Scaling(factor=8.0, fast=4.0, slow=1.0, context=8192)
    rotary = Rotary(layout="interleaved", scaling=scaling)
    attention = Attention(4, kv_heads=2, causal=True, mask="boolean", rotary=rotary, bias=True, qk_norm=Norm("rms"))
    return Block(attention, norm=Norm("layer", eps=1e-6), placement="pre", mlp=Mlp("silu", gated=True))


def compute(working: Working, arrays: dict[str, Any]) -> Trace:
    """A trace, and what is read off it."""
    trace = working.run(arrays, keep=["weights", "output"], tokens=["a", "b"])
    explained: Explanation = trace.explain("weights@1", 0, 0, decimals=4)
    print(explained.value + 1.0, working, clearhead.render(trace, "markdown", View(decimals=2)))
    trace.save("page.html", title="A page", decimals=2)
    trace.save(Path("sheet.xlsx"))
    trace.plot("weights", "entropy")
    return trace


def check(trace: Trace, mine: np.ndarray[Any, Any]) -> bool:
    """Claims compared and diagnosed."""
    claims = [Claim.of("weights", mine, decimals=3), Claim("output", "0.5", cell=(1, 1))]
    compared: Comparison = clearhead.compare(claims, trace)
    report: Report = clearhead.diagnose(claims, trace, max_deviations=2)
    clearhead.assert_agrees(mine, trace, "weights")
    return compared.agrees and report.verdict == "agrees" and not report.findings


def exercise() -> Problem:
    """A problem, changed and written."""
    problem = clearhead.generate(difficulty="hard", parts=("causal", "norm"), seed=3)
    wrong = clearhead.deviate(problem.working(), "softmax-over-queries")
    clearhead.write_problem(problem, "exercise.toml")
    print(wrong.run(problem.arrays).notes)
    return problem


def model(path: str) -> Survey:
    """A checkpoint, traced and inspected."""
    opened: Model = clearhead.load(path)
    print(opened.next(opened.trace("Hello"))[0])
    survey = opened.inspect("Hello")
    survey.save("table.csv", by="token")
    return survey


def probed(function: Any) -> Probe:
    """A function, probed."""
    return clearhead.probe(function, Attention(2).working())


def own_operations() -> dict[str, Operation]:
    """The table of operations."""
    return dict(clearhead.OPERATIONS)
