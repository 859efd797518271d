"""Which products are ours and which the BLAS's: measured when it is first asked, and kept on disk from then on.

The two round differently, so a choice that changed from run to run would change numbers. What decides is therefore a
file, written once for a processor, a BLAS and a version of this code; the first process that writes it decides for all.
Where no file can be kept nothing is measured, and all products are ours. So they are, too, unless the BLAS is clearly
faster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Set
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target

from clearhead.axes import Shape
from clearhead.compiled import decoding, kept, matrices
from clearhead.compiled.matrices import ROOM
from clearhead.compiled.program import blas
from clearhead.compiled.program.interpreter import Kind
from clearhead.compiled.program.program import Product, Writer, address, view, view_of
from clearhead.compiled.simd import WIDTH, digest
from clearhead.ops.panels import Panels

MARGIN = 1.15
"""The BLAS is used where ours takes this many times as long."""

ROUNDS = 7
"""How often each way is timed, in turn; the shortest time counts."""

TRIED: Mapping[Product, tuple[tuple[int, ...], tuple[int, ...], bool]] = {
    Product.PACKED: ((128, 512), (1024, 512), True),
    Product.FEW: ((16, 512), (1024, 512), True),
    Product.MANY: ((128, 512), (1024, 512), True),
    Product.SCORES: ((8, 128, 64), (8, 256, 64), True),
    Product.SUMS: ((8, 128, 256), (8, 256, 64), False),
}
"""What is measured: the shapes of A and B, and whether B is stored transposed."""

_lock = Lock()


def own() -> frozenset[Product]:
    """The products that are ours on this machine, or in this process."""
    return frozenset(Product) if blas.left_out.is_set() else measured()


@cache
def measured() -> frozenset[Product]:
    """The products that are ours by what this machine has measured."""
    with _lock:
        name = f"products-{_key()}"
        found = _read(name)
        if found is None and kept.possible():
            kept.keep(name, json.dumps({each.name: _is_ours(each) for each in Product}).encode())
            found = _read(name)
    return frozenset(Product) if found is None else found


def _key() -> str:
    """A hash of all that the choice depends on."""
    parts = (*cpu_target.target_context.codegen().magic_tuple(), *blas.versions(), np.__version__, numba.__version__)
    return sha256("\n".join((*map(str, parts), digest(decoding, matrices))).encode()).hexdigest()[:32]


def _read(name: str) -> frozenset[Product] | None:
    """What a file says; None if there is none, or none that can be read."""
    try:
        found = json.loads(kept.read(name) or b"")
        return frozenset(each for each in Product if found[each.name] is True)
    except (ValueError, KeyError, TypeError):
        return None


def _is_ours(product: Product) -> bool:
    a, b, turned = TRIED[product]
    ways = [
        _timed(a, b, turned=turned, own=frozenset(Product), packed=product is Product.PACKED),
        _timed(a, b, turned=turned, own=frozenset(), packed=False),
    ]
    with blas.single():
        ours, theirs = (min(times) for times in zip(*([way() for way in ways] for _ in range(ROUNDS)), strict=True))
    return bool(ours <= MARGIN * theirs)


def _timed(a: Shape, b: Shape, *, turned: bool, own: Set[Product], packed: bool) -> Callable[[], float]:
    """A function that multiplies two matrices in this thread, and returns the seconds of work that it took."""
    writer, product = Writer(own), blas.sgemm()
    if product is None:
        raise RuntimeError("Products are compared with a BLAS that is not there.")
    out = view("out", (*a[:-1], b[-2] if turned else b[-1]))
    arrays: dict[str, Any] = {
        name: np.ones(shape, np.float32) for name, shape in (("a", a), ("b", b), ("out", out.shape))
    }
    if packed:
        arrays["b"] = Panels(arrays["b"].T, WIDTH)
    writer.add(Kind.PRODUCT, out, view("a", a), view_of("b", arrays["b"]), inner=a[-1], turned=turned)
    program, room = writer.program(), np.empty(ROOM, np.float32)

    def timed() -> float:
        work = program.work(arrays, product)
        start = time.thread_time()
        work.run(address(room))
        return time.thread_time() - start

    timed()
    return timed
