"""The command that serves a live page: serve."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import click

from clearhead.cli import typed
from clearhead.cli.group import command
from clearhead.cli.output import say

SHUTDOWN_SECONDS = 1
"""How long the server waits for unanswered requests before it ends."""


@command("clearhead serve soccer")
@click.argument("problem", shell_complete=typed.complete_problem, default="soccer")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any free one.")
def serve(problem: str, host: str, port: int) -> None:
    """Serve a problem as a live page, on which its numbers can be changed.

    Change given numbers, type your own results into other lines and see why they differ, try deviations, and save
    the problem as a file.
    """
    from clearhead.extras import need
    from clearhead.problems import format_problem, read_problem

    need("starlette", "serve")
    from clearhead.web import application

    text = format_problem(read_problem(problem))
    listen(lambda hosts: application(text, hosts), host, port)


def listen(application: Callable[[Collection[str]], Any], host: str, port: int) -> None:
    """Serves an application until Ctrl-C.

    Args:
        application: makes it, given the Host headers that it answers to.
        host: the address to listen on.
        port: the port; 0 for any free one.

    Raises:
        MissingPackage: uvicorn is not installed.
    """
    import socket

    from clearhead.extras import need

    uvicorn = need("uvicorn", "serve")
    from clearhead.web.guard import hosts_of

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        port = listening.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        app = application(hosts_of(host, port))
        say(f"Serving on http://{name}:{port}/  (Ctrl-C ends it)")
        config = uvicorn.Config(
            app, log_level="critical", server_header=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS
        )
        uvicorn.Server(config).run(sockets=[listening])
