"""The command corpus."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from clearhead.cli import main
from clearhead.corpora.engines.local import Local

from ..corpora.conftest import Here, checkpoint  # noqa: F401 - a fixture


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["corpus", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"body": "the cat sat"}\n{"body": "a dog ran 9"}\n{\n')
    return path


def test_corpus_writes_and_says(checkpoint, data, tmp_path, monkeypatch):  # noqa: F811
    """What was read, what could not be, and the two files; a second corpus is compared with the first."""
    monkeypatch.setattr(Local, "run", lambda _, *given: Here().run(*given))
    found = run(checkpoint, data, "-o", tmp_path / "a", "--column", "body", "--class", "digit=[0-9]", "--loss")
    assert found.stdout.splitlines()[0].endswith("2 layers, 6 heads; 2 documents, 2 sequences, 9 tokens")
    assert found.stdout.splitlines()[1:] == [f"Wrote {tmp_path}/a/results.parquet", f"Wrote {tmp_path}/a/report.html"]
    assert found.stderr == "1 document could not be read: the line is not JSON (1). The report says which.\n"
    assert "to_digit" in (tmp_path / "a" / "report.html").read_text()
    cut = run(checkpoint, data, "-o", tmp_path / "b", "--column", "body", "--length", 4, "--against", tmp_path / "a")
    assert "1 document is longer than 4 tokens: 1 token was cut off." in cut.stderr
    assert "<h2>Against model" in (tmp_path / "b" / "report.html").read_text()
    part = run(checkpoint, data, "-o", tmp_path / "c", "--column", "body", "--shard-size", 1, "--shard", "2/2")
    assert "Partial: 2 of 3 shards are missing." in part.stderr


def test_a_corpus_of_which_nothing_is_read_is_a_failure(checkpoint, data, tmp_path, monkeypatch):  # noqa: F811
    """As with the name of a column that there is not: said, and in the exit status."""
    monkeypatch.setattr(Local, "run", lambda _, *given: Here().run(*given))
    found = run(checkpoint, data, "-o", tmp_path / "a", code=2)
    assert "3 documents could not be read: it has no text under 'text' (2)" in found.stderr


def test_sequences_longer_than_those_of_training_are_said(checkpoint, data, tmp_path, monkeypatch):  # noqa: F811
    """Of a model without a table of positions: it reads them, and what it does there says little."""
    monkeypatch.setattr(Local, "run", lambda _, *given: Here().run(*given))
    model = Path(shutil.copytree(checkpoint, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8}))
    given = (model, data, "--column", "body", "-o")
    assert "was trained on" not in run(*given, tmp_path / "a", "--length", 8).stderr
    found = run(*given, tmp_path / "b", "--length", 9)
    assert "Sequences may have 9 tokens, and the model was trained on at most 8 at once" in found.stderr


def test_what_cannot_be_compared_is_said_first(checkpoint, data, tmp_path, monkeypatch):  # noqa: F811
    """A folder without a corpus, and a corpus of a model of another shape: before any document is read."""
    monkeypatch.setattr(Local, "run", lambda _, *given: Here().run(*given))
    run(checkpoint, data, "-o", tmp_path / "a", "--column", "body")
    plan = json.loads((tmp_path / "a" / "corpus.json").read_text())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "corpus.json").write_text(json.dumps({**plan, "layers": 3, "shards": []}))
    monkeypatch.setattr(Local, "run", lambda *_: pytest.fail("it works"))
    for other, said in (("none", "there is no corpus here"), ("b", "has 2 layers of 6 heads, model: llama")):
        found = run(checkpoint, data, "-o", tmp_path / "c", "--column", "body", "--against", tmp_path / other, code=2)
        assert said in found.output
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shard", "3/2"), "expects i/n with i from 1 to n"),
        (("--class", "digit"), "expects NAME=REGEX"),
        (("--class", "special=x"), "special is always measured"),
        (("--scheduler", "tcp://x"), "goes with --engine dask"),
        (("--engine", "dask"), "goes with --scheduler"),
        (("--length", "1"), "not in the range"),
        (("--shard-size", "5000"), "1 to 1024 documents"),
    ],
)
def test_what_cannot_be_done_is_said(checkpoint, data, tmp_path, arguments, said):  # noqa: F811
    """Before anything is computed."""
    assert said in run(checkpoint, data, "-o", tmp_path / "out", *arguments, code=2).output


def test_ctrl_c_leaves_what_is_done(checkpoint, tmp_path):  # noqa: F811
    """The exit code is that of an interruption, a partial report is there, and no worker is left."""
    data = tmp_path / "x.jsonl"
    data.write_text("".join(f"{json.dumps({'text': 'the cat sat on a mat ' * 4})}\n" for _ in range(3000)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    out = tmp_path / "out"
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "clearhead", "corpus", str(checkpoint), str(data),
         "-o", str(out), "--shard-size", "4", "--workers", "1"],
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not list(out.glob("shards/*.parquet")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Partial: " in said) == (130, True), said
    assert "shards are missing" in (out / "report.html").read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
