"""Documents of every form, in parts, and what is wrong with single ones and with whole files."""

import gzip
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from clearhead.corpora import documents as reading
from clearhead.corpora import storage
from clearhead.corpora.documents import documents, files_of, pieces_of, scan
from clearhead.corpora.groups import MAX_GROUP
from clearhead.corpora.options import Options
from clearhead.errors import FileError

from .conftest import drawn

TEXTS = drawn(23)
OPTIONS = Options(group="kind")


def as_lines(texts):
    return "".join(f"{json.dumps({'text': text, 'kind': n % 3})}\n" for n, text in enumerate(texts)).encode()


def as_arrow(texts):
    table = pa.table({"text": texts, "kind": [n % 3 for n in range(len(texts))], "other": [0] * len(texts)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return sink.getvalue().to_pybytes(), table


def in_frames(content):
    """Frames one after the other, one of them empty, as programs write them that append to a file."""
    return b"".join(map(zstandard.compress, (content[:100], b"", content[100:])))


def written(folder, form):
    """A file of the texts in a form."""
    path = f"{folder}/docs{form}"
    if form == ".parquet":
        with fsspec.open(path, "wb") as file:
            pq.write_table(as_arrow(TEXTS)[1], file, row_group_size=4)
        return path
    packed = {".gz": gzip.compress, ".zst": in_frames}
    content = as_arrow(TEXTS)[0] if form == ".arrow" else as_lines(TEXTS)
    end = next((each for each in packed if form.endswith(each)), None)
    storage.write(path, packed[end](content) if end else content)
    return path


@pytest.mark.parametrize("place", ["local", "memory"])
@pytest.mark.parametrize("form", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet", ".arrow"])
def test_every_form_gives_the_same_documents(form, place, tmp_path, monkeypatch):
    """In whole and in parts, on this machine and in a place that fsspec knows."""
    monkeypatch.setattr(reading, "MARK_EVERY", 4)
    file = scan(written(tmp_path if place == "local" else "memory://docs", form))
    assert file.documents == 23
    for first, last in ((0, 23), (0, 1), (5, 9), (8, 16), (22, 23)):
        found = list(documents([pieces_of(file, first, last)], OPTIONS))
        assert [each.text for each in found] == TEXTS[first:last]
        assert [each.group for each in found] == [str(n % 3) for n in range(first, last)]
        assert [each.number for each in found] == list(range(last - first))


def test_texts_and_several_files_are_numbered_on(tmp_path):
    """A text file is a document; the pieces of a shard are numbered one after the other."""
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).write_text(f"text of {name}")
    paths = files_of([f"{tmp_path}/*.txt", f"{tmp_path}/c.md"])
    pieces = [pieces_of(scan(path), 0, 1) for path in paths]
    assert [(each.number, each.text) for each in documents(pieces, Options())] == [
        (0, "text of a.txt"), (1, "text of b.txt"), (2, "text of c.md"),
    ]  # fmt: skip
    assert files_of([str(tmp_path)]) == [f"{tmp_path}/{name}" for name in ("a.txt", "b.txt", "c.md")]


@pytest.mark.parametrize("form", [".jsonl", ".parquet"])
def test_no_group_is_none_and_other_groups_keep_their_names(form, tmp_path):
    """Null and NaN are no name; "None", "null", nothing between quotes and 0 are; long ones that differ stay apart."""
    long = "x" * 300
    for column, named in (
        (["None", None, "null", "", long + "a", long + "b"], ["None", None, "null", ""]),
        ([0.0, None, 2.0], ["0.0", None, "2.0"]),
        ([True, None], ["True", None]),
    ):
        path = tmp_path / f"docs{form}"
        rows = [{"text": "a", "kind": value} for value in column]
        if form == ".parquet":
            pq.write_table(pa.table({"text": ["a"] * len(rows), "kind": column}), path)
        else:
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        found = [each.group for each in documents([pieces_of(scan(str(path)), 0, len(rows))], OPTIONS)]
        assert found[: len(named)] == named
        assert len(set(found)) == len(rows)
        assert all(each is None or len(each) <= MAX_GROUP for each in found)
    if form == ".parquet":
        pq.write_table(pa.table({"text": ["a"], "kind": pa.array([float("nan")])}), path)
        assert next(documents([pieces_of(scan(str(path)), 0, 1)], OPTIONS)).group is None


def test_a_dataset_on_disk_is_its_files(tmp_path):
    """A folder that Hugging Face's datasets saved: the files that its state names, in this order."""
    (tmp_path / "d").mkdir()
    for name in ("data-1.arrow", "data-0.arrow", "cache-x.arrow"):
        (tmp_path / "d" / name).write_bytes(as_arrow([name])[0])
    state = {"_data_files": [{"filename": "data-1.arrow"}, {"filename": "data-0.arrow"}]}
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    assert [scan(path).path.rpartition("/")[2] for path in files_of([f"{tmp_path}/d"])] == [
        "data-1.arrow",
        "data-0.arrow",
    ]
    (tmp_path / "d" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../../etc/passwd"}]}))
    with pytest.raises(FileError, match="not in the folder"):
        files_of([f"{tmp_path}/d"])
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(FileError, match="several parts"):
        files_of([str(tmp_path)])


def test_a_document_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    """The others are read all the same."""
    monkeypatch.setattr(reading, "MAX_DOCUMENT_BYTES", 60)
    rows = [b'{"text": "good", "kind": 1}', b"{", b"[1]", b'{"text": 3}', b'{"text": "x"}', b'{"text": "\xff"}',
            b"x" * 200, b"", b'{"text": "\\ud800", "kind": 1}', b'{"text": "a", "text": "b"}',
            b'{"text": "last", "kind": 2}']  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(rows))
    file = scan(str(path))
    assert file.documents == len(rows)
    found = list(documents([pieces_of(file, 0, file.documents)], OPTIONS))
    assert [each.text for each in found if not each.fault] == ["good", "last"]
    assert [each.fault for each in found if each.fault] == [
        "the line is not JSON", "it has no text under 'text'", "it has no text under 'text'", "it has no 'kind'",
        "it is not UTF-8", "it is longer than 60 bytes", "the line is empty",
        "the line is not read: it holds half of a character, which no text can",
        "the line is not read: the name 'text' is there twice",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl.gz", gzip.compress(as_lines(TEXTS))[:-20], "cannot be read"),
        ("x.jsonl.gz", b"no gzip", "cannot be read"),
        ("x.jsonl.zst", b"no zstd", "cannot be read"),
        ("x.jsonl.zst", zstandard.compress(as_lines(TEXTS))[:-20], "middle of a Zstandard frame"),
        ("x.jsonl.zst", zstandard.compress(as_lines(TEXTS)) + b"(\xb5", "middle of a Zstandard frame"),
        ("x.parquet", b"PAR1", "cannot be read"),
        ("x.arrow", b"\0" * 40, "cannot be read"),
        ("y", None, "none of this name"),
        ("x.csv", b"text,kind\na,b\n", "CSV are not read"),
        ("x.tsv.gz", b"text\tkind\n", "CSV are not read"),
        ("x.json", b'\n [{"text": "a"}]', "is a list of JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(name, content, said, tmp_path):
    """Cut, of another form, or not there: in words that name it."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=said) as error:
        scan(str(tmp_path / name))
    assert name in str(error.value)


def test_columns_and_patterns_that_are_not_there(tmp_path):
    """The columns that there are, and patterns that match nothing, are named."""
    path = written(tmp_path, ".parquet")
    with pytest.raises(FileError, match=r"no column 'body'\. It has text, kind, other"):
        list(documents([pieces_of(scan(path), 0, 1)], Options(column="body")))
    with pytest.raises(FileError, match="no file matches"):
        files_of([f"{tmp_path}/*.csv"])


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array(["a", None]), ["a", ""]), (pa.array(["a", "a"]).dictionary_encode(), ["a", "a"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]), (pa.array([None, None]), ["", ""]),
        (pa.array([b"a", b"b"]), "expects texts, and has binary"), (pa.array([1, 2]), "expects texts, and has int64"),
        (pa.array([["a"], ["b"]]), "expects texts, and has list"),
    ],
)  # fmt: skip
def test_a_column_of_texts_is_read_and_another_is_named(column, found, tmp_path):
    """Texts however Arrow stores them, a missing one as a row with its error; another column is named with its type."""
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table({"text": column}), path)
    read = lambda: [each.text for each in documents([pieces_of(scan(path), 0, 2)], Options())]  # noqa: E731
    if isinstance(found, list):
        assert read() == found
        return
    with pytest.raises(FileError, match=found):
        read()


def test_a_folder_is_all_files_below_it(tmp_path):
    """As a hub lays out a dataset: files in folders; a text beside rows is refused, and so is a folder in itself."""
    (tmp_path / "data").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("data/b.jsonl", "data/a.json", ".git/x.jsonl"):
        (tmp_path / name).write_bytes(as_lines(TEXTS[:2]))
    assert files_of([str(tmp_path)]) == [f"{tmp_path}/data/a.json", f"{tmp_path}/data/b.jsonl"]
    assert scan(f"{tmp_path}/data/a.json").documents == 2
    (tmp_path / "README.md").write_text("about it")
    with pytest.raises(FileError, match=r"has README\.md, a text, beside a\.json, .* such as '.*/\*\*/\*\.json'"):
        files_of([str(tmp_path)])
    assert files_of([f"{tmp_path}/**/*.json"]) == [f"{tmp_path}/data/a.json"]
    (tmp_path / "data" / "again").symlink_to(tmp_path)
    with pytest.raises(FileError, match="more than 8 deep"):
        files_of([str(tmp_path)])


def test_a_remote_place_is_asked_again(monkeypatch):
    """Twice more where it fails, then the error is said."""
    monkeypatch.setattr(storage, "PAUSE", 0.0)
    storage.write("memory://again/x", b"1")
    calls = []
    system = type(fsspec.filesystem("memory"))
    whole = system.open

    def failing(self, path, *rest, **options):
        calls.append(path)
        if len(calls) % 3:
            raise OSError("busy")
        return whole(self, path, *rest, **options)

    monkeypatch.setattr(system, "open", failing)
    assert storage.read("memory://again/x") == b"1"
    monkeypatch.setattr(storage, "TRIES", 2)
    with pytest.raises(FileError, match=r"memory://again/x: the file cannot be read: busy"):
        storage.read("memory://again/x")
