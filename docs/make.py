"""Writes the documents that are generated: the reference of the commands, and the pictures."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearhead.problems import Problem

ROOT = Path(__file__).resolve().parents[1]


def documents() -> dict[str, str]:
    """The generated documents by their path."""
    return {"docs/cli.md": cli_reference(), "docs/pictures/weights.svg": picture()}


def cli_reference() -> str:
    """The help of every command."""
    from clearhead.cli import main

    parts = ["# The commands\n\nThis page is made from the commands' own help by `make docs`.\n"]
    with main.make_context("clearhead", [], resilient_parsing=True, terminal_width=80) as context:
        parts.append(_help("clearhead", main.get_help(context)))
        for name, command in main.commands.items():
            with command.make_context(name, [], parent=context, resilient_parsing=True) as inner:
                parts.append(_help(f"clearhead {name}", command.get_help(inner)))
    return "\n".join(parts)


def _help(name: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {name}\n\n```text\n{lines}\n```\n"


def picture() -> str:
    """What a coloured terminal shows of one line, as an SVG."""
    from rich.console import Console
    from rich.text import Text

    from clearhead.problems import read_problem
    from clearhead.show import View, render

    width = 84
    view = View("Chaky loves soccer", address="weights")
    shown = render(read_problem("soccer").trace(), "text", view, width=width, colour=True)
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True)
    console.print(Text("$ clearhead show soccer weights\n"))
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="clearhead", unique_id="clearhead")
    # The reader's own monospaced font will do; Rich would have it fetched.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL) + "\n"


def photographs() -> dict[str, bytes]:
    """Pictures whose every pixel depends on the versions of typst and matplotlib, so that no test compares them."""
    from io import BytesIO

    from clearhead.problems import read_problem

    problem = read_problem("soccer")
    heads = BytesIO()
    problem.trace().plot("weights").savefig(heads, format="png", dpi=150)
    return {"docs/pictures/worksheet.png": _worksheet(problem), "docs/pictures/heads.png": heads.getvalue()}


def _worksheet(problem: Problem) -> bytes:
    """The page of a worksheet that has the weights on it."""
    import typst
    from msgspec import json

    from clearhead.show import View, worksheet_of
    from clearhead.show.paper.compile import TEMPLATE
    from clearhead.show.paper.document import as_data

    sheet = worksheet_of(problem.trace(), View(problem.title, problem.about, claims=problem.claims))
    inputs = {"document": json.encode(as_data(sheet)).decode(), "form": "pdf"}
    pages = typst.compile(str(TEMPLATE), root=str(TEMPLATE.parent), format="png", ppi=96, sys_inputs=inputs)
    return bytes(pages[2])


if __name__ == "__main__":
    for path, content in {**documents(), **photographs()}.items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
