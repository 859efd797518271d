"""Finds a checkpoint and its parts: a directory, a file, or a name in the local Hugging Face cache."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from clearhead.budgets import MAX_HEADER_BYTES
from clearhead.errors import CheckpointError, suggest
from clearhead.files import FilePath, what_is
from clearhead.models.gguf import read_gguf
from clearhead.models.safetensors import parse_json, read_safetensors, read_sharded, within
from clearhead.models.tensors import Tensors, content
from clearhead.models.tokenizer import Tokenizer, read_tokenizer, tokenizer_of

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
MAX_REVISION_BYTES = 1000
_REVISION = re.compile(r"[0-9a-f]{4,64}")


class Checkpoint(Struct, frozen=True):
    """A checkpoint: its file or directory, its config, its arrays, and the description of its tokenizer.

    ``architecture`` is what config.json or the GGUF metadata call the model; ``generation`` where it is said how text
    is generated; ``modules`` where sentence-transformers says what it does with the model's states.
    """

    path: Path
    architecture: str
    config: Mapping[str, Any]
    tensors: Tensors
    tokenizer: Path | Mapping[str, Any] | None = None
    generation: Path | None = None
    modules: Path | None = None

    def read_tokenizer(self) -> Tokenizer:
        """The tokenizer.

        Raises:
            CheckpointError: there is none, or it cannot be read.
            MissingPackage: tokenizers is not installed.
        """
        if self.tokenizer is None:
            raise CheckpointError(
                f"{self.path}: there is no tokenizer.json. Put one there, or give numbers of tokens: "
                f"model.trace([1, 2, 3]), on the command line --tokens 1,2,3."
            )
        if isinstance(self.tokenizer, Path):
            return read_tokenizer(self.tokenizer)
        try:
            return tokenizer_of(self.tokenizer, str(self.path))
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None


def open_checkpoint(path: FilePath) -> Checkpoint:
    """Finds a checkpoint and reads all but its numbers.

    Raises:
        CheckpointError: there is none, it is damaged, or it is pickled.
    """
    found = Path(path)
    try:
        if found.is_dir():
            return _directory(found, found)
        if found.is_file():
            return _file(found)
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: cannot be read: {error}.") from None
    if instead := what_is(path):
        raise CheckpointError(f"{path}: this is {instead}. Name a directory, or a .safetensors or .gguf file.")
    return _cached(os.fspath(path))


def _file(path: Path) -> Checkpoint:
    if path.suffix == ".gguf":
        return _gguf(path)
    if path.suffix == ".safetensors":
        return _directory(path.parent, path.parent, path)
    if path.suffix in PICKLED:
        raise _pickled(path)
    raise CheckpointError(f"{path}: expects a directory, or a file that ends with .safetensors or .gguf.")


def _pickled(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: a pickled checkpoint can run any code when it is read, so it is not. If you trust it, convert it: "
        f"python -c \"from transformers import AutoModel as M; M.from_pretrained('{path.parent}')"
        f".save_pretrained('{path.parent}-safe')\""
    )


def _directory(path: Path, inside: Path, weights: Path | None = None) -> Checkpoint:
    """A directory with config.json, weights and perhaps a tokenizer; no link may lead out of ``inside``."""
    config_path = path / "config.json"
    if weights is None and not config_path.exists() and (single := _only_gguf(path, inside)):
        return _gguf(single)
    tensors = _tensors(path, inside, weights)
    if not config_path.exists():
        raise CheckpointError(f"{path}: there is no config.json, which says what the weights mean. Put it beside them.")
    config = read_json(within(config_path, inside))
    named = config.get("architectures")
    architecture = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    names = ("tokenizer.json", "generation_config.json", "modules.json")
    found = [within(path / name, inside) if (path / name).exists() else None for name in names]
    return Checkpoint(path, architecture, config, tensors, *found)


def _tensors(path: Path, inside: Path, weights: Path | None) -> Tensors:
    if weights is not None:
        return read_safetensors(within(weights, inside))
    if (path / SINGLE).exists():
        return read_safetensors(within(path / SINGLE, inside))
    if (path / INDEX).exists():
        return read_sharded(within(path / INDEX, inside), inside)
    for each in sorted(path.iterdir()):
        if each.suffix in PICKLED:
            raise _pickled(each)
    raise CheckpointError(f"{path}: there is no {SINGLE}, no {INDEX} and no .gguf file. Is this the right directory?")


def _only_gguf(path: Path, inside: Path) -> Path | None:
    files = sorted(each for each in path.iterdir() if each.suffix == ".gguf")
    if len(files) > 1:
        raise CheckpointError(f"{path}: has several GGUF files: {', '.join(f.name for f in files)}. Name one of them.")
    return within(files[0], inside) if files else None


def read_json(path: Path) -> dict[str, Any]:
    """What a small file of JSON says.

    Raises:
        CheckpointError: it is too large, or no object of JSON.
    """
    return parse_json(path, content(path, MAX_HEADER_BYTES))


def _gguf(path: Path) -> Checkpoint:
    file = read_gguf(path)
    architecture = file.metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise CheckpointError(f"{path}: the metadata have no general.architecture.")
    own = f"{architecture}."
    config = {name.removeprefix(own): value for name, value in file.metadata.items() if "tokenizer" not in name}
    tokenizer = {name: value for name, value in file.metadata.items() if name.startswith("tokenizer.")}
    return Checkpoint(path, architecture, config, file.tensors, tokenizer)


def _cached(name: str) -> Checkpoint:
    """A model in the local Hugging Face cache: the snapshot that its main branch is at, or the only one."""
    folder = cache_directory() / f"models--{name.replace('/', '--')}"
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name or not folder.is_dir():
        fetch = f"; fetch it first: hf download {name[:200]}" if _REPOSITORY.fullmatch(name) else "."
        raise CheckpointError(
            f"{name[:200]}: there is no such file or directory, and no such model in {cache_directory()}. "
            f"{_nearest(name)}Nothing is downloaded{fetch}"
        )
    main = folder / "refs" / "main"
    revision = content(main, MAX_REVISION_BYTES).decode("ascii", "replace").strip() if main.exists() else ""
    snapshots = sorted(each for each in (folder / "snapshots").glob("*") if each.is_dir())
    chosen = [each for each in snapshots if _REVISION.fullmatch(revision) and each.name == revision] or snapshots[-1:]
    if not chosen:
        raise CheckpointError(f"{folder}: holds no snapshot. Fetch the model again: hf download {name}")
    return _directory(chosen[0], folder)


def cache_directory() -> Path:
    """The folder of Hugging Face's downloads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(home) / "hub"


def _nearest(name: str) -> str:
    try:
        names = [each.name.removeprefix("models--") for each in cache_directory().glob("models--*")]
    except OSError:
        return ""
    return f"{suggest(name, (each.replace('--', '/') for each in names))} " if names else ""
