"""The words for axes: one list, used in signatures, errors, headings and files.

| word     | what it counts                                                        |
|----------|-----------------------------------------------------------------------|
| batch    | independent examples; always leading, any number of them              |
| head     | query heads                                                           |
| group    | key/value heads, each shared by head / group query heads              |
| query    | query positions (rows of the scores)                                  |
| key      | key positions (columns of the scores)                                 |
| token    | tokens, where queries and keys are the same                           |
| past     | tokens kept in a cache                                                |
| latent   | features of a low-rank state that keys and values come from           |
| depth    | features of one head                                                  |
| pair     | pairs of features that a rotary position rotates                      |
| model    | features of a token between layers                                    |
| hidden   | features inside an MLP                                                |
| bend     | one learned number of an activation                                   |
| expert   | MLPs, of which each token uses a few                                  |
| embedding | features of an embedding, where they are fewer than those of a token   |
| vocabulary | all tokens: rows of the embedding table, columns of logits           |
| position | rows of a table of positions                                          |
| type     | rows of a table of token types                                        |
| bucket   | rows of a table of distances: nearby ones each have one               |
| layer    | layers of a stack, where each gets a part of one array                  |
| extra    | features of what a layer gets of the tokens besides the stream          |
| pixel    | numbers of an image's patch                                           |
| class    | classes of a classifier                                               |
| frame    | moments of a recording, in order                                      |
| channel  | numbers of a moment: how loud each band of tones is                   |
| tap      | neighbours that a convolution reads, itself among them                |

Two words joined by ``*`` name one axis that runs over both, the first word slowest (``head*depth``).
"""

from __future__ import annotations

from collections.abc import Sequence

Axes = tuple[str, ...]
Shape = tuple[int, ...]

Cell = tuple[int, ...]
"""The index of a number along each axis."""

WORDS: Axes = (
    "batch", "head", "group", "query", "key", "token", "past", "latent", "depth", "pair", "model", "hidden", "bend",
    "expert", "embedding", "vocabulary", "position", "type", "bucket", "layer", "extra", "pixel", "class",
    "frame", "channel", "tap",
)  # fmt: skip

TOKENS: frozenset[str] = frozenset({"token", "query", "key"})
"""The axes whose entries are tokens, so that headings can name them."""

HEADS: frozenset[str] = frozenset({"head", "group", "expert"})
"""The axes that ``name@number`` selects from, where other axes follow."""


def axes(words: str) -> Axes:
    """Axis words from a string: ``axes("head token depth") == ("head", "token", "depth")``."""
    return tuple(words.split())


def with_batch(words: Axes, rank: int) -> Axes:
    """The words of an array of this rank: its own, with ``batch`` for each axis in front of them."""
    return ("batch",) * (rank - len(words)) + words


def describe(words: Sequence[str], sizes: Sequence[int | None]) -> str:
    """Axes with their sizes, as errors and headings print them.

    >>> describe(("model", "depth"), (2, None))
    '(model=2, depth)'
    """
    return "(" + ", ".join(w if n is None else f"{w}={n}" for w, n in zip(words, sizes, strict=True)) + ")"


def head_axis(words: Axes) -> int | None:
    """The position, counted from the end (negative), of the axis that ``@`` selects from."""
    for position, word in enumerate(words):
        if word != "batch":
            return position - len(words) if word in HEADS else None
    return None
