"""The ONNX project's own node tests of the attention family, as plain data.

The expected outputs are not stored anywhere: the modules of `onnx.backend.test.case.node` compute them with ONNX's
reference implementation while they are imported, and append them to one list of the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from msgspec import Struct

MODULES = {
    "Attention": "attention",
    "RotaryEmbedding": "rotaryembedding",
    "LayerNormalization": "layernormalization",
    "RMSNormalization": "rmsnormalization",
}
"""The operators, and where their cases are made."""

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Case(Struct, frozen=True):
    """One node with its inputs and expected outputs, under the names of the operator's schema."""

    name: str
    operator: str
    attributes: Mapping[str, Any]
    inputs: Arrays
    expected: Arrays
    rtol: float
    atol: float


TRAINING = {
    "NegativeLogLikelihoodLoss": "negativeloglikelihoodloss",
    "SoftmaxCrossEntropyLoss": "softmax_cross_entropy_loss",
    "Adagrad": "adagrad",
    "Adam": "adam",
    "Momentum": "momentum",
}
"""The same of losses and optimizers."""


def cases(modules: Mapping[str, str] = MODULES) -> list[Case]:
    """All base cases: those in which the operator stands as one node, not expanded into its function body."""
    # collect_testcases() would import the modules of all operators, 12 s and many warnings; these four take under 1 s.
    package = import_module("onnx.backend.test.case.node")
    for module in modules.values():
        import_module(f"{package.__name__}.{module}")
    return [_case(test) for test in package._NodeTestCases if _operator(test) in modules]


def _operator(test: Any) -> str | None:
    nodes = test.model.graph.node
    return nodes[0].op_type if len(nodes) == 1 else None


def _case(test: Any) -> Case:
    (node,) = test.model.graph.node
    own = ("", "ai.onnx") if not node.domain else (node.domain,)
    (opset,) = (each.version for each in test.model.opset_import if each.domain in own)
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    attribute = onnx.helper.get_attribute_value
    defaults = {name: each.default_value for name, each in schema.attributes.items() if each.default_value.name}
    attributes = {name: attribute(value) for name, value in defaults.items()}
    attributes |= {each.name: attribute(each) for each in node.attribute}
    ((inputs, outputs),) = test.data_sets
    return Case(
        test.name,
        node.op_type,
        attributes,
        dict(_named(schema.inputs, node.input, inputs)),
        dict(_named(schema.outputs, node.output, outputs)),
        test.rtol,
        test.atol,
    )


def _named(formal: Any, actual: Any, arrays: Any) -> Iterator[tuple[str, Any]]:
    """Arrays under their formal names; a slot left out of the node is an empty name, and has no array."""
    present = iter(arrays)
    for slot, name in enumerate(actual):
        if name:
            yield (formal[slot].name if slot < len(formal) - 1 or len(actual) <= len(formal) else name), next(present)
