"""Safetensors files, single or sharded, opened by memory map.

The format (https://huggingface.co/docs/safetensors): eight bytes that say how long the header is, the header as JSON,
and the numbers of every array without gaps. A sharded checkpoint has an index that says which array is in which
file. All of a header is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.budgets import MAX_HEADER_BYTES, MAX_JSON_VALUES
from clearhead.errors import CheckpointError, suggest
from clearhead.models import floats8
from clearhead.models.tensors import MAX_AXES, Bytes, Kind, Tensor, bfloat16, content, mapped, plain, table
from clearhead.untrusted import strict_json

MAX_NAME = 200
"""Characters in the name of a shard."""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        plain("F64", "<f8"),
        plain("F32", "<f4"),
        plain("F16", "<f2"),
        Kind("BF16", 1, 2, bfloat16),
        Kind("F8_E4M3", 1, 1, table(floats8.E4M3)),
        Kind("F8_E5M2", 1, 1, table(floats8.E5M2)),
        Kind("F8_E8M0", 1, 1, table(floats8.E8M0)),
        Kind("F8_E4M3FNUZ", 1, 1, table(floats8.E4M3_FNUZ)),
        Kind("F8_E5M2FNUZ", 1, 1, table(floats8.E5M2_FNUZ)),
        Kind("F4", 2, 1, floats8.two_in_a_byte),
        *(plain(f"{sign.upper()}{8 * size}", f"<{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)),
        plain("BOOL", "?"),
    )
}
"""The types of numbers. Packed six-bit numbers and complex ones, which no transformer stores, are refused."""


class _Entry(Struct, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The arrays of one file.

    Raises:
        CheckpointError: it is no such file, or a damaged one; the message says where.
    """
    data = mapped(path)
    header, numbers = _split(path, data)
    entries = {name: _entry(path, name, raw) for name, raw in header.items() if name != "__metadata__"}
    _check_cover(path, entries, len(numbers))
    return {name: _tensor(path, name, entry, numbers) for name, entry in entries.items()}


def _split(path: Path, data: Bytes) -> tuple[dict[str, Any], Bytes]:
    """The header, and the bytes after it."""
    if len(data) < 8:
        raise CheckpointError(f"{path}: a safetensors file has 8 bytes and more, got {len(data)}. Fetch it again.")
    size = int.from_bytes(data[:8].tobytes(), "little")
    if size > len(data) - 8:
        raise CheckpointError(
            f"{path}: the header is said to have {size} bytes, and {len(data) - 8} follow. The file is cut off, or no "
            f"safetensors file. Fetch it again."
        )
    if size > MAX_HEADER_BYTES:
        raise CheckpointError(f"{path}: the header has {size} bytes; at most {MAX_HEADER_BYTES} are read.")
    return parse_json(path, data[8 : 8 + size].tobytes()), data[8 + size :]


def parse_json(path: Path, text: bytes) -> dict[str, Any]:
    """A JSON object without repeated keys.

    Raises:
        CheckpointError: it is none.
    """
    try:
        found = strict_json.loads(text, max_values=MAX_JSON_VALUES)
    except ValueError as error:
        raise CheckpointError(f"{path}: the JSON in it cannot be read: {error}. Fetch it again.") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expects a JSON object, got {type(found).__name__}. Fetch it again.")
    return found


def _entry(path: Path, name: str, raw: Any) -> _Entry:
    try:
        return msgspec.convert(raw, _Entry)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path}: what the header says of {name[:80]!r} is wrong: {error}.") from None


def _check_cover(path: Path, entries: dict[str, _Entry], size: int) -> None:
    """Checks that the arrays fill the file without gap or overlap, as the format requires."""
    end, before = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        start, stop = entry.data_offsets
        if start != end or stop < start:
            fault = "overlaps" if start < end else "leaves a gap behind"
            raise CheckpointError(
                f"{path}: {name[:80]} at bytes {start} to {stop} {fault} {before}, which ends at {end}."
            )
        end, before = stop, name[:80]
    if end != size:
        raise CheckpointError(
            f"{path}: the arrays are said to take {end} bytes, and {size} follow the header. The file is cut off or "
            f"has something behind it. Fetch it again."
        )


def _tensor(path: Path, name: str, entry: _Entry, numbers: Bytes) -> Tensor:
    start, stop = entry.data_offsets
    if entry.dtype not in KINDS:
        raise CheckpointError(f"{path}: {name[:80]} has the type {entry.dtype[:80]!r}. {suggest(entry.dtype, KINDS)}")
    kind = KINDS[entry.dtype]
    if len(entry.shape) > MAX_AXES or any(size < 0 for size in entry.shape):
        raise CheckpointError(f"{path}: {name[:80]} cannot have the shape {_shown(entry.shape)}.")
    if kind.size(entry.shape) != stop - start:
        raise CheckpointError(
            f"{path}: {name[:80]} of shape {_shown(entry.shape)} in {kind.name} expects {kind.size(entry.shape)} "
            f"bytes, and has {stop - start}."
        )
    return Tensor(name, kind, entry.shape, numbers[start:stop])


def _shown(shape: Shape) -> str:
    return f"({', '.join(map(str, shape[: MAX_AXES + 1]))})"


class _Index(Struct):
    weight_map: dict[str, str]


def read_sharded(path: Path, inside: Path) -> dict[str, Tensor]:
    """The arrays of all files that an index names, which must lie in a directory.

    Raises:
        CheckpointError: the index or a file of it is damaged, or lies elsewhere.
    """
    found = parse_json(path, content(path, MAX_HEADER_BYTES))
    try:
        index = msgspec.convert(found, _Index)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path}: the index is wrong: {error}.") from None
    files = {name: read_safetensors(_shard(path, name, inside)) for name in _distinct(index.weight_map.values())}
    tensors: dict[str, Tensor] = {}
    for name, file in index.weight_map.items():
        if name not in files[file]:
            raise CheckpointError(f"{path}: {name[:80]} is said to be in {file}, and is not. Fetch both again.")
        tensors[name] = files[file][name]
    return tensors


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _shard(path: Path, name: str, inside: Path) -> Path:
    """A file that an index names: beside the index, and a safetensors file."""
    if Path(name).name != name or not name.endswith(".safetensors") or len(name) > MAX_NAME:
        raise CheckpointError(f"{path}: an index names safetensors files beside it, got {name[:80]!r}.")
    return within(path.parent / name, inside)


def within(path: Path, inside: Path) -> Path:
    """The path, if what it leads to, links followed, lies in a directory.

    Raises:
        CheckpointError: it leads out of it.
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise CheckpointError(f"{path}: this link leads nowhere.") from None
    if not real.is_relative_to(inside.resolve()):
        raise CheckpointError(f"{path}: leads out of {inside}, to {real}. Only files of the checkpoint are read.")
    return path
