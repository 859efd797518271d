"""Steps of optimizers as people write them and as PyTorch has them, right and wrong."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from msgspec import Struct
from tests.check.gradients.right import in_precision

from clearhead import Attention, Backward, Loss, probe
from clearhead.spec import Optimizer

RATE, DECAY, BETAS, EPS, NUMBER, MOMENTUM, CLIP = 0.1, 0.3, (0.9, 0.99), 0.01, 3, 0.8, 0.5
WEIGHT = "output.weight"


FORWARD = Attention(1).working()


class Step(Struct, frozen=True):
    """A step of an optimizer, a function of a weight, its gradient and what is remembered of it."""

    spec: Optimizer
    function: Callable[..., Any]
    remembers: tuple[str, ...]

    def probed(self, dtype: str = "float64"):
        """The report on it, computed in a type of numbers."""
        working = Backward(loss=Loss(reads="logits"), wrt=(WEIGHT,), optimizer=self.spec).working(FORWARD)
        takes = (WEIGHT, f"{WEIGHT}.grad", *(f"past.{WEIGHT}.{each}" for each in self.remembers))
        returns = (f"{WEIGHT}.new", *(f"{WEIGHT}.{each}" for each in self.remembers))
        return probe(in_precision(self.function, dtype), working, takes, returns)

    def said(self, dtype: str) -> str:
        """What is wrongly said of a right one; nothing where it is called right."""
        report = self.probed(dtype)
        return "" if report.verdict == "agrees" and not report.failing else str(report)


def adam_w(p, g, m, v):
    """As the paper has it: decay beside, both averages unbiased."""
    m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
    unbiased = m / (1 - BETAS[0] ** NUMBER), v / (1 - BETAS[1] ** NUMBER)
    return p - RATE * (unbiased[0] / (np.sqrt(unbiased[1]) + EPS) + DECAY * p), m, v


def adam_w_in_place(p, g, m, v):
    """As PyTorch computes it: the decay first, and the corrections in the rate and the root."""
    p = p * (1 - RATE * DECAY)
    m = m + (g - m) * (1 - BETAS[0])
    v = v * BETAS[1] + g * g * (1 - BETAS[1])
    root = np.sqrt(v) / np.sqrt(1 - BETAS[1] ** NUMBER) + EPS
    return p - RATE / (1 - BETAS[0] ** NUMBER) * m / root, m, v


def adam_w_of_torch(p, g, m, v):
    """PyTorch's own, with what it remembers put into its state."""
    weight = torch.from_numpy(np.array(p)).requires_grad_()
    weight.grad = torch.from_numpy(np.array(g))
    optimizer = torch.optim.AdamW([weight], RATE, BETAS, EPS, DECAY)
    kept = {"exp_avg": torch.from_numpy(np.array(m)), "exp_avg_sq": torch.from_numpy(np.array(v))}
    optimizer.state[weight] = {"step": torch.tensor(NUMBER - 1.0), **kept}
    optimizer.step()
    return weight.detach().numpy(), kept["exp_avg"].numpy(), kept["exp_avg_sq"].numpy()


def momentum(p, g, velocity):
    """The gradient shortened to a norm, then momentum as PyTorch has it, which keeps no rate."""
    velocity = MOMENTUM * velocity + g * min(1.0, CLIP / float(np.sqrt((g * g).sum())))
    return p - RATE * velocity, velocity


def momentum_of_torch(p, g, velocity):
    """PyTorch's own, clipping too."""
    weight = torch.from_numpy(np.array(p)).requires_grad_()
    weight.grad = torch.from_numpy(np.array(g))
    torch.nn.utils.clip_grad_norm_([weight], CLIP)
    optimizer = torch.optim.SGD([weight], RATE, MOMENTUM)
    kept = torch.from_numpy(np.array(velocity))
    optimizer.state[weight]["momentum_buffer"] = kept
    optimizer.step()
    return weight.detach().numpy(), kept.numpy()


def nesterov(p, g, velocity):
    """A step to where the velocity leads."""
    velocity = MOMENTUM * velocity + g
    return p - RATE * (g + MOMENTUM * velocity), velocity


# Wrong ones


def of_averages(p, g, m, v, *, corrected=(1, 1), inside=0.0, l2=0.0, decay=DECAY):
    """AdamW with something done otherwise."""
    g = g + l2 * p
    m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
    first, second = (each / (1 - beta**NUMBER) ** by for each, beta, by in zip((m, v), BETAS, corrected, strict=True))
    return p - RATE * (first / (np.sqrt(second + inside) + EPS - inside) + decay * p), m, v


def unclipped(p, g, velocity):
    return p - RATE * (MOMENTUM * velocity + g), MOMENTUM * velocity + g


ADAM_W = Optimizer("adamw", RATE, betas=BETAS, eps=EPS, decay=DECAY, number=NUMBER)
CLIPPED = Optimizer("sgd", RATE, momentum=MOMENTUM, clip=CLIP, number=NUMBER)
LOOKING_AHEAD = Optimizer("sgd", RATE, momentum=MOMENTUM, nesterov=True, number=NUMBER)
BOTH, ONE = ("first", "second"), ("velocity",)

STEPS = {
    **{each.__name__: Step(ADAM_W, each, BOTH) for each in (adam_w, adam_w_in_place, adam_w_of_torch)},
    "momentum, clipped": Step(CLIPPED, momentum, ONE),
    "momentum of PyTorch, clipped": Step(CLIPPED, momentum_of_torch, ONE),
    "nesterov": Step(LOOKING_AHEAD, nesterov, ONE),
}
"""Right steps by what they do."""

WRONG_STEPS = {
    "step-decay-in-gradient": Step(ADAM_W, partial(of_averages, l2=DECAY, decay=0.0), BOTH),
    "step-decay-missing": Step(ADAM_W, partial(of_averages, decay=0.0), BOTH),
    "step-correction-missing": Step(ADAM_W, partial(of_averages, corrected=(0, 0)), BOTH),
    "step-correction-missing-in-second": Step(ADAM_W, partial(of_averages, corrected=(1, 0)), BOTH),
    "step-eps-inside": Step(ADAM_W, partial(of_averages, inside=EPS), BOTH),
    "step-not-clipped": Step(CLIPPED, unclipped, ONE),
}
"""Wrong steps by the deviation that they are."""
