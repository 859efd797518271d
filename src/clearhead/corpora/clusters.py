"""Heads that behave alike: average linkage of all their measures."""

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


class Cluster(Struct, frozen=True):
    """Heads that behave alike, as (layer, head), and by what measures they stand out, in standard deviations."""

    heads: tuple[tuple[int, int], ...]
    apart: tuple[tuple[str, float], ...]


def clusters(corpus: Corpus, count: int = CLUSTERS) -> tuple[Cluster, ...]:
    """The heads of a corpus in clusters, the largest first; none of more heads than `MAX_HEADS`."""
    if corpus.plan.layers * corpus.plan.heads > MAX_HEADS:
        return ()
    rows = corpus.measures
    numbers = np.stack([corpus.mean(row.name).ravel() for row in rows], axis=1)
    spread = numbers.std(0)
    scaled = (numbers - numbers.mean(0)) / np.where(spread > 0, spread, 1)
    found = []
    for members in linked(scaled, count):
        away = scaled[members].mean(0)
        most = np.argsort(-abs(away), kind="stable")[:APART]
        heads = tuple(divmod(each, corpus.plan.heads) for each in members)
        found.append(Cluster(heads, tuple((rows[n].name, float(away[n])) for n in most)))
    return tuple(sorted(found, key=lambda each: (-len(each.heads), each.heads)))


def linked(points: Numbers, count: int) -> list[list[int]]:
    """Points in a number of clusters: the two whose points are nearest on average are joined, again and again."""
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
