"""Deviations in the soft-cap of scores."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import change_lines, leave_out, move, swap
from clearhead.deviations.scores import is_scale, is_softcap
from clearhead.deviations.softmax import is_softmax
from clearhead.line import Line, free_name
from clearhead.ops.textbook import scores as ops
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working


def _softcap_after_mask(working: Working) -> Working:
    return move(working, is_softcap, is_softmax, "a softcap that is followed by masks")


def _softcap_before_scale(working: Working) -> Working:
    return move(working, is_scale, lambda line: _reads_cap(working, line), "a scale that is followed by a softcap")


def _reads_cap(working: Working, line: Line) -> bool:
    return any(is_softcap(each) and each.name in line.operands for each in working.lines)


def _softcap_not_restored(working: Working) -> Working:
    """tanh(scores / cap), without the factor in front."""

    def change(line: Line) -> list[Line]:
        cap = dict(line.parameters)["cap"]
        divided = replace(line, name=free_name(f"{line.name}.divided", working.names), operation=ops.scale)
        return [
            replace(divided, parameters=(("factor", 1 / cap),)),
            replace(line, operands=(divided.name,), parameters=(("cap", 1.0),)),
        ]

    return change_lines(working, is_softcap, change, "a softcap")


ROWS = (
    Deviation(
        id="softcap-missing",
        kind="mistake",
        does="The soft-cap of the scores is left out.",
        invisible="Where they are small relative to the cap.",
        remedy="scores = cap * np.tanh(scores / cap), after the scale and before masks.",
        seen="onnx#7865, lmdeploy PR#2842, TransformerLens debugging guide.",
        rewrite=leave_out(ops.softcap),
        catalogue=("D8",),
    ),
    Deviation(
        id="softcap-after-mask",
        kind="mistake",
        does="The soft-cap is applied after the masks: masked scores become -cap, and masked keys leak.",
        invisible="Without masks, or with a large cap.",
        remedy="Cap first, mask last.",
        seen="onnx#7865 and PR#7867.",
        rewrite=_softcap_after_mask,
        catalogue=("D8",),
    ),
    Deviation(
        id="softcap-before-scale",
        kind="mistake",
        does="The scores are capped first and scaled after.",
        invisible="Where the depth is 1, or scores are small relative to the cap.",
        remedy="Scale first: s = q @ k.T / sqrt(d); s = cap * np.tanh(s / cap).",
        seen="The family of onnx#7865.",
        rewrite=_softcap_before_scale,
        catalogue=("D8",),
    ),
    Deviation(
        id="softcap-not-restored",
        kind="mistake",
        does="The soft-cap is tanh(scores / cap), without the factor cap.",
        invisible="Where the cap is 1.",
        remedy="cap * np.tanh(s / cap): without the factor all scores lie between -1 and 1.",
        seen="The family of onnx#7865; no thread is known.",
        rewrite=_softcap_not_restored,
        catalogue=("D8",),
    ),
    Deviation(
        id="softcap-of-itself",
        kind="mistake",
        does="The soft-cap multiplies tanh(scores / cap) by the scores and not by the cap: large ones are not limited.",
        invisible="Where scores are 0 or the cap.",
        remedy="cap * np.tanh(s / cap).",
        seen="unsloth-zoo PR#593.",
        rewrite=swap({ops.softcap: variants_scores.softcap_times_itself}),
    ),
)
