"""The host's half of the Triton kernel, for tensors on a GPU: starts the passes of `compiled.attention.triton_passes`.

It needs PyTorch and Triton, and is imported for tensors on a GPU. With TRITON_INTERPRET=1 in the
environment before Triton is imported it runs on tensors in main memory, slowly; so it is tested without a GPU.
"""

from __future__ import annotations

from typing import Any

import torch

from clearhead.compiled.attention import triton_passes
from clearhead.compiled.attention.triton_tiles import (
    ADDITIVE,
    BOOLEAN,
    COLUMNS,
    OPTIONS,
    ROWS,
    Given,
    How,
    Numbers,
    Results,
    Sizes,
    Steps,
    Work,
)  # fmt: skip
from clearhead.inspection.request import Request
from clearhead.inspection.result import Inspection
from clearhead.inspection.statistics import STATISTICS
from clearhead.ops.textbook.scores import alibi_slopes

Tensor = Any

LEAST_WIDTH = 16
"""Products of tiles in Triton take no fewer columns."""

GRIDS = 16
"""The parts that a pass is split into if progress is reported: a kernel that runs cannot report any."""

FAR = 2**31 - 1
"""The edge beyond the last band: farther than any key."""


def inspect(request: Request) -> Inspection:
    """Computes a request whose tensors are float32 and on a GPU."""
    work, how = _work(request), _how(request)
    (batch, heads, queries, _), keys = request.query.shape, request.key.shape[2]
    results = _results(request)
    passes = [(triton_passes.attend, batch * heads * -(-queries // ROWS.value))]
    if request.wanted.received:
        passes.append((triton_passes.receive, batch * heads * -(-keys // COLUMNS.value)))
    whole, done = sum(programs for _, programs in passes), 0
    # Triton starts kernels on the current device, which need not be that of the tensors.
    with torch.cuda.device_of(request.query):  # type: ignore[no-untyped-call]
        for run, programs in passes:
            part = programs if request.wanted.progress is None else -(-programs // GRIDS)
            for before in range(0, programs, part):
                count = min(part, programs - before)
                run[(count,)](work, results, before, how, **OPTIONS)
                done += count
                if request.wanted.progress is not None:
                    _wait_for(request.query)
                    request.wanted.progress(done, whole)
    return _inspection(request, results)


def _wait_for(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.current_stream().synchronize()


def _work(request: Request) -> Work:
    _, heads, queries, depth = request.query.shape
    _, groups, keys, features = request.value.shape
    given, form = _given(request), request.form
    return Work(
        given,
        Steps(*(_strides(getattr(given, name)) for name in Steps._fields)),
        Sizes(heads, groups, queries, keys, depth, features, request.wanted.top, request.bands),
        Numbers(float(request.scale), float(form.softcap or 0), form.window or 0),
    )


def _given(request: Request) -> Given:
    query, mask, padding = request.query, request.mask, request.padding
    edges = slopes = None
    if request.wanted.bands is not None:
        edges = torch.tensor(
            [0, *(min(e, FAR) for e in request.wanted.edges), FAR], dtype=torch.int32, device=query.device
        )
    if request.form.alibi:
        slopes = alibi_slopes(query[0, :, :1, :1], heads=request.query.shape[1])
    if mask is not None and mask.dtype == torch.bool:
        mask = mask.view(torch.uint8)
    return Given(
        query, request.key, request.value, mask, None if padding is None else padding.view(torch.uint8), edges, slopes
    )


def _strides(tensor: Tensor | None) -> tuple[int, ...]:
    """In numbers; 0 along axes of one number, so that it serves for any."""
    if tensor is None:
        return ()
    return tuple(0 if size == 1 else step for size, step in zip(tensor.shape, tensor.stride(), strict=True))


def _mask_kind(mask: Tensor | None) -> int:
    if mask is None:
        return 0
    return int((BOOLEAN if mask.dtype == torch.bool else ADDITIVE).value)


def _how(request: Request) -> How:
    form = request.form
    return How(
        depth=_width(request.query.shape[3], LEAST_WIDTH),
        features=_width(request.value.shape[3], LEAST_WIDTH),
        top=_width(request.wanted.top, 0),
        bands=_width(request.bands, 0),
        mask=_mask_kind(request.mask),
        padded=request.padding is not None,
        capped=form.softcap is not None,
        alibi=form.alibi,
        causal=form.causal,
        windowed=form.window is not None,
    )


def _width(size: int, least: int) -> int:
    """The next power of two; 0 of nothing."""
    return max(least, 1 << (size - 1).bit_length() if size else 0)


def _results(request: Request) -> Results:
    """The tensors to be filled."""
    lead = request.query.shape[:2]
    shapes = {"inverse": (request.query.shape[2],), **request.shapes()}
    integer = {name for name, row in STATISTICS.items() if row.integer}
    return Results(**{
        name: torch.empty(
            (*lead, *shapes[name]) if name in shapes else (0,),
            dtype=torch.int64 if name in integer else torch.float32,
            device=request.query.device,
        )
        for name in Results._fields
    })  # fmt: skip


def _inspection(request: Request, results: Results) -> Inspection:
    numbers = {name: request.unflatten(getattr(results, name)) for name in request.shapes()}
    return Inspection(numbers, edges=request.wanted.edges)
