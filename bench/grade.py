"""Grading a class: submissions of the notebook's size a second, on one core.

The aim: at least 50. Of each four one is right, one has a known fault, one two of them, one a slip of the pen;
each claims eight lines, head by head. What is common to all is prepared once, and told apart.
"""

from __future__ import annotations

import time

import numpy as np

from clearhead import Claim, read_problem
from clearhead.check.grading.grade import Grader
from clearhead.check.search.plans import plans_for

LINES = ("query", "key", "value", "weights", "head", "concat", "residual", "norm")
FAULTS = ((), ("softmax-over-queries",), ("weights-transposed", "norm-over-matrix"), ())
SIZE = 200


def run() -> None:
    """Prints seconds of preparation, of the processor, and submissions a second."""
    everyone = [_submission(FAULTS[number % 4], number) for number in range(SIZE)]
    plans_for.cache_clear()
    start = time.process_time()
    grader = Grader(read_problem("two-heads").trace(), everyone)
    for claims in everyone[:4]:
        grader.grade(claims)
    prepared = time.process_time()
    verdicts = [grader.grade(claims).verdict for claims in everyone]
    rate = SIZE / (time.process_time() - prepared)
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in sorted({*verdicts}))
    print(f"prepared in {prepared - start:.2f} s, then {rate:.0f} submissions a second   ({counts})")


def _submission(faults: tuple[str, ...], number: int) -> list[Claim]:
    """The claims of one person: every fourth makes a slip, each in another cell."""
    trace = read_problem("two-heads").trace(*faults)
    numbers = {line: np.round(trace.numpy(line), 3) for line in LINES}
    if number % 4 == 3:
        cells = numbers[LINES[number % 7]].reshape(-1)
        cells[number % len(cells)] += 0.7
    return [claim for line, array in numbers.items() for claim in _by_head(line, array)]


def _by_head(line: str, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[Claim]:
    if array.ndim < 3:
        return [Claim.of(line, array, decimals=3)]
    return [Claim.of(f"{line}@{head}", values, decimals=3) for head, values in enumerate(array, start=1)]
