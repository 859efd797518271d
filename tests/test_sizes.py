"""Sizes: lines of files and functions, parameters of functions. What is larger than the rest has a reason here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clearhead

SOURCE = Path(clearhead.__file__).parent

MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 400, 40, 6
"""Lines of a file, lines of code of a function, and parameters of a function beside ``self`` or ``cls``."""

COMMAND = "a command of the command line: click passes each argument and option as a parameter"
COMPILED = "compiled code takes numbers and addresses by position, since a structure costs time or registers"
BLAS = "the parameters of BLAS (xGEMM), in its order"
STEP = "the parameters of an operation: three arrays, rate, eps, and their axes"

REASONS = {
    "cli/check.py:check": COMMAND,
    "cli/grade.py:grade": COMMAND,
    "cli/show.py:show": COMMAND,
    "corpora/__init__.py:corpus": "the public call: model, documents, where results go, how and by whom it is done",
    "corpora/running.py:run": "the arguments of the public call, and how many documents a shard has",
    "check/gradients/probe.py:probe_gradients": "the public call: that of `probe`, and the forward pass",
    "check/measure/form.py:form_of": "arrays that were measured before, of three shapes, and the precision of them all",
    "cli/exercises.py:generate": COMMAND,
    "cli/inspect.py:inspect": COMMAND,
    "cli/models.py:trace": COMMAND,
    "cli/models.py:verify": COMMAND,
    "cli/show.py:export": COMMAND,
    "compiled/attention/backward.py:add_rows": COMPILED,
    "compiled/attention/tiles.py:apply_masks": COMPILED,
    "compiled/attention/tiles.py:fetch_panel": COMPILED,
    "compiled/attention/tiles.py:fetch_rows": COMPILED,
    "compiled/attention/triton_passes.py:write_best": COMPILED,
    "compiled/attention/triton_tiles.py:scores_of": COMPILED,
    "compiled/matrices.py:_join": COMPILED,
    "compiled/matrices.py:_sum": COMPILED,
    "compiled/matrices.py:by_panels": COMPILED,
    "compiled/matrices.py:routine": COMPILED,
    "compiled/matrices.py:tile": COMPILED,
    "compiled/products.py:product": COMPILED,
    "compiled/products.py:product_onto": COMPILED,
    "compiled/program/calls.py:by_panels": COMPILED,
    "compiled/program/calls.py:gemm": BLAS,
    "compiled/program/interpreter.py:_product": COMPILED,
    "compiled/program/interpreter.py:_row": COMPILED,
    "compiled/program/interpreter.py:_weights": COMPILED,
    "compiled/program/interpreter.py:run": COMPILED,
    "compiled/program/program.py:add": "the fields of an instruction, of which most have defaults",
    "inspection/__init__.py:inspect": "the public call: arrays, masks, options of the scores, and what to compute",
    "models/model.py:inspect": "the public call: what both stacks read, which layers, and what to compute of each",
    "ops/textbook/rotary_scaling.py:dynamic_frequencies": "the parameters of an operation, as configs state them",
    "ops/textbook/training.py:step_scaled": STEP,
    "ops/variants/training.py:step_with_eps_early": STEP,
    "ops/variants/training.py:step_with_eps_inside": STEP,
    "ops/variants/training.py:step_without_root": STEP,
}
"""Why a file or a function may be larger than the rest: the file, and the function behind a colon."""


def too_large(name: str, text: str) -> Iterator[str]:
    """The file and the functions of a module that are larger than the rules allow."""
    if len(text.splitlines()) > MAX_FILE:
        yield name
    if not name.endswith(".py"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            len(code_lines(node, text)) > MAX_FUNCTION or len(parameters(node)) > MAX_PARAMETERS
        ):
            yield f"{name}:{node.name}"


def code_lines(function: ast.AST, text: str) -> set[int]:
    """The lines of a function that are neither blank nor comments nor docstrings."""
    lines = text.splitlines()
    every = range(function.lineno, function.end_lineno + 1)
    code = {number for number in every if lines[number - 1].strip() and lines[number - 1].strip()[0] != "#"}
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            code -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return code


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of a function's parameters, without those that Python or its decorators fill in."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_files_and_functions_are_small_or_have_a_reason():
    """No file is over 400 lines, no function over 40 lines of code or 6 parameters, unless a reason stands here."""
    found = {
        large
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".js", ".css", ".ts")
        for large in too_large(path.relative_to(SOURCE).as_posix(), path.read_text("utf-8"))
    }
    assert found == set(REASONS)


BODY = "\n".join("    x = 1" for _ in range(MAX_FUNCTION - 1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n" * MAX_FILE, []),
        ("x = 1\n" * (MAX_FILE + 1), ["a.py"]),
        (f"def f():\n{BODY}", []),
        (f"def f():\n{BODY}\n\n    # a comment\n    x = 1", ["a.py:f"]),
        (f'def f():\n    """A docstring\n\n    of lines.\n    """\n{BODY}', []),
        ("class A:\n    def f(self, a, b, c, *, d, e, f): pass", []),
        ("async def f(a, /, b, c, d, *, e, f, g): pass", ["a.py:f"]),
    ],
)
def test_what_is_too_large_is_found(text, found):
    """Blank lines, comments and docstrings do not count; parameters of every kind do."""
    assert list(too_large("a.py", text)) == found
