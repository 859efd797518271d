"""Files that are no problem: each gets an error that names the place on less than a screen, never another exception."""

import re

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clearhead.cli import main
from clearhead.errors import ClearheadError, ProblemError
from clearhead.problems import STARTER, bundled, format_problem, parse_problem, read_claims, read_problem

from .broken_files import (
    EMBEDDING,
    GOOD,
    not_text,
    not_toml,
    put,
    set_key,
    wrong_keys,
    wrong_parts,
    wrong_specs,
    wrong_types,
)  # fmt: skip
from .broken_values import VALUES, wrong_arrays, wrong_claims

BIG = """format = 1
title = "Big"
[attention]
heads = 1
output = false
[arrays]
query.weight = [[[1]]]
key.weight = [[[1]]]
value.weight = [[[1]]]
input = ["""
"""A small file whose scores would fill gigabytes."""

BROKEN = [
    *wrong_types(), *wrong_keys(), *wrong_specs(), *wrong_parts(), *wrong_arrays(), *wrong_claims(), *not_toml(),
    *not_text(), (BIG + "[1]," * 60_000 + "]", "arrays: the lines would have more than"),
]  # fmt: skip


def refuse(content, read=parse_problem, **options):
    """The message with which some content is refused, which must fit on a screen."""
    with pytest.raises(ProblemError) as caught:
        read(content, **options)
    message = str(caught.value)
    assert len(message) <= 1100
    assert message.count("\n") < 20
    assert message.isprintable() or "\n" in message
    return message


def test_the_good_file_is_good():
    """What the broken files are made from is a problem, so that each is broken by its one change alone."""
    assert parse_problem(GOOD).trace().numpy("weights").shape == (2, 3, 3)


def test_the_command_line_exits_2_on_each(tmp_path):
    """`clearhead show` of each broken file says so on one screen of standard error and prints nothing else."""
    path = tmp_path / "broken.toml"
    for content, _ in BROKEN:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        result = CliRunner().invoke(main, ["show", str(path)])
        assert (result.exit_code, result.stdout) == (2, ""), content[:200]
        assert "broken.toml" in result.stderr
        assert "Traceback" not in result.stderr


def test_there_are_more_than_two_hundred_broken_files():
    """Two hundred different ways to break a file are tried, and more."""
    assert len({content for content, _ in BROKEN}) > 300


@pytest.mark.parametrize(("content", "place"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_refused_with_its_place(content, place, tmp_path):
    """A broken file raises ProblemError with the file, the place, and a message of one screen; nothing else."""
    file = tmp_path / "broken.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    message = refuse(file, read=read_problem)
    assert message.startswith(f"{file}: ")
    assert re.search(place, message, re.DOTALL), message


@pytest.mark.parametrize("place", ["claims[0].values[1][2]", "arrays.embedding[1][1]", "block.attention.heads"])
def test_the_message_begins_with_file_and_path(place):
    """The file comes first and the path of the key right after it, written as TOML users write paths."""
    text = {
        "claims[0].values[1][2]": set_key(VALUES, "[[0.5, 0.25, 0.25], [1, 0, true], [0, 1, 0]]"),
        "arrays.embedding[1][1]": set_key(EMBEDDING, "[[1, 0, 2, 1], [0, true, 1, 0], [1, 1, 0, 3]]"),
        "block.attention.heads": set_key("heads = 2", '"two"'),
    }[place]
    assert refuse(text, source="mine.toml").startswith(f"mine.toml: {place} expects ")


def test_what_is_said_is_what_a_reader_needs():
    """The whole of a message: the file, the path, what was expected, what came, and what to do."""
    assert refuse(set_key("heads = 2", '"two"'), source="mine.toml") == (
        "mine.toml: block.attention.heads expects a whole number, got 'two'. "
        "Write it with digits alone, without quotes or a decimal point."
    )


@pytest.mark.parametrize(("content", "place"), [
    ("format = 1\n", "claims is missing"),
    ("format = 1\nclaims = []\n", "claims"),
    ("[[claims]]\nline = 'head'\nvalues = 1\n", "format is missing"),
    ("format = 1\n[[claims]]\nline = 'head'\nvalues = [[1, 2], [3]]\n", r"claims\[0\].values\[1\] expects 2"),
    ("format = 1\n[[claims]]\nline = 'head'\nvalue = 1\n", r"claims\[0\] has no key 'value'"),
    ("format = 1\ntitle = 'x'\n[[claims]]\nline = 'head'\nvalues = 1\n", "the file has no key 'title'"),
    (GOOD[: GOOD.index("[[claims]]")], "claims is empty"),
    (put("heads = 2", "heads = 3"), "arrays"),
    ("", "empty"),
    (b"\xff", "not UTF-8"),
])  # fmt: skip
def test_a_broken_file_of_claims_is_refused(content, place, tmp_path):
    """A file that is to hold claims and does not is refused like a broken problem."""
    file = tmp_path / "claims.toml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    assert re.search(place, refuse(file, read=read_claims))


WORDS = """nan -inf 1e999 [ ] [] [[]] {} " ' = . , # true 0x10 -0.0 99999999999999999999 1_000 2026-01-31 [block]
    [[claims]] [arrays] @ "?" "7/6" é heads claims values scale=1e308 cell=[1] given=['query'] 1e308 -1 0 12"""
NASTY = st.sampled_from([*WORDS.split(), '"' * 3, "\n", "\0", "\ud7ff"])
TEXTS = [GOOD, STARTER, *(format_problem(read_problem(name)) for name in bundled())]
PLACE = st.floats(0, 1)


@st.composite
def mutated(draw):
    """The text of a good problem with a few pieces cut out, doubled, moved or replaced."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start, stop = sorted(int(draw(PLACE) * len(text)) for _ in range(2))
        stop = min(stop, start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(NASTY, st.just(""), st.just(text[start:stop] * 2), st.text(max_size=5)))
        text = text[:start] + piece + text[stop:]
    return text


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
@example(GOOD)
def test_a_mutated_file_is_a_problem_or_is_refused(text):
    """Whatever is done to a good file, it is a problem that can be worked out and written, or raises ProblemError."""
    content = text.encode("utf-8", "surrogatepass")
    try:
        problem = parse_problem(content)
    except ProblemError:
        refuse(content)
    else:
        problem.trace()
        assert parse_problem(format_problem(problem)) == problem


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_bytes_are_refused_as_a_problem(content):
    """Bytes that nobody wrote as a problem raise ProblemError and nothing else."""
    refuse(content)


def test_a_nested_file_is_refused_however_deep_the_caller_is():
    """A recursion that is too deep is told as one, even where little of the stack is left."""

    def deeper(levels):
        return deeper(levels - 1) if levels else parse_problem(set_key(EMBEDDING, "[" * 100 + "1" + "]" * 100))

    with pytest.raises(ClearheadError, match="nested"):
        deeper(600)
