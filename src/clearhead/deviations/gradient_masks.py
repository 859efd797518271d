"""Gradients of masks, sinks and dropout that are wrong by themselves."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Rewrite
from clearhead.deviations.gradient_rewrites import (
    as_operation,
    each_of,
    gradients_of,
    passed,
    reading,
    recomputed,
)  # fmt: skip
from clearhead.deviations.rewrites import Nothing, follow
from clearhead.line import Line, free_name
from clearhead.ops import Operation, as_parameters
from clearhead.ops.gradients import stated
from clearhead.ops.textbook import scores, tokens
from clearhead.ops.variants import gradients as wrong
from clearhead.ops.variants.scores import mask_causal_top_left
from clearhead.working import Working

DROPS = gradients_of("x", tokens.dropout)
(PAST_TOP_LEFT,) = gradients_of("s", mask_causal_top_left)
SOFTMAXES = frozenset({scores.softmax, scores.softmax_with_sink})
MASKS = frozenset({scores.mask_causal, scores.mask_window, scores.mask_padding, scores.mask_boolean})
_WHAT = "that of dropout"


def _without(forgotten: Operation, what: str) -> Rewrite:
    """The backward pass with weights that are computed again without a mask, from the sums that were kept."""

    def rewrite(working: Working) -> Working:
        def change(line: Line) -> list[Line]:
            masks = _masks_before(working, line) if line.operation is scores.softmax else []
            if not any(mask.operation is forgotten for mask in masks):
                return [line]
            made, read = [line], masks[-1].operands[0]
            for mask in reversed(masks):
                if mask.operation is not forgotten:
                    name = free_name(f"{mask.name}.again", working.names)
                    made.append(replace(mask, name=name, operands=(read, *mask.operands[1:])))
                    read = name
            again = free_name(f"{line.name}.again", working.names)
            return [*made, Line(again, wrong.shares_by_other_sum, (read, line.operands[0]), line.axes)]

        made = reading(working, change, f"{what} before a softmax")
        return passed(gradients_of("s", forgotten), f"that of {what}")(made)

    return rewrite


_WITHOUT_WINDOW = _without(scores.mask_window, "a window")
_WITHOUT_PADDING = _without(scores.mask_padding, "padding")
_WITHOUT_MASK = _without(scores.mask_boolean, "a given mask")


def _from_top_left(working: Working) -> Working:
    """The backward pass with weights of a causal mask that counts from the first key, from the sums that were kept."""

    def change(line: Line) -> list[Line]:
        masks = _masks_before(working, line) if line.operation in SOFTMAXES else []
        if not any(mask.operation is scores.mask_causal for mask in masks):
            return [line]
        return [line, Line(free_name(f"{line.name}.masked", working.names), PAST_TOP_LEFT, (line.name,), line.axes)]

    return reading(working, change, "a softmax behind a causal mask")


def _without_sink(working: Working) -> Working:
    """The backward pass with weights whose sum leaves the sink out."""

    def change(line: Line) -> list[Line]:
        if line.operation is not scores.softmax_with_sink:
            return [line]
        again = free_name(f"{line.name}.again", working.names)
        return [line, Line(again, scores.softmax, line.operands[:1], line.axes)]

    return reading(working, change, "a softmax with a sink")


def _keeping_sums(rewrite: Rewrite) -> Rewrite:
    """A rewrite by which weights are computed again, with sums of the forward pass in the gradient of softmax."""

    def kept(working: Working) -> Working:
        before = {line.name: line for line in working.lines}

        def change(line: Line) -> Line:
            own = before.get(line.name, line)
            if line.operation is not stated.softmax_grad or line == own:
                return line
            return as_operation(line, wrong.softmax_grad_with_kept_sums, line.operands[0], *own.operands)

        return rewrite(working).rewrite(lambda line: [change(line)])

    return kept


def _masks_before(working: Working, softmax: Line) -> list[Line]:
    """The masks of the scores that a softmax reads, the last first."""
    found: list[Line] = []
    line = working.line(softmax.operands[0])
    while isinstance(line, Line) and line.operation in MASKS:
        found.append(line)
        line = working.line(line.operands[0])
    return found


def _not_divided(line: Line) -> Line:
    """The gradient of dropout with its mask, which is not divided by the share that is kept."""
    return replace(line, parameters=as_parameters({"rate": 0.0}))


def _by_rate(working: Working, line: Line) -> list[Line]:
    rate = dict(line.parameters)["rate"]
    return follow(working, _not_divided(line), "masked", scores.scale, factor=rate)


def _of_dropped(working: Working, line: Line) -> list[Line]:
    """The gradient of softmax from the weights that dropout has changed."""
    weights, grad = line.operands
    drops = [each.name for each in working.lines if each.operation is tokens.dropout and each.operands[0] == weights]
    if not drops:
        raise Nothing("no dropout follows the softmax of this working.")
    return [as_operation(line, stated.softmax_grad, drops[0], grad)]


ROWS = (
    Deviation(
        id="grad-causal-missing-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again without the causal mask, masks their gradient, and takes "
        "off the sums of dO * O.",
        invisible="Where there is one query.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="The family of triton#5660.",
        rewrite=_keeping_sums(recomputed(masks_gradient=True)),
        of="backward",
    ),
    Deviation(
        id="grad-causal-forgotten-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again, has no causal mask at all, and takes off the sums of "
        "dO * O.",
        invisible="Where there is one query.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="The family of triton#5660.",
        rewrite=_keeping_sums(recomputed(masks_gradient=False)),
        of="backward",
    ),
    Deviation(
        id="grad-window-forgotten-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again, has no window, and takes off the sums of dO * O.",
        invisible="Where the window is as wide as the text.",
        remedy="Apply the same window where the backward pass computes p again.",
        seen="FlagAttention#25.",
        rewrite=_keeping_sums(_WITHOUT_WINDOW),
        of="backward",
    ),
    Deviation(
        id="grad-window-forgotten",
        kind="mistake",
        does="The backward pass computes the weights again, and has no window: keys further back count.",
        invisible="Where the window is as wide as the text.",
        remedy="Apply the same window where the backward pass computes p again.",
        seen="The family of FlagAttention#25.",
        rewrite=_WITHOUT_WINDOW,
        of="backward",
    ),
    Deviation(
        id="grad-padding-forgotten",
        kind="mistake",
        does="The backward pass computes the weights again, and padding counts in them.",
        invisible="Where no key is padding.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="The family of FastVideo PR#925.",
        rewrite=_WITHOUT_PADDING,
        of="backward",
    ),
    Deviation(
        id="grad-padding-forgotten-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again, padding counts in them, and the sums of dO * O are taken "
        "off.",
        invisible="Where no key is padding.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="FastVideo PR#925.",
        rewrite=_keeping_sums(_WITHOUT_PADDING),
        of="backward",
    ),
    Deviation(
        id="grad-mask-forgotten",
        kind="mistake",
        does="The backward pass computes the weights again without the mask that it is given.",
        invisible="Where the mask hides nothing.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="The family of FastVideo PR#925.",
        rewrite=_WITHOUT_MASK,
        of="backward",
    ),
    Deviation(
        id="grad-mask-forgotten-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again without the mask that it is given, and takes off the sums "
        "of dO * O.",
        invisible="Where the mask hides nothing.",
        remedy="Apply the same mask where the backward pass computes p again.",
        seen="The family of FastVideo PR#925.",
        rewrite=_keeping_sums(_WITHOUT_MASK),
        of="backward",
    ),
    Deviation(
        id="grad-causal-top-left",
        kind="mistake",
        does="The causal mask of the backward pass alone counts from the first key: the first query sees no other.",
        invisible="Where there are as many keys as queries.",
        remedy="Shift the mask by keys - queries in the backward pass too: j <= i + (keys - queries).",
        seen="The family of ffpa-attn PR#300.",
        rewrite=_from_top_left,
        of="backward",
    ),
    Deviation(
        id="grad-causal-top-left-sums-kept",
        kind="mistake",
        does="The causal mask of the backward pass alone counts from the first key, and the sums of dO * O are taken "
        "off.",
        invisible="Where there are as many keys as queries.",
        remedy="Shift the mask by keys - queries in the backward pass too: j <= i + (keys - queries).",
        seen="ffpa-attn PR#300.",
        rewrite=_keeping_sums(_from_top_left),
        of="backward",
    ),
    Deviation(
        id="grad-sink-missing",
        kind="mistake",
        does="The backward pass computes the weights again without the sink, which gets no gradient.",
        invisible="Where the sink is far below all scores.",
        remedy="Let the logsumexp that is kept for the backward pass count the sink.",
        seen="The family of cudnn-frontend PR#421.",
        rewrite=_without_sink,
        of="backward",
    ),
    Deviation(
        id="grad-sink-missing-sums-kept",
        kind="mistake",
        does="The backward pass computes the weights again without the sink, which gets no gradient, and takes off the "
        "sums of dO * O.",
        invisible="Where the sink is far below all scores.",
        remedy="Let the logsumexp that is kept for the backward pass count the sink.",
        seen="cudnn-frontend PR#421.",
        rewrite=_keeping_sums(_without_sink),
        of="backward",
    ),
    Deviation(
        id="grad-dropout-missing",
        kind="mistake",
        does="The gradient passes dropout unchanged: what was dropped gets one too.",
        invisible="Where nothing is dropped.",
        remedy="Keep the mask of the forward pass: dp = np.where(keep, dp, 0) / (1 - rate).",
        seen="nki-samples PR#81.",
        rewrite=passed(DROPS, _WHAT),
        of="backward",
    ),
    Deviation(
        id="grad-dropout-not-divided",
        kind="mistake",
        does="The gradient of dropout is masked, and not divided by the share that is kept.",
        invisible="Where the rate is 0.",
        remedy="dp = np.where(keep, dp, 0) / (1 - rate).",
        seen="The family of apex PR#816.",
        rewrite=each_of(DROPS, lambda _, line: [_not_divided(line)], _WHAT),
        of="backward",
    ),
    Deviation(
        id="grad-dropout-by-rate",
        kind="mistake",
        does="The gradient of dropout is multiplied by the rate, in place of a division by what is kept.",
        invisible="Where nothing of the gradient is left by the mask.",
        remedy="dp = np.where(keep, dp, 0) / (1 - rate).",
        seen="apex PR#816.",
        rewrite=each_of(DROPS, _by_rate, _WHAT),
        of="backward",
    ),
    Deviation(
        id="grad-dropout-in-softmax",
        kind="mistake",
        does="The gradient of softmax takes the weights after dropout, not those that softmax gave.",
        invisible="Where nothing is dropped and the rate is 0.",
        remedy="Keep both: ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)), with p before dropout.",
        seen="AiDotNet PR#1701, nki-samples PR#81.",
        rewrite=each_of({stated.softmax_grad}, _of_dropped, "that of a softmax"),
        of="backward",
    ),
)
