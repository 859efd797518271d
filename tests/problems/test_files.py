"""Problems on disk: what is written reads back, and what cannot be read or written is an error of ours."""

import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clearhead.claim import Claim
from clearhead.deviations import parse_deviation
from clearhead.errors import FileError, ProblemError
from clearhead.problems import (
    Problem,
    format_problem,
    parse_problem,
    read_claims,
    read_problem,
    write_problem,
    write_text,
)
from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary

TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\"\\\n\r\t\b\f\0\x7f\x85\u2028\u202e#=[]'"))
)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(1e-6, 1e6)
NORM = st.builds(
    Norm, kind=st.sampled_from(["layer", "rms"]), eps=st.floats(0, 1), bias=st.sampled_from([None, True, False])
)
ATTENTION = st.builds(
    Attention,
    heads=st.just(6),
    kv_heads=st.sampled_from([None, 1, 2, 3]),
    scale=st.none() | FLOAT,
    softcap=st.none() | POSITIVE,
    causal=st.booleans(),
    window=st.none() | st.integers(1, 10**6),
    mask=st.sampled_from([None, "boolean", "additive"]),
    padding=st.booleans(),
    alibi=st.booleans(),
    rotary=st.none()
    | st.builds(
        Rotary,
        layout=st.sampled_from(["half", "interleaved"]),
        base=POSITIVE,
        width=st.sampled_from([None, 2, 4]),
        offset=FLOAT,
    ),
    qk_norm=st.none() | NORM,
    bias=st.lists(st.sampled_from(["query", "key", "value"]), unique=True).map(tuple),
    output=st.booleans(),
    cache=st.booleans(),
)
BLOCK = st.builds(
    Block,
    attention=ATTENTION.filter(lambda attention: attention.output),
    norm=st.none() | NORM,
    placement=st.sampled_from(["pre", "post"]),
    mlp=st.none()
    | st.builds(
        Mlp, activation=st.sampled_from(["gelu", "gelu-tanh", "silu", "relu"]), gated=st.booleans(), bias=st.booleans()
    ),
    positions=st.none() | st.builds(Positions, kind=st.sampled_from(["given", "sinusoidal"]), base=POSITIVE),
)
SIZES = {"token": 3, "query": 3, "model": 5, "depth": 4, "past": 1, "hidden": 7, "head": 6, "head*depth": 24}
WRITTEN = """? 7/6 -1/3 2.50 .5 5. +2 -0 -0.0 007 1e-3 1E5 +1.5e+2 nan inf -inf +inf"""
NUMBER = st.one_of(FLOAT.map(repr), st.integers(-(10**30), 10**30).map(str), st.sampled_from(WRITTEN.split()))


@st.composite
def problems(draw):
    """Problems of any spec, with arrays, texts, claims and deviations that fit it."""
    spec = draw(st.one_of(ATTENTION, BLOCK))
    working = spec.working()
    cache = (spec if isinstance(spec, Attention) else spec.attention).cache
    sizes = SIZES | {"key": 3 + cache}
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    arrays = {}
    for each in working.givens:
        shape = [dict(each.sizes).get(word) or sizes[word] for word in each.axes]
        numbers = rng.choice([0.0, -0.0, 1.0, -1.5, 1e300, 5e-324, 2.0**53, rng.normal(), draw(FLOAT)], size=shape)
        masked = np.where(rng.random(shape) < 0.2, -np.inf, numbers) if each.axes == ("query", "key") else numbers
        arrays[each.name] = masked if each.holds == "numbers" else rng.random(shape) < 0.5
    shapes = working.shapes({name: array.shape for name, array in arrays.items()})
    return Problem(
        title=draw(TEXT),
        about=draw(TEXT),
        tokens=draw(st.just(()) | st.tuples(TEXT, TEXT, TEXT)),
        spec=spec,
        arrays=arrays,
        deviations=draw(
            st.sampled_from(
                [(), (parse_deviation("softmax-over-queries"), parse_deviation("round:line=weights,decimals=2"))]
            )
        ),
        claims=tuple(draw(st.lists(claims(shapes), max_size=3))),
    )


@st.composite
def claims(draw, shapes):
    """A claim of a line, a head of one, or a cell, in all the ways to write a number."""
    line = draw(st.sampled_from([name for name in shapes if name.endswith(("weights", "concat", "scaled", "value"))]))
    shape = shapes[line]
    if len(shape) == 3 and draw(st.booleans()):
        line, shape = f"{line}@{draw(st.integers(1, shape[0]))}", shape[1:]
    decimals = draw(st.none() | st.integers(0, 20))
    if draw(st.booleans()):
        return Claim(line, draw(NUMBER), tuple(draw(st.integers(1, size)) for size in shape), decimals)
    few = draw(st.lists(NUMBER, min_size=1, max_size=4))

    def written(shape):
        return tuple(written(shape[1:]) for _ in range(shape[0])) if shape else draw(st.sampled_from(few))

    return Claim(line, written(shape), None, decimals)


@given(problems())
def test_what_is_written_reads_back_identical(problem):
    """Any problem, written as text and read again, is the same problem, to the last bit and the last digit."""
    text = format_problem(problem)
    again = parse_problem(text.encode())
    assert again == problem
    assert [claim.written for claim in again.claims] == [claim.written for claim in problem.claims]
    assert format_problem(again) == text


@settings(max_examples=200)
@given(TEXT)
def test_any_text_survives(text):
    """Titles of any characters - quotes, control characters, emoji, right-to-left - read back as they are."""
    problem = replace(read_problem("single-head"), title=text, about=text, tokens=(text, text, "x"))
    again = parse_problem(format_problem(problem).encode())
    assert (again.title, again.about, again.tokens) == (text, text, (text, text, "x"))


def test_a_file_is_written_as_a_person_would():
    """The text of a file: keys in reading order, defaults left out, a matrix row per line, columns aligned."""
    problem = Problem(
        title='The "good" one',
        about="First line.\nSecond line.",
        tokens=("é", "🙂"),
        spec=Block(Attention(heads=1, bias=("query",), output=False, mask="additive"), norm=Norm(eps=0, gain=False)),
        deviations=(parse_deviation("round:line=weights,decimals=2"),),
        arrays={
            "input": [[1, -0.5, 2], [0, 1, 1]],
            "mask": [[0, -np.inf], [0, 0]],
            "query.weight": [[[1, 0, 3], [0, 1, 1], [0, 10, 0]]],
            "query.bias": [[0, 1e300, -0.0]],
            "key.weight": [[[1, 0, 3], [0, 1, 1], [0, 10, 0]]],
            "value.weight": [[[1, 0, 3], [0, 1, 1], [0, 10, 0]]],
        },
        claims=(
            Claim("weights@1", (("2.50", "?"), ("7/6", "-0"))),
            Claim("norm", "1e-3", (1, 3), 2),
        ),
    )
    assert (
        format_problem(problem)
        == '''\
format = 1
title = "The \\"good\\" one"
about = """
First line.
Second line."""
tokens = ["é", "🙂"]
deviations = ["round:decimals=2,line=weights"]

[block]

[block.attention]
heads = 1
mask = "additive"
bias = ["query"]
output = false

[block.norm]
eps = 0
gain = false

[arrays]
input = [
  [   1, -0.5,    2],
  [   0,    1,    1],
]
query.weight = [
  [[ 1,  0,  3],
   [ 0,  1,  1],
   [ 0, 10,  0]],
]
query.bias = [
  [     0, 1e+300,   -0.0],
]
key.weight = [
  [[ 1,  0,  3],
   [ 0,  1,  1],
   [ 0, 10,  0]],
]
value.weight = [
  [[ 1,  0,  3],
   [ 0,  1,  1],
   [ 0, 10,  0]],
]
mask = [
  [   0, -inf],
  [   0,    0],
]

[[claims]]
line = "weights@1"
values = [
  [ 2.50,   "?"],
  ["7/6",  "-0"],
]

[[claims]]
line = "norm"
cell = [1, 3]
decimals = 2
values = 1e-3
'''
    )


def test_an_array_whose_name_begins_another_is_quoted():
    """Where a line and an array below its name are both given, TOML needs quotes, and the file has them."""
    spec = Attention(heads=1, qk_norm=Norm(bias=False), output=False)
    arrays = {name: [[[1, 0, 2, 1], [0, 1, 1, 0]]] for name in ("query", "key", "value")}
    gains = {"query.norm.gain": [1, 1, 2, 1], "key.norm.gain": [1, 1, 1, 3]}
    problem = Problem(title="x", spec=spec, given=("query", "key", "value"), arrays=arrays | gains)
    text = format_problem(problem)
    assert '\n"query.norm.gain" = [1, 1, 2, 1]\n' in text
    assert parse_problem(text) == problem


def test_arrays_may_be_named_in_all_the_ways_of_toml():
    """Dotted, quoted and sub-table names mean the same array."""
    head = 'format = 1\ntitle = "x"\n[attention]\nheads = 1\noutput = false\n[arrays]\ninput = [[1], [2]]\n'
    named = "query.weight = [[[2]]]\nkey.weight = [[[1]]]\nvalue.weight = [[[3]]]\n"
    quoted = named.replace("query.weight", '"query.weight"').replace("key.weight", 'key."weight"')
    inline = named.replace("query.weight = [[[2]]]", "query = { weight = [[[2]]] }")
    tables = "".join(f"[arrays.{line.replace('.', ']' + chr(10))}" + chr(10) for line in named.splitlines())
    assert parse_problem(head + named).arrays["query.weight"].tolist() == [[[2]]]
    assert len({parse_problem(head + text) for text in (named, quoted, inline, tables)}) == 1


@pytest.mark.parametrize(
    ("number", "precision"),
    [
        ("2.50", 2), ("2.5", 1), ("2", 0), ("1e-3", 3), ("2.5e-3", 4), ("1_000.25", 2), ("0x10", 0), ('"7/6"', None),
        ('"2.500"', 3),
    ],
)  # fmt: skip
def test_the_digits_of_a_claim_are_its_precision(number, precision):
    """A claim has the precision that its numbers were written in, not that of the float they become."""
    text = format_problem(read_problem("single-head")).partition("[[claims]]")[0]
    (claim,) = parse_problem(f'{text}[[claims]]\nline = "weights@1"\ncell = [1, 1]\nvalues = {number}\n').claims
    assert claim.precision == precision


def test_prose_and_numbers_may_have_dots():
    """However many dots a text, a comment or a row of numbers has, it is no key of many parts."""
    text = format_problem(read_problem("rotary")).replace("[arrays]", f"[arrays]  # {'.' * 99}")
    dotted = text.replace('about = "', 'about = "' + "e.g. " * 50 + "..... " * 50)
    assert parse_problem(dotted).about.count(".") > 300


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    """What Windows editors write reads as the same problem."""
    text = format_problem(read_problem("soccer"))
    assert parse_problem(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == read_problem("soccer")


def test_a_written_file_reads_back(tmp_path):
    """A problem written to a file, in place of another, is the problem that is read from it; no other file is left."""
    file = tmp_path / "mine.toml"
    for name in ("soccer", "rotary"):
        write_problem(read_problem(name), file)
        assert read_problem(file) == read_problem(str(file)) == read_problem(name)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_written_file_has_usual_permissions(tmp_path):
    """The file is as readable as any that the user writes."""
    write_problem(read_problem("soccer"), tmp_path / "mine.toml")
    (tmp_path / "usual").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_link_is_followed(tmp_path):
    """Writing to a symbolic link writes the file it points to."""
    file, link = tmp_path / "mine.toml", tmp_path / "link.toml"
    file.write_text("old")
    link.symlink_to(file)
    write_problem(read_problem("soccer"), link)
    assert link.is_symlink()
    assert read_problem(file) == read_problem("soccer")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """If the file cannot be put in place, the old one is still there, whole, and nothing else is."""
    file = tmp_path / "mine.toml"
    write_text("old", file)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(FileError, match=r"mine\.toml: the file cannot be written: No space left on device"):
        write_problem(read_problem("soccer"), file)
    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [("mine.toml", "old")]


@pytest.mark.parametrize(
    "path", ["no/such/folder/mine.toml", "folder", "a\0b.toml", "x" * 5000 + ".toml", "file/mine.toml", "\ud800.toml"]
)
def test_a_path_that_cannot_be_written_is_refused(path, tmp_path, monkeypatch):
    """A path that no file can have is an error that begins with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        write_problem(read_problem("soccer"), path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(("path", "says"), [
    ("missing.toml", "there is no such file. `clearhead list`"),
    ("no/such/folder.toml", "there is no such file"),
    ("folder", "this is a folder"),
    ("file/mine.toml", "Not a directory"),
    ("a\0b.toml", "cannot be read"),
    ("x" * 5000 + ".toml", "cannot be read"),
    ("\ud800.toml", "cannot be read|no such file"),
])  # fmt: skip
def test_a_path_that_cannot_be_read_is_refused(path, says, tmp_path, monkeypatch):
    """Missing files, folders and impossible paths are told apart, each on less than a screen."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for read in (read_problem, read_claims):
        with pytest.raises(ProblemError, match=says) as caught:
            read(path)
        assert len(str(caught.value)) <= 1100


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    """A file without permission is told as one."""

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mine.toml").touch()
    monkeypatch.setattr("clearhead.files.os.open", fail)
    with pytest.raises(ProblemError, match=r"mine\.toml: the file cannot be read: Permission denied"):
        read_problem(tmp_path / "mine.toml")


def test_an_enormous_file_is_refused(tmp_path):
    """Of a file of a terabyte no more is read than a problem may have."""
    file = tmp_path / "huge.toml"
    with file.open("wb") as hole:
        hole.truncate(2**40)
    with pytest.raises(ProblemError, match="at most"):
        read_problem(file)


def test_what_would_not_read_back_is_not_written(tmp_path):
    """A problem with half of a character, or parts of a wrong type, is refused before anything is written."""
    soccer = read_problem("soccer")
    with pytest.raises(ProblemError, match="half of a character"):
        write_problem(replace(soccer, title="\ud800"), tmp_path / "mine.toml")
    with pytest.raises(ProblemError, match="would not read back"):
        write_problem(replace(soccer, tokens=list(soccer.tokens)), tmp_path / "mine.toml")
    assert list(tmp_path.iterdir()) == []


def test_claims_come_from_a_file_of_claims_or_of_a_problem(tmp_path):
    """``read_claims`` takes a file that holds only claims, or the claims of a whole problem."""
    file = tmp_path / "claims.toml"
    file.write_text('format = 1\n[[claims]]\nline = "head@2"\nvalues = [[2.50], ["?"], ["7/6"]]\n')
    assert read_claims(file) == (Claim("head@2", (("2.50",), ("?",), ("7/6",))),)
    write_problem(read_problem("soccer"), file)
    assert read_claims(file) == read_problem("soccer").claims
