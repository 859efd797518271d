import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len

from clearhead.document import Document, Matrix, Panels, Prose, Remark
from clearhead.show import View, document_of, lower, render

ANSI = re.compile(r"\x1b\[[0-9;]*m")
ROW = re.compile(r"[⎡⎢⎣\[](.*)[⎤⎥⎦\]]")
CELL = st.one_of(
    st.floats(-100, 100),
    st.floats(),
    st.integers(-3, 3).map(float),
    st.floats(-1, 1).map(lambda x: x * 1e-9),
)


@st.composite
def matrices(draw, most=30):
    """A matrix of any numbers with any labels and marks."""
    rows, columns = draw(st.integers(1, most)), draw(st.integers(1, most))
    pool = draw(st.lists(CELL, min_size=1, max_size=12))
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).choice(np.array(pool), size=(rows, columns))
    names = draw(st.lists(st.text(max_size=20), min_size=1, max_size=6))
    marked = draw(st.frozensets(st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1)), max_size=3))
    labels = [tuple(names[at % len(names)] for at in range(size)) for size in (rows, columns)]
    return Matrix(draw(st.text(max_size=60)), *labels, values, shade=draw(st.booleans()), marked=marked)


def _lines(*parts, width=80, decimals=3, **options):
    return lower(Document("T", parts, decimals), "text", width=width, **options).split("\n")


@given(
    st.lists(matrices(), min_size=1, max_size=3),
    st.text(max_size=100),
    st.integers(40, 220),
    st.sampled_from([0, 3, None]),
)
def test_no_line_is_wider_than_the_terminal(many, words, width, decimals):
    """At any width from 40 cells on every line fits, whatever the numbers, the labels and the words are."""
    lines = _lines(Prose(words), Remark(words), Panels(tuple(many)), width=width, decimals=decimals)
    assert max(map(cell_len, lines)) <= width


@given(matrices(), st.integers(40, 220))
def test_colour_adds_nothing_but_colour(matrix, width):
    """Without its codes coloured text is the plain text; plain text has no codes."""
    plain = _lines(Panels((matrix,)), Remark("n"), width=width)
    coloured = _lines(Panels((matrix,)), Remark("n"), width=width, colour=True)
    assert not any("\x1b" in line for line in plain)
    assert [ANSI.sub("", line).rstrip() for line in coloured] == plain


def _shown_right(written, value, decimals):
    if written in ("NaN", "inf", "-inf"):
        return written == str(float(value))
    if "e" in written:
        return float(written) == pytest.approx(value, rel=0.05) and (abs(value) < 10.0**-decimals or abs(value) >= 1e7)
    places = len(written.partition(".")[2])
    if places < decimals:
        return float(written) == pytest.approx(value, rel=1e-14, abs=0)
    return places == decimals and abs(float(written) - value) <= 0.5 * 10.0**-decimals * (1 + 1e-9)


@given(matrices(most=6), st.integers(1, 6))
def test_the_digits_read_back_to_the_numbers(matrix, decimals):
    """Each shown cell is the number rounded to the decimals; with fewer or with an exponent only as promised."""
    matrix = Matrix("", tuple("abcdef"[: len(matrix.rows)]), tuple("uvwxyz"[: len(matrix.columns)]), matrix.values)
    lines = _lines(Panels((matrix,)), width=200, decimals=decimals)
    rows = [found[1].split() for line in lines if (found := ROW.search(line))]
    assert len(rows) == len(matrix.rows)
    for written, values in zip(rows, matrix.values, strict=True):
        assert all(_shown_right(w, v, decimals) for w, v in zip(written, values, strict=True))
        assert all((float(w) == 0) == (v == 0) for w, v in zip(written, values, strict=True))


@given(matrices(most=6))
def test_points_stand_below_each_other(matrix):
    """In each column every decimal point is in the same cell of the terminal."""
    finite = np.where(np.isfinite(matrix.values) & (np.abs(matrix.values) < 1e7), matrix.values, 0.0)
    assume((finite != np.round(finite)).any())
    plain = Matrix("", ("a",) * len(finite), ("b",) * finite.shape[1], finite)
    lines = [found[1] for line in _lines(Panels((plain,)), width=200) if (found := ROW.search(line))]
    points = {tuple(at for at, c in enumerate(line) if c == ".") for line in lines if "e" not in line}
    assert len(points) <= 1


def test_brackets_stand_below_each_other_whatever_the_labels(hostile):
    """Wide characters, emoji, accents, right-to-left words and controls do not move the numbers."""
    matrix = Matrix("", hostile, ("1", "2"), np.arange(2.0 * len(hostile)).reshape(-1, 2) / 7)
    for width in (40, 80, 120, 200):
        lines = [line for line in _lines(Panels((matrix,)), width=width) if re.search("[⎡⎢⎣]", line)]
        starts = {cell_len(re.split("[⎡⎢⎣]", line)[0]) for line in lines}
        assert len(lines) >= 20
        assert len(starts) == 1
        assert len({cell_len(line) for line in lines}) == 1


def test_hostile_names_do_nothing(make_trace, hostile):
    """No control character but the end of line reaches the terminal; Rich's markup appears as itself."""
    for name in hostile:
        trace = make_trace(tokens=[name, name, name])
        written = render(trace, "text", View(name, about=name), width=60)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", written)
        codes = ANSI.sub("", render(trace, "text", View(name, about=name), width=60, colour=True))
        assert "\x1b" not in codes
    assert "[red]bold[/red]" in render(make_trace(tokens=["[red]bold[/red]"] * 3), "text", colour=True)


def test_heads_stand_side_by_side_where_they_fit(trace):
    """Two heads share lines at 80 cells and stand below each other at 40."""
    wide = render(trace, "text", View(address="weights"), width=80)
    narrow = render(trace, "text", View(address="weights"), width=40)
    assert any("head 1" in line and "head 2" in line for line in wide.split("\n"))
    assert not any("head 1" in line and "head 2" in line for line in narrow.split("\n"))
    assert "head 2" in narrow


def test_a_long_matrix_says_how_many_rows_it_leaves_out():
    """Of 1000 rows the first and last are shown, and the number of the others."""
    matrix = Matrix("", tuple(map(str, range(1, 1001))), ("1",), np.arange(1.0, 1001)[:, None])
    lines = _lines(Panels((matrix,)))
    assert len(lines) < 40
    (said,) = [line for line in lines if "not shown" in line]
    assert int(re.search(r"\d+", said)[0]) == 1000 - sum(bool(ROW.search(line)) for line in lines)
    assert any(line.split()[:1] == ["1000"] for line in lines)


def test_a_wide_matrix_is_cut_in_the_middle():
    """Of 100 columns the first and last are shown with … between."""
    matrix = Matrix("", ("a",), tuple(map(str, range(1, 101))), np.arange(1.0, 101)[None])
    header, row = _lines(Panels((matrix,)), width=60)[2:4]
    assert header.split()[0] == "1"
    assert header.split()[-1] == "100"
    assert header.split().count("…") == row.split().count("…") == 1


def test_a_marked_cell_is_shown_wherever_it_is():
    """A marked cell in the middle of a large matrix is shown, in brackets."""
    values = np.arange(10000.0).reshape(100, 100)
    names = tuple(map(str, range(100)))
    written = "\n".join(_lines(Panels((Matrix("", names, names, values, marked=frozenset({(50, 60)})),)), width=60))
    assert "[5060]" in written


def test_booleans_are_yes_and_no():
    """A mask is shown in words."""
    lines = _lines(Panels((Matrix("", ("a", "b"), ("1", "2"), np.array([[True, False], [True, True]])),)))
    assert [ROW.search(line)[1].split() for line in lines[3:]] == [["yes", "no"], ["yes", "yes"]]


def test_weights_are_shaded_by_their_size(trace):
    """The larger a weight, the darker its background; equal weights have the same; nothing is shaded without colour."""
    lines = render(trace, "text", View(address="weights@2"), colour=True).split("\n")
    shades = dict(re.findall(r"\x1b\[38;5;\d+;48;5;(\d+)m *(0\.\d+)", "\n".join(lines)))
    assert len(shades) == len(set(shades.values()))
    assert {"0.787", "0.107"} <= set(shades.values())


def test_a_terminal_narrower_than_40_is_taken_for_40(trace):
    """Below 40 cells nothing is made narrower."""
    assert render(trace, "text", width=10) == render(trace, "text", width=40)


def test_the_arithmetic_of_a_cell_is_written_out(trace):
    """The issue's own example, with the notebook's numbers."""
    written = render(trace, "text", View(address="head@2", cell=(1, 1)))
    assert "head@2[1,1] = 0.212*(-1) + 0.576*1 + 0.212*(-2) = -0.06" in written
    assert "[-0.060]" in written


def test_a_whole_block_fits_any_terminal(big):
    """Every line of a block with every feature, long names and formulas among them, fits at common widths."""
    document = document_of(big, View("A block"))
    for width in (40, 80, 120, 200):
        assert max(cell_len(line) for line in lower(document, "text", width=width).split("\n")) <= width
