"""Compiled functions that come with clearhead, as LLVM's bitcode: translated where they run, in tenths of a second.

Numba takes seconds to compile them from Python. So `make kernels` lets it do that once for a width of vectors, and what
LLVM had optimised is a file in ``bitcode``. LLVM translates it for the processor at hand, and the machine code is kept
for the next process. A file is used only for the source that it was made from, by its hash; without one, Numba compiles
as ever.

A function is called as Numba's own compiled code calls it: by the address of its result, that of an exception, and all
numbers of its arguments one by one, an array as seven and more (numba/core/callconv.py, numba/core/datamodel).
"""

from __future__ import annotations

import ctypes
import lzma
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import msgspec
import numpy as np
from msgspec import Struct
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys

from clearhead.compiled import kept
from clearhead.compiled.simd import LANES

FOLDER = Path(__file__).parent / "bitcode"
MANIFEST = FOLDER / "kernels.json"

SINGLE = {"int64": ctypes.c_int64, "float64": ctypes.c_double, "bool": ctypes.c_bool}
"""Numbers as arguments. What else there is are arrays: the type of their numbers, and their axes."""

FINE = {0, -2}
"""What a function returns that raised nothing."""


class Kernel(Struct, frozen=True):
    """What is said of a file: the hash of its Python source, its own, its function, and that one's arguments."""

    sources: str
    sha256: str
    symbol: str
    arguments: tuple[str, ...] = ()


class Manifest(Struct, frozen=True):
    """The platform and the version of LLVM that files were written for and by, and what is said of each."""

    triple: str
    llvm: tuple[int, ...]
    kernels: dict[str, Kernel]


class Native:
    """A function at an address, called with the arguments that Numba's would be called with.

    Args:
        address: where it lies.
        arguments: the kinds of its arguments, tuples taken apart.
        first: arguments that are the same in each call, taken apart once.
    """

    def __init__(self, address: int, arguments: Sequence[str], first: tuple[Any, ...] = ()) -> None:
        self._address, self._arguments, self._held = address, arguments, first
        kinds = iter(arguments)
        self._first = [number for each in first for number in _apart(each, kinds)]
        self._left = tuple(kinds)
        types = [each for kind in arguments for each in _types(kind)]
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *types)(address)

    def __call__(self, *arguments: Any) -> None:
        """Runs it, without Python's lock.

        Raises:
            RuntimeError: if it raised an exception.
        """
        kinds = iter(self._left)
        others = [number for each in arguments for number in _apart(each, kinds)]
        places = (ctypes.c_void_p * 2)()
        status = self._call(ctypes.addressof(places), ctypes.addressof(places) + 8, *self._first, *others)
        if status not in FINE:
            raise RuntimeError(f"Compiled code stopped with the status {status}.")

    def bound(self, *first: Any) -> Native:
        """The same function with its first arguments given."""
        return Native(self._address, self._arguments, (*self._held, *first))


def bound(function: Callable[..., None], *first: Any) -> Callable[..., None]:
    """A compiled function with its first arguments given: taken apart once, where it is not Numba's."""
    return function.bound(*first) if isinstance(function, Native) else partial(function, *first)


def native(name: str, sources: str) -> Native | None:
    """A function that comes with clearhead; None where there is none for this source and processor.

    Args:
        name: the name of the function.
        sources: the hash of the Python source that it must be made from.
    """
    kernel = _kernel(name, sources)
    place = _address(name, kernel) if kernel else 0
    return Native(place, kernel.arguments) if kernel and place else None


def address(name: str, sources: str) -> int:
    """Where a function lies that only compiled code calls, by the conventions of C; 0 where there is none."""
    kernel = _kernel(name, sources)
    return _address(name, kernel) if kernel else 0


def kinds(value: Any) -> Iterator[str]:
    """The kinds of the numbers and arrays in an argument, as `Kernel` has them."""
    if isinstance(value, tuple):
        for each in value:
            yield from kinds(each)
    elif isinstance(value, np.ndarray):
        yield _kind(value)
    else:
        yield "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else "float64"


def _kernel(name: str, sources: str) -> Kernel | None:
    kernel = _manifest().get(f"{name}-{LANES}")
    return kernel if kernel and kernel.sources == sources else None


@cache
def _manifest() -> dict[str, Kernel]:
    """What there is for this machine: LLVM reads what it wrote before, but not what a later one wrote."""
    held = msgspec.json.decode(MANIFEST.read_bytes(), type=Manifest)
    fits = held.triple == llvm.get_process_triple() and held.llvm <= llvm.llvm_version_info
    return held.kernels if fits else {}


_loaded: list[Any] = []
"""What must live as long as the process."""


@cache
def _address(name: str, kernel: Kernel) -> int:
    """The address of a function, translated and loaded when it is first asked for; 0 if LLVM cannot read its file."""
    triple, cpu, features = map(str, cpu_target.target_context.codegen().magic_tuple())
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )
    key = "\n".join((kernel.sha256, triple, cpu, features, str(llvm.llvm_version_info)))
    file = f"{name}-{sha256(key.encode()).hexdigest()[:32]}.o"
    code = kept.read(file)
    if code is None:
        bitcode = lzma.decompress((FOLDER / f"{name}-{LANES}.bc.xz").read_bytes())
        if sha256(bitcode).hexdigest() != kernel.sha256:
            return 0
        try:
            code = machine.emit_object(llvm.parse_bitcode(bitcode))
        except RuntimeError:
            return 0
        kept.keep(file, code)
    rtsys.initialize(cpu_target.target_context)  # the function that Numba's arrays are released by
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _loaded.append(engine)
    return int(engine.get_function_address(kernel.symbol))


def _apart(value: Any, kinds: Iterator[str]) -> Iterator[Any]:
    """The numbers of an argument, one by one."""
    if isinstance(value, tuple):
        for each in value:
            yield from _apart(each, kinds)
        return
    kind = next(kinds)
    if kind in SINGLE:
        yield float(value) if kind == "float64" else int(value)
    elif _kind(value) == kind:
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    else:
        raise TypeError(f"Compiled code was made for an array {kind}, not {_kind(value)}.")


def _kind(array: np.ndarray[Any, Any]) -> str:
    return f"{array.dtype} {array.ndim} {'C' if array.flags.c_contiguous else 'A'}"


def _types(kind: str) -> list[Any]:
    if kind in SINGLE:
        return [SINGLE[kind]]
    axes = int(kind.split()[1])
    return [ctypes.c_void_p] * 2 + [ctypes.c_int64] * 2 + [ctypes.c_void_p] + [ctypes.c_int64] * (2 * axes)
