"""The finished shards: a complete file for each, whose name has a hash of its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from clearhead.corpora import storage
from clearhead.corpora.plan import Shard
from clearhead.corpora.tally import PARTS, Part, Tally
from clearhead.extras import need

FOLDER, END = "shards", ".parquet"


class Ledger:
    """The finished shards in a folder.

    A file is called NAME-DIGEST.parquet: the name of its shard, and a hash of its bytes. A file whose bytes have
    another hash counts as not there.
    """

    def __init__(self, output: str) -> None:
        self.folder = storage.join(output, FOLDER)

    def finished(self) -> dict[str, str]:
        """The names of finished shards, each with that of its file."""
        return {
            name.partition("-")[0]: name for name in storage.names(self.folder) if name.endswith(END) and "-" in name
        }

    def missing(self, shards: Iterable[Shard]) -> list[Shard]:
        """The shards that are not finished."""
        finished = self.finished()
        return [shard for shard in shards if shard.name not in finished]

    def write(self, shard: Shard, tally: Tally) -> None:
        """Writes a finished shard.

        Raises:
            FileError: it cannot be written.
        """
        content = as_parquet(table_of(tally), dictionaries=False)  # sums hardly repeat
        storage.write(storage.join(self.folder, f"{shard.name}-{_digest(content)}{END}"), content)

    def tallies(self, shards: Iterable[Shard]) -> Iterator[tuple[Shard, Tally | None]]:
        """Each shard with its tally, None if it is not finished. A damaged file is removed."""
        finished = self.finished()
        for shard in shards:
            yield shard, self._read(finished[shard.name]) if shard.name in finished else None

    def _read(self, name: str) -> Tally | None:
        path = storage.join(self.folder, name)
        content = storage.read(path)
        if name.removesuffix(END).partition("-")[2] != _digest(content):
            storage.remove(path)
            return None
        return tally_of(need("pyarrow.parquet", "corpus").read_table(io.BytesIO(content)))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def as_parquet(table: Any, *, dictionaries: bool = True) -> bytes:
    """A table as the bytes of a Parquet file: the same for the same table.

    With ``dictionaries`` each value is stored once, which takes memory while it is written.
    """
    buffer = io.BytesIO()
    need("pyarrow.parquet", "corpus").write_table(table, buffer, compression="zstd", use_dictionary=dictionaries)
    return buffer.getvalue()


def table_of(tally: Tally) -> Any:
    """A tally as a table: a row for each part and label."""
    arrow = need("pyarrow", "corpus")
    rows = [(part, label, each) for part in PARTS for label, each in sorted(tally[part].items())]
    return arrow.table(
        {
            "part": _lists([np.frombuffer(part.encode(), np.uint8) for part, _, _ in rows], arrow.string()),
            "label": _lists([np.frombuffer(label.encode(), np.uint8) for _, label, _ in rows], arrow.string()),
            "shape": _lists([np.array(each.shape, np.int64) for _, _, each in rows], arrow.list_(arrow.int64())),
            "numbers": _lists([each.ravel() for _, _, each in rows], arrow.list_(arrow.int64())),
        }
    )


def _lists(arrays: Sequence[Any], kind: Any) -> Any:
    """Arrays as a column of texts or lists, made of their bytes: ``arrow.array`` would import pandas, with 50 MB."""
    arrow = need("pyarrow", "corpus")
    ends = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    values = arrow.py_buffer(np.concatenate(arrays))
    if kind == arrow.string():
        return arrow.Array.from_buffers(kind, len(arrays), [None, arrow.py_buffer(ends), values])
    inner = arrow.Array.from_buffers(kind.value_type, int(ends[-1]), [None, values])
    return arrow.Array.from_buffers(kind, len(arrays), [None, arrow.py_buffer(ends)], children=[inner])


def tally_of(table: Any) -> Tally:
    """The tally that a table has."""
    parts: dict[str, Part] = {}
    for batch in table.to_batches():
        columns = (batch.column(name) for name in ("part", "label", "shape", "numbers"))
        for part, label, shape, numbers in zip(*columns, strict=True):
            array = np.asarray(numbers.values, np.int64).reshape(shape.as_py())
            parts.setdefault(part.as_py(), {})[label.as_py()] = array
    return Tally(parts)
