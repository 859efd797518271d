"""What is measured of norms, MLPs, blocks and weights inside: the part that differs, or the deviation that does it."""

import ml_dtypes
import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Mlp, Norm

from .block_faults import FAULTS
from .block_pieces import attention, layer

pytestmark = pytest.mark.sweep(3)

RMS = Block(Attention(heads=2), norm=Norm("rms", eps=1e-6))


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_said_and_named(name):
    """Each fault is said by its part, with its number, and gets its name where the table has one."""
    fault = FAULTS[name]
    report = clearhead.probe(fault.function, fault.working, fault.takes, fault.returns, given=fault.given)
    said = str(report)
    assert report.verdict == "explained" or not fault.deviations, said
    assert report.measured is not None
    assert fault.part in (*report.measured.names, ""), said
    assert fault.says in said
    found = {id for each in report.findings for id in each.ids}
    assert set(fault.deviations) <= found, said


@pytest.mark.parametrize(("kind", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_a_mean_square_of_fewer_bits_is_no_fault(kind, bits):
    """A norm that is right but for the bits of its mean square agrees, and these bits are said."""

    def norm(x, g):
        square = (x * x).mean(-1, keepdims=True).astype(getattr(ml_dtypes, kind, kind)).astype(np.float64)
        return x / np.sqrt(square + 1e-6) * g

    report = clearhead.probe(norm, RMS.working(), ("residual", "norm.gain"), "norm")
    assert report.verdict == "agrees", str(report)
    assert f"right to {bits} bits" in str(report)


def test_a_search_does_not_contradict_what_was_measured():
    """An eps that is a least mean square, in one norm of a block, is not named as another eps that is added."""

    def block(x, g, wq, wk, wv, wo):
        n = x / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True), 1e-6)) * g
        return x + attention(n, wq, wk, wv, wo)

    spec = Block(Attention(heads=2, causal=True), norm=Norm("rms", eps=1e-6), placement="pre")
    takes = ("input", "norm.gain", "query.weight", "key.weight", "value.weight", "output.weight")
    report = clearhead.probe(block, spec.working(), takes, "residual")
    assert report.verdict == "unexplained", str(report)


def test_what_is_measured_to_differ_is_not_called_half_precision():
    """A leak of 0.01 in a ReLU is said by its curve; numbers right to two digits are no sign of half precision."""

    def block(x, wq, wk, wv, wo, up, down):
        y = x + attention(layer(x), wq, wk, wv, wo)
        hidden = layer(y) @ up
        return y + np.where(hidden > 0, hidden, 0.01 * hidden) @ down

    norm = Norm("layer", eps=1e-5, gain=False, bias=False)
    spec = Block(Attention(heads=2, causal=True), norm=norm, placement="pre", mlp=Mlp("relu"))
    weights = tuple(f"attention.{name}.weight" for name in ("query", "key", "value", "output"))
    takes = ("input", *weights, "mlp.up.weight", "mlp.output.weight")
    said = str(clearhead.probe(block, spec.working(), takes, "mlp.residual"))
    assert "leaky relu of slope 0.01(x), where relu(x) is expected" in said
    assert "half precision" not in said


def test_a_deviation_of_one_half_has_its_remedy():
    """What to change in one half is said with the name of this half."""
    fault = FAULTS["residual_from_norm_in_one_half"]
    said = str(clearhead.probe(fault.function, fault.working, fault.takes, fault.returns, given=fault.given))
    assert "To fix it: x = x + mlp(norm(x)): keep x under its own name." in said, said
