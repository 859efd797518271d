"""Gated delta nets and gates of heads: decay at another place, the correction left out, lengths, convolutions."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter, Rewrite, values
from clearhead.deviations.rewrites import Nothing, belongs_to, change_lines, swap, with_operation
from clearhead.errors import SpecError
from clearhead.line import Line
from clearhead.ops import as_parameters
from clearhead.ops.textbook import experts, linear, recurrent, tokens, training
from clearhead.ops.variants import recurrent as variants_recurrent
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

_FAMILY = "The family of flash-linear-attention#885, of the order in a step; no other thread is known."
_PORTS = "The family of ports that leave out a step; no thread is known."
_NO_DECAY = "Where nothing decays."
_SIDES = {"query": ("query",), "key": ("key",), "both": ("query", "key")}


def _decaying(corrected: tuple[int, int], read: tuple[int, int]) -> Rewrite:
    """A rewrite in which a memory is corrected, and read, by decays from and to other tokens than the textbook's."""

    def rewrite(working: Working) -> Working:
        decays = {line.name for line in working.lines if line.operation is recurrent.decay_since}

        def is_overlap(line: Line) -> bool:
            return line.operation is linear.multiply and belongs_to(line, "overlap") and line.operands[1] in decays

        def change(line: Line) -> list[Line]:
            if line.name in decays:
                return [_between(line, f"{line.name}.corrected", corrected), _between(line, line.name, read)]
            return [replace(line, operands=(line.operands[0], f"{line.operands[1]}.corrected"))]

        if not any(map(is_overlap, working.lines)):
            raise Nothing("no line of this working is an overlap of keys that decays.")
        return working.rewrite(lambda line: change(line) if line.name in decays or is_overlap(line) else [line])

    return rewrite


def _between(line: Line, name: str, way: tuple[int, int]) -> Line:
    """What is left between two tokens, by decays from ``way[0]`` behind the one to ``way[1]`` before the other."""
    if way == (1, 0):
        return replace(line, name=name)
    parameters = as_parameters({"first": way[0], "last": way[1]})
    return replace(line, name=name, operation=variants_recurrent.decay_between, parameters=parameters)


def _uncorrected(working: Working) -> Working:
    """Tokens write their share of the value, whatever the memory has."""

    def change(line: Line) -> list[Line]:
        value, _, share = line.operands
        return [replace(line, operation=experts.scale_rows, operands=(value, share))]

    return change_lines(working, lambda line: line.operation is recurrent.corrected, change, "a corrected")


def _share_plain(working: Working) -> Working:
    shares = {line.operands[2] for line in working.lines if line.operation is recurrent.corrected}
    return swap({experts.logistic: unchanged}, where=lambda line: line.name in shares)(working)


def _lengths_missing(working: Working, of: str) -> Working:
    if of not in _SIDES:
        raise SpecError(f"delta-lengths-missing expects of as {', '.join(_SIDES)}; got {of!r}.")
    return swap(
        {recurrent.unit_length: unchanged}, where=lambda line: any(belongs_to(line, side) for side in _SIDES[of])
    )(working)


def _activation_missing(working: Working) -> Working:
    return change_lines(
        working,
        lambda line: line.operation.role == "activation" and "summed" in line.operands[0].split("."),
        lambda line: [with_operation(line, unchanged)],
        "the activation of a convolution with the tokens before",
    )


def _is_gated(line: Line) -> bool:
    """Whether a line is a head's result times its gate."""
    return line.operation is linear.multiply and belongs_to(line, "gated") and "head" in line.axes


def _gate_first(working: Working) -> Working:
    """The norm of what a head reads stands behind its gate."""
    gated = {line.name: line.operands[0] for line in working.lines if _is_gated(line)}
    last = {name: normed for name, normed in gated.items() if f".{normed}".endswith(".head.norm")}
    if not last:
        raise Nothing("no line of this working gates a norm of heads.")
    steps = {
        name: [line for line in working.lines if f"{line.name}.".startswith(f"{normed}.")]
        for name, normed in last.items()
    }
    within = {line.name for lines in steps.values() for line in lines}

    def change(line: Line) -> list[Line]:
        if line.name in within:
            return []
        if line.name in last:
            first, *rest = steps[line.name]
            gated = replace(line, operands=(first.operands[0], line.operands[1]))
            return [gated, replace(first, operands=(line.name, *first.operands[1:])), *rest]
        return [replace(line, operands=tuple(last.get(name, name) for name in line.operands))]

    return working.rewrite(change)


def _gate_missing(working: Working) -> Working:
    return swap({linear.multiply: unchanged}, where=_is_gated)(working)


def _gate_of_other_kind(working: Working) -> Working:
    gates = {line.operands[1] for line in working.lines if _is_gated(line)}
    other = {tokens.silu: experts.logistic, experts.logistic: tokens.silu}
    return swap(other, where=lambda line: line.name in gates)(working)


ROWS = (
    Deviation(
        id="delta-decay-missing",
        kind="mistake",
        does="The memory does not decay: the delta rule without its gate.",
        invisible=_NO_DECAY,
        remedy="S = S * exp(g_t) at every token, before it is corrected.",
        seen=_PORTS,
        rewrite=swap({recurrent.log_decay: training.zeros}, rank=2),
        rare=True,
    ),
    Deviation(
        id="delta-decay-after-correction",
        kind="mistake",
        does="What the memory has for a token's key is read before the memory decays, not after.",
        invisible="Where nothing decays, or keys are orthogonal.",
        remedy="S = S * exp(g_t) first; then S = S + outer(k, beta * (v - S.T @ k)).",
        seen="flash-linear-attention#885, which takes it for the rule.",
        rewrite=_decaying(corrected=(1, 1), read=(1, 0)),
        rare=True,
    ),
    Deviation(
        id="delta-decay-after-write",
        kind="mistake",
        does="The memory decays when the token has written to it and before it is read: what was just written, too.",
        invisible=_NO_DECAY,
        remedy="S = S * exp(g_t) first; a token reads what it wrote as it is.",
        seen=_FAMILY,
        rewrite=_decaying(corrected=(0, 1), read=(0, 0)),
        rare=True,
    ),
    Deviation(
        id="delta-decay-after-read",
        kind="mistake",
        does="The memory decays at the end of a token's step, when it has been read: by the decay of the token before.",
        invisible=_NO_DECAY,
        remedy="S = S * exp(g_t) at the start of step t, so that token t reads a memory with its own decay.",
        seen=_FAMILY,
        rewrite=_decaying(corrected=(0, 1), read=(0, 1)),
        rare=True,
    ),
    Deviation(
        id="delta-decay-excluded",
        kind="mistake",
        does="The decay of the token that reads is not in what is left of the others: sums of decays end before it.",
        invisible=_NO_DECAY,
        remedy="Sum g inclusively, g.cumsum(): left = exp(G[i] - G[j]) for j <= i.",
        seen=_FAMILY,
        rewrite=_decaying(corrected=(1, 1), read=(1, 1)),
        rare=True,
    ),
    Deviation(
        id="delta-decay-on-write",
        kind="mistake",
        does="What a token writes decays by the token's own decay at once, as the memory before it does.",
        invisible=_NO_DECAY,
        remedy="left = exp(G[i] - G[j]), 1 where i = j: what a token wrote decays from the next token on.",
        seen=_FAMILY,
        rewrite=_decaying(corrected=(0, 0), read=(0, 0)),
        rare=True,
    ),
    Deviation(
        id="delta-correction-missing",
        kind="mistake",
        does="Tokens write their values without what the memory has for their keys: gated linear attention.",
        invisible="Where keys are orthogonal, or for one token.",
        remedy="Write beta * (v - S.T @ k), not beta * v.",
        seen=_PORTS,
        rewrite=_uncorrected,
        rare=True,
    ),
    Deviation(
        id="delta-share-missing",
        kind="mistake",
        does="Tokens write the whole of their corrected values: the shares beta are left out.",
        invisible="Where all shares are 1.",
        remedy="S = S + outer(k, beta * (v - S.T @ k)), with beta = sigmoid(x @ w_b).",
        seen=_PORTS,
        rewrite=swap({recurrent.corrected: variants_recurrent.corrected_whole}),
        rare=True,
    ),
    Deviation(
        id="delta-share-without-sigmoid",
        kind="mistake",
        does="The share by which a token writes is the product itself, without the logistic function.",
        invisible="Where the product is its own logistic function, about 0.66.",
        remedy="beta = torch.sigmoid(b).",
        seen=_PORTS,
        rewrite=_share_plain,
        rare=True,
    ),
    Deviation(
        id="delta-lengths-missing",
        kind="mistake",
        does="Queries, keys or both are not divided by their lengths.",
        invisible="Where they have length 1. That of queries, behind the norm of each head: nearly.",
        remedy="q, k = l2norm(q), l2norm(k), or use_qk_l2norm_in_kernel=True.",
        seen="flashinfer PR#5255 (use_qk_l2norm_in_kernel without effect).",
        rewrite=_lengths_missing,
        parameters=(Parameter("of", str, "query, key or both"),),
        tries=values("of", *_SIDES),
        rare=True,
    ),
    Deviation(
        id="convolution-missing",
        kind="mistake",
        does="Queries, keys and values are not convolved with the tokens before.",
        invisible="Where the last tap is 1 and the others are 0.",
        remedy="Apply conv1d to the products before their activation.",
        seen=_PORTS,
        rewrite=swap({recurrent.convolve_before: unchanged}),
        rare=True,
    ),
    Deviation(
        id="convolution-ahead",
        kind="mistake",
        does="The convolution sums over tokens that come after: it is padded at both ends, or cut at the wrong one.",
        invisible="For one token, or where only some of the taps are not 0.",
        remedy="conv1d(x, padding=taps - 1)[..., :n], the first n: no token is summed with later ones.",
        seen="The family of ends and taps of convolutions, as in mamba#437; no thread of its own is known.",
        rewrite=swap({recurrent.convolve_before: variants_recurrent.convolve_ahead}),
        parameters=(Parameter("by", int, "how many tokens ahead it looks", least=1, most=100),),
        tries=values("by", 1, 2, 3),
        rare=True,
    ),
    Deviation(
        id="convolution-reversed",
        kind="mistake",
        does="The taps of the convolution are taken in reverse, as np.convolve does and conv1d does not.",
        invisible="Where the taps read the same from both ends.",
        remedy="conv1d is a correlation, whose last tap is the token's own: np.convolve(x, taps[::-1]).",
        seen="The family of ends and taps of convolutions, as in mamba#437; no thread of its own is known.",
        rewrite=swap({recurrent.convolve_before: variants_recurrent.convolve_reversed}),
        rare=True,
    ),
    Deviation(
        id="convolution-activation-missing",
        kind="mistake",
        does="The convolution's sums have no activation.",
        invisible="Where the activation changes nothing.",
        remedy="q, k, v = silu(conv1d(x)).",
        seen="The question of mamba#816; no thread about a delta net is known.",
        rewrite=_activation_missing,
        rare=True,
    ),
    Deviation(
        id="head-gate-missing",
        kind="mistake",
        does="The results of heads are not multiplied by their gates.",
        invisible="Where the gates are 1.",
        remedy="out = out * sigmoid(gate) before the output projection; in a delta net norm(out) * silu(gate).",
        seen=_PORTS,
        rewrite=_gate_missing,
        rare=True,
    ),
    Deviation(
        id="head-gate-of-other-kind",
        kind="mistake",
        does="A gate of heads is the logistic function of its product where it should be its silu, or the reverse.",
        invisible="Where the products are 1.",
        remedy="In Qwen3-Next attention has sigmoid(gate), the delta net silu(gate).",
        seen=_PORTS,
        rewrite=_gate_of_other_kind,
        rare=True,
    ),
    Deviation(
        id="head-gate-before-norm",
        kind="mistake",
        does="What heads read is multiplied by the gate first and normed after, as Mamba 2 does.",
        invisible="Where the gate is the same for all features of a head.",
        remedy="norm(out) * silu(gate), norm_before_gate=True.",
        seen="flash-linear-attention#63 and PR#57, transformers PR#32686: both orders in Mamba 2.",
        rewrite=_gate_first,
        rare=True,
    ),
)
