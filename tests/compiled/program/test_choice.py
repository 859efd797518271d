"""Which products are ours: measured once, and the same from then on."""

import json

import pytest

from clearhead.compiled import kept
from clearhead.compiled.program import blas, choice
from clearhead.compiled.program.program import Product


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of the user's that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choice.measured.cache_clear()
    yield tmp_path / "clearhead"
    choice.measured.cache_clear()


def counted(monkeypatch, answer):
    """Has a measurement give an answer; returns the list of what was measured."""
    asked = []
    monkeypatch.setattr(choice, "_is_ours", lambda product: asked.append(product) or answer(product))
    return asked


def test_what_was_measured_is_kept(folder, monkeypatch):
    """A second process reads what the first has found, and measures nothing."""
    asked = counted(monkeypatch, lambda product: product is not Product.SUMS)
    assert choice.own() == set(Product) - {Product.SUMS}
    assert asked == list(Product)
    choice.measured.cache_clear()
    counted(monkeypatch, lambda _: pytest.fail("measured again"))
    assert choice.own() == set(Product) - {Product.SUMS}
    (file,) = folder.iterdir()
    held = json.loads(kept.read(file.name))
    assert held == {"PACKED": True, "FEW": True, "MANY": True, "SCORES": True, "SUMS": False}


def test_the_first_to_write_decides(folder, monkeypatch):
    """What another process writes while this one measures stands for both."""

    def meanwhile(product):
        if product is Product.FEW:
            kept.keep(f"products-{choice._key()}", json.dumps({each.name: False for each in Product}).encode())
        return True

    counted(monkeypatch, meanwhile)
    assert choice.own() == frozenset()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"FEW": true', '"x"'])
def test_a_damaged_file_is_written_again(folder, monkeypatch, content):
    """A file that cannot be read counts as none."""
    counted(monkeypatch, lambda product: product is Product.FEW)
    folder.mkdir()
    (folder / f"products-{choice._key()}").write_text(content)
    assert choice.own() == {Product.FEW}
    choice.measured.cache_clear()
    assert choice.own() == {Product.FEW}


def test_where_nothing_can_be_kept_all_products_are_ours(folder, monkeypatch):
    """A choice that would be made anew by each process is not made."""
    folder.write_text("no folder")
    asked = counted(monkeypatch, lambda _: False)
    assert choice.own() == frozenset(Product)
    assert not asked


def test_both_ways_are_measured():
    """A real measurement comes out, and says either."""
    assert all(choice._is_ours(product) in (True, False) for product in Product)


def test_a_process_can_do_without_measurements(folder, monkeypatch):
    """Where numbers must be those of other machines, all products are ours, and nothing is measured or kept."""
    monkeypatch.setattr(choice, "_is_ours", lambda _: pytest.fail("measured"))
    blas.left_out.set()
    try:
        assert choice.own() == frozenset(Product)
    finally:
        blas.left_out.clear()
    assert not folder.exists()
