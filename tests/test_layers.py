"""The layers: what may import what."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import clearhead
from clearhead.doors import DOORS

SOURCE = Path(clearhead.__file__).parent

CORE = (
    "errors",
    "doors",
    "brief",
    "axes",
    "budgets",
    "files",
    "untrusted",
    "extras",
    "expr",
    "explanation",
    "ops",
    "line",
    "shapes",
    "accept",
    "backward",
    "plan",
    "compiled",
    "trace",
    "dust",
    "digits",
    "working",
    "spec",
    "written",
    "claim",
    "deviations",
    "document",
    "inspection",
)
"""The core in its order: each part may import those before it, and itself."""

CONSUMERS = ("show", "check", "problems", "models")
"""What uses the core; these do not import each other."""

ABOVE = ("exercises", "inspection.report", "corpora")
"""What joins several consumers; these do not import each other either."""

EDGES = ("web", "cli", "__main__")
"""What nothing imports but the edge itself."""

BY_NAME = {
    "clearhead",
    "clearhead.doors",
    "clearhead.cli.group",
    "clearhead.inspection.choice",
    "clearhead.models.families",
}
"""What imports parts of the package by the text of their names; the last three from their own folders."""

OTHER_PACKAGES = {"clearhead.extras", "clearhead.check.calls.calling"}
"""What imports other packages so."""

HEAVY = ("torch", "jax", "rich", "array_api_compat", "click", "mpmath", "importlib.metadata", "pydantic")

Graph = dict[str, set[str]]


def run_here(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program with the package that is tested, whatever is installed."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE.parent)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)


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


@cache
def imports(text: str) -> tuple[str, ...]:
    """What a module imports anywhere, in functions too, but not for type checkers only: modules, or names in them."""
    return tuple(_imports(text))


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(AtRunTime().visit(ast.parse(text))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
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


def violations(sources: Mapping[str, str]) -> list[str]:
    """Every import that goes against the layers, for modules by their name with their text."""
    parts = {part_of(name) for name in sources}
    return [
        f"{name} imports {imported}"
        for name, imports in graph(sources).items()
        for imported in sorted(imports)
        if part_of(imported) in parts - {""} - allowed(part_of(name)) and part_of(name) != ""
    ]


def graph(sources: Mapping[str, str]) -> Graph:
    """Which modules of the package each of them imports, in functions too."""
    return {name: {_module(each, sources) for each in imports(text)} - {"", name} for name, text in sources.items()}


def _module(imported: str, sources: Mapping[str, str]) -> str:
    """The module that an import means: itself, or the one that holds the imported name; "" for other packages."""
    while imported and imported not in sources:
        imported = imported.rpartition(".")[0]
    return imported


def circle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules that import each other in a circle; none if there is no circle."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def siblings(edges: Graph, folder: str) -> Graph:
    """What the files and folders of a folder import of each other; its own ``__init__`` is one of them."""

    def child(module: str) -> str:
        return module[len(folder) + 1 :].partition(".")[0] or "__init__"

    def inside(module: str) -> bool:
        return module == folder or module.startswith(f"{folder}.")

    found: Graph = {}
    for module in filter(inside, edges):
        others = {child(each) for each in edges[module] if inside(each)}
        found.setdefault(child(module), set()).update(others - {child(module)})
    return found


def folders(modules: Iterable[str]) -> list[str]:
    """The packages among the modules, from the outermost on."""
    return sorted({module.rpartition(".")[0] for module in modules} - {""})


def circles(sources: Mapping[str, str]) -> list[str]:
    """Every folder in which files or folders import each other in a circle, and the first circle of modules."""
    edges = graph(sources)
    found = [f"{each}: {' -> '.join(way)}" for each in folders(edges) if (way := circle(siblings(edges, each)))]
    return [*found, *filter(None, [" -> ".join(circle(edges))])]


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


def test_nothing_imports_itself_by_way_of_others():
    """No modules, files of a folder or folders import each other in a circle, imports inside functions included."""
    assert circles(package()) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (
            "clearhead.ops.operation",
            "def f():\n    from clearhead.ops.table import operation_named",
            "clearhead.ops.operation",
        ),
        ("clearhead.trace", "def f():\n    import clearhead.working", "clearhead.working"),
        ("clearhead.compiled.simd", "from clearhead.compiled.program import emit", "clearhead.compiled: "),
    ],
)
def test_a_planted_circle_is_found(name, text, found):
    """Circles between modules, and between folders whose modules make none, are reported with their members."""
    planted = {**package(), name: f"{package()[name]}\n{text}"}
    assert any(found in each for each in circles(planted))


def test_imports_by_the_text_of_a_name_are_known():
    """Nothing else imports by a string, which readers of imports cannot see."""
    found = {name for name, text in package().items() if "import_module(" in text or "__import__(" in text}
    assert found == BY_NAME | OTHER_PACKAGES


def test_doors_are_what_type_checkers_see():
    """Each door opens to the name that the imports for type checkers state, and there is no other."""
    import clearhead.doors as doors

    tree = ast.parse(package()["clearhead.doors"])
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    stated = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert stated == DOORS
    for name, (module, _, attribute) in ((name, each.partition(":")) for name, each in DOORS.items()):
        assert getattr(doors, name) is getattr(import_module(module), attribute)
    with pytest.raises(AttributeError, match=r"'clearhead\.doors' has no attribute 'window'"):
        doors.window  # noqa: B018


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("clearhead.expr.nodes", "from clearhead.trace import Trace", "trace"),
        ("clearhead.expr.nodes", "import clearhead.trace", "trace"),
        ("clearhead.ops.textbook.linear", "def f():\n    from clearhead.line import Line", "line"),
        ("clearhead.errors", "from clearhead import axes", "axes"),
        ("clearhead.show.text.plain", "import clearhead.check.compare.slips", "check.compare.slips"),
        ("clearhead.deviations", "import clearhead.cli.main as main", "cli.main"),
        ("clearhead.problems", "if True:\n    from clearhead.cli import main", "cli.main"),
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
    done = run_here(program)
    assert done.stdout.split() == []


NOT_FOR_SHOWING = (
    *("clearhead.check", "clearhead.models", "clearhead.exercises", "clearhead.inspection", "clearhead.web"),
    *("clearhead.deviations.table", "clearhead.ops.table", "clearhead.ops.variants.scores", "clearhead.untrusted"),
    *("clearhead.ops.gradients.gradient", "clearhead.expr.derivative", "clearhead.cli.check", "clearhead.cli.models"),
    *("clearhead.show.data.reading", "clearhead.show.export", "clearhead.show.page", "clearhead.show.paper"),
    *("clearhead.show.plot", "clearhead.show.sheet", "clearhead.show.source", "clearhead.compiled.attention"),
    *(
        "rich",
        "shutil",
        "socket",
        "zipfile",
        "difflib",
        "asyncio",
        "subprocess",
        "multiprocessing",
        "http",
        "email",
        "xml",
    ),
)
"""What `clearhead show soccer` has no use for: other commands, other media, and slow modules of Python."""


def test_showing_a_problem_imports_only_what_it_needs():
    """`clearhead show soccer` loads none of the modules that would make it start late."""
    program = f"""
import sys
from clearhead.cli import main
main(["show", "soccer"], standalone_mode=False)
print(*(name for name in {NOT_FOR_SHOWING} if name in sys.modules), file=sys.stderr)
"""
    done = run_here(program)
    assert "soccer" in done.stdout
    assert done.stderr.split() == []


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
    done = run_here(program)
    assert done.stdout.split() == []
