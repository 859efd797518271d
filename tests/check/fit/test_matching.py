"""Orders of rows and columns are found by what stands in them."""

import numpy as np

from clearhead import Attention, Claim, diagnose


def test_orders_that_exchange_equal_rows_are_all_named():
    """Two tokens are equal, so that two orders of the rows give what is claimed: the one planted is among them."""
    working = Attention(1, output=False).working()
    rng = np.random.default_rng(2)
    sizes = {"token": 4, "model": 3, "depth": 2, "head": 1}
    arrays = {each.name: rng.normal(size=[sizes[word] for word in each.axes]) for each in working.givens}
    arrays["input"][3] = arrays["input"][1]
    trace = working.run(arrays)
    last = working.lines[-1].name
    report = diagnose([Claim.of(last, trace[last][..., [1, 2, 0, 3], :], decimals=5)], trace)
    orders = {finding.applied[0].parameters[-1][1] for finding in report.findings}
    assert orders == {"2-3-1-4", "4-3-1-2"}
    assert len(report.indistinguishable) == 1
