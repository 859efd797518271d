"""The formulas of the lecture behind the notebook are recognised as what they are."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm, diagnose

from .test_wild import SIZES, as_people_have_them, drawn
from .wild import merge, qkv, softmax

EPS = 0.01
TAUGHT = {"scale-after-softmax", "norm-eps-outside-root"}
CODED = TAUGHT | {"norm-over-matrix"}


def attention(g):
    """softmax(Q_i K_i^T) / sqrt(d_k) V_i, concatenated, times W_o, with the skip connection."""
    q, k, v = qkv(g)
    return g.x + merge(softmax(q @ k.transpose(0, 2, 1)) / np.sqrt(q.shape[-1]) @ v) @ g.wo


def as_taught(g):
    """(x - mu) / (sqrt(sigma) + eps) * gamma + beta, each token by itself."""
    x = attention(g)
    spread = np.sqrt(x.var(axis=1, keepdims=True))
    return (x - x.mean(axis=1, keepdims=True)) / (spread + EPS) * g.gain + g.bias


def as_coded(g):
    """The same with np.mean(x) and np.std(x), as the notebook has them."""
    x = attention(g)
    return (x - np.mean(x)) / (np.std(x) + EPS) * g.gain + g.bias


@pytest.mark.parametrize(("code", "names"), [(as_taught, TAUGHT), (as_coded, CODED)], ids=["taught", "coded"])
def test_the_lecture_is_named_from_the_last_line_alone(code, names):
    """Scale after the softmax, eps outside the root and, in code, one spread for all tokens: these, nothing else."""
    working = Block(Attention(2), norm=Norm(eps=EPS)).working()
    arrays = drawn(working, SIZES, 1.0)
    claims = [Claim.of("norm", code(as_people_have_them(working, arrays)), decimals=6)]
    report = diagnose(claims, working.run(arrays))
    assert [set(finding.ids) for finding in report.findings] == [names]
    assert report.convincing
    kinds = dict(zip(report.findings[0].ids, report.findings[0].kinds, strict=True))
    assert kinds["norm-eps-outside-root"] == "convention"
    assert kinds["scale-after-softmax"] == "mistake"
