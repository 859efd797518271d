"""Wrong gradients from public reports: what is said of each."""

import pytest
from tests.check.gradients.reported import REPORTS, RIGHT, Report
from tests.check.gradients.reported_fresh import FRESH, RIGHT_FRESH
from tests.check.gradients.reported_later import LATER, RIGHT_LATER

from clearhead import probe_gradients

ALL, ALL_RIGHT = REPORTS | LATER | FRESH, RIGHT | RIGHT_LATER | RIGHT_FRESH


def probed(report: Report):
    return probe_gradients(report.backward, report.working, report.takes, report.returns, forward=report.forward)


@pytest.mark.sweep(4)
@pytest.mark.parametrize("name", ALL)
def test_what_was_reported(name):
    """The wrong gradients are named, no other; the cause is that of the report, or none, and a measurement says it."""
    report = ALL[name]
    found = probed(report)
    assert found.wrong == tuple(f"{each}.grad" for each in report.wrong)
    assert (found.findings[0].deviations if found.findings else ()) == report.by
    assert report.said in str(found)
    assert report.by or report.said


@pytest.mark.parametrize("name", ALL_RIGHT)
def test_what_was_reported_and_is_right(name):
    """Right gradients that somebody took for wrong ones agree."""
    assert probed(ALL_RIGHT[name]).verdict == "agrees"
