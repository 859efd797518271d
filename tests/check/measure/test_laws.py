"""How numbers follow sizes, and how people write them."""

from math import sqrt

import pytest

from clearhead.check.measure.laws import Law, law_of, reading

SIZES = [{"depth": depth, "key": key, "head": 4} for depth, key in ((4, 4), (8, 6), (16, 5), (6, 9))]


@pytest.mark.parametrize(
    ("follows", "law", "written"),
    [
        (lambda _: 0.5, Law(0.5), "0.5"),
        (lambda z: 1 / sqrt(z["depth"]), Law(1.0, "1/sqrt(depth)"), "1/sqrt(depth)"),
        (lambda z: 1.19 / sqrt(z["depth"]), Law(1.19, "1/sqrt(depth)"), "1.19/sqrt(depth)"),
        (lambda z: 1 / z["depth"], Law(1.0, "1/depth"), "1/depth"),
        (lambda z: 1 / sqrt(z["head"] * z["depth"]), Law(1.0, "1/sqrt(head*depth)"), "1/sqrt(head*depth)"),
        (lambda z: -1 / sqrt(z["key"]), Law(-1.0, "1/sqrt(key)"), "-1/sqrt(key)"),
    ],
)
def test_the_law_of_numbers_is_found_and_written(follows, law, written):
    """Numbers that follow the sizes give their law, with its factor, as a formula."""
    found = law_of([follows(each) for each in SIZES], SIZES)
    assert found is not None
    assert found.of == law.of
    assert found.factor == pytest.approx(law.factor)
    assert str(found) == written
    assert [found(each) for each in SIZES] == pytest.approx([follows(each) for each in SIZES])


def test_no_law_is_made_of_one_size_or_of_numbers_without_one():
    """One depth cannot tell 0.5 from 1/sqrt(4), and numbers of no law have none."""
    assert law_of([0.5, 0.5], [{"depth": 4, "key": 3}, {"depth": 4, "key": 5}]) is None
    assert law_of([0.5, 0.7, 0.1, 0.2], SIZES) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0.125, "1/8 = 1/sqrt(64)"),
        (1 / sqrt(80), "1/sqrt(80)"),
        (sqrt(7), "sqrt(7)"),
        (0.6931472, "ln 2"),
        (-0.25, "-1/4 = -1/sqrt(16)"),
        (1.37, ""),
        (3.0, ""),
        (0.0, ""),
    ],
)
def test_numbers_are_read_as_people_write_them(value, read):
    """Inverses and roots of whole numbers and known constants are recognised; other numbers are left."""
    assert reading(value) == read
