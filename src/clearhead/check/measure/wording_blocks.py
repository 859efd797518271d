"""The parts of norms, MLPs, blocks and weights inside a function in words."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Part

CLOSE = 1e-3

GROWTHS = {
    2.0: "it multiplies by the root of the mean square, where a norm divides (rsqrt is the reciprocal already)",
    1.0: "it does not divide",
    -1.0: "it divides by the mean square and not by its root",
    -3.0: "it divides by the square of the mean square",
    0.0: "it divides by the root of the mean square",
}
"""What a norm does, by how often its outputs double where its inputs do once."""

MEANS = {
    (True, True): "takes the mean of each token off, as a layer norm does",
    (False, False): "leaves the mean of each token in, as an RMS norm does",
    (False, True): "divides by the spread about the mean (var), and leaves the mean in what is divided",
}
"""What becomes of the mean of a token: taken off above, and below the line."""

MAX_ROWS = 12
"""Grids of more rows than this are not drawn."""


def _mean(part: Part) -> Iterator[str]:
    yield f"It {MEANS[tuple(part.measured)]}; the working {MEANS[tuple(part.expected)]}."


def _growth(part: Part) -> Iterator[str]:
    (mine,), (due,) = part.measured, part.expected
    cause = f": {GROWTHS[mine]}" if mine in GROWTHS else ""
    yield f"Where inputs are twice as large, outputs are {written(2.0**mine)} times as large, and should be {written(2.0**due)} times{cause}."


def _size(part: Part) -> Iterator[str]:
    (mine,), (due,) = part.measured, part.expected
    yield f"Normed tokens have a root of the mean square of {written(mine)}, where {written(due)} is due."
    n = part.sizes[0].get("model", 0)
    if n > 1 and abs(mine / due - np.sqrt((n - 1) / n)) < CLOSE:
        yield f"That is sqrt({n - 1}/{n}) at {n} features: the variance is divided by n - 1 and not by n. Use correction=0, or ddof=0."


def _eps(part: Part) -> Iterator[str]:
    mine, due = (
        "none" if eps is None else f"{written(eps)} {_place(outside)}"
        for eps, outside in (part.measured, part.expected)
    )
    yield f"eps: measured {mine}, expected {due}."


def _place(outside: bool) -> str:  # noqa: FBT001 - one word of two
    return "added to the root, outside of it" if outside else "added to the mean square, inside the root"


def _affine(role: str) -> Callable[[Part], Iterator[str]]:
    def says(part: Part) -> Iterator[str]:
        mine, due = (each[0] if each else "" for each in (part.measured, part.expected))
        words = {"y": "is not used", "?": "is used in another way"}
        yield f"The {role} {words.get(mine, f'is used as {mine}')}, where {due} is due."

    return says


def _hidden(part: Part) -> Iterator[str]:
    mine, due = (each[0] if each else "" for each in part.details["names"])
    if mine:
        yield f"A hidden cell gives {mine}, where {due or 'another curve'} is due."
        return
    at = int(np.abs(part.measured - part.expected).argmax())
    yield f"What a hidden cell gives is no curve that is known here: {written(part.measured[at])} where {written(part.expected[at])} ({due}) is due."


def _arrays(part: Part) -> Iterator[str]:
    without = part.details["what"].partition(" without ")[2]
    where = f"Where {without} is switched off, the" if without else "The"
    more = [name for name in part.measured if name not in part.expected]
    fewer = [name for name in part.expected if name not in part.measured]
    changes = [f"follows {', '.join(more)}, which it should not"] if more else []
    changes += [f"does not follow {', '.join(fewer)}, which it should"] if fewer else []
    yield f"{where} output {' and '.join(changes)}."


def _tokens(part: Part) -> Iterator[str]:
    name = part.details["what"].partition(" of ")[2]
    more, fewer = (part.measured & ~part.expected).any(), (part.expected & ~part.measured).any()
    what = "other tokens" if more and fewer else "more tokens" if more else "fewer tokens"
    yield f"Tokens of the output follow {what} of {name} than they should."
    if len(part.measured) <= MAX_ROWS:
        grids = [
            ["".join("x" if seen else "." for seen in row) for row in each] for each in (part.measured, part.expected)
        ]
        yield from (f"{mine:<10} {due}" for mine, due in (("measured", "expected"), *zip(*grids, strict=True)))


def _examples(part: Part) -> Iterator[str]:
    yield "An example of a batch follows the others: something runs along the batch axis." if part.measured else (
        "An example of a batch does not follow the others, where it should.")  # fmt: skip


def _small(part: Part) -> Iterator[str]:
    worst = max(part.measured, key=part.measured.__getitem__)
    names = ", ".join(part.measured)
    off = part.measured[worst]
    far = f", by up to {off:.2g} of what is due" if np.isfinite(off) else ""
    yield f"On ordinary inputs the numbers agree; where {names} {'are' if len(part.measured) > 1 else 'is'} near 0 they differ{far}. Look at eps: its value, and where it is added."


def _halves(part: Part) -> Iterator[str]:
    yield f"Where {part.measured[0]} is switched off (its last weight 0), all numbers agree: the difference lies there."


def _one_half(part: Part) -> Iterator[str]:
    yield f"In {part.details['half']} alone: {part.details['does']} ({part.measured}) With this all numbers are right."


def _weights(part: Part) -> Iterator[str]:
    name, says = part.details["name"], part.details["says"]
    if says:
        yield f"Inside, {name} {says}. With this all numbers are right."
        return
    off = np.abs(part.measured - part.expected)
    cell = ", ".join(str(int(n)) for n in np.unravel_index(int(off.argmax()), off.shape))
    yield (
        f"Inside, {name} is another array than the one given, and all else is right. Entry [{cell}] is "
        f"{written(float(part.measured.reshape(-1)[off.argmax()]))}, where {written(float(part.expected.reshape(-1)[off.argmax()]))} was given."
    )


BLOCK_SENTENCES: dict[str, Callable[[Part], Iterator[str]]] = {
    "norm mean": _mean,
    "norm growth": _growth,
    "norm size": _size,
    "norm eps": _eps,
    "norm gain": _affine("gain"),
    "norm bias": _affine("bias"),
    "hidden cell": _hidden,
    "arrays read": _arrays,
    "tokens read": _tokens,
    "examples read": _examples,
    "small inputs": _small,
    "halves": _halves,
    "weights inside": _weights,
    "one half": _one_half,
}
