"""Every rewrite of a step of training against plain NumPy, written as people write the bug."""

import numpy as np
import pytest

from clearhead import Claim, SpecError, diagnose
from clearhead.deviations import deviate
from clearhead.deviations.table import GROUPS
from clearhead.spec import Attention, Backward, Loss, Optimizer

from . import wild_steps as wild

pytestmark = pytest.mark.sweep(3)

FORWARD = Attention(1).working()
LOSS = Loss("squared-error")
STEPS = 3
SIZES = {"token": 3, "model": 4, "depth": 2, "head": 1, "head*depth": 2}


def training(steps=STEPS, **more):
    options = {"rate": wild.RATE, "betas": wild.BETAS, "eps": wild.EPS, "decay": wild.DECAY, "clip": wild.LIMIT, **more}
    return Backward(loss=LOSS, optimizer=Optimizer(steps=steps, **options)).working(FORWARD)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(4)
    drawn = {each.name: rng.normal(size=[SIZES[word] for word in each.axes]) for each in FORWARD.givens}
    return {**drawn, "target": rng.normal(size=(3, 4))}


def expected(arrays, **faults):
    """The weights after each step, by the plain code."""
    weights = [name for name in arrays if name.endswith("weight")]
    backward = Backward(loss=LOSS, wrt=tuple(weights)).working(FORWARD)

    def gradients(numbers):
        trace = backward.run({**arrays, **numbers})
        return {name: trace[f"{name}.grad"] for name in weights}

    return wild.train({name: arrays[name] for name in weights}, gradients, STEPS, **faults)


def assert_gives(working, arrays, made):
    trace = working.run(arrays)
    for number, after in enumerate(made, start=1):
        path = f"step{number}." if number > 1 else ""
        for name, numbers in after.items():
            np.testing.assert_allclose(trace[f"{path}{name}.new"], numbers, rtol=1e-9, err_msg=f"{path}{name}")


def test_the_plain_steps_are_right(arrays):
    """Without a fault the plain NumPy code gives the lines of the steps."""
    assert_gives(training(), arrays, expected(arrays))


@pytest.mark.parametrize("id", wild.FAULTS)
def test_a_rewrite_gives_what_the_wild_code_gives(id, arrays):
    """The weights after every step equal those of the plain code, and not all are the right ones."""
    made = expected(arrays, **wild.FAULTS[id])
    assert_gives(deviate(training(), id), arrays, made)
    right = expected(arrays)
    assert not all(np.allclose(made[-1][name], right[-1][name], rtol=1e-6) for name in right[-1])


@pytest.mark.parametrize("id", wild.FAULTS)
def test_it_is_found_from_the_weights_after_the_steps(id, arrays):
    """The fault is named from the weights of all steps, to six decimals, and nothing else is."""
    made = expected(arrays, **wild.FAULTS[id])
    claims = [
        Claim.of(f"step{number}.{name}.new" if number > 1 else f"{name}.new", numbers, decimals=6)
        for number, after in enumerate(made, start=1)
        for name, numbers in after.items()
    ]
    report = diagnose(claims, training().run(arrays))
    assert [each.deviations for each in report.findings] == [(id,)]


def test_every_row_has_wild_code():
    """No row of a step stands on its own word."""
    assert {row.id for row in GROUPS["Steps of training"]} == {*wild.FAULTS}


@pytest.mark.parametrize(("id", "options"), [
    ("step-decay-after", {"decay": 0.0}),
    ("step-correction-missing", {"corrected": False}),
    ("step-eps-early", {"corrected": False}),
    ("step-betas-exchanged", {"betas": (0.9, 0.9)}),
    ("step-gradients-kept", {"steps": 1}),
    ("step-not-clipped", {"clip": None}),
    ("step-clipped-alone", {"clip": None}),
    ("step-root-missing", {"kind": "sgd"}),
    ("step-eps-early", {"kind": "sgd", "decay": 0.0}),
])  # fmt: skip
def test_what_a_step_does_not_have_is_not_rewritten(id, options):
    """A step without a decay, a correction or a limit is refused, in words."""
    with pytest.raises(SpecError, match="has nothing to rewrite"):
        deviate(training(**({"betas": (0.9, 0.999)} | options if options.get("kind") != "sgd" else options)), id)
