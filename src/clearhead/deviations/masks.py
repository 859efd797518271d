"""Deviations in masks: which cells they mask, and how."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter, Rewrite, Span, values
from clearhead.deviations.rewrites import Nothing, change_lines, leave_out, swap
from clearhead.deviations.softmax import is_softmax, is_softmax_of_keys
from clearhead.errors import SpecError
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.operation import as_parameters
from clearhead.ops.textbook import linear, scores
from clearhead.ops.variants import batch as variants_batch
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working

_CAUSAL = (
    scores.mask_causal,
    variants_scores.mask_causal_shifted,
    variants_scores.mask_future_only,
    variants_scores.mask_causal_top_left,
)
_PADDING = (
    scores.mask_padding,
    variants_scores.padding_inverted,
    variants_scores.mask_padding_queries,
    variants_scores.mask_padding_of_new,
    variants_batch.mask_padding_tiled,
    variants_batch.mask_padding_repeated,
    variants_batch.mask_padding_by_head,
)
_GIVEN = (scores.mask_boolean, scores.mask_additive, variants_scores.mask_inverted)


def _is_mask(line: Line) -> bool:
    return line.operation.role == "mask"


def _barring(operation: Operation) -> Rewrite:
    """A rewrite in which each mask still selects its cells, and an operation does something else to these."""

    def rewrite(working: Working, **parameters: float) -> Working:
        def change(line: Line) -> list[Line]:
            masked = free_name(f"{line.name}.masked", working.names)
            names = (line.operands[0], masked)
            return [
                replace(line, name=masked),
                Line(line.name, operation, names, line.axes, as_parameters(parameters)),
            ]

        return change_lines(working, _is_mask, change, "a mask")

    return rewrite


_ADDED = {
    "allowed": _barring(variants_scores.add_to_allowed),
    "masked": _barring(variants_scores.add_to_masked),
}


def _added(working: Working, at: str) -> Working:
    if at not in _ADDED:
        raise SpecError(f"mask-added expects at as allowed or masked, got {at!r}.")
    return _ADDED[at](working)


def _after_softmax(working: Working) -> Working:
    """Makes softmax read what the first mask reads, and masks cells of the weights by the last mask's result."""
    chain = [line for line in working.lines if _is_mask(line)]
    if not chain:
        raise Nothing("no line of this working is a mask.")

    def change(line: Line) -> list[Line]:
        if not (is_softmax(line) and line.operands[0] == chain[-1].name):
            return [line]
        operands = (chain[0].operands[0], *line.operands[1:])
        unmasked = replace(line, name=free_name(f"{line.name}.unmasked", working.names), operands=operands)
        masked = Line(line.name, variants_scores.zero_masked, (unmasked.name, chain[-1].name), line.axes)
        return [unmasked, masked]

    return working.rewrite(change)


def _causal_added(working: Working) -> Working:
    """Writes a causal mask before the softmax of a working that has none."""
    if any(line.operation in _CAUSAL for line in working.lines):
        raise Nothing("this working is causal already.")

    def change(line: Line) -> list[Line]:
        path = line.name.removesuffix("weights")
        masked = f"{path}masked"
        name = free_name(f"{masked}.causal" if masked in working.names else masked, working.names)
        extra = Line(name, scores.mask_causal, line.operands[:1], line.axes)
        return [extra, replace(line, operands=(name, *line.operands[1:]))]

    return change_lines(working, is_softmax_of_keys, change, "a softmax over keys")


def _shifted(working: Working, by: int) -> Working:
    return swap({scores.mask_causal: variants_scores.mask_causal_shifted})(working, by=by)


def _window(working: Working, by: int) -> Working:
    def change(line: Line) -> list[Line]:
        width = dict(line.parameters)["width"] + by
        if width < 1:
            raise Nothing("a window as narrow as this one cannot be narrower.")
        return [replace(line, parameters=(("width", width),))]

    return change_lines(working, lambda line: line.operation is scores.mask_window, change, "a mask_window")


def _window_split(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return [replace(line, parameters=(("width", dict(line.parameters)["width"] // 2 + 1),))]

    return change_lines(working, lambda line: line.operation is scores.mask_window, change, "a mask_window")


def _filled_throughout(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return [replace(line, operation=variants_scores.fill_all, operands=line.operands[:1], parameters=_LOW)]

    return change_lines(working, lambda line: line.operation in (*_GIVEN, *_PADDING), change, "a mask that is given")


_LOW = as_parameters({"fill": -1e9})


def _padding_of_new(working: Working) -> Working:
    if not any(line.operation is linear.append for line in working.lines):
        raise Nothing("this working has no cache.")
    return swap({scores.mask_padding: variants_scores.mask_padding_of_new})(working)


def _before_scale(working: Working) -> Working:
    """The masks on the scores that the scale reads; the scaled scores are masked again, which changes nothing."""
    masks = [line for line in working.lines if line.operation in _HIDING]
    scales = {line.operands[0] for line in working.lines
              if line.operation.role == "scale" and line.axes[-2:] == ("query", "key")}  # fmt: skip

    def change(line: Line) -> list[Line]:
        lines = [line]
        for number, mask in enumerate(masks, start=1):
            inner = free_name(f"{line.name}.unmasked{number if number > 1 else ''}", working.names)
            lines[-1] = replace(lines[-1], name=inner)
            lines.append(replace(mask, name=line.name, operands=(inner, *mask.operands[1:])))
        return lines

    if not masks:
        raise Nothing("no line of this working hides keys.")
    return change_lines(working, lambda line: line.name in scales, change, "scores that are scaled")


_HIDING = (scores.mask_causal, scores.mask_boolean, scores.mask_padding, scores.mask_window)
"""The masks that put minus infinity in the place of scores, scaled or not."""

_ALL_ALLOWED = "Where nothing is masked."

ROWS = (
    Deviation(
        id="mask-inverted",
        kind="convention",
        does="True in the given mask means: may not attend.",
        invisible="Never.",
        remedy="scaled_dot_product_attention: True = may attend; nn.MultiheadAttention: True = ignore. Pass "
        "~mask to one.",
        seen="LLMs-from-scratch#1061, torchTextClassifiers PR#92, halonet#4, pytorch PR#170415.",
        rewrite=swap({scores.mask_boolean: variants_scores.mask_inverted}),
        catalogue=("E1",),
    ),
    Deviation(
        id="padding-inverted",
        kind="convention",
        does="True in the padding mask means: a token of padding.",
        invisible="Never: with no padding everything is masked.",
        remedy="nn.MultiheadAttention's key_padding_mask: True = ignore; Hugging Face's attention_mask: 1 = real "
        "token.",
        seen="LLMs-from-scratch#1061, torchTextClassifiers PR#92.",
        rewrite=swap({scores.mask_padding: variants_scores.padding_inverted}),
        catalogue=("E1",),
    ),
    Deviation(
        id="mask-before-scale",
        kind="convention",
        does="The mask is written into the scores before they are scaled: hidden keys have minus infinity from there "
        "on, and the weights are the same.",
        invisible="Where no scores before the mask are claimed, or nothing is hidden.",
        remedy="Claim the masked scores as the line masked; weights are right either way.",
        seen="scores.masked_fill_(mask, -inf) before the division, as in Raschka's book.",
        rewrite=_before_scale,
        catalogue=("E13",),
    ),
    Deviation(
        id="mask-added",
        kind="mistake",
        does="A mask of 0 and 1 is added to the scores as it is: it masks nothing and shifts some scores by 1.",
        invisible="Where a mask treats all keys of a query alike.",
        remedy="np.where(mask, scores, -np.inf), or make it boolean: mask.bool().",
        seen="mlverse/torch PR#1208, pytorch#117939.",
        rewrite=_added,
        parameters=(Parameter("at", str, "allowed or masked: where the mask is 1"),),
        tries=values("at", "allowed", "masked"),
        catalogue=("E2",),
    ),
    Deviation(
        id="mask-multiplied",
        kind="mistake",
        does="The scores are multiplied by the mask: masked scores are 0, whose exponential is 1. (A fill of 1e-9, "
        "meant as -1e9, does nearly the same.)",
        invisible=_ALL_ALLOWED,
        remedy="np.where(mask, scores, -np.inf).",
        seen="good-features PR#1.",
        rewrite=lambda working: _barring(variants_scores.fill_masked)(working, fill=0.0),
        catalogue=("E3",),
    ),
    Deviation(
        id="mask-filled",
        kind="mistake",
        does="Masked cells get a finite number: a small one leaks, and a query that sees no key gets equal weights.",
        invisible="Where the number is far below all scores and each query sees a key.",
        remedy="Fill with -np.inf or the type's lowest number, and decide the result of a query that sees no key.",
        seen="transformers PR#17306, Automodel PR#2658, ocannl#548, linformer PR#19, lsdefine#16, mlx#2626.",
        rewrite=_barring(variants_scores.fill_masked),
        parameters=(Parameter("fill", float, "the number in masked cells", span=Span(1e-2, 1e10, signed=True)),),
        tries=values("fill", -1e9, -1e4, -100.0, -10.0, -1.0),
        catalogue=("E13", "E12"),
    ),
    Deviation(
        id="mask-complement-of-integers",
        kind="mistake",
        does="Every score is filled with one number, so that all weights of a query are equal: ~mask of integers is "
        "-1 or -2 (254 or 255 in uint8), which is true everywhere.",
        invisible="Where a query's scores are all equal and nothing is masked.",
        remedy="Make it boolean before ~: ~mask.bool(), np.logical_not(mask), or mask == 0.",
        seen="pytorch#24180, ParlAI PR#1905, DeepSpeed#3319.",
        rewrite=_filled_throughout,
        catalogue=("E15",),
    ),
    Deviation(
        id="mask-times-infinity",
        kind="mistake",
        does="(1 - mask) * -inf is added, which is NaN wherever the mask is 1.",
        invisible="Where everything is masked.",
        remedy="Select, do not multiply: np.where(mask, scores, -np.inf).",
        seen="onnx PR#8068.",
        rewrite=_barring(variants_scores.add_zero_times_infinity),
        catalogue=("E14",),
    ),
    Deviation(
        id="mask-after-softmax",
        kind="mistake",
        does="Weights are masked after the softmax and not renormalized: they sum to less than one.",
        invisible=_ALL_ALLOWED,
        remedy="Mask the scores with -np.inf before softmax, or divide by weights.sum(axis=-1, keepdims=True) after.",
        seen="pytorch-image-models PR#2236 (EVA), tensorflow#43941.",
        rewrite=_after_softmax,
        catalogue=("E4",),
    ),
    Deviation(
        id="mask-missing",
        kind="mistake",
        does="The given mask is ignored.",
        invisible=_ALL_ALLOWED,
        remedy="Pass it to every code path, the fused one too.",
        seen="keras#23038, xformers#103: the same for the causal mask.",
        rewrite=leave_out(*_GIVEN),
        catalogue=("E11",),
    ),
    Deviation(
        id="padding-on-queries",
        kind="mistake",
        does="The padding mask masks rows, the queries of padding, instead of columns, the keys.",
        invisible="Where there is no padding.",
        remedy="mask[:, None, None, :]: over batch, head and query, along the keys.",
        seen="hyunwoongko/transformer PR#40, x-transformers#172, lsdefine#16.",
        rewrite=swap({scores.mask_padding: variants_scores.mask_padding_queries}),
        catalogue=("E5",),
    ),
    Deviation(
        id="padding-missing",
        kind="mistake",
        does="Padding is not masked: queries attend to it.",
        invisible="Where there is no padding.",
        remedy="Pass the padding mask to every code path.",
        seen="ModernBERT PR#40, web-xpu-ops#77.",
        rewrite=leave_out(*_PADDING),
        catalogue=("E18",),
    ),
    Deviation(
        id="padding-of-past-forgotten",
        kind="mistake",
        does="Padding is masked among the new tokens only: queries attend to padding in the cache.",
        invisible="Without a cache, or where it holds no padding.",
        remedy="Let the mask grow with the cache: one entry per cached key, in front of those of the new tokens.",
        seen="C2C PR#19; the family of the unsloth issues on left padding.",
        rewrite=_padding_of_new,
        catalogue=("E17",),
    ),
    Deviation(
        id="causal-missing",
        kind="mistake",
        does="Queries see later keys: the causal mask is left out.",
        invisible="For the last query.",
        remedy="np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf), or is_causal=True.",
        seen="keras#23038, xformers#103 and #1185.",
        rewrite=leave_out(*_CAUSAL),
        catalogue=("E11",),
    ),
    Deviation(
        id="causal-added",
        kind="mistake",
        does="Queries do not see later keys, where they should.",
        invisible="For the last query.",
        remedy="Leave the causal mask out of encoders and cross-attention.",
        seen="The counterpart of keras#23038; no thread is known.",
        rewrite=_causal_added,
    ),
    Deviation(
        id="causal-off-by-one",
        kind="mistake",
        does="The causal mask is off by one key: the token itself is masked (-1), or one future key is visible (1).",
        invisible="For the last query, if the mask is one key too far to the right.",
        remedy="np.triu(np.ones((n, n), bool), k=1) is what must be masked; k=0 masks the diagonal too.",
        seen="pbloem/former#10, GPT-SoVITS#965.",
        rewrite=_shifted,
        parameters=(Parameter("by", int, "how many keys the mask is shifted to the right"),),
        tries=values("by", -1, 1),
        catalogue=("E8",),
    ),
    Deviation(
        id="causal-transposed",
        kind="mistake",
        does="The causal mask is inverted: queries see only themselves and later keys.",
        invisible="Where there is one token.",
        remedy="np.tril, not np.triu, for visible keys; check whether True means visible or masked.",
        seen="nanoGPT#170, LLMs-from-scratch#1061.",
        rewrite=swap({scores.mask_causal: variants_scores.mask_future_only}),
        catalogue=("E9",),
    ),
    Deviation(
        id="causal-top-left",
        kind="mistake",
        does="With a cache the first query sees the first key only: the mask is aligned at the top left.",
        invisible="Where there are as many keys as queries.",
        remedy="np.tril(np.ones((n, m), bool), k=m - n): the last query sees the last key.",
        seen="pytorch#144858, executorch PR#21749, onnx PR#8068.",
        rewrite=swap({scores.mask_causal: variants_scores.mask_causal_top_left}),
        catalogue=("E10",),
    ),
    Deviation(
        id="window-off-by-one",
        kind="mistake",
        does="The sliding window is one key wider or narrower.",
        invisible="Where there are fewer tokens than the window is wide.",
        remedy="A window of w is the token itself and w - 1 before it: 0 <= i - j < w.",
        seen="transformers#29623, #39408 and #35924, vllm#3385, zml PR#763, flash-attention#1133.",
        rewrite=_window,
        parameters=(Parameter("by", int, "how much wider it is"),),
        tries=values("by", 1, -1),
        catalogue=("E16",),
    ),
    Deviation(
        id="window-split",
        kind="convention",
        does="The window's width covers both sides together, half of it on each.",
        invisible="Where there are fewer tokens than half the window is wide.",
        remedy="Longformer's width covers both sides, Mistral's and Gemma's the left; follow the model.",
        seen="transformers#35924, flash-attention#1133 (left and right are counted apart).",
        rewrite=_window_split,
        catalogue=("E16",),
    ),
    Deviation(
        id="window-missing",
        kind="mistake",
        does="The sliding window is ignored: all keys are seen.",
        invisible="Where there are fewer tokens than the window is wide.",
        remedy="Pass the window on, and only to the layers that have one.",
        seen="transformers#39408, vllm#3385.",
        rewrite=leave_out(scores.mask_window),
        catalogue=("E16", "E11"),
    ),
)
