"""The weights of a model: read when they are needed, as matrices or in the order of compiled products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from clearhead.errors import CheckpointError
from clearhead.line import Line
from clearhead.models.tensors import Floats, release
from clearhead.models.weights import Place
from clearhead.ops.panels import plain


class HeldWeights(Mapping[str, Floats]):
    """The weights by name, each as a matrix; `as_they_lie` has them without unfolding any.

    Attributes:
        places: where each lies in the checkpoint.
    """

    def __init__(self, places: Mapping[str, Place], path: Path) -> None:
        """``path``: of the checkpoint, for errors."""
        self.places, self._path = places, path
        self._held: dict[str, Any] = {}
        self._lock, self._packed = RLock(), False

    def __getitem__(self, name: str) -> Floats:
        found: Floats = plain(self._read(name))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def held(self) -> dict[str, Any]:
        """All weights, read, each in the form in which it is held."""
        if len(self._held) < len(self.places):
            for name in self.places:
                self._read(name)
        return self._held

    def pack(self, lines: Iterable[Line]) -> None:
        """Lays the factors of products out in panels, once, in the place of the matrices.

        Numbers that the checkpoint stores in fewer bits stay in these. Pages of a mapped file that held them are given
        back.
        """
        from clearhead.compiled.program.packing import packed

        with self._lock:
            if self._packed:
                return
            with self._named():
                for name, panels in packed(lines, self.places):
                    self._held[name] = panels
                    if (tensor := self.places[name].tensor) is not None:
                        release(tensor.stored)
            self._packed = True

    def _read(self, name: str) -> Any:
        if name not in self._held:
            with self._lock:
                if name not in self._held:
                    with self._named():
                        self._held[name] = self.places[name].array()
        return self._held[name]

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Adds the checkpoint's path to an error."""
        try:
            yield
        except CheckpointError as error:
            raise CheckpointError(f"{self._path}: {error}") from None


def as_they_lie(weights: Mapping[str, Floats]) -> Mapping[str, Any]:
    """Weights as they lie in memory: some in panels, if a model's are held so."""
    return weights.held() if isinstance(weights, HeldWeights) else weights
