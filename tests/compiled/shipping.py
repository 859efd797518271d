"""Writes the compiled functions that come with clearhead, as bitcode: one file for each, and for each width of vectors.

Numba compiles them for a kind of processor, which need not be this one: nothing is run. `make kernels` calls it.
"""

import json
import lzma
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import llvmlite.binding as llvm
import numba
import numpy as np

from clearhead import Attention, inspect
from clearhead.compiled import matrices
from clearhead.compiled.program import blas, interpreter, program
from clearhead.compiled.shipped import FOLDER, MANIFEST, kinds
from clearhead.compiled.simd import INNER, LANES
from clearhead.inspection import cpu, cpu_gradients
from clearhead.inspection.gradients import attend
from clearhead.inspection.request import Wanted, request_of

_AVX2 = "+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+popcnt"
PROCESSORS = {
    8: ("x86-64-v3", _AVX2),
    16: ("x86-64-v4", _AVX2 + ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"),
}
"""By the numbers in a vector: the name of a processor, and what it has."""

SOURCES = {
    "routine": matrices, "run": interpreter, "attend": cpu, "receive": cpu, "carry_back": cpu_gradients,
}  # fmt: skip
"""The functions that come with clearhead, and the modules that know what they are made from."""


def by_numba():
    """The functions that Python calls, as Numba compiles them, by name."""
    attend, receive = cpu._entries("made to be shipped")
    carry_back = cpu_gradients._entry("made to be shipped")
    return {"run": interpreter._run(1), "attend": attend, "receive": receive, "carry_back": carry_back}


def use(functions):
    """Has this process use these functions, by name, instead of its own."""
    program.interpreter = lambda: functions["run"]
    cpu.entries = lambda: (functions["attend"], functions["receive"])
    cpu_gradients.entry = lambda: functions["carry_back"]


def work():
    """Something that needs each of the functions; returns its numbers."""
    rng = np.random.default_rng(0)
    working = Attention(heads=2, causal=True).working()
    sizes = {"token": 64, "model": 32, "head": 2, "depth": 16, "head*depth": 32}
    arrays = {each.name: rng.normal(size=[sizes[axis] for axis in each.axes]) for each in working.givens}
    trace = working.run({name: array.astype(np.float32) for name, array in arrays.items()}, engine="compiled")
    query, key, value = (rng.normal(size=(2, 300, 16)).astype(np.float32) for _ in range(3))
    found = inspect(query, key, value, causal=True, received=True)
    options = {"causal": True, "window": None, "softcap": None, "scale": None}
    attended = attend(request_of((query, key, value), {}, None, options, Wanted(top=0)), ("query", "key", "value"))
    gradients = attended.gradients(value, ("query", "key", "value"))
    return [trace["output"], *(found[name] for name in ("logsumexp", "entropy", "received_total")), *gradients.values()]


def typed():
    """The arguments that each of the functions is called with, by name; nothing is computed."""
    asked = {}
    blas.left_out.set()
    program.routine = lambda: 0
    use({name: lambda *given, name=name: asked.setdefault(name, given) and None for name in by_numba()})
    work()
    return asked


def compiled():
    """The name, text, symbol and arguments of each function."""
    routine = matrices._routine(1)
    yield "routine", routine._library.get_llvm_str(), routine.native_name, ()
    functions = by_numba()
    for name, given in typed().items():
        types = tuple(map(numba.typeof, given))
        bare = numba.njit(**INNER)(functions[name].py_func)
        bare.compile(types)
        made = bare.overloads[types]
        yield name, made.library.get_llvm_str(), made.fndesc.llvm_func_name, tuple(kinds(given))


def write(said):
    """Writes the files of this process's width of vectors, and to a file what the manifest says of them."""
    entries = {}
    for name, text, symbol, arguments in compiled():
        code, file = llvm.parse_assembly(text).as_bitcode(), f"{name}-{LANES}"
        (FOLDER / f"{file}.bc.xz").write_bytes(lzma.compress(code, preset=9 | lzma.PRESET_EXTREME))
        about = {"sources": SOURCES[name].sources(), "sha256": sha256(code).hexdigest()}
        entries[file] = about | {"symbol": symbol, "arguments": arguments}
    said.write_text(json.dumps(entries))


def main():
    """Writes all files, and the manifest last."""
    for old in FOLDER.iterdir():
        old.unlink()
    kernels = {}
    for processor, features in PROCESSORS.values():
        environment = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features}
        with TemporaryDirectory() as folder:
            environment["NUMBA_CACHE_DIR"], said = folder, Path(folder) / "said.json"  # what it has kept has no text
            subprocess.run([sys.executable, "-m", "tests.compiled.shipping", said], env=environment, check=True)
            kernels |= json.loads(said.read_text())
    about = {"triple": llvm.get_process_triple(), "llvm": llvm.llvm_version_info, "kernels": kernels}
    MANIFEST.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1])) if sys.argv[1:] else main()
