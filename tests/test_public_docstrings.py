"""Public docstrings: each parameter, each field and each error of a public name is described."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clearhead
from clearhead import errors

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:(?: {4}.*)?\n?)*)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}([*\w][\w, *]*):", re.MULTILINE)


def described(thing: Any) -> set[str]:
    """The names that a docstring has as entries of its sections, or in double backticks."""
    text = inspect.cleandoc(thing.__doc__ or "")
    entries = [entry for _, section in SECTION.findall(text) for entry in ENTRY.findall(section)]
    return {name.strip(" *") for entry in entries for name in entry.split(",")} | set(re.findall(r"``(\w+)``", text))


def public() -> Iterator[tuple[str, Any]]:
    """The public functions and classes, and the public methods of these classes, by name."""
    for name in sorted(clearhead.__all__):
        thing = getattr(clearhead, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            function = getattr(value, "__func__", value)
            if inspect.isfunction(function) and not method.startswith("_"):
                yield f"{name}.{method}", function


FUNCTIONS = {name: thing for name, thing in public() if inspect.isfunction(thing)}
STRUCTS = {name: thing for name, thing in public() if getattr(thing, "__struct_fields__", ())}


def raised(function: Callable[..., Any]) -> Iterator[type[BaseException]]:
    """The errors of clearhead, and of Python, that the body of a function raises by name."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            error = getattr(errors, node.exc.func.id, getattr(builtins, node.exc.func.id, None))
            if error is not None:
                yield error


def test_every_public_name_has_a_docstring():
    """Each public function, method and class says what it is, in a first line that is a sentence."""
    assert [
        name for name, thing in public() if not (thing.__doc__ or "").split("\n")[0].rstrip().endswith((".", ":"))
    ] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_described(name):
    """The docstring of a public function or method names each of its parameters."""
    parameters = set(inspect.signature(FUNCTIONS[name]).parameters) - {"self", "cls"}
    assert parameters - described(FUNCTIONS[name]) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_error_is_described(name):
    """The docstring of a public function or method names each error that it raises itself, or a base of it."""
    known = described(FUNCTIONS[name])
    assert [error for error in raised(FUNCTIONS[name]) if not known & {base.__name__ for base in error.__mro__}] == []


@pytest.mark.parametrize("name", STRUCTS)
def test_every_field_is_described(name):
    """The docstring of a public class, or of a base of it, names each of its fields."""
    known = set().union(*(described(base) for base in STRUCTS[name].__mro__[:-1]))
    assert set(STRUCTS[name].__struct_fields__) - known == set()
