"""Gradients of operations: stated as textbooks write them, or derived from the forward formula."""

from clearhead.ops.gradients.gradient import GradientOf, accumulated, gradient, gradient_named
from clearhead.ops.gradients.stated import STATED

__all__ = ["STATED", "GradientOf", "accumulated", "gradient", "gradient_named"]
