"""A sweep: right gradients in four precisions, wrong ones, and rows of gradients beside rows of the forward pass.

``python -m tests.check.gradients.sweep`` prints what is not as it should be, how many were tried in how many kinds of
problem, and ends with 1 if anything is not. Rows of gradients alone, in the same kinds, are what `make planted` tries.
"""

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from tests.check.gradients import zoo
from tests.check.gradients.right import PRECISIONS, said_of
from tests.check.gradients.right_steps import STEPS
from tests.check.gradients.test_right import ALL

from clearhead import Attention, probe_gradients
from clearhead.deviations.table import DEVIATIONS

sys.path.insert(0, str(Path(__file__).parents[3] / "docs"))
from planted import GRADIENTS, choices, plant

SEED = 2026
PAIRS_OF_KIND = 4
"""How many pairs are planted in each kind."""


def attention(kw):
    """The working and the options of plain code for a row of the zoo."""
    spec = {"heads": 2, **kw}
    own = {name: kw[name] for name in ("causal", "cap") if name in kw}
    cap = spec.pop("cap", None)
    return Attention(**spec, softcap=cap).working(), own


def false_alarms() -> Iterator[str]:
    """What is wrongly said of right gradients and right steps of training; nothing of what is called right."""
    for (name, right), dtype in product(ALL.items(), PRECISIONS):
        said = said_of(right, dtype)
        yield said and f"{name} in {dtype}: {said}"
    for (name, step), dtype in product(STEPS.items(), PRECISIONS):
        said = step.said(dtype)
        yield said and f"{name} in {dtype}: {said}"


def misses() -> Iterator[str]:
    """Wrong gradients that are not reported as they should be; nothing for those that are."""
    for name, (spec, faults, cause, wrong) in zoo.WRONG_HEADS.items():
        working, own = attention(spec)
        heads = zoo.Heads(**own, **faults)
        report = probe_gradients(heads.backward, working, forward=heads.forward)
        found = [each.deviations for each in report.findings]
        told = report.fits_forward is False and report.wrong == tuple(f"{each}.grad" for each in wrong.split())
        good = told and found == ([(cause,)] if cause else [])
        yield "" if good else f"{name}: {found}, {report.wrong}, fits {report.fits_forward}"


def pairs() -> Iterator[str]:
    """Rows of gradients beside rows of the forward pass that are not found as the pair they are; nothing for others.

    A pair whose numbers a single row, or more sets than are listed, would give too cannot be distinguished from these.
    """
    rng = np.random.default_rng(SEED)
    for kind_name, kind in GRADIENTS.items():
        arrays = kind.arrays(seed=1)
        ids = [id for id, row in DEVIATIONS.items() if row.kind != "rounding" and not id.startswith("shown")]
        tried = {
            way: [each for id in ids if DEVIATIONS[id].of == way for each in choices(kind, arrays, id)]
            for way in ("forward", "backward")
        }
        for number in range(PAIRS_OF_KIND):
            both = [tried[way][rng.integers(len(tried[way]))] for way in ("forward", "backward")]
            made = plant(kind, arrays, both, seed=number, most=2)
            if made is None or made.report.verdict == "agrees" or made.report.symptom:
                continue
            smaller = {len(each.deviations) for each in made.report.findings}
            good = made.found or smaller == {1} or made.report.fitting > len(made.report.findings)
            yield "" if good else f"{kind_name}: {' and '.join(map(str, both))}: {made.result}"


PARTS = {
    "right gradients and steps, in four types of numbers, are called wrong": false_alarms,
    "wrong gradients are not reported as they should be": misses,
    f"pairs, in {len(GRADIENTS)} kinds of problem, are not found": pairs,
}
"""What is counted of each part."""


def main() -> int:
    """Prints all that is not as it should be, and how many were tried."""
    count = 0
    for says, part in PARTS.items():
        told = list(map(shown, part()))
        print(f"{sum(map(bool, told))} of {len(told)} {says}.", flush=True)
        count += sum(map(bool, told))
    return 1 if count else 0


def shown(line: str) -> str:
    """The same line, which is printed where it says something."""
    if line:
        print(line, flush=True)
    return line


if __name__ == "__main__":
    sys.exit(main())
