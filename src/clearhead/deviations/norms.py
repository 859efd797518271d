"""Deviations in the norms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from clearhead.axes import Axes
from clearhead.deviations.deviation import Deviation, Parameter, Span, values
from clearhead.deviations.norm_steps import AFFINE, CENTRED, MEAN_SQUARES, SPREADS, is_of_heads, over, step
from clearhead.deviations.rewrites import ALL, Nothing, change_lines, is_called, leave_out, swap, with_operation
from clearhead.errors import SpecError
from clearhead.line import Line, find
from clearhead.ops import Parameters
from clearhead.ops.textbook import linear, tokens
from clearhead.ops.variants import norms as variants_norms
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

_EPS = {operation: operation for operation in (*CENTRED, *SPREADS)}


def _over_matrix(working: Working) -> Working:
    """Replaces a whole layer norm by one operation, and writes other norms as steps."""
    kinds = {line.operation for line in working.lines} & {*CENTRED, *SPREADS}
    if kinds == {tokens.layer_norm}:
        return swap({tokens.layer_norm: tokens.norm_over_matrix})(working)
    return over("matrix")(working)


def _divides_centred(line: Line) -> bool:
    return "centred" in line.operands[0].split(".")


def _names(working: Working) -> tuple[str, ...]:
    """The norms of tokens, by the names of their last lines."""
    return tuple(line.name for line in working.lines if is_called(line, "norm") and not is_of_heads(line))


def _left_out(working: Working, line: str) -> Working:
    """Passes the norm's input on, and drops all lines of the norm."""
    names = _names(working)
    if not names:
        raise Nothing("no line of this working is a norm of tokens.")
    chosen = names if line == ALL else (find(line, names, what="norm"),)
    for name in chosen:
        steps = [each for each in working.lines if each.name == name or each.name.startswith(f"{name}.")]
        passed = Line(name, unchanged, steps[0].operands[:1], steps[-1].axes)
        working = working.rewrite(partial(_without, steps=steps, passed=passed))
    return working


def _without(line: Line, *, steps: list[Line], passed: Line) -> list[Line]:
    if line.name == passed.name:
        return [passed]
    return [] if line in steps else [line]


def _try_left_out(working: Working) -> Iterable[Parameters]:
    """Each norm and all; not those that have the effect of `norm-missing`."""
    names, gained = _names(working), any(map(_is_affine, working.lines))
    tried = (*((ALL,) if gained and len(names) > 1 else ()), *(names if gained or len(names) > 1 else ()))
    return tuple((("line", name),) for name in tried)


def _is_affine(line: Line) -> bool:
    return line.operation in (*AFFINE, *AFFINE.values())


def _gain_missing(working: Working) -> Working:
    """Leaves the gain out and keeps the bias: x + bias."""

    def change(line: Line) -> list[Line]:
        if line.operation is tokens.gain:
            return [with_operation(line, unchanged)]
        return [Line(line.name, linear.bias, (line.operands[0], line.operands[2]), line.axes)]

    return change_lines(working, lambda line: line.operation in AFFINE, change, "a gain")


def _swapped(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        source, gain, bias = line.operands
        return [replace(line, operands=(source, bias, gain))]

    return change_lines(working, lambda line: line.operation is tokens.gain_and_bias, change, "a gain_and_bias")


def _instances(working: Working) -> list[Line]:
    """The lines that apply gains to whole tokens, one for each norm of the block."""
    model: Axes = ("token", "model")
    found = [line for line in working.lines if _is_affine(line) and line.axes == model]
    if len(found) < len(_PLACES):
        raise Nothing("this block does not have two norms with gains.")
    return found


def _with_arrays_of(working: Working, uses: Mapping[str, Line]) -> Working:
    return working.rewrite(
        lambda line: [
            replace(line, operands=(line.operands[0], *uses[line.name].operands[1:])) if line.name in uses else line
        ]
    )


def _instances_exchanged(working: Working) -> Working:
    one, other = _instances(working)[:2]
    return _with_arrays_of(working, {one.name: other, other.name: one})


def _instance_shared(working: Working, of: str) -> Working:
    lines = _instances(working)
    if of not in _PLACES:
        raise SpecError(f"norm-shared expects of as first or second, got {of!r}.")
    chosen = lines[_PLACES.index(of)]
    return _with_arrays_of(working, {line.name: chosen for line in lines})


_PLACES = ("first", "second")
_LAST_AXIS = "Take both over the last axis: x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True)."
_FAR = "Where the variance is far above eps."

ROWS = (
    Deviation(
        id="norm-over-matrix",
        kind="mistake",
        does="The norm computes one mean and one standard deviation over all tokens together.",
        invisible="Where there is one token, or all tokens have the same mean and spread.",
        remedy=_LAST_AXIS,
        seen="The notebook this project grew from: np.mean(x) and np.std(x) without an axis; "
        "attention-is-all-you-need-pytorch PR#17, GATr PR#8, equinox PR#471, addons PR#2142, dlib PR#2489.",
        rewrite=_over_matrix,
        catalogue=("G5",),
    ),
    Deviation(
        id="norm-over-tokens",
        kind="mistake",
        does="The norm computes mean and spread of each feature over the tokens, not of each token over its features.",
        invisible="Where the matrix and its transpose have the same means and spreads, which is hardly ever.",
        remedy=f"axis=-1, never axis=0 or axis=1 of (batch, token, model). {_LAST_AXIS}",
        seen="FuxiCTR#23; the family of attention-is-all-you-need-pytorch PR#17.",
        rewrite=over("tokens"),
        catalogue=("G5",),
    ),
    Deviation(
        id="norm-over-batch",
        kind="mistake",
        does="Batch norm: mean and spread of each feature over the tokens of the whole batch.",
        invisible="Without a batch it is the norm over tokens.",
        remedy="nn.LayerNorm(d_model), not nn.BatchNorm1d: no token's norm may depend on another's.",
        seen="Kyubyong/transformer#40 (asks for it).",
        rewrite=over("batch", lambda line: not is_of_heads(line)),
        catalogue=("G13",),
    ),
    Deviation(
        id="norm-sample-std",
        kind="mistake",
        does="The variance is divided by n - 1, not by n: the sample standard deviation.",
        invisible="Never, but with many features it is small: a factor of sqrt((n - 1) / n).",
        remedy="x.std(axis=-1, ddof=0) in NumPy, x.std(-1, correction=0) or unbiased=False in PyTorch, whose default "
        "is n - 1; STDEV.P, not STDEV, in a sheet.",
        seen="annotated-transformer#122 and PR#119, BERT-pytorch#30; AI by Hand, NORMALIZE.",
        rewrite=step({operation: operation for operation in MEAN_SQUARES}, ddof=1),
        catalogue=("G6",),
    ),
    Deviation(
        id="norm-of-other-kind",
        kind="convention",
        does="The norm is RMS where the textbook has a layer norm, or the other way round.",
        invisible="Where the mean of every token is 0.",
        remedy="Follow the model: BERT and GPT-2 subtract the mean, Llama and T5 do not.",
        seen="TransformerLens, notes on adapters.",
        rewrite=swap({tokens.layer_norm: tokens.rms_norm, tokens.rms_norm: tokens.layer_norm}),
        catalogue=("G10",),
    ),
    Deviation(
        id="norm-eps",
        kind="convention",
        does="The norm has another eps, or none (0).",
        invisible=_FAR,
        remedy="Follow the model: PyTorch's LayerNorm has 1e-5, BERT 1e-12, Keras 1e-3, Llama 1e-6 or 1e-5.",
        seen="keras-hub#642 and PR#1472, gpt4all PR#1946, candle PR#271, llama.cpp PR#23815; with 0 a row of equal "
        "values is 0/0, as in the notebook this project grew from.",
        rewrite=swap(_EPS),
        parameters=(Parameter("eps", float, "what is added to the variance", span=Span(1e-14, 10.0)),),
        tries=values("eps", 0.0, 1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3, 1e-2),
        catalogue=("G8", "G16"),
    ),
    Deviation(
        id="norm-eps-outside-root",
        kind="convention",
        does="eps is added to the standard deviation, outside the root, not to the variance.",
        invisible=f"Where eps is 0. {_FAR}",
        remedy="(x - mean) / np.sqrt(var + eps), not / (std + eps).",
        seen="The lecture behind the notebook this project grew from; hyunwoongko/transformer#7, hkproj PR#31, "
        "gpt-neox PR#1342 (RMS).",
        rewrite=step({variants_norms.root: variants_norms.root_then_eps}),
        catalogue=("G7",),
    ),
    Deviation(
        id="norm-root-missing",
        kind="mistake",
        does="The norm divides by the variance (plus eps), not by its root.",
        invisible="Where every variance is 1.",
        remedy="(x - mean) / np.sqrt(var + eps).",
        seen="The family of TPlinker#37.",
        rewrite=step(dict.fromkeys(SPREADS[:2], variants_norms.no_root)),
        catalogue=("G9",),
    ),
    Deviation(
        id="norm-squared",
        kind="mistake",
        does="The norm divides by the square of variance plus eps, (var + eps) ** 2, where ** 0.5 is meant.",
        invisible="Where every variance is 1.",
        remedy="(x - mean) / (var + eps) ** 0.5.",
        seen="TPlinker#37.",
        rewrite=step(dict.fromkeys(SPREADS[:2], variants_norms.squared)),
        catalogue=("G9",),
    ),
    Deviation(
        id="norm-missing",
        kind="mistake",
        does="The norm is left out, but not its gain and bias.",
        invisible="Where every token has mean 0 and variance 1 already.",
        remedy="Norm each token: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps).",
        seen="A common slip in hand work; no public thread is known.",
        rewrite=leave_out(*CENTRED),
    ),
    Deviation(
        id="norm-not-divided",
        kind="mistake",
        does="The mean is subtracted from each token, and the difference is not divided by the standard deviation.",
        invisible="Where every variance is 1.",
        remedy="(x - mean) / np.sqrt(var + eps).",
        seen="A common slip in hand work; no public thread is known.",
        rewrite=step({variants_norms.quotient: unchanged}, _divides_centred),
    ),
    Deviation(
        id="norm-left-out",
        kind="mistake",
        does="A norm is left out with its gain and bias: its input is passed on unchanged.",
        invisible="Where the norm changes nothing.",
        remedy="Norm at every place of the model: before or after attention, and before or after the MLP.",
        seen="A common slip in hand work and in ports; no public thread is known.",
        rewrite=_left_out,
        parameters=(Parameter("line", str, "the norm, such as mlp.norm, or all"),),
        tries=_try_left_out,
    ),
    Deviation(
        id="norm-gain-missing",
        kind="mistake",
        does="The gain of the norm is left out; its bias, if it has one, is added.",
        invisible="Where the gain is 1.",
        remedy="Multiply by the norm's weight: normed * gain + bias.",
        seen="mlx#1636, reformer PR#129.",
        rewrite=_gain_missing,
        catalogue=("G12",),
    ),
    Deviation(
        id="norm-bias-missing",
        kind="mistake",
        does="The bias of the norm is left out.",
        invisible="Where it is 0.",
        remedy="Add the norm's bias: normed * gain + bias.",
        seen="The family of mlx#1636.",
        rewrite=swap(
            {
                tokens.gain_and_bias: tokens.gain,
                variants_norms.gain_plus_one_and_bias: variants_norms.gain_plus_one,
            }
        ),
        catalogue=("G12",),
    ),
    Deviation(
        id="norm-gain-and-bias-missing",
        kind="mistake",
        does="Gain and bias of the norm are both left out.",
        invisible="Where the gain is 1 and the bias 0.",
        remedy="Multiply by the norm's weight and add its bias: normed * gain + bias.",
        seen="mlx#1636, reformer PR#129.",
        rewrite=leave_out(tokens.gain_and_bias),
        catalogue=("G12",),
    ),
    Deviation(
        id="norm-gain-and-bias-exchanged",
        kind="mistake",
        does="Gain and bias of the norm are exchanged.",
        invisible="Where they are equal.",
        remedy="normed * gain + bias: gain (gamma, weight) multiplies, bias (beta) is added; check the order of "
        "arguments.",
        seen="The family of mlx#1636 and reformer PR#129.",
        rewrite=_swapped,
        catalogue=("G12",),
    ),
    Deviation(
        id="norm-gain-plus-one",
        kind="convention",
        does="The norm multiplies by 1 + gain.",
        invisible="Never on ordinary data.",
        remedy="Gemma and some others store gain - 1. Follow the model: normed * gain for Llama and BERT.",
        seen="Liger-Kernel#74, executorch PR#19901, shainet PR#176, lmdeploy PR#2842.",
        rewrite=swap(AFFINE),
        catalogue=("G11",),
    ),
    Deviation(
        id="norms-exchanged",
        kind="mistake",
        does="The gains and biases of the block's two norms are exchanged.",
        invisible="Where both have equal gains and biases.",
        remedy="Look the names up: one norm belongs to attention (ln_1, input_layernorm), one to the MLP (ln_2, "
        "post_attention_layernorm).",
        seen="mlx#1636, reformer PR#129.",
        rewrite=_instances_exchanged,
        catalogue=("G12",),
    ),
    Deviation(
        id="norm-shared",
        kind="mistake",
        does="Both norms of the block use the gain and bias of one of them.",
        invisible="Where both have equal gains and biases.",
        remedy="Make two: self.norm1 and self.norm2, each with its own weight and bias.",
        seen="The family of mlx#1636 and reformer PR#129.",
        rewrite=_instance_shared,
        parameters=(Parameter("of", str, "first or second: whose gain and bias both use"),),
        tries=values("of", *_PLACES),
        catalogue=("G12",),
    ),
    Deviation(
        id="qk-norm-over-projection",
        kind="convention",
        does="Queries and keys are normed over all heads together, the whole projection, not head by head.",
        invisible="Where there is one head, or all heads have the same spread.",
        remedy="Norm over the depth of each head (Qwen 3, Gemma 3) or over the whole projection (OLMo 2), as the "
        "model does.",
        seen="The family of executorch PR#19901.",
        rewrite=over("heads", is_of_heads),
        catalogue=("B16",),
    ),
    Deviation(
        id="qk-norm-head-by-head",
        kind="convention",
        does="Queries and keys are normed head by head, not over all heads together.",
        invisible="Where there is one head, or all heads have the same spread.",
        remedy="Norm over the whole projection (OLMo 2, OLMoE) or over the depth of each head (Qwen 3), as the model "
        "does.",
        seen="FlagScale PR#210.",
        rewrite=swap({tokens.rms_norm_of_heads: tokens.rms_norm}, where=is_of_heads),
        catalogue=("B16",),
    ),
)
