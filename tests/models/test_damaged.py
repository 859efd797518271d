"""Damaged checkpoints: each is answered in words, quickly, in little memory, and without leaving its directory."""

import tracemalloc

import numpy as np
import pytest

from clearhead.errors import ClearheadError
from clearhead.models import load

from .damaged import FOLDERS, GGUF, SAFETENSORS, sound_gguf

MAX_BYTES = 64 << 20


def use(path):
    """What a user does with a checkpoint."""
    return load(path).trace([1, 2, 3])


@pytest.fixture
def refused():
    """A function that expects a clear error, and no more than a little memory."""

    def check(path):
        tracemalloc.start()
        try:
            with pytest.raises(ClearheadError) as caught:
                use(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        message = str(caught.value)
        assert str(path)[:40] in message or "config" in message or "expects" in message
        assert len(message) < 2000
        assert message.endswith((".", "?", "safe')\""))
        assert "secret" not in message
        assert peak < MAX_BYTES

    return check


def test_the_sound_one_is_read(small):
    """What the damage is done to can be used."""
    assert use(small)["logits"].shape == (3, 17)


def test_there_are_more_than_a_hundred():
    """The promise is a hundred."""
    assert len(SAFETENSORS) + len(FOLDERS) + len(GGUF) >= 130


@pytest.mark.parametrize("name", [*SAFETENSORS, *FOLDERS])
def test_damaged_folders(name, small, refused):
    """A directory with damaged weights, index, config or links."""
    (SAFETENSORS | FOLDERS)[name](small)
    refused(small)


@pytest.mark.parametrize("name", GGUF)
def test_damaged_gguf(name, tmp_path, refused):
    """A damaged GGUF file."""
    path = tmp_path / "x.gguf"
    sound_gguf(path)
    GGUF[name](path)
    refused(path)


def test_random_damage(small, tmp_path):
    """Bytes changed at random give a clear error or a trace, and nothing else."""
    rng = np.random.default_rng(5)
    sound_gguf(tmp_path / "x.gguf")
    for path in (small / "model.safetensors", tmp_path / "x.gguf"):
        data = path.read_bytes()
        head = min(len(data), 3000)
        for _ in range(150):
            spoiled = bytearray(data)
            for place in rng.integers(0, head, rng.integers(1, 6)):
                spoiled[place] = rng.integers(0, 256)
            path.write_bytes(spoiled)
            try:
                use(path)
            except ClearheadError:
                continue


@pytest.mark.parametrize("path", ["", ".", "\0", "no/such/thing", "x" * 5000, "../..", "a/../b", "-h", "model.bin"])
def test_paths_that_are_no_checkpoint(path, tmp_path, monkeypatch):
    """Whatever is typed for a checkpoint is answered."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ClearheadError):
        load(path)
