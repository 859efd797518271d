"""Gradients of small models, ours and those of PyTorch's autograd of Transformers, both in float64.

``python -m tests.conformance.model_gradients`` tries every configuration, and ends with 1 if any differs.

Our arrays are cut and turned otherwise than Transformers' parameters. Where each of our cells comes from is found by
saving the model with parameters that count, and reading it: so a gradient of ours lands, cell by cell, in the parameter
that it belongs to, and what several arrays share is added up.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import safetensors.torch  # noqa: F401 - it has a table of types, which must not see another float32
import torch
import transformers
from msgspec import Struct
from torch import nn

from clearhead.backward import GRAD
from clearhead.models import Model, load
from clearhead.models.inputs import inputs_of

from .families import CONFIGURATIONS
from .pairs import PAIRS, reads

IDS = [3, 17, 8, 30, 2, 25, 11, 8, 19]
RESULTS = ("logits", "prediction_logits", "last_hidden_state")
Arrays = dict[str, np.ndarray]


class Sides(Struct, frozen=True):
    """The gradients of both sides, by the names of Transformers' parameters and of ``hidden``, a layer's result."""

    ours: Arrays
    theirs: Arrays

    @property
    def difference(self) -> float:
        """The largest difference, relative to the largest gradient."""
        assert self.ours.keys() == self.theirs.keys()
        largest = max(abs(grad).max() for grad in self.theirs.values())
        return float(max(abs(self.ours[name] - grad).max() for name, grad in self.theirs.items()) / largest)


@contextmanager
def in_double() -> Iterator[None]:
    """Transformers in double precision throughout: it takes norms, softmax and angles to float32 by name."""
    single, method, array = torch.float32, torch.Tensor.float, torch.FloatTensor
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float, torch.FloatTensor = torch.Tensor.double, torch.DoubleTensor  # type: ignore[method-assign,misc]
    try:
        yield
    finally:
        torch.float32 = torch.float = single
        torch.Tensor.float, torch.FloatTensor = method, array  # type: ignore[method-assign,misc]
        torch.set_default_dtype(single)


def model_of(name: str) -> Any:
    """A model of a configuration in float64, whose weights float32 holds exactly."""
    model_class, config_class, options = CONFIGURATIONS[name]
    torch.manual_seed(sum(map(ord, name)))
    config = getattr(transformers, config_class)(**options)
    config._experts_implementation = "eager"  # products of groups are for shorter types alone
    kind = getattr(transformers, model_class)  # loads its module, which must not see another float32
    with in_double():
        model = kind._from_config(config, attn_implementation="eager").eval().double()
    biases = [each for at, each in model.named_buffers() if at.endswith("correction_bias")]
    with torch.no_grad():
        for each in [*(p for p in model.parameters() if p.requires_grad), *biases]:
            each.add_(torch.randn_like(each) * (0.1 if each.ndim > 1 else 0.3))
            each.copy_(each.to(torch.bfloat16).double())
        for at, each in model.named_parameters():
            if at not in (model._keys_to_ignore_on_save or ()):
                each.copy_(torch.from_numpy(each.numpy().astype(np.float32)))  # sinusoids, where they are stored
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            part.padding_idx = None  # the row of a padding token gets no gradient there, wherever it stands
    return model


def saved(model: Any) -> Model:
    """The model as it is read from what Transformers saves."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        found = load(folder)
        found.arrays  # noqa: B018 - read while the file is there
    return found


def places(model: Any, parameters: Mapping[str, torch.Tensor]) -> Arrays:
    """For each array of ours that is made of parameters, which number of all of these each of its cells is."""
    kept = {name: each.clone() for name, each in parameters.items()}
    with torch.no_grad():
        first = 1
        for each in parameters.values():
            each.copy_(torch.arange(first, first + each.numel()).reshape(each.shape))
            first += each.numel()
        counted = saved(model).arrays
        for each in parameters.values():
            each.zero_()
        base = saved(model).arrays
        for name, each in parameters.items():
            each.copy_(kept[name])
    found = {name: array.astype(np.float64) - base[name] for name, array in counted.items()}
    return {name: (array - 1).astype(int) for name, array in found.items() if array.any()}


def both(name: str) -> Sides:
    """The gradients of a random function of the results, by all weights and by the result of the first layer."""
    model = model_of(name)
    read = saved(model)
    parameters = {at: each for at, each in model.named_parameters() if each.requires_grad}
    source, decoder, batch = _reads(name, model)
    inputs = inputs_of(read, source, decoder).arrays
    double = {at: _in_double(array) for at, array in ({**read.arrays, **inputs}).items()}
    working, hidden = read.working(), read.hidden[1]
    with in_double():
        out = model(**batch, output_hidden_states=True)
    result, of = _result(out), next(at for at in ("logits", "norm", read.hidden[-1]) if at in working.names)
    pull = torch.from_numpy(np.random.default_rng(1).normal(size=result.shape))
    states = out.decoder_hidden_states if hasattr(out, "decoder_hidden_states") else out.hidden_states
    leaves = {**parameters, "hidden": states[1]}
    grads = torch.autograd.grad((result * pull).sum(), list(leaves.values()), allow_unused=True)
    theirs = {
        at: np.zeros(leaf.shape) if grad is None else grad.numpy()
        for (at, leaf), grad in zip(leaves.items(), grads, strict=True)
    }
    wanted = [*(each.name for each in working.givens if each.holds == "numbers"), hidden]
    trace = working.backward(of, wanted).run({**double, of + GRAD: pull.numpy().reshape(pull.shape[-2:])})
    found = {at: trace[at + GRAD] for at in wanted}
    ours = _landed(found, places(model, parameters), parameters)
    return Sides({**ours, "hidden": found[hidden].reshape(states[1].shape)}, theirs)


def _in_double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _reads(name: str, model: Any) -> tuple[Any, list[int] | None, dict[str, torch.Tensor]]:
    """What a model is given, here and there."""
    if name.startswith("vit"):
        side, channels = model.config.image_size, model.config.num_channels
        image = np.random.default_rng(4).normal(size=(channels, side, side)).astype(np.float32)
        return image, None, {"pixel_values": torch.from_numpy(image)[None].double()}
    if name in PAIRS and name.startswith("pair"):
        source, decoder, batch = reads(name, IDS)
        return source, decoder, {at: each.double() if each.is_floating_point() else each for at, each in batch.items()}
    return IDS, None, {"input_ids": torch.tensor([IDS])}


def _result(out: Any) -> torch.Tensor:
    if getattr(out, "start_logits", None) is not None:
        return torch.stack([out.start_logits, out.end_logits], dim=-1)
    return next(getattr(out, each) for each in RESULTS if getattr(out, each, None) is not None)


def _landed(grads: Arrays, places: Arrays, parameters: Mapping[str, torch.Tensor]) -> Arrays:
    """Gradients of our arrays, added up in the parameters that they are made of."""
    ends = np.cumsum([each.numel() for each in parameters.values()])
    whole = np.zeros(ends[-1])
    for name, place in places.items():
        np.add.at(whole, place.ravel(), np.broadcast_to(grads[name], place.shape).ravel())
    parts = np.split(whole, ends[:-1])
    return {at: part.reshape(each.shape) for (at, each), part in zip(parameters.items(), parts, strict=True)}


def main() -> int:
    """Prints the configurations whose gradients differ."""
    transformers.logging.disable_progress_bar()
    count = 0
    for name in CONFIGURATIONS:
        difference = both(name).difference
        if not difference < 1e-9:
            print(f"{name}: gradients differ by {difference}", flush=True)
            count += 1
    print(f"Of {len(CONFIGURATIONS)} configurations {count} are not as they should be.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
