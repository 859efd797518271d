"""One palette for all media, and weights from 0 to 1 in each."""

import re
from pathlib import Path

import matplotlib.colors
import numpy as np

import clearhead.show
from clearhead.show.colours import ABOVE, BELOW, MASKED, ZERO, shade

SHOW = Path(clearhead.show.__file__).parent


def test_the_page_and_the_paper_have_the_palette():
    """The style sheet's light colours and the worksheet's blue are those of the palette."""
    light = (SHOW / "page/page.css").read_text("utf-8").partition("}")[0]
    found = dict(re.findall(r"--(above|below|masked|cell): (#\w+);", light))
    assert found == {"above": ABOVE, "below": BELOW, "masked": MASKED, "cell": ZERO}
    assert f'rgb("{ABOVE}")' in (SHOW / "paper/typst/worksheet.typ").read_text("utf-8")


def test_plots_have_the_palette(trace):
    """Weights go from the colour of zero to blue at 1; other numbers to orange below and blue above zero."""
    weights, signed = (trace.plot(line).axes[0].images[0] for line in ("weights", "scores"))
    for image, value, expected in ((weights, 0, ZERO), (weights, 1, ABOVE), (signed, 0, ZERO)):
        assert matplotlib.colors.to_hex(image.cmap(image.norm(value))) == expected
    largest = np.abs(trace["scores"]).max()
    assert [matplotlib.colors.to_hex(signed.cmap(signed.norm(x))) for x in (-largest, largest)] == [BELOW, ABOVE]


def test_a_number_on_the_deepest_shade_is_readable():
    """Black text has a contrast of at least 4.5 on it."""
    linear = [(int(shade(1.0)[at : at + 2], 16) / 255) ** 2.2 for at in (0, 2, 4)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert (luminance + 0.05) / 0.05 > 4.5
