"""Losses in plain NumPy as people write them, from logits (token, vocabulary) and the numbers of the right classes."""

import numpy as np

from clearhead.spec import Loss

SMOOTHING, PADDING = 0.3, 0


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def losses(x, target):
    return -log_softmax(x)[np.arange(len(target)), target]


def smoothed(x, target, part, others=False):
    logs = -log_softmax(x)
    right = logs[np.arange(len(target)), target]
    rest = (logs.sum(-1) - right) / (x.shape[-1] - 1) if others else logs.mean(-1)
    return (1 - part) * right + part * rest


def counted(target):
    return target != PADDING


def by_class(x, target, weight):
    return losses(x, target) * weight[target]


TOKENS = {
    "loss-summed": lambda x, t: losses(x, t).sum(),
    "loss-log-base:base=2.0": lambda x, t: np.mean(-np.log2(np.exp(-losses(x, t)))),
    "loss-log-base:base=10.0": lambda x, t: np.mean(-np.log10(np.exp(-losses(x, t)))),
    "loss-negated": lambda x, t: np.mean(log_softmax(x)[np.arange(len(t)), t]),
    "loss-of-probabilities": lambda x, t: losses(np.exp(log_softmax(x)), t).mean(),
    "loss-perplexity": lambda x, t: np.prod(np.exp(losses(x, t))) ** (1 / len(t)),
    "loss-shifted": lambda x, t: losses(x[:-1], t[1:]).mean(),
    "loss-smoothing-added:smoothing=0.1": lambda x, t: smoothed(x, t, 0.1).mean(),
}
"""Of a mean cross-entropy."""

SUMMED = {"loss-averaged": lambda x, t: losses(x, t).mean()}
SMOOTHED = {
    "loss-smoothing-missing": lambda x, t: losses(x, t).mean(),
    "loss-smoothing-over-others": lambda x, t: smoothed(x, t, SMOOTHING, others=True).mean(),
}
IGNORED = {
    "loss-ignored-in-mean": lambda x, t: losses(x, t)[counted(t)].sum() / len(t),
    "loss-ignored-counted": lambda x, t: losses(x, t).mean(),
    "loss-summed": lambda x, t: losses(x, t)[counted(t)].sum(),
    "loss-of-ignored-alone": lambda x, t: losses(x, t)[~counted(t)].mean(),
    "loss-shifted": lambda x, t: losses(x[:-1], t[1:])[counted(t[1:])].mean(),
}
SMOOTHED_AND_IGNORED = {
    "loss-smoothing-of-ignored": lambda x, t: (
        (1 - SMOOTHING) * losses(x, t)[counted(t)].mean() + SMOOTHING * np.mean(-log_softmax(x))
    ),
}
SMOOTHED_SUMS = {
    "loss-smoothing-of-ignored": lambda x, t: (
        (1 - SMOOTHING) * losses(x, t)[counted(t)].sum() + SMOOTHING * np.sum(-log_softmax(x).mean(-1))
    ),
    "loss-shifted": lambda x, t: smoothed(x[:-1], t[1:], SMOOTHING)[counted(t[1:])].sum(),
}
WEIGHTED = {
    "class-weights-missing": lambda x, t, w: losses(x, t).mean(),
    "class-weights-not-divided": lambda x, t, w: by_class(x, t, w).mean(),
    "loss-summed": lambda x, t, w: by_class(x, t, w).sum(),
}
SQUARED = {
    "loss-summed": lambda x, t: ((x - t) ** 2).sum(),
    "loss-summed-over-features": lambda x, t: ((x - t) ** 2).sum(-1).mean(),
    "loss-halved": lambda x, t: 0.5 * np.mean((x - t) ** 2),
    "loss-root": lambda x, t: np.sqrt(np.mean((x - t) ** 2)),
    "loss-absolute": lambda x, t: np.mean(np.abs(x - t)),
    ("loss-summed", "loss-halved"): lambda x, t: np.linalg.norm(x - t) ** 2 / 2,
}

CASES = {
    "tokens": ({}, TOKENS),
    "summed": ({"reduction": "sum"}, SUMMED),
    "smoothed": ({"smoothing": SMOOTHING}, SMOOTHED),
    "ignored": ({"ignored": PADDING}, IGNORED),
    "ignored, smoothed": ({"ignored": PADDING, "smoothing": SMOOTHING}, SMOOTHED_AND_IGNORED),
    "ignored, smoothed sums": ({"ignored": PADDING, "smoothing": SMOOTHING, "reduction": "sum"}, SMOOTHED_SUMS),
    "weighted": ({"weighted": True}, WEIGHTED),
    "squared": ({"kind": "squared-error"}, SQUARED),
}
"""What the loss declares, and code that does otherwise."""

ALL = tuple(id for _, codes in CASES.values() for id in codes if isinstance(id, str))


def loss_of(case, reads):
    """The spec of a case."""
    fields = CASES[case][0]
    return Loss(**fields) if case == "squared" else Loss(reads=reads, **fields)
