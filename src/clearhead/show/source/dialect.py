"""The array libraries in which a working can be written, each as a table of its syntax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from clearhead.axes import Shape


class Dialect(Struct, frozen=True):
    """The syntax of an array library; arguments are pieces of code.

    Attributes:
        head: the first lines of a program.
        prefix: the module in front of the names of its functions.
        functions: its names for functions of the algebra.
        scalars: the same for plain numbers.
        constants: the module that has inf and nan.
        axis: the names of the arguments that choose an axis and keep it.
        reductions: the methods that reduce, by kind.
        names: further functions: concat, repeat.
        precision: the statement that sets how many decimals are printed.
        helpers: functions that it lacks, by name, with their code.
    """

    head: tuple[str, ...]
    prefix: str
    functions: Mapping[str, str]
    scalars: Mapping[str, str]
    constants: str
    axis: tuple[str, str]
    reductions: Mapping[str, str]
    names: Mapping[str, str]
    precision: str
    helpers: tuple[tuple[str, str], ...]
    literal: Callable[[str, str], str]
    at_least: Callable[[str, str], str]
    permuted: Callable[[str, Sequence[int]], str]
    lowest: Callable[[str], str]

    def reduced(self, kind: str, code: str, axis: int | tuple[int, ...], *, keep: bool) -> str:
        """The reduction of an array along axes."""
        kept = f", {self.axis[1]}=True" if keep else ""
        return f"{code}.{self.reductions[kind]}({self.axis[0]}={axis}{kept})"

    def call(self, name: str, *arguments: str) -> str:
        """A call of one of the library's functions."""
        return f"{self.prefix}.{self.names.get(name, name)}({', '.join(arguments)})"

    def along(self, name: str, *arguments: str, axis: int) -> str:
        """A call of one of the library's functions that works along an axis."""
        return self.call(name, *arguments, f"{self.axis[0]}={axis}")

    def broadcast(self, code: str, shape: Shape) -> str:
        """An array repeated to a shape."""
        return self.call("broadcast_to", code, str(tuple(shape)))


SAME = ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs", "sign", "floor", "round")

NUMPY = Dialect(
    head=("import numpy as np",),
    prefix="np",
    functions={name: f"np.{name}" for name in SAME} | {"erf": "erf", "and": "np.logical_and"},
    scalars={name: f"np.{name}" for name in (*SAME, "copysign")} | {"erf": "math.erf", "pi": "np.pi"},
    constants="np",
    axis=("axis", "keepdims"),
    reductions={"sum": "sum", "mean": "mean", "max": "max"},
    names={"concat": "concatenate"},
    precision="np.set_printoptions(precision={}, suppress=True)",
    helpers=(("erf", "erf = np.vectorize(math.erf, otypes=[float])  # NumPy has no error function"),),
    literal=lambda rows, dtype: f"np.array({rows}{_dtype('np', dtype)})",
    at_least=lambda code, least: f"np.maximum({code}, {least})",
    permuted=lambda code, axes: f"{code}.transpose({', '.join(map(str, axes))})",
    lowest=lambda code: f"np.finfo({code}.dtype).min",
)

TORCH = Dialect(
    head=("import math", "", "import torch", "", "torch.set_default_dtype(torch.float64)"),
    prefix="torch",
    functions={name: f"torch.{name}" for name in SAME} | {"erf": "torch.erf", "and": "torch.logical_and"},
    scalars={name: f"math.{name}" for name in (*SAME, "copysign")} | {"erf": "math.erf", "pi": "math.pi", "abs": "abs"},
    constants="math",
    axis=("dim", "keepdim"),
    reductions={"sum": "sum", "mean": "mean", "max": "amax"},
    names={"concat": "cat", "repeat": "repeat_interleave"},
    precision="torch.set_printoptions(precision={}, sci_mode=False)",
    helpers=(),
    literal=lambda rows, dtype: f"torch.tensor({rows}{_dtype('torch', dtype)})",
    at_least=lambda code, least: f"torch.clamp({code}, min={least})",
    permuted=lambda code, axes: f"{code}.permute({', '.join(map(str, axes))})",
    lowest=lambda code: f"torch.finfo({code}.dtype).min",
)

DIALECTS: dict[str, Dialect] = {"numpy": NUMPY, "torch": TORCH}
"""The libraries by name."""


def _dtype(prefix: str, dtype: str) -> str:
    """The argument for the type, where it is not the default for the numbers."""
    return "" if dtype in ("float64", "bool") else f", dtype={prefix}.{dtype}"
