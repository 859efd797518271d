"""Submissions: claims about a problem, in several file formats.

A submission is a file, or a folder with a matrix in each file:

- ``.toml``: claims as a problem file has them;
- ``.json``: ``{"weights@1": [[0.5, 0.5], ...], "head@2[1,1]": 2.414}``;
- ``.csv``: a table with the columns line, row, column, value, and head where a line has heads; or, in a folder, the
  matrix of the line that the file is named after;
- ``.npz``: an array for each line;
- ``.xlsx``: the workbook that clearhead writes blank, filled in; or a sheet for each line, named after it;
- ``.ipynb`` and ``.py``: the notebook or script, read and never run: arrays that are written out, and printed outputs.

Numbers in texts keep the decimals that they were written in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.axes import Shape
from clearhead.budgets import MAX_CLAIMED_CELLS, MAX_CLAIMS, MAX_PROBLEM_BYTES, MAX_SUBMISSIONS, Budget
from clearhead.claim import Claim, Misfit
from clearhead.errors import ClearheadError, ProblemError
from clearhead.files import read_bounded, what_is, why
from clearhead.problems.fault import part, quote, reading
from clearhead.problems.numbers import read_written, with_points
from clearhead.problems.programs import of_notebook, of_script
from clearhead.problems.reader import claim_tables
from clearhead.problems.schema import ClaimTable
from clearhead.problems.spreadsheets import Rows, matrix, rows_of
from clearhead.problems.toml import Digits
from clearhead.problems.workbooks import tables_of
from clearhead.trace import Trace
from clearhead.untrusted import strict_json
from clearhead.untrusted.archives import Archive, array_of
from clearhead.written import UNCLAIMED

MAX_ARCHIVE_BYTES = 8 * MAX_CLAIMED_CELLS + 1000 * MAX_CLAIMS
"""The most bytes of all arrays of an archive with their headers, unpacked."""

Make = Callable[[list[str]], Claim]
"""Makes a claim of what was read, and adds what of it is illegible to a list; raises `ClearheadError` if it cannot."""


def submissions(folder: str | Path) -> list[Path]:
    """The submissions in a folder, by name: all files and folders in it except hidden ones, so that each gets a result.

    Raises:
        ProblemError: it is no folder, or holds none, or too many.
    """
    with reading(str(folder)):
        try:
            found = sorted(each for each in Path(folder).iterdir() if _may_be_one(each))
        except (FileNotFoundError, NotADirectoryError):
            said = f"this is {instead}" if (instead := what_is(folder)) else "there is no such folder"
            raise ProblemError(f"{said}. Name the folder that the submissions are in.") from None
        except (OSError, ValueError) as error:
            raise ProblemError(f"the folder cannot be read: {why(error)}.") from None
        if not found:
            raise ProblemError(f"there is no submission in it. Submissions end in {', '.join(_KINDS)}, or are folders.")
        if len(found) > MAX_SUBMISSIONS:
            raise ProblemError(f"at most {MAX_SUBMISSIONS} submissions are graded at once; these are {len(found)}.")
        return found


def _may_be_one(path: Path) -> bool:
    """Whether a file is a submission: all but the hidden files of operating systems and office programs."""
    return not path.name.startswith((".", "~", "__"))


def refuse_link(path: Path) -> None:
    """Raises a `ProblemError` for a link that was handed in: it may lead to any file that the teacher can read."""
    if path.is_symlink():
        raise ProblemError(f"{path.name}: this is a link to another file. Hand in the file itself.")


class Submission(Struct, frozen=True):
    """What somebody handed in.

    Attributes:
        claims: what could be read, in the shapes of the lines.
        faults: what could not be, in sentences: a line of another shape, a name that no line has, an illegible number.
    """

    claims: tuple[Claim, ...]
    faults: tuple[str, ...] = ()


def read_submission(path: Path, trace: Trace) -> tuple[Claim, ...]:
    """The claims of one submission about the lines of a trace.

    Raises:
        ProblemError: it cannot be read or used, or claims nothing; the message begins with its name.
    """
    found = read_all_that_fits(path, trace)
    with reading(path.name):
        if found.faults:
            raise ProblemError(found.faults[0])
    return found.claims


def read_all_that_fits(path: Path, trace: Trace) -> Submission:
    """One submission about the lines of a trace: what is wrong with one line costs that line alone, and is said.

    Raises:
        ProblemError: nothing in it can be read or used; the message begins with its name.
    """
    claims: list[Claim] = []
    faults: list[str] = []
    count, cells = Budget(MAX_CLAIMS, "claims", ProblemError), Budget(MAX_CLAIMED_CELLS, "numbers", ProblemError)
    with reading(path.name):
        try:
            for make in _of_folder(path, trace) if path.is_dir() else _of_file(path, trace):
                count.spend(1)
                claim = _made(make, faults, trace, cells)
                if claim is not None:
                    claims.append(claim)
        except OSError as error:
            raise ProblemError(f"it cannot be read: {why(error)}.") from None
        if not claims:
            raise ProblemError(faults[0] if faults else "nothing is claimed in it.")
    return Submission(tuple(claims), tuple(faults))


def _made(make: Make, faults: list[str], trace: Trace, cells: Budget) -> Claim | None:
    """A claim in the shape of its line; None, and a fault, where it does not fit or nothing of it is legible."""
    illegible = len(faults)
    try:
        claim = make(faults)
    except ClearheadError as error:
        faults.append(str(error))
        return None
    cells.spend(claim.values.size)
    try:
        with part(claim.line):
            axes, shape = trace.left_axes(claim.line), tuple(trace[claim.line].shape)
        claim = claim.shaped(shape)
        claim.place(axes, shape, trace.working.label_base)
    except Misfit as error:
        faults.append(f"{error.key}{error.says}")
        return None
    except ClearheadError as error:
        faults.append(str(error))
        return None
    return None if len(faults) > illegible and not claim.claimed.any() else claim


def _of_file(path: Path, trace: Trace) -> Iterable[Make]:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None and path.suffix.lower() in (".html", ".htm"):
        raise ProblemError("a page keeps its answers in the browser. Hand in the file that its button Hand in saves.")
    if kind is None:
        raise ProblemError(f"files of this kind are not read. Hand in one of {', '.join(_KINDS)}.")
    return kind(_bytes(path), trace)


def _of_folder(folder: Path, trace: Trace) -> Iterator[Make]:
    """The claims in a folder: a matrix in each CSV file, named after its line; other kinds as they are alone."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and _may_be_one(path) and path.suffix.lower() in _KINDS:
            try:
                refuse_link(path)
                content = _bytes(path)
                if path.suffix.lower() != ".csv" or _is_long(rows_of(content)):
                    makes = list(_KINDS[path.suffix.lower()](content, trace))
                else:
                    makes = [partial(_of_matrix, path.stem, rows_of(content))]
            except ClearheadError as error:
                makes = [partial(_refused, error)]
            yield from (partial(_in_part, path.name, make) for make in makes)


def _in_part(name: str, make: Make, faults: list[str]) -> Claim:
    """What a file or sheet of this name claims; it is named in its faults."""
    own: list[str] = []
    with part(name):
        claim = make(own)
    faults += [f"{name}: {each}" for each in own]
    return claim


def _refused(error: ClearheadError, _: list[str]) -> Claim:
    raise error


def _of_matrix(address: str, rows: Rows, faults: list[str]) -> Claim:
    line, cell = _place(address)
    return Claim(line, matrix(rows, faults), cell)


def _of_lists(address: str, numbers: Any, faults: list[str]) -> Claim:
    line, cell = _place(address)
    return Claim(line, read_written(numbers, quote(address), faults), cell)


def _bytes(path: Path) -> bytes:
    return read_bounded(path, MAX_PROBLEM_BYTES)


def _of_toml(content: bytes, trace: Trace) -> Iterator[Make]:  # noqa: ARG001 - claims in TOML say their own shape
    tables = claim_tables(content)
    for index, (table, values) in enumerate(zip(tables, with_points([t.values for t in tables]), strict=True)):
        yield partial(_of_table, index, table, values)


def _of_table(index: int, table: ClaimTable, numbers: Any, faults: list[str]) -> Claim:
    values = read_written(numbers, f"claims[{index}].values", faults)
    return Claim(table.line, values, table.cell, table.decimals)


def _of_json(content: bytes, trace: Trace) -> Iterator[Make]:  # noqa: ARG001 - claims are fitted later
    """A claim for each key."""
    try:
        found = strict_json.loads(
            content, max_values=2 * MAX_CLAIMED_CELLS, parse_float=Digits, parse_constant=_CONSTANTS.get
        )
    except ValueError as error:
        raise ProblemError(
            f"this cannot be read as JSON: {error}. Write an object with lists of numbers by line."
        ) from None
    if not isinstance(found, dict):
        raise ProblemError(f"expects an object with lists of numbers by line, got {quote(found)}.")
    yield from (partial(_of_lists, *each) for each in zip(found, with_points([*found.values()]), strict=True))


MAX_ROUNDED, MAX_ROUNDED_SINGLE = 6, 4
"""The most decimals to which numbers in double and in single precision are seen to be rounded."""

LARGE = 1e6
"""Numbers from here on have too few digits behind the point to show that they were rounded."""

BINARY = 1024
"""What is a whole number of parts of this size may be exact: it does not show that it was rounded."""

_CONSTANTS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _of_npz(content: bytes, trace: Trace) -> Iterator[Make]:  # noqa: ARG001 - claims are fitted later
    """A claim for each array: as precise as its numbers were rounded, else as its type is."""
    try:
        archive = Archive(BytesIO(content), max_bytes=MAX_ARCHIVE_BYTES)
    except ValueError as error:
        raise ProblemError(f"this is not an .npz file of plain arrays: {error}. Write it with np.savez.") from None
    for name in archive.names:
        yield partial(_of_entry, archive, name)


def _of_entry(archive: Archive, name: str, _: list[str]) -> Claim:
    line, cell = _place(name.removesuffix(".npy"))
    array = _numbers(archive, name)
    return Claim.computed(line, array, cell=cell, decimals=_rounded_to(array))


def _rounded_to(array: np.ndarray[Any, Any]) -> int | None:
    """The decimals to which all numbers were rounded; None where they are as computed, or halves and such."""
    most = {4: MAX_ROUNDED_SINGLE, 8: MAX_ROUNDED}.get(array.dtype.itemsize, 0) if array.dtype.kind == "f" else 0
    finite = array[np.isfinite(array)]
    if not most or np.abs(finite).max(initial=0) >= LARGE or (finite * BINARY == np.round(finite * BINARY)).all():
        return None
    return next((n for n in range(1, most + 1) if (np.round(finite, n) == finite).all()), None)


def _numbers(archive: Archive, name: str) -> np.ndarray[Any, Any]:
    """The numbers of an entry."""
    try:
        array = array_of(archive.read(name))
    except ValueError as error:
        raise ProblemError(f"{quote(name)} holds no plain array: {error}. Write it with np.savez.") from None
    if array.dtype.kind == "b":
        raise ProblemError(f"{quote(name)} expects numbers, got an array of {array.dtype}.")
    return array


def _of_csv(content: bytes, trace: Trace) -> Iterator[Make]:
    """A claim for each line, and for each head where heads are given."""
    rows = rows_of(content)
    if not _is_long(rows):
        raise ProblemError(
            "expects columns with the headings line, row, column, value, and head where a line has heads. "
            "For a matrix in each file put the files into a folder, each named after its line: weights@1.csv."
        )
    yield from _long(rows, trace)


def _of_workbook(content: bytes, trace: Trace) -> Iterator[Make]:
    """A claim for each line, or head of one, that was filled in."""
    for name, rows in tables_of(content, trace):
        if _is_long(rows):
            yield from _long(rows, trace)
        else:
            yield partial(_in_part, f"sheet {quote(name)}", partial(_of_matrix, name, rows))


def _of_notebook(content: bytes, trace: Trace) -> Iterator[Make]:
    yield from (partial(_of_lists, *found) for found in of_notebook(content, trace))


def _of_script(content: bytes, trace: Trace) -> Iterator[Make]:
    yield from (partial(_of_lists, *found) for found in of_script(content, trace))


_COLUMNS = ("line", "head", "row", "column", "value")
_CALLED = {"values": "value", "col": "column", "i": "row", "j": "column", "query": "row", "key": "column"}


def _headings(rows: Rows) -> list[str]:
    words = [cell.strip().lower() for cell in rows[0]] if rows else []
    return [_CALLED.get(word, word) for word in words]


def _is_long(rows: Rows) -> bool:
    return {"line", "value"} <= set(_headings(rows))


def _long(rows: Rows, trace: Trace) -> Iterator[Make]:
    """The claims of a table with a row for each number; what it leaves out of a line is not claimed."""
    headings = _headings(rows)
    cells: dict[str, dict[tuple[int, ...], str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        given = {name: text.strip() for name, text in zip(headings, row, strict=False) if name in _COLUMNS}
        if not any(given.values()):
            continue
        address = given.get("line", "") + (f"@{given['head']}" if given.get("head") else "")
        try:
            with part(f"row {number}"):
                place = tuple(_whole(name, given[name]) for name in ("row", "column") if given.get(name))
                if place in cells.setdefault(address, {}):
                    raise ProblemError(f"{address} {list(place)} is there twice. Keep one.")
        except ProblemError as error:
            yield partial(_refused, error)
        else:
            cells[address][place] = given.get("value", "") or UNCLAIMED
    yield from (partial(_of_cells, address, mine, trace) for address, mine in cells.items() if mine)


def _of_cells(address: str, cells: Mapping[tuple[int, ...], str], trace: Trace, faults: list[str]) -> Claim:
    own: list[str] = []
    with part(quote(address)):
        whole = _filled(cells, tuple(trace[address].shape), own)
    faults += [f"{quote(address)}: {each}" for each in own]
    return Claim(address, read_written(whole, quote(address), faults))


def _whole(name: str, text: str) -> int:
    if not _LABEL.fullmatch(text) or int(text) < 1:
        raise ProblemError(f"{name} expects a whole number from 1, got {quote(text)}.")
    return int(text)


def _filled(cells: Mapping[tuple[int, ...], str], shape: Shape, faults: list[str]) -> Any:
    """Nested lists of a shape with these cells, counted from 1, and the rest unclaimed."""
    whole = np.full(shape, UNCLAIMED, dtype=object)
    for place, number in cells.items():
        at = (1,) * (len(shape) - len(place)) + place if shape[:1] == (1,) else place
        if len(at) != len(shape):
            raise ProblemError(f"has {_sizes(shape)} numbers; give head, row and column of each, not {list(place)}.")
        if all(index <= size for index, size in zip(at, shape, strict=True)):
            whole[tuple(index - 1 for index in at)] = number
        else:
            faults.append(f"has {_sizes(shape)} numbers, none at {list(place)}.")
    return whole.tolist()


def _sizes(shape: Shape) -> str:
    """``3 x 2``."""
    return " x ".join(map(str, shape))


def _place(address: str) -> tuple[str, tuple[int, ...] | None]:
    """``"head@2[1,1]"`` as the line and the cell."""
    address = address.strip()
    line, bracket, cell = address.rpartition("[")
    labels = [label.strip() for label in cell.removesuffix("]").split(",")]
    if not bracket or not address.endswith("]") or not all(_LABEL.fullmatch(label) for label in labels):
        return address, None
    return line.rstrip(), tuple(map(int, labels))


_LABEL = re.compile(r"[0-9]{1,9}")


_KINDS: dict[str, Callable[[bytes, Trace], Iterable[Make]]] = {
    ".toml": _of_toml,
    ".json": _of_json,
    ".csv": _of_csv,
    ".npz": _of_npz,
    ".xlsx": _of_workbook,
    ".ipynb": _of_notebook,
    ".py": _of_script,
}
