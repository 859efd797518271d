"""Writes the documents that are generated: the reference of the commands, and the pictures.

`make docs` writes the first, `make pictures` the second.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def documents() -> dict[str, str]:
    """The generated documents by their path; tests compare them."""
    from fields import page
    from house import picture

    return {
        "docs/reference/fields.md": page(),
        "docs/reference/cli.md": cli_reference(),
        "docs/pictures/weights.svg": terminal("show", "soccer", "weights"),
        "docs/pictures/house.svg": picture(),
    }


def cli_reference() -> str:
    """The help of every command, as commands that the tests run."""
    from clearhead.cli.main import COMMANDS

    parts = ["# The commands\n\nThis page is made from the commands' own help by `make docs`.\n", _help()]
    return "\n".join([*parts, *(_help(name) for name in COMMANDS)])


def _help(*command: str) -> str:
    from click.testing import CliRunner

    from clearhead.cli import main

    found = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*command, "--help"], prog_name="clearhead")
    lines = "\n".join(line.rstrip() for line in found.output.splitlines())
    title = " ".join(("clearhead", *command))
    return f"## {title}\n\n```console\n$ {title} --help\n{lines}\n```\n"


MAX_LINES = 44
"""A picture of a terminal shows this many lines, and dots if there are more."""


def terminal(*command: str) -> str:
    """What a coloured terminal shows of a command, as an SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=84, file=StringIO(), force_terminal=True)
    console.print(Text(" ".join(("$ clearhead", *command)) + "\n"))
    lines = _in_colour(*command).splitlines()
    lines = lines if len(lines) <= MAX_LINES else [*lines[:MAX_LINES], "..."]
    console.print(Text.from_ansi("\n".join(lines)))
    svg = console.export_svg(title="clearhead", unique_id="clearhead")
    # The reader's own monospaced font will do; Rich would have it fetched.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL) + "\n"


def _in_colour(*command: str) -> str:
    """What a command writes to a terminal of 84 columns."""
    environment = {**os.environ, "COLUMNS": "84", "TERM": "xterm-256color", "NO_COLOR": ""}
    ours, theirs = os.openpty()
    process = subprocess.Popen(  # noqa: S603 - this project's own command
        [sys.executable, "-m", "clearhead", *command], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    text = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 4096):
            text += part
    os.close(ours)
    process.wait()
    return text.decode().replace("\r\n", "\n")


def pictures() -> dict[str, str | bytes]:
    """The other pictures; they follow reports and the versions of other programs, so no test compares them."""
    from photographs import photographs

    return {
        "docs/pictures/cell.svg": terminal("show", "two-heads", "head@2", "--cell", "1,1"),
        "docs/pictures/check.svg": terminal("check", "soccer"),
        **photographs(),
    }


if __name__ == "__main__":
    for path, content in (pictures() if "--pictures" in sys.argv else documents()).items():
        (ROOT / path).write_bytes(content if isinstance(content, bytes) else content.encode())
