"""What it costs to start: whole processes.

The aim: `clearhead show soccer` at most twice what `python -c "import numpy"` costs.
"""

from __future__ import annotations

from bench.timing import compare, process


def run() -> None:
    """Prints the ratios."""
    show = process("-m", "clearhead", "show", "soccer")
    for code in ("import numpy", "import torch"):
        ratio = compare(show, process("-c", code), pairs=15 if "numpy" in code else 5, repeat=1)
        print(ratio.row("clearhead show soccer", f'python -c "{code}"', 1e3, "ms"))
