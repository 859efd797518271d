"""The layout words with which a table says how an array is stored in a checkpoint, and how it is converted.

Our weights multiply from the right: (in, out), per head (head, in, depth). Words are applied from left to right:

| word | the array as stored, and its conversion |
|---|---|
| linear | (out, in), as in torch.nn.Linear: transposed; each expert separately |
| query, key, value | the columns (or, of a bias, the entries) of one of the three, which stand side by side in blocks |
| query-of-group, key-of-group, value-of-group | the same where each key/value head follows its query heads |
| query-of-four, ... | the same where four blocks have query, value and key each (CodeGen) |
| first-half, second-half | the first or the second half of the columns (Phi-3's gate and up) |
| turned, but-turned | the last columns, which latent attention rotates; all others |
| turned-first | the columns that latent attention rotates, moved to the front |
| own-key, own-value | the columns of one of the two, which stand side by side in each head: to (head, in, depth) |
| even, odd | every second column, from the first or the second on (gpt-oss's gate and up) |
| interleaved-rows | (out, in) with rows ordered for interleaved rotary positions (GGUF's llama): put back in halves |
| heads, groups | (in, heads * depth) to (head, in, depth); (heads * depth) to (head, depth) |
| plus-one | a gain from which 1 was subtracted (Gemma) |
| skip-two | the first two rows, which no position uses, are dropped (RoBERTa) |
| patch | (out, channel, height, width) of a convolution whose steps are as long as it is wide: to (pixel, out) |
| exchanged-halves | a head's features with the halves exchanged, where a rotation turns the other way (NanoChat) |
| apart-query, apart-key, apart-value, apart-gate | the columns of one of these, which stand side by side for each key
head of a gated delta net (Qwen3-Next); apart-share, apart-step the same of two numbers for each head |
| delta-query, delta-key, delta-value | the columns of one of the three, in blocks, in a gated delta net (Qwen 3.5) |
| rows-last | (channel, 1, tap) of a convolution of each channel by itself: to (tap, channel) |
| tap-last | (head, tap, depth) to (head, depth, tap) |
| taps | (out, in, tap) of a convolution over frames: to (tap, in, out) |
| spread | one number, the same for each column (Gemma 4) |
| flat | leading axes of size 1 are dropped, until one axis (or, with ``flat-rows``, two) is left |

No word copies an array unless it must: views are passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clearhead.errors import CheckpointError, suggest
from clearhead.models.reading import Sizes
from clearhead.models.tensors import Floats

Turn = Callable[[Floats, Sizes], Floats]


def _block(stored: Floats, number: int, columns: Sequence[int]) -> Floats:
    """One of several blocks of columns, which have no others beside them."""
    edges = np.cumsum([0, *columns])
    if stored.shape[-1] != edges[-1]:
        raise ValueError
    return stored[..., edges[number] : edges[number + 1]]


def _part(number: int) -> Turn:
    """The columns of query (0), key (1) or value (2) in a matrix with the three in blocks."""

    def cut(stored: Floats, model: Sizes) -> Floats:
        depth, keys = model.depth, model.groups * model.depth
        return _block(stored, number, [model.heads * depth, keys, keys])

    return cut


def _part_of_group(part: str) -> Turn:
    """The columns of one of the three where each key/value head follows the query heads that it serves."""

    def cut(stored: Floats, model: Sizes) -> Floats:
        served = model.heads // model.groups
        apart = stored.reshape(*stored.shape[:-1], model.groups, served + 2, model.depth)
        kept = {"query": slice(0, served), "key": slice(served, served + 1), "value": slice(served + 1, None)}[part]
        return apart[..., kept, :].reshape(*stored.shape[:-1], -1)

    return cut


def _of_four(number: int) -> Turn:
    """The columns of query, value or key in four blocks, each of which has the three side by side (CodeGen)."""

    def cut(stored: Floats, _model: Sizes) -> Floats:
        apart = stored.reshape(*stored.shape[:-1], 4, 3, -1)
        return apart[..., number, :].reshape(*stored.shape[:-1], -1)

    return cut


def _half(number: int) -> Turn:
    def cut(stored: Floats, _model: Sizes) -> Floats:
        half = stored.shape[-1] // 2
        return _block(stored, number, [half, half])

    return cut


def _split(count: Callable[[Sizes], int]) -> Turn:
    def split(stored: Floats, model: Sizes) -> Floats:
        *rows, columns = stored.shape
        heads = count(model)
        apart = stored.reshape(*rows, heads, columns // heads)
        return np.moveaxis(apart, -2, 0)

    return split


def _halves_again(stored: Floats, model: Sizes) -> Floats:
    depth = model.depth
    pairs = stored.reshape(-1, depth // 2, 2, *stored.shape[1:])
    return pairs.swapaxes(1, 2).reshape(stored.shape)


def _own(*, key: bool) -> Turn:
    """The columns of keys or of values in a matrix that has the two of each head side by side (DeepSeek)."""

    def cut(stored: Floats, model: Sizes) -> Floats:
        depth = model.depth - model.turned
        apart = stored.reshape(*stored.shape[:-1], model.heads, depth + model.value_depth)
        return np.moveaxis(apart[..., :depth] if key else apart[..., depth:], -2, 0)

    return cut


def _apart(number: int, *, numbers: bool = False) -> Turn:
    """The columns of one of several arrays that stand side by side for each key head of a gated delta net."""

    def cut(stored: Floats, model: Sizes) -> Floats:
        served = model.heads // model.groups
        wide = [served, served] if numbers else [model.depth, model.depth, *[served * model.value_depth] * 2]
        edges = np.cumsum([0, *wide])
        apart = stored.reshape(*stored.shape[:-1], model.groups, edges[-1])
        return apart[..., edges[number] : edges[number + 1]].reshape(*stored.shape[:-1], -1)

    return cut


def _of_delta(number: int) -> Turn:
    """The columns of query, key or value in a matrix with the three in blocks, in a gated delta net."""

    def cut(stored: Floats, model: Sizes) -> Floats:
        keys = model.groups * model.depth
        return _block(stored, number, [keys, keys, model.heads * model.value_depth])

    return cut


def _flat(rank: int) -> Turn:
    def flat(stored: Floats, _model: Sizes) -> Floats:
        return stored.reshape(stored.shape[len(stored.shape) - rank :])

    return flat


WORDS: dict[str, Turn] = {
    "linear": lambda stored, _: stored.swapaxes(-1, -2),
    "query": _part(0),
    "key": _part(1),
    "value": _part(2),
    "query-of-group": _part_of_group("query"),
    "key-of-group": _part_of_group("key"),
    "value-of-group": _part_of_group("value"),
    "query-of-four": _of_four(0),
    "value-of-four": _of_four(1),
    "key-of-four": _of_four(2),
    "first-half": _half(0),
    "second-half": _half(1),
    "turned-first": lambda stored, model: np.concatenate(
        [stored[..., -model.turned :], stored[..., : -model.turned]], axis=-1
    ),
    "turned": lambda stored, model: stored[..., -model.turned :],
    "but-turned": lambda stored, model: stored[..., : -model.turned],
    "own-key": _own(key=True),
    "own-value": _own(key=False),
    "even": lambda stored, _: stored[..., 0::2],
    "odd": lambda stored, _: stored[..., 1::2],
    "interleaved-rows": _halves_again,
    "heads": _split(lambda model: model.heads),
    "groups": _split(lambda model: model.groups),
    "plus-one": lambda stored, _: stored + np.float32(1),
    "skip-two": lambda stored, _: stored[2:],
    "patch": lambda stored, _: stored.reshape(stored.shape[0], -1).T,
    "exchanged-halves": lambda stored, _: np.roll(stored, stored.shape[-1] // 2, axis=-1),
    "taps": lambda stored, _: stored.transpose(2, 1, 0),
    **{f"apart-{part}": _apart(n) for n, part in enumerate(("query", "key", "value", "gate"))},
    **{f"apart-{part}": _apart(n, numbers=True) for n, part in enumerate(("share", "step"))},
    **{f"delta-{part}": _of_delta(n) for n, part in enumerate(("query", "key", "value"))},
    "rows-last": lambda stored, _: np.squeeze(stored, 1).T,
    "tap-last": lambda stored, _: stored.swapaxes(-1, -2),
    "flat": _flat(1),
    "spread": lambda stored, model: np.broadcast_to(stored, (model.width,)),
    "flat-rows": _flat(2),
}


def turned(name: str, stored: Floats, words: tuple[str, ...], model: Sizes) -> Floats:
    """A stored array in the working's layout.

    Raises:
        CheckpointError: there is no such word, or the array does not have this layout.
    """
    out = stored
    for word in words:
        if word not in WORDS:
            raise CheckpointError(f"{name}: a layout has no word {word!r}. {suggest(word, WORDS)}")
        try:
            out = WORDS[word](out, model)
        except ValueError:
            raise CheckpointError(
                f"{name} of shape {stored.shape} does not lie as {' '.join(words)!r} says, with {model.heads} heads, "
                f"{model.groups} key/value heads of depth {model.depth}. Are config and weights of one model?"
            ) from None
    return out
