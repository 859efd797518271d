"""The options of a corpus: how documents become sequences of tokens, and what else is measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from clearhead.errors import SpecError

Fit = Literal["cut", "split", "pack"]

MAX_LENGTH = 1 << 16
"""Tokens of a sequence: with more, a sum of squares over one sequence might not fit into 64 bits."""

MAX_CLASSES = 16

CLASSES = {
    "special": "special tokens, such as [CLS] or <|endoftext|>",
    "punctuation": "tokens of punctuation alone",
    "part": "tokens that continue a word",
}
"""The classes of tokens that need no regular expression."""

BLOCK = 16
"""The documents that are packed together: the first sixteen, the next sixteen ..., in all shards."""


class Options(Struct, frozen=True, kw_only=True):
    """How a corpus is read. All of it is part of the name of each shard.

    Attributes:
        length: the most tokens of a sequence, including the special tokens of the model.
        fit: ``"cut"`` reads the first tokens of each document; ``"split"`` reads all of it, in several sequences;
            ``"pack"`` joins documents (sixteen neighbours of one group) and splits the result into sequences, so that
            few are short.
        column: where JSON lines, Parquet and Arrow files have the text.
        group: the column by whose values documents are grouped; none if empty.
        classes: classes of tokens besides special tokens, punctuation and parts of words: names, with regular
            expressions that are searched in the text of a token.
        loss: whether to compute the next-token loss, which takes the logits of all tokens.
    """

    length: int = 512
    fit: Fit = "cut"
    column: str = "text"
    group: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    loss: bool = False


def checked(options: Options) -> Options:
    """The options, checked.

    Raises:
        SpecError: they cannot; the message says which.
    """
    if not 2 <= options.length <= MAX_LENGTH:
        raise SpecError(f"length expects 2 to {MAX_LENGTH} tokens, got {options.length}.")
    if options.fit not in ("cut", "split", "pack"):
        raise SpecError(f"fit expects cut, split or pack, got {options.fit!r}.")
    if len(options.classes) > MAX_CLASSES:
        raise SpecError(f"classes expects at most {MAX_CLASSES} classes of tokens, got {len(options.classes)}.")
    for name, pattern in options.classes.items():
        if not re.fullmatch(r"\w{1,40}", name):
            raise SpecError(f"classes: a name expects letters, digits and _, got {name!r:.60}.")
        if name in CLASSES:
            raise SpecError(f"classes: {name} is always measured: the weight on {CLASSES[name]}. Use another name.")
        try:
            re.compile(pattern)
        except re.error as error:
            raise SpecError(f"classes: {name} expects a regular expression, got {pattern!r:.60}: {error}.") from None
    return options
