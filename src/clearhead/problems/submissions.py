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
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from clearhead.axes import Shape
from clearhead.budgets import MAX_CLAIMED_CELLS, MAX_CLAIMS, MAX_PROBLEM_BYTES, MAX_SUBMISSIONS, Budget
from clearhead.claim import Claim, Written, shape_of
from clearhead.errors import ProblemError
from clearhead.files import read_bounded, what_is, why
from clearhead.problems.fault import part, quote, reading
from clearhead.problems.numbers import read_written
from clearhead.problems.programs import of_notebook, of_script
from clearhead.problems.reader import parse_claims
from clearhead.problems.spreadsheets import Rows, matrix, rows_of
from clearhead.problems.toml import Digits
from clearhead.problems.workbooks import tables_of
from clearhead.trace import Trace
from clearhead.untrusted import strict_json
from clearhead.untrusted.archives import Archive, array_of
from clearhead.written import UNCLAIMED

MAX_ARCHIVE_BYTES = 8 * MAX_CLAIMED_CELLS + 1000 * MAX_CLAIMS
"""The most bytes of all arrays of an archive with their headers, unpacked."""

Shapes = Callable[[str], Shape]
"""The shape of a line, or of one head of it, by its address; an unknown one raises `UnknownName`."""


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


def read_submission(path: Path, trace: Trace) -> tuple[Claim, ...]:
    """The claims of one submission about the lines of a trace.

    Raises:
        ProblemError: it cannot be read or used, or claims nothing; the message begins with its name.
    """
    with reading(path.name):
        try:
            claims = tuple(_within_budget(_of_folder(path, trace) if path.is_dir() else _of_file(path, trace)))
        except OSError as error:
            raise ProblemError(f"it cannot be read: {why(error)}.") from None
        if not claims:
            raise ProblemError("nothing is claimed in it.")
        return claims


def _within_budget(claims: Iterable[Claim]) -> Iterator[Claim]:
    """The claims, unless all together are too many."""
    count, cells = Budget(MAX_CLAIMS, "claims", ProblemError), Budget(MAX_CLAIMED_CELLS, "numbers", ProblemError)
    for claim in claims:
        count.spend(1)
        cells.spend(claim.values.size)
        yield claim


def _of_file(path: Path, trace: Trace) -> Iterable[Claim]:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None and path.suffix.lower() in (".html", ".htm"):
        raise ProblemError("a page keeps its answers in the browser. Hand in the file that its button Hand in saves.")
    if kind is None:
        raise ProblemError(f"files of this kind are not read. Hand in one of {', '.join(_KINDS)}.")
    return kind(_bytes(path), trace)


def _shapes(trace: Trace) -> Shapes:
    return lambda address: tuple(trace[address].shape)


def _of_folder(folder: Path, trace: Trace) -> Iterator[Claim]:
    """The claims in a folder: a matrix in each CSV file, named after its line; other kinds as they are alone."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and _may_be_one(path) and path.suffix.lower() in _KINDS:
            with part(path.name):
                content = _bytes(path)
                if path.suffix.lower() != ".csv" or _is_long(rows_of(content)):
                    yield from _KINDS[path.suffix.lower()](content, trace)
                else:
                    yield _claim(path.stem, matrix(rows_of(content)), _shapes(trace))


def _bytes(path: Path) -> bytes:
    return read_bounded(path, MAX_PROBLEM_BYTES)


def _of_toml(content: bytes, trace: Trace) -> Iterable[Claim]:  # noqa: ARG001 - claims in TOML say their own shape
    return parse_claims(content, source="claims")


def _of_json(content: bytes, trace: Trace) -> Iterator[Claim]:
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
    for address, value in found.items():
        yield _claim(address, read_written(value, quote(address)), _shapes(trace))


_CONSTANTS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def _of_npz(content: bytes, trace: Trace) -> Iterator[Claim]:
    """A claim for each array, as precise as its type is."""
    try:
        archive = Archive(BytesIO(content), max_bytes=MAX_ARCHIVE_BYTES)
    except ValueError as error:
        raise ProblemError(f"this is not an .npz file of plain arrays: {error}. Write it with np.savez.") from None
    for name in archive.names:
        array = _numbers(archive, name)
        line, cell = _place(name.removesuffix(".npy"))
        yield Claim.computed(
            line, array if cell else array.reshape(_as_claimed(array.shape, tuple(trace[line].shape))), cell=cell
        )


def _numbers(archive: Archive, name: str) -> np.ndarray[Any, Any]:
    """The numbers of an entry."""
    try:
        array = array_of(archive.read(name))
    except ValueError as error:
        raise ProblemError(f"{quote(name)} holds no plain array: {error}. Write it with np.savez.") from None
    if array.dtype.kind == "b":
        raise ProblemError(f"{quote(name)} expects numbers, got an array of {array.dtype}.")
    return array


def _as_claimed(got: Shape, wanted: Shape) -> Shape:
    """The shape of the line, where the given shape differs from it only by axes of size 1; else the given shape."""
    same = [size for size in got if size != 1] == [size for size in wanted if size != 1]
    return wanted if same else got


def _of_csv(content: bytes, trace: Trace) -> Iterator[Claim]:
    """A claim for each line, and for each head where heads are given."""
    rows = rows_of(content)
    if not _is_long(rows):
        raise ProblemError(
            "expects columns with the headings line, row, column, value, and head where a line has heads. "
            "For a matrix in each file put the files into a folder, each named after its line: weights@1.csv."
        )
    yield from _long(rows, _shapes(trace))


def _of_workbook(content: bytes, trace: Trace) -> Iterator[Claim]:
    """A claim for each line, or head of one, that was filled in."""
    for name, rows in tables_of(content, trace):
        if _is_long(rows):
            yield from _long(rows, _shapes(trace))
        else:
            with part(f"sheet {quote(name)}"):
                yield _claim(name, matrix(rows), _shapes(trace))


def _of_notebook(content: bytes, trace: Trace) -> Iterator[Claim]:
    yield from _of_found(of_notebook(content, trace), trace)


def _of_script(content: bytes, trace: Trace) -> Iterator[Claim]:
    yield from _of_found(of_script(content, trace), trace)


def _of_found(found: Iterable[tuple[str, Any]], trace: Trace) -> Iterator[Claim]:
    for name, numbers in found:
        yield _claim(name, read_written(numbers, quote(name)), _shapes(trace))


_COLUMNS = ("line", "head", "row", "column", "value")
_CALLED = {"values": "value", "col": "column", "i": "row", "j": "column", "query": "row", "key": "column"}


def _headings(rows: Rows) -> list[str]:
    words = [cell.strip().lower() for cell in rows[0]] if rows else []
    return [_CALLED.get(word, word) for word in words]


def _is_long(rows: Rows) -> bool:
    return {"line", "value"} <= set(_headings(rows))


def _long(rows: Rows, shape: Shapes) -> Iterator[Claim]:
    """The claims of a table with a row for each number; what it leaves out of a line is not claimed."""
    headings = _headings(rows)
    cells: dict[str, dict[tuple[int, ...], str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        with part(f"row {number}"):
            given = {name: text.strip() for name, text in zip(headings, row, strict=False) if name in _COLUMNS}
            if not any(given.values()):
                continue
            address = given.get("line", "") + (f"@{given['head']}" if given.get("head") else "")
            place = tuple(_whole(name, given[name]) for name in ("row", "column") if given.get(name))
            mine = cells.setdefault(address, {})
            if place in mine:
                raise ProblemError(f"{address} {list(place)} is there twice. Keep one.")
            mine[place] = given.get("value", "") or UNCLAIMED
    for address, mine in cells.items():
        with part(quote(address)):
            yield Claim(address, _filled(mine, shape(address)))


def _whole(name: str, text: str) -> int:
    if not _LABEL.fullmatch(text) or int(text) < 1:
        raise ProblemError(f"{name} expects a whole number from 1, got {quote(text)}.")
    return int(text)


def _filled(cells: Mapping[tuple[int, ...], str], shape: Shape) -> Written:
    """Nested tuples of a shape with these cells, counted from 1, and the rest unclaimed."""
    whole = np.full(shape, UNCLAIMED, dtype=object)
    for place, number in cells.items():
        at = (1,) * (len(shape) - len(place)) + place if shape[:1] == (1,) else place
        if len(at) != len(shape):
            raise ProblemError(f"has {_sizes(shape)} numbers; give head, row and column of each, not {list(place)}.")
        if any(index > size for index, size in zip(at, shape, strict=True)):
            raise ProblemError(f"has {_sizes(shape)} numbers, none at {list(place)}.")
        whole[tuple(index - 1 for index in at)] = number
    return _tuples(whole.tolist())


def _sizes(shape: Shape) -> str:
    """``3 x 2``."""
    return " x ".join(map(str, shape))


def _tuples(lists: Any) -> Written:
    """Nested lists as nested tuples."""
    return tuple(map(_tuples, lists)) if isinstance(lists, list) else lists


def _place(address: str) -> tuple[str, tuple[int, ...] | None]:
    """``"head@2[1,1]"`` as the line and the cell."""
    address = address.strip()
    line, bracket, cell = address.rpartition("[")
    labels = [label.strip() for label in cell.removesuffix("]").split(",")]
    if not bracket or not address.endswith("]") or not all(_LABEL.fullmatch(label) for label in labels):
        return address, None
    return line.rstrip(), tuple(map(int, labels))


_LABEL = re.compile(r"[0-9]{1,9}")


def _claim(address: str, written: Written, shape: Shapes) -> Claim:
    """A claim of a line, a head or a cell; axes of size 1 may be left out or added."""
    line, cell = _place(address)
    if cell is None:
        with part(quote(address)):
            got = shape_of(written)
            wanted = _as_claimed(got, shape(line))
        if wanted != got:
            written = _tuples(np.array(written, dtype=object).reshape(wanted).tolist())
    return Claim(line, written, cell)


_KINDS: dict[str, Callable[[bytes, Trace], Iterable[Claim]]] = {
    ".toml": _of_toml,
    ".json": _of_json,
    ".csv": _of_csv,
    ".npz": _of_npz,
    ".xlsx": _of_workbook,
    ".ipynb": _of_notebook,
    ".py": _of_script,
}
