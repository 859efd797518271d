"""Documents in files: plain text, JSON lines, Parquet, Arrow as Hugging Face's datasets write it, packed or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, Literal

from msgspec import Struct

from clearhead.budgets import MAX_DOCUMENT_BYTES, MAX_HEADER_BYTES, MAX_JSON_VALUES
from clearhead.corpora import storage
from clearhead.corpora.options import Options
from clearhead.errors import FileError
from clearhead.extras import need
from clearhead.untrusted import strict_json
from clearhead.untrusted.foreign import failing_as

Form = Literal["text", "lines", "parquet", "arrow"]

FORMS: Mapping[str, Form] = {
    ".jsonl": "lines", ".ndjson": "lines", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
"""The forms of files by the end of their names; every other file is one text."""

PACKED = (".gz", ".zst")

STATE = "state.json"
"""What a dataset on disk says of itself."""

CHUNK = 1 << 20

MARK_EVERY = 1024
"""Of JSON lines that are not packed, where each 1,024th begins is remembered."""

MAX_GROUP = 200
"""Letters of a group's name."""


class File(Struct, frozen=True):
    """A file of documents.

    Attributes:
        path: where it is.
        form: how documents stand in it.
        digest: a hash of its bytes.
        documents: how many it has; blank lines count.
        marks: where every `MARK_EVERY`-th line begins, if one can begin there.
    """

    path: str
    form: Form
    digest: str
    documents: int
    marks: tuple[int, ...] = ()


class Piece(Struct, frozen=True):
    """Neighbouring documents of a file.

    Attributes:
        path, form, digest: of the file.
        first: the number of the first document, counted from 0.
        last: that of the first document behind them.
        offset: where the line numbered ``skipped`` begins.
        skipped: the number of a line at or before the first.
    """

    path: str
    form: Form
    digest: str
    first: int
    last: int
    offset: int = 0
    skipped: int = 0


class Document(Struct, frozen=True):
    """A document: its number in the shard, its text, its group; or what is wrong with it."""

    number: int
    text: str = ""
    group: str = ""
    fault: str = ""


def files_of(data: Sequence[str]) -> list[str]:
    """The files that paths, patterns and folders of datasets stand for, in this order.

    Raises:
        FileError: one stands for none.
    """
    found: list[str] = []
    for each in data:
        paths = [inside for path in storage.matching(each) for inside in _inside(path)]
        if not paths:
            raise FileError(f"{each}: no file matches. Give files, a pattern in quotes, or the folder of a dataset.")
        found += paths
    return found


def _inside(path: str) -> list[str]:
    """A file itself; of a dataset on disk, or of a folder, the files inside."""
    if not storage.is_folder(path):
        return [path]
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
    files = [storage.join(path, name) for name in listed if not name.startswith(".")]
    return [each for each in files if not storage.is_folder(each)]


def form_of(path: str) -> Form:
    """How documents stand in a file, by the end of its name."""
    return next((form for end, form in FORMS.items() if _unpacked_name(path).endswith(end)), "text")


def _unpacked_name(path: str) -> str:
    lower = path.lower()
    return next((lower[: -len(end)] for end in PACKED if lower.endswith(end)), lower)


def scan(path: str) -> File:
    """Reads a file once, to count its documents and to know it again.

    Raises:
        FileError: it cannot be read, or is not of the form that its name says.
    """
    form = form_of(path)
    with storage.open_read(path) as file, _failing(path):
        digest = _digest(file)
    if form in ("parquet", "arrow"):
        with storage.open_read(path) as file, _failing(path):
            return File(path, form, digest, sum(rows for rows, _ in _batches(form, file)))
    if form == "text":
        return File(path, form, digest, 1)
    count, marks = _lines(path)
    return File(path, form, digest, count, tuple(marks) if not path.lower().endswith(PACKED) else ())


def _digest(file: BinaryIO) -> str:
    found = hashlib.blake2b(digest_size=16)
    while chunk := file.read(CHUNK):
        found.update(chunk)
    return found.hexdigest()


def _lines(path: str) -> tuple[int, list[int]]:
    """How many lines a file has, and where every `MARK_EVERY`-th begins."""
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


def pieces_of(file: File, first: int, last: int) -> Piece:
    """Neighbouring documents of a file."""
    mark = first // MARK_EVERY
    known = mark < len(file.marks)
    return Piece(
        file.path, file.form, file.digest, first, last,
        file.marks[mark] if known else 0, mark * MARK_EVERY if known else 0,
    )  # fmt: skip


@contextmanager
def unpacked(path: str, offset: int = 0) -> Iterator[BinaryIO]:
    """A file from an offset on, unpacked if its name says that it is packed."""
    with storage.open_read(path) as file:
        if path.lower().endswith(".gz"):
            with gzip.open(file) as inner:
                yield inner  # type: ignore[misc]  # it reads bytes
        elif path.lower().endswith(".zst"):
            zstandard = need("zstandard", "corpus")
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as inner:
                yield io.BufferedReader(inner, CHUNK)
        else:
            file.seek(offset)
            yield file


@contextmanager
def _failing(path: str) -> Iterator[None]:
    """What is wrong with a whole file, in words."""
    try:
        with failing_as(FileError, f"{path}: the file cannot be read", "Is it complete, and what its name says?"):
            yield
    except (EOFError, zlib.error) as error:
        raise FileError(f"{path}: the file cannot be read: {error}.") from None


def documents(pieces: Sequence[Piece], options: Options) -> Iterator[Document]:
    """The documents of a shard, numbered from 0. One that cannot be read says why.

    Raises:
        FileError: a whole file cannot be read, or is no longer what it was.
    """
    start = 0
    for piece in pieces:
        with _failing(piece.path):
            for number, each in enumerate(READERS[piece.form](piece, options)):
                yield Document(start + number, *each)
        start += piece.last - piece.first


Entry = tuple[str, str, str]
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
    """Lines; of one that is too long a part that is too long as well."""
    while line := file.readline(MAX_DOCUMENT_BYTES + 1):
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_DOCUMENT_BYTES:
            rest = file.readline(MAX_DOCUMENT_BYTES + 1)
        yield line


def _of_line(line: bytes, options: Options) -> Entry:
    _, _, fault = _decoded(line)
    if fault:
        return "", "", fault
    try:
        found = strict_json.loads(line, max_values=MAX_JSON_VALUES)
    except ValueError:
        return "", "", "the line is not JSON"
    return _entry(found if isinstance(found, dict) else {}, options)


def _entry(row: Mapping[str, Any], options: Options) -> Entry:
    text = row.get(options.column)
    if not isinstance(text, str):
        return "", "", f"it has no text under {options.column!r:.60}"
    if options.group and options.group not in row:
        return "", "", f"it has no {options.group!r:.60}"
    return text, str(row[options.group])[:MAX_GROUP] if options.group else "", ""


def _rows(piece: Piece, options: Options) -> Iterator[Entry]:
    """The rows of a table that are wanted; other batches of rows are not decoded."""
    start, wanted = 0, [options.column, *([options.group] if options.group else [])]
    with storage.open_read(piece.path) as file:
        for rows, load in _batches(piece.form, file):
            low, high = max(piece.first - start, 0), min(piece.last - start, rows)
            start += rows
            if low >= high:
                continue
            table = load()
            names = table.schema.names
            if missing := [name for name in wanted if name not in names]:
                raise FileError(f"{piece.path}: has no column {missing[0]!r}. It has {', '.join(names)[:300]}.")
            for row in table.select(wanted).slice(low, high - low).to_pylist():
                yield _entry(row, options)


def _batches(form: Form, file: BinaryIO) -> Iterator[tuple[int, Callable[[], Any]]]:
    """The batches of rows of a table: how many rows each has, and what loads it."""
    if form == "parquet":
        parquet = need("pyarrow.parquet", "corpus").ParquetFile(file)
        for group in range(parquet.num_row_groups):
            yield parquet.metadata.row_group(group).num_rows, partial(parquet.read_row_group, group)
        return
    ipc = need("pyarrow.ipc", "corpus")
    for batch in ipc.open_stream(file):
        yield batch.num_rows, partial(_same, batch)


def _same(batch: Any) -> Any:
    return batch


READERS: Mapping[Form, Callable[[Piece, Options], Iterator[Entry]]] = {
    "text": _text,
    "lines": _json_lines,
    "parquet": _rows,
    "arrow": _rows,
}
"""What reads each form."""
