"""Sentences for the parts of norms, MLPs, blocks and weights inside a function."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from clearhead.check.measure.blocks.added import NONE, OTHER
from clearhead.check.measure.blocks.constants import Constant
from clearhead.check.measure.blocks.norm_axes import NO_EPS
from clearhead.check.measure.blocks.norms import ODD
from clearhead.check.measure.laws import reading, written
from clearhead.check.measure.parts import Part
from clearhead.check.measure.wording_lists import listed, numbers

CLOSE = 1e-3

GROWTHS = {
    2.0: "it multiplies by the root of the mean square instead of dividing (rsqrt is the reciprocal already)",
    1.0: "it does not divide",
    -1.0: "it divides by the mean square, not by its root",
    -3.0: "it divides by the square of the mean square",
    0.0: "it divides by the root of the mean square",
    0.5: "it divides by the root of the standard deviation, so one root is taken too often",
}
"""What a norm does, by the power of its input's size that its output follows."""

MEANS = {
    (True, True): "subtracts the mean of each token, as a layer norm does",
    (False, False): "does not subtract the mean of each token, as an RMS norm",
    (
        True,
        False,
    ): "subtracts the mean of each token, but divides by the root of the mean square of the tokens as they came, "
    "as if that were the variance",
    (False, True): "divides by the spread about the mean (var), but does not subtract the mean",
}
"""The use of a token's mean: subtracted in the dividend, and in the divisor."""

MAX_ROWS = 12
"""Grids of more rows than this are not drawn."""


def _mean(part: Part) -> Iterator[str]:
    yield f"It {MEANS[tuple(part.measured)]}; the working {MEANS[tuple(part.expected)]}."


def _axes(part: Part) -> Iterator[str]:
    seen = part.measured
    powers = {"tokens": seen.tokens, "features": seen.features}
    factor = " * ".join(ROOTS[power].format(name) for name, power in powers.items() if power)
    times = f", times {factor}" if factor else ""
    square = "sum of squares over n - 1" if seen.sample else "mean square"
    yield (
        f"It divides {seen.says}{', minus their mean,' if seen.centred else ''} by the root of their {square}{times}, where the norm "
        f"is of {part.expected}{_odd_eps(part)}. With this all numbers are right."
    )


def _odd_eps(part: Part) -> str:
    """What is done with eps where it is not what is expected."""
    seen, due = part.measured, part.details["eps"]
    eps = None if seen.eps <= NO_EPS else seen.eps
    alike = eps is None or abs(eps / due - 1) < CLOSE if due else eps is None
    if alike and not (eps and seen.outside):
        return ""
    return f"; eps is {_added(eps, 'outside' if seen.outside else 'inside')}, and not {_added(due or None, 'inside')}"


ROOTS = {0.5: "sqrt({})", -0.5: "1/sqrt({})", 1.0: "{}", -1.0: "1/{}"}
"""Powers of a size as people write them."""


def _divisor(part: Part) -> Iterator[str]:
    (mine,), (expected,) = part.measured, part.expected
    yield f"Tokens are divided by {mine}, where {expected} is expected."


def _growth(part: Part) -> Iterator[str]:
    (mine,), (expected,) = part.measured, part.expected
    cause = f": {GROWTHS[mine]}" if mine in GROWTHS else ""
    yield f"Where inputs are twice as large, outputs are {written(2.0**mine)} times as large, and should be {written(2.0**expected)} times{cause}."


def _size(part: Part) -> Iterator[str]:
    (mine,), (expected,) = part.measured, part.expected
    n = part.sizes[0].get("model", 0)
    sample = n > 1 and abs(mine / expected - np.sqrt((n - 1) / n)) < CLOSE
    if sample:
        yield "The variance is divided by n - 1, not by n. Use correction=0, or ddof=0."
    summed = n > 1 and abs(mine / expected - n**-0.5) < CLOSE
    that = f" That is sqrt({n - 1}/{n}) at {n} features." if sample else ""
    that = f" That is 1/sqrt({n}) at {n} features: squares are summed, and should be averaged." if summed else that
    yield f"Normed tokens have a root of the mean square of {written(mine)}, where {written(expected)} is expected.{that}"


def _eps(part: Part) -> Iterator[str]:
    (mine, place), expected = part.measured, _added(*part.expected)
    yield f"eps: measured {_added(mine, place)}, expected {expected}."
    if place == "largest":
        yield "So eps grows with the inputs: they are divided by their largest number first, and eps is added after that."


def _added(eps: float | None, place: str) -> str:
    return "none" if eps is None else f"{written(eps)} {PLACES[place]}"


PLACES = {
    "inside": "added to the mean square, inside the root",
    "outside": "added to the root, outside of it",
    "bound": "as the least mean square: max(mean square, eps), where others add it",
    "largest": "times the square of the largest number of a token, added to the mean square",
    "?": "or so, in some other way than by adding",
}
"""What is done with eps, by its place."""


def _rounding(part: Part) -> Iterator[str]:
    (mine,) = part.measured
    if mine == "?":
        yield "What tokens are divided by is not the root of their mean square and eps, but another number for each token."
    else:
        yield f"The mean square is rounded to {mine}, where all else has more bits. Compute it in float32."


def _affine(role: str) -> Callable[[Part], Iterator[str]]:
    def says(part: Part) -> Iterator[str]:
        mine, expected = (each[0] if each else "" for each in (part.measured, part.expected))
        words = {
            "y": "is not used",
            "?": "is used in another way",
            "norm(x*g)": "multiplies the tokens before they are normed, norm(x*g), so that it changes what they are divided by",
            "(y+b)*g": "is added before the gain multiplies, (y+b)*g",
        }
        yield f"The {role} {words.get(mine, f'is used as {mine}')}, where {expected} is expected."

    return says


def _hidden(part: Part) -> Iterator[str]:
    mine, expected = part.details["names"]
    if mine and mine == expected:
        yield f"A hidden cell gives {mine}, as it should: what it is given differs, or what comes after it."
        return
    if mine:
        yield f"A hidden cell gives {mine}, where {expected or 'another curve'} is expected."
        return
    at = int(np.abs(part.measured - part.expected).argmax())
    yield f"The result of a hidden cell is no known curve: {written(part.measured[at])} where {written(part.expected[at])} ({expected}) is expected."


def _lost(part: Part) -> Iterator[str]:
    cells, of = part.measured, part.details["of"]
    last = " (the last)" if cells[-1] == of - 1 and len(cells) == cells[-1] - cells[0] + 1 else ""
    yield f"{len(cells)} of {of} hidden cells{last} {'gives' if len(cells) == 1 else 'give'} 0, and all others are right: some are not computed, or not summed."


def _last_product(part: Part) -> Iterator[str]:
    what = f"{part.measured} comes" if part.measured else "another step comes"
    yield f"Behind the product with {part.details['name']} {what}: outputs are not proportional to that weight, as they should be."


USES = {
    "x": "is not used",
    "x+b": "is added before the activation",
    "h+b": "is added after the activation",
    "?": "is used in another way",
}
"""What is done with the bias of an MLP."""


def _hidden_bias(part: Part) -> Iterator[str]:
    name = part.details["name"]
    last = "output" in name.split(".")
    mine, expected = (
        "is added" if last and use == "h+b" else USES.get(use) or f"is added {use.strip('xhb+')} times"
        for use in (part.measured, part.expected)
    )
    yield f"{name} {mine}, where it {expected} in the working."


def _arrays(part: Part) -> Iterator[str]:
    without = part.details["what"].partition(" without ")[2]
    where = f"Where {without} {'are' if ' and ' in without else 'is'} switched off, the" if without else "The"
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
        yield from (
            f"{mine:<10} {expected}" for mine, expected in (("measured", "expected"), *zip(*grids, strict=True))
        )


def _examples(part: Part) -> Iterator[str]:
    yield "An example of a batch follows the others: something runs along the batch axis." if part.measured else (
        "An example of a batch does not follow the others, where it should.")  # fmt: skip


def _small(part: Part) -> Iterator[str]:
    worst = max(part.measured, key=part.measured.__getitem__)
    names = ", ".join(part.measured)
    off = part.measured[worst]
    far = f", by up to {off:.2g} of what is expected" if np.isfinite(off) else ""
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


def _residual(part: Part) -> Iterator[str]:
    mine, expected = (" + ".join(each) for each in (part.measured, part.expected))
    yield f"{part.details['line']} is {mine}, where {expected} is expected. With this all numbers are right."
    if part.measured[0] == part.measured[1]:
        yield "A name is used again before it is added, as in x = f(x); x = x + x. Keep what goes in: x = x + f(x)."


def _verb(line: str, one: str, many: str) -> str:
    return many if " and " in line else one


EDITS: dict[str, Callable[[str, str, str], str]] = {
    "left out": lambda line, mine, _: (
        f"{line} {_verb(line, 'is', 'are')} left out: what follows reads {mine} as it is."
    ),
    "added": lambda line, mine, _: f"{mine} is added to {line}, where nothing should be.",
    "reads": lambda line, mine, expected: f"{line} reads {mine}, where {expected} is expected.",
    "exchanged": lambda line, mine, _: f"{line} and {mine} are exchanged: each is used where the other is expected.",
    "again": lambda line, mine, _: (
        f"{line} does what {mine} does, with the weights of {mine}: {mine} is called a second time, in the place of {line}."
    ),
    "shared": lambda line, mine, _: f"{line} uses the weights of {mine}, where it should use its own.",
    "placed": lambda line, mine, expected: f"{line} is applied to {mine}, where it should be applied to {expected}.",
    "halves": lambda line, mine, _: (
        f"The steps that lead to {line} come before those that lead to {mine}, and not after them."
    ),
    "appended": lambda line, mine, _: f"{line} is normed once more, as by {mine}.",
    "repeated": lambda line, *_: f"{line or 'The whole block'} is applied twice, the second time to its own result.",
    "deviation": lambda line, mine, _: f"{mine} ({line})",
    "applied twice": lambda line, *_: f"{line} {'are' if ' and ' in line else 'is'} applied twice.",
    "added twice": lambda line, *_: f"{line} is added twice.",
    "order": lambda line, mine, _: (
        f"{line} {_verb(line, 'comes', 'come')} after {mine}, where {_verb(line, 'it', 'they')} should come before."
    ),
    "twice": lambda line, *_: f"{line} {_verb(line, 'is', 'are')} done twice.",
}
"""A sentence for each kind of edit, from the line, what is measured and what is expected."""


def _step(part: Part) -> Iterator[str]:
    details = part.details
    says = [_edit(details["kind"], details["line"], part.measured, part.expected)]
    says += [_edit(each.kind, each.line, each.measured, each.expected) for each in details.get("besides", ())]
    yield f"{' '.join(says)} With this all numbers are right."
    for each in details.get("alike", ()):
        yield f"The same numbers come out if {_edit(each.kind, each.line, each.measured, each.expected)[:-1]}."


def _edit(kind: str, line: str, mine: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if kind == "order":  # key.norm stands for key.norm.normalized before it
        mine = tuple(name for name in mine if not any(name.startswith(f"{other}.") for other in mine))
    if kind == "reads" and " and " in line:
        return f"{line} read {' and '.join(mine)}, where {' and '.join(expected)} is expected."
    return EDITS[kind](line, " and ".join(mine), " and ".join(expected))


def _factors(part: Part) -> Iterator[str]:
    says = []
    for each in part.measured:
        mine = " + ".join(name if factor == 1 else f"{written(factor)}{_read(factor)} * {name}"
                          for name, factor in zip(each.adds, each.factors, strict=True))  # fmt: skip
        says.append(f"{each.line} is {mine}, where {' + '.join(each.adds)} is expected.")
    yield f"{' '.join(says)} With this all numbers are right."


CONSTANTS: dict[str, Callable[[str, str, str], str]] = {
    "scale": lambda line, mine, _: f"{line} is {mine} times what it should be",
    "eps": lambda line, mine, expected: f"eps of {line} is {mine}, where {expected} is expected",
    "leak": lambda line, mine, _: f"{line} is a leaky ReLU: its slope below 0 is {mine}, where 0 is expected",
    "cap": lambda line, mine, _: f"{line} has a soft-cap of {mine} (c * tanh(s / c)), where none is expected",
}
"""A constant that is not what it should be, by its kind."""


def _constants(part: Part) -> Iterator[str]:
    yield f"{_all_constants(part.measured)}. With {'these' if len(part.measured) > 1 else 'this'} all numbers are right."
    for each in part.details["alike"]:
        yield f"The same numbers come out if {_all_constants(each)}."


def _all_constants(constants: Sequence[Constant]) -> str:
    return "; ".join(
        CONSTANTS[each.kind](each.line, written(each.value) + _read(each.value), written(each.expected))
        for each in constants
    )


def _read(factor: float) -> str:
    return f" ({reading(factor)})" if reading(factor) and len(written(factor)) > len("0.125") else ""


def _projections(part: Part) -> Iterator[str]:
    yield f"{' '.join(part.measured)} With this all numbers are right."


def _waves(part: Part) -> Iterator[str]:
    sines, due = part.details["sines"]
    if says := part.details["reading"]:
        yield f"The frequencies of the sinusoids are not the expected ones: {says}."
    elif (sines != due).any():
        yield f"Sines stand in columns {listed(np.nonzero(sines)[0].tolist())}, where they should stand in columns {listed(np.nonzero(due)[0].tolist())}."
    else:
        yield f"The frequencies of the sinusoids in columns {listed(part.where['model'])} are not the expected ones."
    yield f"By column, measured {numbers(part.measured)}, expected {numbers(part.expected)}."


def _positions(part: Part) -> Iterator[str]:
    rows: tuple[int, ...] = part.measured
    said = ", ".join({NONE: "none", OTHER: "no known one"}.get(row, str(row)) for row in rows)
    yield f"Tokens get the positions {said}, where {', '.join(map(str, part.expected))} is expected. With these all numbers are right."
    shifts = {row - at for at, row in enumerate(rows) if row >= 0}
    bare = [at for at, row in enumerate(rows) if row == NONE]
    if bare and len(shifts) == 1 and bare == list(range(len(bare))):
        first = f"The first {len(bare)} tokens have" if len(bare) > 1 else "The first token has"
        yield f"{first} no position, and positions are counted without {'them' if len(bare) > 1 else 'it'}, as where a class token is put in front later."


def _places(part: Part) -> Iterator[str]:
    yield f"All numbers are the expected ones, in other places: {part.details['rule']}."


BLOCK_SENTENCES: dict[str, Callable[[Part], Iterator[str]]] = {
    "position frequencies": _waves,
    "added positions": _positions,
    "norm axes": _axes,
    "norm features": lambda part: iter((ODD[part.measured],)),
    "places": _places,
    "norm mean": _mean,
    "norm divisor": _divisor,
    "norm growth": _growth,
    "norm size": _size,
    "norm eps": _eps,
    "norm rounding": _rounding,
    "norm gain": _affine("gain"),
    "norm bias": _affine("bias"),
    "hidden cell": _hidden,
    "hidden cells": _lost,
    "hidden bias": _hidden_bias,
    "last product": _last_product,
    "arrays read": _arrays,
    "tokens read": _tokens,
    "examples read": _examples,
    "small inputs": _small,
    "halves": _halves,
    "weights inside": _weights,
    "one half": _one_half,
    "residual": _residual,
    "step": _step,
    "projections": _projections,
    "sum factors": _factors,
    "constants": _constants,
}
