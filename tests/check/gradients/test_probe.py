"""Probing gradients: whether they fit their own forward pass, which are wrong, from which line on, and why."""

import ml_dtypes
import numpy as np
import pytest
from tests.check.gradients import zoo
from tests.check.gradients.right import probed
from tests.check.gradients.right_layers import LAYERS

import clearhead
from clearhead import Attention, Backward, Block, Loss, Mlp, Norm, autograd, probe_gradients
from clearhead.errors import SpecError

NORM = ("input", "attention.norm.gain", "attention.norm.bias")
MLP = ("mlp.norm", "mlp.up.weight", "mlp.output.weight")


def attention(kw):
    """The working and the options of plain code for a row of the zoo."""
    spec = {"heads": 2, **kw}
    own = {name: kw[name] for name in ("causal", "cap") if name in kw}
    cap = spec.pop("cap", None)
    return Attention(**spec, softcap=cap).working(), own


def block():
    return Block(Attention(1), Norm("layer", eps=1e-5), "pre", Mlp("gelu")).working()


def of_norm(function, forward=zoo.norm):
    return probe_gradients(function, block(), NORM, "attention.norm", forward=forward)


RIGHT = [("plain", "float64"), ("causal", "float32"), ("groups", "float64"), ("capped", "float16")]
"""A sample of `make gradients`."""


@pytest.mark.parametrize(("name", "dtype"), RIGHT)
def test_right_gradients_are_not_called_wrong(name, dtype):
    """Right gradients agree, and break no property, in every precision."""
    working, own = attention(zoo.RIGHT_HEADS[name])
    heads = zoo.Heads(**own)
    report = probe_gradients(zoo.in_type(heads.backward, dtype), working, forward=zoo.in_type(heads.forward, dtype))
    assert report.verdict == "agrees"
    assert report.fits_forward
    assert not report.failing
    assert not report.wrong
    assert not report.suspects


NAMED = [name for name, (*_, cause, _) in zoo.WRONG_HEADS.items() if cause is not None][::3]
"""A sample of `make gradients`."""


@pytest.mark.parametrize("name", NAMED)
def test_a_wrong_gradient_is_named(name):
    """The deviation is found, the wrong gradients are named, and they are said not to fit the forward pass."""
    spec, faults, cause, wrong = zoo.WRONG_HEADS[name]
    working, own = attention(spec)
    heads = zoo.Heads(**own, **faults)
    report = probe_gradients(heads.backward, working, forward=heads.forward)
    assert [each.deviations for each in report.findings] == [(cause,)]
    assert report.wrong == tuple(f"{each}.grad" for each in wrong.split())
    assert report.fits_forward is False
    assert {each.line for each in report.slopes if each.verdict == "differs"} == set(report.wrong)
    assert report.forward.verdict == "agrees"
    assert all(each.follows for each in report.failing)


def test_a_step_in_single_precision_makes_no_gradient_wrong():
    """What is right to six digits, in numbers so small that nothing is seen to jump, is not listed as wrong."""
    report = probed(LAYERS["mean of losses"], "float32")
    assert "right to some six digits only" in str(report)
    assert report.verdict == "agrees"
    assert report.wrong == ()


def test_a_wrong_gradient_without_a_name():
    """Where no deviation fits, it is still said which gradient is wrong, what is left to look at, and what breaks."""
    spec, faults, _, _ = zoo.WRONG_HEADS["half of the values' features in dq"]
    working, own = attention(spec)
    heads = zoo.Heads(**own, **faults)
    report = probe_gradients(heads.backward, working, forward=heads.forward)
    assert report.verdict == "unexplained"
    assert report.wrong == report.suspects == ("query.grad",)
    assert [each.id for each in report.failing] == ["balance"]
    assert "query.grad does not fit the function's own forward pass" in str(report)
    assert "key.grad and value.grad are right." in str(report)


def test_values_wider_than_queries():
    """Gradients that are wrong only of values wider than queries are reported, if the forward pass takes such."""
    spec, faults, _, _ = zoo.WRONG_HEADS["values as wide as keys in dq (native-sparse-attention-triton#27)"]
    working, own = attention(spec)
    heads = zoo.Heads(**own, **faults)
    report = probe_gradients(heads.backward, working, forward=heads.forward)
    assert (report.verdict, report.fits_forward) == ("unexplained", False)
    assert report.wrong == report.suspects == ("query.grad",)
    assert "Where values are wider than queries its gradients differ." in str(report)
    alone = probe_gradients(heads.backward, working)
    assert (alone.verdict, alone.wrong) == ("agrees", ())
    assert alone.notes == ("Where values are wider than queries its gradients differ.",)


@pytest.mark.parametrize("refused", ["forward", "backward"])
def test_values_that_must_be_as_wide_as_queries(refused):
    """If only the backward pass takes no wider values, this is said; of a forward pass that takes none, nothing is."""
    heads = zoo.Heads()

    def same(function):
        def checked(q, k, v, *rest):
            if q.shape[-1] != v.shape[-1]:
                raise ValueError("values are as wide as queries")
            return function(q, k, v, *rest)

        return checked

    passes = {"forward": heads.forward, "backward": heads.backward}
    passes[refused] = same(passes[refused])
    report = probe_gradients(passes["backward"], attention({})[0], forward=passes["forward"])
    assert report.verdict == "agrees"
    assert report.notes == (() if refused == "forward" else (NARROW,))


NARROW = "It was only tried with values as wide as queries: with wider ones it gives nothing to compare."


@pytest.mark.parametrize(("returns", "function", "says"), [
    ("loss", lambda output, target, dloss: (output, target, dloss),
     "called with 2 arrays (output, target), and its parameters are (output, target, dloss). loss is a single number, "
     "so its gradient is 1 and is not passed."),
    ("loss.token", lambda output, target: (output, target),
     "called with 3 arrays (output, target, loss.token.grad), and its parameters are (output, target). The last is the "
     "gradient of loss.token, which the pass starts with."),
])  # fmt: skip
def test_a_function_of_other_parameters(returns, function, says):
    """A function that takes a gradient where none is passed, or none where one is, is told what it is called with."""
    working = Backward(loss=Loss(reads="logits")).working(Attention(heads=1).working()).backward_of.forward
    report = probe_gradients(function, working, ("output", "target"), returns)
    assert report.verdict == "unexplained"
    assert says in str(report)


def test_gradients_that_fit_a_wrong_forward_pass():
    """Gradients of a forward pass that is wrong itself fit it, and the report says to correct it there."""
    heads = zoo.Heads(causal=True, factor=1)
    report = probe_gradients(heads.backward, attention(zoo.CAUSAL)[0], forward=heads.forward)
    assert report.fits_forward
    assert report.findings[0].deviations == report.forward.findings[0].deviations == ("scale-missing",)
    assert "Correct it there: its gradients follow." in str(report)


def test_right_gradients_beside_a_wrong_forward_pass():
    """Gradients of the working do not fit a forward pass that differs from it, and this is said first."""
    report = probe_gradients(
        zoo.Heads(causal=True).backward, attention(zoo.CAUSAL)[0], forward=zoo.Heads(causal=True, factor=1).forward
    )
    assert (report.verdict, report.fits_forward) == ("agrees", False)
    assert "but see below" in str(report).splitlines()[0]


def test_blocks_of_keys():
    """Gradients computed block by block from the logsumexp, as FlashAttention does it, are right."""
    report = probe_gradients(zoo.by_blocks, Attention(heads=2, causal=True).working())
    assert report.verdict == "agrees"
    assert report.fits_forward is None
    assert not report.slopes


def test_norms():
    """The gradients of a norm, with gain and bias that a batch shares."""
    assert of_norm(zoo.norm_back).verdict == "agrees"
    found = of_norm(zoo.of_input)
    assert found.findings[0].deviations == ("grad-gain-of-input",)
    assert found.wrong == ("attention.norm.gain.grad",)


def test_items_of_a_batch_that_are_averaged():
    """A gradient of what a batch shares is the sum over its items; a mean is named, and is no other mistake."""

    def averaged(*arrays):
        dx, *shared = zoo.norm_back(*arrays)
        return dx, *(grad / len(arrays[0]) for grad in shared)

    found = of_norm(averaged)
    assert [each.id for each in found.failing] == ["together"]
    assert "but see below" in str(found).splitlines()[0]


def test_an_activation_of_another_form():
    """The slope of GELU's other form is found in the gradients of an MLP."""
    found = probe_gradients(
        lambda *a: zoo.mlp_back(*a, slope=zoo.tanh_slope), block(), MLP, "mlp.output", forward=zoo.mlp
    )
    assert found.findings[0].deviations == ("grad-gelu-other",)
    assert found.wrong == ("mlp.norm.grad", "mlp.up.weight.grad")
    assert found.suspects == ("mlp.active.grad", "mlp.up.grad")


def test_a_pytorch_function_of_ones_own():
    """A torch.autograd.Function is taken as it is: its forward pass is compared with differences of it too."""
    torch = pytest.importorskip("torch")

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, v):
            p = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            ctx.save_for_backward(q, k, v, p)
            return p @ v

        @staticmethod
        def backward(ctx, do):
            q, k, v, p = ctx.saved_tensors
            dp = do @ v.mT
            ds = p * (dp - (dp * p).sum(-1, keepdim=True))
            return ds @ k / q.shape[-1] ** 0.5, ds.mT @ q, p.mT @ do

    report = probe_gradients(Own, Attention(heads=2).working())
    assert report.findings[0].deviations == ("grad-scale-missing-in-keys",)
    assert [each.verdict for each in report.slopes] == ["fits", "differs", "fits"]


def test_a_jax_function_with_a_rule_of_its_own():
    """A jax.custom_vjp is taken as it is."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def weights(q, k):
        return jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5)

    @jax.custom_vjp
    def own(q, k, v):
        return weights(q, k) @ v

    def back(kept, do):
        q, k, v = kept
        p, dp = weights(q, k), do @ jnp.swapaxes(v, -1, -2)
        ds = p * dp / q.shape[-1] ** 0.5
        return ds @ k, jnp.swapaxes(ds, -1, -2) @ q, jnp.swapaxes(p, -1, -2) @ do

    own.defvjp(lambda *arrays: (own(*arrays), arrays), back)
    report = probe_gradients(own, Attention(heads=2).working())
    assert report.findings[0].deviations == ("grad-softmax-sum-missing",)
    assert report.fits_forward is False


def test_the_gradients_of_a_library():
    """What PyTorch's own attention gives is right, in bfloat16 too."""
    torch = pytest.importorskip("torch")
    attend = torch.nn.functional.scaled_dot_product_attention
    whole = autograd(attend, "torch")
    half = autograd(lambda *arrays: attend(*(each.bfloat16() for each in arrays)), "torch")
    for function in (whole, half):
        assert probe_gradients(function, Attention(heads=2).working()).verdict == "agrees"


def test_a_forward_pass_that_is_a_staircase():
    """Differences of a forward pass that rounds decide nothing, and the report says so."""

    def rounded(q, k, v):
        return np.round(zoo.Heads().forward(q, k, v) * 4) / 4

    report = probe_gradients(zoo.Heads().backward, attention({})[0], forward=rounded)
    assert report.verdict == "agrees"
    assert report.fits_forward is None
    assert "too rough to tell" in str(report)


def relu_mlp(factor, kept=np.asarray):
    """A forward and a backward pass of an MLP whose activation has a corner, in numbers of a type."""

    def backward(x, up, down, grad):
        x, up, down, grad = map(kept, (x, up, down, grad))
        hidden = x @ up
        inner = (grad @ down.T) * (hidden > 0)
        rows = (tuple(range(x.ndim - 1)),) * 2
        grads = factor * inner @ up.T, np.tensordot(x, inner, rows), np.tensordot(np.maximum(hidden, 0), grad, rows)
        return tuple(map(kept, grads))

    def forward(x, up, down):
        return kept(np.maximum(kept(x) @ kept(up), 0) @ kept(down))

    working = Block(Attention(1), Norm("layer", eps=1e-5), "pre", Mlp("relu")).working()
    return probe_gradients(backward, working, MLP, "mlp.output", forward=forward)


def bfloat16(x):
    return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float64)


@pytest.mark.parametrize("kept", [np.asarray, bfloat16])
def test_corners_of_an_activation_hide_no_wrong_gradient(kept):
    """Derivatives of a ReLU jump, in low precision or not: right gradients agree, and ones off by a tenth do not."""
    assert relu_mlp(1.0, kept).verdict == "agrees"
    for factor in (1.1, 2.0):
        assert "mlp.norm.grad" in relu_mlp(factor, kept).wrong


def test_what_cannot_be_compared():
    """A function that raises, or gives other numbers each time, is said to do so, without any cause."""
    rng = np.random.default_rng(0)

    def noisy(*arrays):
        return tuple(each + rng.normal(size=each.shape) for each in zoo.Heads().backward(*arrays))

    def raises(*_):
        raise ValueError("no")

    for function, kind in ((noisy, "varies"), (raises, "raises")):
        report = probe_gradients(function, attention({})[0])
        assert report.verdict == "unexplained"
        assert kind in {each.kind for each in report.symptoms}
        assert not report.findings
        assert not report.places


def test_the_report_as_data():
    """The report is plain data, with slopes, places and suspects."""
    _, faults, _, _ = zoo.WRONG_HEADS["scale missing in dq"]
    heads = zoo.Heads(causal=True, **faults)
    data = probe_gradients(heads.backward, attention(zoo.CAUSAL)[0], forward=heads.forward).data()
    assert [each["line"] for each in data["slopes"] if each["verdict"] == "differs"] == ["query.grad"]
    assert [each["right"] for each in data["places"]] == [False, True, True]
    assert data["suspects"] == ["query.grad"]


def test_what_is_refused():
    """A thing that is no working, a library that has no gradients, and nothing to compare are refused in words."""
    working = attention({})[0]
    with pytest.raises(SpecError, match="against a working"):
        probe_gradients(zoo.by_blocks, None)
    with pytest.raises(SpecError, match="of torch or jax"):
        autograd(zoo.by_blocks)
    with pytest.raises(SpecError, match="no gradient to compare"):
        probe_gradients(zoo.by_blocks, working, wrt=())
    assert clearhead.Autograd is type(autograd(zoo.by_blocks, "torch"))


def test_a_factor_that_follows_a_size():
    """A gradient that is another multiple of the right one at each size is said with these sizes."""
    right = zoo.Heads()

    def backward(q, k, v, do):
        dq, dk, dv = right.backward(q, k, v, do)
        return dq, dk, dv / k.shape[-2]

    report = probe_gradients(backward, Attention(heads=2).working(), forward=right.forward)
    assert report.wrong == ("value.grad",)
    assert "0.2 at head 2, token 5, depth 4, 0.142857 at head 2, token 7, depth 6" in str(report)


def test_a_mask_that_is_right_for_square_scores():
    """Where only more keys than queries show a fault, the backward pass is not said to do it alone."""

    def weights(q, k):
        s = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        e = np.exp(np.where(np.tri(*s.shape[-2:]) > 0, s, -np.inf))
        return e / e.sum(-1, keepdims=True)

    def backward(q, k, v, do):
        p, dp = weights(q, k), do @ np.swapaxes(v, -1, -2)
        ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
        return ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ do

    report = probe_gradients(
        backward, Attention(heads=2, causal=True).working(), forward=lambda q, k, v: weights(q, k) @ v
    )
    assert [each.deviations for each in report.findings] == [("causal-top-left",)]
    assert "agrees with the working, with as many keys as queries" in str(report)
    assert "computes something again in another way" not in str(report)


def test_a_function_that_raises_is_reported():
    """The report says that it could not be compared, and what it raised."""

    def three(q, k, v):
        return q, k, v

    report = probe_gradients(three, Attention(heads=2).working())
    assert report.verdict == "unexplained"
    assert "It could not be compared with the working." in str(report)
    assert "TypeError" in str(report)
