"""What is measured of norms, MLPs, blocks and weights inside: the part that differs, or the deviation that does it."""

import pytest

import clearhead

from .block_faults import FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_said_and_named(name):
    """Each fault is said by its part, with its number, and gets its name where the table has one."""
    fault = FAULTS[name]
    report = clearhead.probe(fault.function, fault.working, fault.takes, fault.returns, given=fault.given)
    said = str(report)
    assert report.verdict == "explained" or not fault.deviations, said
    assert report.measured is not None
    assert fault.part in (*report.measured.names, ""), said
    assert fault.says in said
    found = {id for each in report.findings for id in each.ids}
    assert set(fault.deviations) <= found, said
