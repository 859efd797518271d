"""The cost of large corpora, by simulation, as the documents tell it."""

import re
from pathlib import Path

import pytest
from bench.corpus_cost import MODELS, Case, Rates, simulate

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "corpus.md"
ROW = re.compile(r"^\| (\S+), 1e6 \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) h \| (\d+) % \| (\d+) min ", re.M)


def test_without_differences_time_is_work_by_workers():
    """Eight workers and eighty shards of equal length: ten rounds each, by hand; nobody waits for the scheduler."""
    case, rates = Case(8000, 100, 8, shard=100, slow=0.0, spread=0.0), Rates(1000, 1e6, 0.5, scan=1e6, scheduler=0.0)
    cost = simulate(case, rates)
    assert cost.seconds == pytest.approx(80 * 100 * 100 / 1000 / 8, rel=0.1)  # speeds differ by a twentieth
    assert 0.9 < cost.busy <= 1
    assert (cost.written, cost.merge, cost.scheduler) == (80e6, 40, 0)
    assert cost.plan == pytest.approx(8000 * 100 * 4.5 / 1e6)


def test_no_worker_is_faster_than_its_share_and_large_shards_wait_longer():
    """Time is at least the work by all workers together; with larger shards the last ones are waited for longer."""
    rates = Rates(1000, 1e6, 0.5)
    found = [simulate(Case(100_000, 1000, 64, shard=size), rates) for size in (16, 256, 1024)]
    assert all(cost.seconds * cost.busy == pytest.approx(found[0].seconds * found[0].busy, rel=0.05) for cost in found)
    assert found[0].wait < found[1].wait < found[2].wait
    assert found[0].merge > found[1].merge > found[2].merge


def test_the_documents_have_what_the_simulation_gives():
    """Each row of the table for a million documents: time, work, and the wait for the last."""
    rows = ROW.findall(PAGE.read_text("utf-8"))
    assert len(rows) >= 4
    for model, workers, shard, hours, work, wait in rows:
        size = [int(each.replace(",", "")) for each in (workers, shard)]
        cost = simulate(Case(1_000_000, 1000, size[0], shard=size[1]), MODELS[model])
        assert float(hours) == pytest.approx(cost.seconds / 3600, abs=0.06)
        assert (int(work), int(wait)) == (round(100 * cost.busy), round(cost.wait / 60))
