"""Traces to show, and names that must do no harm."""

import pytest

from clearhead.deviations import deviate
from clearhead.spec import Attention, Block, Norm, Positions


@pytest.fixture
def make_trace(soccer):
    """A trace of the notebook's second example, with deviations, tokens and lines to keep."""

    def run(*deviations, tokens=("Chaky", "loves", "soccer"), keep=None):
        block = Block(Attention(heads=2), norm=Norm(eps=0, gain=False), positions=Positions())
        return deviate(block.working(), *deviations).run(soccer, tokens=tokens, keep=keep)

    return run


@pytest.fixture
def trace(make_trace):
    """The notebook's second example."""
    return make_trace()


@pytest.fixture
def big(rich, arrays_for, sizes):
    """A block with every feature, in a batch of two."""
    import numpy as np

    working = rich.working()
    arrays = arrays_for(working, sizes)
    return working.run({name: np.stack([a, a]) if name == "embedding" else a for name, a in arrays.items()})


PARAMETERS = {
    "factor": 0.5, "cap": 30.0, "width": 4, "heads": 6, "times": 3, "eps": 1e-5, "base": 10000.0, "offset": 2.0,
    "decimals": 2, "head": 1, "part": 1, "by": 1, "fill": -1e4, "ddof": 1, "fast": 4.0, "slow": 1.0, "context": 8192,
    "low": 1.0, "high": 2.5, "limit": 3.0, "pad": 1, "order": (1, 0), "smoothing": 0.1, "ignored": -100,
    "rate": 0.1, "count": 2, "groups": 2, "stride": 2, "buckets": 8, "reach": 20, "tolerance": 0.02, "span": 4,
    "both": True,
    "rank": 2, "decay": 0.1, "momentum": 0.9, "dampening": 0.1, "beta": 0.9, "number": 3,
    "mask": 4, "keep": 0.88, "first": 1, "last": 0, "skip": 1, "mark": 2,
}  # fmt: skip
"""A value for each parameter that an operation can have."""


@pytest.fixture
def formula_of():
    """A function that gives the formula of an operation, with a value for each of its parameters."""
    return lambda operation: operation.formula(tuple((each, PARAMETERS[each]) for each in operation.parameters))


HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil\x07link",
    "[red]bold[/red]",
    "<script>alert('1')</script>",
    "a|b",
    "`code` *x* _y_ ~z~ **w**",
    "$x$ $$y$$",
    "\\input{/etc/passwd}",
    "%$#&_{}~^\\",
    "--''``,,<<>>\"",
    "# heading",
    "1. item",
    "![image](http://evil.example)",
    "&lt;&#60;",
    "tab\tnew\nline\r",
    "\u202eright to left",
    "שלום עולם",
    "مرحبا",
    "日本語",
    "😀👩\u200d👩\u200d👧❤\ufe0f",
    "e\u0301\u0302\u0303",
    "\ud800",
    "x" * 200,
    "語" * 200,
    "",
)


@pytest.fixture
def hostile():
    """Names of tokens that mean something to a terminal, a browser, Markdown, LaTeX or Rich."""
    return HOSTILE
