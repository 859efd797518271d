"""Every rewrite of a loss against plain NumPy code, and found again from claims as people write them."""

import numpy as np
import pytest

from clearhead import Claim, deviate, diagnose
from clearhead.spec import Embedding, Head, Transformer

from .wild_losses import CASES, PADDING, loss_of

ALL = [(case, reads, id) for case, (_, codes) in CASES.items() for reads in ("probabilities", "logits") for id in codes]


def worked(case, reads):
    """The trace of a model that is nothing but a table, a head and the loss; and what the code is given."""
    working = Transformer(Embedding(), head=Head(), loss=loss_of(case, reads)).working()
    rng = np.random.default_rng(5)
    sizes = {"vocabulary": 5, "model": 4, "token": 6}
    given = {}
    for each in working.givens:
        shape = [sizes[word] for word in each.axes]
        whole = each.holds == "integers"
        given[each.name] = rng.integers(0, 5, shape) if whole else rng.normal(size=shape).round(2)
    if case == "weighted":
        given["class.weight"] = np.abs(given["class.weight"]) + 0.5
    if case.startswith("ignored"):
        given["target"][1:3] = PADDING
    trace = working.run(given)
    own = [trace["logits"], given["target"], *([given["class.weight"]] if case == "weighted" else [])]
    return trace, own


@pytest.mark.parametrize(("case", "reads", "ids"), ALL)
def test_a_rewrite_of_a_loss_gives_what_the_code_gives(case, reads, ids):
    """The loss of the rewritten working equals plain NumPy's, to 1e-12, and is not the textbook's."""
    trace, own = worked(case, reads)
    found = deviate(trace.working, *([ids] if isinstance(ids, str) else ids)).run(trace.given)["loss"]
    np.testing.assert_allclose(found, CASES[case][1][ids](*own), rtol=1e-12)
    assert abs(found - trace["loss"]) > 1e-3


@pytest.mark.parametrize(("case", "reads", "ids"), ALL)
def test_a_claimed_loss_is_explained(case, reads, ids):
    """The loss to five decimals, with the losses that it averages, names what was done, or what equals it."""
    trace, own = worked(case, reads)
    ids = (ids,) if isinstance(ids, str) else ids
    wrong = deviate(trace.working, *ids).run(trace.given)
    each = "loss.cell" if case == "squared" else "loss.token"
    claims = [
        Claim.of(each, wrong[each].round(5), decimals=5),
        Claim.of("loss", round(float(CASES[case][1][ids[0] if len(ids) == 1 else ids](*own)), 5), decimals=5),
    ]
    report = diagnose(claims, trace)
    assert report.verdict == "explained"
    assert any(set(finding.deviations) == set(ids) for finding in report.findings)


def test_bits_are_a_convention():
    """Two tokens of probability 1/4 and 1/2 cost 2 and 1 bits: explained by the base of the logarithm alone."""
    working = Transformer(Embedding(), head=Head(tied=True), loss=loss_of("tokens", "probabilities")).working()
    working = working.starting_at("probabilities")
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    trace = working.run({"probabilities": probabilities, "target": np.array([0, 1])})
    report = diagnose([Claim("loss.token", ("2", "1")), Claim("loss", "1.5")], trace)
    assert report.first.ids == ("loss-log-base",)
    assert report.first.parameters == {"loss-log-base": {"base": 2.0}}
    assert not any(kind == "mistake" for kind in report.findings[0].kinds)
