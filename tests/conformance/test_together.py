"""Texts that go through a model together: the numbers of each are those that it has alone."""

import numpy as np
import pytest

from clearhead.models import Encoded, load
from clearhead.models.inputs import inputs_of
from clearhead.models.together import NotTogether, Together
from clearhead.models.walking import Asked, Run

from .families import made

LENGTHS = (5, 1, 12, 30, 9)
ASKED = Asked(1, (1, 2, 4, 8))


def opened(name, folder):
    """A small model of a family, and five texts for it."""
    made(name).save_pretrained(folder)
    model, rng = load(folder), np.random.default_rng(0)
    ids = [tuple(rng.integers(0, 37, length).tolist()) for length in LENGTHS]
    return model, [inputs_of(model, Encoded(each, (0,) * len(each), ())) for each in ids]


def numbers(run, parts):
    """Of each text: all statistics of all layers, and the last state."""
    layers = [run.layer(n, count=run.model.sizes.layers).found.numbers for n in range(run.model.sizes.layers)]
    return [
        [*({name: array[:, part] for name, array in each.items()} for each in layers), {"state": run.hidden[part]}]
        for part in parts
    ]


@pytest.mark.parametrize("name", ["bert", "gpt2", "bloom", "opt", "gemma", "neox"])
def test_a_text_has_the_same_numbers_in_any_company(name, tmp_path):
    """To the last bit: positions learned, counted, rotary and by slopes; near those of the way for single texts."""
    model, inputs = opened(name, tmp_path)
    ends = np.cumsum(LENGTHS)
    together = numbers(Together(model, inputs, ASKED), map(slice, ends - LENGTHS, ends))
    for text, each in zip(together, inputs, strict=True):
        only = [slice(len(each.arrays["token"]))]
        alone, singly = (
            numbers(run, only)[0] for run in (Together(model, [each], ASKED), Run(model, each, ASKED, None))
        )
        for ours, same, near in zip(text, alone, singly, strict=True):
            for statistic, array in ours.items():
                np.testing.assert_array_equal(array, same[statistic])
                if statistic != "top_keys":
                    np.testing.assert_allclose(array, near[statistic], atol=2e-5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("llama, dynamic", "rotary.scaled does not compute"),
        ("roberta", "embedding.position does not compute"),
        ("falcon", "compiled code does not compute each row"),
    ],
)
def test_what_depends_on_other_rows_is_not_computed_together(name, said, tmp_path):
    """Frequencies by the length of a text, positions by its padding, and products that only the BLAS can do."""
    model, inputs = opened(name, tmp_path)
    with pytest.raises(NotTogether, match=said):
        Together(model, inputs, ASKED)
