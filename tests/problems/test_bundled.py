"""The problems that come with clearhead: their numbers by plain NumPy, and that they teach what they say."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

import clearhead.problems
from clearhead.problems import STARTER, bundled, format_problem, parse_problem, read_problem
from clearhead.spec import Attention

BACKWARD = [name for name in bundled() if read_problem(name).backward is not None]
TAUGHT = [name for name in bundled() if name not in ("single-head", "two-heads", "soccer", *BACKWARD)]


def softmax(scores):
    """Shares along the last axis."""
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def standard(x, gain, bias):
    """Layer norm with the eps that most use."""
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + bias


def root_mean_square(x, gain):
    """RMS norm with the eps that most use."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain


def heads_of(x, memory, weights, part=""):
    """Each head's query, key and value, one head after the other."""
    sources = {"query": x, "key": memory, "value": memory}
    return zip(*([source @ w for w in weights[f"{part}{n}.weight"]] for n, source in sources.items()), strict=True)


def attend(triples, masked=None):
    """The heads side by side; ``masked`` is True where a query may not attend."""
    results = []
    for query, key, value in triples:
        scores = query @ key.T / math.sqrt(query.shape[-1])
        results.append(softmax(scores if masked is None else np.where(masked, -np.inf, scores)) @ value)
    return np.concatenate(results, axis=-1)


def causal_mask(a):
    """No word sees a later one."""
    x = a["input"]
    return attend(heads_of(x, x, a), np.triu(np.ones((3, 3), bool), 1))


def padding_mask(a):
    """No token sees padding."""
    x = a["input"]
    return attend(heads_of(x, x, a), ~a["padding"])


def grouped_query(a):
    """Neighbouring query heads share keys and values."""
    x = a["input"]
    shared = {
        name: weight[[0, 0, 1, 1]] if name in ("key.weight", "value.weight") else weight for name, weight in a.items()
    }
    return attend(heads_of(x, x, shared))


def rotary(a):
    """Turns each token's two features as one complex number."""

    def turned(x):
        number = (x[:, 0] + 1j * x[:, 1]) * np.exp(1j * np.arange(5))
        return np.stack([number.real, number.imag], axis=-1)

    x = a["input"]
    return attend((turned(q), turned(k), v) for q, k, v in heads_of(x, x, a))


def cross_attention(a):
    """Keys and values come from the memory."""
    return attend(heads_of(a["input"], a["memory"], a))


def encoder_block(a):
    """Vaswani et al. 2017, section 3."""
    angle = np.arange(3)[:, None] / 10000 ** (np.array([0, 0, 2, 2]) / 4)
    x = a["embedding"] + np.where(np.arange(4) % 2 == 0, np.sin(angle), np.cos(angle))
    biases = zip(*(a[f"attention.{n}.bias"] for n in ("query", "key", "value")), strict=True)
    triples = [
        [p + b for p, b in zip(*pair, strict=True)]
        for pair in zip(heads_of(x, x, a, "attention."), biases, strict=True)
    ]
    x = x + attend(triples) @ a["attention.output.weight"] + a["attention.output.bias"]
    x = standard(x, a["attention.norm.gain"], a["attention.norm.bias"])
    hidden = np.maximum(x @ a["mlp.up.weight"] + a["mlp.up.bias"], 0)
    return standard(x + hidden @ a["mlp.output.weight"] + a["mlp.output.bias"], a["mlp.norm.gain"], a["mlp.norm.bias"])


def decoder_block(a):
    """Norms before, and a gated MLP."""
    x = a["input"]
    normed = root_mean_square(x, a["attention.norm.gain"])
    found = attend(heads_of(normed, normed, a, "attention."), np.triu(np.ones((4, 4), bool), 1))
    x = x + found @ a["attention.output.weight"]
    normed = root_mean_square(x, a["mlp.norm.gain"])
    gate = normed @ a["mlp.gate.weight"]
    return x + (gate / (1 + np.exp(-gate)) * (normed @ a["mlp.up.weight"])) @ a["mlp.output.weight"]


BY_NUMPY = {
    "causal-mask": causal_mask,
    "padding-mask": padding_mask,
    "grouped-query": grouped_query,
    "rotary": rotary,
    "cross-attention": cross_attention,
    "encoder-block": encoder_block,
    "decoder-block": decoder_block,
}


def last(trace):
    """What comes out at the end."""
    return trace.numpy(trace.working.lines[-1].name)


@pytest.mark.parametrize("name", TAUGHT)
def test_a_problem_gives_what_plain_numpy_gives(name):
    """What comes out of each taught problem is what a few lines of plain NumPy give for its arrays."""
    problem = read_problem(name)
    np.testing.assert_allclose(last(problem.trace()), BY_NUMPY[name](problem.arrays), rtol=1e-12, atol=1e-13)


def test_the_encoder_block_is_pytorchs():
    """PyTorch's own encoder layer, with the weights of the problem put into it, gives the same."""
    problem = read_problem("encoder-block")
    a = {name: torch.tensor(array) for name, array in problem.arrays.items()}
    x = torch.tensor(problem.trace().numpy("input"))
    query, key, value = (
        torch.einsum("im,hmd->hid", x, a[f"attention.{name}.weight"]) + a[f"attention.{name}.bias"][:, None]
        for name in ("query", "key", "value")
    )
    heads = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    x = x + torch.nn.functional.linear(
        torch.cat(tuple(heads), -1), a["attention.output.weight"].T, a["attention.output.bias"]
    )
    x = torch.nn.functional.layer_norm(x, (4,), a["attention.norm.gain"], a["attention.norm.bias"])
    hidden = torch.relu(torch.nn.functional.linear(x, a["mlp.up.weight"].T, a["mlp.up.bias"]))
    x = x + torch.nn.functional.linear(hidden, a["mlp.output.weight"].T, a["mlp.output.bias"])
    x = torch.nn.functional.layer_norm(x, (4,), a["mlp.norm.gain"], a["mlp.norm.bias"])
    np.testing.assert_allclose(last(problem.trace()), x.numpy(), rtol=1e-12)


def cross_entropy(a):
    """The mean cross-entropy of the logits that are given."""
    return torch.nn.functional.cross_entropy(a["output"], a["target"])


def attended(x, a, part="", *, causal):
    """The heads side by side, by PyTorch's attention."""
    heads = (torch.einsum("im,hmd->hid", x, a[f"{part}{name}.weight"]) for name in ("query", "key", "value"))
    return torch.cat(tuple(torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=causal)), -1)


def head_backward(a):
    """The squared error of a causal head."""
    return torch.nn.functional.mse_loss(attended(a["input"], a, causal=True), a["target"])


def block_backward(a):
    """The cross-entropy of a block with norms before, and GELU."""

    def normed(x, part):
        return torch.nn.functional.layer_norm(x, (4,), a[f"{part}.norm.gain"], a[f"{part}.norm.bias"])

    x = a["embedding"] + a["position"]
    x = x + attended(normed(x, "attention"), a, "attention.", causal=True) @ a["attention.output.weight"]
    hidden = torch.nn.functional.gelu(normed(x, "mlp") @ a["mlp.up.weight"] + a["mlp.up.bias"])
    return torch.nn.functional.cross_entropy(x + hidden @ a["mlp.output.weight"] + a["mlp.output.bias"], a["target"])


def soccer_loss(a):
    """The squared error of the soccer example's residual."""
    x = a["embedding"] + a["position"]
    return torch.nn.functional.mse_loss(x + attended(x, a, causal=False) @ a["output.weight"], a["target"])


BY_PYTORCH = {
    "cross-entropy": cross_entropy,
    "head-backward": head_backward,
    "block-backward": block_backward,
    "step-soccer": soccer_loss,
}


@pytest.mark.parametrize("name", BACKWARD)
def test_a_problem_gives_the_gradients_of_pytorch(name):
    """Loss and gradients of each problem with a backward pass are those of a few lines of PyTorch."""
    problem = read_problem(name)
    leaves = {name: torch.tensor(array, requires_grad=array.dtype == float) for name, array in problem.arrays.items()}
    loss = BY_PYTORCH[name](leaves)
    loss.backward()
    trace = problem.trace()
    np.testing.assert_allclose(trace.numpy("loss"), loss.item(), rtol=1e-12)
    for wrt in problem.working().backward_of.wrt:
        np.testing.assert_allclose(trace.numpy(f"{wrt}.grad"), leaves[wrt].grad, rtol=1e-9, atol=1e-12, err_msg=wrt)


def test_three_steps_of_adamw_are_pytorchs():
    """The losses of the soccer example over three steps are those of PyTorch's AdamW."""
    problem = read_problem("step-soccer")
    leaves = {name: torch.tensor(array) for name, array in problem.arrays.items()}
    trained = [leaves[name].requires_grad_() for name in problem.working().backward_of.wrt]
    optimizer = torch.optim.AdamW(trained, 0.1, weight_decay=0.1)
    trace = problem.trace()
    for name in ("loss", "step2.loss", "step3.loss", "step4.loss"):
        optimizer.zero_grad()
        loss = soccer_loss(leaves)
        np.testing.assert_allclose(trace.numpy(name), loss.item(), rtol=1e-9, err_msg=name)
        loss.backward()
        optimizer.step()


def test_rows_of_gradients_add_up_to_nothing():
    """As the problems say: the rows of the gradients of logits, scores and normalised tokens add up to 0."""
    sums = {
        "cross-entropy": "output.grad",
        "head-backward": "scaled.grad",
        "block-backward": "attention.residual.grad.through_mlp_norm_normalized",
    }
    for name, line in sums.items():
        np.testing.assert_allclose(read_problem(name).trace().numpy(line).sum(-1), 0, atol=1e-12)
    assert not read_problem("head-backward").trace().numpy("query.grad")[0, 0].any()


@pytest.mark.parametrize("name", TAUGHT)
def test_no_taught_problem_is_degenerate(name):
    """No query of a taught problem shares its weights out evenly among the keys it may see; no row is NaN."""
    trace = read_problem(name).trace()
    assert trace.notes == ()
    for weights in trace.numpy("weights").reshape(-1, trace.numpy("weights").shape[-1]):
        seen = weights[weights > 0]
        assert seen.size == 1 or seen.max() - seen.min() > 0.05


@pytest.mark.parametrize("name", TAUGHT)
def test_no_two_axes_have_one_size(name):
    """In a taught problem a size tells the axis: no two words have the same, where neither is made from the other."""
    problem = read_problem(name)
    working = problem.textbook()
    shapes = working.shapes({given: array.shape for given, array in problem.arrays.items()})
    sizes = {word: size for line, shape in shapes.items() for word, size in zip(working.axes[line], shape, strict=True)}
    tokens = {sizes.pop(word) for word in ("query", "token") if word in sizes}
    if not getattr(problem.spec, "memory", False):
        tokens.add(sizes.pop("key"))
    for made in ("head*depth", "pair"):
        sizes.pop(made, None)
    assert len(tokens) == 1
    assert len({*sizes.values(), *tokens}) == len(sizes) + 1


@pytest.mark.parametrize(("name", "plainer"), [
    ("causal-mask", {"causal": False}),
    ("padding-mask", {"padding": False}),
    ("rotary", {"rotary": None}),
])  # fmt: skip
def test_what_a_problem_teaches_matters(name, plainer):
    """Without the mask, or the positions, that a problem is about, the weights are visibly others."""
    problem = read_problem(name)
    spec = replace(problem.spec, **plainer)
    arrays = {given: array for given, array in problem.arrays.items() if given != "padding"}
    without = replace(problem, spec=spec, arrays=arrays).trace().numpy("weights")
    assert np.abs(problem.trace().numpy("weights") - without).max() > 0.3


def test_padding_draws_the_most_weight_when_it_is_let():
    """As the problem says: without the mask both padding keys draw the most weight of every real token in head 1."""
    problem = read_problem("padding-mask")
    arrays = {given: array for given, array in problem.arrays.items() if given != "padding"}
    weights = replace(problem, spec=Attention(heads=2, output=False), arrays=arrays).trace().numpy("weights@1")
    assert (weights[:3, 3:].min(-1) > weights[:3, :3].max(-1)).all()


def test_rotary_scores_depend_on_the_distance_alone():
    """As the problem says: among the three equal words scores are the same along diagonals, and differ across."""
    problem = read_problem("rotary")
    scores = problem.trace().numpy("scores@1")[:3, :3]
    diagonals = [np.diagonal(scores, offset) for offset in range(-2, 3)]
    assert all(np.ptp(diagonal) < 1e-12 for diagonal in diagonals)
    assert len({round(diagonal[0], 6) for diagonal in diagonals}) == 5


def test_each_word_finds_its_translation():
    """As the problem says: "chat" gives most of its weight to the second word of the memory, "dort" to the fourth."""
    weights = read_problem("cross-attention").trace().numpy("weights@1")
    assert weights[1].argmax() == 1
    assert weights[2].argmax() == 3
    assert (weights[1:].max(-1) > 0.7).all()


def test_relu_switches_some_features_of_every_kind():
    """As the problem says: ReLU silences a hidden feature for some tokens and not for others."""
    active = read_problem("encoder-block").trace().numpy("mlp.active") > 0
    assert active.any(axis=0).all()
    assert not active.all(axis=0).any()


def test_every_bundled_file_has_its_place_in_the_order():
    """The names in teaching order are those of the files, each once."""
    folder = Path(clearhead.problems.__file__).parent / "bundled"
    assert sorted(bundled()) == sorted(path.stem for path in folder.iterdir())


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_problem_reads_back_from_what_is_written_of_it(name):
    """Each bundled problem, written and read again, is the same problem."""
    problem = read_problem(name)
    assert parse_problem(format_problem(problem)) == problem


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_problem_says_what_to_notice(name):
    """Each bundled problem tells in two to five sentences, without line breaks, what to notice."""
    about = read_problem(name).about
    assert 2 <= about.count(". ") + about.count(": ") + 1 <= 8
    assert "\n" not in about
    assert "  " not in about


def test_the_starter_agrees_with_itself():
    """The starter problem runs as it is, and the numbers it claims are right at the digits they are written in."""
    problem = parse_problem(STARTER)
    trace = problem.trace()
    weights, cell = problem.claims
    right = np.abs(trace.numpy(weights.line) - weights.values) <= 0.005
    assert right.tolist() == [[True, True], [True, False]]
    assert weights.claimed.tolist() == [[True, True], [True, False]]
    assert abs(trace.numpy(cell.line)[0, 2] - float(cell.values)) <= 0.005
    assert cell.cell == (1, 3)
