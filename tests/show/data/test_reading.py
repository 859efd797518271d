"""Traces as data, written and read back, and files that are no traces."""

import io
import json
import os
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearhead import ProblemError, read_problem, read_trace
from clearhead.deviations import deviate
from clearhead.problems import bundled
from clearhead.show import View
from clearhead.show.export import save
from clearhead.spec import Attention

ENDINGS = [".json", ".npz"]


def assert_same(read, written):
    """The same working, names, tokens, notes and arrays, to the bit; of NaN only that it is one."""
    assert read.working == written.working
    assert read.tokens == written.tokens
    assert list(read) == list(written)
    assert list(map(str, read.notes)) == list(map(str, written.notes))
    for name in written:
        ours, theirs = read.numpy(name), written.numpy(name)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        nan = np.isnan(theirs)
        np.testing.assert_array_equal(np.isnan(ours), nan)
        assert ours[~nan].tobytes() == theirs[~nan].tobytes()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", bundled())
def test_bundled_problems_come_back(name, ending, tmp_path):
    """Every bundled problem's trace is read back as it was, its notes too."""
    trace = read_problem(name).trace()
    trace.save(tmp_path / f"x{ending}")
    assert_same(read_trace(tmp_path / f"x{ending}"), trace)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_types_masks_batches_and_deviations_survive(rich, arrays_for, sizes, dtype, ending, tmp_path):
    """A block with every feature, in a batch, of any precision, with a line rewritten, comes back as it was."""
    working = deviate(rich.working(), "round:line=weights,decimals=2", "causal-off-by-one:by=1")
    drawn = arrays_for(working, sizes)
    arrays = {name: a if a.dtype == bool else a.astype(dtype) for name, a in drawn.items()}
    arrays["embedding"] = np.stack([arrays["embedding"]] * 2)
    trace = working.run(arrays, tokens=("a", "", "\U0001f600 <b>"))
    trace.save(tmp_path / f"x{ending}")
    assert_same(read_trace(tmp_path / f"x{ending}"), trace)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_not_kept_is_still_a_line(make_trace, ending, tmp_path):
    """A trace of a few lines keeps its working, and the notes on what it let go."""
    trace = make_trace(keep=("weights", "norm"))
    trace.save(tmp_path / f"x{ending}")
    read = read_trace(tmp_path / f"x{ending}")
    assert_same(read, trace)
    assert "residual" not in read
    assert trace.notes


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20)
@given(bits=st.lists(st.binary(min_size=8, max_size=8), min_size=4, max_size=4))
def test_every_number_comes_back_to_the_bit(bits, ending, tmp_path_factory):
    """Subnormal, signed zero, largest and infinite numbers are the same after a round trip."""
    numbers = np.array([struct.unpack("<d", each)[0] for each in bits]).reshape(2, 2)
    working = Attention(heads=1, output=False).working().starting_at("weights", "value")
    trace = working.run({"weights": numbers[None], "value": np.array([[[0.5], [-0.0]]])})
    path = tmp_path_factory.mktemp("x") / f"x{ending}"
    trace.save(path)
    assert_same(read_trace(path), trace)


def test_numpy_reads_the_archive_by_itself(tmp_path):
    """``numpy.load`` gives each line by its name, with pickles forbidden; the same trace makes the same file."""
    trace = read_problem("decoder-block").trace()
    for name in ("a", "b"):
        trace.save(tmp_path / f"{name}.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["attention.weights"], trace["weights"])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# Files that are no traces


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "x.json"
    read_problem("soccer").trace().save(path)
    return json.loads(path.read_text("utf-8"))


def lines(data, name):
    return next(line for line in data["lines"] if line["name"] == name)


def refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ProblemError) as error:
        read_trace(tmp_path / "x")
    assert str(error.value).startswith(str(tmp_path / "x"))
    assert len(str(error.value)) < 2000
    return str(error.value)


CHANGES = {
    "No operation is called 'eval'": lambda d: lines(d, "weights").update(operation="eval"),
    "which no earlier line makes": lambda d: lines(d, "scores").update(operands=["weights", "key"]),
    "Two lines are called": lambda d: d["lines"].append(d["lines"][-1]),
    "has shape": lambda d: lines(d, "weights").update(shape=[1, 3, 3], values=lines(d, "weights")["values"][:1]),
    "nested as the shape": lambda d: lines(d, "weights").update(shape=[2, 3, 300000000]),
    "has no numbers: its shape": lambda d: lines(d, "query.weight").update(
        shape=[2, 2, 0], values=[[[], []], [[], []]]
    ),
    "takes 2 operands": lambda d: lines(d, "scores").update(operands=["query"]),
    "takes the parameters": lambda d: lines(d, "norm").update(parameters={"epsilon": 1}),
    "are not axes": lambda d: lines(d, "norm").update(axes=["token", "evil"]),
    "dtype": lambda d: lines(d, "norm").update(dtype="object"),
    "something else": lambda d: lines(d, "norm").update(values=[["a", 1], [1, 1], [1, 1]]),
    "the format is 2": lambda d: d.update(format=2),
    "flags": lambda d: d.update(flags={"norm": [1, 2, 3]}),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_file_that_contradicts_itself_is_refused(data, tmp_path, fault):
    """The error names the file and says what is wrong with which line."""
    broken = json.loads(json.dumps(data))
    CHANGES[fault](broken)
    assert fault in refused(tmp_path, json.dumps(broken).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"format":1,"lines":7}', b"PK\x03\x04"])
def test_what_is_no_trace_is_refused(tmp_path, content):
    """Empty, deeply nested, undecodable and cut files give an error and no crash."""
    refused(tmp_path, content)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    """So is a folder."""
    with pytest.raises(ProblemError, match=r"nothing\.npz"):
        read_trace(tmp_path / "nothing.npz")
    with pytest.raises(ProblemError):
        read_trace(tmp_path)


def archive(entries, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, each in entries:
            file.writestr(name, each)
    return content.getvalue()


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "x.npz"
    read_problem("soccer").trace().save(path)
    with zipfile.ZipFile(path) as file:
        return [(info.filename, file.read(info)) for info in file.infolist()]


def header(claim):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(claim)) + claim


def test_archives_that_lie_are_refused(entries, tmp_path):
    """Compressed bombs, arrays larger than their bytes, pickles, missing and foreign arrays are refused unread."""
    assert "compressed" in refused(tmp_path, archive(entries, zipfile.ZIP_DEFLATED))
    assert "has no 'weights.npy'" in refused(tmp_path, archive([e for e in entries if e[0] != "weights.npy"]))
    for claim in (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n",
        b"__import__('os').abort()\n",
    ):
        lying = [(name, header(claim) if name == "weights.npy" else each) for name, each in entries]
        assert "weights" in refused(tmp_path, archive(lying))


@settings(max_examples=150)
@given(at=st.floats(0, 1), new=st.binary(max_size=6), cut=st.booleans(), ending=st.sampled_from(ENDINGS))
def test_no_damage_does_more_than_an_error(at, new, cut, ending, tmp_path_factory):
    """Bytes changed or cut anywhere give a trace or a clear error, and nothing else."""
    folder = tmp_path_factory.mktemp("fuzz")
    save(read_problem("single-head").trace(), folder / f"x{ending}", View())
    content = (folder / f"x{ending}").read_bytes()
    place = int(at * len(content))
    (folder / "y").write_bytes(content[:place] + new + (b"" if cut else content[place + len(new) :]))
    with suppress(ProblemError):
        read_trace(folder / "y")


def test_what_is_no_file_is_not_read(tmp_path):
    """A device without end and a pipe into which nobody writes are refused at once."""
    os.mkfifo(tmp_path / "pipe.npz")
    for path in ("/dev/zero", "/dev/null", tmp_path / "pipe.npz", tmp_path):
        with pytest.raises(ProblemError, match=r"the file cannot be read: it is a (device|pipe|folder)"):
            read_trace(path)


def test_a_note_that_reads_what_was_not_kept_is_left_out(data, tmp_path):
    """A trace without the operand of a line that has a remark can be used, notes and all."""
    changed = json.loads(json.dumps(data))
    residual = lines(changed, "residual")
    for key in ("shape", "dtype", "values"):
        residual.pop(key)
    (tmp_path / "x.json").write_text(json.dumps(changed))
    trace = read_trace(tmp_path / "x.json")
    assert "residual" not in trace
    assert all(note.line != "norm" for note in trace.notes)


@pytest.mark.parametrize("value", ["</script>", "1e-5", True, None])
def test_parameters_have_the_types_of_their_operation(value, data, tmp_path):
    """A parameter of another type is refused when the trace is read, and not first when a cell is explained."""
    changed = json.loads(json.dumps(data))
    lines(changed, "norm")["parameters"]["eps"] = value
    assert "cannot have these parameters" in refused(tmp_path, json.dumps(changed).encode())


def test_values_are_counted_before_they_are_made(tmp_path):
    """A text of many empty lists is refused before it becomes many lists."""
    content = b'{"format": 1, "lines": [{"name": "a", "values": [' + b"[]," * 5_000_000 + b"[]]}]}"
    tracemalloc.start()
    try:
        assert "at most 4000000" in refused(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
