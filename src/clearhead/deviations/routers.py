"""Routers of experts, and learned distances: scores of another kind, shares that do not sum to one, parts left out."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter
from clearhead.deviations.rewrites import Nothing, change_lines, follow, is_called, swap
from clearhead.line import Line
from clearhead.ops import Parameters
from clearhead.ops.textbook import disentangled, experts, linear, relative, scores
from clearhead.ops.variants import experts as other_experts
from clearhead.ops.variants import positions as other_positions
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

_FAMILY = "The family of routers that models share and papers do not write out; no thread is known."
_SPECIAL = "The family of terms that one model has and others have not; no thread is known."
_COUNTERPART = "The counterpart of the row before; no thread is known."


def _of_experts(line: Line) -> bool:
    return "expert" in line.axes


def _chooses(line: Line) -> bool:
    """Whether a line chooses all experts of a token at once."""
    return line.operation is experts.among_largest and is_called(line, "router.chosen")


def _kept(working: Working) -> dict[str, Line]:
    """The lines that keep the scores of chosen experts, by name."""
    chosen = {line.name for line in working.lines if _chooses(line)}
    return {
        line.name: line
        for line in working.lines
        if line.operation is linear.multiply and len(line.operands) > 1 and line.operands[1] in chosen
    }


def _renormalised(working: Working) -> Working:
    kept = _kept(working)
    if any(line.operation is experts.shares and line.operands[0] in kept for line in working.lines):
        raise Nothing("the scores of chosen experts are divided by their sum already.")
    return change_lines(
        working,
        lambda line: line.name in kept,
        lambda line: follow(working, line, "unnormalized", experts.shares),
        "the scores of chosen experts",
    )


def _corrected(working: Working) -> dict[str, Line]:
    return {
        line.name: line
        for line in working.lines
        if line.operation is linear.bias and is_called(line, "scores.corrected")
    }


def _correction_in_shares(working: Working) -> Working:
    """Shares are made of the scores that choose."""
    kept, plain = _kept(working), {line.operands[0]: name for name, line in _corrected(working).items()}
    return change_lines(
        working,
        lambda line: line.name in kept and line.operands[0] in plain,
        lambda line: [replace(line, operands=(plain[line.operands[0]], *line.operands[1:]))],
        "a choice by corrected scores",
    )


def _other_count(working: Working, count: int) -> Working:
    if any(_chooses(line) and dict(line.parameters)["count"] == count for line in working.lines):
        raise Nothing(f"each token uses {count} experts already.")
    return swap({experts.among_largest: experts.among_largest}, where=_chooses, count=count)(working)


def _counts(working: Working) -> tuple[Parameters, ...]:
    """One expert fewer or more for each token."""
    found = {dict(line.parameters)["count"] for line in working.lines if _chooses(line)}
    near = sorted({count + step for count in found for step in (-1, 1) if count + step > 0} - found)
    return tuple((("count", count),) for count in near)


def _unweighted(working: Working) -> Working:
    """Each chosen expert counts whole."""
    chosen = {line.name for line in working.lines if _chooses(line)}

    def change(line: Line) -> list[Line]:
        router = line.operands[1].rpartition(".")[0]
        return [replace(line, operands=(line.operands[0], f"{router}.chosen"))]

    return change_lines(
        working,
        lambda line: line.operation is experts.sum_chosen and f"{line.operands[1].rpartition('.')[0]}.chosen" in chosen,
        change,
        "a sum of what chosen experts give",
    )


ROWS = (
    Deviation(
        id="router-not-renormalised",
        kind="mistake",
        does="The scores of chosen experts are not divided by their sum, as the spec says that they are.",
        invisible="Where the other experts' scores are 0, or all experts are chosen.",
        remedy="weights = topk_weights / topk_weights.sum(-1, keepdim=True), where the config has norm_topk_prob.",
        seen=_FAMILY,
        rewrite=swap({experts.shares: unchanged}, where=_of_experts),
        rare=True,
    ),
    Deviation(
        id="router-shares-over-tokens",
        kind="mistake",
        does="The scores of chosen experts are divided by the sum over all tokens, not by that of each token.",
        invisible="Where there is one token.",
        remedy="weights / weights.sum(-1, keepdim=True), with (token, 1) and not (token,) where one expert is chosen.",
        seen="megablocks PR#87.",
        rewrite=swap({experts.shares: other_experts.shares_of_all_tokens}, where=_of_experts),
        rare=True,
    ),
    Deviation(
        id="router-renormalised",
        kind="mistake",
        does="The scores of chosen experts are divided by their sum, undeclared: as a softmax of these alone gives.",
        invisible="Where the other experts' scores are 0, or all experts are chosen.",
        remedy="Take the softmax over all experts, and leave its numbers where norm_topk_prob is false.",
        seen=_COUNTERPART,
        rewrite=_renormalised,
        rare=True,
    ),
    Deviation(
        id="router-scores-of-other-kind",
        kind="mistake",
        does="The router's scores are a softmax over experts where the spec has a sigmoid of each, or the reverse.",
        invisible="With one expert chosen whose score is made 1.",
        remedy="scores = logits.sigmoid() where the config has scoring_func = sigmoid (DeepSeek-V3), else the softmax.",
        seen=_FAMILY,
        rewrite=swap(
            {experts.softmax_over_experts: experts.logistic, experts.logistic: experts.softmax_over_experts},
            where=_of_experts,
        ),
        rare=True,
    ),
    Deviation(
        id="router-far-experts-kept",
        kind="mistake",
        does="Shares are parts of a softmax over all experts that are left, not over those near the largest alone.",
        invisible="Where all logits are near the largest, or all others far below.",
        remedy="Mask logits that lie further from the largest than 2 * router_jitter_noise, relatively (PhiMoE).",
        seen=_FAMILY,
        rewrite=swap({experts.near_largest: unchanged}),
        rare=True,
    ),
    Deviation(
        id="router-correction-missing",
        kind="mistake",
        does="Experts are chosen by their scores as they are, without the correction that balances them.",
        invisible="Where the correction changes no choice.",
        remedy="Choose by scores + e_score_correction_bias, and make the shares of scores without it.",
        seen=_FAMILY,
        rewrite=swap({linear.bias: unchanged}, where=lambda line: is_called(line, "scores.corrected")),
        rare=True,
    ),
    Deviation(
        id="router-correction-in-shares",
        kind="mistake",
        does="The correction that is there for the choice is in the shares of chosen experts too.",
        invisible="Where the correction is the same for all experts and shares are divided by their sum, nearly.",
        remedy="Gather shares from the scores before the correction: scores.gather(1, chosen).",
        seen=_FAMILY,
        rewrite=_correction_in_shares,
        rare=True,
    ),
    Deviation(
        id="router-groups-ignored",
        kind="mistake",
        does="Experts are chosen among all, not among those of the best groups.",
        invisible="Where the best experts lie in the best groups.",
        remedy="Mask the scores of experts in other groups with minus infinity before the choice (DeepSeek-V3).",
        seen=_FAMILY,
        rewrite=swap({experts.mask_groups: unchanged}),
        rare=True,
    ),
    Deviation(
        id="router-scale-missing",
        kind="mistake",
        does="Shares of experts are not multiplied by the factor that the spec has.",
        invisible="Where the factor is 1.",
        remedy="Multiply shares by routed_scaling_factor, behind the division by their sum.",
        seen=_FAMILY,
        rewrite=swap({scores.scale: unchanged}, where=_of_experts),
        rare=True,
    ),
    Deviation(
        id="router-other-count",
        kind="mistake",
        does="Each token uses another number of experts than the spec says.",
        invisible="Where the shares of the experts that differ are 0.",
        remedy="Choose as many experts as the config's num_experts_per_tok says.",
        seen=_FAMILY,
        rewrite=_other_count,
        parameters=(Parameter("count", int, "how many experts each token uses", least=1),),
        tries=_counts,
        rare=True,
    ),
    Deviation(
        id="experts-unweighted",
        kind="mistake",
        does="What the chosen experts give is summed without their shares.",
        invisible="Where each share is 1.",
        remedy="Multiply the result of each expert by the token's share for it before the sum.",
        seen=_FAMILY,
        rewrite=_unweighted,
        rare=True,
    ),
    Deviation(
        id="shared-expert-missing",
        kind="mistake",
        does="The expert that every token uses is left out.",
        invisible="Where it gives 0.",
        remedy="out = routed + shared_experts(x), behind the sum over chosen experts.",
        seen=_FAMILY,
        rewrite=swap(
            {linear.add: unchanged},
            where=lambda line: any(name.endswith("output.chosen") for name in line.operands[:1]),
        ),
        rare=True,
    ),
    Deviation(
        id="shared-gate-missing",
        kind="mistake",
        does="What the shared expert gives is not multiplied by the logistic function of its own gate.",
        invisible="Where the gate is 1.",
        remedy="shared = torch.sigmoid(shared_expert_gate(x)) * shared_expert(x) (Qwen2-MoE).",
        seen=_FAMILY,
        rewrite=swap({experts.scale_rows: unchanged}),
        rare=True,
    ),
    Deviation(
        id="relative-missing",
        kind="mistake",
        does="The learned number for the distance of query and key is not added to the scores.",
        invisible="Where all distances have the same number.",
        remedy="scores = q @ k.T + position_bias, in every layer with the table of the first (T5).",
        seen="The family of entries of a configuration that code does not read; no thread is known.",
        rewrite=swap({relative.relative_bias: unchanged}),
        rare=True,
    ),
    Deviation(
        id="content-position-missing",
        kind="mistake",
        does="What the content of queries says of distances is not added to the scores.",
        invisible="Where all distances have the same row.",
        remedy="Add query @ pos_key.T, gathered by the bucket of i - j (c2p in DeBERTa).",
        seen=_SPECIAL,
        rewrite=swap({disentangled.add_by_query: unchanged}),
        rare=True,
    ),
    Deviation(
        id="position-content-missing",
        kind="mistake",
        does="What the content of keys says of distances is not added to the scores.",
        invisible="Where all distances have the same row.",
        remedy="Add key @ pos_query.T, gathered by the bucket of i - j and transposed (p2c in DeBERTa).",
        seen=_SPECIAL,
        rewrite=swap({disentangled.add_by_key: unchanged}),
        rare=True,
    ),
    Deviation(
        id="content-position-mirrored",
        kind="mistake",
        does="What queries say of distances is looked up for keys as far away on the other side.",
        invisible="Where rows of distances are the same to both sides.",
        remedy="The distance is that of the query less that of the key, i - j, in c2p and in p2c alike.",
        seen=_SPECIAL,
        rewrite=swap({disentangled.add_by_query: other_positions.add_by_query_mirrored}),
        rare=True,
    ),
    Deviation(
        id="position-content-mirrored",
        kind="mistake",
        does="What keys say of distances is looked up for queries as far away on the other side.",
        invisible="Where rows of distances are the same to both sides.",
        remedy="With rows for keys the index is that of -(j - i): the distance of query less key, as in c2p.",
        seen=_SPECIAL,
        rewrite=swap({disentangled.add_by_key: other_positions.add_by_key_mirrored}),
        rare=True,
    ),
)
