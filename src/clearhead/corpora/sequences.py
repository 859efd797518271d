"""Documents as sequences of tokens that a model reads: cut, split or packed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import groupby

from msgspec import Struct

from clearhead.corpora.documents import Document
from clearhead.corpora.options import BLOCK, Options
from clearhead.errors import ClearheadError, SpecError
from clearhead.models.tokenizer import Tokenizer

FOLDS = 32
"""The number of folds to which documents are assigned by a hash of their text; the bootstrap draws folds."""

Ids = tuple[int, ...]


class Sequence(Struct, frozen=True):
    """The input of one run: tokens, and what is known of the documents that they come from.

    Attributes:
        number: the number of the first of them.
        fold: its fold.
        group: the group of all of them.
        ids: the tokens.
        begun: the numbers of the documents that begin in it: only the first part of a document that is split has one.
        unread: how many tokens of its document are left out, since it is cut.
    """

    number: int
    fold: int
    group: str | None
    ids: Ids
    begun: tuple[int, ...] = ()
    unread: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all documents of which it has tokens."""
        return self.begun if self.number in self.begun else (self.number, *self.begun)


class Failed(Struct, frozen=True):
    """A document without a sequence, and the reason."""

    number: int
    fault: str


class Cutter:
    """Makes sequences of documents.

    Raises:
        SpecError: the special tokens around a text leave no room for one.
    """

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        self.tokenizer, self.options = tokenizer, options
        self.room = options.length - len(self.around[0]) - len(self.around[1])
        if self.room < 1:
            raise SpecError(f"length={options.length} leaves no room beside the special tokens of this model.")

    @cached_property
    def around(self) -> tuple[Ids, Ids]:
        """The model's special tokens before and after a text."""
        whole, bare = self.tokenizer.ids("a"), self.tokenizer.ids("a", special=False)
        before = next((n for n in range(len(whole)) if whole[n : n + len(bare)] == bare), 0)
        return whole[:before], whole[before + len(bare) :]

    def sequences(self, documents: Iterable[Document]) -> Iterator[Sequence | Failed]:
        """The sequences of documents, and the documents without one. They depend on no other documents.

        Packed ones depend on those of their block: sixteen documents, counted from the corpus's first.
        """
        if self.options.fit != "pack":
            for document in documents:
                yield from self._of_one(document)
            return
        for _, block in groupby(documents, lambda each: each.number // BLOCK):
            yield from self._packed(block)

    def _of_one(self, document: Document) -> Iterator[Sequence | Failed]:
        found = self._encoded(document)
        if isinstance(found, Failed):
            yield found
            return
        before, behind = self.around
        last = min(self.room, len(found)) if self.options.fit == "cut" else len(found)
        for start in range(0, last, self.room):
            begun = () if start else (document.number,)
            ids = (*before, *found[start : start + self.room], *behind)
            yield _sequence(document, ids, begun, unread=len(found) - last)

    def _packed(self, block: Iterable[Document]) -> Iterator[Sequence | Failed]:
        before, behind = self.around
        stream: dict[str | None, list[tuple[Document, int, bool]]] = {}
        for document in block:
            found = self._encoded(document)
            if isinstance(found, Failed):
                yield found
                continue
            whole = (*before, *found, *behind)
            stream.setdefault(document.group, []).extend((document, id, not n) for n, id in enumerate(whole))
        for tokens in stream.values():
            for start in range(0, len(tokens), self.options.length):
                window = tokens[start : start + self.options.length]
                begun = tuple(each.number for each, _, first in window if first)
                yield _sequence(window[0][0], tuple(id for _, id, _ in window), begun)

    def _encoded(self, document: Document) -> Ids | Failed:
        if document.fault:
            return Failed(document.number, document.fault)
        try:
            found = self.tokenizer.ids(document.text, special=False)
        except ClearheadError:
            return Failed(document.number, "the tokenizer fails on it")
        return found or Failed(document.number, "it has no tokens")


def _sequence(document: Document, ids: Ids, begun: tuple[int, ...], unread: int = 0) -> Sequence:
    return Sequence(document.number, fold_of(document.text), document.group, ids, begun, unread)


@lru_cache(maxsize=1)  # a long text has many sequences, one after the other
def fold_of(text: str) -> int:
    """The fold of a text: the same in every corpus, so that two corpora of the same texts can be compared in pairs."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()[0] % FOLDS
