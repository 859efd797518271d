"""Mixtures of experts as people get them wrong, and scores without their learned distances: in plain NumPy."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .wild import attend, merge, qkv


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


@dataclass
class Router:
    """What a model does, and each thing that may be left out."""

    kind: object = softmax
    count: int = 2
    renormalise: bool = True
    weighted: bool = True
    groups: int = 1
    chosen_groups: int = 1
    correction: str = ""
    scale: float = 1.0
    shared: str = ""


def mixture(g, said):
    """A block's output: attention, and for each token its experts, one after the other."""
    arrays = vars(g)
    stream = g.x + attend(g, *qkv(g))
    out = []
    for h in stream:
        score = said.kind(h @ arrays["mlp.router.weight"])
        compared = score + (arrays["mlp.router.correction"] if said.correction else 0)
        apart = compared.reshape(said.groups, -1)
        best = np.argsort([-np.sort(group)[-2:].sum() for group in apart])[: said.chosen_groups]
        open_ = np.isin(np.repeat(np.arange(said.groups), apart.shape[1]), best)
        chosen = np.argsort(np.where(open_, -compared, np.inf), kind="stable")[: said.count]
        share = (compared if said.correction == "in shares" else score)[chosen]
        if said.renormalise:
            share = share / share.sum()
        share = share * said.scale if said.weighted else np.ones(len(chosen))
        mixed = sum(s * (silu(h @ g.up[e]) @ g.down[e]) for s, e in zip(share, chosen, strict=True))
        if said.shared:
            own = silu(h @ arrays["mlp.shared.up.weight"]) @ arrays["mlp.shared.output.weight"]
            gate = sigmoid(h @ arrays["mlp.shared.share.weight"]) if said.shared == "gated" else 1
            mixed = mixed + gate * own
        out.append(h + mixed)
    return np.array(out)


def as_said(**said):
    return partial(mixture, said=Router(**said))


EXPERTS = {
    "router-not-renormalised": as_said(renormalise=False),
    "router-scores-of-other-kind": as_said(kind=sigmoid),
    "router-other-count:count=3": as_said(count=3),
    "experts-unweighted": as_said(weighted=False),
}


def mixed_one_by_one(g):
    """Two experts, each with its part of a softmax of all logits that are left."""
    out = []
    for h in g.x + attend(g, *qkv(g)):
        logit = h @ vars(g)["mlp.router.weight"]
        first, second = np.argsort(-logit)[:2]
        others = np.delete(np.arange(len(logit)), first)
        share = {first: softmax(logit)[first], second: softmax(logit[others])[others == second][0]}
        out.append(h + sum(s * (silu(h @ g.up[e]) @ g.down[e]) for e, s in share.items()))
    return np.array(out)


ONE_BY_ONE = {"router-far-experts-kept": mixed_one_by_one}


def shares_over_tokens(g):
    """One expert for each token, whose scores (token,) are divided by their sum along the last axis."""
    stream = g.x + attend(g, *qkv(g))
    score = softmax(stream @ vars(g)["mlp.router.weight"])
    best, share = score.argmax(-1), score.max(-1)
    share = share / share.sum(-1, keepdims=True)
    mixed = [s * (silu(h @ g.up[e]) @ g.down[e]) for h, e, s in zip(stream, best, share, strict=True)]
    return stream + np.array(mixed)


ONE_EXPERT = {"router-shares-over-tokens": shares_over_tokens}

PLAIN_SHARES = {"router-renormalised": as_said()}

DEEPSEEK = {
    "kind": sigmoid, "groups": 3, "chosen_groups": 2, "correction": "for the choice", "scale": 1.7, "shared": "plain",
}  # fmt: skip
GROUPS = {
    "router-correction-missing": as_said(**{**DEEPSEEK, "correction": ""}),
    "router-correction-in-shares": as_said(**{**DEEPSEEK, "correction": "in shares"}),
    "router-groups-ignored": as_said(**{**DEEPSEEK, "groups": 1, "chosen_groups": 1}),
    "router-scale-missing": as_said(**{**DEEPSEEK, "scale": 1.0}),
    "shared-expert-missing": as_said(**{**DEEPSEEK, "shared": ""}),
}
SHARED = {"shared-gate-missing": as_said(shared="plain")}
DISTANCES = {"relative-missing": lambda g: attend(g, *qkv(g))}


def by_content_and_distance(g, query_sign=1, key_sign=1):
    """Scores of two tokens, one pair after the other; buckets to each side: 1, 2, 3 to 5 tokens away, and more."""

    def bucket(back):
        away = abs(back)
        number = away if away <= 2 else 3 if away <= 5 else 4
        return 4 + (min(number, 3) if back > 0 else -number)

    arrays, (q, k, v) = vars(g), qkv(g)
    keys, queries = (arrays["relative.weight"] @ arrays[f"relative.{part}.weight"] for part in ("key", "query"))
    score = q @ k.transpose(0, 2, 1)
    for i in range(len(g.x)):
        for j in range(len(g.x)):
            if query_sign:
                score[:, i, j] += (q[:, i] * keys[:, bucket(query_sign * (i - j))]).sum(-1)
            if key_sign:
                score[:, i, j] += (k[:, j] * queries[:, bucket(key_sign * (i - j))]).sum(-1)
    return merge(softmax(score / np.sqrt(q.shape[-1])) @ v) @ g.wo


CONTENT_AND_DISTANCE = {
    "content-position-missing": partial(by_content_and_distance, query_sign=0),
    "position-content-missing": partial(by_content_and_distance, key_sign=0),
    "content-position-mirrored": partial(by_content_and_distance, query_sign=-1),
    "position-content-mirrored": partial(by_content_and_distance, key_sign=-1),
}
