"""Classes of layers that a notebook defines, what it calls their instances, and layers of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

from clearhead.problems.printed import called


class Modules:
    """Classes by name, the class of each instance, and how linear layers outside of classes are made."""

    def __init__(self) -> None:
        self.classes: dict[str, ast.ClassDef] = {}
        self.instances: dict[str, str] = {}
        self.layers: dict[str, ast.Call] = {}
        self.current = "self"

    def define(self, definition: ast.ClassDef) -> None:
        """Keeps a class."""
        self.classes[definition.name] = definition

    def assign(self, name: str, value: ast.expr | None) -> None:
        """Keeps the name of an instance, or of a linear layer, if this value makes one."""
        if isinstance(value, ast.Call) and called(value.func) == "Linear":
            self.layers[name] = value
        elif isinstance(value, ast.Call) and called(value.func) in self.classes:
            self.instances[name] = called(value.func)

    def may_have_bias(self, layer: str) -> bool:
        """Whether a linear layer has a bias, as it has unless ``bias=False`` is written out."""
        instance, _, name = layer.partition(".")
        made = self.layers.get(layer)
        kind = self.classes.get(self.instances.get(instance, ""))
        for each in ast.walk(kind) if kind is not None else ():
            if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == f"self.{name}":
                made = each.value if isinstance(each.value, ast.Call) else made
        bias = next((each.value for each in made.keywords if each.arg == "bias"), None) if made is not None else None
        return not (isinstance(bias, ast.Constant) and bias.value is False)

    def path(self, node: ast.expr) -> str:
        """A layer, or a parameter of one, by the name of its instance; "" for what is no such path."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.current if node.id == "self" else node.id, *parts])

    def forward(self, function: ast.expr) -> ast.FunctionDef | None:
        """What calling an instance runs; None for any other function."""
        kind = self.classes.get(self.instances.get(_name(function), ""))
        methods = [] if kind is None else [each for each in kind.body if isinstance(each, ast.FunctionDef)]
        return next((each for each in methods if each.name == "forward"), None)

    @contextmanager
    def inside(self, function: ast.expr) -> Iterator[None]:
        """While the body of an instance is read, ``self`` is that instance."""
        before, self.current = self.current, _name(function)
        yield
        self.current = before


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""
