"""The shapes of all arrays of a working, and what of them is a batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from clearhead.axes import Axes, Shape


class Sizes(Struct, frozen=True, dict=True):
    """``axes``: the words of each array's axes, by name, without a batch; ``shapes``: their sizes, with it."""

    axes: Mapping[str, Axes]
    shapes: Mapping[str, Shape]

    def batch(self, name: str) -> Shape:
        """The sizes of the batch axes of an array; empty without any."""
        shape = self.shapes[name]
        return shape[: len(shape) - len(self.axes[name])]

    @cached_property
    def batched(self) -> frozenset[str]:
        """The arrays that have batch axes."""
        return frozenset(name for name in self.shapes if self.batch(name))

    @cached_property
    def batches(self) -> frozenset[Shape]:
        """The sizes of their batch axes."""
        return frozenset(map(self.batch, self.batched))

    def example(self, name: str) -> Shape:
        """The shape of an array of one example."""
        return self.shapes[name][len(self.batch(name)) :]
