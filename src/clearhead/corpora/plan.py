"""The shards of a corpus, each named by a hash of all that its results depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate

import msgspec
from msgspec import Struct

import clearhead
from clearhead.corpora.documents import File, Piece, files_of, pieces_of, scan
from clearhead.corpora.options import BLOCK, Options
from clearhead.errors import FileError, SpecError
from clearhead.files import open_regular
from clearhead.models import Model
from clearhead.models.surveying import trained_on

FORMAT = 7
"""The version of shards: another number for every change of their content or computation."""

LADDER = ((2_000, 16), (50_000, 64))
"""For corpora of up to the first number of documents, the documents of a shard; larger corpora have `USUAL`."""

USUAL, MAX_SHARD = 256, 1024
"""With larger shards workers wait for the last ones, smaller ones need more space: see `bench/corpus_cost.py`."""

HASHED = (".json", ".safetensors", ".gguf")
"""The files of a checkpoint that determine its numbers."""


class Shard(Struct, frozen=True):
    """Neighbouring documents that are processed together.

    Attributes:
        name: a hash of model, documents, options and versions.
        start: the number of its first document in the corpus.
        documents: how many it has.
        pieces: where they are.
    """

    name: str
    start: int
    documents: int
    pieces: tuple[Piece, ...]


class Plan(Struct, frozen=True):
    """All shards of a corpus.

    Attributes:
        fingerprint: a hash of model, options and versions.
        model: the model, in words.
        layers: its layers.
        heads: the heads of each.
        options: how documents are read.
        files: the files of documents.
        tokens: the texts of the model's tokens, by their numbers.
        shards: the shards in order.
        trained: how many tokens the training saw at once; None where the model's config does not say so.
    """

    fingerprint: str
    model: str
    layers: int
    heads: int
    options: Options
    files: tuple[File, ...]
    tokens: tuple[str, ...]
    shards: tuple[Shard, ...]
    trained: int | None = None

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return sum(file.documents for file in self.files)

    def place(self, number: int) -> tuple[File, int]:
        """The file of a document, and its number there."""
        for file in self.files:
            if number < file.documents:
                return file, number
            number -= file.documents
        raise IndexError(number)


def plan_of(model: Model, data: Sequence[str], options: Options, size: int | None = None) -> Plan:
    """Reads all data once and cuts it into shards.

    Args:
        model: the model.
        data: files, patterns and folders of datasets.
        options: how documents are read.
        size: the documents of a shard; None for a number that depends on the corpus.

    Raises:
        FileError: a file cannot be read, or there are no documents.
        SpecError: a shard cannot have this size.
    """
    files = tuple(scan(path) for path in files_of(data))
    count = sum(file.documents for file in files)
    if not count:
        raise FileError(f"{', '.join(data)[:200]}: there are no documents.")
    size = next((each for most, each in LADDER if count <= most), USUAL) if size is None else size
    if not 1 <= size <= MAX_SHARD or (options.fit == "pack" and size % BLOCK):
        multiple = f", a multiple of {BLOCK}" if options.fit == "pack" else ""
        raise SpecError(f"a shard expects 1 to {MAX_SHARD} documents{multiple}, got {size}.")
    name = fingerprint(model, options)
    shards = tuple(_shard(files, start, min(size, count - start), name) for start in range(0, count, size))
    words = repr(model).strip("<>").removeprefix("Model ")
    tokens = model.names(range(model.vocabulary))
    trained = trained_on(model)
    return Plan(name, words, model.sizes.layers, model.sizes.heads, options, files, tokens, shards, trained)


def _shard(files: Sequence[File], start: int, count: int, fingerprint: str) -> Shard:
    pieces = tuple(_pieces(files, start, start + count))
    known = [(each.form, each.digest, each.first, each.last) for each in pieces]
    return Shard(_hash([fingerprint, known]), start, count, pieces)


def _pieces(files: Sequence[File], first: int, last: int) -> Iterator[Piece]:
    for file, end in zip(files, accumulate(file.documents for file in files), strict=True):
        begin = end - file.documents
        low, high = max(first, begin), min(last, end)
        if low < high:
            yield pieces_of(file, low - begin, high - begin)


def fingerprint(model: Model, options: Options) -> str:
    """A hash of all that results depend on, except the documents: the model's files, options, versions of software."""
    packages = {name: _version(name) for name in ("numpy", "numba", "tokenizers")}
    return _hash([FORMAT, clearhead.__version__, packages, platform.machine(), _digest(model), options])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _digest(model: Model) -> str:
    """A hash of the files of a checkpoint."""
    found = hashlib.blake2b(digest_size=16)
    folder = model.path if model.path.is_dir() else model.path.parent
    for path in sorted(each for each in folder.iterdir() if each.suffix in HASHED and each.is_file()):
        found.update(path.name.encode("utf-8", "surrogateescape"))
        with open_regular(path) as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
    return found.hexdigest()


def _hash(data: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(data, order="deterministic"), digest_size=16).hexdigest()
