"""Files that a machine keeps for the next process."""

import pytest

from clearhead.compiled import kept


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the user's that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "clearhead"


def test_what_was_kept_is_read(folder):
    """What one process keeps another reads, to the byte; it is one file."""
    assert kept.read("name") is None
    kept.keep("name", b"\x00\n\xff")
    assert kept.read("name") == b"\x00\n\xff"
    assert [each.name for each in folder.iterdir()] == ["name"]


def test_the_first_to_write_decides():
    """What is there stays as it is."""
    kept.keep("name", b"one")
    kept.keep("name", b"two")
    assert kept.read("name") == b"one"


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-1], lambda whole: whole[:0], lambda whole: b"x" + whole])
def test_a_damaged_file_counts_as_none(folder, spoil):
    """A file that is not as it was written is not read, and is written again."""
    kept.keep("name", b"what is held")
    path = folder / "name"
    path.write_bytes(spoil(path.read_bytes()))
    assert kept.read("name") is None
    kept.keep("name", b"what is held")
    assert kept.read("name") == b"what is held"


def test_where_nothing_can_be_kept(folder):
    """A folder that cannot be made is no error."""
    folder.write_text("no folder")
    assert not kept.possible()
    kept.keep("name", b"held")
    assert kept.read("name") is None
