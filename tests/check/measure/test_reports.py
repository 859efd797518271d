"""Public bug reports: the true cause is said, or named in the first group."""

import pytest

import clearhead

from .reports import REPORTS


@pytest.mark.parametrize("name", REPORTS)
def test_the_cause_of_a_public_report_is_found(name):
    """Each is explained, in words that say what its reporter found, and by its deviation where the table has it."""
    case = REPORTS[name]
    report = clearhead.probe(case.function, case.working, case.takes, case.returns, given=case.given)
    assert report.verdict == "explained", str(report)
    assert case.says in str(report)
    found = {id for each in report.findings for id in each.ids}
    assert case.deviation in found or not case.deviation, str(report)
