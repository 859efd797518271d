"""Clips, limits, factors of residuals and sinks: declared and not done, or done and not declared."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.activations import gate_of
from clearhead.deviations.deviation import Deviation, Parameter, Span, values
from clearhead.deviations.rewrites import ALL, Nothing, change_lines, follow, is_called, leave_out, swap
from clearhead.errors import SpecError
from clearhead.line import Line, free_name
from clearhead.ops.textbook import linear, positions, scores, tokens
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

_PROJECTED = ("query", "key", "value")
_UNSCALED = "a residual without a factor"
_LIMIT = Parameter("limit", float, "the largest size that is left", least=0, span=Span(0.01, 1e3))


def _sides(of: str) -> tuple[str, ...]:
    if of not in (ALL, *_PROJECTED):
        raise SpecError(f"of expects {ALL} or {', '.join(_PROJECTED)}; got {of!r}.")
    return _PROJECTED if of == ALL else (of,)


def _clip_missing(working: Working, of: str) -> Working:
    sides = _sides(of)
    return swap({tokens.clip: unchanged}, where=lambda line: any(is_called(line, side) for side in sides))(working)


def _clip_added(working: Working, limit: float) -> Working:
    def projected(line: Line) -> bool:
        return "depth" in line.axes and any(is_called(line, side) for side in _PROJECTED)

    if any(line.operation is tokens.clip and projected(line) for line in working.lines):
        raise Nothing("queries, keys and values are clipped already.")
    return change_lines(
        working,
        projected,
        lambda line: follow(working, line, "unclipped", tokens.clip, limit=limit),
        "a projected query, key or value",
    )


_UP = ("plain", "plus-one")
_PARTS = {
    "clip": (tokens.clip, tokens.clip_above),
    "shift": (tokens.shift,),
    ALL: (tokens.clip, tokens.clip_above, tokens.shift),
}
_LEFT_OUT = (
    ("clip", "The gated MLP does not clip its gate and what it gates, as the spec says."),
    ("shift", "The gated MLP does not add 1 to what it gates, as the spec says."),
    (ALL, "The gated MLP neither clips its gate and what it gates nor adds 1 to this, as the spec says."),
)


def _mlp_limit_missing(working: Working, left_out: str) -> Working:
    if left_out not in _PARTS:
        raise SpecError(f"mlp-limit-missing expects left_out as {' or '.join(_PARTS)}, got {left_out!r}.")
    return swap(dict.fromkeys(_PARTS[left_out], unchanged), where=lambda line: "hidden" in line.axes)(working)


def _mlp_limit_added(working: Working, limit: float, up: str) -> Working:
    """Clips what the activation reads from above, and what it gates on both sides; perhaps with 1 added to this."""
    if up not in _UP:
        raise SpecError(f"mlp-limit-added expects up as {' or '.join(_UP)}, got {up!r}.")
    if any(line.operation is tokens.clip_above for line in working.lines):
        raise Nothing("the gate has a limit already.")
    *_, gate, other = gate_of(working)

    def change(line: Line) -> list[Line]:
        operation = tokens.clip_above if line.name == gate else tokens.clip
        lines = follow(working, line, "unclipped", operation, limit=limit)
        if line.name == gate or up == "plain":
            return lines
        return [lines[0], *follow(working, lines[1], "unshifted", tokens.shift, by=1.0)]

    return change_lines(working, lambda line: line.name in (gate, other), change, "a gated product")


def _other_limit(working: Working, limit: float) -> Working:
    return swap({each: each for each in (tokens.clip, tokens.clip_above)}, limit=limit)(working)


def _is_factor(line: Line) -> bool:
    return line.operation is scores.scale and is_called(line, "output.scaled")


def _residual_scale_missing(working: Working) -> Working:
    return swap({scores.scale: unchanged}, where=_is_factor)(working)


def _residual_scale_added(working: Working, factor: float) -> Working:
    if any(map(_is_factor, working.lines)):
        raise Nothing("its residuals have a factor already.")

    def change(line: Line) -> list[Line]:
        name = free_name(f"{line.name}.added", working.names)
        scaled = Line(name, scores.scale, line.operands[1:], line.axes, (("factor", factor),))
        return [scaled, replace(line, operands=(line.operands[0], name))]

    return change_lines(
        working, lambda line: line.operation.role == "sum" and is_called(line, "residual"), change, _UNSCALED
    )


ROWS = (
    Deviation(
        id="clip-missing",
        kind="mistake",
        does="Queries, keys or values are not clipped, as the spec says that they are.",
        invisible="Where all of them are within the limit.",
        remedy="Clip each projection behind its bias: q = q.clip(-limit, limit); OLMo and DBRX call it clip_qkv.",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=_clip_missing,
        parameters=(Parameter("of", str, "query, key or value, or all"),),
        tries=values("of", ALL, *_PROJECTED),
        rare=True,
    ),
    Deviation(
        id="clip-added",
        kind="mistake",
        does="Queries, keys and values are clipped, as the spec does not say.",
        invisible="Where all of them are within the limit.",
        remedy="Clip projections only in models whose configuration has clip_qkv.",
        seen="The counterpart of the row before; no thread is known.",
        rewrite=_clip_added,
        parameters=(_LIMIT,),
        tries=lambda working: (),
        rare=True,
    ),
    Deviation(
        id="mlp-limit-missing",
        kind="mistake",
        does="The gated MLP does not clip its gate and what it gates, or does not add 1 to this, as the spec says.",
        invisible="Where all hidden cells are within the limit.",
        remedy="Clip the gate from above and the other half on both sides, before the activation (gpt-oss).",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=_mlp_limit_missing,
        parameters=(Parameter("left_out", str, "clip, shift (the 1 added to the other half), or all", says=_LEFT_OUT),),
        tries=values("left_out", *_PARTS),
        rare=True,
    ),
    Deviation(
        id="mlp-limit-added",
        kind="mistake",
        does="The gate of the MLP and what it gates are clipped, as the spec does not say.",
        invisible="Where all hidden cells are within the limit.",
        remedy="Clip hidden cells only in models whose configuration has a limit.",
        seen="The counterpart of the row before; no thread is known.",
        rewrite=_mlp_limit_added,
        parameters=(_LIMIT, Parameter("up", str, "plain, or plus-one: 1 is added to the other half (gpt-oss)")),
        tries=lambda working: tuple((("limit", 7.0), ("up", each)) for each in _UP),
        rare=True,
    ),
    Deviation(
        id="limit-of-other-size",
        kind="mistake",
        does="Numbers are clipped at another limit than the spec has.",
        invisible="Where all of them are within both limits.",
        remedy="Take the limit of the configuration: swiglu_limit, or clip_qkv.",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=_other_limit,
        parameters=(_LIMIT,),
        tries=lambda working: (),
        rare=True,
    ),
    Deviation(
        id="residual-scale-missing",
        kind="mistake",
        does="What is added to the residual is not multiplied by the factor that the spec has.",
        invisible="Where the factor is 1.",
        remedy="x = x + residual_multiplier * f(x), in both halves of a block (Granite, MiniCPM).",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=_residual_scale_missing,
        rare=True,
    ),
    Deviation(
        id="query-growth-missing",
        kind="mistake",
        does="Queries are not multiplied by a factor that grows with their position, as the spec says that they are.",
        invisible="In texts that are not longer than the context.",
        remedy="q = q * (1 + beta * log(1 + floor(position / original_max_position_embeddings))) (Ministral 3).",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=swap({positions.grow: unchanged}),
        rare=True,
    ),
    Deviation(
        id="extra-part-missing",
        kind="mistake",
        does="The third part of a block, which reads what the layer gets of the tokens besides, is left out.",
        invisible="Where it gives 0.",
        remedy="x = x + norm(project(act(gate(x)) * per_layer_input)) behind the MLP (Gemma 3n, Gemma 4).",
        seen="The family of parts that one model has and others have not; no thread is known.",
        rewrite=swap({linear.add: unchanged}, where=lambda line: is_called(line, "extra.residual")),
        rare=True,
    ),
    Deviation(
        id="stream-scale-missing",
        kind="mistake",
        does="What a half's result is added to is not multiplied by the factor that the spec has.",
        invisible="Where the factor is 1.",
        remedy="x = alpha * x + f(x), in both halves of a block (MiniMax).",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=swap({scores.scale: unchanged}, where=lambda line: is_called(line, "stream.scaled")),
        rare=True,
    ),
    Deviation(
        id="output-gain-missing",
        kind="mistake",
        does="The results of the halves are not multiplied by their output gains (LayerScale).",
        invisible="Where the gains are 1.",
        remedy="x = x + output_gain * f(x): a checkpoint has a layer_scale or gamma for each half.",
        seen="mlx-image PR#26.",
        rewrite=leave_out(tokens.layer_scale),
        rare=True,
    ),
    Deviation(
        id="residual-scale-added",
        kind="mistake",
        does="What is added to the residual is multiplied by a factor that the spec does not have.",
        invisible="Where the factor is 1.",
        remedy="Add what attention and MLP give as it is, unless the configuration has a factor.",
        seen="The counterpart of the row before; no thread is known.",
        rewrite=_residual_scale_added,
        parameters=(Parameter("factor", float, "the factor", span=Span(0.01, 100.0, signed=True)),),
        tries=lambda working: (),
        rare=True,
    ),
    Deviation(
        id="sink-missing",
        kind="mistake",
        does="The softmax divides by the sum over keys alone, without the sink's exponential.",
        invisible="Where the sink is far below all scores.",
        remedy="Append the sink to the scores of each head, apply softmax, and drop its column (gpt-oss).",
        seen="The family of kernels that take no sinks; no thread is known.",
        rewrite=swap({scores.softmax_with_sink: scores.softmax}),
        rare=True,
    ),
)
