"""Heads that behave similarly: average linkage of all their measures."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from clearhead.corpora.exact import Numbers
from clearhead.corpora.result import Corpus

CLUSTERS = 8
APART = 3
"""Measures that are named for each cluster."""

MAX_HEADS = 1500
"""Linkage takes time that grows with the cube of the heads; more are not clustered."""


ROUNDING = 1e-4
"""Numbers that differ by less than this part of the largest differ by rounding alone."""


def is_constant(numbers: Numbers) -> bool:
    """Whether numbers are the same but for rounding, as the mean of what tokens receive is 1 for every head."""
    return bool(np.nanmax(numbers) - np.nanmin(numbers) <= ROUNDING * np.nanmax(abs(numbers)))


class Cluster(Struct, frozen=True):
    """Heads that behave similarly, as (layer, head), and the measures that distinguish them, in standard deviations."""

    heads: tuple[tuple[int, int], ...]
    apart: tuple[tuple[str, float], ...]


def clusters(corpus: Corpus, count: int = CLUSTERS) -> tuple[Cluster, ...]:
    """The heads of a corpus in clusters, the largest first; none of more heads than `MAX_HEADS`."""
    if corpus.plan.layers * corpus.plan.heads > MAX_HEADS:
        return ()
    rows = [row for row in corpus.measures if not is_constant(corpus.mean(row.name))]
    if not rows:
        return ()
    numbers = np.stack([corpus.mean(row.name).ravel() for row in rows], axis=1)
    scaled = (numbers - numbers.mean(0)) / numbers.std(0)
    found = []
    for members in linked(scaled, count):
        away = scaled[members].mean(0)
        most = np.argsort(-abs(away), kind="stable")[:APART]
        heads = tuple(divmod(each, corpus.plan.heads) for each in members)
        found.append(Cluster(heads, tuple((rows[n].name, float(away[n])) for n in most)))
    return tuple(sorted(found, key=lambda each: (-len(each.heads), each.heads)))


def linked(points: Numbers, count: int) -> list[list[int]]:
    """Points in a number of clusters: the two clusters that are nearest on average are joined repeatedly."""
    members = {n: [n] for n in range(len(points))}
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    np.fill_diagonal(apart, np.inf)
    while len(members) > count:
        one, two = sorted(map(int, np.unravel_index(np.argmin(apart), apart.shape)))
        sizes = len(members[one]), len(members[two])
        joined = (apart[one] * sizes[0] + apart[two] * sizes[1]) / sum(sizes)
        apart[one], apart[:, one] = joined, joined
        apart[two], apart[:, two], apart[one, one] = np.inf, np.inf, np.inf
        members[one] = sorted(members[one] + members.pop(two))
    return list(members.values())
