"""The public list: short, complete, and described."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clearhead

PUBLIC = {
    "DEVIATIONS", "OPERATIONS", "Attention", "Block", "CheckpointError", "Claim", "ClearheadError", "Comparison",
    "Deviation", "Explanation", "Family", "FileError", "Given", "Inspection", "Line", "MissingPackage", "Mlp",
    "Model", "Norm", "Note", "Operation", "Positions", "Problem", "ProblemError", "Report", "Rotary", "ShapeError",
    "SpecError", "Trace", "UnknownName", "Working", "WrongType", "adapt", "assert_agrees", "compare", "deviate",
    "diagnose", "generate", "inspect", "load", "probe", "read_problem", "read_trace", "render", "write_problem",
}  # fmt: skip
TABLES = {"DEVIATIONS", "OPERATIONS"}
API = Path(__file__).parents[1] / "docs" / "reference" / "api.md"


def test_the_public_list_is_this_one():
    """Nothing becomes public, or stops being it, by accident."""
    assert set(clearhead.__all__) == PUBLIC
    assert len(clearhead.__all__) == len(PUBLIC)
    assert set(dir(clearhead)) >= PUBLIC | {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC - TABLES))
def test_public_names_are_documented(name):
    """Each public name is there and says what it is in a sentence of its own."""
    described = getattr(clearhead, name)
    assert described.__name__ == name
    first = (described.__doc__ or "").strip().partition("\n")[0]
    assert len(first.split()) >= 3
    assert not first.startswith(f"{name}(")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_public_tables_hold_what_they_name(name):
    """The two tables map names to the things of that name."""
    table = getattr(clearhead, name)
    assert table
    assert all(key == getattr(each, "id", None) or key == getattr(each, "name", None) for key, each in table.items())


def test_names_are_imported_when_they_are_used():
    """``import clearhead`` alone imports none of its parts, and a first use only what it needs."""
    program = "import sys, clearhead; print(sum(m.startswith('clearhead.') for m in sys.modules)); clearhead.ShapeError"
    program += "; print(*[m for m in sys.modules if m.startswith('clearhead.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "clearhead.errors"]


def test_a_name_that_is_not_there():
    """A wrong attribute is an AttributeError like that of any module."""
    with pytest.raises(AttributeError, match="module 'clearhead' has no attribute 'attention'"):
        clearhead.attention  # noqa: B018


def test_type_checkers_see_the_same_names():
    """The imports for type checkers, the table of homes and the public list name the same."""
    tree = ast.parse(Path(clearhead.__file__).read_text("utf-8"))
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in typed.body for alias in node.names}
    assert imported == PUBLIC == set(clearhead._HOME)


def test_every_public_name_is_in_the_api_document():
    """docs/reference/api.md speaks of each public name."""
    described = API.read_text("utf-8")
    assert [name for name in sorted(PUBLIC) if f"`{name}" not in described] == []
