"""Steps that the spec does not have: windows, soft-caps, rotary positions, norms of queries and keys, ALiBi."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from clearhead.deviations.deviation import Deviation, Parameter, Span, values
from clearhead.deviations.rewrites import Nothing, change_lines, is_called, lines_called, reread
from clearhead.deviations.rotary import HALF, NEXT
from clearhead.deviations.scores import is_scale
from clearhead.deviations.softmax import is_softmax_of_keys
from clearhead.errors import SpecError
from clearhead.line import Line, find, free_name
from clearhead.ops import Operation, Parameters, as_parameters
from clearhead.ops.textbook import linear, positions, scores, tokens
from clearhead.working import Working

ALL = "all"
_WIDE = "Where there are fewer tokens than the window is wide."
_LAYOUTS = {"half": HALF, "interleaved": NEXT}
_SIDES = ("query", "key")
_NORMS: dict[str, Operation] = {"rms": tokens.rms_norm, "layer": tokens.layer_norm}
_EPS = 1e-6


def _before_softmax(
    working: Working, operation: Operation, chosen: Iterable[str] | None, **parameters: float
) -> Working:
    """Adds a line on the scores before each softmax, or before those of these names."""

    def matches(line: Line) -> bool:
        return is_softmax_of_keys(line) and (chosen is None or line.name in chosen)

    def change(line: Line) -> list[Line]:
        name = free_name(line.name.removesuffix("weights") + operation.name.replace("mask_", "masked."), working.names)
        extra = Line(name, operation, line.operands[:1], line.axes, as_parameters(parameters))
        return [extra, reread(line, {line.operands[0]: name})]

    return change_lines(working, matches, change, "a softmax over keys")


def _softmaxes(working: Working) -> tuple[str, ...]:
    return tuple(line.name for line in working.lines if is_softmax_of_keys(line))


def _window_added(working: Working, line: str, width: int) -> Working:
    names = _softmaxes(working)
    if any(each.operation is scores.mask_window for each in working.lines) and line == ALL:
        raise Nothing("this working has a window already.")
    if width < 1:
        raise SpecError(f"window-added expects a width of 1 or more, got {width}.")
    chosen = names if line == ALL else (find(line, names, what="line of weights"),)
    return _before_softmax(working, scores.mask_window, chosen, width=width)


def _try_windows(working: Working) -> Iterable[Parameters]:
    names = _softmaxes(working)
    for line in (ALL, *(names if len(names) > 1 else ())):
        yield from ((("line", line), ("width", width)) for width in (2, 3))


def _window_width(working: Working, width: int) -> Working:
    if width < 1:
        raise SpecError(f"window-width expects a width of 1 or more, got {width}.")
    return change_lines(
        working,
        lambda line: line.operation is scores.mask_window,
        lambda line: [Line(line.name, line.operation, line.operands, line.axes, (("width", width),))],
        "a mask_window",
    )


def _try_widths(working: Working) -> Iterable[Parameters]:
    """Widths other than those that `window-off-by-one` and `window-split` try."""
    own = {dict(line.parameters)["width"] for line in working.lines if line.operation is scores.mask_window}
    near = {each + by for each in own for by in (-1, 0, 1)} | {each // 2 + 1 for each in own}
    return tuple((("width", width),) for width in (2, 4) if width not in near)


def _behind_scale(working: Working, operation: Operation, step: str, **parameters: float) -> Working:
    """Adds a line after the scale, which all readers of the scaled scores then read."""
    renamed: dict[str, str] = {}

    def change(line: Line) -> list[Line]:
        line = reread(line, renamed)
        if not is_scale(line):
            return [line]
        renamed[line.name] = free_name(line.name.removesuffix("scaled") + step, working.names)
        return [line, Line(renamed[line.name], operation, (line.name,), line.axes, as_parameters(parameters))]

    changed = working.rewrite(change)
    if not renamed:
        raise Nothing("no line of this working is a scale.")
    return changed


def _softcap_added(working: Working, cap: float) -> Working:
    if any(line.operation is scores.softcap and line.axes[-2:] == ("query", "key") for line in working.lines):
        raise Nothing("this working has a soft-cap already.")
    return _behind_scale(working, scores.softcap, "capped", cap=cap)


def _softcap_value(working: Working, cap: float) -> Working:
    return change_lines(
        working,
        lambda line: line.operation is scores.softcap,
        lambda line: [Line(line.name, line.operation, line.operands, line.axes, (("cap", cap),))],
        "a softcap",
    )


def _negated(working: Working) -> Working:
    return _behind_scale(working, scores.scale, "negated", factor=-1.0)


def _rotary_added(working: Working, layout: str) -> Working:
    if layout not in _LAYOUTS:
        raise SpecError(f"rotary-added expects layout as {' or '.join(_LAYOUTS)}, got {layout!r}.")
    if lines_called(working, "rotary.position"):
        raise Nothing("this working has rotary positions already.")

    def turned(line: Line, path: str) -> list[Line]:
        position, angle, cos, sin = (f"{path}rotary.{name}" for name in ("position", "angle", "cos", "sin"))
        return [
            Line(position, positions.count, (line.name,), ("token",), (("offset", 0.0),)),
            Line(angle, positions.rotary_angles, (position, line.name), ("token", "pair"), _ANGLES),
            Line(cos, positions.cos, (angle,), ("token", "pair")),
            Line(sin, positions.sin, (angle,), ("token", "pair")),
        ]

    def step(line: Line, path: str, name: str) -> list[Line]:
        before = turned(line, path) if line.name.endswith("query") or line.name.endswith("query.norm") else []
        turn = Line(name, _LAYOUTS[layout], (line.name, f"{path}rotary.cos", f"{path}rotary.sin"), line.axes)
        return [*before, turn]

    return _behind_query_and_key(working, "rotated", step)


_ANGLES = as_parameters({"base": 10000.0, "width": None})


def _behind_query_and_key(
    working: Working, step: str, make: Callable[[Line, str, str], list[Line]], roles: Sequence[str] = _SIDES
) -> Working:
    """Adds lines after queries and keys, or one of them, normed or not, which all readers of these then read."""
    renamed: dict[str, str] = {}
    last = {
        role: f"{role}.norm" if any(is_called(each, f"{role}.norm") for each in working.lines) else role
        for role in roles
    }

    def change(line: Line) -> list[Line]:
        line = reread(line, renamed)
        role = next((role for role, name in last.items() if is_called(line, name)), None)
        if role is None:
            return [line]
        path = line.name[: line.name.rindex(role)]
        renamed[line.name] = free_name(f"{path}{role}.{step}", working.names)
        return [line, *make(line, path, renamed[line.name])]

    changed = working.rewrite(change)
    if not renamed:
        raise Nothing("no queries and keys are projected here.")
    return changed


def _qk_norm_added(working: Working, kind: str, roles: Sequence[str] = _SIDES) -> Working:
    if kind not in _NORMS:
        raise SpecError(f"qk-norm-added expects kind as {' or '.join(_NORMS)}, got {kind!r}.")
    if lines_called(working, "query.norm") or lines_called(working, "query.normed"):
        raise Nothing("queries and keys are normed already.")
    parameters = as_parameters({"eps": _EPS})
    return _behind_query_and_key(
        working, "normed", lambda line, _, name: [Line(name, _NORMS[kind], (line.name,), line.axes, parameters)], roles
    )


def _qk_norm_added_on(working: Working, kind: str, side: str) -> Working:
    if side not in _SIDES:
        raise SpecError(f"side expects {' or '.join(_SIDES)}, got {side!r}.")
    return _qk_norm_added(working, kind, (side,))


def _alibi_undeclared(working: Working) -> Working:
    """ALiBi's bias added after the scale, with the textbook's slopes."""
    if any(line.operation is scores.alibi for line in working.lines):
        raise Nothing("this working has ALiBi already.")
    heads = working.sizes.get("head")
    if heads is None:
        raise Nothing("the number of heads is not known here.")
    renamed: dict[str, str] = {}

    def change(line: Line) -> list[Line]:
        line = reread(line, renamed)
        if not is_scale(line):
            return [line]
        path = line.name.removesuffix("scaled")
        renamed[line.name] = free_name(f"{path}alibi", working.names)
        slope = Line(
            free_name(f"{path}alibi.slope", working.names),
            scores.alibi_slopes,
            (line.name,),
            ("head",),
            (("heads", heads),),
        )
        return [line, slope, Line(renamed[line.name], scores.alibi, (line.name, slope.name), line.axes)]

    changed = working.rewrite(change)
    if not renamed:
        raise Nothing("no line of this working is a scale.")
    return changed


def _positions_added(working: Working) -> Working:
    """Adds sinusoids to a given input."""
    if not any(each.name == "input" for each in working.givens):
        raise Nothing("this working is given no input.")
    axes = working.axes["input"]
    position = Line(
        free_name("input.position", working.names), positions.sinusoidal, ("input",), axes, (("base", 10000.0),)
    )
    placed = Line(free_name("input.placed", working.names), linear.add, ("input", position.name), axes)
    lines = (position, placed, *(reread(line, {"input": placed.name}) for line in working.lines))
    return Working(working.givens, lines, working.label_base)


ROWS = (
    Deviation(
        id="window-added",
        kind="mistake",
        does="A sliding window masks keys that should be visible.",
        invisible=_WIDE,
        remedy="Give the window only to the layers that have one: check which layers are global, and from which number "
        "layers are counted.",
        seen="Megatron-Bridge PR#4875, transformers PR#31775 (Gemma 2: the parity of layers inverted).",
        rewrite=_window_added,
        parameters=(
            Parameter("line", str, "the weights that it changes, or all"),
            Parameter("width", int, "how many keys are visible", span=Span(1, 64)),
        ),
        tries=_try_windows,
        catalogue=("E16",),
        rare=True,
    ),
    Deviation(
        id="window-width",
        kind="mistake",
        does="The sliding window has another width.",
        invisible=_WIDE,
        remedy="Read sliding_window from the model's configuration, for each layer.",
        seen="The family of transformers#35924.",
        rewrite=_window_width,
        parameters=(Parameter("width", int, "how many keys are visible", span=Span(1, 64)),),
        tries=_try_widths,
        catalogue=("E16",),
        rare=True,
    ),
    Deviation(
        id="softcap-added",
        kind="mistake",
        does="The scores have a soft-cap that the model does not have.",
        invisible="Where they are small relative to the cap.",
        remedy="Cap scores only in models that do (Gemma 2, Grok); logits have a separate cap.",
        seen="The counterpart of onnx#7865; no thread is known.",
        rewrite=_softcap_added,
        parameters=(Parameter("cap", float, "the cap", span=Span(0.1, 1e3)),),
        tries=values("cap", 50.0, 30.0),
        catalogue=("D8",),
        rare=True,
    ),
    Deviation(
        id="softcap-value",
        kind="mistake",
        does="The soft-cap has another value.",
        invisible="Where the scores are small relative to both caps.",
        remedy="Read attn_logit_softcapping (scores) and final_logit_softcapping (logits) from the configuration.",
        seen="The family of lmdeploy PR#2842.",
        rewrite=_softcap_value,
        parameters=(Parameter("cap", float, "the cap", span=Span(0.1, 1e3)),),
        tries=values("cap", 50.0, 30.0),
        catalogue=("D8",),
        rare=True,
    ),
    Deviation(
        id="scores-negated",
        kind="mistake",
        does="The scores have the wrong sign: large scores get small weights, as with exp(-s).",
        invisible="Where all scores of a query are equal.",
        remedy="np.exp(s - s.max(axis=-1, keepdims=True)), of the scores themselves.",
        seen="The family of inverted arithmetic (a distance in place of a similarity); no thread is known.",
        rewrite=_negated,
        rare=True,
    ),
    Deviation(
        id="rotary-added",
        kind="mistake",
        does="Queries and keys are rotated by their positions, where they should not be.",
        invisible="At position 0; in scores of a token with itself.",
        remedy="Rotate queries and keys only in layers that do: some models leave out every fourth layer (NoPE).",
        seen="The counterpart of code paths that lose positions; no thread is known.",
        rewrite=_rotary_added,
        parameters=(Parameter("layout", str, "half or interleaved"),),
        tries=values("layout", *_LAYOUTS),
        catalogue=("C8",),
        rare=True,
    ),
    Deviation(
        id="qk-norm-added",
        kind="mistake",
        does="Queries and keys are normed, head by head, where they should not be.",
        invisible="Where all queries and keys have the same length already.",
        remedy="Norm queries and keys only in models that have it (Qwen 3, OLMo 2, Gemma 3).",
        seen="The counterpart of executorch PR#19901; no thread is known.",
        rewrite=_qk_norm_added,
        parameters=(Parameter("kind", str, "rms or layer, without gain, with eps 1e-6"),),
        tries=values("kind", *_NORMS),
        catalogue=("B16",),
        rare=True,
    ),
    Deviation(
        id="qk-norm-added-on-one-side",
        kind="mistake",
        does="Queries, or keys, are normed, head by head, where they should not be; the others are right.",
        invisible="Where all these queries, or keys, have the same length already.",
        remedy="Leave out this norm, or norm both in models that do (Qwen 3, OLMo 2, Gemma 3).",
        seen="The family of executorch PR#19901; no thread is known.",
        rewrite=_qk_norm_added_on,
        parameters=(
            Parameter("kind", str, "rms or layer, without gain, with eps 1e-6"),
            Parameter("side", str, "what is normed, query or key"),
        ),
        tries=lambda _: tuple((("kind", kind), ("side", side)) for kind in _NORMS for side in _SIDES),
        catalogue=("B16",),
        rare=True,
    ),
    Deviation(
        id="alibi-undeclared",
        kind="mistake",
        does="Scores fall with distance (ALiBi), where they should not.",
        invisible="Where each query sees one key.",
        remedy="Add ALiBi's bias only in models trained with it (BLOOM, MPT).",
        seen="The counterpart of attention-gym PR#86; no thread is known.",
        rewrite=_alibi_undeclared,
        catalogue=("C11",),
        rare=True,
    ),
    Deviation(
        id="positions-undeclared",
        kind="mistake",
        does="Sines and cosines of the positions are added to the input, which should be used unchanged.",
        invisible="Never on ordinary data.",
        remedy="Add positions once, before the first block, and not to an input that has them already.",
        seen="A common slip in hand work; no public thread is known.",
        rewrite=_positions_added,
        rare=True,
    ),
)
