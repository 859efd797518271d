"""Steps of optimizers: right ones are not called wrong, in any type of numbers, and wrong ones are named."""

import pytest
from tests.check.gradients.right import PRECISIONS
from tests.check.gradients.right_steps import STEPS, WRONG_STEPS


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", STEPS)
def test_right_steps_are_not_called_wrong(name, dtype):
    """A step that somebody wrote, or PyTorch, agrees with the lines of it."""
    assert STEPS[name].said(dtype) == ""


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_wrong_steps_are_named(name):
    """What a step does otherwise is named, and nothing else."""
    assert [each.deviations for each in WRONG_STEPS[name].probed().findings] == [(name,)]
