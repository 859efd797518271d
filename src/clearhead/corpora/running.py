"""From documents to results: plan, compute missing shards, add up, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from clearhead.corpora import storage
from clearhead.corpora.ledger import Ledger, as_parquet
from clearhead.corpora.options import Options, checked
from clearhead.corpora.plan import Plan, Shard, plan_of
from clearhead.corpora.report import END, report
from clearhead.corpora.result import Corpus
from clearhead.corpora.tally import Tally
from clearhead.corpora.worker import Job
from clearhead.errors import FileError, ShapeError, SpecError
from clearhead.models import Model, load
from clearhead.models.lengths import check_lengths

PLAN, RESULTS, REPORT = "corpus.json", "results.parquet", "report.html"

POSITIONS = "embedding.position.weight"
"""The table of learned positions, of models that have one."""

ROUNDS = 3
"""How often shards with damaged files are computed again."""

Progress = Callable[[float], object]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a corpus; ``partial`` has the results so far, and names missing shards."""

    def __init__(self, partial: Corpus) -> None:
        super().__init__("the corpus was interrupted")
        self.partial = partial


class Engine(Protocol):
    """What does shards."""

    def run(self, job: Job, shards: Sequence[Shard], done: Callable[[Shard], object]) -> None:
        """Does shards; calls ``done`` when one is written."""


def run(
    checkpoint: str, data: Sequence[str], output: str, options: Options, engine: Engine, share: tuple[int, int],
    progress: Progress | None = None, size: int | None = None,
) -> Corpus:  # fmt: skip
    """Computes a corpus, or a part of it; see `clearhead.corpus`. ``size`` is the documents of a shard.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    number, of = share
    data, output = [storage.plain(each) for each in data], storage.plain(output)
    if not 1 <= number <= of:
        raise SpecError(f"shard expects i of n with i from 1 to n, got {number} of {of}.")
    model = load(checkpoint, engine="array")
    _check_positions(model, checked(options))
    plan = plan_of(model, data, options, size)
    _remember(plan, output)
    ledger, own = Ledger(output), plan.shards[number - 1 :: of]
    try:
        for _ in range(ROUNDS):
            _do(ledger, own, Job(checkpoint, output, plan.fingerprint, options), engine, progress)
            found = gathered(plan, output)
            if not set(found.missing) & {shard.name for shard in own}:
                break
    except KeyboardInterrupt:
        partial = gathered(plan, output)
        save(partial, output)
        raise Interrupted(partial) from None
    save(found, output)
    return found


def _check_positions(model: Model, options: Options) -> None:
    """Checks that a model can read its longest sequences: else only short documents would be read."""
    if POSITIONS not in {each.name for each in model.working().givens}:
        return
    try:
        check_lengths(model.spec, {"token": np.zeros(options.length, np.int64), POSITIONS: model.arrays[POSITIONS]})
    except ShapeError as error:
        raise SpecError(f"length={options.length}: {error}") from None


def _do(ledger: Ledger, own: Sequence[Shard], job: Job, engine: Engine, progress: Progress | None) -> None:
    """Computes those of some shards that are missing."""
    missing = ledger.missing({shard.name: shard for shard in own}.values())
    if not missing:
        return
    whole = left = sum(shard.documents for shard in missing)

    def done(shard: Shard) -> None:
        nonlocal left
        left -= shard.documents
        if progress is not None:
            progress(1 - left / whole)

    if progress is not None:
        progress(0.0)
    engine.run(job, missing, done)
    if lost := ledger.missing(missing):
        raise FileError(
            f"{job.output}: {len(lost):,} shards were computed, and are not there. All workers must see this folder "
            f"under the same path or address; memory:// is a place in one process alone."
        )


def _remember(plan: Plan, output: str) -> None:
    """Writes the plan, unless the folder is that of another corpus."""
    if PLAN in storage.names(output) and (before := _plan(output)).fingerprint != plan.fingerprint:
        raise SpecError(f"{output}: has results of {_difference(before, plan)}. Name another folder.")
    storage.write(storage.join(output, PLAN), msgspec.json.encode(plan))


def _difference(before: Plan, plan: Plan) -> str:
    """In what an earlier corpus differs from another, in words."""
    one, two = msgspec.structs.asdict(before.options), msgspec.structs.asdict(plan.options)
    other = [f"{name}={value!r:.60}, not {two[name]!r:.60}" for name, value in one.items() if value != two[name]]
    if before.model != plan.model:
        other.insert(0, f"{before.model}, not {plan.model}")
    return "; ".join(other) or "a model with other files, or of other versions of clearhead, NumPy, Numba or tokenizers"


def _plan(output: str) -> Plan:
    if PLAN not in storage.names(output):
        raise FileError(f"{output}: there is no corpus here. Name a folder that clearhead corpus wrote.")
    content = storage.read(storage.join(output, PLAN))
    try:
        return msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError as error:
        raise FileError(f"{output}: {PLAN} cannot be read: {error}. Run the corpus again.") from None


def gathered(plan: Plan, output: str) -> Corpus:
    """The finished part of a corpus, added up."""
    tally, missing = Tally(), []
    for shard, found in Ledger(output).tallies(plan.shards):
        if found is None:
            missing.append(shard.name)
        else:
            tally.add_all(found.renumbered(shard.start))
    return Corpus(plan, tally, tuple(missing))


def save(corpus: Corpus, output: str, against: Corpus | None = None) -> None:
    """Writes the table of results and the report, optionally with the differences from another corpus."""
    storage.write(storage.join(output, RESULTS), as_parquet(corpus.table()))
    storage.write(storage.join(output, REPORT), _encoded(report(corpus, against)))


def _encoded(page: str) -> bytes:
    return page.encode("utf-8", "backslashreplace")


def open_corpus(output: str) -> Corpus:
    """The finished part of the corpus in a folder; only sums are computed.

    Report and table are written again where they are not those of what is finished.

    Raises:
        FileError: there is none.
    """
    output = storage.plain(output)
    found = gathered(_plan(output), output)
    if not _is_saved(found, output):
        save(found, output)
    return found


def _is_saved(corpus: Corpus, output: str) -> bool:
    """Whether table and report are there. The report may go on with a comparison, which is not ours to remove."""
    if not {RESULTS, REPORT} <= {*storage.names(output)}:
        return False
    if storage.read(storage.join(output, RESULTS)) != as_parquet(corpus.table()):
        return False
    return storage.read(storage.join(output, REPORT)).startswith(_encoded(report(corpus).removesuffix(END)))
