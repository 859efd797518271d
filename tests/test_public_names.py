"""The public list: short, complete, and described."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

import clearhead

PUBLIC = frozenset(clearhead.__all__)
TABLES = {"DEVIATIONS", "OPERATIONS"}
API = Path(__file__).parents[1] / "docs" / "reference" / "api.md"


def test_the_public_list_names_each_once():
    """The list has no name twice, and ``dir`` shows it."""
    assert len(clearhead.__all__) == len(PUBLIC)
    assert set(dir(clearhead)) == PUBLIC | {"__version__"}


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


def types_in(annotation: Any) -> Iterator[type]:
    """The classes of this package that an annotation is made of."""
    if isinstance(annotation, list | tuple):
        for each in annotation:
            yield from types_in(each)
    elif isinstance(annotation, type) and not isinstance(annotation, GenericAlias):
        if annotation.__module__.startswith("clearhead"):
            yield annotation
    else:
        yield from types_in(get_args(annotation))


def functions_of(described: Any) -> Iterator[Callable[..., Any]]:
    """A function itself; the public methods and properties of a class."""
    if inspect.isfunction(described):
        yield described
    elif isinstance(described, type):
        for name, member in inspect.getmembers_static(described, lambda each: not inspect.isdatadescriptor(each)):
            plain = getattr(member, "func", getattr(member, "__func__", member))
            if not name.startswith("_") and inspect.isfunction(plain) and plain.__module__.startswith("clearhead"):
                yield plain
        yield from (each.fget for each in vars(described).values() if isinstance(each, property))


def needed(name: str) -> set[type]:
    """The classes in the signatures of a public name, and in the fields of its data."""
    described = getattr(clearhead, name)
    known = {each: getattr(clearhead, each) for each in PUBLIC - TABLES}
    found = [get_type_hints(each, localns=known) for each in functions_of(described)]
    if isinstance(described, type) and issubclass(described, msgspec.Struct):
        found.append({each.name: each.type for each in msgspec.structs.fields(described)})
    return {each for hints in found for annotation in hints.values() for each in types_in(annotation)}


DETAILS = {
    "Adapted", "Compared", "Corpus", "Dask", "Document", "Expr", "Finding", "GradientProbe", "Indistinguishable",
    "Judged", "Key", "Local", "NearMiss", "Probe", "Separation", "Survey", "Tensor",
}  # fmt: skip
"""Parts of results, whose own parts are public in the package that they belong to, such as ``clearhead.check``."""


@pytest.mark.parametrize("name", sorted(PUBLIC - TABLES))
def test_the_types_that_a_public_name_needs_are_public(name):
    """Whoever annotates what a public function takes or gives finds the type in the public list."""
    for each in needed(name):
        home = import_module(".".join(each.__module__.split(".")[:2])) if name in DETAILS else clearhead
        public = getattr(home, "__all__", vars(home))
        assert each is getattr(home, each.__name__, None), f"{name} needs {each}"
        assert each.__name__ in {*public, *PUBLIC}, f"{name} needs {each}"


def test_a_type_that_is_not_public_would_be_found():
    """The walk sees arguments, results, nested types, properties and fields of data."""
    assert clearhead.Trace in needed("compare")
    assert clearhead.Comparison in needed("compare")
    assert clearhead.Llama3Scaling in needed("Rotary")
    assert clearhead.Applied in needed("Problem")
    assert clearhead.Note in needed("Trace")
