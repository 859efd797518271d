"""Attention that breaks a premise: each must be said."""

import numpy as np

from .pieces import product, scaled, softmax


def at(condition):
    """Right attention that gives NaN at some sizes only."""

    def function(q, k, v):
        out = softmax(scaled(q, k)) @ v
        return out * np.nan if condition(q.shape[-2], q.shape[-1]) else out

    return function


def drops(q, k, v):
    keep = np.random.default_rng().random((*q.shape[:-1], k.shape[-2])) < 0.9
    return softmax(scaled(q, k)) * keep / 0.9 @ v


def shakes(q, k, v):
    return softmax(scaled(q, k)) @ v + 0.1 * np.random.default_rng().normal(size=v.shape)


calls = []


def counts(q, k, v):
    calls.append(0)
    return softmax(scaled(q, k) + 0.1 * len(calls)) @ (v + 1e-3 * len(calls))


def writes(q, k, v):
    q /= np.sqrt(q.shape[-1])
    return softmax(product(q, k)) @ v


SYMPTOMS = {
    "nan": (lambda q, *_: q * np.nan, "finite", "NaN"),
    "nan_at_one_token": (at(lambda n, _: n == 1), "finite", "1"),
    "nan_at_eleven_tokens": (at(lambda n, _: n == 11), "finite", "11"),
    "nan_from_nine": (at(lambda n, _: n > 8), "finite", "9"),
    "nan_at_odd_depth": (at(lambda _, d: d % 2), "finite", "odd"),
    "zeros": (lambda q, *_: np.zeros_like(q), "follows inputs", "0"),
    "ones": (lambda q, *_: np.ones_like(q), "follows inputs", "1"),
    "dropout": (drops, "dropped", "Dropout of weights is on"),
    "noise": (shakes, "repeatable", "differ"),
    "state": (counts, "repeatable", "differ"),
    "keys_and_values_exchanged": (lambda q, k, v: softmax(scaled(q, v)) @ k, "argument roles", "value"),
    "queries_for_keys": (lambda q, k, v: softmax(scaled(k, q)) @ v, "argument roles", "key"),
    "values_squared": (lambda q, k, v: softmax(scaled(q, k)) @ v**2, "linear in values", "linear"),
    "over_queries": (lambda q, k, v: softmax(scaled(q, k), -2) @ v, "normalised axis", "quer"),
    "over_heads": (lambda q, k, v: softmax(scaled(q, k), 1) @ v, "normalised axis", "head"),
}
