"""Commands that write a trace to files: export, plot."""

import pytest
from click.testing import CliRunner

from clearhead.cli import main


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output + result.stderr


def test_a_sheet_for_students_comes_with_its_key(tmp_path):
    """--blank leaves lines empty, and --key writes the solution beside it, with what was claimed and why it differs."""
    run("export", "soccer", "-o", tmp_path / "sheet.md", "--blank", "weights", "--key")
    sheet, key = (tmp_path / name for name in ("sheet.md", "sheet-key.md"))
    assert "0.787" not in sheet.read_text("utf-8")
    assert "softmax-over-queries" not in sheet.read_text("utf-8")
    assert "0.787" in key.read_text("utf-8")
    assert "softmax-over-queries" in key.read_text("utf-8")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_line_is_drawn(tmp_path, ending):
    """`plot` writes the kind of picture that the ending says."""
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    said = run("plot", "soccer", "weights", "-o", tmp_path / f"x.{ending}", "--kind", "entropy")
    assert said == f"Wrote {tmp_path / f'x.{ending}'}\n"
    assert (tmp_path / f"x.{ending}").read_bytes().startswith(begins)


def test_what_cannot_be_drawn_is_told_in_words(tmp_path):
    """A line that is not there, and a kind of file that is none, end with 2 and what there is."""
    assert "weights" in run("plot", "soccer", "wieghts", "-o", tmp_path / "x.png", code=2)
    assert ".png" in run("plot", "soccer", "weights", "-o", tmp_path / "x.bmp", code=2)


@pytest.mark.parametrize("what", [("tour", "single-head", "html", "pdf"), ("plot", "soccer", "weights", "png", "svg")])
def test_every_file_that_is_asked_for_is_written(tmp_path, what):
    """An output that is named twice gives two files, not the last alone."""
    paths = [tmp_path / f"x.{ending}" for ending in what[-2:]]
    said = run(*what[:-2], *(part for path in paths for part in ("-o", path)))
    assert all(path.exists() and f"Wrote {path}" in said for path in paths)
