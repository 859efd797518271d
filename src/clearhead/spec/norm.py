"""Norms as a spec."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops.textbook import tokens
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec

DEFAULT_EPS = 1e-5


class Norm(Spec, frozen=True):
    """A norm of each token by itself.

    Attributes:
        kind: ``"layer"`` (Ba et al. 2016) or ``"rms"`` (Zhang and Sennrich 2019).
        eps: added to the variance, inside the root. With 0 a token whose values are all equal gives NaN.
        gain: multiplies each column with ``gain`` (model).
        bias: adds ``bias`` (model); None for the default: yes for a layer norm with a gain, no otherwise.
    """

    kind: Literal["layer", "rms"] = "layer"
    eps: float = DEFAULT_EPS
    gain: bool = True
    bias: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.eps >= 0:
            raise SpecError(f"norm eps expects 0 or more, got {self.eps}.")
        if self.bias and not self.gain:
            raise SpecError("norm bias comes with a gain. Set gain = true, and give a gain of ones for none.")

    @property
    def has_bias(self) -> bool:
        """Whether a bias is added."""
        return (self.kind == "layer" and self.gain) if self.bias is None else self.bias

    def write(self, draft: Draft, source: str, axes: str = "token model", name: str = "norm") -> str:
        """Writes the norm of ``source``, with these ``axes``, onto ``draft`` as ``name``; returns its full name."""
        operation = tokens.layer_norm if self.kind == "layer" else tokens.rms_norm
        if not self.gain:
            return draft.write(name, operation, source, axes, eps=self.eps)
        normalized = draft.write(f"{name}.normalized", operation, source, axes, eps=self.eps)
        columns = axes.split()[-1]
        gain = draft.give(f"{name}.gain", columns)
        if not self.has_bias:
            return draft.write(name, tokens.gain, f"{normalized} {gain}", axes)
        bias = draft.give(f"{name}.bias", columns)
        return draft.write(name, tokens.gain_and_bias, f"{normalized} {gain} {bias}", axes)
