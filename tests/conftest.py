"""What all tests share: how Hypothesis draws its examples, and the arrays of the notebook's two worked examples."""

import os
import shutil
from collections import defaultdict
from zlib import crc32

import numpy as np
import pytest
from hypothesis import settings

from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary

from .browser import chromium, sheet  # noqa: F401 - fixtures for whoever asks

if shutil.which("nvidia-smi") is None:
    # Triton reads this once, when it is imported: without a GPU its kernels run in its interpreter.
    os.environ["TRITON_INTERPRET"] = "1"

settings.register_profile("clearhead", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("clearhead")


def pytest_collection_modifyitems(config, items):
    """Keeps one in so many cases of each test of a sweep, by a hash of its name: always the same; all with EVERY=1."""
    tests = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("sweep"):
            tests[item.nodeid.partition("[")[0], int(os.environ.get("EVERY", *mark.args))].append(item)
    left = set()
    for (_, every), cases in tests.items():
        by_chance = sorted(cases, key=lambda item: crc32(item.nodeid.encode()))
        left.update(by_chance[-(-len(cases) // every) :])
    if left:
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]


@pytest.fixture
def two_heads():
    """The arrays of the notebook's example 1 (cell 5 to 7)."""
    return {
        "input": [[1, 1], [1, 2], [-2.5, 1]],
        "query.weight": [[[0], [0]], [[1], [1]]],
        "key.weight": [[[1], [0]], [[0], [1]]],
        "value.weight": [[[1], [1]], [[1], [1]]],
    }


@pytest.fixture
def soccer():
    """The arrays of the notebook's example 2 (cell 15): "Chaky loves soccer"."""
    return {
        "embedding": [[0, 1], [1, 1], [-1, 0]],
        "position": [[1, -1], [-1, -2], [2, 1]],
        "query.weight": [[[0], [-1]], [[1], [1]]],
        "key.weight": [[[1], [-1]], [[-1], [0]]],
        "value.weight": [[[0], [1]], [[-1], [-1]]],
        "output.weight": [[1, 1], [0, 0]],
    }


@pytest.fixture
def arrays_for():
    """A function that draws arrays for a working, given the size of each axis word; masks are mostly True."""

    def draw(working, sizes, seed=0):
        rng = np.random.default_rng(seed)
        shapes = {given.name: [sizes[word] for word in given.axes] for given in working.givens}
        return {
            given.name: rng.normal(size=shapes[given.name])
            if given.holds == "numbers"
            else rng.random(shapes[given.name]) > 0.2
            for given in working.givens
        }

    return draw


SIZES = {
    "head": 4, "group": 2, "token": 3, "query": 3, "key": 5, "past": 2, "depth": 6, "model": 7, "hidden": 11,
    "head*depth": 24,
}  # fmt: skip
"""A size of its own for each axis word, as far as the words leave a choice."""


@pytest.fixture
def sizes():
    """The size of each axis word in tests of whole workings."""
    return SIZES


@pytest.fixture
def rich():
    """A block with every feature that one block can have."""
    attention = Attention(
        heads=4,
        kv_heads=2,
        softcap=3.0,
        causal=True,
        window=3,
        mask="boolean",
        padding=True,
        alibi=True,
        rotary=Rotary(width=4, offset=0.5),
        qk_norm=Norm("rms"),
        bias=("query", "key", "value", "output"),
        cache=True,
    )
    return Block(attention, norm=Norm(), mlp=Mlp(gated=True, bias=True), positions=Positions("sinusoidal"))
