"""Where a proposed problem is entered: at the earliest lines of which all numbers are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.errors import ProblemError
from clearhead.problems.problem import Computed
from clearhead.problems.proposal.example import Address, Example
from clearhead.problems.proposal.reading import ROOT_OF_DEPTH
from clearhead.problems.proposal.values import NOTHING, NumpyArray, Value
from clearhead.spec import Attention, Block, Head, Loss, Norm, Positions, Transformer

PER_HEAD = ("query", "key", "value", "scores", "scaled", "masked", "weights", "head")
PARTS = ("query", "key", "value")
NAMES = {"softmax": "probabilities", "affine": "norm", "positions": "position"}
"""What lines of an example are called in a problem, where that is another word."""


class Entry(Struct, frozen=True):
    """What is computed, from which arrays, and what the lines of the example are called there."""

    spec: Computed
    arrays: dict[str, NumpyArray]
    given: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    heads: tuple[int, ...] = (0,)
    unsure: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def line_of(self, address: Address) -> str | None:
        """The name of a line of the example; None for one that the problem does not compute."""
        role, head = address
        if role not in self.known:
            return None
        if role not in PER_HEAD:
            role = "concat" if role == "output" and "output.weight" not in self.arrays else role
            return NAMES.get(role, "norm.normalized" if role == "norm" and "affine" in self.known else role)
        if head in self.heads:
            return f"{role}@{self.heads.index(head) + 1}"
        return f"{role}@1" if len(self.heads) == 1 else None


def entry(example: Example) -> Entry:
    """The earliest entry that the numbers of an example allow.

    Raises:
        ProblemError: there is none.
    """
    tries: tuple[Callable[[Example], Entry | None], ...] = (
        _projected, _unprojected, _from_parts, _from_scores, _softmax, _norm, _positions,
    )  # fmt: skip
    for each in tries:
        found = each(example)
        if found is not None:
            return found
    raise ProblemError(
        "no line of attention is found whose numbers are all written out or printed: not the input with its weights, "
        "nor queries and keys, nor scores. Print them in the notebook, and try again."
    )


def _projected(example: Example) -> Entry | None:
    """From the input and the weights of queries, keys and, if they are known, values."""
    heads = example.heads
    weights: dict[str, list[NumpyArray]] = {}
    inputs: list[NumpyArray] = []
    for part in PARTS:
        found = [example.lines.get((part, head), NOTHING) for head in heads]
        if all(len(each.parts) == 2 and each.parts[0].matrix and each.parts[1].matrix for each in found):
            weights[part] = [_known(each.parts[1]) for each in found]
            inputs += [_known(each.parts[0]) for each in found]
    if not {"query", "key"} <= weights.keys() or not _alike(inputs) or not all(map(_alike_shapes, weights.values())):
        return None
    arrays = {"input": inputs[0]} | {f"{part}.weight": np.stack(each) for part, each in weights.items()}
    depth = weights["query"][0].shape[1]
    return _attention(example, arrays, (), depth, values="value" in weights)


def _unprojected(example: Example) -> Entry | None:
    """Queries, keys and values that are the input itself."""
    scores = example.lines.get(("scores", 0), NOTHING)
    if (
        len(scores.parts) != 2
        or not all(each.matrix for each in scores.parts)
        or not _alike([_known(each) for each in scores.parts])
    ):
        return None
    tokens = _known(scores.parts[0])
    return _attention(example, {"input": tokens}, (), tokens.shape[1], values=True, projected=False)


def _from_parts(example: Example) -> Entry | None:
    """From queries, keys and, if they are known, values."""
    found = {part: [_numbers(example, part, head) for head in example.heads] for part in PARTS}
    known = {part: each for part, each in found.items() if all(one is not None and one.ndim == 2 for one in each)}
    if not {"query", "key"} <= known.keys():
        return None
    arrays = {part: np.stack([one for one in each if one is not None]) for part, each in known.items()}
    return _attention(example, arrays, tuple(arrays), arrays["query"].shape[-1], values="value" in known)


def _numbers(example: Example, part: str, head: int) -> NumpyArray | None:
    """The numbers of a part, also where it has no name of its own but stands in the product of the scores."""
    found = example.numbers((part, head))
    scores = example.lines.get(("scores", head), NOTHING)
    if found is None and len(scores.parts) == 2 and part != "value":
        found = scores.parts[PARTS.index(part)].array
    if found is not None and found.ndim == 1 and part == "query":
        found = found[None]  # one query
    if found is None and part == "value":
        result = example.lines.get(("head", head), NOTHING)
        found = result.parts[1].array if len(result.parts) == 2 else None
    return found


def _from_scores(example: Example) -> Entry | None:
    """From scores, scaled or not, to the weights."""
    for role in ("scores", "scaled"):
        found = [example.numbers((role, head)) for head in example.heads]
        known = [each for each in found if each is not None and each.ndim == 2]
        if len(known) == len(found):
            return _attention(example, {role: np.stack(known)}, (role,), None, values=False)
    return None


def _attention(
    example: Example,
    arrays: dict[str, NumpyArray],
    given: tuple[str, ...],
    depth: int | None,
    *,
    values: bool,
    projected: bool = True,
) -> Entry:
    """Attention from these arrays, with what follows it in the example."""
    unsure: list[str] = []
    settings: dict[str, Any] = {"heads": len(example.heads), "output": False, "projected": projected}
    if given != ("scaled",):
        settings |= _scale(example, depth, unsure)
    if example.facts.get("causal"):
        settings["causal"] = True
        unsure.append(f"a causal mask is taken to be meant by {example.facts['causal']}.")
    known = [role for role in ("query", "key", "scores", "scaled", "masked", "weights") if role not in given]
    until: tuple[str, ...] = () if values else ("weights",)
    spec: Computed = Attention(**settings)
    if values:
        known += [role for role in ("value", "head", "concat") if role not in given]
        output = example.lines.get(("output", 0), NOTHING)
        if len(output.parts) == 2 and output.parts[1].matrix:
            settings["output"] = True
            arrays = {**arrays, "output.weight": _known(output.parts[1])}
        attention = Attention(**settings)
        spec = attention
        known.append("output")
        if ("residual", 0) in example.lines and "input" in arrays:
            norm = _norm_of(example, unsure) if ("norm", 0) in example.lines else None
            spec = Block(attention=attention, norm=norm)
            known += ["residual", "norm"]
    elif ("head", example.heads[0]) in example.lines:
        unsure.append("the values are neither written out nor printed, so the problem ends at the weights.")
    return Entry(spec, arrays, given, until, tuple(example.heads), tuple(unsure), tuple(known))


def _scale(example: Example, depth: int | None, unsure: list[str]) -> dict[str, float]:
    """What scores are multiplied with, where it is not the textbook's root of the depth."""
    seen = example.facts.get("scale", [])
    if not seen:
        if depth == 1 or not any(role == "weights" for role, _ in example.lines):
            return {}
        unsure.append("no scale was seen between scores and softmax, so it is 1 here. The textbook has 1/sqrt(depth).")
        return {"scale": 1.0}
    operator, number = seen[-1]
    if number == ROOT_OF_DEPTH and depth is not None:
        return {}
    if not isinstance(number, float) or not number:
        if depth is None:
            unsure.append("scores are divided by a number that is not written out; scale is 1 here. Put in what it is.")
            return {"scale": 1.0}
        unsure.append("the divisor of the scores is not written out; the textbook's sqrt(depth) is taken.")
        return {}
    factor = 1 / number if operator == "Div" else number
    if depth is not None and math.isclose(factor, 1 / math.sqrt(depth), rel_tol=1e-6):
        return {}
    return {"scale": factor}


def _norm_of(example: Example, unsure: list[str]) -> Norm:
    if "eps" in example.facts:
        return Norm(eps=float(example.facts["eps"]), gain=False)
    unsure.append("the eps of the norm is not written out; 1e-5 is taken, and no gain.")
    return Norm(gain=False)


def _softmax(example: Example) -> Entry | None:
    """A softmax of numbers that belong to no attention, with the cross-entropy of targets."""
    value = example.lines.get(("softmax", 0), NOTHING)
    if not value.parts or value.parts[0].array is None or value.parts[0].array.ndim not in (1, 2):
        return None
    arrays = {"logits": np.atleast_2d(value.parts[0].array)}
    loss = example.lines.get(("loss.token", 0), NOTHING).parts
    if loss and loss[0] is value:
        spec, target = Transformer(head=Head(), loss=Loss()), {"target": _known(loss[1])}
        return Entry(spec, arrays | target, ("logits",), known=("softmax", "loss.token"))
    spec = Transformer(head=Head(probabilities=True))
    return Entry(spec, arrays, ("logits",), ("probabilities",), known=("softmax",))


def _norm(example: Example) -> Entry | None:
    """A norm of numbers that are written out, with the gain and the bias that follow it."""
    value = example.lines.get(("norm", 0), NOTHING)
    if not value.parts or not value.parts[0].matrix:
        return None
    unsure: list[str] = []
    norm, arrays = _norm_of(example, unsure), {"residual": _known(value.parts[0])}
    factors = example.lines.get(("affine", 0), NOTHING).parts[1:]
    if factors:
        norm = replace(norm, gain=True, bias=len(factors) > 1)
        arrays |= {f"norm.{name}": _known(each) for name, each in zip(("gain", "bias"), factors, strict=False)}
    known = ("norm", "affine") if factors else ("norm",)
    spec = Block(attention=Attention(heads=1), norm=norm)
    return Entry(spec, arrays, ("residual",), unsure=tuple(unsure), known=known)


def _positions(example: Example) -> Entry | None:
    """Sinusoidal positions from the first on, as many as were printed."""
    shown = example.numbers(("positions", 0))
    if shown is None or shown.ndim != 2 or shown.shape[1] % 2:
        return None
    base = example.facts.get("base", 10000.0)
    unsure = f"a function with sines and cosines is taken for sinusoidal positions with the base {base:g}, from 0 on."
    spec = Positions(kind="sinusoidal", width=shown.shape[1], base=base)
    return Entry(spec, {"index": np.arange(len(shown))}, unsure=(unsure,), known=("positions",))


def _known(value: Value) -> NumpyArray:
    assert value.array is not None  # noqa: S101 - who asks has looked
    return value.array


def _alike(arrays: list[NumpyArray]) -> bool:
    return all(np.array_equal(each, arrays[0]) for each in arrays)


def _alike_shapes(arrays: list[NumpyArray]) -> bool:
    return len({each.shape for each in arrays}) == 1
