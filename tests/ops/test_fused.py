"""What NumPy works out in one step, or block by block: the numbers are those of the lines, one by one."""

import numpy as np
import pytest

from clearhead.ops import large, threads
from clearhead.ops.textbook import positions
from clearhead.spec import Attention

SIZES = {"model": 8, "head": 6, "group": 3, "depth": 4, "head*depth": 24, "past": 9}
SPECS = {
    "plain": Attention(heads=6),
    "causal": Attention(heads=6, causal=True),
    "scaled, capped, windowed": Attention(heads=6, scale=0.3, softcap=2.0, causal=True, window=5),
    "window both ways": Attention(heads=6, window=3),
    "grouped, after a cache": Attention(heads=6, kv_heads=3, causal=True, cache=True),
    "padded": Attention(heads=6, causal=True, padding=True),
}


@pytest.mark.parametrize("tokens", [1, 7, 300])
@pytest.mark.parametrize("name", SPECS)
def test_chains_give_the_numbers_of_their_lines(name, tokens):
    """Weights of which nothing between is kept, in batches too, are those of a run that keeps all."""
    working, rng = SPECS[name].working(), np.random.default_rng(tokens)
    sizes = {**SIZES, "token": tokens, "key": tokens}
    arrays = {
        each.name: rng.normal(size=(*((2,) if each.name == "input" else ()), *(sizes[word] for word in each.axes)))
        if each.holds == "numbers"
        else np.arange(tokens) < max(1, tokens - 2)
        for each in working.givens
    }
    whole, light = working.run(arrays), working.run(arrays, keep=["weights", "output"])
    for line in ("weights", "output"):
        np.testing.assert_allclose(light[line], whole[line], rtol=1e-12, atol=1e-13)
    steps = {each for each, *_ in working._plan(("weights", "output"), fuse=True)}
    assert "scores" not in steps
    assert [str(note) for note in light.notes] == [str(note) for note in whole.notes]


def test_queries_before_every_key_keep_their_note():
    """With fewer keys than queries the first queries see nothing; a chain gives them zeros and the note as well."""
    working = Attention(heads=1, causal=True, memory=True, output=False).working()
    arrays = {
        each.name: np.ones([{"token": 3, "key": 2, "head": 1}.get(w, 2) for w in each.axes]) for each in working.givens
    }
    light = working.run(arrays, keep="weights")
    np.testing.assert_array_equal(light["weights"], [[[0, 0], [1, 0], [0.5, 0.5]]])
    assert light.notes[0].says == "all weights are 0"


def test_a_large_rotation_is_that_of_its_heads():
    """Many heads turned together are turned as each alone, in batches too."""
    rng = np.random.default_rng(0)
    x, angle = rng.normal(size=(2, 40, 70, 12)), rng.normal(size=(70, 6))
    whole = positions.rotate_half(x, np.cos(angle), np.sin(angle))
    alone = positions.rotate_half(x[1, 3:4], np.cos(angle), np.sin(angle))
    np.testing.assert_array_equal(whole[1, 3:4], alone)


@pytest.mark.parametrize("size", [3, large.LARGE + 5, 2 * threads.SHARED + 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_give_what_one_piece_gives(size, dtype):
    """An activation of a large array, in blocks and by threads, is that of its parts; operands stay as they were."""
    from clearhead.ops.textbook import tokens

    x = np.random.default_rng(1).normal(scale=4, size=(size, 1)).astype(dtype)
    before = x.copy()
    for operation in (tokens.silu, tokens.gelu):
        parts = np.concatenate([operation(part) for part in np.array_split(x, 1 + size // 1000)])
        assert np.all(np.abs(operation(x) - parts) <= 4 * np.finfo(dtype).eps * np.abs(x))
        assert operation(x).dtype == dtype
    np.testing.assert_array_equal(x, before)


def test_a_score_that_is_none_and_masked_has_no_effect():
    """A key whose numbers are NaN does nothing to queries that may not attend to it, with a chain as line by line."""
    working = Attention(heads=1, causal=True, output=False).working()
    arrays = {each.name: np.ones([{"token": 3, "head": 1}.get(w, 2) for w in each.axes]) for each in working.givens}
    arrays["input"][2] = np.nan
    for keep in (None, "weights"):
        np.testing.assert_array_equal(working.run(arrays, keep=keep)["weights"][0, :2], [[1, 0, 0], [0.5, 0.5, 0]])
