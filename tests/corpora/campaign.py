"""Runs that are killed again and again: `make corpus-kills`. Each must end with the bytes of an undisturbed run.

Runs of worker processes are killed (-9, with all their workers) KILLS times, at random moments, and resumed until they
are done; then Dask clusters of two and of four worker processes, one of which is killed in the middle of a shard; then
a file system that is too small, where this may mount one.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from clearhead.corpora import Dask, Local, open_corpus
from clearhead.corpora.running import REPORT, RESULTS, run
from clearhead.errors import ClearheadError

from .conftest import OPTIONS, drawn, model_in, write_lines

PROGRAM = """
import sys
from clearhead.corpora import Local
from clearhead.corpora.running import run
from tests.corpora.conftest import OPTIONS
model, data, output, workers = sys.argv[1:]
run(model, [data], output, OPTIONS, Local(int(workers)), (1, 1), None, 4)
"""


def results(folder):
    return [(folder / name).read_bytes() for name in (RESULTS, REPORT)]


def finished(output):
    """How many shards are there."""
    return len(list((Path(output) / "shards").glob("*.parquet")))


def killed(model, data, output, moment, more):
    """Starts a run in a session of its own, and kills all of it; says whether it had ended.

    The moment is so many seconds after so many ``more`` shards have come: on a busy machine by far the most of a run
    is its start, and a moment by the clock alone would lie in that.
    """
    wanted = finished(output) + more
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, model, data, output, "2"], start_new_session=True)
    while finished(output) < wanted and process.poll() is None:
        time.sleep(0.002)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    assert process.returncode == 0, process.returncode
    return True


def kills(folder, model, data, right, count):
    """Kills, spread over runs that are resumed until they end: in their start, in any of the shards, in their end."""
    rng, done, runs = random.Random(1), 0, 0
    while done < count:
        output = folder / f"killed{runs}"
        while not killed(model, data, str(output), rng.uniform(0, 0.5), rng.choice((0, 1, 2, 5, 11))):
            done += 1
            print(f"kill {done}: {finished(output)} shards are there", flush=True)
        assert results(output) == right, f"run {runs}"
        runs += 1
    print(f"{done} kills over {runs} runs: the same bytes", flush=True)


def cluster(folder, model, data, right, workers):
    """A Dask cluster of worker processes; one is killed while a shard is in hand."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50) as local:
        victim = next(iter(local.workers.values())).pid

        def kill():
            with Client(local.scheduler_address, set_as_default=False) as client:
                while not any(client.processing().values()):
                    time.sleep(0.02)
            time.sleep(1)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        output = folder / f"dask{workers}"
        run(model, [data], str(output), OPTIONS, Dask(local.scheduler_address), (1, 1), None, 4)
        killer.join()
    assert results(output) == right
    print(f"Dask, {workers} worker processes, one killed: the same bytes")


def full_disk(folder, model, data, right):
    """A file system of 400 kB: the run ends with an error that says why; with room it goes on."""
    output = folder / "small"
    output.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(output)], check=False).returncode:
        print("full disk: not tried, no file system can be mounted here")
        return
    try:
        try:
            run(model, [data], str(output), OPTIONS, Local(1), (1, 1), None, 4)
        except ClearheadError as error:
            print(f"full disk: {error}")
        else:
            raise AssertionError("all of it fitted")
        subprocess.run(["mount", "-o", "remount,size=20m", str(output)], check=True)
        run(model, [data], str(output), OPTIONS, Local(1), (1, 1), None, 4)
        assert results(output) == right
    finally:
        subprocess.run(["umount", str(output)], check=True)
    print("full disk, then room: the same bytes")


def main():
    count = int(sys.argv[1])
    folder = Path(tempfile.mkdtemp())
    try:
        data = write_lines(folder / "docs.jsonl", drawn(120))
        model = str(model_in(folder / "model"))
        run(model, [str(data)], str(folder / "right"), OPTIONS, Local(1), (1, 1), None, 64)
        right = results(folder / "right")
        for workers in (2, 3):
            run(model, [str(data)], str(folder / f"w{workers}"), OPTIONS, Local(workers), (1, 1), None, 4)
            assert results(folder / f"w{workers}") == right
            print(f"{workers} processes: the same bytes")
        kills(folder, model, str(data), right, count)
        for workers in (2, 4):
            cluster(folder, model, str(data), right, workers)
        full_disk(folder, model, str(data), right)
        for each in sorted(folder.glob("killed*")):
            assert not open_corpus(str(each)).missing
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
