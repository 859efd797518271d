"""Sets of deviations that give the same numbers, and data on which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from clearhead.axes import Shape
from clearhead.brief import Brief
from clearhead.claim import Claim
from clearhead.errors import ClearheadError
from clearhead.line import find, split_head
from clearhead.trace import Trace
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]
Set = tuple[str, ...]

TRIES = 6
"""How many random inputs of each size are tried."""

APART = 1e-3
"""How far predictions must be apart, relative to the largest, to differ on paper."""


class Separation(Brief, frozen=True, eq=False):
    """An input on which sets of deviations give different numbers.

    Attributes:
        arrays: the input by name.
        line: the line whose numbers differ.
        predictions: that line's numbers for each set.
        same_shapes: whether the arrays have the shapes of the original data.
        together: sets that this input does not separate from the first either.
    """

    arrays: Arrays
    line: str
    predictions: dict[Set, np.ndarray[Any, Any]]
    same_shapes: bool
    together: tuple[Set, ...] = ()


class Indistinguishable(Brief, frozen=True, eq=False):
    """Sets that give the same numbers for all ``claims``, with their ``workings``, the ``smallest`` smallest first."""

    claims: tuple[Claim, ...]
    workings: dict[Set, Working]
    smallest: int

    @property
    def sets(self) -> tuple[Set, ...]:
        """The sets, each as the texts of its deviations."""
        return tuple(self.workings)

    def separate(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Separation | None:
        """An input like ``arrays`` that separates the first set from as many as possible; None if none is found."""
        best: Separation | None = None
        for number, drawn in enumerate(_inputs(self.workings, arrays)):
            found = self._told_apart(drawn, same_shapes=number < TRIES)
            if found is not None and (best is None or len(found.together) < len(best.together)):
                best = found
            if best is not None and not best.together:
                break
        return best

    def _told_apart(self, drawn: Arrays, *, same_shapes: bool) -> Separation | None:
        numbers = {chosen: _run(working, drawn, self.claims) for chosen, working in self.workings.items()}
        first, *others = numbers
        one = numbers[first]
        if one is None:
            return None
        apart = [each for each in others if not same_numbers(one, numbers[each], APART)]
        together = tuple(each for each in others if each not in apart)
        for line in reversed(one):
            differ = [each for each in apart if not _same(one[line], (numbers[each] or {}).get(line), APART)]
            if differ:
                shown = {
                    each: (numbers[each] or {})[line] for each in (first, *differ) if line in (numbers[each] or {})
                }
                return Separation(drawn, line, shown, same_shapes, together)
        return None


def predictions(claims: Iterable[Claim], trace: Trace) -> Arrays:
    """The lines that are claimed, by the working's own names."""
    names = [find(split_head(claim.line)[0], trace.working.names) for claim in claims]
    return {name: trace.numpy(name) for name in trace if name in names}


def same_numbers(one: Arrays, other: Arrays | None, apart: float = 1e-9) -> bool:
    """Whether all lines of both are equal up to rounding."""
    return (
        other is not None and one.keys() == other.keys() and all(_same(one[name], other[name], apart) for name in one)
    )


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any] | None, apart: float) -> bool:
    if other is None or one.shape != other.shape:
        return False
    size = np.max(np.abs(one[np.isfinite(one)]), initial=1.0) if one.dtype.kind == "f" else 1.0
    return bool(np.allclose(one, other, rtol=0, atol=apart * size, equal_nan=True))


def _run(working: Working, arrays: Arrays, claims: Iterable[Claim]) -> Arrays | None:
    try:
        return predictions(claims, working.run({given.name: arrays[given.name] for given in working.givens}))
    except ClearheadError:
        return None


def _inputs(workings: Mapping[Set, Working], arrays: Mapping[str, np.ndarray[Any, Any]]) -> Iterator[Arrays]:
    """Random inputs of small numbers: of the same shapes first, then of greater depth, and of more tokens."""
    givens = {given.name: given for working in workings.values() for given in working.givens}
    axes = {name: given.axes for name, given in givens.items()}
    for number, grown in enumerate(_sizes(axes, arrays)):
        rng = np.random.default_rng(number)
        for _ in range(TRIES):
            yield {name: _draw(rng, grown[name], holds=givens[name].holds) for name in axes}


def _sizes(axes: Mapping[str, Sequence[str]], arrays: Mapping[str, np.ndarray[Any, Any]]) -> Iterator[dict[str, Shape]]:
    for more in ({}, {"depth": 2}, {"depth": 4}, {"token": 5, "query": 5, "key": 5}, {"model": 6}):
        shapes = {name: arrays[name].shape for name in axes}
        known = {word: n for name in axes for word, n in zip(axes[name], _core(shapes[name], axes[name]), strict=True)}
        grown = known | {word: size for word, size in more.items() if word in known}
        if "head*depth" in grown and "depth" in grown and known["depth"]:
            grown["head*depth"] = known["head*depth"] // known["depth"] * grown["depth"]
        yield {
            name: (*shape[: len(shape) - len(axes[name])], *(grown[word] for word in axes[name]))
            for name, shape in shapes.items()
        }


def _core(shape: Shape, words: Sequence[str]) -> Shape:
    return shape[len(shape) - len(words) :]


def _draw(rng: np.random.Generator, shape: Shape, *, holds: str) -> np.ndarray[Any, Any]:
    """Halves between -2 and 2, which can be computed on paper; masks that mask little."""
    if holds == "booleans":
        mask = rng.random(shape) > 0.3
        mask[..., 0] = True
        return mask
    return rng.integers(-4, 5, shape) / 2
