"""Engines of worker processes: local ones, and a Dask cluster, also where workers and disks fail."""

import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from clearhead import load
from clearhead.corpora import Dask, Local, mapped, running
from clearhead.corpora.engines.child import Child, WorkerDied
from clearhead.corpora.plan import plan_of
from clearhead.corpora.running import run
from clearhead.corpora.worker import Job
from clearhead.errors import ClearheadError, FileError

from .conftest import OPTIONS, Here


def done(checkpoint, data, output, engine, size=5):
    return run(str(checkpoint), [str(data)], str(output), OPTIONS, engine, (1, 1), None, size)


def results(folder):
    return [(Path(folder) / name).read_bytes() for name in (running.RESULTS, running.REPORT)]


def children():
    """The worker processes of this process."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "clearhead.corpora.worker" in line]


def test_processes_give_what_one_process_gives(checkpoint, lines, tmp_path):
    """Two workers, of which one is killed (-9) in the middle of a shard: the bytes of an undisturbed run."""
    done(checkpoint, lines, tmp_path / "here", Here())

    def kill():
        while not (found := children()):
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done(checkpoint, lines, tmp_path / "two", Local(2))
    killer.join()
    assert results(tmp_path / "two") == results(tmp_path / "here")
    assert children() == []


def test_a_cluster_gives_what_one_process_gives(checkpoint, lines, tmp_path):
    """A Dask cluster whose worker has two threads, each with a worker process of ours."""
    from distributed import Client, LocalCluster

    done(checkpoint, lines, tmp_path / "here", Here())
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, **quiet) as cluster, Client(cluster):
        done(checkpoint, lines, tmp_path / "dask", Dask())
    assert results(tmp_path / "dask") == results(tmp_path / "here")


LOCK, AT_ONCE = threading.Lock(), [0]


def slowly(_):
    """A shard that takes a while; `AT_ONCE` has how many were in hand each time that one began or ended."""
    for change in (1, -1):
        with LOCK:
            AT_ONCE.append(AT_ONCE[-1] + change)
        if change > 0:
            time.sleep(0.1)
    return ""


def test_a_cluster_may_grow(monkeypatch):
    """A cluster that begins with one worker and gets three more: all of them have work."""
    from distributed import Client, LocalCluster

    from clearhead.corpora.engines import dask
    from clearhead.corpora.plan import Shard

    monkeypatch.setattr(dask, "do", slowly)
    quiet = {"dashboard_address": None, "silence_logs": 50, "processes": False}
    shards = [Shard(f"s{number}", number, 1, ()) for number in range(40)]
    finished = []
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster, Client(cluster):

        def done(shard):
            if not finished:
                cluster.scale(4)
            finished.append(shard.name)

        Dask().run(Job("", "", "", OPTIONS), shards, done)
    assert sorted(finished) == sorted(shard.name for shard in shards)
    assert max(AT_ONCE) >= 3


def test_no_scheduler_is_said():
    """An address at which nothing answers, and no address where there is no client."""
    with pytest.raises(FileError, match="no scheduler answers"):
        Dask().run(Job("", "", "", OPTIONS), [], print)


def test_a_full_disk_is_said_and_leaves_nothing_half_written(checkpoint, lines, tmp_path):
    """With room for part of a shard only: an error that says why, and no file; with room again the rest is done."""
    model = load(checkpoint, engine="array")
    shard = plan_of(model, [str(lines)], OPTIONS, 5).shards[0]
    with Child() as child:
        resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        job = Job(str(checkpoint), str(tmp_path / "out"), "", OPTIONS)
        with pytest.raises(ClearheadError, match="other versions"):
            child.do(job, shard)
        job = Job(str(checkpoint), str(tmp_path / "out"), plan_of(model, [str(lines)], OPTIONS).fingerprint, OPTIONS)
        with pytest.raises(ClearheadError, match="cannot be written: File too large"):
            child.do(job, shard)
        assert list((tmp_path / "out" / "shards").iterdir()) == []
        resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        child.do(job, shard)
    assert [each.name.partition("-")[0] for each in (tmp_path / "out" / "shards").iterdir()] == [shard.name]
    with pytest.raises(WorkerDied):
        child.do(job, shard)


def test_documents_that_end_workers_are_an_error(checkpoint, lines, tmp_path, monkeypatch):
    """A shard over which three workers die is named, instead of being tried for ever."""
    monkeypatch.setattr("clearhead.corpora.engines.child.PROGRAM", "")
    with pytest.raises(ClearheadError, match="documents 0 to 39: 3 workers ended over them"):
        done(checkpoint, lines, tmp_path / "out", Local(1), size=64)


def test_mapped_weights_are_the_weights(checkpoint, tmp_path):
    """In one file for all workers: the same numbers, laid out in memory as they were."""
    model, other = (load(checkpoint, engine="array") for _ in range(2))
    mapped.save(model, str(tmp_path / "w"))
    mapped.use(other, str(tmp_path / "w"))
    mapped.compact(model)
    assert other.arrays.keys() == model.arrays.keys()
    for name, array in model.arrays.items():
        mine = other.arrays[name]
        assert (mine.strides, mine.dtype) == (array.strides, array.dtype)
        assert (mine == array).all()
        assert not mine.flags.writeable
