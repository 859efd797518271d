"""The type whose arithmetic gave some numbers."""

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from clearhead import Attention, Claim, Positions, compare, diagnose
from clearhead.problems import read_problem

from .single import in_single

WORKING = Attention(heads=1, output=False).working().starting_at("query", "key", "value")


def test_numbers_of_bfloat16_printed_to_four_decimals_are_not_called_float16():
    """PyTorch prints four decimals, which show that a number has eight bits, though float16 could hold it as well."""
    torch.manual_seed(3)
    arrays = {name: torch.randn(1, 5, 4).mul(10).round().div(4) for name in ("query", "key", "value")}
    query, key, value = (each.to(torch.bfloat16) for each in arrays.values())
    weights = torch.softmax(query @ key.transpose(1, 2) / 2, -1)
    claims = [
        Claim(line, tuple(tuple(f"{number:.4f}" for number in row) for row in numbers[0].float().tolist()))
        for line, numbers in (("weights@1", weights), ("head@1", weights @ value))
    ]
    report = diagnose(claims, WORKING.run({name: each.numpy().astype(np.float64) for name, each in arrays.items()}))
    assert (report.verdict, report.precision.kind) == ("agrees", "bfloat16")


def test_masked_cells_do_not_disturb_the_largest_difference(recwarn):
    """Minus infinity in a claim and in the working is no difference, and nothing to warn of."""
    spec = Attention(heads=1, output=False, causal=True)
    working = spec.working().starting_at("query", "key", "value")
    rng = np.random.default_rng(0)
    exact = {name: rng.normal(size=(1, 3, 2)) for name in ("query", "key", "value")}
    masked = working.run(exact)["masked"][0]
    claim = Claim("masked@1", tuple(tuple(f"{number:.4f}" for number in row) for row in masked))
    report = diagnose([claim], working.run({name: array.round(3) for name, array in exact.items()}))
    assert (report.verdict, report.precision.kind) == ("agrees", "givens")
    assert not recwarn.list


def test_numbers_of_float16_are_as_precise_as_their_type_behind_a_deviation_too():
    """Another layout is found in numbers of float16, however small the working's numbers are in their place."""
    trace = Positions("sinusoidal", width=10).working().run({"index": np.arange(4)})
    angle = np.arange(4)[:, None] * 10000.0 ** (-np.arange(0, 10, 2) / 10)
    claimed = np.concatenate([np.sin(angle), np.cos(angle)], -1).astype(np.float16)
    report = diagnose([Claim.of("position", claimed)], trace)
    assert report.first.ids == ("sinusoid-concatenated",)


def test_claims_agree_within_the_precision_in_which_they_are_right():
    """Compared with the slack of their precision all cells agree; a number beyond it does not, and has none."""
    problem = read_problem("encoder-block")
    trace, claims = problem.trace(), in_single(problem, "attention.norm", "mlp.norm")
    report = diagnose(claims, trace)
    assert (report.verdict, report.precision.kind) == ("agrees", "float32")
    assert not compare(claims, trace).agrees
    assert compare(report.within, trace).agrees
    (norm,) = in_single(problem, "mlp.norm")
    far = replace(norm, written=((str(float(norm.written[0][0]) + 0.2), *norm.written[0][1:]), *norm.written[1:]))
    assert diagnose([far], trace).within == ()


def test_a_tie_that_single_precision_decides_otherwise_is_right():
    """cos(0.01), a little above 0.99995, is below it in float32: PyTorch prints 0.9999, and that is right."""
    angle = torch.arange(30)[:, None] * torch.tensor([1.0, 0.01])
    claimed = torch.stack([angle.sin(), angle.cos()], -1).reshape(30, 4)
    printed = tuple(tuple(f"{number:.4f}" for number in row) for row in claimed.tolist())
    assert printed[1][3] == "0.9999"
    trace = Positions("sinusoidal", width=4).working().run({"index": np.arange(30)})
    assert f"{trace['position'][1, 3]:.4f}" == "1.0000"
    report = diagnose([Claim("position", printed)], trace)
    assert (report.verdict, report.precision.kind) == ("agrees", "float32")


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_difference_that_is_said_is_the_largest(seed):
    """Of all claimed lines none differs by more, and it is no more than what is said to be allowed."""
    rng = np.random.default_rng(seed)
    exact = {name: rng.normal(size=(1, 3, 2)) for name in ("query", "key", "value")}
    lines = {name: WORKING.run(exact)[name] for name in ("scores", "weights", "head")}
    claims = [
        Claim(name, tuple(tuple(tuple(f"{n:.4f}" for n in row) for row in head) for head in numbers.tolist()))
        for name, numbers in lines.items()
    ]
    trace = WORKING.run({name: array.round(4) for name, array in exact.items()})
    precision = diagnose(claims, trace).precision
    differences = [np.abs(np.array(each.written, dtype=float) - trace[each.line]).max() for each in claims]
    assert precision.kind == "givens"
    assert precision.largest == pytest.approx(max(differences))
    assert precision.largest <= precision.allowed
