"""Hidden cells with a piece of GELU's text left out."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Mlp

from .block_pieces import ERF

ROOT = np.sqrt(2 / np.pi)

CUT = {
    "gelu(gate) * up without the factor gate in front": lambda g, u: (1 + ERF(g / np.sqrt(2))) / 2 * u,
    'gelu(gate) * up without "1 +"': lambda g, u: g * ERF(g / np.sqrt(2)) / 2 * u,
    'gelu-tanh(gate) * up without "1 +"': lambda g, u: g * np.tanh(ROOT * (g + 0.044715 * g**3)) / 2 * u,
}


@pytest.mark.parametrize("said", CUT)
def test_a_piece_left_out_of_gelu_is_named(said):
    """The report says which form of GELU it is, and what lacks."""
    kind = said.partition("(")[0]
    working = Block(Attention(heads=2), mlp=Mlp(kind, gated=True)).working()
    takes = ("attention.residual", "mlp.gate.weight", "mlp.up.weight", "mlp.output.weight")
    report = clearhead.probe(lambda x, g, u, d: CUT[said](x @ g, x @ u) @ d, working, takes, "mlp.output")
    assert report.causes == (f"hidden-cell:{said}",), str(report)
