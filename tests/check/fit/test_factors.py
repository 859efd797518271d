"""One factor on all claims is little evidence: many fitted constants give it on a single token."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm, Rotary, diagnose


def normed(x, eps=1e-5):
    working = Block(Attention(1), norm=Norm("layer", eps=eps, gain=False), placement="pre").working().ending_at("norm")
    return working.run({"input": np.asarray(x)})


def sample(x):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, ddof=1, keepdims=True)


@pytest.mark.parametrize("tokens", [[[0.5, 1.5, 2.5, 3.5, 9.0]], [[2.0, -1.0, 4.0]]])
def test_the_norm_of_one_token_is_not_explained_by_any_constant_that_fits(tokens):
    """A token that is normed by its sample deviation, without eps, is said to be; no eps is fitted to its factor."""
    x = np.array(tokens)
    report = diagnose([Claim.of("norm", sample(x).astype(np.float32))], normed(x))
    assert all("norm-sample-std" in each.ids for each in report.findings), str(report)


def test_an_eps_that_several_tokens_show_is_still_fitted():
    """With tokens of different spread the factors differ, and so does what eps can give."""
    x = np.random.default_rng(1).normal(size=(3, 5)) * [[0.3], [1.0], [2.0]]
    report = diagnose([Claim.of("norm", normed(x, 0.37)["norm"])], normed(x))
    assert report.first.parameters == {"norm-eps": {"eps": 0.37}}


def test_a_factor_of_scores_is_still_fitted():
    """A factor on the claimed line itself is one factor on any data."""
    rng = np.random.default_rng(2)
    working = Attention(2).working()
    sizes = {"token": 1, "model": 6, "head": 2, "depth": 3, "head*depth": 6}
    given = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    trace = working.run(given)
    report = diagnose([Claim.of("scaled", trace["scores"] * 0.37)], trace)
    assert report.first.parameters == {"scale-factor": {"factor": 0.37}}


@pytest.mark.parametrize("factor", [0.1, 0.2, 0.5, 3.0, 0.37])
def test_positions_that_are_divided_are_fitted_where_angles_go_round(factor):
    """Positions divided by less than 1 turn far; the factor is found from rotated queries all the same."""
    rng = np.random.default_rng(3)
    working = Attention(2, causal=True, rotary=Rotary()).working()
    given = {each.name: rng.normal(size=[{"token": 5, "model": 7, "head": 2, "depth": 6, "head*depth": 12}[word]
             for word in each.axes]) for each in working.givens}  # fmt: skip
    trace = working.run(given)
    angle = np.arange(5)[:, None] / factor * 10000.0 ** (-np.arange(0, 6, 2) / 6)
    a, b = np.split(np.asarray(trace["query"]), 2, -1)
    turned = np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)
    report = diagnose([Claim.of("query.rotated", turned)], trace)
    assert report.first.parameters == {"rotary-interpolated": {"factor": pytest.approx(factor, rel=1e-12)}}
