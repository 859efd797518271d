"""A zoo of attention functions: each is compared with its working, and told for what it is."""

import pytest

import clearhead

from .zoo import ZOO

pytestmark = pytest.mark.sweep(3)


@pytest.mark.parametrize("name", ZOO)
def test_each_animal_is_told_for_what_it_is(name):
    """Right functions agree in whatever style; wrong ones come back with their cause, or with what they break."""
    animal = ZOO[name]
    report = clearhead.probe(animal.function, animal.working, animal.takes, animal.returns, animal.given)
    failing = {each.id for each in report.failing}
    if animal.expects == "agrees":
        assert report.verdict == "agrees", str(report)
        assert failing == set(animal.fails), str(report)
    elif animal.expects == "unexplained":
        assert report.verdict == "unexplained", str(report)
    else:
        assert report.verdict == "explained", str(report)
        causes = {*(id for each in report.findings[:1] for id in each.ids), *(each.kind for each in report.symptoms)}
        causes |= set(report.measured.names) if report.measured else set()
        assert animal.expects in causes, str(report)
    assert failing >= set(animal.fails), str(report)
