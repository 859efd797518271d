"""Deviations planted in random problems of many kinds, and whether the diagnosis names them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from clearhead import Attention, Backward, Block, Claim, Head, Loss, Mlp, Norm, Positions, Rotary, diagnose
from clearhead.check import Report
from clearhead.check.search.plans import written
from clearhead.deviations import Applied, candidates, parse_deviation
from clearhead.deviations.rounding import CARRIED, SHOWN
from clearhead.deviations.table import DEVIATIONS
from clearhead.errors import ClearheadError
from clearhead.line import Given
from clearhead.ops import as_parameters
from clearhead.spec import (
    Delta,
    Disentangled,
    Embedding,
    Experts,
    Extra,
    Growth,
    Linear,
    Optimizer,
    Relative,
    Transformer,
)  # fmt: skip
from clearhead.spec.optimizer import NEW
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

DECIMALS = (4, 5, 6)
"""How precisely people write numbers down; the planted ones are claimed to one of these."""

LARGEST = 1e6
"""Numbers beyond this are no longer right to six decimals in every order of sums."""


class Kind(Struct, frozen=True):
    """A kind of problem: how it is computed, the size of each axis, and how large its numbers are.

    With a ``unit`` all numbers are whole multiples of it, as people choose them who work by hand.
    """

    working: Working
    sizes: Mapping[str, int]
    unit: float | None = None
    scale: float = 1.0
    claimed: tuple[str, ...] = ()

    def arrays(self, seed: int = 0) -> Arrays:
        """Random arrays: numbers around 0, gains around 1; masks that hide every third cell."""
        rng = np.random.default_rng(seed)
        return {given.name: self._draw(rng, given, seed) for given in self.working.givens}

    def _draw(self, rng: np.random.Generator, given: Given, seed: int) -> np.ndarray[Any, Any]:
        sizes = {"head*depth": self.sizes.get("head", 0) * self.sizes.get("depth", 0), **self.sizes}
        sizes |= self.working.sizes
        shape = [sizes[word] for word in given.axes]
        if "batch" in self.sizes and given.name.rpartition(".")[2] in ("input", "padding"):
            shape = [self.sizes["batch"], *shape]
        if given.holds == "booleans":
            return (np.arange(np.prod(shape)) + seed).reshape(shape) % 3 != 1
        if given.holds == "integers":
            return rng.integers(0, self.sizes["vocabulary"], shape)
        if self.unit is not None:
            return rng.integers(-4, 5, shape) * self.unit
        if given.name.endswith("mask"):
            return np.where(rng.random(shape) < 0.3, -np.inf, rng.normal(size=shape))
        return self.scale * rng.normal(size=shape) + (given.name.endswith("gain"))


def _kind(spec: Attention | Block | Transformer, unit: float | None = None, scale: float = 1.0, **sizes: int) -> Kind:
    return Kind(spec.working(), sizes, unit, scale)


KINDS: dict[str, Kind] = {
    "by hand": _kind(Block(Attention(2), norm=Norm(eps=0, gain=False)), 0.5, token=3, model=4, depth=2, head=2),
    "plain heads": _kind(Attention(2), token=3, model=4, depth=2, head=2),
    "large scores": _kind(Attention(2), scale=5.0, token=3, model=4, depth=2, head=2),
    "many features": _kind(Attention(3, output=False), token=4, key=4, model=5, depth=4, head=3),
    "causal": _kind(Attention(2, causal=True), token=4, model=6, depth=3, head=2),
    "padding": _kind(Attention(2, padding=True), token=4, key=4, model=6, depth=3, head=2),
    "boolean mask": _kind(Attention(2, mask="boolean"), token=4, query=4, key=4, model=6, depth=3, head=2),
    "additive mask": _kind(Attention(2, mask="additive"), token=4, query=4, key=4, model=6, depth=3, head=2),
    "grouped": _kind(Attention(4, kv_heads=2), token=3, model=8, depth=2, head=4),
    "rotary, halves": _kind(Attention(2, rotary=Rotary()), token=3, model=8, depth=4, head=2),
    "rotary, neighbours": _kind(Attention(2, rotary=Rotary("interleaved", width=4)), token=3, model=7, depth=6, head=2),
    "cross-attention": _kind(Attention(2, memory=True), token=3, key=4, model=6, depth=3, head=2),
    "memory of equal length": _kind(Attention(2, memory=True), token=3, key=3, model=6, depth=3, head=2),
    "wide heads": _kind(Attention(2), token=3, model=4, depth=4, head=2),
    "alibi": _kind(Attention(3, alibi=True), token=4, model=6, depth=2, head=3),
    "window": _kind(Attention(2, window=3, causal=True), token=5, model=6, depth=3, head=2),
    "soft-cap": _kind(Attention(2, softcap=1.5, causal=True), token=4, model=6, depth=3, head=2),
    "own scale": _kind(Attention(2, scale=0.3, output=False), token=4, model=5, depth=3, head=2),
    "cache alone": _kind(Attention(2, cache=True, causal=True), token=3, past=2, model=5, depth=4, head=2),
    "cache": _kind(
        Attention(2, cache=True, causal=True, padding=True, rotary=Rotary()),
        token=2, past=3, key=5, model=8, depth=4, head=2,
    ),
    "batch": _kind(Attention(2, padding=True), batch=2, token=4, key=4, model=6, depth=3, head=2),
    "batch of blocks": _kind(Block(Attention(2), norm=Norm(eps=0.01)), batch=3, token=3, model=4, depth=2, head=2),
    "encoder block": _kind(
        Block(Attention(2, bias=("query", "key", "value", "output")), norm=Norm(eps=0.01), mlp=Mlp(bias=True),
              positions=Positions("sinusoidal")),
        token=3, model=4, depth=2, head=2, hidden=5,
    ),
    "decoder block": _kind(
        Block(Attention(4, kv_heads=2, causal=True, rotary=Rotary(), qk_norm=Norm("rms")), norm=Norm("rms"),
              placement="pre", mlp=Mlp("silu", gated=True)),
        token=3, model=8, depth=4, head=4, hidden=5,
    ),
    "scaled rotary": _kind(
        Attention(2, rotary=Rotary(scaling=Linear(4.0), amplitude=1.3)), token=3, model=8, depth=4, head=2
    ),
    "clips and factors": _kind(
        Block(Attention(2, clip=0.9, sink=True), residual_scale=0.4, output_gain=True,
              mlp=Mlp("silu", gated=True, limit=0.3)),
        token=3, model=4, depth=3, head=2, hidden=4,
    ),
    "cross-attention block": _kind(Block(Attention(2, memory=True)), token=3, key=3, model=6, depth=3, head=2),
    "embedding": _kind(
        Transformer(Embedding(scale=3.0), (Block(Attention(2)),)), token=3, vocabulary=5, model=4, depth=2, head=2
    ),
    "experts": _kind(
        Block(Attention(2), mlp=Mlp("silu", experts=Experts(4, 2))), token=3, model=4, depth=2, head=2, hidden=3
    ),
    "experts in groups": _kind(
        Block(Attention(2), mlp=Mlp("silu", experts=Experts(
            6, 2, "sigmoid", renormalise=False, correction=True, groups=3, chosen_groups=2, scale=1.7, shared=True,
            shared_gate=True,
        ))),
        token=5, model=4, depth=2, head=2, hidden=3,
    ),
    "learned distances": _kind(Attention(2, relative=Relative(8, 16)), token=4, model=6, depth=3, head=2),
    "content and distance": _kind(Attention(2, disentangled=Disentangled(4, 9)), token=5, model=6, depth=3, head=2),
    "experts one by one": _kind(
        Block(Attention(2), mlp=Mlp("silu", experts=Experts(5, 2, "one-by-one", renormalise=False, tolerance=0.5))),
        token=5, model=6, depth=3, head=2, hidden=3,
    ),
    "block of three parts": _kind(
        Block(Attention(2, value_norm=Norm("rms", gain=False)), mlp=Mlp(), extra=Extra(), gain=True),
        token=5, model=4, depth=3, head=2, hidden=3, extra=3,
    ),
    "growing queries": _kind(
        Block(Attention(2, growth=Growth(0.7, 2)), stream_scale=0.4), token=5, model=5, depth=3, head=2
    ),
    "delta": _kind(
        Attention(4, causal=True, delta=Delta(4, key_heads=2)), token=4, model=5, depth=3, head=4, tap=3
    ),
    "gated heads": _kind(Attention(2, gated=True), token=3, model=4, depth=2, head=2),
    "norm of all heads": _kind(
        Attention(2, qk_norm=Norm("rms"), qk_norm_over="heads"), token=3, model=4, depth=3, head=2
    ),
}  # fmt: skip
"""The kinds by name."""


def _gradients(
    spec: Attention | Block | Transformer,
    ignored: int | None = None,
    reduction: Literal["mean", "sum"] = "mean",
    **sizes: int,
) -> Kind:
    """A kind in which the gradients of all weights are claimed."""
    forward = spec.working()
    ends_with_loss = not forward.line(forward.lines[-1].name).axes
    working = Backward(
        loss=None if ends_with_loss else Loss(reads="logits", ignored=ignored, reduction=reduction)
    ).working(forward)
    claimed = tuple(f"{given.name}.grad" for given in forward.givens if given.holds == "numbers")
    return Kind(working, sizes, claimed=claimed)


def _steps(spec: Attention, **sizes: int) -> Kind:
    """A kind in which the weights after each step of training are claimed."""
    forward = spec.working()
    optimizer = Optimizer("adamw", 0.1, steps=2, betas=(0.9, 0.99), eps=0.01, decay=0.3, clip=0.3)
    working = Backward(loss=Loss(reads="logits"), optimizer=optimizer).working(forward)
    claimed = tuple(line.name for line in working.lines if line.name.endswith(NEW))
    return Kind(working, sizes, claimed=claimed)


GRADIENTS: dict[str, Kind] = {
    "heads": _gradients(Attention(2), token=4, model=4, depth=4, head=2, vocabulary=4),
    "causal block": _gradients(
        Block(Attention(2, causal=True, bias=True), Norm(), "pre", Mlp("gelu", bias=True)), 0,
        token=4, model=6, depth=3, head=2, hidden=5, vocabulary=6,
    ),
    "grouped, rotary": _gradients(
        Attention(4, kv_heads=2, rotary=Rotary(), softcap=2.0), token=3, model=8, depth=4, head=4, vocabulary=8
    ),
    "gated": _gradients(
        Block(Attention(1), mlp=Mlp("silu", gated=True)), token=3, model=4, depth=2, head=1, hidden=3, vocabulary=4
    ),
    "table of embeddings": _gradients(
        Transformer(Embedding(), head=Head(), loss=Loss(reads="logits")), token=5, vocabulary=3, model=4
    ),
    "causal, biased": _gradients(
        Attention(2, causal=True, bias=True), token=4, model=6, depth=3, head=2, vocabulary=6
    ),
    "norms after": _gradients(
        Block(Attention(2), Norm(), "post", Mlp("gelu-tanh")), token=3, model=6, depth=3, head=2, hidden=5, vocabulary=6
    ),
    "decoder": _gradients(
        Block(Attention(4, kv_heads=2, causal=True, rotary=Rotary()), Norm("rms"), "pre", Mlp("silu", gated=True)),
        token=4, model=6, depth=4, head=4, hidden=5, vocabulary=6,
    ),
    "one key for all, interleaved": _gradients(
        Attention(3, kv_heads=1, causal=True, rotary=Rotary("interleaved")), token=4, model=5, depth=4, head=3,
        vocabulary=5,
    ),
    "windows": _gradients(
        Attention(2, causal=True, window=2, softcap=1.5), 0, token=5, model=4, depth=3, head=2, vocabulary=4
    ),
    "norms of queries and keys": _gradients(
        Attention(2, causal=True, qk_norm=Norm("rms")), token=4, model=4, depth=3, head=2, vocabulary=4
    ),
    "model of one layer": _gradients(
        Transformer(Embedding(), (Block(Attention(2, causal=True), Norm(), "pre", Mlp("relu")),), head=Head(),
                    loss=Loss(reads="logits")),
        token=5, vocabulary=4, model=4, depth=2, head=2, hidden=5,
    ),
    "dropout": _gradients(
        Block(Attention(2, dropout=0.25), Norm(), "pre", Mlp("tanh", bias=True)),
        token=4, query=4, key=4, model=5, depth=3, head=2, hidden=6, vocabulary=5,
    ),
    "cache and sink": _gradients(
        Attention(2, causal=True, cache=True, sink=True), token=3, key=5, past=2, model=4, depth=3, head=2, vocabulary=4
    ),
    "masks, sum of losses": _gradients(
        Attention(2, mask="boolean", padding=True), reduction="sum", token=4, query=4, key=4, model=4, depth=3, head=2,
        vocabulary=4,
    ),
    "two steps of AdamW": _steps(Attention(1), token=4, model=4, depth=3, head=1, vocabulary=4),
}  # fmt: skip
"""The kinds in which rows of gradients are planted, by name."""


def _losses(spec: Transformer, **sizes: int) -> Kind:
    """A kind in which the losses of tokens or cells are claimed, and their mean or sum."""
    working = spec.working()
    return Kind(working, sizes, claimed=tuple(n for n in ("loss.token", "loss.cell", "loss") if n in working.names))


LOSSES: dict[str, Kind] = {
    "cross-entropy": _losses(Transformer(Embedding(), head=Head(), loss=Loss()), token=4, vocabulary=5, model=3),
    "smoothing, ignored targets": _losses(
        Transformer(Embedding(), head=Head(), loss=Loss(smoothing=0.2, ignored=0, reads="logits")),
        token=9, vocabulary=4, model=3,
    ),
    "weights of classes": _losses(
        Transformer(Embedding(), head=Head(), loss=Loss(weighted=True)), token=5, vocabulary=4, model=3
    ),
    "sum of losses": _losses(
        Transformer(Embedding(), head=Head(), loss=Loss(reduction="sum")), token=4, vocabulary=5, model=3
    ),
    "squared error": _losses(
        Transformer(Embedding(), (Block(Attention(1)),), loss=Loss("squared-error")),
        token=3, vocabulary=5, model=4, depth=2, head=1,
    ),
}  # fmt: skip
"""The kinds in which rows of losses are planted, by name."""


class Planted(Struct, frozen=True):
    """What came of deviations planted in a problem: the claims they make, and the report on these."""

    planted: tuple[Applied, ...]
    claims: tuple[Claim, ...]
    report: Report

    @property
    def texts(self) -> frozenset[str]:
        """The planted deviations as text."""
        return frozenset(map(written, self.planted))

    @property
    def found(self) -> bool:
        """Whether a finding has just what was planted."""
        return any(frozenset(finding.deviations) == self.texts for finding in self.report.findings)

    @property
    def result(self) -> str:
        """In a word: how it was found."""
        if self.report.verdict == "agrees":
            return "not visible"
        if self.report.symptom:
            return "symptom"
        if not self.found:
            return "MISSED"
        return "alone" if self.report.fitting == 1 else f"of {self.report.fitting}"


def plant(kind: Kind, arrays: Arrays, planted: Iterable[Applied], seed: int, most: int) -> Planted | None:
    """Plants deviations and diagnoses what they give; None if they cannot be, or its shape shows it."""
    planted = tuple(planted)
    working = kind.working
    try:
        for each in sorted(planted, key=lambda each: each.id in (*CARRIED, *SHOWN)):
            working = each.rewrite(working)
        trace = working.run({given.name: arrays[given.name] for given in working.givens})
        textbook = kind.working.run(arrays)
    except (ClearheadError, ValueError):
        return None
    names = [each.name for each in kind.working.lines if _comes_out(each.name, trace, textbook)]
    if kind.claimed:
        names = [each for each in kind.claimed if trace[each].shape == textbook[each].shape]
    elif kind.working.lines[-1].name not in names:
        return None
    claims = tuple(_claims(names, trace, np.random.default_rng(seed), shown=_shown(planted)))
    return Planted(planted, claims, diagnose(claims, textbook, max_deviations=most))


def _shown(planted: Iterable[Applied]) -> set[str]:
    return {str(dict(each.parameters)["line"]) for each in planted if each.id in SHOWN}


def _comes_out(name: str, trace: Trace, textbook: Trace) -> bool:
    """Whether a line is one that people write down, in the shape that it should have, with numbers of ordinary size."""
    axes = textbook.working.axes[name]
    if not {"query", "token"} & set(axes) or "pair" in axes or len(axes) == 1 or name not in trace:
        return False
    numbers = trace[name]
    return numbers.shape == textbook[name].shape and not np.any(np.abs(numbers[np.isfinite(numbers)]) > LARGEST)


def _claims(names: Sequence[str], trace: Trace, rng: np.random.Generator, shown: set[str]) -> Iterator[Claim]:
    """What somebody would write down: every line, or the last alone."""
    decimals = int(rng.choice(DECIMALS))
    last = rng.random() < 0.5 and not shown and not names[-1].endswith(".grad")
    for name in names[-1:] if last else names:
        yield Claim.of(name, np.round(trace[name], decimals), decimals=decimals)


def choices(kind: Kind, arrays: Arrays, id: str) -> tuple[Applied, ...]:
    """The values of a deviation's parameters that are tried on these arrays; for rounding a line that is not exact."""
    if id in CARRIED or id in SHOWN:
        line, decimals = ("query", 1) if kind.unit else ("weights", 2)
        # A gated delta net has no weights, but what each token reads of each other.
        name = next(each.name for each in kind.working.lines if each.name.split(".")[-1] in (line, "read"))
        if id.endswith("half-even") and not kind.unit:
            return ()
        if id == "shown-transposed":
            return (Applied(id, (("line", name.replace("query", "weights")),)),)
        return (Applied(id, as_parameters({"line": name, "decimals": decimals})),)
    if id == "line-reordered":
        line = kind.working.lines[-1]
        if len(line.axes) < 2:
            return ()
        order = "-".join(str(number + kind.working.label_base) for number in (2, 0, 1, *range(3, kind.sizes["token"])))
        return (parse_deviation(f"{id}:line={line.name},axis={line.axes[-2]},order={order}"),)
    if id in BY_MATCHING:
        return tuple(parse_deviation(f"{id}:{each}") for each in BY_MATCHING[id])
    shapes = tuple((given, array.shape) for given, array in arrays.items())
    return tuple(each for each in _candidates(kind.working, shapes) if each.id == id)


BY_MATCHING = {
    "rounded-by-hand": ("decimals=2,at=steps", "decimals=2,at=lines"),
    "groups-mapped": ("order=2-2-1-1,role=both", "order=1-2-2-1,role=value"),
    "embedding-factor": ("factor=2.5", "factor=0.37"),
    "window-width": ("width=1",),
    "clip-added": ("limit=0.7",),
    "mlp-limit-added": ("limit=0.4,up=plain", "limit=0.4,up=plus-one"),
    "limit-of-other-size": ("limit=0.3",),
    "residual-scale-added": ("factor=0.37",),
}
"""What no list has, but a fit or a match finds."""


@cache
def _candidates(working: Working, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[Applied, ...]:
    return candidates(working, dict(shapes))


MAX_CHOICES = 1
"""Of a deviation's parameters this many values are planted in each kind, others in other kinds."""


def column(name: str, ids: Iterable[str] = DEVIATIONS, seed: int = 0) -> dict[str, list[str]]:
    """For each of these deviations what came of planting it in problems of a kind: nothing where it does not apply."""
    kind = (KINDS | LOSSES | GRADIENTS)[name]
    arrays = kind.arrays(seed)
    return {id: list(_results(kind, arrays, id, seed)) for id in ids}


def _results(kind: Kind, arrays: Arrays, id: str, seed: int) -> Iterator[str]:
    rng = np.random.default_rng(seed + sum(map(ord, id)) + len(kind.working.lines))
    tried = choices(kind, arrays, id)
    for index in sorted(rng.permutation(len(tried))[:MAX_CHOICES]):
        found = plant(kind, arrays, [tried[index]], seed=int(rng.integers(1 << 30)), most=1)
        if found is not None:
            yield found.result


PAIRS = 60
"""How many pairs are planted."""


class Pair(Struct, frozen=True):
    """Two deviations for a problem of a kind."""

    kind: str
    seed: int
    deviations: tuple[Applied, Applied]

    def missed(self) -> bool:
        """Whether they are not found: as the pair they are, unless one or none of them would give the same numbers."""
        kind = KINDS[self.kind]
        made = plant(kind, kind.arrays(self.seed), self.deviations, seed=self.seed, most=2)
        if made is None or made.report.verdict == "agrees" or not _commute(kind.working, *self.deviations):
            return False
        sizes = {len(finding.deviations) for finding in made.report.findings}
        named = made.found or sizes == {1} or made.report.fitting > len(made.report.findings)
        return made.report.verdict != "explained" or not named


def pairs() -> Iterator[Pair]:
    """Pairs of different deviations, from kinds in turn, with a fixed seed."""
    rng = np.random.default_rng(2026)
    left_out = ("encoder block", "decoder block", "cache", "delta", "gated heads", "norm of all heads")
    kinds = [name for name in KINDS if name not in left_out]
    for number in range(PAIRS):
        kind = kinds[number % len(kinds)]
        arrays = KINDS[kind].arrays(seed=number)
        tried = [each for id in DEVIATIONS for each in choices(KINDS[kind], arrays, id)]
        one, other = rng.choice(len(tried), 2, replace=False)
        if tried[one].id != tried[other].id:
            yield Pair(kind, number, (tried[one], tried[other]))


def _commute(working: Working, one: Applied, other: Applied) -> bool:
    """Whether two deviations mean the same in either order; two ways to scale, for instance, do not."""
    try:
        return other.rewrite(one.rewrite(working)) == one.rewrite(other.rewrite(working))
    except ClearheadError:
        return True
