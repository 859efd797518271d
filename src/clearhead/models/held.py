"""The weights of a model in memory: matrices as its working reads them, or in the order of compiled products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Any

from clearhead.line import Line
from clearhead.models.tensors import Floats, Tensor, release
from clearhead.ops.panels import plain


class HeldWeights(Mapping[str, Floats]):
    """The weights by name, each as a matrix; `as_they_lie` has them without unfolding any."""

    def __init__(self, weights: Mapping[str, Floats], tensors: Mapping[str, Tensor] = MappingProxyType({})) -> None:
        """``tensors``: the arrays of the checkpoint that weights may be views of."""
        self.held: dict[str, Any] = dict(weights)
        self._tensors, self._lock, self._packed = tensors, Lock(), False

    def __getitem__(self, name: str) -> Floats:
        found: Floats = plain(self.held[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def pack(self, lines: Iterable[Line]) -> None:
        """Lays the factors of products out in panels, once, in the place of the matrices.

        Pages of a mapped file that held them are given back.
        """
        from clearhead.compiled.program.packing import pack

        with self._lock:
            names = [] if self._packed else pack(lines, self.held)
            self._packed = True
        for name in self._tensors.keys() & names:
            release(self._tensors[name].stored)


def as_they_lie(weights: Mapping[str, Floats]) -> Mapping[str, Any]:
    """Weights as they lie in memory: some in panels, if a model's are held so."""
    return weights.held if isinstance(weights, HeldWeights) else weights
