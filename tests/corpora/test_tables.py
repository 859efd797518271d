"""Arrow's stream and file formats, whole and cut, and the names of labels that Hugging Face's datasets write."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearhead.corpora.documents import documents, pieces_of, scan
from clearhead.corpora.options import Options
from clearhead.errors import FileError

LABELS = [0, 1, None, -1]
NAMES = {"text": {"dtype": "string"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}


def batches(metadata=None):
    """Three batches of four rows, and the metadata of their schema."""
    schema = pa.schema([("text", pa.string()), ("label", pa.int64())], metadata=metadata)
    return [
        pa.RecordBatch.from_arrays([pa.array([f"text {n}{row}" for row in range(4)]), pa.array(LABELS)], schema=schema)
        for n in range(3)
    ]


def stream(rows):
    """A stream, and where its schema and each batch end."""
    sink, ends = io.BytesIO(), [rows[0].schema.serialize().size]
    with pa.ipc.new_stream(sink, rows[0].schema) as writer:
        for each in rows:
            writer.write_batch(each)
            ends.append(sink.tell())
    return sink.getvalue(), ends


def written(path, content):
    """The path of a file with this content."""
    path.write_bytes(content)
    return str(path)


def read(path, **options):
    """All documents of a file."""
    file = scan(path)
    return list(documents([pieces_of(file, 0, file.documents)], Options(**options)))


def test_a_stream_that_is_cut_anywhere_is_an_error(tmp_path):
    """Behind the schema, behind each batch, in the middle of one, and within the mark of the end."""
    content, ends = stream(batches())
    assert len(content) == ends[3] + 8  # the mark of the end
    assert len(read(written(tmp_path / "whole.arrow", content))) == 12
    for end in (*ends, ends[2] - 40, ends[3] + 4, len(content) - 1):
        with pytest.raises(FileError, match=r"cut\.arrow: the file cannot be read"):
            scan(written(tmp_path / "cut.arrow", content[:end]))
    with pytest.raises(FileError, match="no mark of its end: it was cut, or its writer was not closed"):
        scan(written(tmp_path / "cut.arrow", content[: ends[2]]))


def test_the_mark_of_older_writers_is_a_mark(tmp_path):
    """Before version 0.15 a stream ended with four bytes of zeros."""
    content, ends = stream(batches())
    assert len(read(written(tmp_path / "old.arrow", content[: ends[3]] + bytes(4)))) == 12


@pytest.mark.parametrize("name", ["x.arrow", "x.feather"])
def test_the_file_format_is_read(name, tmp_path):
    """Arrow's other format, which is Feather too, in whole and in parts; a cut one is an error."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, batches()[0].schema) as writer:
        for each in batches():
            writer.write_batch(each)
    path = written(tmp_path / name, sink.getvalue())
    assert [each.text for each in read(path)] == [f"text {n}{row}" for n in range(3) for row in range(4)]
    assert [each.text for each in documents([pieces_of(scan(path), 3, 5)], Options())] == ["text 03", "text 10"]
    with pytest.raises(FileError, match="cannot be read"):
        scan(written(tmp_path / name, sink.getvalue()[:-20]))


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_labels_have_their_names(form, tmp_path):
    """A ClassLabel is called as its dataset calls it; null stays without a name, and -1, which has none, a number."""
    rows = batches({"huggingface": json.dumps({"info": {"features": NAMES}})})
    path = tmp_path / f"x.{form}"
    if form == "arrow":
        path.write_bytes(stream(rows)[0])
    else:
        pq.write_table(pa.Table.from_batches(rows), path, row_group_size=5)
    assert [each.group for each in read(str(path), group="label")] == ["neg", "pos", None, "-1"] * 3


@pytest.mark.parametrize(
    "metadata",
    ["{", "[]", '{"info": {"features": 3}}', '{"info": {"features": {"label": {"names": 7}}}}',
     '{"info": {"features": {"label": {"names": ["a", 2]}}}}', '{"info": {"features": {"text": {"names": ["a"]}}}}'],
)  # fmt: skip
def test_labels_without_names_are_numbers(metadata, tmp_path):
    """Metadata of another form, or of another column, names nothing and is no error."""
    path = written(tmp_path / "x.arrow", stream(batches({"huggingface": metadata}))[0])
    assert [each.group for each in read(path, group="label")] == ["0", "1", None, "-1"] * 3
