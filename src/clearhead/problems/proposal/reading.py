"""From the expressions of a notebook to the parts of attention that they compute. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from clearhead.problems.names import role_of, role_of_layer
from clearhead.problems.printed import called, written
from clearhead.problems.proposal.events import pairs
from clearhead.problems.proposal.modules import Modules
from clearhead.problems.proposal.values import NOTHING, NumpyArray, Value, array_of, assembled, computed, transposed

MAX_DEPTH = 4
"""How deeply functions of the notebook's own are followed."""

MAX_CALLS = 1000
"""How many calls of such functions are followed."""

ROOT_OF_DEPTH = "root of the depth"
"""The divisor of scores that the textbook has, where it was written as a root of the shape of queries or keys."""

_SAME = ("astype", "float", "numpy", "detach", "copy", "clone", "double", "long", "squeeze", "round", "Parameter")
_PRODUCTS = ("dot", "matmul", "mm", "bmm")
_TURNS = ("transpose", "permute", "swapaxes", "t")
_STACKS = ("concatenate", "concat", "cat", "hstack", "vstack", "stack", "column_stack")
_ARRAYS = ("array", "asarray", "tensor", "as_tensor", "Tensor", "FloatTensor")
_LINES = ("query", "key", "value")
_STATISTICS = {"mean": "mean", "var": "variance", "std": "spread"}

LONGEST = 100.0
"""A function with sines, cosines and a number from this on computes sinusoidal positions: that is their base."""


class Reader:
    """Reads expressions in order.

    Attributes:
        known: what each name holds.
        functions: the functions that the notebook defines.
        modules: its classes and their instances.
        facts: what was seen on the way: divisors of scores, masks, the eps of a norm.
        unsure: what could not be decided, in words.
    """

    def __init__(self) -> None:
        self.known: dict[str, Value] = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self.modules = Modules()
        self.facts: dict[str, Any] = {}
        self.unsure: list[str] = []
        self.depth = 0
        self.calls = 0

    def value(self, node: ast.expr | None, source: str = "", target: str = "") -> Value:
        """What an expression holds; ``target`` is the name that it is assigned to, which may say what it is."""
        if node is None:
            return NOTHING
        numbers = written(node, source) if source else None
        if numbers is not None and (array := array_of(numbers)) is not None:
            role, head = role_of(target)
            return Value(array, role, head)
        match node:
            case ast.Name(id=name):
                return self.known.get(name, NOTHING)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
                return self.known.get(f"{name}[{key!r}]", NOTHING)
            case ast.Constant(value=int() | float() as number):
                return Value(np.array(float(number)))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                found = self.value(inner, source)
                if found.role == "logarithm":
                    return Value(role="loss.token", parts=found.parts)
                return Value(-found.array) if found.array is not None and not found.role else NOTHING
            case ast.Subscript(value=inner, slice=ast.Tuple(elts=[ast.Call(func=rows), picked])):
                return self._picked(self.value(inner, source), called(rows), self.value(picked, source))
            case ast.Subscript(value=ast.Attribute(attr="shape", value=inner), slice=index):
                return self._size(inner, index, source)
            case ast.Call(func=ast.Attribute(attr="size", value=inner), args=[index]):
                return self._size(inner, index, source)
            case ast.Attribute(attr="T" | "mT", value=inner):
                return transposed(self.value(inner, source))
            case ast.Attribute(attr="weight"):
                return transposed(self.known.get(self.modules.path(node), NOTHING))
            case ast.BinOp(op=ast.MatMult(), left=left, right=right):
                return self._product(self.value(left, source), self.value(right, source), target)
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(node, self.value(left, source), type(op).__name__, self.value(right, source))
            case ast.Call():
                return self._call(node, source, target)
        return NOTHING

    def _size(self, of: ast.expr, index: ast.expr, source: str) -> Value:
        """The depth, if it is the size of the last axis of queries or keys."""
        last = self.value(index, source).number in (-1.0, 1.0)
        return Value(role="depth") if last and self.value(of, source).role in ("query", "key") else NOTHING

    def _picked(self, of: Value, rows: str, target: Value) -> Value:
        """Of a softmax the share of each row's target: ``p[np.arange(n), y]``."""
        known = of.role == "softmax" and rows in ("arange", "range") and target.array is not None
        return Value(role="picked", parts=(of, target)) if known else NOTHING

    def keep_table(self, name: str, node: ast.expr | None, source: str) -> None:
        """Keeps the entries of a dictionary that is written out, each under the name that it is read by."""
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    self.known[f"{name}[{key.value!r}]"] = self.value(value, source)

    def keep_layer(self, parameter: str, array: NumpyArray) -> None:
        """Keeps the weight of a linear layer, which stands on the right of tokens once it is transposed."""
        role, head = role_of_layer(parameter)
        if role and array.ndim == 2:
            self.known[parameter] = Value(array.T, role, head)
            layer = parameter.removesuffix(".weight")
            if self.modules.may_have_bias(layer):
                self.unsure.append(f"{layer} may have a bias, which is left out here: no bias=False was seen.")

    # --- calls ---------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, source: str, target: str) -> Value:
        name = called(node.func)
        layer = self.known.get(f"{self.modules.path(node.func)}.weight", NOTHING)
        if layer.matrix and node.args:
            return self._product(self.value(node.args[0], source), layer, target)
        if (forward := self.modules.forward(node.func)) is not None:
            with self.modules.inside(node.func):
                return self._own(forward, node, source)
        of = self._receiver(node.func, source)
        operands = [of, *(self.value(each, source) for each in node.args)] if of is not None else [
            self.value(each, source) for each in node.args
        ]  # fmt: skip
        first = operands[0] if operands else NOTHING
        if name in self.functions:
            return self._own(self.functions[name], node, source)
        if name in _PRODUCTS and len(operands) > 1:
            return self._product(first, operands[1], target)
        if name in _TURNS:
            return transposed(first)
        if name in _SAME:
            return first
        if name in _ARRAYS and node.args:
            return self._stack("array", node, source, target) if isinstance(node.args[0], ast.List) else first
        if name in _STACKS and node.args:
            return self._stack(name, node, source, target)
        if name in ("tril", "triu", "masked_fill", "masked_fill_"):
            self.facts["causal"] = name
            return first if first.role else NOTHING
        return self._by_name(name, first)

    def _receiver(self, function: ast.expr, source: str) -> Value | None:
        """What a method is called on; None for a function of a module."""
        if not isinstance(function, ast.Attribute):
            return None
        found = self.value(function.value, source)
        return found if found.array is not None or found.role else None

    def _by_name(self, name: str, first: Value) -> Value:
        plain = name.lower()
        if plain in _STATISTICS:
            return Value(role=_STATISTICS[plain], parts=(first,)) if first.matrix or first.role else NOTHING
        if "softmax" in plain:
            if first.role in ("scores", "scaled", "masked", ""):
                return Value(role="weights" if first.role else "softmax", head=first.head, parts=(first,))
            return NOTHING
        if plain == "exp":
            known = first.role or (first.array is not None and first.array.ndim)
            return Value(role="exponentials", head=first.head, parts=(first,)) if known else NOTHING
        if plain == "log" and first.role == "picked":
            return Value(role="logarithm", parts=first.parts)
        if plain == "sqrt" and first.number is not None:
            return Value(np.sqrt(np.array(first.number)))
        if plain == "sqrt":
            spread = first.role == "variance"
            return Value(role="spread", parts=first.parts) if spread else Value(role="root", parts=(first,))
        if "norm" in plain and not plain.rstrip("_").endswith("normal"):  # which draws numbers
            return Value(role="norm", parts=(first,))
        return NOTHING

    def _own(self, function: ast.FunctionDef, node: ast.Call, source: str) -> Value:
        """A function of the notebook's own, read with what it is given."""
        self.calls += 1
        if self.depth >= MAX_DEPTH or self.calls > MAX_CALLS:
            return NOTHING
        given = [self.value(each, source) for each in node.args]
        if (base := _base_of(function)) is not None:
            self.facts["base"] = base
            return Value(role="positions")
        by_name = _by_purpose(function.name)
        if by_name and given:
            self._look_for_eps(function)
            return self._by_name(by_name, given[0])
        names = [each.arg for each in function.args.args if each.arg != "self"]
        defaults = dict(zip(names[len(names) - len(function.args.defaults) :], function.args.defaults, strict=True))
        inner: dict[str, Value] = {name: self.value(each) for name, each in defaults.items()}
        inner |= dict(zip(names, given, strict=False))
        inner |= {each.arg: self.value(each.value, source) for each in node.keywords if each.arg}
        return self._body(function.body, {**self.known, **inner})

    def _body(self, body: list[ast.stmt], scope: Mapping[str, Value]) -> Value:
        outer, self.known = self.known, dict(scope)
        self.depth += 1
        result = NOTHING
        for statement in body:
            if isinstance(statement, ast.Assign):
                for name, value in pairs(statement.targets[0], statement.value):
                    self.known[name] = self.value(value, target=name)
            elif isinstance(statement, ast.Return):
                result = self.value(statement.value)
        self.depth -= 1
        self.known = outer
        return result

    def _look_for_eps(self, function: ast.FunctionDef) -> None:
        """The eps of a norm: a small number in its parameters or its body; 0 for none."""
        if "norm" in function.name.lower():
            small = [
                each.value for each in ast.walk(function)
                if isinstance(each, ast.Constant) and isinstance(each.value, float) and 0 < each.value < 0.01
            ]  # fmt: skip
            self.facts["eps"] = small[0] if small else 0.0

    def _stack(self, name: str, node: ast.Call, source: str, target: str) -> Value:
        listed = node.args[0].elts if isinstance(node.args[0], (ast.List, ast.Tuple)) else node.args
        parts = [self.value(each, source) for each in listed]
        axis = next((each.value for each in node.keywords if each.arg in ("axis", "dim")), None)
        number = self.value(axis).number if axis is not None else 0
        arrays = [each.array for each in parts if each.array is not None]
        if parts and all(each.role == "head" for each in parts):
            return Value(role="concat", parts=tuple(parts))
        if len(arrays) == len(parts) and parts:
            role, head = role_of(target)
            return Value(assembled(name, arrays, int(number or 0)), role, head)
        return NOTHING

    # --- arithmetic ------------------------------------------------------------------------------------------------

    def _product(self, left: Value, right: Value, target: str) -> Value:
        if left.role in ("weights", "softmax"):
            value = right if right.role in ("value", "input") else Value(right.array, "value", right.head)
            return Value(role="head", head=left.head or right.head, parts=(left, value))
        if left.role in ("concat", "head") and right.matrix:
            return Value(role="output", parts=(left, right))
        if (left.role, right.role) == ("key", "query") and right.array is not None and right.array.ndim == 1:
            return Value(role="scores", parts=(right, left))  # one query
        if right.turned and (left.role or left.matrix) and not right.role.endswith(".weight"):
            head = left.head if left.role == "query" else right.head if right.role == "key" else 0
            return Value(role="scores", head=head, parts=(left, transposed(right)))
        if left.matrix and right.matrix:
            return self._projection(left, right, target)
        if left.matrix or right.matrix or left.role or right.role:
            role, head = role_of(target)
            return Value(role=role if role in _LINES else "", head=head)
        return NOTHING

    def _projection(self, left: Value, right: Value, target: str) -> Value:
        """The product of tokens and a weight, whose name or whose result's says which."""
        part = next(
            (
                role.partition(".")[0]
                for role in (right.role, role_of(target)[0])
                if role.partition(".")[0] in _LINES
            ),
            "",
        )  # fmt: skip
        head = right.head if right.role.endswith(".weight") else role_of(target)[1]
        if left.role.endswith(".weight") and not right.role.endswith(".weight"):
            self.unsure.append(f"{target or 'a product'} has its weight on the left, so tokens seem to be columns.")
        return Value(role=part, head=head, parts=(left, right)) if part else NOTHING

    def _arithmetic(self, node: ast.expr, left: Value, operator: str, right: Value) -> Value:
        if _is_norm(node) or (left.role, operator, right.role) == ("centred", "Div", "spread"):
            base = left.parts[0] if left.role == "centred" else left
            self.facts.setdefault("eps", 0.0)
            return Value(role="norm", parts=(base,))
        if (found := self._of_norm(left, operator, right)) is not None:
            return found
        if left.role in ("scores", "scaled") and operator in ("Div", "Mult"):
            root = ROOT_OF_DEPTH if operator == "Div" and [each.role for each in right.parts] == ["depth"] else None
            self.facts.setdefault("scale", []).append((operator, root or right.number))
            return Value(role="scaled", head=left.head, parts=left.parts)
        if left.role == "exponentials" and operator == "Div":
            inner = left.parts[0]
            return Value(role="weights" if inner.role else "softmax", head=left.head, parts=(inner,))
        if left.role == "weights" and operator in ("Div", "Mult"):
            self.unsure.append("the weights are divided or multiplied behind the softmax, as the claims may show.")
            return left
        if operator == "Add" and "output" in (left.role, right.role, *(_results(left, right))):
            return Value(role="residual", parts=(left, right))
        if left.role == "scores" and operator in ("Add", "Sub"):
            return Value(role="masked", head=left.head, parts=left.parts)
        if operator in ("Sub", "Add") and left.role == "residual":
            return left
        if left.role == "depth" and (operator, right.number) == ("Pow", 0.5):
            return Value(role="root", parts=(left,))
        if left.array is not None and right.array is not None:
            return Value(computed(operator, left.array, right.array))
        return NOTHING

    def _of_norm(self, left: Value, operator: str, right: Value) -> Value | None:
        """What is a step of a norm, worked by hand: what is left of the mean, the eps, a gain or a bias."""
        if operator == "Sub" and right.role == "mean" and _same(left, right.parts[0]):
            return Value(role="centred", parts=(left,))
        if operator == "Add" and left.role in ("variance", "spread") and right.number is not None:
            self.facts["eps"] = right.number
            return left
        if left.role == "variance" and (operator, right.number) == ("Pow", 0.5):
            return Value(role="spread", parts=left.parts)
        norm, other = (left, right) if left.role in ("norm", "affine") else (right, left)
        if other.role or other.array is None or other.array.ndim != 1:
            return None
        wanted = {("norm", "Mult"): 1, ("affine", "Add"): 2}.get((norm.role, operator))
        parts = (norm,) if norm.role == "norm" else norm.parts
        return Value(role="affine", parts=(*parts, other)) if wanted == len(parts) else None


def _same(one: Value, other: Value) -> bool:
    """Whether two expressions hold the same array or line."""
    return one is other or (one.array is other.array if one.array is not None else one.role == other.role)


def _base_of(function: ast.FunctionDef) -> float | None:
    """The base of the sinusoidal positions that a function computes; None where it computes none."""
    names = {called(each.func) for each in ast.walk(function) if isinstance(each, ast.Call)}
    constants = [each.value for each in ast.walk(function) if isinstance(each, ast.Constant)]
    numbers = [float(each) for each in constants if isinstance(each, (int, float)) and each >= LONGEST]
    return max(numbers) if numbers and {"sin", "cos"} <= names else None


def _results(*values: Value) -> list[str]:
    """``output`` for what attention gives without an output projection."""
    return ["output" for each in values if each.role in ("concat", "head")]


def _by_purpose(name: str) -> str:
    plain = name.lower()
    return "softmax" if "softmax" in plain else "norm" if "norm" in plain else ""


def _is_norm(node: ast.expr) -> bool:
    """Whether something less its mean is divided by its spread."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        return False
    names = [
        {called(each.func) for each in ast.walk(side) if isinstance(each, ast.Call)} for side in (node.left, node.right)
    ]
    return "mean" in names[0] and bool({"std", "var", "sqrt"} & names[1])
