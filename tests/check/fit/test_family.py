"""All values of a parameter at once give what each gives by itself."""

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Mlp, Norm, Positions, Rotary
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.fit.family import family, numbers_of
from clearhead.check.fit.fitting import trials

VALUES = [0.3, 1.7, 4.0]

WORKINGS = {
    "block": Block(Attention(2, causal=True), norm=Norm(eps=0.1), mlp=Mlp(), positions=Positions("sinusoidal")),
    "turned": Attention(2, rotary=Rotary()),
    "capped": Attention(2, softcap=2.0),
}


def evaluation_of(spec):
    """The last line of a working on random arrays, claimed as it is not."""
    working = spec.working()
    sizes = {"token": 3, "model": 6, "depth": 4, "head": 2, "head*depth": 8, "hidden": 5}
    rng = np.random.default_rng(1)
    trace = working.run({each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens})
    last = working.lines[-1].name
    claims = (Claim.of(last, trace[last] + 1),)
    return Evaluation(claims, working, {name: trace.numpy(name) for name in trace})


@pytest.mark.parametrize("name", WORKINGS)
def test_all_values_at_once_are_each_by_itself(name):
    """Of every parameter that is fitted: the numbers of three values, computed together, are those of each rewrite."""
    evaluation = evaluation_of(WORKINGS[name])
    seen = []
    for trial in trials(evaluation):
        values = [value for value in VALUES if trial.parameter.least <= value <= trial.parameter.most]
        each = [evaluation.cells(evaluation.of(trial.applied(value))) for value in values]
        if trial.parameter.type is float and each[0] is not None:
            made = family(trial.applied, evaluation.working)
            together = numbers_of(made, values, evaluation)
            np.testing.assert_allclose(together, np.array(each), rtol=1e-12, atol=1e-12, err_msg=trial.row.id)
            seen.append(trial.row.id)
    assert {"scale-factor", "softmax-base", "embedding-factor"} <= set(seen)
