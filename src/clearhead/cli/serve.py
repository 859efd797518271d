"""The command that serves a live page: serve."""

from __future__ import annotations

import click

from clearhead.cli import typed
from clearhead.cli.group import command
from clearhead.cli.output import say

SHUTDOWN_SECONDS = 1
"""How long requests that are not answered keep the server from ending."""


@command("clearhead serve soccer")
@click.argument("problem", shell_complete=typed.complete_problem, default="soccer")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; this machine alone, if unsaid.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 for any free one.")
def serve(problem: str, host: str, port: int) -> None:
    """Serve a problem as a live page, to change its numbers and see it follow.

    Type numbers over given ones, type what you got into the others and learn why it differs, try deviations, and take
    the problem away as a file.
    """
    import socket

    from clearhead.extras import need
    from clearhead.problems import format_problem, read_problem

    uvicorn = need("uvicorn", "serve")
    need("starlette", "serve")
    from clearhead.web import application
    from clearhead.web.guard import hosts_of

    text = format_problem(read_problem(problem))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        port = listening.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        app = application(text, hosts_of(host, port))
        say(f"Serving on http://{name}:{port}/  (Ctrl-C ends it)")
        config = uvicorn.Config(
            app, log_level="critical", server_header=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS
        )
        uvicorn.Server(config).run(sockets=[listening])
