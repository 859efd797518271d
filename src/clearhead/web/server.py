"""The application: the page, its modules, and the answers it asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

import anyio
import anyio.to_process
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clearhead.errors import ClearheadError
from clearhead.problems import bundled
from clearhead.show import KINDS
from clearhead.show.data.plain import as_json
from clearhead.show.page.assemble import FOLDER, MODULES, styles
from clearhead.web import work
from clearhead.web.guard import Guard, TooLarge

SECONDS = 30.0
"""How long a diagnosis may take; it runs in a process of its own, which is ended then or when nobody waits any more."""

Answer = TypeVar("Answer")

SHELL = """<!DOCTYPE html>
<html lang="en" class="clearhead scripted">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>clearhead</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page/page.css">
<script type="module" src="/page/live.js"></script>
</head>
<body>
<div id="app"></div>
<script type="application/json" id="live">{data}</script>
<noscript>This page works the numbers out while you change them, and needs scripts for that.</noscript>
</body>
</html>
"""


def application(problem: str, hosts: Collection[str]) -> Starlette:
    """The application that serves a problem, given as the text of its file, under these Host headers."""

    async def home(_: Request) -> Response:
        data = as_json({"problem": problem, "bundled": bundled(), "endings": [".toml", *KINDS]})
        return Response(SHELL.format(data=data.replace("<", "\\u003c")), media_type="text/html")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/page/page.css", _styles),
            Route("/page/{name}.js", _module),
            Route("/work", _answering(_work), methods=["POST"]),
            Route("/deviations", _answering(_deviations), methods=["POST"]),
            Route("/diagnosis", _answering(_diagnosis), methods=["POST"]),
            Route("/export/{ending}", _answering(_export), methods=["POST"]),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
    )


def _styles(_: Request) -> Response:
    return Response(styles(), media_type="text/css")


def _module(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in (*MODULES, "live"):
        return PlainTextResponse("There is no such module.", 404)
    return Response((FOLDER / f"{name}.js").read_text("utf-8"), media_type="text/javascript")


def _answering(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler with errors told in words."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handle(request)
        except TooLarge:
            return PlainTextResponse("The request is too large.", 413)
        except (ClearheadError, msgspec.MsgspecError) as error:
            return PlainTextResponse(str(error), 422)

    return endpoint


async def _asked(request: Request) -> work.Asked:
    return msgspec.json.decode(await request.body(), type=work.Asked)


def _json(data: Any) -> Response:
    return Response(as_json(data), media_type="application/json")


async def _work(request: Request) -> Response:
    asked = await _asked(request)
    return _json(await anyio.to_thread.run_sync(work.answer, asked))


async def _deviations(request: Request) -> Response:
    asked = await _asked(request)
    return _json(await anyio.to_thread.run_sync(lambda: work.choices(work.problem_of(asked.problem))))


async def _diagnosis(request: Request) -> Response:
    asked = await _asked(request)
    found = await _while_awaited(request, lambda: _in_process(work.diagnosis, asked.problem))
    return _json({"diagnosis": found})


async def _export(request: Request) -> Response:
    asked = await _asked(request)
    ending = f".{request.path_params['ending']}"
    content = await anyio.to_thread.run_sync(work.exported, asked.problem, ending)
    return Response(content, media_type="application/octet-stream")


async def _in_process(function: Callable[[str], str], text: str) -> str | None:
    """What a function gives, worked out beside this process; None if it takes too long."""
    with anyio.move_on_after(SECONDS):
        return await anyio.to_process.run_sync(function, text, cancellable=True)
    return None


async def _while_awaited(request: Request, start: Callable[[], Awaitable[Answer]]) -> Answer | None:
    """What is awaited, or None as soon as whoever asked is gone."""
    found: Answer | None = None

    async def watch(scope: anyio.CancelScope) -> None:
        while not await request.is_disconnected():
            await anyio.sleep(0.1)
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        found = await start()
        group.cancel_scope.cancel()
    return found
