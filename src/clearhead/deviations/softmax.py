"""Deviations in the softmax, and in the use of its weights."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import TINY, Deviation, Parameter, Span, values
from clearhead.deviations.rewrites import change_lines, follow, leave_out, swap
from clearhead.line import Line
from clearhead.ops.textbook import linear, scores
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working

_OTHERS = (
    variants_scores.softmax_over_heads,
    variants_scores.softmax_over_matrix,
    variants_scores.softmax_of_one,
    variants_scores.softmax_base,
    variants_scores.softmax_unshifted,
    variants_scores.softmax_shifted_globally,
    variants_scores.softmax_one,
    variants_scores.softmax_one_shifted,
    variants_scores.exp_over_sum,
    variants_scores.share_of_sum,
    variants_scores.sigmoid,
    variants_scores.exponentials,
)


def is_softmax(line: Line) -> bool:
    """Whether a line makes weights of scores, in any way."""
    return line.operation.role == "softmax"


def is_softmax_of_keys(line: Line) -> bool:
    """Whether a line is a softmax of scores, not of logits."""
    return is_softmax(line) and line.axes[-1] == "key"


def _twice(working: Working) -> Working:
    def change(line: Line) -> list[Line]:
        return follow(working, line, "once", line.operation, *line.operands[1:], **dict(line.parameters))

    return change_lines(working, is_softmax, change, "a softmax")


def _over_queries(working: Working) -> Working:
    """Softmax down the columns, and their sums where the sums are a line."""

    def change(line: Line) -> list[Line]:
        if line.operation is scores.sum_of_row:
            axes = tuple("key" if word == "query" else word for word in line.axes)
            return [replace(line, operation=variants_scores.sum_of_column, axes=axes)]
        return [line]

    return swap({scores.softmax: scores.softmax_over_queries})(working.rewrite(change))


ROWS = (
    Deviation(
        id="softmax-over-queries",
        kind="mistake",
        does="Softmax runs down the columns of the scores: each key's weights sum to one over the queries.",
        invisible="Where the scores are symmetric in queries and keys up to constants, or there is one token.",
        remedy="With tokens as rows normalise over the last axis: axis=-1 with keepdims=True, or dim=-1.",
        seen="The notebook this project grew from (axis=0; with tokens as columns the same axis is right), "
        "labmlai#146, "
        "fastNLP#254, PyTorch-NLP#2, llms-from-scratch-rs PR#30, reading_comprehension_tf PR#30.",
        rewrite=_over_queries,
        catalogue=("F1",),
    ),
    Deviation(
        id="softmax-over-heads",
        kind="mistake",
        does="Softmax runs over the heads: for each query and key the weights sum to one over the heads.",
        invisible="Where there is one key and one head.",
        remedy="Normalise over the last axis, the keys: dim=-1, never dim=0 or dim=1 of a 4-D array.",
        seen="PyTorch-NLP#2 (dim 0).",
        rewrite=swap({scores.softmax: variants_scores.softmax_over_heads}),
        catalogue=("F2",),
    ),
    Deviation(
        id="softmax-over-matrix",
        kind="mistake",
        does="Softmax runs over all scores of a head together: the whole matrix sums to one.",
        invisible="Where there is one query.",
        remedy="Sum by row: e / e.sum(axis=-1, keepdims=True); without axis= NumPy sums everything.",
        seen="vit-pytorch#1 asks for it; np.sum without an axis.",
        rewrite=swap({scores.softmax: variants_scores.softmax_over_matrix}),
        catalogue=("F2",),
    ),
    Deviation(
        id="softmax-of-one",
        kind="mistake",
        does="Softmax runs over an axis of a single entry: every weight is 1.",
        invisible="Where there is one key.",
        remedy="Normalise over the axis of the keys; print the weights' sum along it.",
        seen="KEQA#2.",
        rewrite=swap({scores.softmax: variants_scores.softmax_of_one}),
        catalogue=("F2",),
    ),
    Deviation(
        id="softmax-twice",
        kind="mistake",
        does="Softmax is applied twice, which flattens the weights.",
        invisible="Where all weights of a query are equal.",
        remedy="Apply it once; a loss or a fused function may do it for you.",
        seen="transformers PR#31322 (FLAVA), llama3#155.",
        rewrite=_twice,
        catalogue=("F3",),
    ),
    Deviation(
        id="softmax-unshifted",
        kind="mistake",
        does="The maximum is not subtracted before the exponentials: large scores overflow to NaN, and a row that "
        "is all "
        "masked is 0/0.",
        invisible="Where scores stay below 88 (float32) or 709 (float64) and each query sees a key.",
        remedy="e = np.exp(s - s.max(axis=-1, keepdims=True)).",
        seen="pytorch_geometric#53, singa PR#540, blocks PR#727, AI by Hand, pytorch#103749 and #103963.",
        rewrite=swap({scores.softmax: variants_scores.softmax_unshifted}),
        catalogue=("F4", "E12"),
    ),
    Deviation(
        id="softmax-shifted-globally",
        kind="mistake",
        does="The maximum of all scores, not of each row, is subtracted: rows far below it underflow to 0/0.",
        invisible="Where the rows' maxima lie within 88 (float32) or 700 (float64) of each other.",
        remedy="e = np.exp(s - s.max(axis=-1, keepdims=True)).",
        seen="singa PR#540 (its own fix).",
        rewrite=swap({scores.softmax: variants_scores.softmax_shifted_globally}),
        catalogue=("F5",),
    ),
    Deviation(
        id="softmax-one",
        kind="convention",
        does="The denominator has one added, as for a score of zero without a key: weights sum to less than one.",
        invisible="Where the largest scores are large.",
        remedy="Use it only with a model trained with it (softmax-one, attention sinks).",
        seen="AttentionIsOFFByOne#2, Automodel PR#2658.",
        rewrite=swap({scores.softmax: variants_scores.softmax_one}),
        catalogue=("F6",),
    ),
    Deviation(
        id="softmax-one-shifted",
        kind="mistake",
        does="The one in the denominator is added after the maximum was subtracted, so that it counts as the maximum.",
        invisible="Where each row's largest score is 0.",
        remedy="Shift it too: e / (np.exp(-top) + e.sum(axis=-1, keepdims=True)).",
        seen="AttentionIsOFFByOne#2.",
        rewrite=swap({scores.softmax: variants_scores.softmax_one_shifted}),
        catalogue=("F6",),
    ),
    Deviation(
        id="softmax-base",
        kind="mistake",
        does="The softmax has powers of another number than e.",
        invisible="Where all scores of a query are equal.",
        remedy="np.exp, or with exp2 multiply the scores by log2(e) first.",
        seen="AI by Hand, SOFTMAX (3 for e); kernels that use exp2.",
        rewrite=swap({scores.softmax: variants_scores.softmax_base}),
        parameters=(Parameter("base", float, "the base of the powers", least=TINY, span=Span(1.02, 1e3)),),
        tries=values("base", 2.0, 3.0, 10.0, 2.7, 2.72, 2.718),
        catalogue=("F7",),
    ),
    Deviation(
        id="softmax-without-exp-below",
        kind="mistake",
        does="The denominator sums the scores, not their exponentials.",
        invisible="Never on ordinary data.",
        remedy="e = np.exp(s); e / e.sum(axis=-1, keepdims=True).",
        seen="HighPerfLLMs2024#3.",
        rewrite=swap({scores.softmax: variants_scores.exp_over_sum}),
        catalogue=("F7",),
    ),
    Deviation(
        id="softmax-without-exp",
        kind="mistake",
        does="Scores are divided by their sum, without exponentials.",
        invisible="Where all scores of a query are equal.",
        remedy="e = np.exp(s); e / e.sum(axis=-1, keepdims=True).",
        seen="The family of HighPerfLLMs2024#3.",
        rewrite=swap({scores.softmax: variants_scores.share_of_sum}),
        catalogue=("F7",),
    ),
    Deviation(
        id="softmax-undivided",
        kind="mistake",
        does="The weights are the exponentials of the scores, not divided by their sum.",
        invisible="Where these sums are 1 already.",
        remedy="e / e.sum(axis=-1, keepdims=True).",
        seen="The family of HighPerfLLMs2024#3.",
        rewrite=swap({scores.softmax: variants_scores.exponentials}),
        catalogue=("F7",),
    ),
    Deviation(
        id="softmax-sigmoid",
        kind="mistake",
        does="The weights are the logistic function of each score: they do not sum to one.",
        invisible="Where a query sees two keys whose scores are opposite.",
        remedy="Use softmax over the keys.",
        seen="The family of flexflow#467.",
        rewrite=swap({scores.softmax: variants_scores.sigmoid}),
        catalogue=("F7",),
    ),
    Deviation(
        id="softmax-missing",
        kind="mistake",
        does="The scores themselves are used as weights.",
        invisible="Where a query sees one key whose score is 1.",
        remedy="weights = softmax(scores), then weights @ v.",
        seen="flexflow#467 (commented out).",
        rewrite=leave_out(scores.softmax, scores.softmax_over_queries, *_OTHERS),
        catalogue=("F7",),
    ),
    Deviation(
        id="weights-transposed",
        kind="mistake",
        does="Values are summed with the columns of the weights: A^T V instead of A V.",
        invisible="Where the weights are symmetric.",
        remedy="weights @ v, with a row of weights for each query.",
        seen="DML-OpenProblem#424, LightGlue#43, self-attention-gan#17.",
        rewrite=swap({linear.weighted_sum: variants_heads.weighted_sum_transposed}),
        catalogue=("F9",),
    ),
)
