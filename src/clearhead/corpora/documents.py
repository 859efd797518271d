"""Documents in files: plain text, JSON lines, Parquet, Arrow as Hugging Face's datasets write it, packed or not."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

from msgspec import Struct

from clearhead.budgets import MAX_DOCUMENT_BYTES, MAX_HEADER_BYTES, MAX_JSON_VALUES
from clearhead.corpora import storage
from clearhead.corpora.groups import group_name
from clearhead.corpora.options import Options
from clearhead.corpora.packed import PACKED, unpacked
from clearhead.corpora.tables import batches, is_text, label_names
from clearhead.errors import FileError
from clearhead.untrusted import strict_json
from clearhead.untrusted.foreign import failing_as

Form = Literal["text", "lines", "parquet", "arrow"]

FORMS: Mapping[str, Form] = {
    ".jsonl": "lines", ".ndjson": "lines", ".json": "lines", ".parquet": "parquet", ".arrow": "arrow",
    ".feather": "arrow",
}  # fmt: skip
"""The forms of files by the ending of their names; every other file is one text."""

UNREAD = (".csv", ".tsv")
"""Tables that are not read: as a text, one of them would be a single document of all its rows."""

STATE = "state.json"
"""The file that describes a dataset on disk."""

CHUNK = 1 << 20

MARK_EVERY = 1024
"""The offset of every 1,024th line is remembered for JSON lines that are not compressed."""

MAX_DEPTH = 8
"""Folders in folders: more are a link that leads back."""


class File(Struct, frozen=True):
    """A file of documents.

    Attributes:
        path: where it is.
        form: its file format.
        digest: a hash of its bytes.
        documents: how many it has; blank lines count.
        size: its bytes.
        marks: the offset of every `MARK_EVERY`-th line, if the file can be read from there.
    """

    path: str
    form: Form
    digest: str
    documents: int
    size: int = 0
    marks: tuple[int, ...] = ()


class Piece(Struct, frozen=True):
    """Neighbouring documents of a file.

    Attributes:
        path, form, digest, size: of the file.
        first: the number of the first document, counted from 0.
        last: the number after that of the last document.
        offset: the offset of the line numbered ``skipped``.
        skipped: the number of a line at or before the first.
    """

    path: str
    form: Form
    digest: str
    size: int
    first: int
    last: int
    offset: int = 0
    skipped: int = 0


class Document(Struct, frozen=True):
    """A document: its number in the shard, its text, its group (None where it has none); or why it cannot be read."""

    number: int
    text: str = ""
    group: str | None = ""
    fault: str = ""


def files_of(data: Sequence[str]) -> list[str]:
    """The files of paths, patterns and folders of datasets, in this order.

    Raises:
        FileError: one of them has no files.
    """
    found: list[str] = []
    for each in data:
        paths = [inside for path in storage.matching(each) for inside in _of_one_kind(path, _inside(path))]
        if not paths:
            raise FileError(f"{each}: no file matches. Give files, a pattern in quotes, or the folder of a dataset.")
        found += paths
    return found


def _of_one_kind(folder: str, paths: list[str]) -> list[str]:
    """The paths, unless some are texts and others have a document in each row, as where a README lies beside data."""
    texts = [path for path in paths if form_of(path) == "text"]
    if rows := [path for path in paths if form_of(path) != "text"] if texts else []:
        raise FileError(
            f"{folder}: has {_name(texts[0])}, a text, beside {_name(rows[0])}, which has rows. Name those to read "
            f"by a pattern in quotes, such as '{folder}/**/*{Path(_unpacked_name(rows[0])).suffix}'."
        )
    return paths


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _inside(path: str, depth: int = 0) -> list[str]:
    """A file itself; for a dataset on disk, or a folder, the files inside and those of the folders in it."""
    if not storage.is_folder(path):
        return [path]
    if depth > MAX_DEPTH:
        raise FileError(
            f"{path}: has folders in folders, more than {MAX_DEPTH} deep. Name files by a pattern in quotes."
        )
    listed = storage.names(path)
    if STATE in listed:
        with failing_as(FileError, f"{path}: {STATE} cannot be read", "Save the dataset again."):
            content = storage.read(storage.join(path, STATE), MAX_HEADER_BYTES)
            state = strict_json.loads(content, max_values=MAX_JSON_VALUES)
            named = [str(each["filename"]) for each in state["_data_files"]]
        if strange := [name for name in named if name not in listed]:
            raise FileError(f"{path}: {STATE} names {strange[0]!r:.80}, which is not in the folder.")
        return [storage.join(path, name) for name in named]
    if "dataset_dict.json" in listed:
        raise FileError(
            f"{path}: this dataset has several parts. Name the folder of one of them, such as {path}/train."
        )
    own = [storage.join(path, name) for name in listed if not name.startswith(".")]
    return [inside for each in own for inside in _inside(each, depth + 1)]


def form_of(path: str) -> Form:
    """The form of a file, by the ending of its name."""
    return next((form for end, form in FORMS.items() if _unpacked_name(path).endswith(end)), "text")


def _unpacked_name(path: str) -> str:
    lower = path.lower()
    return next((lower[: -len(end)] for end in PACKED if lower.endswith(end)), lower)


def scan(path: str) -> File:
    """Reads a file once, to count its documents and to hash it.

    Raises:
        FileError: it cannot be read, or does not have the form of its name.
    """
    form = form_of(path)
    if _unpacked_name(path).endswith(UNREAD):
        raise FileError(f"{path}: tables in CSV are not read. Write it as Parquet, or a JSON object on each line.")
    with storage.open_read(path) as file, _failing(path):
        digest, size = _digest(file)
    if form in ("parquet", "arrow"):
        with storage.open_read(path) as file, _failing(path):
            return File(path, form, digest, sum(rows for rows, _ in batches(form, file)), size)
    if form == "text":
        return File(path, form, digest, 1, size)
    count, marks = _lines(path)
    if _unpacked_name(path).endswith(".json") and _starts_with(path, b"["):
        raise FileError(f"{path}: is a list of JSON. Write it as JSON lines: an object for each document, on one line.")
    return File(path, form, digest, count, size, tuple(marks) if not path.lower().endswith(PACKED) else ())


def _digest(file: BinaryIO) -> tuple[str, int]:
    """A hash of the bytes of a file, and how many there are."""
    found, size = hashlib.blake2b(digest_size=16), 0
    while chunk := file.read(CHUNK):
        found.update(chunk)
        size += len(chunk)
    return found.hexdigest(), size


def _check_size(piece: Piece) -> None:
    """Whether a file is as long as it was for the plan: hashing it again for each shard would take too long.

    Raises:
        FileError: it is not.
    """
    with storage.open_read(piece.path) as file:
        size = file.seek(0, io.SEEK_END)
    if size != piece.size:
        raise FileError(
            f"{piece.path}: has changed since the run began: {size:,} bytes, not {piece.size:,}. Run it again."
        )


def _lines(path: str) -> tuple[int, list[int]]:
    """How many lines a file has, and the offset of every `MARK_EVERY`-th."""
    count, at, marks, ended = 0, 0, [0], True
    with unpacked(path) as file, _failing(path):
        while chunk := file.read(CHUNK):
            before = count
            count += chunk.count(b"\n")
            if count // MARK_EVERY > before // MARK_EVERY:
                place = -1
                for number in range(before + 1, count + 1):
                    place = chunk.index(b"\n", place + 1)
                    if number % MARK_EVERY == 0:
                        marks.append(at + place + 1)
            at += len(chunk)
            ended = chunk.endswith(b"\n")
    return count + (not ended), marks


def _starts_with(path: str, mark: bytes) -> bool:
    with unpacked(path) as file, _failing(path):
        return file.read(CHUNK).lstrip().startswith(mark)


def pieces_of(file: File, first: int, last: int) -> Piece:
    """Neighbouring documents of a file."""
    mark = first // MARK_EVERY
    known = mark < len(file.marks)
    return Piece(
        file.path, file.form, file.digest, file.size, first, last,
        file.marks[mark] if known else 0, mark * MARK_EVERY if known else 0,
    )  # fmt: skip


@contextmanager
def _failing(path: str) -> Iterator[None]:
    """Why a whole file cannot be read, as a message."""
    try:
        with failing_as(FileError, f"{path}: the file cannot be read", "Is it complete, and what its name says?"):
            yield
    except (EOFError, zlib.error) as error:
        raise FileError(f"{path}: the file cannot be read: {error}.") from None


def documents(pieces: Sequence[Piece], options: Options) -> Iterator[Document]:
    """The documents of a shard, numbered from 0; those that cannot be read with the reason.

    Raises:
        FileError: a whole file cannot be read, or has changed.
    """
    start = 0
    for piece in pieces:
        with _failing(piece.path):
            _check_size(piece)
            for number, each in enumerate(READERS[piece.form](piece, options)):
                yield Document(start + number, *each)
        start += piece.last - piece.first


Entry = tuple[str, str | None, str]
"""Text, group and fault of a document."""


def _text(piece: Piece, _: Options) -> Iterator[Entry]:
    with unpacked(piece.path) as file:
        content = file.read(MAX_DOCUMENT_BYTES + 1)
    yield _decoded(content)


def _decoded(content: bytes) -> Entry:
    if len(content) > MAX_DOCUMENT_BYTES:
        return "", "", f"it is longer than {MAX_DOCUMENT_BYTES} bytes"
    try:
        return content.decode("utf-8"), "", ""
    except UnicodeDecodeError:
        return "", "", "it is not UTF-8"


def _json_lines(piece: Piece, options: Options) -> Iterator[Entry]:
    with unpacked(piece.path, piece.offset) as file:
        lines = islice(_bounded_lines(file), piece.first - piece.skipped, piece.last - piece.skipped)
        for line in lines:
            yield _of_line(line, options)


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that is too long a part that is also too long."""
    while line := file.readline(MAX_DOCUMENT_BYTES + 1):
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_DOCUMENT_BYTES:
            rest = file.readline(MAX_DOCUMENT_BYTES + 1)
        yield line


def _of_line(line: bytes, options: Options) -> Entry:
    _, _, fault = _decoded(line)
    if fault or not line.strip():
        return "", "", fault or "the line is empty"
    try:
        found = strict_json.loads(line, max_values=MAX_JSON_VALUES)
    except json.JSONDecodeError:
        return "", "", "the line is not JSON"
    except ValueError as error:
        return "", "", f"the line is not read: {error}"
    return _entry(found if isinstance(found, dict) else {}, options)


def _entry(row: Mapping[str, Any], options: Options, labels: Mapping[int, str] = MappingProxyType({})) -> Entry:
    """The entry of a row; ``labels`` names the numbers of groups."""
    text = row.get(options.column)
    if not isinstance(text, str):
        return "", "", f"it has no text under {options.column!r:.60}"
    if options.group and options.group not in row:
        return "", "", f"it has no {options.group!r:.60}"
    if not options.group:
        return text, "", ""
    group = row[options.group]
    return text, group_name(labels.get(group, group) if isinstance(group, int) else group), ""


def _rows(piece: Piece, options: Options) -> Iterator[Entry]:
    """The requested rows of a table; other batches of rows are not decoded."""
    start, wanted = 0, [options.column, *([options.group] if options.group else [])]
    with storage.open_read(piece.path) as file:
        for rows, load in batches(piece.form, file):
            low, high = max(piece.first - start, 0), min(piece.last - start, rows)
            start += rows
            if low >= high:
                continue
            table = load()
            names = table.schema.names
            if missing := [name for name in wanted if name not in names]:
                raise FileError(f"{piece.path}: has no column {missing[0]!r}. It has {', '.join(names)[:300]}.")
            if not is_text(kind := table.schema.field(options.column).type):
                raise FileError(f"{piece.path}: {options.column!r} expects texts, and has {kind!s:.60}.")
            labels = label_names(table.schema, options.group) if options.group else {}
            for row in table.select(wanted).slice(low, high - low).to_pylist():
                yield _entry(row, options, labels)


READERS: Mapping[Form, Callable[[Piece, Options], Iterator[Entry]]] = {
    "text": _text,
    "lines": _json_lines,
    "parquet": _rows,
    "arrow": _rows,
}
"""What reads each form."""
