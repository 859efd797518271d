"""Steps of training as people write them by hand, in plain NumPy, with the faults that they make."""

import numpy as np

RATE, BETAS, EPS, DECAY, LIMIT = 0.1, (0.9, 0.99), 1e-2, 0.3, 0.25
RIGHT = {
    "decay": lambda w: w * (1 - RATE * DECAY), "after": lambda w: w, "l2": 0.0, "betas": BETAS, "sign": -1,
    "corrected": (True, True), "root": lambda v, t: np.sqrt(v) + EPS, "clip": None, "zero": True,
}  # fmt: skip


def together(grads):
    norm = np.sqrt(sum((g * g).sum() for g in grads.values()))
    return {name: g * min(1, LIMIT / (norm + 1e-6)) for name, g in grads.items()}


def alone(grads):
    return {name: together({name: g})[name] for name, g in grads.items()}


def train(numbers, gradients, steps, **faults):
    """The numbers after each step of AdamW; ``gradients`` gives those of the loss."""
    do = {**RIGHT, **faults}
    clip = do["clip"] or together
    w = dict(numbers)
    m, v, kept = ({name: 0 * x for name, x in w.items()} for _ in range(3))
    made = []
    for t in range(1, steps + 1):
        found = gradients(w)
        kept = found if do["zero"] else {name: kept[name] + found[name] for name in found}
        for name, g in clip(kept).items():
            g = g + do["l2"] * w[name]
            b1, b2 = do["betas"]
            m[name] = b1 * m[name] + (1 - b1) * g
            v[name] = b2 * v[name] + (1 - b2) * g * g
            first = m[name] / (1 - b1**t) if do["corrected"][0] else m[name]
            second = v[name] / (1 - b2**t) if do["corrected"][1] else v[name]
            w[name] = do["after"](do["decay"](w[name]) + do["sign"] * RATE * first / do["root"](second, t))
        made.append(dict(w))
    return made


def none(w):
    return w


FAULTS = {
    "step-decay-in-gradient": {"decay": none, "l2": DECAY},
    "step-decay-not-scaled": {"decay": lambda w: w * (1 - DECAY)},
    "step-decay-after": {"decay": none, "after": RIGHT["decay"]},
    "step-decay-constant": {"decay": lambda w: w - RATE * DECAY},
    "step-decay-missing": {"decay": none},
    "step-correction-missing": {"corrected": (False, False)},
    "step-correction-missing-in-first": {"corrected": (False, True)},
    "step-correction-missing-in-second": {"corrected": (True, False)},
    "step-betas-exchanged": {"betas": BETAS[::-1]},
    "step-eps-inside": {"root": lambda v, t: np.sqrt(v + EPS)},
    "step-eps-early": {
        "corrected": (True, False), "root": lambda v, t: (np.sqrt(v) + EPS) / np.sqrt(1 - BETAS[1] ** t)},
    "step-root-missing": {"root": lambda v, t: v + EPS},
    "step-uphill": {"sign": 1},
    "step-clipped-alone": {"clip": alone},
    "step-not-clipped": {"clip": none},
    "step-gradients-kept": {"zero": False},
}  # fmt: skip
"""What is done otherwise."""
