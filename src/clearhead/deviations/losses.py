"""Deviations of losses: sums for means, other logarithms, smoothing and ignored targets forgotten."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter, Rewrite, Span, values
from clearhead.deviations.loss_rewrites import OF_TOKENS, is_of_tokens, only_ignored, shifted, smoothing_everywhere
from clearhead.deviations.rewrites import Nothing, adjust, change_lines, follow, swap, with_operation
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.textbook import losses as ops
from clearhead.ops.textbook import scores, training
from clearhead.ops.variants import losses as others
from clearhead.working import Working

_MEANS = (ops.mean_of_tokens, ops.mean_of_counted, ops.mean_by_weight)
_OTHERS = (others.kept_of_ignored, others.mean_of_ignored, others.with_spread, others.mean_of_parts)
_TO_TOKENS = dict.fromkeys(_MEANS, ops.sum_of_tokens)


def _in_base(working: Working, base: float) -> Working:
    return change_lines(
        working, is_of_tokens, lambda line: follow(working, line, "nats", others.in_base, base=base), "a cross-entropy"
    )


def _negated(working: Working) -> Working:
    return change_lines(
        working, is_of_tokens, lambda line: follow(working, line, "right", others.negated_loss), "a cross-entropy"
    )


def _over_others(working: Working) -> Working:
    """Smoothing over the other classes, of the probabilities."""

    def matches(line: Line) -> bool:
        return is_of_tokens(line) and bool(dict(line.parameters)["smoothing"])

    def change(line: Line) -> list[Line]:
        made, name = _probabilities(working, line)
        read = replace(line, operands=(name, *line.operands[1:]))
        return [*made, with_operation(read, others.likelihood_smoothed_over_others)]

    return change_lines(working, matches, change, "a loss with smoothing")


def _of_probabilities(working: Working) -> Working:
    """The cross-entropy that is made for logits, of probabilities."""

    def change(line: Line) -> list[Line]:
        made, name = _probabilities(working, line)
        return [*made, with_operation(replace(line, operands=(name, *line.operands[1:])), ops.cross_entropy)]

    return change_lines(working, is_of_tokens, change, "a cross-entropy")


def _probabilities(working: Working, line: Line) -> tuple[list[Line], str]:
    """The probabilities that belong to a loss, and a line of them where the working has none."""
    if line.operation is ops.negative_log_likelihood:
        return [], line.operands[0]
    logits = line.operands[:1]
    for each in working.lines:
        if each.operation is scores.softmax and each.operands == logits:
            return [], each.name
    name = free_name(f"{line.name}.probabilities", working.names)
    return [Line(name, scores.softmax, logits, working.axes[logits[0]])], name


def _ignored_counted(working: Working) -> Working:
    """Ignored targets that are classes of the vocabulary count like all others."""

    def ignores(line: Line) -> bool:
        ignored = dict(line.parameters).get("ignored")
        return ignored is not None and ignored >= 0 and line.operation not in _OTHERS

    def change(line: Line) -> list[Line]:
        if line.operation is ops.mean_of_counted:
            return [with_operation(line, ops.mean_of_tokens)]
        return [with_operation(line, line.operation, ignored=None)]

    return change_lines(working, ignores, change, "a loss that ignores a class of the vocabulary")


def _class_weights_missing(working: Working) -> Working:
    if not any(line.operation is ops.weigh_by_class for line in working.lines):
        raise Nothing("this loss has no weights of classes.")

    def change(line: Line) -> list[Line]:
        if line.operation is ops.weigh_by_class:
            return [with_operation(line, others.unchanged_loss)]
        if line.operation is not ops.mean_by_weight:
            return [line]
        return [_unweighted_mean(line)]

    return working.rewrite(change)


def _undivided(working: Working) -> Working:
    return change_lines(
        working,
        lambda line: line.operation is ops.mean_by_weight,
        lambda line: [_unweighted_mean(line)],
        "a mean by weights of classes",
    )


def _unweighted_mean(line: Line) -> Line:
    """The mean over the tokens that count, whatever their classes weigh."""
    ignored = dict(line.parameters)["ignored"]
    return with_operation(line, ops.mean_of_tokens if ignored is None else ops.mean_of_counted)


def _behind_loss(step: str, operation: Operation, *of: Operation, **parameters: float) -> Rewrite:
    """A rewrite that puts an operation behind the loss of a whole text."""

    def rewrite(working: Working) -> Working:
        return change_lines(
            working,
            lambda line: line.operation in of,
            lambda line: follow(working, line, step, operation, **parameters),
            "a loss of this kind",
        )

    return rewrite


_SMOOTHING = Parameter("smoothing", float, "the part that is spread over the vocabulary", least=0.0, most=1.0,
                       span=Span(0.01, 0.5))  # fmt: skip

ROWS = (
    Deviation(
        id="loss-summed",
        kind="convention",
        does="The losses are summed, not averaged.",
        invisible="Where there is one of them.",
        remedy="Divide by their number: reduction='mean' in PyTorch.",
        seen="reduction='sum', and size_average=False in older code.",
        rewrite=swap({**_TO_TOKENS, ops.mean_of_cells: others.sum_of_cells}),
    ),
    Deviation(
        id="loss-averaged",
        kind="convention",
        does="The losses are averaged, not summed.",
        invisible="Where there is one of them.",
        remedy="Leave the division out: reduction='sum' in PyTorch.",
        seen="PyTorch's default, reduction='mean'.",
        rewrite=swap({ops.sum_of_tokens: ops.mean_of_tokens}),
    ),
    Deviation(
        id="loss-summed-over-features",
        kind="convention",
        does="Squared errors are summed over the features of a token, and averaged over tokens alone.",
        invisible="Where a token has one feature.",
        remedy="np.mean(error ** 2) averages over all cells.",
        seen="((x - y) ** 2).sum(-1).mean() in place of F.mse_loss.",
        rewrite=swap({ops.mean_of_cells: others.mean_of_rows}),
    ),
    Deviation(
        id="loss-halved",
        kind="convention",
        does="Half the squared error, so that its gradient is the error itself.",
        invisible="Where the loss is 0.",
        remedy="Leave the half out, or say that the loss is half the mean squared error.",
        seen="Textbooks that derive backpropagation by hand.",
        rewrite=_behind_loss(
            "whole", others.times, ops.mean_of_cells, others.sum_of_cells, others.mean_of_rows, factor=0.5
        ),
    ),
    Deviation(
        id="loss-root",
        kind="convention",
        does="The root of the mean squared error.",
        invisible="Where the loss is 0 or 1.",
        remedy="Leave the root out, or call it RMSE.",
        seen="RMSE in place of MSE.",
        rewrite=_behind_loss("squared", training.root_of_number, ops.mean_of_cells),
    ),
    Deviation(
        id="loss-absolute",
        kind="convention",
        does="Errors are taken without their sign, and not squared.",
        invisible="Where all errors are 0 or 1.",
        remedy="np.mean((x - target) ** 2).",
        seen="MAE, or L1 loss, in place of MSE.",
        rewrite=swap({ops.squared_error: others.absolute_error}),
    ),
    Deviation(
        id="loss-log-base",
        kind="convention",
        does="The logarithm of the cross-entropy has another base: 2 gives bits, 10 is what many calculators call log.",
        invisible="Where all losses are 0.",
        remedy="Use the natural logarithm: ln on a calculator, np.log in Python.",
        seen="Information theory's bits; the key log of calculators, and LOG in spreadsheets.",
        rewrite=_in_base,
        parameters=(Parameter("base", float, "the base of the logarithm", least=1.0001, most=1000.0),),
        tries=values("base", 2.0, 10.0),
    ),
    Deviation(
        id="loss-negated",
        kind="mistake",
        does="The logarithm of the probability of the right class, without the minus.",
        invisible="Where all losses are 0.",
        remedy="-np.log(p).",
        seen="A common slip in hand work; no public thread is known.",
        rewrite=_negated,
    ),
    Deviation(
        id="loss-of-probabilities",
        kind="mistake",
        does="A cross-entropy that is made for logits is given probabilities: softmax is taken twice.",
        invisible="Never on ordinary data.",
        remedy="Give F.cross_entropy the logits, or take -np.log of the probabilities.",
        seen="nn.CrossEntropyLoss behind nn.Softmax: a standing question in PyTorch's forum.",
        rewrite=_of_probabilities,
    ),
    Deviation(
        id="loss-perplexity",
        kind="convention",
        does="The exponential of the mean loss, the perplexity.",
        invisible="Never on ordinary data.",
        remedy="The loss is the logarithm of the perplexity.",
        seen="Reports of language models.",
        rewrite=_behind_loss("nats", others.perplexity, *_MEANS),
    ),
    Deviation(
        id="loss-smoothing-missing",
        kind="mistake",
        does="Label smoothing is left out.",
        invisible="Where the smoothing is 0.",
        remedy="(1 - s) * -log p[target] + s * mean(-log p).",
        seen="Losses of evaluation compared with those of training, which alone has smoothing.",
        rewrite=lambda working: _smoothed(working, 0.0),
    ),
    Deviation(
        id="loss-smoothing-added",
        kind="mistake",
        does="Labels are smoothed where the loss has no smoothing.",
        invisible="Never on ordinary data.",
        remedy="Leave label_smoothing out.",
        seen="Losses of training compared with those of evaluation.",
        rewrite=lambda working, smoothing: _smoothed(working, smoothing),
        parameters=(_SMOOTHING,),
        tries=values("smoothing", 0.1),
    ),
    Deviation(
        id="loss-smoothing-over-others",
        kind="convention",
        does="The smoothing is spread over the other classes alone, not over the whole vocabulary.",
        invisible="Where the smoothing is 0.",
        remedy="Share s among all V classes, the right one too, as PyTorch does.",
        seen="The Annotated Transformer and OpenNMT spread it over the others.",
        rewrite=_over_others,
    ),
    Deviation(
        id="loss-ignored-in-mean",
        kind="mistake",
        does="The mean is divided by the number of all tokens, those whose target is ignored too.",
        invisible="Where no target is ignored.",
        remedy="Divide by the number of targets that count.",
        seen="loss.sum() / len(target) in loops of training; the family of sums in the place of means.",
        rewrite=swap({ops.mean_of_counted: ops.mean_of_tokens}),
    ),
    Deviation(
        id="loss-ignored-counted",
        kind="mistake",
        does="Targets that should be ignored, such as padding, count as a class like any other.",
        invisible="Where no target is ignored.",
        remedy="ignore_index=0, where 0 is the padding.",
        seen="nn.CrossEntropyLoss without ignore_index in translation tutorials.",
        rewrite=_ignored_counted,
    ),
    Deviation(
        id="loss-of-ignored-alone",
        kind="mistake",
        does="Only targets that should be ignored, such as padding, count: the condition is the other way round.",
        invisible="Where the loss is 0.",
        remedy="np.where(target == ignored, 0, loss), or loss * (target != ignored).",
        seen="sockeye#200.",
        rewrite=only_ignored,
    ),
    Deviation(
        id="loss-smoothing-of-ignored",
        kind="mistake",
        does="The smoothing's part of the loss counts for targets that should be ignored too.",
        invisible="Where no target is ignored, or the smoothing is 0.",
        remedy="Set both parts of the loss to 0 where the target is ignored, and divide both by those that count.",
        seen="PyTorch#73205, transformers PR#5919.",
        rewrite=smoothing_everywhere,
    ),
    Deviation(
        id="loss-shifted",
        kind="mistake",
        does="Each token is compared with the target of the next one: labels are shifted that are shifted already.",
        invisible="Where all targets are equal.",
        remedy="Shift labels once: in the data or in the loss. Hugging Face's models shift those that they are given.",
        seen="transformers#37830.",
        rewrite=shifted,
    ),
    Deviation(
        id="class-weights-missing",
        kind="mistake",
        does="The weights of classes are left out of the loss.",
        invisible="Where all weights are equal.",
        remedy="Multiply each token's loss by the weight of its right class.",
        seen="A common slip in ports; no public thread is known.",
        rewrite=_class_weights_missing,
    ),
    Deviation(
        id="class-weights-not-divided",
        kind="convention",
        does="Weighted losses are averaged over tokens, not divided by the sum of their weights.",
        invisible="Where the weights of the right classes average to 1.",
        remedy="Divide by the sum of the weights of the right classes, as PyTorch does.",
        seen="Losses of other libraries, which divide by the size of the batch.",
        rewrite=_undivided,
    ),
)


def _smoothed(working: Working, smoothing: float) -> Working:
    declared = any(is_of_tokens(line) and dict(line.parameters)["smoothing"] for line in working.lines)
    if declared == bool(smoothing):
        raise Nothing("this loss has smoothing already." if declared else "this loss has no smoothing.")
    return adjust(*OF_TOKENS)(working, smoothing=smoothing)
