"""Statistics of a model's heads on a whole corpus, on one or many machines, with the same numbers to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Union

from clearhead.corpora.engines.dask import Dask
from clearhead.corpora.engines.local import Local
from clearhead.corpora.measures import Measure
from clearhead.corpora.options import Options
from clearhead.corpora.plan import Plan, Shard
from clearhead.corpora.result import Corpus, Example, Pair, differences
from clearhead.corpora.running import Interrupted, open_corpus, run
from clearhead.corpora.tally import Tally
from clearhead.corpora.worker import Job
from clearhead.files import FilePath

Engine = Union[Local, Dask]

__all__ = [
    "Corpus", "Dask", "Engine", "Example", "Interrupted", "Job", "Local", "Measure", "Options", "Pair", "Plan",
    "Shard", "Tally", "corpus", "differences", "open_corpus",
]  # fmt: skip


def corpus(
    checkpoint: FilePath,
    documents: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    options: Options | None = None,
    engine: Engine | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Callable[[float], object] | None = None,
) -> Corpus:
    """Inspects a model's attention on every document of a corpus, and keeps exact sums of statistics of every head.

    The work is cut into shards, and each is a file in ``output`` once it is done. A call with the
    same arguments continues from there. The result does not depend on workers, their order, shards or interruptions: it
    is the same to the last bit on processors of one kind.

    Args:
        checkpoint: what `clearhead.load` opens.
        documents: files, patterns such as ``"books/*.jsonl.gz"``, or folders of Hugging Face datasets: texts in UTF-8,
            JSON lines, Parquet, Arrow; a path may be an address such as ``s3://bucket/name``.
        output: the folder of shards, report and results; it may be an address too.
        options: how documents are read, and what else is measured.
        engine: who does the work: `Local` processes, or a `Dask` cluster.
        shard: (i, n): do only every n-th shard, starting with the i-th, counted from 1.
        progress: is called with the finished part of the documents that were left to do, 0 to 1.

    Returns:
        The results so far: complete unless ``shard`` leaves shards to other calls. ``results.parquet`` and
        ``report.html`` in ``output`` have the same.

    Raises:
        Interrupted: Ctrl-C was pressed; its ``partial`` has the results so far, which are also written.
        CheckpointError: the model cannot be read.
        FileError: documents cannot be read, or results not written.
        SpecError: the options contradict each other, or ``output`` has results of other options, model or versions.
    """
    paths = [documents] if not isinstance(documents, Sequence) or isinstance(documents, str) else list(documents)
    data = [str(each) for each in paths]
    return run(str(checkpoint), data, str(output), options or Options(), engine or Local(), shard, progress)
