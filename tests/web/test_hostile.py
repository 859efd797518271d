"""Requests that ask for too much, come too slowly, are not what they say, or are left: the server serves on."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from clearhead.errors import ProblemError
from clearhead.problems import format_problem, read_problem
from clearhead.web import application, server
from clearhead.web.workers import Workers

HOST = b"127.0.0.1:8765"


def in_own_thread(function, *arguments):
    """Runs a coroutine in a thread of its own: a browser test in this process may have a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, function, *arguments).result()


def part(body, *, more=False):
    """A message with a part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


LEFT = {"type": "http.disconnect"}


async def ask(app, path, *messages):
    """The status and the text that an application answers to these messages, after which nothing more comes."""
    arriving, answered = list(messages), []

    async def receive():
        if not arriving:
            await asyncio.sleep(3600)
        return arriving.pop(0) if arriving[0] is not LEFT else LEFT

    async def send(message):
        answered.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "headers": [(b"host", HOST), (b"origin", b"http://" + HOST)],
    }  # fmt: skip
    with anyio.fail_after(60):
        await app(scope, receive, send)
    return answered[0]["status"], b"".join(message.get("body", b"") for message in answered).decode()


@pytest.fixture
def app():
    return application("format = 1", {HOST.decode()})


@pytest.mark.parametrize("path", ["/work", "/deviations", "/diagnosis", "/export/md"])
@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b'{"problem": "\xed\xa0\x80"}',
        b'{"problem": "\\ud800"}',
        b"[" * 100_000,
        b'{"problem": "format = \\"\xff\\""}',
    ],
)
def test_what_is_no_text_is_refused_in_words(app, path, body):
    """Bytes that are not UTF-8, half characters and nests are the client's fault, not the server's."""
    status, says = in_own_thread(ask, app, path, part(body))
    assert status == 422
    assert says


def test_a_body_that_does_not_arrive_is_given_up(app, monkeypatch):
    """Half a request is answered after a while, and does not stay open for ever."""
    monkeypatch.setattr(server, "MAX_BODY_SECONDS", 0.2)
    began = time.monotonic()
    status, _ = in_own_thread(ask, app, "/work", part(b'{"problem": ', more=True))
    assert status == 408
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "messages",
    [[LEFT], [part(b'{"problem": ', more=True), LEFT], [part(b'{"problem": "soccer"}'), LEFT]],
    ids=["before", "within", "after"],
)
def test_a_client_that_leaves_is_no_error(app, messages):
    """Whether it leaves before its request has arrived, within it, or while its answer is computed."""
    in_own_thread(ask, app, "/diagnosis", *messages)


MANY = ", ".join(['"round:line=weights,decimals=2"'] * 2000)


@pytest.mark.parametrize("path", ["/work", "/deviations", "/export/md"])
def test_deviations_are_bounded(app, path):
    """Thousands of deviations are refused before they are applied."""
    head, rest = format_problem(read_problem("soccer")).split("\n", 1)
    body = json.dumps({"problem": f"{head}\ndeviations = [{MANY}]\n{rest}"}).encode()
    began = time.monotonic()
    status, says = in_own_thread(ask, app, path, part(body))
    assert status == 422
    assert "64" in says
    assert time.monotonic() - began < 30


def sleep(seconds):
    time.sleep(seconds)
    return "done"


def fail(_):
    raise ProblemError("planted")


def test_what_takes_too_long_is_ended():
    """Its process is gone, and others go on."""

    async def run():
        workers = Workers(1.0, at_once=1)
        with anyio.fail_after(60):
            assert await Workers(60.0).call(sleep, 0) == "done"
            with pytest.raises(TimeoutError):
                await workers.call(sleep, 3600)
            with pytest.raises(ProblemError, match="planted"):
                await Workers(60.0).call(fail, 0)

    in_own_thread(run)


def test_waiting_for_a_turn_costs_no_time_of_ones_own():
    """Of many calls at once each is given all its seconds, when its turn comes and its process has started."""

    async def run():
        workers = Workers(3.0, at_once=2)
        answers = []

        async def call():
            answers.append(await workers.call(sleep, 0.5))

        began = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(14):
                group.start_soon(call)
        assert time.monotonic() - began > workers.seconds
        return answers

    assert in_own_thread(run) == ["done"] * 14
