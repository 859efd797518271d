"""Tables of documents: the batches of rows of Parquet and Arrow files, and the names of labels in their schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from clearhead.budgets import MAX_JSON_VALUES
from clearhead.extras import need
from clearhead.untrusted import strict_json

ARROW_FILE = b"ARROW1"
"""The first bytes of Arrow's file format, which is also Feather's second version; its streams begin otherwise."""

DATASETS = b"huggingface"
"""Under this name Hugging Face's datasets have the types of their columns in a schema."""


def batches(kind: str, file: BinaryIO) -> Iterator[tuple[int, Callable[[], Any]]]:
    """The batches of rows of a table, "parquet" or "arrow": how many rows each has, and a function that loads it.

    Raises:
        EOFError: a stream of Arrow has no mark of its end. The format lets writers leave it out, but then a stream that
            was cut behind a batch cannot be told from a whole one.
    """
    if kind == "parquet":
        parquet = need("pyarrow.parquet", "corpus").ParquetFile(file)
        for group in range(parquet.num_row_groups):
            yield parquet.metadata.row_group(group).num_rows, partial(parquet.read_row_group, group)
        return
    ipc = need("pyarrow.ipc", "corpus")
    start = file.read(len(ARROW_FILE))
    file.seek(0)
    if start == ARROW_FILE:
        whole = ipc.open_file(file)
        for number in range(whole.num_record_batches):
            batch = whole.get_batch(number)
            yield batch.num_rows, partial(_same, batch)
        return
    watched = _Watched(file)
    for batch in ipc.open_stream(watched):
        yield batch.num_rows, partial(_same, batch)
    if watched.exhausted:
        raise EOFError("the stream has no mark of its end: it was cut, or its writer was not closed")


def _same(batch: Any) -> Any:
    return batch


class _Watched:
    """A file that remembers whether more bytes were asked for than it had."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.exhausted = file, False

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        found = self.file.read(count)
        self.exhausted = self.exhausted or len(found) < count
        return found

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing: who opened the file closes it."""


def is_text(kind: Any) -> bool:
    """Whether a column of an Arrow table has texts, which may be listed once (as a dictionary), or nothing at all."""
    types = need("pyarrow", "corpus").types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return any(test(kind) for test in tests)


def label_names(schema: Any, column: str) -> Mapping[int, str]:
    """The names of a column's numbers, where Hugging Face's datasets wrote them (as a ClassLabel); none elsewhere."""
    try:
        known = strict_json.loads((schema.metadata or {})[DATASETS], max_values=MAX_JSON_VALUES)
        names = known["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return {}
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return {}
    return dict(enumerate(names))
