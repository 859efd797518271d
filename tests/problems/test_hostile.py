"""Files made to crash, to hang or to eat memory: each is refused in words, quickly and in little memory."""

import bz2
import io
import json
import os
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from clearhead.errors import ProblemError
from clearhead.problems import parse_problem, read_claims, read_problem
from clearhead.problems.reader import parse_claims
from clearhead.problems.submissions import read_submission, submissions

TRACE = read_problem("soccer").trace()


def npy(header, numbers=b"", version=1):
    """A ``.npy`` file with this header."""
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + numbers


def archive(*contents, compression=zipfile.ZIP_STORED, change=None):
    """An archive with these entries, called after lines; ``change`` spoils its bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for number, content in enumerate(contents):
            made.writestr(f"weights@{number + 1}.npy", content)
    data = file.getvalue()
    return data if change is None else change(data)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flagged_as_encrypted(data):
    changed = bytearray(data)
    changed[6] |= 1
    place = data.index(b"PK\x01\x02")
    changed[place + 8] |= 1
    return bytes(changed)


def damaged(data):
    return data[:60] + bytes(len(data) - 400) + data[-340:]


def understated():
    """An entry of 80 MB that says it has 200 bytes."""
    data = bytearray(archive(bytes(80_000_000), compression=zipfile.ZIP_DEFLATED))
    for place, field in ((0, 22), (data.index(b"PK\x01\x02"), 24)):
        data[place + field : place + field + 4] = struct.pack("<I", 200)
    return bytes(data)


SQUARE = saved(np.eye(3))
HOSTILE = {
    "an encrypted entry": archive(SQUARE, change=flagged_as_encrypted),
    "damaged LZMA": archive(saved(np.arange(900.0)), compression=zipfile.ZIP_LZMA, change=damaged),
    "damaged deflate": archive(saved(np.arange(900.0)), compression=zipfile.ZIP_DEFLATED, change=damaged),
    "a header that is no dict": archive(npy(b"{")),
    "a header of other keys": archive(npy(b"{1: 2, None: 3}")),
    "a header that is code": archive(npy(b"__import__('os').system('true')")),
    "a header of escapes": archive(npy(rb"{'descr': '\d<f8', 'fortran_order': False, 'shape': (1,)}", bytes(8))),
    "a long header": archive(npy(b"{'descr': '<f8'," + b" " * 70_000, version=2)),
    "a vast shape of nothing": archive(npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, %d)}" % 10**30)),
    "a vast shape": archive(npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 8)}" % 2**61, bytes(64))),
    "a size of many digits": archive(
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 5000 + b",)}")
    ),
    "many axes": archive(npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"1," * 40 + b")}", bytes(8))),
    "long doubles": archive(saved(np.array([[np.longdouble("1e4000")] * 3] * 3))),
    "objects": archive(npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (3, 3)}", b"\x80\x04.")),
    "structures": archive(npy(b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}", bytes(24))),
    "dates": archive(npy(b"{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3,)}", bytes(24))),
    "texts": archive(saved(np.array(["a"] * 9).reshape(3, 3))),
    "complex numbers": archive(saved(np.eye(3) * 1j)),
    "many arrays under bzip2": archive(*[saved(np.zeros(100_000))] * 40, compression=zipfile.ZIP_BZIP2),
    "many arrays deflated": archive(*[saved(np.zeros(100_000))] * 40, compression=zipfile.ZIP_DEFLATED),
    "one name twice": None,
    "an entry that understates its size": understated(),
    "no archive": b"PK\x03\x04" + bytes(100),
    "only an end": b"PK\x05\x06" + bytes(18),
    "an end that says much": b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 65535, 65535, 2**31, 0, 0),
    "bzip2": bz2.compress(bytes(10**7)),
}


def two_of_one_name():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("weights@1.npy", SQUARE)
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("weights@1.npy", SQUARE)
    return file.getvalue()


def refused(path):
    """The message of a submission that must be refused within two seconds and 50 MB."""
    began = time.process_time()
    with pytest.raises(ProblemError) as caught:
        read_submission(path, TRACE)
    assert time.process_time() - began < 2
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError):
            read_submission(path, TRACE)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(path.name)
    assert message.endswith((".", "?"))
    return message


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(name, tmp_path):
    """An archive of any make is a submission with an error."""
    path = tmp_path / "mine.npz"
    path.write_bytes(HOSTILE[name] or two_of_one_name())
    refused(path)


def test_sound_archives_are_read(tmp_path):
    """Stored and deflated, in C and Fortran order, of all number types, with headers of two versions."""
    weights = TRACE.numpy("weights@1")
    arrays = [
        weights, np.asfortranarray(weights), weights.astype(">f8"), weights.astype(np.float32),
        weights.astype(np.float16), np.round(weights).astype(np.int32), np.round(weights).astype(np.uint8),
    ]  # fmt: skip
    for array in arrays:
        for save in (np.savez, np.savez_compressed):
            save(tmp_path / "mine.npz", **{"weights@1": array})
            (claim,) = read_submission(tmp_path / "mine.npz", TRACE)
            np.testing.assert_array_equal(claim.values.astype(array.dtype), array)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }".ljust(100) + b"\n"
    (tmp_path / "mine.npz").write_bytes(archive(npy(header, weights.tobytes(), version=2)))
    (claim,) = read_submission(tmp_path / "mine.npz", TRACE)
    np.testing.assert_array_equal(claim.values, weights)


KEYS = [f'"k{n}": 1' for n in range(20_000)]
TEXTS = {
    "the last of many keys twice": "{" + ", ".join([*KEYS, KEYS[-1]]) + "}",
    "spaces within a name": '{"a' + " " * 20_000 + 'b": 1}',
    "spaces within a cell": '{"a[' + " " * 20_000 + '": 1}',
    "brackets": '{"a' + "[" * 20_000 + '": 1}',
    "digits within a cell": '{"a[' + "1," * 20_000 + '": 1}',
    "a nest": "[" * 100_000,
    "a long number": '{"weights": ' + "9" * 100_000 + "}",
    "many names": "{" + ", ".join(KEYS) + "}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_take_the_square_of_their_length(name, tmp_path):
    """A small file takes little time, however it is written."""
    path = tmp_path / "mine.json"
    path.write_text(TEXTS[name])
    refused(path)


def test_numbers_are_counted_over_the_whole_file(tmp_path):
    """Many claims that are each of a modest size are too many together."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({f"weights{' ' * n}": np.zeros((200, 300), int).tolist() for n in range(1, 4)}))
    assert "at most 100000 numbers" in refused(path)
    path.write_text(json.dumps({f"weights@1{' ' * n}": 1 for n in range(1, 1200)}))
    assert "at most 1000 claims" in refused(path)


@pytest.mark.parametrize("ending", [".npz", ".json", ".csv", ".toml"])
def test_pipes_and_devices_are_refused_at_once(ending, tmp_path):
    """A pipe into which nobody writes is not waited for, and a device not read, also within a folder."""
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"device{ending}").symlink_to("/dev/zero")
    for path in submissions(tmp_path):
        assert "only regular files are read" in refused(path)
    for path in (tmp_path / f"pipe{ending}", tmp_path / f"device{ending}"):
        for read in (read_problem, read_claims):
            with pytest.raises(ProblemError, match="only regular files are read"):
                read(path)


GOOD = 'format = 1\ntitle = "t"\n{}\n[attention]\nheads = 1\noutput = false\n[arrays]\ninput = [[1, 0]]\n' + "\n".join(
    f"{name}.weight = [[[1], [0]]]" for name in ("query", "key", "value")
)


def test_deviations_of_a_problem_are_bounded():
    """Sixty-four can be combined, and one more is refused with the number that may be."""
    one = '"round:line=weights,decimals=2"'
    assert len(parse_problem(GOOD.format(f"deviations = [{', '.join([one] * 64)}]")).deviations) == 64
    with pytest.raises(ProblemError, match=r"deviations.*64"):
        parse_problem(GOOD.format(f"deviations = [{', '.join([one] * 65)}]"))


@pytest.mark.parametrize(
    "deviation",
    [
        "softmax-base:base=0", "softmax-base:base=-1", "softmax-base:base=nan", "scale-rounded:decimals=1000",
        "scale-rounded:decimals=-1", "scale-factor:factor=inf", "round:line=weights,decimals=16",
        "mask-filled:fill=nan", "causal-off-by-one:by=99999999999999999999", "rotary-interpolated:factor=0",
    ],
)  # fmt: skip
def test_parameters_of_deviations_are_bounded(deviation):
    """A number that no implementation could work with is refused with what is expected."""
    with pytest.raises(ProblemError, match=r"deviations\[0\]: \S+ expects \w+ as "):
        parse_problem(GOOD.format(f'deviations = ["{deviation}"]'))


PIECES = [
    "[",
    "{",
    '"',
    "'",
    '"""',
    "'''",
    "a.",
    "a=",
    "[[a]]\n",
    "[a]\n",
    "#",
    "\\",
    "1,",
    "x = 1\n",
    "a.b.c=1\n",
    "{a={",
    "\n",
    "é",
]


@pytest.mark.parametrize("piece", PIECES)
def test_toml_of_one_piece_many_times_takes_no_square_of_time(piece):
    """The largest file of any one piece is refused in seconds."""
    for head in ("", "format = 1\narrays = ", "format = 1\n[arrays]\ninput = "):
        text = head + piece * ((2**20 - len(head)) // len(piece.encode()))
        began = time.process_time()
        for read in (parse_problem, parse_claims):
            with pytest.raises(ProblemError):
                read(text)
        assert time.process_time() - began < 8
