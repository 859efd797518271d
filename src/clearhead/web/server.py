"""The application: the page, its modules, and the answers to its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import anyio
import msgspec
from anyio import BrokenWorkerProcess
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clearhead.budgets import MAX_ANSWER_SECONDS, MAX_BODY_SECONDS, MAX_DIAGNOSIS_SECONDS
from clearhead.errors import ClearheadError, visible
from clearhead.problems import bundled
from clearhead.show.data.plain import as_json
from clearhead.show.media import KINDS
from clearhead.show.page.assemble import FOLDER, MODULES, styles
from clearhead.web import work
from clearhead.web.guard import Guard, TooLarge
from clearhead.web.workers import Workers

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
<noscript>This page computes the numbers while you change them, and needs scripts for that.</noscript>
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


class TooSlow(Exception):
    """A request that did not arrive in time."""


REFUSALS: dict[type[Exception], tuple[int, str]] = {
    TooLarge: (413, "The request is too large."),
    TooSlow: (408, "The request did not arrive in time."),
    TimeoutError: (503, "This takes too long. Use fewer tokens, deviations or claims."),
    BrokenWorkerProcess: (503, "The process for this request ended, perhaps for lack of memory."),
}

Handler = Callable[[work.Asked, Request], Awaitable[Response]]


def _answering(handle: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The handler of requests that contain a problem; errors are answered as messages."""

    async def endpoint(request: Request) -> Response:
        try:
            asked = await _asked(request)
            answer = await _while_awaited(request, lambda: handle(asked, request))
        except ClientDisconnect:
            answer = None
        except tuple(REFUSALS) as error:
            status, says = REFUSALS[type(error)]
            return PlainTextResponse(says, status)
        except (ClearheadError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return PlainTextResponse(visible(str(error)), 422)
        except Exception as error:
            return PlainTextResponse(f"A fault in clearhead: {type(error).__name__}: {visible(str(error))}", 500)
        return answer or Response()  # the client is gone

    return endpoint


async def _asked(request: Request) -> work.Asked:
    try:
        with anyio.fail_after(MAX_BODY_SECONDS):
            body = await request.body()
    except TimeoutError:
        raise TooSlow from None
    return msgspec.json.decode(body, type=work.Asked)


ANSWERS = Workers(MAX_ANSWER_SECONDS)
DIAGNOSES = Workers(MAX_DIAGNOSIS_SECONDS)
"""A separate pool, so that diagnoses, which take long, do not delay a page's other requests."""


def _json(content: str) -> Response:
    return Response(content, media_type="application/json")


def _encoded(function: Callable[..., Any], *arguments: Any) -> str:
    """The result of a function as JSON: made in the process that computes it, since text is cheap to pass on."""
    return as_json(function(*arguments))


async def _work(asked: work.Asked, _: Request) -> Response:
    return _json(await ANSWERS.call(_encoded, work.answer, asked))


async def _deviations(asked: work.Asked, _: Request) -> Response:
    return _json(await ANSWERS.call(_encoded, work.choices_for, asked.problem))


async def _diagnosis(asked: work.Asked, _: Request) -> Response:
    try:
        found = await DIAGNOSES.call(work.diagnosis, asked.problem, "hints" if asked.hints else "causes")
    except TimeoutError:
        found = {"diagnosis": None, "claims": {}}  # the page says so
    return _json(as_json(found))


async def _export(asked: work.Asked, request: Request) -> Response:
    content = await ANSWERS.call(work.exported, asked.problem, f".{request.path_params['ending']}")
    return Response(content, media_type="application/octet-stream")


async def _while_awaited(request: Request, start: Callable[[], Awaitable[Response]]) -> Response | None:
    """The awaited result, or None as soon as the client is gone."""
    outcome: Response | Exception | None = None

    async def watch(scope: anyio.CancelScope) -> None:
        while not await request.is_disconnected():
            await anyio.sleep(0.1)
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        try:
            outcome = await start()
        except Exception as error:  # a group would raise it in a group of errors
            outcome = error
        group.cancel_scope.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
