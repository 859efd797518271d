"""A short campaign against all readers, and what a campaign must notice."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def python(*arguments):
    """A Python of its own, since a campaign sets signals and counts the memory of its process."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RUST_BACKTRACE": "0"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, check=False)


def test_spoiled_inputs_raise_errors_of_ours_and_nothing_else(tmp_path):
    """No reader raises anything else, takes two seconds or 500 MB; the same inputs each time."""
    done = python("-m", "fuzz", "--executions", "100", "--found", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "0 faults" in done.stdout


PLANTED = """
import signal, sys, warnings
from pathlib import Path
from fuzz import __main__ as fuzz
from fuzz.reader import Reader

class Panic(BaseException): pass
def error(data, folder): raise KeyError("planted")
def panic(data, folder): raise Panic("planted")
def warning(data, folder): warnings.warn("planted")
def loop(data, folder):
    while True: pass
def memory(data, folder): b"x" * (600 << 20)

warnings.simplefilter("error")
signal.signal(signal.SIGPROF, fuzz.raise_too_slow)
for use in (error, panic, warning, loop, memory):
    kept = Path(sys.argv[1], use.__name__)
    campaign = fuzz.Campaign(Reader("planted", use, (use.__name__.encode(),)), 1, kept, kept)
    campaign.step()
    print("found", *campaign.faults)
"""


def test_what_is_wrong_is_noticed(tmp_path):
    """An error of another kind, a panic, a warning, a loop without end and much memory are faults, and are kept."""
    done = python("-c", PLANTED, str(tmp_path))
    error, panic, warning, loop, memory = [each for each in done.stdout.splitlines() if each.startswith("found")]
    assert [says in line for says, line in (
        ("KeyError", error), ("Panic", panic), ("UserWarning", warning), ("TooSlow", loop), ("MB", memory)
    )] == [True] * 5  # fmt: skip
    for name in ("error", "panic", "warning", "loop", "memory"):
        kept = [path.read_bytes() for path in (tmp_path / name).iterdir() if path.suffix != ".txt"]
        assert kept == [name.encode()]
