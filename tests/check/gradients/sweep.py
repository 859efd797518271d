"""A sweep: right gradients in four precisions, wrong ones, and rows of gradients beside rows of the forward pass.

``python -m tests.check.gradients.sweep`` prints what is not as it should be, and ends with 1 if anything is.
"""

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from tests.check.gradients import zoo
from tests.check.gradients.right import PRECISIONS, said_of
from tests.check.gradients.test_right import ALL

from clearhead import Attention, probe_gradients
from clearhead.deviations.table import DEVIATIONS

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
    """Right gradients that are called wrong."""
    for (name, right), dtype in product(ALL.items(), PRECISIONS):
        if said := said_of(right, dtype):
            yield f"{name} in {dtype}: {said}"


def misses() -> Iterator[str]:
    """Wrong gradients that are not reported as they should be."""
    for name, (spec, faults, cause, wrong) in zoo.WRONG_HEADS.items():
        working, own = attention(spec)
        heads = zoo.Heads(**own, **faults)
        report = probe_gradients(heads.backward, working, forward=heads.forward)
        found = [each.deviations for each in report.findings]
        told = report.fits_forward is False and report.wrong == tuple(f"{each}.grad" for each in wrong.split())
        if found != ([(cause,)] if cause else []) or not told:
            yield f"{name}: {found}, {report.wrong}, fits {report.fits_forward}"


def pairs() -> Iterator[str]:
    """Rows of gradients beside rows of the forward pass that are not found as the pair they are."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "docs"))
    from planted import GRADIENTS, choices, plant

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
            if made is None or made.report.verdict == "agrees" or made.found:
                continue
            smaller = {len(each.deviations) for each in made.report.findings}
            if not (smaller == {1} or made.report.fitting > len(made.report.findings) or made.report.symptom):
                yield f"{kind_name}: {' and '.join(map(str, both))}: {made.result}"


def main() -> int:
    """Prints all that is not as it should be."""
    count = 0
    for part in (false_alarms, misses, pairs):
        for line in part():
            print(line, flush=True)
            count += 1
    print(f"{count} are not as they should be.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
