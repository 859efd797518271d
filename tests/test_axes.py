"""The words for axes."""

import pytest

from clearhead.axes import HEADS, TOKENS, WORDS, axes, describe, head_axis, with_batch
from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary


def test_words_are_listed_once():
    """Each word is one of the list, and the special ones are among them."""
    assert len(set(WORDS)) == len(WORDS)
    assert set(WORDS) >= HEADS | TOKENS


def test_the_docstring_explains_every_word():
    """The table in the module's docstring has a row for each word, in order."""
    import clearhead.axes as module

    rows = [line.split("|")[1].strip() for line in module.__doc__.splitlines() if line.startswith("| ")]
    assert tuple(rows[1:]) == WORDS


def test_workings_use_no_other_words():
    """All lines of a block with everything on speak of axes in these words, or two of them joined by *."""
    rich = Attention(heads=4, kv_heads=2, rotary=Rotary(), cache=True, padding=True, mask="boolean", alibi=True)
    working = Block(rich, norm=Norm(), mlp=Mlp(gated=True, bias=True), positions=Positions()).working()
    used = {part for words in working.axes.values() for word in words for part in word.split("*")}
    assert used <= set(WORDS)
    assert used >= {"head", "group", "query", "key", "token", "past", "depth", "pair", "model", "hidden"}


def test_axes_from_a_string():
    """Words in a string become a tuple."""
    assert axes("head token head*depth") == ("head", "token", "head*depth")
    assert axes("") == ()


def test_batch_stands_in_front():
    """Whatever axes an array has beyond its own are called batch."""
    assert with_batch(("token", "model"), 4) == ("batch", "batch", "token", "model")
    assert with_batch(("token", "model"), 2) == ("token", "model")


def test_sizes_beside_words():
    """Known sizes are written beside their words, open ones left out."""
    assert describe(("head", "model", "depth"), (2, None, 3)) == "(head=2, model, depth=3)"
    assert describe((), ()) == "()"


@pytest.mark.parametrize(
    ("words", "position"),
    [("head query key", -3), ("group past depth", -3), ("head", -1), ("token model", None), ("token head*depth", None)],
)
def test_the_axis_that_at_selects_from(words, position):
    """@ selects from query heads or key/value heads, counted from the end so that a batch does not matter."""
    assert head_axis(axes(words)) == position
