"""Code of gated delta nets and gated heads is probed: what is right agrees, and each mistake is named."""

import numpy as np
import pytest

from clearhead import Attention, probe
from clearhead.spec import Delta

from . import wild_delta
from .test_wild import as_people_have_them

pytestmark = pytest.mark.sweep(3)

NET = Attention(4, causal=True, delta=Delta(4, key_heads=2)).working()
GATED = Attention(2, gated=True).working()


def probed(working, code):
    """What is said of code that takes all given arrays."""
    takes = [given.name for given in working.givens]

    def function(*arrays):
        return code(as_people_have_them(working, dict(zip(takes, map(np.asarray, arrays), strict=True))))

    return probe(function, working, takes=takes, returns="output")


@pytest.mark.parametrize(
    ("working", "code"),
    [(NET, wild_delta.as_said()), (GATED, lambda g: wild_delta.gated_heads(g, wild_delta.sigmoid))],
    ids=["delta", "gated heads"],
)
def test_right_code_agrees(working, code):
    """The recurrence of the paper, and attention with gated heads, agree with their specs."""
    assert "agrees with the working" in str(probed(working, code))


@pytest.mark.parametrize("id", wild_delta.DELTA)
def test_a_mistake_in_a_delta_net_is_named(id):
    """Code with the mistake is told from the working by the row's name."""
    assert id in str(probed(NET, wild_delta.DELTA[id]))


@pytest.mark.parametrize("id", wild_delta.GATED_HEADS)
def test_a_mistake_in_gates_of_heads_is_named(id):
    """The same for attention whose heads are gated."""
    assert id in str(probed(GATED, wild_delta.GATED_HEADS[id]))
