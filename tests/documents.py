"""The blocks of a document, and what happens to each kind when the document is tried.

A block says in its first line what it is: `pycon` and `python` are run as one session for the whole page, `console` as
commands. Any other block carries a note behind its language: `file: NAME` is written to that file, `excerpt: NAME` must
stand in that file, `not-run: REASON` says why nothing is done with it.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner
from markdown_it import MarkdownIt

from clearhead.cli import main

ROOT = Path(__file__).parents[1]
RUN = ("pycon", "python", "console")
NOTES = ("file", "excerpt", "not-run")
LAYOUT = ("{toctree}", "{include}", "{eval-rst}")
"""Directives of the site: layout and no code."""


class Block(NamedTuple):
    """A fenced or indented block: its language, the note behind it, its text, and the line that it begins in."""

    language: str
    note: str
    value: str
    text: str
    line: int

    @property
    def fault(self) -> str | None:
        """What is wrong with the kind of this block; None if it is run or says why not."""
        if self.note and self.note not in NOTES:
            return f"the note {self.note!r} is none of {', '.join(NOTES)}"
        if self.note and not self.value:
            return f"{self.note} says nothing"
        if self.note or self.language in (*RUN, *LAYOUT):
            return None
        return f"{self.language or 'an indented block'} is not run, and there is no note that says why"


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a Markdown text in order."""
    for token in MarkdownIt("commonmark").parse(text):
        if token.type in ("fence", "code_block"):
            language, _, note = token.info.strip().partition(" ")
            kind, _, value = note.partition(":")
            yield Block(language, kind.strip(), value.strip(), token.content, token.map[0] + 1)


class Session:
    """One page, tried in the current folder: its blocks share names and files."""

    def __init__(self, document: str) -> None:
        self.document = document
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        """Tries one block; what it shows must be what comes out."""
        if block.note == "file":
            Path(block.value).write_text(block.text, "utf-8")
        elif block.note == "excerpt":
            assert block.text in Path(block.value).read_text("utf-8"), f"{self._place(block)}: not in {block.value}"
        elif not block.note and block.language in RUN:
            getattr(self, f"_{block.language}")(block)

    def _place(self, block: Block) -> str:
        return f"{self.document}, line {block.line}"

    def _python(self, block: Block) -> None:
        exec(compile(block.text, self._place(block), "exec"), self.names)

    def _pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.names, self.document, self.document, block.line)
        differences: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=differences.append, clear_globs=False)
        self.names = test.globs
        assert not differences, "".join(differences)

    def _console(self, block: Block) -> None:
        for command in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            typed, _, expected = command.partition("\n")
            output = output_of(shlex.split(typed, comments=True))
            assert matches(expected, output), f"{self._place(block)}\n$ {typed}\n{output}"


def output_of(command: list[str]) -> str:
    """What a command prints: clearhead's own, or Python's."""
    program, *arguments = command
    if program == "clearhead":
        return CliRunner().invoke(main, arguments, prog_name="clearhead").output
    assert program == "python", f"documents run clearhead and python, not {program}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    return done.stdout + done.stderr


def matches(expected: str, output: str) -> bool:
    """Whether a command printed what a document shows; a line of three dots stands for any lines."""
    lines = (r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in expected.rstrip().split("\n"))
    return re.fullmatch("".join(lines), output.rstrip() + "\n") is not None
