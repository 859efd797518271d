"""Sentences for the premises of measuring."""

# ruff: noqa: E501 - sentences are kept whole

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Premise, Sizes

MAX_NAMED = 6
"""The most entries that are named."""


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
    if rows := SPOILT.get(failed.found.get("rows", "")):
        return rows
    where = "NaN or infinity come out"
    if len(failed.fails) == len(failed.tried):
        least, most = (f"{100 * share:.3g}%" for share in failed.found.get("shares", (1.0, 1.0)))
        some = least if least == most else f"{least} to {most}"
        many = "all numbers are" if some == "100%" else f"{some} of the numbers are"
        return f"At every size {many} NaN or infinite, which says nothing about attention. Look for 0/0 and for 0 times infinity."
    return f"{where} {_which(failed)}; at other sizes they do not."


SPOILT = {
    "hidden": (
        "The outputs of queries that have a hidden key are NaN or infinite, and all others are right: a hidden key spoils "
        "its row. Its score is +inf or NaN, where it should be -inf: look for -float('-inf'), and for 0 * inf."
    ),
    "infinite": (
        "The outputs of queries that have a hidden key are infinite, or NaN, and all others are right: infinity stands in "
        "the weights themselves: it is written after the softmax. Mask the scores, before the softmax."
    ),
    "unseeing": "The outputs of queries that see no key then are NaN, 0/0 in the softmax; all others are explained.",
    "blind": (
        "The outputs of queries that see no key are NaN or infinite, and all others are right: the softmax of a row of "
        "-inf is 0/0. The working gives 0 there. Divide by the sum only where it is not 0, or fill with a finite number."
    ),
    "own": (
        "The outputs of queries whose own key is hidden are NaN or infinite, and all others are right: such queries see no "
        "key, and the softmax of a row of -inf is 0/0. The padding mask is laid over queries as well as keys: lay it over keys alone."
    ),
}
"""Why rows have no numbers, by the queries of these rows."""


def _which(failed: Premise) -> str:
    """Which sizes fail, as a rule if there is one."""
    return rule_of(failed.fails, failed.tried) or f"at {named_sizes(failed.fails)}"


def rule_of(fails: Sequence[Sizes], tried: Sequence[Sizes]) -> str:
    """A rule for the sizes that fail, of those that were tried; "" if there is none."""
    bad = {tuple(sorted(each.items())) for each in fails}
    for says, rule in _rules(fails) if bad else ():
        if {tuple(sorted(each.items())) for each in tried if rule(each)} == bad:
            return says
    return ""


def _rules(fails: Sequence[Sizes]) -> Iterator[tuple[str, Callable[[Sizes], bool]]]:
    tokens = sorted({each.get("token", 0) for each in fails})
    if len(tokens) == 1:
        yield f"at {tokens[0]} token{'s' if tokens[0] > 1 else ''}", lambda z: z.get("token", 0) == tokens[0]
    pasts = sorted({each.get("past", 0) for each in fails})
    if pasts[-1]:
        behind = f"at 1 token behind {pasts[0]} cached tokens or more"
        yield behind, lambda z: z.get("token", 0) == 1 and z.get("past", 0) >= pasts[0]
        yield f"behind {pasts[0]} cached tokens or more", lambda z: z.get("past", 0) >= pasts[0]
    yield f"from {tokens[0]} tokens on", lambda z: z.get("token", 0) >= tokens[0]
    yield f"up to {tokens[-1]} tokens", lambda z: z.get("token", 0) <= tokens[-1]
    yield "at odd depths", lambda z: z.get("depth", 0) % 2 == 1
    yield "at odd numbers of tokens", lambda z: z.get("token", 0) % 2 == 1
    depths = sorted({each.get("depth", 0) for each in fails})
    yield f"at depth {', '.join(map(str, depths))}", lambda z: z.get("depth", 0) in depths
    for word in fails[0]:
        yield f"where {word} is no power of 2", partial(_no_power_of_two, word)


def _no_power_of_two(word: str, sizes: Sizes) -> bool:
    return sizes.get(word, 1).bit_count() > 1


ROLES = ("query", "key", "value")


def _roles(failed: Premise) -> str:
    used = ", ".join(
        f"{ROLES[given]} as {role}" for role, given in zip(ROLES, failed.found, strict=True) if role != ROLES[given]
    )
    return f"It uses its arguments in other roles: {used}. Look at the order of arguments and of unpacking."


def _axis(failed: Premise) -> str:
    return (
        f"The weights sum to 1 over the {failed.found} {'axes' if ' ' in failed.found else 'axis'}, and not over the keys: the softmax runs along another axis. "
        f"In (batch, head, query, key) it is the last one, axis=-1."
    )


def _follows(failed: Premise) -> str:
    what = (
        f"it is {written(failed.found) if failed.found else '0'} everywhere"
        if failed.found is not None
        else "it is the same"
    )
    return f"The output does not depend on the inputs: {what}, for all queries, keys and values. Nothing else can be measured."


KEEPS = {
    "before": "{of} of the call before {is_}, and not only what the call itself is given",
    "first": "{of} of the first call with arrays of these shapes {is_} in all later ones, and not their own",
    "kept": "{of} of calls before {is_}: what calls are given adds up",
}
"""What is used of earlier calls, by the kind of memory."""


def _remembers(failed: Premise) -> str:
    found, sure = failed.found, ""
    names = " and ".join(found["of"])
    if found["kind"] == "counts":
        side, *at = found["at"]
        sides = "queries" if side == "query" else "keys"
        return (
            f"What it gives depends on calls before: positions of {sides} count on from call to call, from {at[0]} in one call and "
            f"from {at[1]} in the next with the same inputs. Count from 0, or from the length of the cache, in each call; or "
            f"count keys on as well."
        )
    if found["kind"] == "scores":
        return (
            f"What it gives depends on calls before: two calls with the same inputs differ by {found['off']:.2g}, and not where "
            f"{' or '.join(found['of'])} is 0. So scores change from call to call, and it is no dropout of weights. Look for "
            "positions or keys that are kept on the module."
        )
    if failed.explains:
        sure = {"before": " With the same inputs in both calls it is right.",
                "first": " The first call is right."}.get(found["kind"], " The first call is right.")  # fmt: skip
    used = KEEPS[found["kind"]].format(of=names, is_="are used" if len(found["of"]) > 1 else "is used")
    return (
        f"What it gives depends on calls before: {used}.{sure} Look for a cache or a buffer that is kept between calls: make it anew, "
        f"or write it before it is read."
    )


def _dropped(failed: Premise) -> str:
    found = failed.found
    others = (
        f"and the others are 1/(1 - p) times what is expected, with p = {written(found['rate'])}"
        if found["scaled"]
        else "and the others are not scaled by 1/(1 - p)"
    )
    return (
        f"Dropout of weights is on: at each call others of them are 0 by chance, {others}. Call model.eval(); a dropout_p that "
        "is passed as a number counts in eval() too."
    )


PREMISES: dict[str, Callable[[Premise], str]] = {
    "finite": _finite,
    "repeatable": lambda each: (
        f"Two calls with the same inputs give numbers that differ by {each.found:.2g}. Turn dropout off, "
        "or look for state that calls change."
    ),
    "follows inputs": _follows,
    "argument roles": _roles,
    "linear in values": lambda each: (
        "Where all values are 0 the output is not: something is added after the weighted mean of values."
        if each.found is not None
        else (
            "The output is not linear in the values: twice the values do not give twice the output. "
            "Attention is a weighted mean of values, so something else is done with them."
        )
    ),
    "finite at zero": lambda each: (
        f"Where a row of {' or '.join(each.found)} is all 0, outputs are NaN or infinite: the row is divided by its length, "
        "as in a norm without eps, or the like. Nothing more could be measured."
    ),
    "items apart": lambda _: (
        "Items of a batch change each other's outputs: an item alone gives other numbers than beside others. Look for an axis "
        "of the batch that is rolled, reshaped, reduced or exchanged with another."
    ),
    "remembers": _remembers,
    "dropped": _dropped,
    "keeps state": lambda _: (
        "What it gives depends on calls before: the first call with a number of new tokens is right, a later one with another "
        "length of the cache is not. Something is kept by the number of tokens alone, such as angles or a mask. Keep it by the "
        "position of the first token too, or make it in each call."
    ),
    "normalised axis": _axis,
    "mask sense": lambda _: (
        "The mask is read the other way round: keys are hidden where it is True, and seen where it is False. Here True means "
        "that a key may be attended to. Give ~mask, or leave the ~ out."
    ),
}
