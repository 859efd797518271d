"""Deviations in the input: embeddings and the positions added to them."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.axes import axes
from clearhead.deviations.deviation import TINY, Deviation, Parameter, Rewrite, Span, never, values
from clearhead.deviations.rewrites import (
    Nothing,
    adjust,
    belongs_to,
    change_lines,
    follow,
    is_called,
    reread,
    with_lines,
    with_operation,
)
from clearhead.line import Line, free_name
from clearhead.ops import Operation, as_parameters
from clearhead.ops.textbook import positions, scores
from clearhead.ops.variants import positions as variants_positions
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

_TEXTBOOK = {
    positions.sinusoidal: variants_positions.sinusoidal_shifted,
    positions.sinusoidal_at: variants_positions.sinusoidal_at_shifted,
}
"""Sinusoids of all tokens and of given positions, each with the operation that counts from an offset."""

_OF_TOKENS = (positions.sinusoidal, variants_positions.sinusoidal_shifted)
_OF_POSITIONS = (positions.sinusoidal_at, variants_positions.sinusoidal_at_shifted)
_SINUSOIDS = (
    variants_positions.sinusoidal_shifted,
    variants_positions.sinusoidal_concatenated,
    variants_positions.sinusoidal_doubled,
    variants_positions.sinusoidal_unpaired,
    variants_positions.sinusoidal_swapped,
    variants_positions.sinusoidal_at_shifted,
    variants_positions.sinusoidal_at_concatenated,
    variants_positions.sinusoidal_at_doubled,
    variants_positions.sinusoidal_at_unpaired,
)


def _is_sum(line: Line) -> bool:
    return line.operation.role == "sum" and is_called(line, "input")


def _embedding_scaled(working: Working) -> Working:
    """Scales the given embedding, or the given input where there is no embedding."""
    name = next((each.name for each in working.givens if each.name in ("embedding", "input")), None)
    if name is None:
        raise Nothing("this working is given no embedding and no input.")
    scaled = Line(
        free_name(f"{name}.scaled", working.names), variants_positions.scale_by_root_width, (name,), axes("token model")
    )
    return with_lines(working, [scaled, *(reread(line, {name: scaled.name}) for line in working.lines)])


def _positions_missing(working: Working) -> Working:
    return change_lines(
        working, _is_sum, lambda line: [with_operation(line, unchanged)], "a sum of embedding and position"
    )


def _positions_doubled(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return follow(working, line, "once", line.operation, line.operands[1])

    return change_lines(working, _is_sum, change, "a sum of embedding and position")


def _shifted(working: Working, by: int) -> Working:
    """Counts positions from an offset, for every form of the sinusoids."""

    def change(line: Line) -> list[Line]:
        offset = dict(line.parameters).get("offset", 0.0) + by
        new = _TEXTBOOK.get(line.operation, line.operation)
        return [with_operation(line, new, offset=float(offset))]

    return change_lines(working, lambda line: line.operation in (*_TEXTBOOK, *_SINUSOIDS), change, "a sinusoidal")


def _residual_from_embedding(working: Working) -> Working:
    sums = {line.name: line.operands[0] for line in working.lines if _is_sum(line)}

    def change(line: Line) -> list[Line]:
        return [replace(line, operands=(sums[line.operands[0]], *line.operands[1:]))]

    def matches(line: Line) -> bool:
        return line.operation.role == "sum" and is_called(line, "residual") and line.operands[0] in sums

    return change_lines(working, matches, change, "a residual of a sum of embedding and position")


def _written(of_tokens: Operation, of_positions: Operation | None = None) -> Rewrite:
    """A rewrite that writes plain sinusoids, with any offset, in another way."""
    new = dict.fromkeys(_OF_TOKENS, of_tokens) | (dict.fromkeys(_OF_POSITIONS, of_positions) if of_positions else {})

    def rewrite(working: Working) -> Working:
        def change(line: Line) -> list[Line]:
            return [with_operation(line, new[line.operation], offset=dict(line.parameters).get("offset", 0.0))]

        return change_lines(working, lambda line: line.operation in new, change, "a sinusoidal")

    return rewrite


def _embedding_factor(working: Working, factor: float) -> Working:
    """Multiplies the embedding, given or looked up, by a number."""
    looked_up = [line.name for line in working.lines if line.operation.role == "table"]
    given = [each.name for each in working.givens if each.name in ("embedding", "input")]
    name = next(iter([*looked_up, *given]), None)
    if name is None:
        raise Nothing("this working is given no embedding and no input.")
    known = as_parameters({"factor": factor})
    grown = Line(free_name(f"{name}.grown", working.names), scores.scale, (name,), axes("token model"), known)
    lines = [reread(line, {name: grown.name}) for line in working.lines]
    at = next((place + 1 for place, line in enumerate(lines) if line.name == name), 0)
    return with_lines(working, [*lines[:at], grown, *lines[at:]])


def _embedding_scale_missing(working: Working) -> Working:
    return change_lines(
        working,
        lambda line: line.operation is scores.scale and belongs_to(line, "embedding"),
        lambda line: [with_operation(line, unchanged)],
        "a scale of embeddings",
    )


ROWS = (
    Deviation(
        id="embedding-scale-missing",
        kind="mistake",
        does="The embeddings are not multiplied by the model's factor.",
        invisible="Where a norm reads them first, and residuals are not compared.",
        remedy="Multiply by sqrt(d_model) in Gemma, by embedding_multiplier in Granite.",
        seen="TransformerLens debugging guide (Gemma).",
        rewrite=_embedding_scale_missing,
        catalogue=("A1",),
    ),
    Deviation(
        id="embedding-factor",
        kind="mistake",
        does="The embeddings are multiplied by a factor that the model does not have.",
        invisible="Where a norm reads them first, and residuals are not compared.",
        remedy="Take the factor from the model's configuration; most have none.",
        seen="The counterpart of A1; no thread is known.",
        rewrite=_embedding_factor,
        parameters=(Parameter("factor", float, "the factor of the embeddings", span=Span(1e-3, 1e3)),),
        tries=never,
        catalogue=("A1",),
    ),
    Deviation(
        id="embedding-scaled",
        kind="convention",
        does="The embeddings are multiplied by sqrt(model) before positions are added.",
        invisible="Where a token has one feature, or the embeddings are 0.",
        remedy="Follow the model: the original, T5 and Gemma scale (x * d_model**0.5), GPT and Llama do not.",
        seen="TransformerLens, debugging guide and migrating_to_v3 (Gemma); Vaswani et al. 2017, section 3.4.",
        rewrite=_embedding_scaled,
        catalogue=("A1",),
    ),
    Deviation(
        id="positions-missing",
        kind="mistake",
        does="The positions are not added: the input is the embedding alone.",
        invisible="Where all positions are 0.",
        remedy="Add them once, before the first block: x = embedding + position.",
        seen="Hand solutions that start at the embeddings; no public thread is known.",
        rewrite=_positions_missing,
    ),
    Deviation(
        id="positions-doubled",
        kind="mistake",
        does="The positions are added twice.",
        invisible="Where all positions are 0.",
        remedy="Add them once, where tokens are embedded or at the start of the block, not at both.",
        seen="A common slip in ports; no public thread is known.",
        rewrite=_positions_doubled,
    ),
    Deviation(
        id="residual-from-embedding",
        kind="mistake",
        does="The residual adds the embedding without its position, not the input.",
        invisible="Where all positions are 0.",
        remedy="Keep the sum: x = embedding + position; then x + attention(x).",
        seen="The family of faster-trajectory-transformer#3 and pytorch#61165: residuals of another x.",
        rewrite=_residual_from_embedding,
        catalogue=("G3",),
    ),
    Deviation(
        id="sinusoid-concatenated",
        kind="convention",
        does="All sines come first, then all cosines, instead of alternating.",
        invisible="Where a token has at most 2 features, or the weights are permuted to match.",
        remedy="pe[:, 0::2] = np.sin(angle); pe[:, 1::2] = np.cos(angle), unless the weights were trained the "
        "other way.",
        seen="tensorflow#37191, allennlp#2993, multidim-positional-encoding#20, denoising-diffusion#357, "
        "TransformerX#115.",
        rewrite=_written(variants_positions.sinusoidal_concatenated, variants_positions.sinusoidal_at_concatenated),
        catalogue=("A2",),
    ),
    Deviation(
        id="sinusoid-exponent-doubled",
        kind="mistake",
        does="The exponent is 2*c/model with c the column and not the pair: frequencies fall twice as fast, and "
        "sine and "
        "cosine of a pair differ.",
        invisible="At position 0, or where a token has 1 feature.",
        remedy="Halve the column first: angle = pos / 10000 ** (2 * (c // 2) / d).",
        seen="DeepCTR#379, PapersReimplementations#9.",
        rewrite=_written(variants_positions.sinusoidal_doubled, variants_positions.sinusoidal_at_doubled),
        catalogue=("A3",),
    ),
    Deviation(
        id="sinusoid-exponent-per-column",
        kind="mistake",
        does="The exponent of each cosine is its own column's and not that of the sine before it.",
        invisible="At position 0, or where a token has 1 feature.",
        remedy="Use one exponent per pair: angle = pos / 10000 ** (2 * (c // 2) / d).",
        seen="maxjcohen/transformer#62.",
        rewrite=_written(variants_positions.sinusoidal_unpaired, variants_positions.sinusoidal_at_unpaired),
        catalogue=("A4",),
    ),
    Deviation(
        id="sinusoid-base",
        kind="mistake",
        does="The wavelengths of the sinusoids grow from another base.",
        invisible="At position 0, or where a token has at most 2 features.",
        remedy=(
            "Use 10000, unless your model says otherwise. A base of 1e8, 10000 squared, is an exponent counted twice: "
            "i counts columns in steps of 2 already."
        ),
        seen="maxjcohen/transformer#62 (1000 for 10000).",
        rewrite=adjust(*_TEXTBOOK, *_SINUSOIDS),
        parameters=(Parameter("base", float, "the base in use", least=TINY, span=Span(2.0, 1e8)),),
        tries=values("base", 100.0, 1000.0, 10000.0, 100000.0),
        catalogue=("A4",),
    ),
    Deviation(
        id="sinusoid-swapped",
        kind="mistake",
        does="Position and column are exchanged in the sinusoids: rows alternate between sine and cosine.",
        invisible="Where the matrix of positions is symmetric, as for one token with one feature.",
        remedy="Rows are tokens: pe[pos, c], with pos from arange(n)[:, None] and c from arange(d)[None, :].",
        seen="AI by Hand, the sheet Transformer-Full-Stack.",
        rewrite=_written(variants_positions.sinusoidal_swapped),
        catalogue=("A5",),
    ),
    Deviation(
        id="positions-shifted",
        kind="mistake",
        does="Positions that are added to embeddings are not counted from 0.",
        invisible="Where positions are only relative (rotary, ALiBi).",
        remedy="Count real tokens from 0: np.arange(n); after left padding subtract it, with padding_idx include "
        "its offset.",
        seen="AI by Hand (from 1); ANEForge PR#257, sentence-transformers PR#3879 and transformers#1761 (RoBERTa's "
        "offset of 2); nnsight PR#673, unsloth PR#4078, exllamav2#606 (left padding).",
        rewrite=_shifted,
        parameters=(Parameter("by", int, "the position of the first token", span=Span(-16, 64)),),
        tries=values("by", 1, 2, -1),
        catalogue=("A6", "A7", "A9"),
    ),
)
