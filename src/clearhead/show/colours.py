"""The colours of numbers, the same in every medium: blue above zero, orange below, darker with distance from zero.

Weights go from 0 to 1 in every medium. `page.css` and `worksheet.typ` repeat the colours; a test compares them.
"""

ABOVE, BELOW = "#3a7fc4", "#dd8433"
"""The darkest blue and orange: people of every colour vision can distinguish them."""

ZERO = "#f3f4f6"
MASKED = "#c9ccd3"
"""For cells without a number: masked, or NaN."""

MAX_BLEND = 0.62
"""The opacity of the darkest shade behind a number, so that the number stays readable."""


def shade(weight: float) -> str:
    """The colour behind a weight on white paper, as six hexadecimal digits."""
    part = MAX_BLEND * min(max(weight, 0.0), 1.0)
    blue = (int(ABOVE[at : at + 2], 16) for at in (1, 3, 5))
    return "".join(f"{round(255 + (each - 255) * part):02X}" for each in blue)
