"""ONNX's reference evaluator as a function to be probed: what it does is found without being told."""

import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import clearhead
from clearhead import Attention

CAP = 2.0


def evaluator(output, **attributes):
    """The Attention operator as a function of queries, keys and values, for one of its outputs."""
    outputs = ["Y", "", "", "scores"] if output == "scores" else ["Y"]
    node = helper.make_node("Attention", ["Q", "K", "V"], outputs, **attributes)
    given = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in "QKV"]
    made = [helper.make_tensor_value_info(output, TensorProto.UNDEFINED, None)]
    graph = helper.make_graph([node], "attention", given, made)
    session = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)]))
    return lambda q, k, v: session.run([output], {"Q": q, "K": k, "V": v})[0]


def test_onnx_1_23_2_returns_capped_scores_for_raw_ones():
    """With a soft-cap, qk_matmul_output_mode 0 gives the capped scores, where the specification says the raw ones."""
    assert onnx.__version__ == "1.23.2"
    function = evaluator("scores", softcap=CAP, qk_matmul_output_mode=0)
    report = clearhead.probe(function, Attention(heads=2, softcap=CAP).working(), returns="scaled")
    assert report.verdict == "explained"
    assert [each.kind for each in report.symptoms] == ["line"]
    assert "What it returns as scaled is capped" in str(report)


@pytest.mark.parametrize(
    ("attributes", "options", "returns", "output"),
    [
        ({}, {}, "head", "Y"),
        ({"softcap": CAP}, {"softcap": CAP}, "head", "Y"),
        ({"is_causal": 1}, {"causal": True}, "head", "Y"),
        ({"scale": 0.3}, {"scale": 0.3}, "head", "Y"),
        ({"qk_matmul_output_mode": 0}, {}, "scaled", "scores"),
        ({"softcap": CAP, "qk_matmul_output_mode": 1}, {"softcap": CAP}, "capped", "scores"),
        ({"qk_matmul_output_mode": 3}, {}, "weights", "scores"),
    ],
)
def test_the_rest_of_the_evaluator_agrees(attributes, options, returns, output):
    """Without a soft-cap, and in its other outputs, the evaluator computes what its specification says."""
    report = clearhead.probe(evaluator(output, **attributes), Attention(heads=2, **options).working(), returns=returns)
    assert report.verdict == "agrees", str(report)
    assert not report.failing


def test_a_wrong_option_of_the_evaluator_is_named():
    """A soft-cap that was left out, and a scale of another model, come back as such."""
    uncapped = clearhead.probe(evaluator("Y"), Attention(heads=2, softcap=CAP).working())
    assert uncapped.explained_by("softcap-missing")
    unscaled = clearhead.probe(evaluator("Y", scale=1.0), Attention(heads=2).working())
    assert unscaled.explained_by("scale-missing")
