"""Files are read only where they are files, and are there in whole or not at all."""

import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import clearhead
from clearhead.errors import FileError
from clearhead.files import make_folder, open_regular, read_bounded, replacing, what_is
from clearhead.problems.submissions import submissions


def put(path, content=b"new"):
    with replacing(path) as file:
        file.write(content)


def test_what_fails_while_it_is_written_leaves_the_old_file(tmp_path):
    """An error of the writer's passes through; the old file stays whole and nothing is left beside it."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "no bytes"])
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("mine.bin", b"old")]


def test_names_of_drafts_cannot_be_guessed(tmp_path):
    """Two drafts of one file have two names, and nothing in them follows from the process."""
    names = set()
    for _ in range(2):
        with replacing(tmp_path / "mine.bin") as file:
            file.write(b"new")
            (draft,) = [each.name for each in tmp_path.iterdir() if each.name != "mine.bin"]
            names.add(draft)
    assert len(names) == 2
    assert not any(str(os.getpid()) in name for name in names)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.bin"]


def test_a_link_in_the_draft_s_place_is_not_followed(tmp_path, monkeypatch):
    """Whoever guesses the name of a draft and plants a link there gets an error, and the link's target stays."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    monkeypatch.setattr("clearhead.files.os.urandom", lambda _: b"guessed")
    (tmp_path / f".clearhead-{b'guessed'.hex()}.tmp").symlink_to(victim)
    with pytest.raises(FileError, match=r"mine\.bin: the file cannot be written"):
        put(tmp_path / "mine.bin")
    assert victim.read_bytes() == b"old"


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    """Of many writers at once each writes a whole file, and no reader sees half of one."""
    path, torn = tmp_path / "mine.bin", []
    put(path, b"0" * 10_000)

    def write(number):
        for _ in range(20):
            put(path, str(number).encode() * 10_000)
            content = path.read_bytes()
            if len(content) != 10_000 or len(set(content)) != 1:
                torn.append(content)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert torn == []
    assert [each.name for each in tmp_path.iterdir()] == ["mine.bin"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    """What was private stays private."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    put(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


def test_a_new_file_has_the_permissions_of_every_new_file(tmp_path):
    """As the user's umask has them."""
    (tmp_path / "by-python").write_bytes(b"")
    put(tmp_path / "mine.bin")
    assert (tmp_path / "mine.bin").stat().st_mode == (tmp_path / "by-python").stat().st_mode


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    """Whoever keeps a file elsewhere finds it there."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.bin").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "mine.bin")
    put(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "mine.bin").read_bytes() == b"new"


@pytest.fixture(params=["pipe", "device", "folder", "socket"])
def irregular(request, tmp_path):
    """Something that is no regular file, and what it is called."""
    path = tmp_path / request.param
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to(os.devnull)
    elif request.param == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    return path, request.param


def test_what_is_no_file_is_not_replaced(irregular):
    """A pipe, a device, a folder or a socket stays what it is, and the error says what it is."""
    path, kind = irregular
    before = path.stat().st_mode
    with pytest.raises(FileError, match=f"cannot be written: it is a {kind}"):
        put(path)
    assert path.stat().st_mode == before


def test_what_is_no_file_is_not_read(irregular):
    """Neither does opening it wait for somebody to write, and the error says what it is."""
    path, kind = irregular
    with pytest.raises(OSError, match=f"it is a {kind}"):
        open_regular(path)
    with pytest.raises(OSError, match=f"it is a {kind}"):
        read_bounded(path, 10)


def test_no_more_is_read_than_may_be(tmp_path):
    """A file of the largest size is read, one that is a byte longer is not, and a vast one with holes costs nothing."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"x" * 10)
    assert read_bounded(path, 10) == b"x" * 10
    with pytest.raises(OSError, match="it has 10 bytes; at most 9 bytes are read"):
        read_bounded(path, 9)
    os.truncate(path, 2**40)
    with pytest.raises(OSError, match="at most 9 bytes are read"):
        read_bounded(path, 9)


def test_a_dash_is_standard_output():
    """Into a pipe, and before what is printed later."""
    code = "from clearhead.files import replacing\nprint('a')\nwith replacing('-') as f: f.write(b'b')\nprint('c')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a\nbc\n"


def test_a_write_protected_file_is_kept(tmp_path, monkeypatch):
    """What may not be written is not replaced by way of its folder."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda target, mode: Path(target) != path.resolve() or mode != os.W_OK)
    with pytest.raises(FileError, match="write-protected"):
        put(path)
    assert path.read_bytes() == b"old"


def fill_the_disk(path):
    with replacing(path):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_reported(tmp_path):
    """What the system says becomes an error that names the file and is an OSError too."""
    with pytest.raises(FileError, match=r"mine\.bin: the file cannot be written: No space left on device") as caught:
        fill_the_disk(tmp_path / "mine.bin")
    assert isinstance(caught.value, OSError)
    assert list(tmp_path.iterdir()) == []


OWN = {
    "files.py": "the one place",
    "cli/ending.py": "standard streams",
    "cli/problems.py": "a function of problems/files.py",
    "compiled/kept.py": "files of the package's own, in the user's cache",
    "compiled/shipped.py": "the package's own files",
    "compiled/simd.py": "the package's own code",
    "corpora/packed.py": "an opened file inside, unpacked",
    "corpora/storage.py": "an address such as s3://, through fsspec",
    "corpora/worker.py": "standard output",
    "inspection/report/page/assemble.py": "the package's own files",
    "models/budget.py": "what Linux says of memory",
    "problems/files.py": "the package's own files, and a function of its own",
    "show/data/archive.py": "an entry of an archive in memory",
    "show/page/assemble.py": "the package's own files",
    "untrusted/archives.py": "an entry of an archive in memory",
    "web/server.py": "the package's own files",
}
"""The modules that open files or have a name like it, and what they open."""


def test_files_are_opened_in_one_place():
    """No other module opens what a user names, to read or to write."""
    package = Path(clearhead.__file__).parent
    opens = re.compile(r"\b(open|read_text|read_bytes|write_text|write_bytes|fdopen)\(")
    found = {
        path.relative_to(package).as_posix() for path in package.rglob("*.py") if opens.search(path.read_text("utf-8"))
    }
    assert found <= OWN.keys()


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_up_to_the_bound_is_read_whole(tmp_path, size):
    """What is at most as large as the bound is read to its last byte; one byte more is refused."""
    path = tmp_path / "mine.bin"
    path.write_bytes(bytes(range(size)))
    assert read_bounded(path, 100) == bytes(range(size))
    path.write_bytes(bytes(101))
    with pytest.raises(OSError, match="it has 101 bytes; at most 100 bytes are read"):
        read_bounded(path, 100)


@pytest.fixture
def odd(tmp_path):
    """A path of each kind that is no regular file, with what it is called."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "piped").symlink_to("fifo")
    words = {"fifo": "a pipe", "loop": "a link that leads to no file", "lost": "a link that leads to no file"}
    return {str(tmp_path / name): word for name, word in {**words, "piped": "a pipe", "/dev/null": "a device"}.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names")
def test_what_is_no_file_is_called_what_it_is(odd, tmp_path):
    """Pipes, devices and links that lead nowhere are named as such; nothing is said of what is not there."""
    assert {path: what_is(path) for path in odd} == odd
    assert [what_is(tmp_path), what_is(__file__)] == ["a folder", "a file"]
    assert [what_is(tmp_path / "none"), what_is("a\0b"), what_is("a" * 5000)] == ["", "", ""]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names")
def test_a_folder_cannot_take_the_place_of_something_else(odd, tmp_path):
    """Where a folder is wanted and something else stands, the message says what; a folder that is there stays."""
    for path, word in odd.items():
        with pytest.raises(FileError, match=re.escape(f"{path}: the folder cannot be made: {word} has this name.")):
            make_folder(path)
    (tmp_path / "mine.txt").write_text("x")
    for path, reason in (("mine.txt", "a file has this name"), ("mine.txt/a", "Not a directory"), ("a\0", "null")):
        with pytest.raises(FileError, match=f"the folder cannot be made: .*{reason}"):
            make_folder(tmp_path / path)
    for _ in range(2):
        make_folder(tmp_path / "new" / "inner")
    assert (tmp_path / "new" / "inner").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names")
def test_no_reader_says_that_what_is_there_is_not(odd):
    """A problem, a folder of submissions or a checkpoint that is a pipe, a device or a lost link is refused as that."""
    for path, word in odd.items():
        for read in (clearhead.read_problem, clearhead.load, submissions):
            with pytest.raises(clearhead.ClearheadError) as caught:
                read(path)
            said = str(caught.value)
            assert word in said or ("link" in word and "symbolic links" in said), said
            assert "hf download" not in said
            assert "no bundled problem" not in said
