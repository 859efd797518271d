"""Rotary positions and norms that are wrong for queries or keys only, scaled differently than declared, or partial."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.deviations.deviation import Deviation, Parameter, Span, values
from clearhead.deviations.heads import is_rotation, norm_missing
from clearhead.deviations.rewrites import (
    Nothing,
    change_lines,
    follow,
    is_called,
    swap,
    with_operation,
)
from clearhead.errors import SpecError
from clearhead.line import Line
from clearhead.ops import Parameters, as_parameters
from clearhead.ops.textbook import positions, rotary_scaling, scores
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

SIDES = ("query", "key")
_COUNTS = (positions.count, positions.count_on)
_AT_0 = "At position 0; in scores of a token with itself."


def _with_own_table(working: Working, side: str, change: Callable[[Line], Line]) -> Working:
    """Gives queries, or keys, a separate table of cosines and sines, of positions that ``change`` makes."""
    if side not in SIDES:
        raise SpecError(f"side expects {' or '.join(SIDES)}, got {side!r}.")
    turns = [line for line in working.lines if is_rotation(line) and is_called(line, f"{side}.rotated")]
    if not turns:
        raise Nothing("no queries and keys are rotated here.")

    def own(name: str) -> str:
        return f"{name}.of-{side}"

    def rewrite(line: Line) -> list[Line]:
        # Each line of the own table stands before its model, so that what changes one is rewritten with the other.
        if line.operation in _COUNTS:
            return [_renamed(change(line), own, ()), line]
        if ".rotary." in f".{line.name}" and line.operation not in (positions.rotary_frequencies,):
            shared = _shared(working, line)
            return [_renamed(line, own, shared), line] if shared else [line]
        if line in turns:
            return [Line(line.name, line.operation, (line.operands[0], *map(own, line.operands[1:])), line.axes)]
        return [line]

    return working.rewrite(rewrite)


def _shared(working: Working, line: Line) -> tuple[str, ...]:
    """The operands of a line that depend on positions."""
    counts = {each.name for each in working.lines if each.operation in _COUNTS}
    follow_counts = set(counts)
    for each in working.lines:
        if ".rotary." in f".{each.name}" and follow_counts.intersection(each.operands):
            follow_counts.add(each.name)
    return tuple(name for name in line.operands if name in follow_counts)


def _renamed(line: Line, own: Callable[[str], str], shared: tuple[str, ...]) -> Line:
    operands = tuple(own(name) if name in shared else name for name in line.operands)
    return Line(own(line.name), line.operation, operands, line.axes, line.parameters)


def _past_forgotten(working: Working, side: str) -> Working:
    if not any(line.operation is positions.count_on for line in working.lines):
        raise Nothing("this working has no cache.")
    return _with_own_table(working, side, lambda line: with_operation(line, positions.count))


def _offset(working: Working, by: int, side: str) -> Working:
    return _with_own_table(
        working,
        side,
        lambda line: with_operation(line, line.operation, offset=dict(line.parameters)["offset"] + by),
    )


def _try_offsets(working: Working) -> tuple[Parameters, ...]:
    return tuple((("by", by), ("side", side)) for side in SIDES for by in (1, -1))


def _query_missing(working: Working) -> Working:
    return change_lines(
        working,
        lambda line: is_rotation(line) and is_called(line, "query.rotated"),
        lambda line: [with_operation(line, unchanged)],
        "a rotation of queries",
    )


def _amplified(working: Working, factor: float) -> Working:
    """Multiplies cosines and sines by the same number."""
    return change_lines(
        working,
        lambda line: is_called(line, "rotary.cos") or is_called(line, "rotary.sin"),
        lambda line: follow(working, line, "plain", scores.scale, factor=factor),
        "a rotary.cos",
    )


def _amplitude_missing(working: Working) -> Working:
    def matches(line: Line) -> bool:
        return line.operation is scores.scale and line.axes == ("token", "pair")

    return swap({scores.scale: unchanged}, where=matches)(working)


def _scaling_missing(working: Working) -> Working:
    """Angles of positions and frequencies without scaling."""
    plain = {line.operation: dict(line.parameters) for line in working.lines}
    own = plain.get(positions.rotary_frequencies) or plain.get(rotary_scaling.dynamic_frequencies)
    query = next((line.operands[0] for line in working.lines if is_rotation(line)), None)

    def matches(line: Line) -> bool:
        return line.operation is positions.divide_positions or (line.operation is positions.angles and own is not None)

    def change(line: Line) -> list[Line]:
        if line.operation is positions.divide_positions:
            return [with_operation(line, line.operation, factor=1.0)]
        assert own is not None  # noqa: S101 - matched
        parameters = as_parameters({"base": own["base"], "width": own["width"]})
        return [Line(line.name, positions.rotary_angles, (line.operands[0], str(query)), line.axes, parameters)]

    return change_lines(working, matches, change, "a scaling of rotary frequencies")


def _width(working: Working, width: int) -> Working:
    if width < 2 or width % 2:
        raise Nothing("only an even number of features can be rotated.")
    angles = (positions.rotary_angles, positions.rotary_frequencies)
    return change_lines(
        working,
        lambda line: line.operation in angles,
        lambda line: [with_operation(line, line.operation, width=width)],
        "a rotary_angles",
    )


def _norm_missing_on(working: Working, side: str) -> Working:
    if side not in SIDES:
        raise SpecError(f"side expects {' or '.join(SIDES)}, got {side!r}.")
    return norm_missing(working, (side,))


ROWS = (
    Deviation(
        id="qk-norm-missing-on-one-side",
        kind="mistake",
        does="The norm of queries, or that of keys, is left out; the other is computed.",
        invisible="Where these queries, or keys, are already normed and the gain is 1.",
        remedy="Norm both: q, k = norm(q) * q_gain, norm(k) * k_gain.",
        seen="The family of executorch PR#19901; no thread is known.",
        rewrite=_norm_missing_on,
        parameters=(Parameter("side", str, "what is not normed, query or key"),),
        tries=values("side", *SIDES),
        catalogue=("B16",),
        rare=True,
    ),
    Deviation(
        id="rotary-past-forgotten-on-one-side",
        kind="mistake",
        does="With a cache, queries, or keys, are rotated as from position 0; the others are right.",
        invisible="Without a cache.",
        remedy="Use one array of positions for both, np.arange(past, past + n), computed before keys are joined.",
        seen="moeut PR#6.",
        rewrite=_past_forgotten,
        parameters=(Parameter("side", str, "query or key"),),
        tries=values("side", *SIDES),
        catalogue=("C8",),
        rare=True,
    ),
    Deviation(
        id="rotary-offset-on-one-side",
        kind="mistake",
        does="Queries, or keys, are rotated by positions that are too large or too small; the others are right.",
        invisible="Never on ordinary data.",
        remedy="Use one array of positions for queries and keys.",
        seen="The family of moeut PR#6 and mlx-vlm#1983.",
        rewrite=_offset,
        parameters=(
            Parameter("by", int, "how much too large", span=Span(-64, 64)),
            Parameter("side", str, "query or key"),
        ),
        tries=_try_offsets,
        catalogue=("C8",),
        rare=True,
    ),
    Deviation(
        id="rotary-query-missing",
        kind="mistake",
        does="Keys are rotated and queries are not.",
        invisible="Where all queries are at position 0.",
        remedy="Rotate both before their product.",
        seen="The family of C8; no thread is known.",
        rewrite=_query_missing,
        rare=True,
    ),
    Deviation(
        id="rotary-amplitude",
        kind="mistake",
        does="Cosines and sines are multiplied by a factor (YaRN's attention factor) that the model does not have, or "
        "with another.",
        invisible="Where the number is 1.",
        remedy="The factor is 0.1 * ln(factor) + 1 in YaRN, or mscale / mscale_all_dim, which is often 1.",
        seen="imp PR#880, exllamav3#259 (the opposite), sglang PR#33558.",
        rewrite=_amplified,
        parameters=(Parameter("factor", float, "the factor of cosines and sines", span=Span(0.05, 20.0)),),
        tries=values("factor", 1.2079441541679836, 1.3465735902799727),
        catalogue=("C5",),
        rare=True,
    ),
    Deviation(
        id="rotary-amplitude-missing",
        kind="mistake",
        does="Cosines and sines are not multiplied by the model's amplitude (YaRN's attention factor).",
        invisible="Where it is 1.",
        remedy="Multiply both tables by attention_factor.",
        seen="exllamav3#259.",
        rewrite=_amplitude_missing,
        catalogue=("C5",),
        rare=True,
    ),
    Deviation(
        id="rotary-scaling-missing",
        kind="mistake",
        does="The scaling of rotary frequencies for a longer context is not applied: angles are unscaled.",
        invisible=f"{_AT_0} Of Llama 3's and YaRN's also in short texts of fast pairs.",
        remedy="Apply rope_scaling of the configuration: linear, dynamic, llama3, yarn or longrope.",
        seen="mlx-vlm PR#1709, shark-ai PR#1527.",
        rewrite=_scaling_missing,
        catalogue=("C5",),
        rare=True,
    ),
    Deviation(
        id="rotary-width",
        kind="mistake",
        does="Another number of features, the first ones of each head, is rotated.",
        invisible=_AT_0,
        remedy="Rotate partial_rotary_factor * depth features, with frequencies spread over these.",
        seen="The family of vllm-ascend PR#7252 and pie PR#603.",
        rewrite=_width,
        parameters=(Parameter("width", int, "how many are rotated", span=Span(2, 64)),),
        tries=values("width", 2, 4),
        catalogue=("C6",),
        rare=True,
    ),
)
