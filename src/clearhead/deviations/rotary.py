"""Deviations in rotary positions, and in ALiBi's slopes."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import TINY, Deviation, Parameter, Rewrite, Span, values
from clearhead.deviations.heads import is_rotation
from clearhead.deviations.rewrites import (
    Nothing,
    adjust,
    change_lines,
    follow,
    is_called,
    lines_called,
    reread,
    swap,
    with_operation,
)
from clearhead.line import Given, Line, free_name
from clearhead.ops.textbook import positions, scores
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import positions as variants_positions
from clearhead.working import Working

_ANGLES = (
    positions.rotary_angles,
    variants_positions.angles_over_depth,
    variants_positions.rotary_angles_ntk,
)
HALF, HALF_OTHER = positions.rotate_half, variants_positions.rotate_half_other_table
NEXT, NEXT_OTHER = positions.rotate_interleaved, variants_positions.rotate_interleaved_other_table


def _not_rotated(*roles: str) -> Rewrite:
    """A rewrite that leaves out the rotation of queries or keys."""

    def rewrite(working: Working) -> Working:
        def matches(line: Line) -> bool:
            return is_rotation(line) and any(is_called(line, f"{role}.rotated") for role in roles)

        def change(line: Line) -> list[Line]:
            return [with_operation(line, variants_heads.unchanged)]

        return change_lines(working, matches, change, "a rotation")

    return rewrite


def _values_too(working: Working) -> Working:
    """Rotates the values by the same angles as the keys."""
    turned = next((line for line in lines_called(working, "key.rotated") if is_rotation(line)), None)
    given = [each for each in working.givens if each.name == "value"]
    sources: list[Line | Given] = [*lines_called(working, "value"), *given]
    value = next(iter(sources), None)
    if turned is None or value is None:
        raise Nothing("no keys are rotated here, or there are no values.")
    name = free_name(f"{value.name}.rotated", working.names)
    extra = replace(turned, name=name, operands=(value.name, *turned.operands[1:]), axes=value.axes)
    seen = False

    def change(line: Line) -> list[Line]:
        nonlocal seen
        if line == turned:
            seen = True
            return [extra, line]
        return [reread(line, {value.name: name}) if seen else line]

    return working.rewrite(change)


def _over_heads(working: Working) -> Working:
    """Exchanges heads and tokens before the angles are computed, and back after the rotation."""
    swap_heads = variants_heads.swap_heads
    turns = [line for line in working.lines if is_rotation(line)]
    if not turns:
        raise Nothing("no line of this working is a rotation.")
    swapped = {line.operands[0]: free_name(f"{line.operands[0]}.by-token", working.names) for line in turns}
    axes = working.axes

    def by_token(name: str) -> Line:
        return Line(swapped[name], swap_heads, (name,), ("token", axes[name][-3], "depth"))

    given = [by_token(each.name) for each in working.givens if each.name in swapped]

    def change(line: Line) -> list[Line]:
        if line in turns:
            return follow(working, reread(line, swapped), "by-token", swap_heads)
        if line.operation in (*_ANGLES, positions.count, positions.count_on):
            return [reread(line, swapped)]
        return [line, by_token(line.name)] if line.name in swapped else [line]

    first = working.lines[0]
    return working.rewrite(lambda line: [*(given if line is first else ()), *change(line)])


def _angle_reversed(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return follow(working, line, "forward", scores.scale, factor=-1.0)

    return change_lines(working, lambda line: line.operation in _ANGLES, change, "a rotary_angles")


def _frequencies_inverted(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return [with_operation(line, line.operation, base=1 / dict(line.parameters)["base"])]

    return change_lines(working, lambda line: line.operation in _ANGLES, change, "a rotary_angles")


def _is_partial(line: Line) -> bool:
    return dict(line.parameters)["width"] is not None


def _interpolated(working: Working, factor: float) -> Working:
    def change(line: Line) -> list[Line]:
        return follow(working, line, "original", positions.divide_positions, factor=factor)

    return change_lines(working, _is_position, change, "a rotary.position")


def _is_position(line: Line) -> bool:
    """Whether a line has positions: those of queries and keys together, or of one side alone."""
    both = replace(line, name=line.name.partition(".of-")[0])
    return is_called(both, "rotary.position")


def _offset(working: Working, by: int) -> Working:
    def change(line: Line) -> list[Line]:
        return [with_operation(line, line.operation, offset=dict(line.parameters)["offset"] + by)]

    counts = (positions.count, positions.count_on)
    return change_lines(working, lambda line: line.operation in counts, change, "a count of positions")


_AT_0 = "At position 0; in scores of a token with itself."

ROWS = (
    Deviation(
        id="rotary-other-layout",
        kind="convention",
        does="Other features are paired: d with d + half (GPT-NeoX, Hugging Face) instead of each even one with the "
        "next (the paper, GPT-J, Meta), or the other way round.",
        invisible="Where the depth is 2, at position 0, or where the weights' columns are permuted to match.",
        remedy="Match layout and weights: permute the columns of w_q and w_k, or change the rotation, never both.",
        seen="transformers#25199, TinyLlama#24, tt-metal#26844, nanotron PR#427; doubled: LLMs-from-scratch PR#747, "
        "llama3-from-scratch#20, lmdeploy#2639, ollama PR#10716.",
        rewrite=swap({HALF: NEXT, NEXT: HALF, HALF_OTHER: NEXT_OTHER, NEXT_OTHER: HALF_OTHER}),
        catalogue=("C1", "C2"),
    ),
    Deviation(
        id="rotary-table-of-other-layout",
        kind="mistake",
        does="The table of cosines and sines is for one pairing of features, the rotation for the other.",
        invisible="Where the depth is 2, and at position 0.",
        remedy="Halves go with concatenate([angle, angle]), neighbours with repeat(angle, 2).",
        seen="transformers#40462, LLMs-from-scratch#838.",
        rewrite=swap({HALF: HALF_OTHER, NEXT: NEXT_OTHER}),
        catalogue=("C3",),
    ),
    Deviation(
        id="rotary-base",
        kind="mistake",
        does="The angles have another base (theta).",
        invisible="At position 0, or where the depth is 2.",
        remedy="Read rope_theta from the model's configuration; 10000 is only the default.",
        seen="DeepSpeed PR#8345 and PR#8341, nanotron PR#173, ipex-llm PR#11747.",
        rewrite=adjust(*_ANGLES),
        parameters=(Parameter("base", float, "the base in use", least=TINY, span=Span(2.0, 1e10)),),
        tries=values("base", 1000.0, 10000.0, 100000.0, 500000.0, 1000000.0),
        catalogue=("C4",),
    ),
    Deviation(
        id="rotary-interpolated",
        kind="mistake",
        does="Positions are divided by another factor before angles are computed (linear scaling), or by one too many.",
        invisible="At position 0.",
        remedy="Apply rope scaling exactly when the configuration has it.",
        seen="shark-ai PR#1527, SpecForge PR#651.",
        rewrite=_interpolated,
        parameters=(
            Parameter(
                "factor",
                float,
                "what positions are divided by",
                least=TINY,
                span=Span(0.05, 1e3, waves=1.0),
                divides="positions",
            ),
        ),
        tries=values("factor", 2.0, 4.0, 8.0),
        catalogue=("C5",),
    ),
    Deviation(
        id="rotary-ntk",
        kind="mistake",
        does="The base of the angles is raised for a longer context, by factor ** (d / (d - 2)) (NTK-aware scaling), "
        "or not as it should be.",
        invisible="At position 0, or where the depth is 2.",
        remedy="Apply rope scaling exactly when the configuration has it, and of the kind that it names.",
        seen="shark-ai PR#1527, SpecForge PR#651, TransformerLens debugging guide.",
        rewrite=swap({positions.rotary_angles: variants_positions.rotary_angles_ntk}),
        parameters=(Parameter("factor", float, "how many times longer the context is taken to be", least=TINY),),
        tries=values("factor", 2.0, 4.0, 8.0),
        catalogue=("C5",),
    ),
    Deviation(
        id="rotary-frequencies-over-depth",
        kind="mistake",
        does="With partial rotary the frequencies are spread over the whole depth, not over the rotated features.",
        invisible="Where all features are rotated; at position 0.",
        remedy="base ** (-2 * arange(width // 2) / width), with the width that is rotated.",
        seen="pie PR#603, maxtext PR#4615.",
        rewrite=swap({positions.rotary_angles: variants_positions.angles_over_depth}, where=_is_partial),
        catalogue=("C6",),
    ),
    Deviation(
        id="rotary-whole-head",
        kind="mistake",
        does="All features of a head are rotated where only the first ones should be.",
        invisible="Where all features should be rotated; at position 0.",
        remedy="Rotate x[..., :width] and append x[..., width:] unchanged.",
        seen="vllm-ascend PR#7252, pie PR#603.",
        rewrite=swap({positions.rotary_angles: positions.rotary_angles}, where=_is_partial, width=None),
        catalogue=("C6",),
    ),
    Deviation(
        id="rotary-over-heads",
        kind="mistake",
        does="The axis of heads is used for that of tokens: each head is rotated by its own number.",
        invisible="Where there is one head.",
        remedy="State which axis is that of tokens: (batch, head, token, depth) or (batch, token, head, depth).",
        seen="xformers#841.",
        rewrite=_over_heads,
        catalogue=("C7",),
    ),
    Deviation(
        id="rotary-offset",
        kind="mistake",
        does="With a cache rotary positions start too high or too low.",
        invisible="Without a cache: a shift of queries and keys together changes no score.",
        remedy="positions = np.arange(past, past + n), with past the number of tokens ever cached.",
        seen="mlx-vlm#1983, flash-linear-attention#766, VeloxQuant-MLX#389, executorch PR#2010.",
        rewrite=_offset,
        parameters=(Parameter("by", int, "how much too high the first position is", span=Span(-64, 64)),),
        tries=values("by", 1, -1),
        catalogue=("C8",),
    ),
    Deviation(
        id="rotary-past-forgotten",
        kind="mistake",
        does="With a cache rotary positions start at 0 again.",
        invisible="Without a cache.",
        remedy="positions = np.arange(past, past + n), with past the number of tokens in the cache.",
        seen="mlx-vlm#1983, flash-linear-attention#766.",
        rewrite=swap({positions.count_on: positions.count}),
        catalogue=("C8",),
    ),
    Deviation(
        id="rotary-reversed",
        kind="mistake",
        does="The sign of the sine is wrong: pairs rotate backwards.",
        invisible="At position 0; where scores are symmetric in the direction of time.",
        remedy="(x1 * cos - x2 * sin, x2 * cos + x1 * sin): the minus is in the first of the pair.",
        seen="labmlai#313.",
        rewrite=_angle_reversed,
        catalogue=("C9",),
    ),
    Deviation(
        id="rotary-exponent-sign",
        kind="mistake",
        does="The exponent of the base lacks its minus: angles grow with the feature instead of shrinking.",
        invisible="At position 0, or where the depth is 2.",
        remedy="1 / base ** (arange(0, d, 2) / d).",
        seen="labmlai#313.",
        rewrite=_frequencies_inverted,
        catalogue=("C9",),
    ),
    Deviation(
        id="rotary-missing",
        kind="mistake",
        does="Queries and keys are not rotated at all.",
        invisible="Where there is one token and no cache.",
        remedy="Rotate both before their product: q, k = rotate(q), rotate(k).",
        seen="The family of C8: code paths that lose positions; no thread is known.",
        rewrite=_not_rotated("query", "key"),
    ),
    Deviation(
        id="rotary-one-sided",
        kind="mistake",
        does="Queries are rotated and keys are not.",
        invisible="Where all keys are at position 0.",
        remedy="Rotate both; a cache holds keys that are already rotated.",
        seen="The family of C8: keys stored in a cache without their rotation; no thread is known.",
        rewrite=_not_rotated("key"),
    ),
    Deviation(
        id="rotary-on-values",
        kind="mistake",
        does="Values are rotated like keys.",
        invisible="At position 0.",
        remedy="Rotate queries and keys only.",
        seen="Hand-written fused projections that rotate all of q, k and v; no thread is known.",
        rewrite=_values_too,
    ),
)
