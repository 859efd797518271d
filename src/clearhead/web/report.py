"""The report of an inspection, served: any part of a head's map is computed when it is looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from typing import Annotated

import anyio
import anyio.to_thread
import msgspec
import numpy as np
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clearhead.budgets import MAX_MAP_WEIGHTS
from clearhead.errors import ClearheadError, ShapeError, UnknownName, visible
from clearhead.inspection.maps import SIDE, Numbers, Weights
from clearhead.inspection.report.page import program, served_report, styles
from clearhead.inspection.survey import Survey
from clearhead.show.data.plain import as_json
from clearhead.web.guard import Guard, TooLarge

Index = Annotated[int, Meta(ge=0, lt=2**31)]


Edges = Annotated[tuple[Index, ...], Meta(min_length=2, max_length=SIDE + 1)]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a map: a layer and a head, both counted from 0; where blocks of queries and keys begin and end."""

    layer: Index
    head: Index
    rows: Edges
    columns: Edges


class Kept:
    """Queries and keys of each layer, in temporary files, since those of long texts are large."""

    def __init__(self) -> None:
        self.layers: dict[int, Weights] = {}

    def __call__(self, layer: int, weights: Weights) -> None:
        """Keeps a layer.

        Raises:
            OSError: there is no room for it.
        """
        core, arrays = weights.core, dict(weights.arrays)
        for name in (core.query, core.key):
            arrays[name] = _in_a_file(arrays[name])
        value = arrays[core.value]
        arrays[core.value] = np.zeros((*value.shape[:-1], 1), value.dtype)  # weights do not depend on it
        self.layers[layer] = Weights(core, arrays)


def _in_a_file(array: Numbers) -> Numbers:
    """An array that is mapped from a file without a name, which is gone with the process however this ends."""
    with tempfile.TemporaryFile(prefix="clearhead-") as file:
        file.write(np.ascontiguousarray(array).data)
        file.flush()
        return np.memmap(file, array.dtype, "r", shape=array.shape)


def shares(layers: Mapping[int, Weights], part: Part) -> list[list[float]]:
    """A part of a map: for each block of queries the shares of its weight on each block of keys.

    Raises:
        UnknownName: there is no such layer, head or token.
        ShapeError: it takes too many weights for one request.
    """
    if part.layer not in layers:
        raise UnknownName(f"layer: {part.layer} was not inspected. Inspected are {', '.join(map(str, layers))}.")
    weights = layers[part.layer]
    queries = part.rows[-1] - part.rows[0]
    if queries * weights.tokens > MAX_MAP_WEIGHTS and queries > 1:
        raise ShapeError(f"rows: expects at most {MAX_MAP_WEIGHTS // weights.tokens} queries at once, got {queries}.")
    found: list[list[float]] = weights.shares_of(part.head, part.rows, part.columns).tolist()
    return found


def report_application(survey: Survey, layers: Mapping[int, Weights], hosts: Collection[str]) -> Starlette:
    """The application that serves a report under these Host headers."""
    page = served_report(survey, "/report.css", "/report.js")
    turns = anyio.CapacityLimiter(1)

    async def home(_: Request) -> Response:
        return Response(page, media_type="text/html")

    async def style(_: Request) -> Response:
        return Response(styles(), media_type="text/css")

    async def script(_: Request) -> Response:
        return Response(program(), media_type="text/javascript")

    async def part(request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body(), type=Part)
            found = await anyio.to_thread.run_sync(shares, layers, wanted, limiter=turns)
        except ClientDisconnect:
            return Response()
        except TooLarge:
            return PlainTextResponse("The request is too large.", 413)
        except (ClearheadError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            return PlainTextResponse(visible(str(error)), 422)
        return Response(as_json(found), media_type="application/json")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/report.css", style),
            Route("/report.js", script),
            Route("/map", part, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
    )
