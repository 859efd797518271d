"""The readers of what comes from outside, each with sound inputs and with how these are spoiled."""

from __future__ import annotations

import io
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np

from clearhead.check import compare
from clearhead.cli import main
from clearhead.deviations import candidates, deviate
from clearhead.problems import STARTER, bundled, format_problem, parse_problem, read_problem
from clearhead.problems.proposal import propose
from clearhead.problems.submissions import read_submission
from clearhead.show import View
from clearhead.show.data.reading import read_trace
from clearhead.show.export import KINDS
from clearhead.web import work
from fuzz import mutations
from fuzz.checkpoints import checkpoints
from fuzz.reader import JSON, TOML, Reader, Use

# Problems, claims and deviations


def use_problem(data: bytes, folder: Path) -> None:
    """Reads a problem, works it out, holds its claims against it and writes it anew."""
    problem = parse_problem(data)
    trace = problem.trace()
    list(map(str, trace.notes))
    compare(problem.claims, trace)
    assert parse_problem(format_problem(problem)) == problem


def _problem_seeds() -> tuple[bytes, ...]:
    own = 'deviations = ["round:line=weights,decimals=2", "softmax-over-queries"]\n'
    soccer = format_problem(read_problem("soccer"))
    return (
        STARTER.encode(),
        *(format_problem(read_problem(name)).encode() for name in bundled()),
        soccer.replace("[attention]", own + "[attention]").encode(),
        soccer.replace("[block]", own + "[block]").encode(),
    )


SOCCER = read_problem("soccer").trace()


def use_submission(ending: str) -> Use:
    """Reads a submission of one kind about the problem soccer, and holds it against that."""

    def use(data: bytes, folder: Path) -> None:
        path = folder / f"submission{ending}"
        path.write_bytes(data)
        claims = read_submission(path, SOCCER)
        for claim in claims:
            claim.place(SOCCER.left_axes(claim.line), SOCCER.numpy(claim.line).shape, SOCCER.working.label_base)
        compare(claims, SOCCER)

    return use


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _rezipped(draw: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """An archive with one entry changed in content, name or compression; else its bytes are."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:
        return mutations.some_bytes(draw, data, others)
    if not entries or sum(len(content) for _, content in entries) > mutations.MAX_SIZE or draw.random() < 0.3:
        return mutations.some_bytes(draw, data, others)
    place = draw.randrange(len(entries))
    name, content = entries[place]
    kind = draw.random()
    if kind < 0.6:
        start = 10 if content.startswith(b"\x93NUMPY") else 0
        stop = min(len(content), 128) if draw.random() < 0.7 else len(content)
        changed = JSON(draw, content, others) if name.endswith("json") else None
        entries[place] = (
            name,
            changed or content[:start] + mutations.some_bytes(draw, content[start:stop], others) + content[stop:],
        )
    elif kind < 0.8:
        entries[place] = (
            draw.choice((name[:-4] + "@1.npy", "", "a", name + "\0", "weights[1,1].npy", "\x1b[31m.npy")),
            content,
        )
    elif kind < 0.9:
        entries[place:place] = [entries[place]] * draw.choice((1, 2, 50))
    else:
        del entries[place]
    return _zip(entries, draw.choice((0, 0, 8, 12, 14)))


def _zip(entries: list[tuple[str, bytes]], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo("a")
            info.filename, info.compress_type = name, compression
            archive.writestr(info, content)
    return file.getvalue()


def use_source(ending: str) -> Use:
    """Proposes a problem from a file of one kind; whatever is proposed is a problem, and reads back."""

    def use(data: bytes, folder: Path) -> None:
        path = folder / f"source{ending}"
        path.write_bytes(data)
        parse_problem(propose(path).text)

    return use


SCRIPT = b"""
X = np.array([[1, 0], [0, 1]])
W_q, W_k, W_v = np.eye(2), np.array([[1, 1], [0, 1]]), [[2, 0], [0, 1]]
Q, K, V = X @ np.array([[1, 0], [0, 2]]), np.dot(X, W_k), X @ W_v
def softmax(x): return np.exp(x) / np.exp(x).sum(-1)
print(Q)  # [[1 0] [0 2]]
A = softmax(Q @ K.T / np.sqrt(2)) @ V
"""


def _notebook() -> bytes:
    output = {"output_type": "execute_result", "data": {"text/plain": ["array([[1., 0.],\n", "       [0., 2.]])"]}}
    cells = [{"cell_type": "code", "source": SCRIPT.decode() + "Q", "outputs": [output]}]
    return msgspec.json.encode({"nbformat": 4, "cells": cells})


DEVIATED = tuple(map(read_problem, ("soccer", "grouped-query", "decoder-block")))


def use_deviations(data: bytes, folder: Path) -> None:
    """Deviations as the command line takes them, one a line, applied to the problem that the first byte chooses."""
    problem = DEVIATED[data[0] % len(DEVIATED)] if data else DEVIATED[0]
    working = deviate(problem.textbook(), *data[1:].decode("utf-8", "surrogateescape").split("\n"))
    list(map(str, working.run({given.name: problem.arrays[given.name] for given in working.givens}).notes))


def _deviation_seeds() -> tuple[bytes, ...]:
    found = [b"\0round:line=weights,decimals=2\nsoftmax-over-queries\nshown-transposed:line=head@1"]
    for place, problem in enumerate(DEVIATED):
        shapes = {name: array.shape for name, array in problem.arrays.items()}
        found += [bytes([place]) + str(applied).encode() for applied in candidates(problem.textbook(), shapes)]
    return tuple(found)


# Traces


def use_trace(data: bytes, folder: Path) -> None:
    """Reads a trace and asks of it what a reader asks."""
    path = folder / "trace.npz"
    path.write_bytes(data)
    trace = read_trace(path)
    list(map(str, trace.notes))
    for name in list(trace)[:6]:
        array = trace.numpy(name)
        if array.size:
            str(trace.explain(name, *((0,) * array.ndim)))


def _traces(ending: str) -> tuple[bytes, ...]:
    traces = [read_problem(name).trace() for name in ("soccer", "causal-mask", "decoder-block", "padding-mask")]
    traces.append(read_problem("rotary").trace(keep=["weights", "head"]))
    return tuple(bytes(KINDS[ending].content(trace, View("t"))) for trace in traces)


# The command line and the live page


def use_command(data: bytes, folder: Path) -> None:
    """Arguments of the command line, one a line; exits with a code that says what was wrong, and no other way."""
    path = folder / "mine.toml"
    if not path.exists():
        path.write_text(STARTER)
    arguments = [each.replace("\0", "") for each in data.decode("utf-8", "surrogateescape").split("\n")]
    if {"serve", "inspect", "completion", "generate", "new"} & set(arguments):
        return
    arguments = [each.replace("FOLDER", str(folder)) for each in arguments if not each.startswith("/")]
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", "replace")), redirect_stderr(io.StringIO()) as said:
        try:
            main(arguments)
        except SystemExit as end:
            if end.code not in (0, 1, 2):
                raise AssertionError(said.getvalue()) from end


COMMANDS = (
    b"show\nsoccer\nweights@2\n--cell\n1,3\n--decimals\n4", b"show\nFOLDER/mine.toml\n--as\njson",
    b"check\nsoccer\n--no-diagnose", b"show\nsoccer\n--deviate\nround:line=weights,decimals=2\n--as\nlatex",
    b"export\nsoccer\n-o\nFOLDER/x.md\n--blank\n*", b"export\nrotary\n-o\nFOLDER/x.tex\n-o\nFOLDER/y.json",
    b"deviations\nsoftmax-over-queries", b"list", b"show\n--help", b"--version", b"trace\nFOLDER\nwords",
)  # fmt: skip


def use_request(data: bytes, folder: Path) -> None:
    """The body of a request of the live page."""
    try:
        asked = msgspec.json.decode(data, type=work.Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    work.answer(asked)


def _requests() -> tuple[bytes, ...]:
    soccer = format_problem(read_problem("soccer"))
    entries = [{"cell": [0, 0, 1], "written": "2.5"}, {"cell": [1, 0, 1], "written": "7/6"}]
    asked = [
        {"problem": "soccer"},
        {"problem": soccer, "change": {"line": "weights", "entries": entries}},
        {"problem": soccer, "change": {"line": "query.weight", "entries": entries[:1]}, "deviations": []},
        {"problem": "padding-mask", "change": {"line": "padding", "entries": [{"cell": [0], "written": "no"}]}},
        {"problem": soccer, "deviations": ["softmax-over-queries", "round:line=weights,decimals=2"]},
    ]
    return tuple(map(mutations.as_json, asked))


def readers() -> tuple[Reader, ...]:
    """All readers."""
    json_claims = {
        "weights@1": [[0.5, 0.25, "?"], [1, 0, 0], ["7/6", 0, 0]],
        "head@2[1,1]": 2.414,
        "scores": SOCCER["scores"].tolist(),
    }
    csv = b"line,head,row,column,value\nweights,1,1,1,0.50\nweights,1,1,2,0.25\nhead,2,1,1,2.414\n"
    european = b"line;head;row;column;value\nweights;1;1;1;0,50\n"
    toml = (
        b'format = 1\n[[claims]]\nline = "weights@1"\nvalues = [[0.5, 0.25, "?"], [1, 0, 0], ["7/6", 0, 0]]\n'
        b'[[claims]]\nline = "head@2"\ncell = [1, 1]\nvalues = 2.41\ndecimals = 2\n'
    )
    archive = _npz(
        scores=SOCCER["scores"], **{"weights@1": SOCCER["weights@1"].astype(np.float16), "head@1[1,1]": np.float32(2)}
    )
    return (
        Reader("problem", use_problem, _problem_seeds(), TOML),
        Reader("deviations", use_deviations, _deviation_seeds()),
        Reader("submission.toml", use_submission(".toml"), (toml,), TOML),
        Reader("submission.json", use_submission(".json"), (mutations.as_json(json_claims),), JSON),
        Reader("submission.csv", use_submission(".csv"), (csv, european)),
        Reader("submission.npz", use_submission(".npz"), (archive, _zip([("x.npy", b"")], 8)), _rezipped),
        Reader("notebook", use_source(".ipynb"), (_notebook(),), JSON),
        Reader("script", use_source(".py"), (SCRIPT,)),
        Reader("trace.npz", use_trace, _traces(".npz"), _rezipped),
        Reader("trace.json", use_trace, _traces(".json"), JSON),
        *checkpoints(),
        Reader("command", use_command, COMMANDS),
        Reader("request", use_request, _requests(), JSON),
    )
