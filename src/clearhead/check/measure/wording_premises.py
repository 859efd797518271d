"""The premises of measuring in words."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Premise, Sizes

MAX_NAMED = 6
"""Of more entries than this only the first are named."""


def named_sizes(sizes: Sequence[Sizes]) -> str:
    """Sizes by tokens and depth."""
    wide = "depth" if all("depth" in each for each in sizes) else "model"
    named = list(dict.fromkeys(f"{each.get('token', '?')}x{each.get(wide, '?')}" for each in sizes))
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return f"{', '.join(named[:MAX_NAMED])}{more} (tokens x {wide})"


def premise(failed: Premise) -> str:
    """What fails, and where."""
    return PREMISES[failed.name](failed)


def _finite(failed: Premise) -> str:
    signs = failed.found.get("signs", ())
    if len(signs) == 2 and np.isinf(signs).all():
        return (
            f"Where a mask hides keys, outputs are infinite: values of 1 give {signs[0]:+.0f}, values of -1 {signs[1]:+.0f}. So "
            f"infinity stands in the weights themselves: it is written after the softmax. Mask the scores, before the softmax."
        )
    where = "NaN or infinity come out"
    if len(failed.fails) == len(failed.tried):
        share = failed.found.get("share", 1.0)
        many = "all numbers are" if share == 1.0 else f"{share:.0%} of the numbers are"
        return f"At every size {many} NaN or infinite, which says nothing about attention. Look for 0/0 and for 0 times infinity."
    return f"{where} {_which(failed)}; at other sizes they do not."


def _which(failed: Premise) -> str:
    """Which sizes fail, as a rule if there is one."""
    bad = {tuple(sorted(each.items())) for each in failed.fails}
    for says, rule in _rules(failed):
        if {tuple(sorted(each.items())) for each in failed.tried if rule(each)} == bad:
            return says
    return f"at {named_sizes(failed.fails)}"


def _rules(failed: Premise) -> Iterator[tuple[str, Callable[[Sizes], bool]]]:
    tokens = sorted({each["token"] for each in failed.fails})
    if len(tokens) == 1:
        yield f"at {tokens[0]} token{'s' if tokens[0] > 1 else ''}", lambda z: z["token"] == tokens[0]
    yield f"from {tokens[0]} tokens on", lambda z: z["token"] >= tokens[0]
    yield f"up to {tokens[-1]} tokens", lambda z: z["token"] <= tokens[-1]
    yield "at odd depths", lambda z: z["depth"] % 2 == 1
    yield "at odd numbers of tokens", lambda z: z["token"] % 2 == 1
    depths = sorted({each["depth"] for each in failed.fails})
    yield f"at depth {', '.join(map(str, depths))}", lambda z: z["depth"] in depths


ROLES = ("query", "key", "value")


def _roles(failed: Premise) -> str:
    used = ", ".join(
        f"{ROLES[given]} as {role}" for role, given in zip(ROLES, failed.found, strict=True) if role != ROLES[given]
    )
    return f"It uses its arguments in other roles: {used}. Look at the order of arguments, and of what is unpacked."


def _axis(failed: Premise) -> str:
    return (
        f"The weights sum to 1 over the {failed.found} axis, and not over the keys: the softmax runs along another axis. "
        f"In (batch, head, query, key) it is the last one, axis=-1."
    )


def _follows(failed: Premise) -> str:
    what = (
        f"it is {written(failed.found) if failed.found else '0'} everywhere"
        if failed.found is not None
        else "it is the same"
    )
    return f"The output does not follow the inputs: {what}, whatever queries, keys and values are. Nothing else can be said of it."


PREMISES: dict[str, Callable[[Premise], str]] = {
    "finite": _finite,
    "repeatable": lambda each: (
        f"Two calls with the same inputs give numbers that differ by {each.found:.2g}. Turn dropout off, "
        "or look for state that calls leave."
    ),
    "follows inputs": _follows,
    "argument roles": _roles,
    "linear in values": lambda each: (
        "Where all values are 0 the output is not: something is added behind the weighted mean of values."
        if each.found is not None
        else (
            "The output is not linear in the values: twice the values do not give twice the output. "
            "Attention is a weighted mean of values, so something else is done with them."
        )
    ),
    "normalised axis": _axis,
}
