"""The products of a trace alone, each kind by the library that is fastest at it, on as many weights as a model has."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from clearhead import load
from clearhead.compiled.program import blas
from clearhead.compiled.program.interpreter import Kind
from clearhead.compiled.program.program import Writer, view, view_of
from clearhead.compiled.simd import WIDTH
from clearhead.ops.panels import Panels
from clearhead.ops.textbook import linear

ROUNDS = 3
"""How often each way is tried, in turn; the shortest time counts."""


class Product(NamedTuple):
    """Matrices (outer, rows, inner) times (outer, inner, columns), which are a weight where outer is 1."""

    outer: int
    rows: int
    inner: int
    columns: int


def products_of(path: Path, tokens: int) -> Counter[Product]:
    """The products of a trace of a model, and how many there are of each."""
    model = load(path)
    working, found = model.working(), Counter[Product]()
    given = {name: array.shape for name, array in model.arrays.items()}
    shapes = working.shapes({each.name: given.get(each.name, (tokens,)) for each in working.givens})
    for line in working.lines:
        if line.operation in (linear.matmul, linear.project, linear.matmul_transposed, linear.weighted_sum):
            a, out = shapes[line.operands[0]], shapes[line.name]
            if line.operation is linear.project:  # one product for the columns of all heads
                found[Product(1, a[-2], a[-1], out[0] * out[-1])] += 1
            else:
                outer, rows, columns = (1, *out)[-3:]
                found[Product(outer, rows, a[-1], columns)] += 1
    return found


def fastest(path: Path, tokens: int) -> Callable[[], object]:
    """A function that computes all products of a trace, each kind in the way that was fastest here."""
    chosen = []
    for product, count in products_of(path, tokens).items():
        ways = [way(product, count) for way in (_by_numpy, _by_torch, _by_clearhead)]
        times = [min(_seconds(way) for _ in range(ROUNDS)) for way in ways]
        chosen.append(ways[times.index(min(times))])

    def run() -> None:
        for way in chosen:
            way()

    return run


def _seconds(way: Callable[[], object]) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


def _factors(product: Product, count: int) -> tuple[Any, list[Any]]:
    outer, rows, inner, columns = product
    return np.ones((outer, rows, inner), np.float32), [
        np.ones((outer, columns, inner), np.float32) for _ in range(count)
    ]


def _by_numpy(product: Product, count: int) -> Callable[[], object]:
    a, each = _factors(product, count)
    out = np.empty((*a.shape[:2], product.columns), np.float32)

    def run() -> None:
        for b in each:
            np.matmul(a, b.mT, out=out)

    return run


def _by_torch(product: Product, count: int) -> Callable[[], object]:
    a, each = _factors(product, count)
    first, others = torch.from_numpy(a), [torch.from_numpy(b).mT for b in each]
    out = torch.empty((*a.shape[:2], product.columns))

    def run() -> None:
        for b in others:
            torch.matmul(first, b, out=out)

    return run


def _by_clearhead(product: Product, count: int) -> Callable[[], object]:
    a, each = _factors(product, count)
    writer, heads = Writer(), product.outer > 1
    arrays: dict[str, Any] = {"a": a if heads else a[0], "out": np.empty((*a.shape[:2], product.columns), np.float32)}
    out = view("out", arrays["out"].shape if heads else arrays["out"].shape[1:])
    for index, b in enumerate(each):
        name = f"b{index}"
        arrays[name] = b if heads else Panels(b[0].T, WIDTH)
        writer.add(
            Kind.PRODUCT,
            out,
            view("a", arrays["a"].shape),
            view_of(name, arrays[name]),
            inner=product.inner,
            turned=heads,
        )
    sgemm = blas.sgemm()
    if sgemm is None:
        raise RuntimeError("There is no BLAS that compiled code can call.")
    return partial(writer.program().run, arrays, sgemm)
