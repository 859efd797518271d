"""One of several norms or layers, gains stored with or without 1, and inverted arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter, Rewrite, Span
from clearhead.deviations.norm_steps import AFFINE, CENTRED, SPREADS, in_steps
from clearhead.deviations.rewrites import Nothing, change_lines, is_called, swap
from clearhead.line import find
from clearhead.ops import Operation, Parameters
from clearhead.ops.textbook import linear, tokens
from clearhead.ops.variants import norms as variants_norms
from clearhead.working import Working

LESS_ONE = {
    tokens.gain: variants_norms.gain_less_one,
    tokens.gain_and_bias: variants_norms.gain_less_one_and_bias,
}
_USUAL_EPS = (1e-6, 1e-5)


def _norms(working: Working) -> tuple[str, ...]:
    """The norms of a working, by the names of their last lines."""
    return tuple(line.name for line in working.lines if is_called(line, "norm") and not line.name.endswith(".own"))


def _steps_of(name: str) -> tuple[str, ...]:
    return (name, f"{name}.normalized", f"{name}.spread", f"{name}.variance", f"{name}.centred")


def _of_one(table: Mapping[Operation, Operation]) -> Rewrite:
    """A rewrite of the lines of one norm, given by its name."""

    def rewrite(working: Working, line: str, **parameters: float) -> Working:
        names = _norms(working)
        if len(names) < 2:
            raise Nothing("this working does not have several norms.")
        steps = _steps_of(find(line, names, what="norm"))
        return swap(table, lambda each: each.name in steps)(working, **parameters)

    return rewrite


def _try_norms(working: Working) -> Iterable[Parameters]:
    names = _norms(working)
    return tuple((("line", name),) for name in names) if len(names) > 1 else ()


def _try_eps(working: Working) -> Iterable[Parameters]:
    for tried in _try_norms(working):
        steps = _steps_of(str(dict(tried)["line"]))
        own = {dict(each.parameters).get("eps") for each in working.lines if each.name in steps}
        yield (("eps", next(eps for eps in _USUAL_EPS if eps not in own)), *tried)


def _multiplied(working: Working) -> Working:
    """Multiplies by the root instead of dividing by it."""
    return change_lines(
        in_steps(working),
        lambda line: line.operation is variants_norms.quotient,
        lambda line: [replace(line, operation=linear.multiply)],
        "a norm",
    )


_EPS = {operation: operation for operation in (*CENTRED, *SPREADS)}
_LINE = Parameter("line", str, "the norm, such as mlp.norm")

ROWS = (
    Deviation(
        id="norm-eps-of-one",
        kind="convention",
        does="One of several norms has another eps than the others.",
        invisible="Where the variance is far above eps.",
        remedy="Give every norm the model's eps, also those after the halves of a block.",
        seen="Megatron-Bridge PR#5712, transformers PR#44585.",
        rewrite=_of_one(_EPS),
        parameters=(Parameter("eps", float, "what is added to the variance", span=Span(1e-14, 10.0)), _LINE),
        tries=_try_eps,
        catalogue=("G8",),
        rare=True,
    ),
    Deviation(
        id="norm-gain-plus-one-of-one",
        kind="mistake",
        does="One of several norms multiplies by 1 + gain.",
        invisible="Never on ordinary data.",
        remedy="Some models store gain - 1, some for a part of their norms: look up each.",
        seen="The family of Liger-Kernel#74.",
        rewrite=_of_one(AFFINE),
        parameters=(_LINE,),
        tries=_try_norms,
        catalogue=("G11",),
        rare=True,
    ),
    Deviation(
        id="norm-gain-less-one",
        kind="mistake",
        does="1 is missing from the gain: the norm multiplies by the stored number, gain - 1.",
        invisible="Never on ordinary data.",
        remedy="Gemma and some others store gain - 1: normed * (1 + weight).",
        seen="Liger-Kernel#74, executorch PR#19901, the other way round.",
        rewrite=swap(LESS_ONE),
        catalogue=("G11",),
        rare=True,
    ),
    Deviation(
        id="norm-gain-less-one-of-one",
        kind="mistake",
        does="In one of several norms 1 is missing from the gain.",
        invisible="Never on ordinary data.",
        remedy="Gemma and some others store gain - 1: normed * (1 + weight), in every norm.",
        seen="The family of Liger-Kernel#74.",
        rewrite=_of_one(LESS_ONE),
        parameters=(_LINE,),
        tries=_try_norms,
        catalogue=("G11",),
        rare=True,
    ),
    Deviation(
        id="norm-multiplied",
        kind="mistake",
        does="The norm multiplies by the root of the mean square instead of dividing by it.",
        invisible="Where every variance is 1.",
        remedy="rsqrt is the reciprocal already: x * torch.rsqrt(var + eps), or x / torch.sqrt(var + eps).",
        seen="llm-foundry#371.",
        rewrite=_multiplied,
        catalogue=("G9",),
        rare=True,
    ),
)
