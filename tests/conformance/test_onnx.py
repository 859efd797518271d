"""The ONNX project's node tests of attention, rotary positions and norms, answered from clearhead's traces."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from .onnx_adapter import attention, inspection, outputs
from .onnx_cases import Case, cases

CASES = {case.name: case for case in cases()}

TOLERANCES = {"float32": 2e-4, "float16": 1e-3, "bfloat16": 2**-6}
"""Relative: five times tighter than the suite's in float32, the suite's own in half precisions."""


def test_all_base_cases_are_here() -> None:
    """The pinned suite has 139 base cases, and every one of them is run."""
    assert Counter(case.operator for case in CASES.values()) == {
        "Attention": 93,
        "RotaryEmbedding": 8,
        "LayerNormalization": 19,
        "RMSNormalization": 19,
    }


def test_disagreements_are_documented() -> None:
    """The documents say that no case had to be answered otherwise than the suite has it."""
    conventions = (Path(__file__).parents[2] / "docs" / "explanation" / "conventions.md").read_text(encoding="utf-8")
    assert f"None of the {len(CASES)} stored outputs contradicts the written specification" in conventions


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_node(case: Case) -> None:
    """Every output of the node comes out of one trace, in the node's shape and type, within the suite's tolerance."""
    found = outputs(case)
    assert found.keys() == case.expected.keys()
    for name, expected in case.expected.items():
        assert found[name].shape == expected.shape, name
        assert found[name].dtype == expected.dtype, name
        rtol = TOLERANCES[expected.dtype.name]
        np.testing.assert_allclose(_float64(found[name]), _float64(expected), rtol, case.atol, err_msg=name)


ATTENTION = {name: case for name, case in CASES.items() if case.operator == "Attention"}


@pytest.mark.parametrize("case", ATTENTION.values(), ids=ATTENTION)
def test_inspection(case: Case) -> None:
    """The fused kernel gives the output of every Attention node, too."""
    expected = case.expected["Y"]
    found = inspection(case.attributes, case.inputs)["Y"].astype(expected.dtype)
    assert found.shape == expected.shape
    np.testing.assert_allclose(_float64(found), _float64(expected), TOLERANCES[expected.dtype.name], case.atol)


def test_four_score_stages_of_one_node() -> None:
    """The four modes of qk_matmul_output are four lines of the trace: scaled, capped, masked, and as shares of one."""
    case = CASES["test_attention_4d_with_qk_matmul_softcap"]
    q, k, mask = (_float64(case.inputs[name]) for name in ("Q", "K", "attn_mask"))
    scaled = q @ k.swapaxes(-1, -2) / np.sqrt(8)
    capped = 2 * np.tanh(scaled / 2)
    masked = capped + mask
    shares = np.exp(masked) / np.exp(masked).sum(-1, keepdims=True)
    for mode, expected in enumerate((scaled, capped, masked, shares)):
        found = attention({**case.attributes, "qk_matmul_output_mode": mode}, case.inputs)["qk_matmul_output"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=16 * 2.0**-23 * np.abs(expected).max())


def _float64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)
