"""The layers: what may import what."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clearhead

SOURCE = Path(clearhead.__file__).parent

CORE = (
    "errors",
    "axes",
    "budgets",
    "files",
    "untrusted",
    "extras",
    "expr",
    "ops",
    "line",
    "plan",
    "compiled",
    "trace",
    "working",
    "spec",
    "claim",
    "deviations",
    "document",
    "inspection",
)
"""The core in its order: each part may import those before it, and itself."""

CONSUMERS = ("show", "check", "problems", "models")
"""What uses the core; these do not import each other."""

DOORS = {
    "clearhead.trace": {"show"},
    "clearhead.working": {"show"},
    "clearhead.problems.problem": {"show"},
    "clearhead.check.diagnosis": {"show"},
    "clearhead.inspection.survey": {"inspection.report"},
}
"""Modules whose methods call a consumer at the moment they are used, so that things can save and show themselves."""

ABOVE = ("exercises", "inspection.report")
"""What joins several consumers; these do not import each other either."""

EDGES = ("web", "cli", "__main__")
"""What nothing imports but the edge itself."""

HEAVY = ("torch", "jax", "rich", "array_api_compat", "click", "mpmath", "importlib.metadata", "pydantic")


def part_of(module: str) -> str:
    """The layer that a module belongs to; "" for the package itself."""
    inside = module.removeprefix("clearhead").removeprefix(".")
    nested = [each for each in ABOVE if "." in each and (inside == each or inside.startswith(f"{each}."))]
    return nested[0] if nested else inside.partition(".")[0]


class AtRunTime(ast.NodeTransformer):
    """Takes out what only type checkers see."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") else node


def imports(text: str) -> Iterator[str]:
    """The modules that a module imports anywhere, in functions too, but not for type checkers only."""
    for node in ast.walk(AtRunTime().visit(ast.parse(text))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(part: str) -> frozenset[str]:
    """The parts that a part may import."""
    if part in CORE:
        return frozenset(CORE[: CORE.index(part) + 1])
    if part in CONSUMERS:
        return frozenset((*CORE, part))
    if part in ABOVE:
        return frozenset((*CORE, *CONSUMERS, part))
    return frozenset((*CORE, *CONSUMERS, *ABOVE, *EDGES))


def violations(sources: dict[str, str]) -> list[str]:
    """Every import that goes against the layers, for modules by their name with their text."""
    parts = {part_of(name) for name in sources}
    return [
        f"{name} imports {imported}"
        for name, text in sources.items()
        for imported in sorted(set(imports(text)))
        if imported.startswith("clearhead.")
        and part_of(imported) in parts - allowed(part_of(name))
        and part_of(name) != ""
        and part_of(imported) not in DOORS.get(name, ())
    ]


def module_name(path: Path) -> str:
    """The name by which a file of the package is imported."""
    inside = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(("clearhead", *(part for part in inside if part != "__init__")))


def package() -> dict[str, str]:
    """The text of every module of the package by its name."""
    return {module_name(path): path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.py"))}


def test_every_part_has_a_layer():
    """No file of the package stands outside the layers."""
    assert {part_of(name) for name in package()} <= {"", *CORE, *CONSUMERS, *ABOVE, *EDGES}


def test_imports_go_one_way():
    """Each part imports only what stands before it; consumers leave each other alone; nothing imports the edge."""
    assert violations(package()) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("clearhead.expr.nodes", "from clearhead.trace import Trace", "trace"),
        ("clearhead.expr.nodes", "import clearhead.trace", "trace"),
        ("clearhead.ops.textbook.linear", "def f():\n    from clearhead.line import Line", "line"),
        ("clearhead.errors", "from clearhead import axes", "axes"),
        ("clearhead.show.text.plain", "import clearhead.check.compare.slips", "check.compare.slips"),
        ("clearhead.deviations", "import clearhead.cli.main as main", "cli.main"),
        ("clearhead.problems", "if True:\n    from clearhead.cli import main", "cli"),
        ("clearhead.trace", "if TYPE_CHECKING:\n    pass\nelse:\n    import clearhead.working", "working"),
    ],
)
def test_a_planted_violation_is_found(name, text, found):
    """The checker sees imports of every form, at the top and in functions."""
    assert f"{name} imports clearhead.{found}" in violations({**package(), name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clearhead.trace", "if TYPE_CHECKING:\n    from clearhead.working import Working"),
        ("clearhead.trace", "import numpy\nfrom clearhead.ops import Array\nfrom clearhead.trace import Trace"),
        ("clearhead.cli.main", "from clearhead.show import render\nfrom clearhead.cli.style import plain"),
        ("clearhead", "from clearhead.cli import main"),
    ],
)
def test_what_is_allowed_is_not_reported(name, text):
    """Imports for type checkers, of other packages, of layers before and of oneself are fine."""
    assert violations({**package(), name: text}) == []


@pytest.mark.parametrize(
    "module", ["clearhead", "clearhead.spec", "clearhead.deviations", "clearhead.claim", "clearhead.document"]
)
def test_the_core_starts_light(module):
    """Importing the core imports no array library but NumPy, no terminal library and no command line."""
    program = f"import sys, {module}; print(*sorted(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_running_on_numpy_imports_no_other_library():
    """A working on NumPy arrays is worked out and explained without array-api-compat, PyTorch or JAX."""
    program = f"""
import sys
from clearhead.spec import Attention
weights = {{name + ".weight": [[[1, 2], [0, 1]]] for name in ("query", "key", "value")}}
trace = Attention(heads=1, output=False).working().run({{"input": [[1, 0], [2, 3]], **weights}})
trace.explain("head@1", 0, 0)
print(*sorted(m for m in {HEAVY} if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
