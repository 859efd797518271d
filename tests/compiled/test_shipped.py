"""Compiled functions that come with clearhead: made from this source, and the same as Numba's."""

import ast
import lzma
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pytest

import clearhead
from clearhead.compiled import shipped, simd
from clearhead.compiled.shipped import FOLDER, MANIFEST, Manifest, Native, address, kinds, native
from clearhead.inspection import cpu, cpu_gradients

from . import shipping

ROOT = Path(clearhead.__file__).parent.parent
KERNELS = msgspec.json.decode(MANIFEST.read_bytes(), type=Manifest).kernels
NOT_COMPILED = {"clearhead.compiled", "clearhead.compiled.shipped", "clearhead.compiled.kept",
                "clearhead.compiled.attention.workers", "clearhead.compiled.attention"}  # fmt: skip
"""Modules that compiled functions need nothing from."""


@pytest.mark.parametrize("name", KERNELS)
def test_files_are_made_from_this_source(name):
    """After a change of compiled code, `make kernels` writes the files again."""
    function, _, lanes = name.rpartition("-")
    assert int(lanes) in shipping.PROCESSORS
    assert KERNELS[name].sources == shipping.SOURCES[function].sources(), "run `make kernels`"
    code = lzma.decompress((FOLDER / f"{name}.bc.xz").read_bytes())
    assert sha256(code).hexdigest() == KERNELS[name].sha256


def test_each_function_has_a_file_for_each_width():
    """There is nothing beside them."""
    files = {f"{name}-{lanes}" for name in shipping.SOURCES for lanes in shipping.PROCESSORS}
    assert files == KERNELS.keys()
    assert {path.name for path in FOLDER.iterdir()} == {MANIFEST.name, *(f"{name}.bc.xz" for name in files)}


def imported(module):
    """The modules of compiled code that a module imports, and so on."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    path = path if path.exists() else ROOT / module.replace(".", "/") / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clearhead.compiled"):
            inner = {f"{node.module}.{each.name}" for each in node.names}
            modules = {each for each in inner if (ROOT / f"{each.replace('.', '/')}.py").exists()}
            found |= modules or {node.module}
    found -= NOT_COMPILED
    return found.union(*map(imported, found))


@pytest.mark.parametrize("module", dict.fromkeys(shipping.SOURCES.values()), ids=lambda module: module.__name__)
def test_the_hash_is_of_all_source_that_is_compiled(module, monkeypatch):
    """No module whose functions are compiled into one may change without the hash."""
    hashed = []
    monkeypatch.setattr(module, "digest", lambda *modules: hashed.extend(modules))
    module.sources.__wrapped__()
    assert imported(module.__name__) <= {each.__name__ for each in (*hashed, simd)}


@pytest.fixture
def numbers(monkeypatch):
    """The numbers of `shipping.work` by functions that are given by name."""
    monkeypatch.setattr(shipping.program, "interpreter", shipping.program.interpreter)
    monkeypatch.setattr(cpu, "entries", cpu.entries)
    monkeypatch.setattr(cpu_gradients, "entry", cpu_gradients.entry)

    def numbers(functions):
        shipping.use(functions)
        return shipping.work()

    return numbers


def test_they_are_what_numba_compiles(numbers):
    """Both ways give the same bits, and each function is called."""
    functions = {name: native(name, module.sources()) for name, module in shipping.SOURCES.items() if name != "routine"}
    by_numba = shipping.by_numba()
    called = set()
    for name, function in functions.items():
        assert function is not None or simd.LANES not in shipping.PROCESSORS
        functions[name] = Counted(name, function or by_numba[name], called)
    for ours, theirs in zip(numbers(functions), numbers(by_numba), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert called == functions.keys()


class Counted:
    """A function that says its name to a set when it is called."""

    def __init__(self, name, function, called):
        self.name, self.function, self.called = name, function, called

    def __call__(self, *arguments):
        self.called.add(self.name)
        self.function(*arguments)


def test_a_file_of_another_source_is_not_used():
    """A hash that is not that of the file, and a name without a file, find nothing."""
    assert native("run", "0" * 64) is None
    assert address("routine", "0" * 64) == 0
    assert native("walk", shipping.SOURCES["run"].sources()) is None


def test_a_file_that_is_not_what_the_manifest_says_is_not_used(tmp_path, monkeypatch):
    """A damaged file is never translated."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / f"run-{simd.LANES}.bc.xz").write_bytes(lzma.compress(b"BC\xc0\xde"))
    kernel = msgspec.structs.replace(next(iter(KERNELS.values())), symbol="run")
    assert shipped._address("run", kernel) == 0
    spoiled = msgspec.structs.replace(kernel, sha256=sha256(b"BC\xc0\xde").hexdigest())
    assert shipped._address("run", spoiled) == 0


def test_arguments_of_other_types_are_refused():
    """An array that the function was not compiled for is an error before it is called."""
    function = Native(1, ["int64 2 C", "float64"])
    with pytest.raises(TypeError, match="int64 2 C, not float32 2 C"):
        function(np.zeros((2, 2), np.float32), 1.0)
    with pytest.raises(TypeError, match="int64 2 A"):
        function.bound(np.zeros((2, 3), np.int64).T)


def test_kinds_of_arguments():
    """Tuples are taken apart; a boolean is no whole number."""
    assert [*kinds(((1, True), 2.0, np.zeros(3, np.float32)))] == ["int64", "bool", "float64", "float32 1 C"]
