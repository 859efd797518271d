"""Commands on checkpoints: trace, verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
@options.decoder
@options.decoder_tokens
@options.family
@click.option("--layer", type=click.IntRange(0), help="Keep every line of this layer, counted from 0.")
@click.option("--keep", metavar="LINE", multiple=True, help='Keep these lines; may hold *; "*" is all; repeatable.')
@click.option("--replace", metavar="LINE=NUMBER", multiple=True, callback=typed.replacement, help="Put a number there.")
@click.option("--show", "address", metavar="LINE", help="Show a line, or one head of it: layers.3.attention.weights@5.")
@click.option("--cell", metavar="I,J", callback=typed.cell, help="Show the arithmetic of one cell, counted from 0.")
@options.decimals
@click.option("-o", "--output", "outputs", type=click.Path(), multiple=True, help="Write it to a file; repeatable.")
@click.option("--top", type=click.IntRange(1, 50), default=5, show_default=True, help="How many next tokens to show.")
def trace(
    checkpoint: str,
    text: str | None,
    tokens: list[int] | None,
    decoder: str | None,
    decoder_tokens: list[int] | None,
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
    and tokens count from 0. --replace layers.3.attention.head@5=0 removes a head.
    """
    from clearhead.models.model import USUAL
    from clearhead.show import View, render
    from clearhead.show.export import Export

    if cell is not None and address is None:
        raise click.UsageError("--cell needs a line: --show LINE --cell I,J.")
    source, written = _source(text, tokens), _written(decoder, decoder_tokens)
    model = _load(checkpoint, families, engine="array")
    kept = (*keep, *(() if layer is None else (f"layers.{layer}.*",)))
    shown = () if address is None else (address.partition("@")[0],)
    names = dict.fromkeys((*(kept or USUAL), *shown, *_results(model)))
    worked = model.trace(source, decoder=written, keep=names, replace=replace)
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
    """The input: a text, or numbers of tokens."""
    if (text is None) == (tokens is None):
        raise click.UsageError('expects a TEXT, or --tokens 1,2,3: one of the two. An empty text is "".')
    return tokens if text is None and tokens is not None else text or ""


def _written(text: str | None, tokens: list[int] | None) -> str | list[int] | None:
    """What the decoder has written so far; None for nothing."""
    if text is not None and tokens is not None:
        raise click.UsageError("expects --decoder TEXT, or --decoder-tokens 0,1,2: one of the two.")
    return tokens if text is None else text


def _load(checkpoint: str, families: str | None, engine: Engine = "auto") -> Model:
    from clearhead.models.loading import load
    from clearhead.models.tables import read_families

    return load(checkpoint, families=() if families is None else read_families(families), engine=engine)


def _results(model: Model) -> tuple[str, ...]:
    return ("logits",) if model.spec.head is not None else ()


def _summary(model: Model, worked: Trace, top: int) -> list[str]:
    """The input, what is kept, and the most probable next tokens."""
    from clearhead.models.budget import in_words

    size = sum(worked[name].nbytes for name in worked)
    sizes = model.sizes
    lines = [
        f"{model.path.name}: {model.family.name}, {sizes.layers} layers, {sizes.heads} heads",
        *_tokens(model, worked),
        f"{len(worked)} arrays are kept, {in_words(size)}.",
        *model.notes,
    ]
    if guesses := _expected(model, worked, top):
        lines.append("Next: " + ", ".join(f"[{each.token}] {each.probability:.3f}" for each in guesses))
    return lines


def _tokens(model: Model, worked: Trace) -> Iterator[str]:
    """The tokens that were read: of the only stack, or of encoder and decoder."""
    for given, reader in (("encoder.token", " of the encoder"), ("token", " of the decoder")):
        if given in worked:
            tokens = model.names([int(number) for number in worked[given]])
            shown = " ".join(f"[{token}]" for token in tokens[:MAX_TOKENS_SHOWN])
            more = f" and {len(tokens) - MAX_TOKENS_SHOWN} more" if len(tokens) > MAX_TOKENS_SHOWN else ""
            yield f"{len(tokens)} tokens{'' if model.spec.encoder is None else reader}: {shown}{more}"


def _expected(model: Model, worked: Trace, top: int) -> Sequence[Guess]:
    """The most probable next tokens of a language model; none of another model."""
    head = model.spec.head
    return model.next(worked, max_tokens=top) if head is not None and head.reads == "tokens" and model.causal else ()


@command('clearhead verify ./SmolLM2-135M "The capital of France is"')
@click.argument("checkpoint", type=click.Path())
@click.argument("text", required=False)
@options.tokens
@options.decoder
@options.decoder_tokens
@options.family
@click.option("--diagnose/--no-diagnose", default=True, help="Say why they differ, or only where.  [default: say why]")
def verify(
    checkpoint: str,
    text: str | None,
    tokens: list[int] | None,
    decoder: str | None,
    decoder_tokens: list[int] | None,
    families: str | None,
    diagnose: bool,  # noqa: FBT001 - an option is passed by name
) -> None:
    """Compare intermediate values of a CHECKPOINT with Transformers, on the same tokens.

    Every hidden state, every head's attention weights and the logits are compared. The first line that differs is named
    and, if it is in one block, its cause. Without TEXT a pangram is read. The exit code is 0 if all agree, 1 if some
    differ. Transformers must be installed.
    """
    from clearhead.models.verifying import BOUND
    from clearhead.models.verifying import verify as compare

    source = _source(PANGRAM if text is None and tokens is None else text, tokens)
    written = _written(decoder, decoder_tokens)
    model = _load(checkpoint, families)
    verdict = compare(model, source, decoder=written)
    for note in model.notes:
        say(note)
    first, worst = verdict.first, verdict.worst
    count = verdict.trace["token"].shape[-1]
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
    """Says why the numbers of a block differ from Transformers' on the same input."""
    from clearhead.check import diagnose
    from clearhead.claim import Claim

    short = suspect.first_tokens(DIAGNOSED_TOKENS)
    say()
    if short is None:
        say(f"The cause is searched in texts of up to {DIAGNOSED_TOKENS} tokens. Give a shorter one.")
        return
    claims = [Claim.computed(short.line, short.theirs[short.line])]
    report = diagnose(claims, short.working.run(short.given), max_deviations=1, rounded=())
    if report.verdict == "agrees":
        say("The cause is not known: the difference is smaller than float32 numbers of this line can show.")
    else:
        print_document(report.document(title=f"Why layer {suspect.layer} differs"), "text")
