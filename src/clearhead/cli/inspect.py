"""The command that inspects a checkpoint's attention on a text: inspect."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clearhead.budgets import MAX_TEXT_BYTES
from clearhead.cli.ending import INTERRUPTED
from clearhead.cli.group import command
from clearhead.cli.output import say, wrote
from clearhead.cli.progress import progress_bar
from clearhead.errors import FileError
from clearhead.files import read_bounded, why

if TYPE_CHECKING:
    from clearhead.inspection.report.table import TableRows
    from clearhead.inspection.survey import Survey
    from clearhead.models.model import Model
    from clearhead.models.surveying import Keep

MAX_LAYERS = 10_000
"""A bound above the layers of any model."""

SHORT = 256
"""Tokens up to which array code computes: it takes no longer than loading compiled code, and needs no compiling."""


def _layers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Numbers of layers from ``0,4-7``."""
    if value is None:
        return None
    try:
        found: list[int] = []
        for part in value.split(","):
            first, _, last = part.partition("-")
            layers = range(int(first), int(last or first) + 1)
            if layers.stop > MAX_LAYERS:
                raise click.BadParameter(f"expects layers below {MAX_LAYERS}; got {part!r}.", ctx, param)
            found += layers
    except ValueError:
        raise click.BadParameter(f"expects layers such as 0,4-7; got {value!r}.", ctx, param) from None
    return tuple(found)


@command("clearhead inspect ./SmolLM2-135M book.txt -o report.html")
@click.argument("checkpoint", type=click.Path())
@click.argument("text_file", metavar="TEXT-FILE", type=click.Path(allow_dash=True))
@click.option("-o", "--output", "outputs", type=click.Path(), multiple=True, help=".html, .csv, .parquet; repeatable.")
@click.option("--layers", metavar="LAYERS", callback=_layers, help="Only these, counted from 0: 0,4-7.")
@click.option("--first", type=click.IntRange(1), help="Read only this many of the first tokens.")
@click.option(
    "--serve", "served", is_flag=True, help="Then serve the report, whose maps can be zoomed to single tokens."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Of --serve; 0 for any.")
@click.option(
    "--by", type=click.Choice(["head", "token", "source"]), default="head", show_default=True, help="A row of a table."
)
@click.option("--decoder", metavar="TEXT", help="What the decoder has written: inspect its layers, not the encoder's.")
def inspect(
    checkpoint: str,
    text_file: str,
    outputs: tuple[str, ...],
    layers: tuple[int, ...] | None,
    first: int | None,
    by: TableRows,
    decoder: str | None,
    *,
    served: bool,
    port: int,
) -> None:
    """Compute statistics of every head of a CHECKPOINT on a text of any length.

    TEXT-FILE is a file in UTF-8, or - for standard input. No weights are stored: memory grows linearly with the tokens.
    The report (.html) shows entropy, sinks, distances and the strongest pairs of each head, and what each token
    receives; tables (.csv, .parquet) have the numbers. Ctrl-C ends it: finished layers are written, missing ones are
    listed, and the exit code is 130.

    With --serve the report is served on this machine when all is computed. The map of a head can then be zoomed to
    single tokens: its weights are computed again from queries and keys, which are kept in temporary files.

    Of an encoder-decoder TEXT-FILE is the source. With --decoder, tables --by source have the decoder's weights on it.
    """
    from clearhead.extras import need
    from clearhead.inspection.report.files import check
    from clearhead.models.loading import load

    for path in outputs:
        check(path, by)
    if served:
        for module in ("uvicorn", "starlette"):
            need(module, "serve")
    text = _read(text_file)
    model = load(checkpoint)
    ids = model.tokenizer.encode(text).ids[:first]
    if len(ids) <= SHORT:
        model.engine = "array"
    if not served:
        _report(_inspected(model, ids, layers, decoder), outputs, by)
        return
    from clearhead.cli.serve import listen
    from clearhead.web.report import Kept, report_application

    kept = Kept()
    try:
        found = _inspected(model, ids, layers, decoder, kept)
    except OSError as error:
        raise FileError(
            f"queries and keys cannot be kept in temporary files: {why(error)}. Give fewer --layers."
        ) from None
    _report(found, outputs, by)
    listen(lambda hosts: report_application(found, kept.layers, hosts), "127.0.0.1", port)


def _inspected(
    model: Model, ids: Sequence[int], layers: tuple[int, ...] | None, decoder: str | None, keep: Keep | None = None
) -> Survey:
    """The inspection, or what was finished of it before Ctrl-C."""
    from clearhead.models.surveying import Interrupted, survey
    from clearhead.models.walking import Asked

    try:
        with progress_bar(f"{len(ids):,} tokens", sys.stderr) as progress:
            return survey(model, ids, layers, Asked(decoder=decoder), progress, keep)
    except Interrupted as stop:
        return stop.partial


def _report(found: Survey, outputs: tuple[str, ...], by: TableRows) -> None:
    """Prints a summary and writes files.

    Raises:
        Exit: layers are missing.
    """
    from clearhead.inspection.report.summary import named, summary

    if found.layers:
        for line in summary(found).split("\n"):
            say(line)
    for note in found.notes:
        say(f"Note: {note}", err=True)
    for path in outputs if found.layers else ():
        found.save(path, by=by)
        wrote(path)
    if found.missing:
        say(f"Interrupted. Missing: {named(found.missing)}.", err=True)
        raise click.exceptions.Exit(INTERRUPTED)


def _read(path: str) -> str:
    """The text of a file.

    Raises:
        FileError: it cannot be read, or is no text in UTF-8.
    """
    try:
        content = sys.stdin.buffer.read(MAX_TEXT_BYTES) if path == "-" else read_bounded(path, MAX_TEXT_BYTES)
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path}: expects a text in UTF-8. Convert it: iconv -f latin1 -t utf-8") from None
    except FileNotFoundError as error:
        raise FileError(
            f"{path}: the file cannot be read: {why(error)}. It expects the name of a file; a text itself goes through "
            f"standard input, with - for the file."
        ) from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: the file cannot be read: {why(error)}.") from None
