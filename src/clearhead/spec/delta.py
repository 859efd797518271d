"""The gated delta net as a spec: a memory that decays and is corrected, in the place of a softmax."""

from __future__ import annotations

from collections.abc import Mapping

from clearhead.errors import SpecError
from clearhead.ops.textbook import experts, linear, recurrent, scores, tokens
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.mlp import ACTIVATIONS, Activation
from clearhead.spec.norm import Norm

OWN = "head token depth"


class Delta(Spec, frozen=True):
    """A gated delta net (Yang et al. 2025, "Gated Delta Networks"), as Qwen3-Next and Qwen 3.5 have it.

    Each token writes to a memory of its head, which decays, and reads it; see `clearhead.ops.textbook.recurrent`.
    Given arrays: ``query.weight`` and ``key.weight`` (group, model, depth), ``value.weight`` and ``gate.weight``
    (head, model, depth); ``query.taps``, ``key.taps`` (group, depth, tap) and ``value.taps`` (head, depth, tap), of
    convolutions with the tokens before; ``share.weight`` and ``step.weight`` (head, model), ``step.bias`` and
    ``rate`` (head), a logarithm; ``head.norm.gain`` (depth); ``output.weight`` (head*depth, model).

    Lines of note: ``written`` (head, token, depth), what each token writes; ``decay.since`` (head, query, key), what
    is left of it at each later token; ``read`` (head, query, key), by how much each token reads it, of either sign.

    Attributes:
        heads: heads of values.
        key_heads: heads of queries and keys; each serves neighbouring heads of values. None for one each.
        activation: of the convolutions.
        eps: of the lengths of queries and keys.
        norm: of what each head reads, before the gate.
    """

    heads: int
    key_heads: int | None = None
    activation: Activation = "silu"
    eps: float = 1e-6
    norm: Norm = Norm("rms", 1e-6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.groups < 1 or self.heads % self.groups:
            raise SpecError(f"delta key_heads expects a divisor of heads={self.heads}, got {self.key_heads}.")

    @property
    def groups(self) -> int:
        """Heads of queries and keys."""
        return self.heads if self.key_heads is None else self.key_heads

    def write(self, draft: Draft, source: str) -> str:
        """Writes the lines onto ``draft``, for the tokens ``source``; returns the name of the concatenated heads."""
        sizes = {"head": self.heads, "group": self.groups}
        query, key = (self._direction(draft, name, source, sizes) for name in ("query", "key"))
        value = self._convolved(draft, "value", source, "head", sizes)
        since = self._decay(draft, source, sizes)
        logit = _number(draft, "share", source, sizes)
        share = draft.write("share", experts.logistic, logit, "head token")
        overlap = draft.write("overlap", linear.matmul_transposed, f"{key} {key}", "head query key")
        left = draft.write("overlap.decayed", linear.multiply, f"{overlap} {since}", "head query key")
        written = draft.write("written", recurrent.corrected, f"{value} {left} {share}", OWN)
        score = draft.write("scores", linear.matmul_transposed, f"{query} {key}", "head query key")
        scaled = draft.write("scaled", scores.scale_by_depth, f"{score} {query}", "head query key")
        read = draft.write("read", linear.multiply, f"{scaled} {since}", "head query key")
        head = draft.write("head", linear.weighted_sum, f"{read} {written}", OWN)
        normed = self.norm.write(draft, head, OWN, "head.norm")
        weight = draft.give("gate.weight", "head model depth", sizes=sizes)
        gate = draft.write("gate", linear.project, f"{source} {weight}", OWN)
        active = draft.write("gate.active", tokens.silu, gate, OWN)
        gated = draft.write("gated", linear.multiply, f"{normed} {active}", OWN)
        return draft.write("concat", linear.concat, gated, "token head*depth")

    def _direction(self, draft: Draft, name: str, source: str, sizes: Mapping[str, int]) -> str:
        """Writes queries or keys of length 1, for all heads of values."""
        axis = "head" if self.groups == self.heads else "group"
        out = self._convolved(draft, f"{name}.convolved", source, axis, sizes)
        out = draft.write(name, recurrent.unit_length, out, f"{axis} token depth", eps=self.eps)
        if self.groups == self.heads:
            return out
        return draft.write(f"{name}.repeated", linear.repeat, out, OWN, times=self.heads // self.groups)

    def _convolved(self, draft: Draft, name: str, source: str, axis: str, sizes: Mapping[str, int]) -> str:
        """Writes a projection, its convolution with the tokens before, and its activation; returns the last name."""
        given, rows = name.partition(".")[0], f"{axis} token depth"
        weight = draft.give(f"{given}.weight", f"{axis} model depth", sizes=sizes)
        product = draft.write(f"{given}.product", linear.project, f"{source} {weight}", rows)
        taps = draft.give(f"{given}.taps", f"{axis} depth tap", sizes=sizes)
        summed = draft.write(f"{given}.summed", recurrent.convolve_before, f"{product} {taps}", rows)
        return draft.write(name, ACTIVATIONS[self.activation], summed, rows)

    def _decay(self, draft: Draft, source: str, sizes: Mapping[str, int]) -> str:
        """Writes what is left at each token of what each other wrote; returns its name."""
        number = _number(draft, "step", source, sizes)
        operands = f"{number} {draft.give('step.bias', 'head', sizes=sizes)}"
        step = draft.write("step", recurrent.softplus_of_sum, operands, "head token")
        rate = draft.give("rate", "head", sizes=sizes)
        decay = draft.write("decay", recurrent.log_decay, f"{step} {rate}", "head token")
        return draft.write("decay.since", recurrent.decay_since, decay, "head query key")


def _number(draft: Draft, name: str, source: str, sizes: Mapping[str, int]) -> str:
    """Writes a number for each head and token."""
    weight = draft.give(f"{name}.weight", "head model", sizes=sizes)
    return draft.write(f"{name}.product", recurrent.project_to_numbers, f"{source} {weight}", "head token")
