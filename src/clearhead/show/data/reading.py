"""Traces read back from files. Files are untrusted: all is bounded and checked, nothing is executed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Union

import msgspec
import numpy as np
from msgspec import Struct

from clearhead.axes import WORDS, Axes, Shape
from clearhead.budgets import MAX_TRACE_BYTES, MAX_TRACE_JSON_BYTES, MAX_TRACE_LINES, MAX_TRACE_VALUES
from clearhead.errors import ClearheadError, ProblemError
from clearhead.files import FilePath, open_regular, why
from clearhead.line import Given, Holds, Line
from clearhead.ops import Operation, as_parameters
from clearhead.ops.table import operation_named
from clearhead.show.data.archive import FLAGS, INDEX, SUFFIX
from clearhead.show.data.plain import FORMAT
from clearhead.spec import Optimizer
from clearhead.trace import Trace
from clearhead.untrusted.archives import MAX_AXES, STORED, Archive, array_of
from clearhead.working import BackwardOf, Working

DTYPES = frozenset(
    {"bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
WORDS_FOR = {None: math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""The texts for numbers that JSON does not have."""

Array = np.ndarray[Any, Any]
Parameter = Union[bool, int, float, str, None]


class LineData(Struct):
    """A line, or a given array, in a file; with shape and dtype where its numbers were kept."""

    name: str
    operation: str
    axes: list[str]
    operands: list[str] = []
    parameters: dict[str, Parameter] = {}
    sizes: dict[str, int] = {}
    dtype: str | None = None
    shape: list[int] | None = None
    values: Any = None


class BackwardData(Struct):
    """What a file says of the forward pass that gradients are of: how many given arrays and lines are its own."""

    of: str
    wrt: list[str]
    givens: int
    lines: int
    optimizer: Optimizer | None = None


class TraceData(Struct):
    """A trace in a file."""

    format: int
    lines: list[LineData]
    first: int = 1
    tokens: list[str] | None = None
    key_tokens: list[str] | None = None
    flags: dict[str, Any] = {}
    backward: BackwardData | None = None


def read_trace(path: FilePath) -> Trace:
    """The trace in the ``.json`` or ``.npz`` file at ``path`` that `Trace.save` wrote, exact to the bit.

    The file may be untrusted: nothing in it is executed or unpickled, and no more is read than it holds.

    Raises:
        ProblemError: the file cannot be read or used; the message says where and why.
    """
    with _naming(path), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_TRACE_BYTES:
            raise ProblemError(f"the file has {size} bytes, more than {MAX_TRACE_BYTES}.")
        if file.read(4) == b"PK\x03\x04":
            return _from_archive(Archive(file, max_bytes=size, packed=(STORED,)))
        if size > MAX_TRACE_JSON_BYTES:
            raise ProblemError(f"a trace in JSON has at most {MAX_TRACE_JSON_BYTES} bytes. Save it as .npz.")
        file.seek(0)
        return _from_json(file.read(size))


@contextmanager
def _naming(path: FilePath) -> Iterator[None]:
    """Names the file in errors."""
    shown = os.fspath(path)[:200]
    try:
        yield
    except ClearheadError as error:
        raise ProblemError(f"{shown}: {error}") from None
    except (OSError, ValueError) as error:
        raise ProblemError(f"{shown}: the file cannot be read: {why(error)}.") from None


def _from_json(content: bytes) -> Trace:
    if (values := content.count(b",") + content.count(b"[")) > MAX_TRACE_VALUES:
        raise ProblemError(f"it has up to {values} values; at most {MAX_TRACE_VALUES} are read. Save it as .npz.")
    data = _decode(content)
    working = _working(data)
    arrays = {line.name: _values(line.name, line, line.values) for line in data.lines if line.shape is not None}
    flags = {name: _flag(name, values) for name, values in data.flags.items()}
    return _trace(data, working, arrays, flags)


def _from_archive(archive: Archive) -> Trace:
    data = _decode(archive.read(INDEX))
    working = _working(data)
    kept = [line for line in data.lines if line.shape is not None]
    arrays = {line.name: _array(archive, line.name, line.dtype, line.shape) for line in kept}
    flags = {name: _array(archive, FLAGS + name, "bool", shape) for name, shape in data.flags.items()}
    return _trace(data, working, arrays, flags)


def _array(archive: Archive, name: str, dtype: str | None, shape: Any) -> Array:
    """An array of an archive, which must have the shape and type that the index states."""
    try:
        array = array_of(archive.read(name + SUFFIX))
    except ValueError as error:
        raise ProblemError(f"{name[:100]} is no plain array: {error}.") from None
    if dtype not in DTYPES or str(array.dtype) != dtype or list(array.shape) != shape:
        raise ProblemError(
            f"{name[:100]} is {array.dtype} of shape {array.shape}, and the index says {str(dtype)[:20]} of shape "
            f"{str(shape)[:60]}."
        )
    return array


def _decode(content: bytes) -> TraceData:
    try:
        data = msgspec.json.decode(content, type=TraceData)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise ProblemError(f"this is no trace: {error}. Write one with trace.save.") from None
    if data.format != FORMAT:
        raise ProblemError(f"the format is {data.format}; this version of clearhead reads {FORMAT}.")
    if len(data.lines) > MAX_TRACE_LINES:
        raise ProblemError(f"there are {len(data.lines)} lines, more than {MAX_TRACE_LINES}.")
    return data


# The working


def _working(data: TraceData) -> Working:
    if any("@" in line.name for line in data.lines):
        raise ProblemError("this is one head of a trace, not a whole trace.")
    givens = tuple(_given(line) for line in data.lines if line.operation == "given")
    lines = tuple(_line(line) for line in data.lines if line.operation != "given")
    working = Working(givens, lines, data.first)
    return working if data.backward is None else _with_source(working, data.backward)


def _with_source(working: Working, data: BackwardData) -> Working:
    """The working, with what it says of its forward pass."""
    givens, lines = working.givens[: max(data.givens, 0)], working.lines[: max(data.lines, 0)]
    forward = Working(givens, lines, working.label_base)
    if unknown := [name for name in (data.of, *data.wrt) if name not in forward.names]:
        raise ProblemError(f"{unknown[0][:100]} is no line of the forward pass that the gradients are said to be of.")
    source = BackwardOf(forward, data.of, tuple(data.wrt), () if data.optimizer is None else (data.optimizer,))
    return Working(working.givens, working.lines, working.label_base, source)


def _axes(line: LineData) -> Axes:
    """The axis words of a line, without the batch."""
    words = [word for word in line.axes if word != "batch"]
    known = all(part in WORDS for word in words for part in word.split("*"))
    if not known or len(line.axes) > MAX_AXES or line.axes[len(line.axes) - len(words) :] != words:
        raise ProblemError(f"{line.name[:100]}: {str(line.axes)[:200]} are not axes. Axes are {', '.join(WORDS)}.")
    return tuple(words)


def _given(line: LineData) -> Given:
    # A model's weights are not saved with its traces, so given arrays may be missing.
    kind = line.dtype or ""
    holds: Holds = "booleans" if kind == "bool" else "integers" if kind.startswith(("int", "uint")) else "numbers"
    return Given(line.name, _axes(line), tuple(line.sizes.items()), holds)


def _line(line: LineData) -> Line:
    operation = operation_named(line.operation[:100])
    parameters = {name: _parameter(value) for name, value in line.parameters.items()}
    made = Line(line.name, operation, tuple(line.operands), _axes(line), as_parameters(parameters))
    _check_parameters(made, operation)
    return made


def _parameter(value: Parameter) -> Any:
    return {"NaN": math.nan, **WORDS_FOR}.get(value, value) if isinstance(value, str) else value


def _check_parameters(line: Line, operation: Operation) -> None:
    """Checks that the operation exists with these parameters and this number of operands."""
    fault = f"{line.name[:100]}: {operation.name}"
    if {name for name, _ in line.parameters} != set(operation.parameters):
        raise ProblemError(f"{fault} takes the parameters {', '.join(operation.parameters) or 'none'}.")
    try:
        for name, value in line.parameters:
            msgspec.convert(value, operation.types[name])
        count = len(line.formula.roles)
    except (ArithmeticError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise ProblemError(f"{fault} cannot have these parameters: {error}.") from None
    if len(line.operands) != count:
        raise ProblemError(f"{fault} takes {count} operands, got {len(line.operands)}.")


# The numbers


def _trace(data: TraceData, working: Working, arrays: Mapping[str, Array], flags: Mapping[str, Array]) -> Trace:
    """The trace, once every array has the shape that the working gives it."""
    shapes = _shapes(working, {name: array.shape for name, array in arrays.items()})
    for name, array in arrays.items():
        if array.shape != shapes[name] or array.ndim < len(working.axes[name]):
            raise ProblemError(f"{name[:100]} has shape {array.shape}, and the working makes it {shapes[name]}.")
    for name, flag in flags.items():
        shape = shapes.get(name, (*flag.shape, 1)) if name in working.names else ()
        if not shape or flag.dtype != bool or flag.shape != shape[:-1]:
            raise ProblemError(f"flags has no use for {name[:100]!r}, or not for {flag.dtype} of shape {flag.shape}.")
    return Trace(working, dict(arrays), tokens=data.tokens, key_tokens=data.key_tokens, flags=dict(flags))


def _shapes(working: Working, known: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every line by those of the given arrays; where some are missing, those that follow."""
    given = [each.name for each in working.givens]
    try:
        if all(name in known for name in given):
            return working.shapes({name: known[name] for name in given})
        shapes = dict(known)
        for line in working.lines:
            if all(operand in shapes for operand in line.operands):
                shapes[line.name] = line.formula.shape([shapes[operand] for operand in line.operands])
        return shapes
    except (ArithmeticError, TypeError, AttributeError, KeyError, IndexError) as error:
        if isinstance(error, ClearheadError):
            raise
        raise ProblemError(f"the lines do not fit each other: {error}.") from None


def _values(name: str, line: LineData, values: Any) -> Array:
    """The nested lists of a line as an array."""
    shape = tuple(line.shape or ())
    if line.dtype not in DTYPES or len(shape) > MAX_AXES:
        raise ProblemError(f"{name[:100]} has the dtype {str(line.dtype)[:40]} or too many axes.")
    flat = [values]
    for size in shape:
        if not all(isinstance(each, list) and len(each) == size for each in flat):
            raise ProblemError(f"{name[:100]} expects lists nested as the shape {shape} says.")
        flat = [leaf for each in flat for leaf in each]
    kind = bool if line.dtype == "bool" else (int, float)
    numbers = [WORDS_FOR.get(each, each) if each is None or isinstance(each, str) else each for each in flat]
    if not all(isinstance(each, kind) and (kind is bool or not isinstance(each, bool)) for each in numbers):
        raise ProblemError(f"{name[:100]} expects {line.dtype}, and holds something else.")
    try:
        return np.array(numbers, dtype=line.dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise ProblemError(f"{name[:100]}: {error}.") from None


def _flag(name: str, values: Any) -> Array:
    found = np.asarray(values if isinstance(values, list) else [values], dtype=object)
    if not all(isinstance(each, bool) for each in found.flat):
        raise ProblemError(f"flags of {name[:100]!r} expects booleans.")
    array = found.astype(bool)
    return array if isinstance(values, list) else array[0]
