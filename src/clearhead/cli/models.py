"""Commands on checkpoints: trace, verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clearhead.cli import options, typed
from clearhead.cli.ending import DISAGREE
from clearhead.cli.group import command
from clearhead.cli.output import in_colour, print_document, print_text, say, width, wrote

if TYPE_CHECKING:
    from clearhead.compiled.program import Engine
    from clearhead.models.model import Guess, Model
    from clearhead.models.verifying import Suspect
    from clearhead.trace import Trace

MAX_TOKENS_SHOWN = 60
DIAGNOSED_TOKENS = 12
PANGRAM = "The quick brown fox jumps over the lazy dog."


@command('clearhead trace ./SmolLM2-135M "The capital of France is"')
@click.argument("checkpoint", type=click.Path())
@click.argument("text", required=False)
@options.tokens
@options.family
@click.option("--layer", type=click.IntRange(0), help="Keep every line of this layer, counted from 0.")
@click.option("--keep", metavar="LINE", multiple=True, help='Keep these lines; may hold *; "*" is all; repeatable.')
@click.option("--replace", metavar="LINE=NUMBER", multiple=True, callback=typed.replacement, help="Put a number there.")
@click.option("--show", "address", metavar="LINE", help="Show a line, or one head of it: layers.3.attention.weights@5.")
@click.option("--cell", metavar="I,J", callback=typed.cell, help="Work out one cell of what is shown, counted from 0.")
@options.decimals
@click.option("-o", "--output", "outputs", type=click.Path(), multiple=True, help="Write it to a file; repeatable.")
@click.option("--top", type=click.IntRange(1, 50), default=5, show_default=True, help="How many next tokens to show.")
def trace(
    checkpoint: str,
    text: str | None,
    tokens: list[int] | None,
    families: str | None,
    layer: int | None,
    keep: tuple[str, ...],
    replace: dict[str, float],
    address: str | None,
    cell: tuple[int, ...] | None,
    decimals: int,
    outputs: tuple[str, ...],
    top: int,
) -> None:
    """Compute TEXT with a CHECKPOINT, every line by name.

    CHECKPOINT is a directory, a .safetensors or .gguf file, or a name in the local Hugging Face cache. Layers, heads
    and tokens count from 0. --replace layers.3.attention.head@5=0 takes a head out.
    """
    from clearhead.models.model import USUAL
    from clearhead.show import View, render
    from clearhead.show.export import Export

    if cell is not None and address is None:
        raise click.UsageError("--cell needs to know of which line: --show LINE --cell I,J.")
    source = _source(text, tokens)
    model = _load(checkpoint, families, engine="array")
    kept = (*keep, *(() if layer is None else (f"layers.{layer}.*",)))
    shown = () if address is None else (address.partition("@")[0],)
    worked = model.trace(source, keep=dict.fromkeys((*(kept or USUAL), *shown, *_results(model))), replace=replace)
    title = f"{model.path.name}: {text or source}"
    if address is not None:
        view = View(title, address=address, cell=cell, decimals=decimals)
        print_text(render(worked, view=view, width=width(), colour=in_colour()))
    else:
        for line in _summary(model, worked, top):
            say(line)
    expected = tuple((each.token, each.probability) for each in _expected(model, worked, top))
    view = View(title, decimals=decimals, next_tokens=expected)
    for each in [Export.of(worked, path, view) for path in outputs]:
        each.write()
        wrote(each.path)


def _source(text: str | None, tokens: list[int] | None) -> str | list[int]:
    """What is read: a text, or numbers of tokens."""
    if (text is None) == (tokens is None):
        raise click.UsageError('expects a TEXT, or --tokens 1,2,3: one of the two. An empty text is "".')
    return tokens if text is None and tokens is not None else text or ""


def _load(checkpoint: str, families: str | None, engine: Engine = "auto") -> Model:
    from clearhead.models.loading import load
    from clearhead.models.tables import read_families

    return load(checkpoint, families=() if families is None else read_families(families), engine=engine)


def _results(model: Model) -> tuple[str, ...]:
    return ("logits",) if model.spec.head is not None else ()


def _summary(model: Model, worked: Trace, top: int) -> list[str]:
    """What was read, what is kept, and what would come next."""
    from clearhead.models.budget import in_words

    tokens = worked.tokens or ()
    shown = " ".join(f"[{token}]" for token in tokens[:MAX_TOKENS_SHOWN])
    more = f" and {len(tokens) - MAX_TOKENS_SHOWN} more" if len(tokens) > MAX_TOKENS_SHOWN else ""
    size = sum(worked[name].nbytes for name in worked)
    sizes = model.sizes
    lines = [
        f"{model.path.name}: {model.family.name}, {sizes.layers} layers, {sizes.heads} heads",
        f"{len(tokens)} tokens: {shown}{more}",
        f"{len(worked)} arrays are kept, {in_words(size)}.",
        *model.notes,
    ]
    if guesses := _expected(model, worked, top):
        lines.append("Next: " + ", ".join(f"[{each.token}] {each.probability:.3f}" for each in guesses))
    return lines


def _expected(model: Model, worked: Trace, top: int) -> Sequence[Guess]:
    """What a language model expects to come next; nothing of another model."""
    head = model.spec.head
    return model.next(worked, max_tokens=top) if head is not None and head.reads == "tokens" and model.causal else ()


@command('clearhead verify ./SmolLM2-135M "The capital of France is"')
@click.argument("checkpoint", type=click.Path())
@click.argument("text", required=False)
@options.tokens
@options.family
@click.option("--diagnose/--no-diagnose", default=True, help="Say why they differ, or only where.  [default: say why]")
def verify(
    checkpoint: str,
    text: str | None,
    tokens: list[int] | None,
    families: str | None,
    diagnose: bool,  # noqa: FBT001 - an option is passed by name
) -> None:
    """Compare intermediate values of a CHECKPOINT with Transformers, on the same tokens.

    Every hidden state, every head's attention weights and the logits are compared. The first line that differs is named
    and, if it lies in one block, why. Without TEXT a pangram is read. The exit code is 0 if all agree, 1 if some
    differ. Transformers must be installed.
    """
    from clearhead.models.verifying import BOUND
    from clearhead.models.verifying import verify as compare

    source = _source(PANGRAM if text is None and tokens is None else text, tokens)
    model = _load(checkpoint, families)
    verdict = compare(model, source)
    for note in model.notes:
        say(note)
    first, worst = verdict.first, verdict.worst
    count = len(verdict.trace.tokens or ())
    say(f"{count} tokens, {len(verdict.lines)} lines compared; up to {BOUND:g} of a row's largest number is rounding.")
    if first is None:
        say(f"All agree. The largest difference is {worst.difference:.1e}, in {worst.line}.")
        return
    agreeing = sum(each.agrees for each in verdict.lines)
    say(f"{agreeing} of {len(verdict.lines)} agree. The first that differs is {first.line}, by {first.difference:.1e}.")
    if diagnose and verdict.suspect is not None:
        _diagnose(verdict.suspect)
    raise click.exceptions.Exit(DISAGREE)


def _diagnose(suspect: Suspect) -> None:
    """Says why a block gives other numbers than Transformers on the same input."""
    from clearhead.check import diagnose
    from clearhead.claim import Claim

    short = suspect.first_tokens(DIAGNOSED_TOKENS)
    say()
    if short is None:
        say(f"Why it differs is searched for in texts of up to {DIAGNOSED_TOKENS} tokens. Give a shorter one.")
        return
    claims = [Claim.computed(short.line, short.theirs[short.line])]
    report = diagnose(claims, short.working.run(short.given), max_deviations=1, rounded=())
    if report.verdict == "agrees":
        say("Why it differs cannot be said: the difference is below what float32 numbers of this line can show.")
    else:
        print_document(report.document(title=f"Why layer {suspect.layer} differs"), "text")
