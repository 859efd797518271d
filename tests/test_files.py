"""Files that are there in whole or not at all."""

import os

import pytest

from clearhead.errors import FileError
from clearhead.files import replacing


def test_what_fails_while_it_is_written_leaves_the_old_file(tmp_path):
    """An error of the writer's passes through; the old file stays whole and nothing is left beside it."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "no bytes"])
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("mine.bin", b"old")]


def test_names_of_drafts_do_not_meet(tmp_path):
    """The draft that stands beside a file while it is written bears the process, so two writers do not share it."""
    with replacing(tmp_path / "mine.bin") as file:
        file.write(b"new")
        assert [each.name for each in tmp_path.iterdir()] == [f".mine.bin.{os.getpid()}.tmp"]
    assert [each.name for each in tmp_path.iterdir()] == ["mine.bin"]


def fill_the_disk(path):
    with replacing(path):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_told(tmp_path):
    """What the system says becomes an error that names the file and is an OSError too."""
    with pytest.raises(FileError, match=r"mine\.bin: the file cannot be written: No space left on device") as caught:
        fill_the_disk(tmp_path / "mine.bin")
    assert isinstance(caught.value, OSError)
    assert list(tmp_path.iterdir()) == []
