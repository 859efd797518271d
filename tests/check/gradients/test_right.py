"""Right gradients in many styles are not called wrong: in loops, blocks, einsums, with rules of their own, in any type.

Some are probed here, and all in every type of numbers by `make gradients`.
"""

import numpy as np
import pytest
from tests.check.gradients.right import PRECISIONS, said_of
from tests.check.gradients.right_attention import ATTENTION
from tests.check.gradients.right_layers import LAYERS
from tests.check.gradients.right_libraries import LIBRARIES

ALL = ATTENTION | LAYERS | LIBRARIES
SAMPLE = 9
DRAWN = np.random.default_rng(62).choice([*ALL], SAMPLE, replace=False).tolist()


def test_there_are_many():
    """There are more than 80 right backward passes, a quarter of them with PyTorch or JAX, none twice."""
    assert len(ALL) == len(ATTENTION) + len(LAYERS) + len(LIBRARIES) > 80
    assert len(LIBRARIES) * 4 > len(ALL)


@pytest.mark.parametrize(("name", "dtype"), [(name, PRECISIONS[at % 3]) for at, name in enumerate(DRAWN)])
def test_right_gradients_are_not_called_wrong(name, dtype):
    """The probe agrees: no gradient is wrong, each fits its forward pass, and no property fails."""
    assert said_of(ALL[name], dtype) == ""
