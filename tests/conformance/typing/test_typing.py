"""A user's script, held to the types that clearhead states."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "script.py"
SOURCE = Path(__file__).parents[3] / "src"
PYRIGHT = Path(__file__).parents[3] / ".cache" / "node" / "node_modules" / "pyright" / "index.js"

MISTAKES = {
    '"markdown", View': '"markdwon", View',
    'title="A page"': 'titel="A page"',
    "decimals=2)\n    trace.save(Path": 'decimals="2")\n    trace.save(Path',
    'difficulty="hard"': 'difficulty="impossible"',
    'parts=("causal", "norm")': 'parts=("causal", "nrom")',
    'layout="interleaved"': 'layout="interlaced"',
    'mask="boolean"': 'mask="bool"',
    'Norm("rms")': 'Norm("rsm")',
    'placement="pre"': 'placement="before"',
    'Mlp("silu"': 'Mlp("swish"',
    '"entropy"': '"entropie"',
    'by="token"': 'by="tokens"',
    "Attention(4,": 'Attention("4",',
    "rotary=rotary": "rotary=True",
    "clearhead.compare(claims, trace)": "clearhead.compare(claims, trace.working)",
    "diagnose(claims, trace,": "diagnose(claims[0], trace,",
    "explained.value + 1.0": 'explained.value + "1"',
    'assert_agrees(mine, trace, "weights")': "assert_agrees(mine, claims)",
}
"""What is right in the script, and a slip that a type checker must find in its place."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script, and a copy of it for each mistake, in one folder so that a checker starts once."""
    folder = tmp_path_factory.mktemp("typing")
    good = SCRIPT.read_text("utf-8")
    (folder / "good.py").write_text(good, "utf-8")
    for number, (right, wrong) in enumerate(MISTAKES.items()):
        assert good.count(right) == 1, right
        (folder / f"mistake_{number}.py").write_text(good.replace(right, wrong), "utf-8")
    return folder


def expected():
    return {f"mistake_{number}.py" for number in range(len(MISTAKES))}


def test_mypy_finds_each_mistake_and_nothing_else(scripts):
    """In strict mode the right script passes, and every copy with a mistake fails."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(scripts / "cache"),
        "--config-file",
        os.devnull,
    ]
    done = subprocess.run(
        [*command, *map(str, sorted(scripts.glob("*.py")))],
        capture_output=True,
        text=True,
        check=False,
        cwd=scripts,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
    )
    found = {Path(name).name for name in re.findall(r"^(.+?\.py):\d+: error", done.stdout, re.MULTILINE)}
    assert found == expected(), done.stdout + done.stderr


def test_pyright_finds_each_mistake_and_nothing_else(scripts):
    """The same for pyright in strict mode, as far as the packages that it reads are typed."""
    settings = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(SOURCE)],
        "pythonVersion": f"{sys.version_info.major}.{sys.version_info.minor}",
        "reportMissingTypeStubs": "none",
        "reportUnknownMemberType": "none",
        "reportUnknownVariableType": "none",
        "reportUnknownArgumentType": "none",
    }
    (scripts / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    done = subprocess.run(
        ["node", str(PYRIGHT), "--outputjson", "--pythonpath", sys.executable, "-p", str(scripts)],
        capture_output=True,
        text=True,
        check=False,
    )
    diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    found = {Path(each["file"]).name for each in diagnostics if each["severity"] == "error"}
    assert found == expected(), [each for each in diagnostics if Path(each["file"]).name == "good.py"]
