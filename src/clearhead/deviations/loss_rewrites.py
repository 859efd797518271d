"""Rewrites of losses in which other targets count than should."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.rewrites import Nothing, change_lines, follow, reread, with_operation
from clearhead.line import Line, free_name
from clearhead.ops.operation import as_parameters
from clearhead.ops.textbook import losses as ops
from clearhead.ops.textbook import scores
from clearhead.ops.variants import losses as others
from clearhead.working import Working

OF_TOKENS = (ops.cross_entropy, ops.negative_log_likelihood)


def is_of_tokens(line: Line) -> bool:
    """Whether a line has the cross-entropy of each token."""
    return line.operation in OF_TOKENS


def only_ignored(working: Working) -> Working:
    """The condition is the other way round: only the targets that should be ignored count."""

    def change(line: Line) -> list[Line]:
        ignored = dict(line.parameters)["ignored"]
        if line.operation is ops.mean_of_counted:
            return [with_operation(line, others.mean_of_ignored)]
        plain = with_operation(line, line.operation, ignored=None)
        return follow(working, plain, "plain", others.kept_of_ignored, line.operands[1], ignored=ignored)

    return change_lines(working, _ignores, change, "a loss that ignores targets")


def _ignores(line: Line) -> bool:
    ignored = dict(line.parameters).get("ignored")
    return ignored is not None and line.operation in (*OF_TOKENS, ops.mean_of_counted)


def smoothing_everywhere(working: Working) -> Working:
    """The smoothing's part of the loss counts for ignored targets too, and is averaged over all tokens."""
    spread = free_name("loss.token.spread", working.names)

    def matches(line: Line) -> bool:
        return _ignores(line) and bool(dict(line.parameters).get("smoothing"))

    def change(line: Line) -> list[Line]:
        if not matches(line):
            means = line.operation is ops.mean_of_counted
            return [_of_parts(line, spread)] if means else [line]
        logits, known = _logits(working, line), dict(line.parameters)
        part = Line(spread, others.spread_part, (logits,), line.axes, as_parameters({"smoothing": known["smoothing"]}))
        return [part, replace(line, operation=others.with_spread, operands=(logits, line.operands[1], spread))]

    if not any(map(matches, working.lines)):
        raise Nothing("no loss of this working has both smoothing and ignored targets.")
    return working.rewrite(change)


def _of_parts(line: Line, spread: str) -> Line:
    loss, target = line.operands
    return replace(line, operation=others.mean_of_parts, operands=(loss, spread, target))


def _logits(working: Working, line: Line) -> str:
    """The logits that a loss is computed from."""
    if line.operation is ops.cross_entropy:
        return line.operands[0]
    made = {each.name: each for each in working.lines if each.operation is scores.softmax}
    if line.operands[0] not in made:
        raise Nothing("this loss has no line of logits.")
    return made[line.operands[0]].operands[0]


def shifted(working: Working) -> Working:
    """Each token is compared with the next one's target; the last one has none."""
    line = next(filter(is_of_tokens, working.lines), None)
    if line is None or any(each.operation is ops.weigh_by_class for each in working.lines):
        raise Nothing("no line of this working is a cross-entropy without weights of classes.")
    target, ignored = line.operands[1], dict(line.parameters)["ignored"]
    none = -1 if ignored is None else ignored
    moved = Line(free_name(f"{target}.next", working.names), others.next_target, (target,), line.axes,
                 as_parameters({"last": none}))  # fmt: skip

    def change(each: Line) -> list[Line]:
        if each is line:
            return [moved, reread(with_operation(each, each.operation, ignored=none), {target: moved.name})]
        if each.operation is ops.mean_of_tokens:
            return [replace(each, operation=ops.mean_of_counted, operands=(*each.operands, moved.name),
                            parameters=as_parameters({"ignored": none}))]  # fmt: skip
        return [reread(each, {target: moved.name})]

    return working.rewrite(change)
