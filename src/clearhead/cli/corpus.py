"""The command that inspects a checkpoint's attention on a whole corpus: corpus."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from clearhead.cli.ending import BAD_INPUT, INTERRUPTED
from clearhead.cli.group import command
from clearhead.cli.output import say, wrote
from clearhead.cli.progress import progress_bar

if TYPE_CHECKING:
    from clearhead.corpora import Corpus


REASONS = 3
"""Reasons that are named, of documents that could not be read."""


def _share(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """The share of the shards, from ``3/10``."""
    number, _, of = value.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise click.BadParameter(f"expects i/n with i from 1 to n, such as 3/10; got {value!r}.", ctx, param)
    return int(number), int(of)


def _classes(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Classes of tokens, from ``digit=[0-9]``."""
    found = {}
    for each in value:
        name, equals, pattern = each.partition("=")
        if not equals:
            raise click.BadParameter(f"expects NAME=REGEX, such as digit=[0-9]; got {each!r}.", ctx, param)
        found[name] = pattern
    return found


@command("clearhead corpus ./SmolLM2-135M 'books/*.jsonl.gz' -o heads")
@click.argument("checkpoint", type=click.Path())
@click.argument("data", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder of shards, results and report.")
@click.option("--column", default="text", show_default=True, help="Where JSON lines and tables have the text.")
@click.option("--group", default="", metavar="COLUMN", help="Also report by the values of this column.")
@click.option("--length", type=click.IntRange(2), default=512, show_default=True, help="The most tokens of a sequence.")
@click.option("--fit", type=click.Choice(["cut", "split", "pack"]), default="cut", show_default=True,
              help="Read the beginning of documents, all of them in parts, or many in one sequence.")  # fmt: skip
@click.option("--class", "classes", multiple=True, metavar="NAME=REGEX", callback=_classes,
              help="Also report the weight on tokens in which this is found; repeatable.")  # fmt: skip
@click.option("--loss", is_flag=True, help="Also compute the next-token loss.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Processes of the local engine; one for each core if left out.")
@click.option("--scheduler", metavar="ADDRESS", help="The scheduler of the Dask cluster: tcp://host:8786.")
@click.option(
    "--shard", "share", default="1/1", metavar="I/N", callback=_share, help="Do every N-th shard, from the I-th on."
)
@click.option("--shard-size", type=click.IntRange(1), help="Documents of a shard.")
@click.option("--against", metavar="DIR", help="Compare with the corpus in this folder, in the report.")
def corpus(checkpoint: str, data: tuple[str, ...], output: str, **given: Any) -> None:
    """Inspect every head of a CHECKPOINT on all documents of a corpus.

    DATA are text files, .jsonl, .parquet or .arrow files (also .gz, .zst), patterns in quotes, folders of Hugging Face
    datasets; and addresses such as s3://bucket/*.jsonl. Finished shards are never done again: after Ctrl-C, a crash or
    new documents, the same command continues. The result is the same to the last bit for any number of workers.
    DIR/report.html and DIR/results.parquet have the results so far. The exit status is 2 if no document could be read.
    """
    from clearhead.corpora import Dask, Local, Options, storage
    from clearhead.corpora.running import REPORT, RESULTS, Interrupted, run, save

    if given["scheduler"] and given["engine"] != "dask":
        raise click.UsageError("--scheduler goes with --engine dask.")
    if given["engine"] == "dask" and not given["scheduler"]:
        raise click.UsageError("--engine dask goes with --scheduler, such as tcp://host:8786.")
    against = _opened(given["against"], checkpoint) if given["against"] else None
    options = Options(**{name: given[name] for name in ("length", "fit", "column", "group", "classes", "loss")})
    engine = Dask(given["scheduler"]) if given["engine"] == "dask" else Local(given["workers"])
    try:
        with progress_bar("documents to do", sys.stderr) as progress:
            found = run(checkpoint, data, output, options, engine, given["share"], progress, given["shard_size"])
    except Interrupted as stop:
        _say(stop.partial, err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    if against is not None:
        save(found, output, against)
    _say(found)
    for name in (RESULTS, REPORT):
        wrote(storage.join(output, name))
    if found.failed and not found.counts[0]:
        raise click.exceptions.Exit(BAD_INPUT)


def _opened(folder: str, checkpoint: str) -> Corpus:
    """The corpus to compare with, before any work is done: of a model with as many layers and heads."""
    from clearhead.corpora import open_corpus
    from clearhead.corpora.result import check_same_heads
    from clearhead.models import load

    found, model = open_corpus(folder), load(checkpoint, engine="array")
    check_same_heads(checkpoint, (model.sizes.layers, model.sizes.heads), found)
    return found


def _say(found: Corpus, *, err: bool = False) -> None:
    """What was read, and what is missing."""
    documents, sequences, tokens = found.counts
    say(f"{found.plan.model}; {documents:,} documents, {sequences:,} sequences, {tokens:,} tokens", err=err)
    for note in found.notes:
        say(note, err=True)
    if found.failed:
        count = sum(map(len, found.failed.values()))
        most = sorted(found.failed.items(), key=lambda each: -len(each[1]))[:REASONS]
        why = "; ".join(f"{fault.rstrip('.')} ({len(numbers):,})" for fault, numbers in most)
        rest = count - sum(len(numbers) for _, numbers in most)
        why += f"; for other reasons ({rest:,})" if rest else ""
        named = "1 document" if count == 1 else f"{count:,} documents"
        say(f"{named} could not be read: {why}. The report says which.", err=True)
    if found.missing:
        say(f"Partial: {len(found.missing):,} of {len(found.plan.shards):,} shards are missing.", err=True)
