"""Weights in the order of compiled products: the same numbers, once in memory, for all who read them."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clearhead import load
from clearhead.compiled.program import choice
from clearhead.compiled.program.program import Product
from clearhead.models.held import as_they_lie
from clearhead.models.weights import Place
from clearhead.ops.panels import Panels

from ..rounding import assert_rounded, expected
from .conftest import LLAMA, llama_weights

IDS = [3, 16, 8, 2, 11, 8, 5, 1, 9, 4, 12]


@pytest.fixture
def packed(small, monkeypatch):
    """A small Llama whose weights lie in panels, and the same with matrices."""
    monkeypatch.setattr(choice, "own", lambda: frozenset(Product))
    model = load(small, engine="compiled")
    model.trace(IDS)
    return model, load(small, engine="array")


def test_factors_of_products_are_held_once(packed):
    """What only products read lies in panels, and nowhere else; what is looked up or added stays a matrix."""
    model, _ = packed
    kinds = {name.rpartition("layers.")[2]: type(array) for name, array in as_they_lie(model.arrays).items()}
    assert kinds["0.mlp.up.weight"] is kinds["1.mlp.output.weight"] is Panels
    assert kinds["0.mlp.norm.gain"] is np.ndarray


def test_weights_are_read_as_matrices(packed):
    """A weight that is asked for by name is the matrix of the file, to the bit."""
    model, plain = packed
    assert model.arrays.keys() == plain.arrays.keys()
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(model.arrays[name], array, name)


def test_all_ways_read_weights_in_panels(packed):
    """Compiled code, array code for a batch, statistics and gradients: the numbers are those of matrices."""
    model, plain = packed
    exact = expected(plain.working(), {**plain.arrays, "token": np.array(IDS)})
    for count in (1, 5, len(IDS)):
        found, bounds = (each.trace(IDS[:count], keep="*") for each in packed)
        for name in found:
            np.testing.assert_allclose(found[name], bounds[name], rtol=1e-4, atol=1e-5)
    for name in found:
        if name in exact:
            assert_rounded(found[name], exact[name], name)
    model.engine = "auto"
    batch = [IDS[:4], IDS]
    np.testing.assert_array_equal(model.trace(batch)["logits"], plain.trace(batch)["logits"])
    one, other = (each.inspect(IDS).output for each in packed)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_cells_are_explained_from_weights_in_panels(packed):
    """The arithmetic of a product shows the numbers of its weights, which are given back on request, too."""
    _, plain = packed
    found, other = (each.trace(IDS) for each in packed)
    line = "layers.1.mlp.output"
    assert str(found.explain(line, 2, 3)) == str(other.explain(line, 2, 3))
    name = "layers.1.mlp.output.weight"
    np.testing.assert_array_equal(found.given[name], plain.arrays[name])
    for of in ("layers.0.mlp.up.weight", "embedding.weight"):
        one, two = (each.gradients("logits", of)[of] for each in (found, other))
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


def test_several_threads_may_trace_a_model_at_once(small, monkeypatch):
    """Threads that meet at the first trace, while weights are laid out, get the numbers of one thread alone."""
    monkeypatch.setattr(choice, "own", lambda: frozenset(Product))
    texts = [IDS[:count] for count in range(2, len(IDS))]
    alone = [load(small, engine="compiled").trace(each)["logits"] for each in texts]
    model = load(small, engine="compiled")
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(pool.map(lambda ids: model.trace(ids)["logits"], texts))
    for found, by_itself in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, by_itself)


def test_weights_stay_in_the_bits_of_the_checkpoint(smollm, monkeypatch):
    """SmolLM2's factors take less than a quarter of float32, and a trace has the bits that float32 panels give."""
    monkeypatch.setattr(choice, "own", lambda: frozenset(Product))
    one, other = (load(smollm.path, engine="compiled") for _ in range(2))
    found = one.trace(IDS)
    monkeypatch.setattr(Place, "panels", lambda *_, **__: None)
    by_floats = other.trace(IDS)
    for name in found:
        np.testing.assert_array_equal(found[name], by_floats[name], name)
    held = [each for each in as_they_lie(one.arrays).values() if isinstance(each, Panels)]
    assert len(held) == 1 + 30 * 7
    assert sum(each.numbers.nbytes for each in held) < 0.25 * 4 * sum(each.size for each in held)
    for name in ("layers.3.attention.query.weight", "layers.29.mlp.output.weight", "embedding.weight"):
        np.testing.assert_array_equal(one.arrays[name], other.arrays[name], name)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_numbers_of_two_bytes_stay_so(kind, tmp_path, monkeypatch):
    """A checkpoint in float16 or bfloat16 is held in two bytes a number, with the bits of float32 in a trace."""
    monkeypatch.setattr(choice, "own", lambda: frozenset(Product))
    folders = [tmp_path / "short", tmp_path / "wide"]
    short = {name: torch.from_numpy(each).to(getattr(torch, kind)) for name, each in llama_weights().items()}
    for folder, weights in zip(folders, (short, {n: each.float() for n, each in short.items()}), strict=True):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(LLAMA))
        save_file(weights, folder / "model.safetensors")
    models = [load(folder, engine="compiled") for folder in folders]
    one, other = (model.trace(IDS) for model in models)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)
    panels, floats = (as_they_lie(model.arrays)["layers.0.mlp.up.weight"].numbers for model in models)
    assert panels.nbytes * 2 == floats.nbytes


def test_no_weight_is_read_before_it_is_needed(small):
    """A model that is loaded, asked for the names of its weights and for one of them has read that one alone."""
    weights = load(small).arrays
    assert len(weights) == len(list(weights)) > 1
    _ = weights["norm.gain"]
    assert list(weights._held) == ["norm.gain"]


def test_where_the_blas_is_faster_nothing_is_laid_out(small, monkeypatch):
    """What this machine has measured decides: then weights stay where they lie."""
    monkeypatch.setattr(choice, "own", lambda: frozenset(Product) - {Product.PACKED})
    model = load(small, engine="compiled")
    model.trace(IDS)
    assert not any(isinstance(array, Panels) for array in as_they_lie(model.arrays).values())
