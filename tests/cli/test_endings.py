"""How commands end: whatever happens there is an exit code that means it, and no traceback."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

import clearhead.cli
from clearhead.cli import main
from clearhead.cli.ending import BAD_INPUT, BUG, INTERRUPTED
from clearhead.problems import format_problem, read_problem

COMMAND = [sys.executable, "-m", "clearhead"]


def shell(script, **options):
    """What a line of the shell gives, in which $C is the command."""
    env = {**os.environ, "C": " ".join(COMMAND)}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False, **options)


@pytest.mark.parametrize("words", ["show soccer", "deviations", "check --help"])
class TestStandardOutput:
    """Standard output that takes nothing."""

    def test_full(self, words):
        """A device without room is an error, not a traceback."""
        done = shell(f"$C {words} > /dev/full")
        assert done.returncode == BAD_INPUT
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr

    def test_closed(self, words):
        """Without standard output a command does what it does, and is silent."""
        done = shell(f"$C {words} >&-")
        assert (done.returncode, done.stderr) == (0, "")

    def test_all_closed(self, words):
        """Nor does it need the other two."""
        assert shell(f"$C {words} <&- >&- 2>&-").returncode == 0

    def test_left(self, words):
        """A reader who leaves early is no error."""
        done = shell(f"$C {words} | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}")
        assert (done.returncode, done.stderr) == (0, "")


def test_an_error_that_nobody_can_read_still_has_its_code():
    """With standard error closed or full the exit code says what it would have said."""
    assert shell("$C show no-such-problem 2>&-").returncode == BAD_INPUT
    assert shell("$C show no-such-problem 2>/dev/full").returncode == BAD_INPUT


SLEEPING = """
import sys, time
import clearhead.problems.variants
def read(*_):
    print("asleep", flush=True)
    for _ in range(600): time.sleep(0.1)  # an interrupt just before a sleep is seen after it
clearhead.problems.read_problem = clearhead.problems.variants.read_variants = read
import clearhead.cli
from clearhead.problems import format_problem, read_problem
from clearhead.cli import main
main(sys.argv[1:])
"""


@contextmanager
def started(command, **options):
    """A process that takes an interrupt, also where these tests run in the background, which takes none."""
    command = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("words", [["check", "soccer"], ["grade", "soccer", ".", "-o", "x.csv"], ["serve", "soccer"]])
def test_an_interrupt_exits_130(words, tmp_path):
    """Ctrl-C is not "some differ": the exit code is 130, and nothing is printed of it."""
    with started([sys.executable, "-c", SLEEPING, *words], cwd=tmp_path) as process:
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in said


def test_an_interrupt_ends_the_server_with_130():
    """Also while it serves, with a request half sent."""
    with started([*COMMAND, "serve", "soccer", "--port", "0"]) as process:
        port = int(process.stdout.readline().partition("127.0.0.1:")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(
                f"POST /work HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n".encode()
            )
            half.sendall(b"Content-Length: 100\r\n\r\n{")
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert said.strip() == ""


class Panic(BaseException):
    """What Rust's panics look like in Python."""


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), INTERRUPTED), (Panic("boom"), BAD_INPUT), (MemoryError(), BAD_INPUT),
        (OSError(5, "boom", "mine.toml"), BAD_INPUT), (EOFError("boom"), BUG), (RecursionError("boom"), BUG),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "boom"), BUG),
    ],
)  # fmt: skip
def test_whatever_escapes_a_library_names_the_input(raised, code, capsys, monkeypatch):
    """The message has what was typed, so that it is known on which input it failed."""
    monkeypatch.setattr("clearhead.problems.read_problem", lambda _: (_ for _ in ()).throw(raised))
    with pytest.raises(SystemExit) as end:
        main(["show", "mine.toml"])
    assert end.value.code == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if code != INTERRUPTED:
        assert "mine.toml" in said


PLANTED = "\x1b]0;taken\x07\x9b31m\x7f\u202e\nclearhead: all is well"
"""A name that would set a terminal's title and colour, turn its letters round and add a line of its own."""


def written_to_a_terminal(*words):
    here, there = pty.openpty()
    process = subprocess.run([*COMMAND, *words], stdout=there, stderr=there, check=False)
    os.close(there)
    written = b""
    with suppress(OSError):  # Linux raises one when the other end is closed
        while part := os.read(here, 65536):
            written += part
    os.close(here)
    return process.returncode, written.decode()


@pytest.mark.parametrize("words", [["show", "FILE"], ["show", PLANTED], ["show", "soccer", f"--{PLANTED}"], [PLANTED]])
def test_names_reach_a_terminal_escaped(words, tmp_path):
    """Whatever a file is called, and whatever is typed, a real terminal gets it spelled out on one line."""
    path = tmp_path / f"{PLANTED}.toml"
    path.write_text("format = 1\n", encoding="utf-8")
    code, written = written_to_a_terminal(*(str(path) if word == "FILE" else word for word in words))
    assert code == BAD_INPUT
    assert not set(written) & set("\x1b\x07\x9b\x7f\u202e")
    assert not any(line.startswith("clearhead: all is well") for line in written.splitlines())


def test_what_is_written_is_named_escaped(tmp_path):
    """Also where nothing fails."""
    code, written = written_to_a_terminal("export", "soccer", "-o", str(tmp_path / f"{PLANTED}.md"))
    assert (code, "\\x1b" in written) == (0, True)
    assert not set(written) & set("\x1b\x07\x9b\x7f\u202e")


def test_data_on_a_terminal_are_escaped_and_read_back_the_same(tmp_path):
    """JSON on a terminal has no control character, and the same words when it is read."""
    path = tmp_path / "mine.toml"
    path.write_text(format_problem(replace(read_problem("two-heads"), title=PLANTED)), encoding="utf-8")
    _, written = written_to_a_terminal("show", str(path), "--as", "json")
    assert not set(written) & set("\x1b\x07\x9b\x7f\u202e")
    assert json.loads(written)["title"] == PLANTED


def test_only_two_modules_print():
    """What every command prints goes through the functions that spell control characters out."""
    folder = Path(clearhead.cli.__file__).parent
    printing = {
        path.name for path in folder.glob("*.py") if re.search(r"\becho\(|\bprint\(|\bsecho\(", path.read_text("utf-8"))
    }
    assert printing == {"output.py", "ending.py"}


STARTING = """
import builtins, runpy
loads = builtins.__import__
def interrupted(name, *rest, **named):
    if name == "click":
        raise KeyboardInterrupt
    return loads(name, *rest, **named)
builtins.__import__ = interrupted
runpy.run_module("clearhead", run_name="__main__")
"""


def test_an_interrupt_while_it_starts_is_an_interrupt():
    """Ctrl-C before the first command is even known: 130, and no traceback of imports."""
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")
