"""Each kind of fault that was once missed or said falsely is said rightly, on inputs of its own."""

import pytest

import clearhead

from . import kinds_of_arithmetic, kinds_of_code  # noqa: F401 - they add to the kinds
from .kinds import KINDS

pytestmark = pytest.mark.sweep(3)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_said_rightly(name):
    """The verdict, the words and the deviation are those of the true cause, and nothing false stands beside them."""
    case = KINDS[name]
    report = clearhead.probe(case.function, case.working, case.takes, case.returns, given=case.given)
    said = str(report)
    assert report.verdict == case.verdict, said
    assert case.says in said, said
    assert not case.never or case.never not in said, said
    found = {id for each in report.findings for id in each.ids}
    assert case.deviation in found or not case.deviation, said
