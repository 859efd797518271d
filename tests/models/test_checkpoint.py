"""Where checkpoints are found: directories, files, and the local Hugging Face cache."""

import shutil

import pytest

from clearhead.errors import CheckpointError
from clearhead.models import load

IDS = [3, 16, 8]


@pytest.fixture
def cache(small, tmp_path, monkeypatch):
    """The small Llama as Hugging Face's cache keeps models: snapshots of links into blobs."""
    folder = tmp_path / "hub" / "models--someone--small"
    snapshot = folder / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir()
    for file in small.iterdir():
        shutil.copy(file, folder / "blobs" / f"blob-{file.name}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob-{file.name}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abcd")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def test_a_file_is_its_directory(small):
    """A safetensors file by its name is read with the config beside it."""
    assert load(small / "model.safetensors").trace(IDS)["logits"].shape == (3, 17)


def test_a_name_in_the_cache(cache):
    """A model's name leads to the snapshot of its main branch, whose links lead into the blobs."""
    assert load("someone/small").trace(IDS)["logits"].shape == (3, 17)
    (cache / "refs" / "main").unlink()
    assert load("someone/small").sizes.layers == 2


def test_the_cache_is_not_left(cache, tmp_path):
    """A link of a snapshot that leads out of the model's folder is not followed."""
    (tmp_path / "secret.json").write_text("{}")
    config = cache / "snapshots" / "0123abcd" / "config.json"
    config.unlink()
    config.symlink_to(tmp_path / "secret.json")
    with pytest.raises(CheckpointError, match="leads out of"):
        load("someone/small")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["someone/smaal", "someone--small"])
def test_names_that_are_not_there(name):
    """Another name is answered with where was looked, the nearest, and how to fetch it; nothing is downloaded."""
    with pytest.raises(CheckpointError, match=r"no such model in .*hub.*Nothing is downloaded; fetch it first: hf"):
        load(name)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["someone/../small", "/someone/small"])
def test_what_cannot_be_a_name(name):
    """What no model can be called is not looked up, and the message does not say to fetch it."""
    with pytest.raises(CheckpointError, match=r"no such model in .*hub.*Nothing is downloaded\.$"):
        load(name)


def test_pickles_are_told_how_to_convert(small):
    """A pickled checkpoint is refused with the command that makes safetensors of it."""
    (small / "model.safetensors").rename(small / "pytorch_model.bin")
    for path in (small, small / "pytorch_model.bin"):
        with pytest.raises(CheckpointError, match=r"can run any code .* python -c .*save_pretrained\("):
            load(path)
