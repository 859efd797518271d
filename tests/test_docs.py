"""The documents run: every snippet of the README and of docs/ is executed and its output compared."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import clearhead
from clearhead.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def blocks(document, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Documents are read in a folder of their own, on a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("document", NAMES)
def test_python_snippets_print_what_they_say(document):
    """Each document's pycon blocks run in order, as one session."""
    source = "\n".join(blocks(document, "pycon"))
    test = doctest.DocTestParser().get_doctest(source, {}, document, document, 0)
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("document", NAMES)
def test_commands_print_what_they_say(document):
    """Each console block's commands print what follows them; a line of three dots stands for any lines."""
    for block in blocks(document, "console"):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            typed, _, expected = command.partition("\n")
            program, *arguments = shlex.split(typed, comments=True)
            assert program == "clearhead"
            output = CliRunner().invoke(main, arguments, prog_name="clearhead").output
            assert matches(expected, output), f"$ {typed}\n{output}"


def matches(expected, output):
    lines = (r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in expected.rstrip().split("\n"))
    return re.fullmatch("".join(lines), output.rstrip() + "\n") is not None


def test_the_comparison_of_outputs_can_fail():
    """A changed digit is noticed, and dots stand for whole lines only."""
    assert matches("a\n...\nc\n", "a\nb\nb\nc\n")
    assert matches("a\n...\n", "a\nb\n")
    assert not matches("a\n...\nc\n", "a\nb\n")
    assert not matches("a 1\n", "a 2\n")


def test_documents_link_to_what_exists():
    """Every relative link of every document leads to a file."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_public_names_are_documented():
    """docs/api.md has every public name, and no name that is not public."""
    named = re.findall(r"^\|([^|]*)\|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    found = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert found == set(clearhead.__all__)


def test_generated_documents_are_up_to_date():
    """docs/cli.md and the picture are what `make docs` would write now."""
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs/make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    for path, content in make.documents().items():
        assert (ROOT / path).read_text() == content, f"{path} is not up to date: run make docs"
