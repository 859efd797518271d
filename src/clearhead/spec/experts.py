"""Mixtures of experts as a spec: how tokens choose among several MLPs."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops import Operation
from clearhead.ops.textbook import experts, linear, scores, tokens
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.norm import Norm

AXES = "token expert"


class Experts(Spec, frozen=True):
    """A router that sends each token to a few of several MLPs, whose results are summed (Shazeer et al. 2017).

    Given arrays: ``router.weight`` (model, expert), and what the attributes add. Lines: ``router.logits``,
    ``router.scores``, ``router.chosen`` (1 for the experts of a token, else 0) and ``router.shares``.

    Attributes:
        count: how many MLPs there are.
        chosen: how many of them each token uses: those with the largest scores.
        scores: how scores come from logits: ``"softmax"`` over all experts, or ``"sigmoid"`` of each by itself; or
            ``"one-by-one"``: the first expert's share is its part of a softmax over the logits near the largest, and
            each further expert's the same of those not chosen before (SparseMixer, PhiMoE). Then lines are
            ``router.1.near``, ``router.1.scores``, ``router.1.chosen``, ``router.2.left``, ``router.2.near`` ...
        tolerance: one by one, logits are near where they differ by at most this, in units of the larger of the largest
            logit and their own size.
        renormalise: the scores of the chosen experts are divided by their sum.
        scale: shares are multiplied by this (DeepSeek); None for 1.
        bias: the router adds ``router.bias`` (expert) to the logits.
        correction: ``router.correction`` (expert) is added to the scores for the choice alone (DeepSeek-V3).
        groups: how many groups of neighbouring experts there are; the best groups are chosen first. None for one group.
        chosen_groups: how many groups are chosen.
        group_counts: how many of a group's largest scores are summed to rank the groups.
        shared: adds one more MLP that every token uses, with ``shared.up.weight`` ...
        shared_gate: its result is multiplied by the logistic function of the product with
            ``shared.share.weight`` (model) (Qwen2-MoE).
        apart: the norm with which router and experts read the tokens as they are before the block's norm, each with a
            gain of its own, ``router.norm.gain`` and ``experts.norm.gain``; the results of the experts and of the
            shared MLP pass it too before they are summed, with ``experts.outer.norm.gain`` and
            ``shared.outer.norm.gain`` (Gemma 4). None where all read the same line.
        input_scale: what the router reads is multiplied by this; None for 1.
        gain: the shares of each expert are multiplied by its number in ``router.gain`` (expert), after all else.
    """

    count: int
    chosen: int
    scores: Literal["softmax", "sigmoid", "one-by-one"] = "softmax"
    renormalise: bool = True
    scale: float | None = None
    bias: bool = False
    correction: bool = False
    groups: int | None = None
    chosen_groups: int = 1
    group_counts: int = 2
    shared: bool = False
    shared_gate: bool = False
    tolerance: float = 0.02
    apart: Norm | None = None
    input_scale: float | None = None
    gain: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.chosen <= self.count:
            raise SpecError(f"chosen expects 1 to {self.count} experts, got {self.chosen}.")
        if self.groups is not None and (self.groups < 1 or self.count % self.groups):
            raise SpecError(f"groups expects a divisor of {self.count} experts, got {self.groups}.")
        if self.groups is not None and not 1 <= self.chosen_groups <= self.groups:
            raise SpecError(f"chosen_groups expects 1 to {self.groups} groups, got {self.chosen_groups}.")
        if self.groups is not None and self.chosen > self.count // self.groups * self.chosen_groups:
            raise SpecError(f"chosen expects no more experts than {self.chosen_groups} groups have, got {self.chosen}.")
        if self.scores == "one-by-one" and (self.correction or self.groups or self.renormalise or self.scale):
            raise SpecError("scores one by one go without correction, groups, scale and renormalise. Set it to false.")
        if self.scores == "one-by-one" and self.gain:
            raise SpecError("scores one by one go without gain. Set it to false.")
        if self.apart is not None and not self.shared:
            raise SpecError("apart is a norm beside that of a shared MLP, and there is none. Set shared = true.")
        if self.shared_gate and not self.shared:
            raise SpecError(
                "shared_gate multiplies the result of a shared expert, and there is none. Set shared = true."
            )

    def write(self, draft: Draft, source: str) -> str:
        """Writes the router's lines onto ``draft``, for the tokens ``source``; returns the name of the shares."""
        own = draft.inside("router")
        if self.apart is not None:
            source = self.apart.write(own, source)
        if self.input_scale is not None:
            source = own.write("scaled", scores.scale, source, "token model", factor=self.input_scale)
        weight = own.give("weight", "model expert", sizes={"expert": self.count})
        logits = own.write("logits.product" if self.bias else "logits", linear.matmul, f"{source} {weight}", AXES)
        if self.bias:
            logits = own.write("logits", linear.bias, f"{logits} {own.give('bias', 'expert')}", AXES)
        if self.scores == "one-by-one":
            return self._one_by_one(own, logits)
        operation = experts.softmax_over_experts if self.scores == "softmax" else experts.logistic
        score = own.write("scores", operation, logits, AXES)
        chosen = own.write("chosen", experts.among_largest, self._compared(own, score), AXES, count=self.chosen)
        steps: list[tuple[str, Operation, str, dict[str, object]]] = [
            ("kept", linear.multiply, f"{score} {chosen}", {})
        ]
        steps += [("normalized", experts.shares, "", {})] if self.renormalise else []
        steps += [("scaled", scores.scale, "", {"factor": self.scale})] if self.scale is not None else []
        if self.gain:
            steps += [("gained", tokens.layer_scale, own.give("gain", "expert"), {})]
        out = ""
        for number, (step, operation, operands, parameters) in enumerate(steps, start=1):
            name = "shares" if number == len(steps) else f"shares.{step}"
            out = own.write(name, operation, f"{out} {operands}", AXES, **parameters)
        return out

    def _one_by_one(self, draft: Draft, logits: str) -> str:
        """Writes the choice of one expert after the other; returns the name of the shares."""
        left, taken, out = logits, "", ""
        for number in range(1, self.chosen + 1):
            if taken:
                left = draft.write(f"{number}.left", experts.mask_chosen, f"{left} {taken}", AXES)
            taken = draft.write(f"{number}.chosen", experts.among_largest, left, AXES, count=1)
            both = f"{left} {taken}"
            near = draft.write(f"{number}.near", experts.near_largest, both, AXES, tolerance=self.tolerance)
            score = draft.write(f"{number}.scores", experts.softmax_over_experts, near, AXES)
            name = "shares" if number == self.chosen == 1 else f"shares.{number}"
            share = draft.write(name, linear.multiply, f"{score} {taken}", AXES)
            if not out:
                out = share
                continue
            name = "shares" if number == self.chosen else f"shares.sum.{number}"
            out = draft.write(name, linear.add, f"{out} {share}", AXES)
        return out

    def _compared(self, draft: Draft, score: str) -> str:
        """Writes the scores by which experts are chosen."""
        if self.correction:
            correction = draft.give("correction", "expert")
            score = draft.write("scores.corrected", linear.bias, f"{score} {correction}", AXES)
        if self.groups is None:
            return score
        groups, axes = self.groups, "token group"
        best = draft.write("groups", experts.best_of_groups, score, axes, groups=groups, count=self.group_counts)
        chosen = draft.write("groups.chosen", experts.among_largest, best, axes, count=self.chosen_groups)
        return draft.write("scores.grouped", experts.mask_groups, f"{score} {chosen}", AXES)

    def add_shared(self, draft: Draft, source: str, output: str, shared: str) -> str:
        """Writes the sum of ``output``, of chosen experts, and ``shared`` onto ``draft``, for the tokens ``source``."""
        if self.apart is not None:
            output = self.apart.write(draft, output, name="experts.outer.norm")
            shared = self.apart.write(draft, shared, name="shared.outer.norm")
        if self.shared_gate:
            weight = draft.give("shared.share.weight", "model")
            logit = draft.write("shared.share.logit", experts.dot, f"{source} {weight}", "token")
            share = draft.write("shared.share", experts.logistic, logit, "token")
            shared = draft.write("shared.scaled", experts.scale_rows, f"{shared} {share}", "token model")
        return draft.write("output", linear.add, f"{output} {shared}", "token model")
