"""Spoils inputs of all readers for a while: ``python -m fuzz --seconds 60``, or ``--executions 400`` for each reader.

An input that is refused with a message that is new joins those that are spoiled further. Whatever is raised
beside `ClearheadError`, takes over two seconds or grows memory by over 500 MB is written down, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from clearhead.errors import ClearheadError
from fuzz.reader import Reader
from fuzz.readers import readers

MAX_SECONDS, MAX_MEGABYTES = 2.0, 500
PEAK = Path("/proc/self/status")
MAX_KEPT = 600
"""Inputs that are kept of each reader, to be spoiled further."""

LARGE = 1 << 15
"""Inputs beyond this many bytes are seldom kept: they only take time."""


class TooSlow(BaseException):
    """Raised within what takes too long; no handler of errors takes it for one."""


def raise_too_slow(*_: object) -> None:
    raise TooSlow


class Campaign:
    """One reader under attack: what is spoiled next, how often it was done, and what was found."""

    def __init__(self, reader: Reader, seed: int, folder: Path, found: Path) -> None:
        self.reader = reader
        self.draw = Random(f"{reader.name} {seed}")
        self.folder = folder
        self.found = found
        self.inputs = list(reader.seeds)
        self.reached: set[object] = set()
        self.executions = 0
        self.slowest = 0.0
        self.faults: dict[str, Path] = {}

    def step(self) -> None:
        """One input."""
        first = self.executions < len(self.reader.seeds)
        data = self.inputs[self.executions] if first else self._spoiled()
        self.executions += 1
        memory = _megabytes()
        fault, seconds = self._used(data)
        if fault is None and seconds > MAX_SECONDS:
            fault, seconds = self._used(data)  # the first may have waited for imports
        self.slowest = max(self.slowest, seconds)
        if fault is None and seconds > MAX_SECONDS:
            fault = f"took {seconds:.1f} s"
        if fault is None and _megabytes() - memory > MAX_MEGABYTES:
            fault = f"took {_megabytes() - memory} MB"
        if fault is not None:
            self._write_down(fault, data)

    def _used(self, data: bytes) -> tuple[str | None, float]:
        """What is wrong with how an input is read, if anything, and the seconds that it took."""
        before = time.process_time()
        return self._fault(data), time.process_time() - before

    def _spoiled(self) -> bytes:
        some = tuple(self.draw.choices(self.inputs, k=3))
        return self.reader.spoil(self.draw, some[0], some[1:])

    def _fault(self, data: bytes) -> str | None:
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        try:
            self.reader.use(data, self.folder)
        except ClearheadError as error:
            self._keep(data, _skeleton(str(error)))
        except TooSlow:
            return f"took over {MAX_SECONDS} s\n{traceback.format_exc()}"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return traceback.format_exc()
        else:
            self._keep(data, "accepted")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return None

    def _keep(self, data: bytes, place: object) -> None:
        if place not in self.reached or (place == "accepted" and self.draw.random() < 0.01):
            self.reached.add(place)
            if len(data) < LARGE and len(self.inputs) < MAX_KEPT:
                self.inputs.append(data)

    def _write_down(self, fault: str, data: bytes) -> None:
        lines = [line for line in fault.splitlines() if line.strip().startswith("File ")]
        where = (lines[-1].strip() if lines else "") + " " + fault.strip().splitlines()[-1][:60]
        if where not in self.faults:
            name = f"{self.reader.name.replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
            self.faults[where] = self.found / name
            self.found.mkdir(parents=True, exist_ok=True)
            (self.found / name).write_bytes(data)
            (self.found / f"{name}.txt").write_text(fault, encoding="utf-8", errors="backslashreplace")
            print(f"{self.reader.name}: {where}\n    {self.found / name}", flush=True)


_OF_ONE_INPUT = re.compile(r"""\d+|'[^']*'|"[^"]*"|[0-9a-z.]*\[.*?\]""")


def _skeleton(message: str) -> str:
    """A message without what it quotes: which of all messages it is."""
    return _OF_ONE_INPUT.sub("", message[:400])[:120]


def _megabytes() -> int:
    """The most memory that this process ever had."""
    if PEAK.exists():  # Linux's ru_maxrss begins with what the parent had
        return int(re.search(r"VmHWM:\s*(\d+)", PEAK.read_text("utf-8"))[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    """Runs a campaign against each reader, a slice of time for each in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--executions", type=int, default=sys.maxsize, help="of each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="readers whose names hold this")
    parser.add_argument("--found", type=Path, default=Path("out/fuzz"))
    asked = parser.parse_args()
    signal.signal(signal.SIGPROF, raise_too_slow)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "Duplicate name")  # zipfile, of archives that are made here
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        campaigns = []
        for reader in readers():
            if asked.only in reader.name:
                own = Path(folder, reader.name)
                own.mkdir()
                campaigns.append(Campaign(reader, asked.seed, own, asked.found))
        running = list(campaigns)
        while running and time.monotonic() - began < asked.seconds:
            for each in running:
                until = time.monotonic() + 1.0
                while time.monotonic() < until and each.executions < asked.executions:
                    each.step()
            running = [each for each in running if each.executions < asked.executions]
    _report(campaigns)
    return 1 if any(each.faults for each in campaigns) else 0


def _report(campaigns: list[Campaign]) -> None:
    for each in campaigns:
        print(
            f"{each.reader.name:<16} {each.executions:>9,} executions  {len(each.reached):>4} messages  "
            f"{each.slowest:5.2f} s at most  {len(each.faults)} faults"
        )
    print(f"{sum(each.executions for each in campaigns):,} executions, {_megabytes()} MB at most")


if __name__ == "__main__":
    raise SystemExit(main())
