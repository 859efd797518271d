"""Deviations in the scores: their product and their scale."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.deviations.deviation import MAX_DECIMALS, Deviation, Parameter, Rewrite, Span, values
from clearhead.deviations.projections import PROJECTS
from clearhead.deviations.rewrites import (
    Nothing,
    belongs_to,
    change_lines,
    line_of,
    move,
    swap,
    with_operation,
)
from clearhead.deviations.softmax import is_softmax
from clearhead.errors import SpecError
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.operation import as_parameters
from clearhead.ops.textbook import linear
from clearhead.ops.textbook import scores as ops
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working


def is_scale(line: Line) -> bool:
    """Whether a line scales scores, wherever it stands."""
    left_out = line.operation is variants_heads.unchanged and belongs_to(line, "scaled")
    scales = line.operation.role == "scale" or left_out
    return scales and line.axes[-2:] == ("query", "key") and not belongs_to(line, "capped")


def is_softcap(line: Line) -> bool:
    """Whether a line caps scores."""
    return line.operation.role == "cap"


def _scale_after_softmax(working: Working) -> Working:
    """Removes the scale from the scores and applies it to the weights."""
    if not any(map(is_scale, working.lines)):
        raise Nothing("no line of this working is a scale.")
    if not any(map(is_softmax, working.lines)):
        raise Nothing("no line of this working is a softmax.")
    renamed: dict[str, str] = {}
    waiting: list[Line] = []

    def change(line: Line) -> list[Line]:
        line = replace(line, operands=tuple(renamed.get(name, name) for name in line.operands))
        if is_scale(line):
            renamed[line.name] = line.operands[0]
            waiting.append(line)
            return []
        if is_softmax(line) and waiting:
            unscaled = replace(line, name=free_name(f"{line.name}.unscaled", working.names))
            moved = waiting.pop()
            return [unscaled, replace(moved, name=line.name, operands=(unscaled.name, *moved.operands[1:]))]
        return [line]

    rewritten = working.rewrite(change)
    if waiting:
        raise Nothing("no softmax follows the scale.")
    return rewritten


_HIDE = (ops.mask_boolean, ops.mask_padding, ops.mask_causal, ops.mask_window)
"""Masks that no scale changes."""


def _scale_after_mask(working: Working) -> Working:
    chains = [line for line in working.lines if line.axes[-2:] == ("query", "key") and not is_softmax(line)]
    if any(map(is_softcap, chains)):
        behind = chains[next((at for at, line in enumerate(chains) if is_scale(line)), len(chains)) + 1 :]
        if all(is_softcap(line) or line.operation in _HIDE for line in behind):
            raise Nothing("masks that hide keys are all that follows the soft-cap: softcap-before-scale is the same.")
    return move(working, is_scale, is_softmax, "a scale that is followed by masks or biases")


def _scale_missing(working: Working) -> Working:
    return change_lines(working, is_scale, lambda line: [with_operation(line, variants_heads.unchanged)], "a scale")


def _scale_by_model(working: Working) -> Working:
    """Divides by the root of the width of the queries' tokens."""
    tokens = line_of(working, PROJECTS, "query").operands[0]

    def change(line: Line) -> list[Line]:
        return [_scaled(line, ops.scale_by_depth, tokens)]

    return change_lines(working, is_scale, change, "a scale")


def _by_query(by_depth: Operation, power: float) -> Rewrite:
    """A rewrite of a scale by depth to another operation, and of a scale by a number to a power of that number."""

    def rewrite(working: Working) -> Working:
        def change(line: Line) -> list[Line]:
            if line.operation is ops.scale:
                factor = dict(line.parameters)["factor"]
                if factor <= 0:
                    raise SpecError(f"The scale {factor} is not above 0, so it has no such power.")
                return [replace(line, parameters=(("factor", factor**power),))]
            return [replace(line, operation=by_depth)]

        def matches(line: Line) -> bool:
            return is_scale(line) and line.operation in (ops.scale_by_depth, ops.scale)

        return change_lines(working, matches, change, "a scale_by_depth or scale")

    return rewrite


def _scaled(line: Line, operation: Operation, *more: str, **parameters: float) -> Line:
    return replace(line, operation=operation, operands=(line.operands[0], *more), parameters=as_parameters(parameters))


def _scale_by_depth(working: Working) -> Working:
    query = _product(working).operands[0]
    return change_lines(
        working,
        lambda line: is_scale(line) and line.operation is ops.scale,
        lambda line: [_scaled(line, ops.scale_by_depth, query)],
        "a scale that the model states",
    )


def _scale_by_all_heads(working: Working) -> Working:
    query = _product(working).operands[0]
    return change_lines(
        working, is_scale, lambda line: [_scaled(line, variants_scores.scale_by_all_heads, query)], "a scale"
    )


def _scale_by_keys(working: Working) -> Working:
    return change_lines(working, is_scale, lambda line: [_scaled(line, variants_scores.scale_by_keys)], "a scale")


def _scale_factor(working: Working, factor: float) -> Working:
    return change_lines(working, is_scale, lambda line: [_scaled(line, ops.scale, factor=factor)], "a scale")


def _product(working: Working) -> Line:
    """The line that multiplies queries with keys."""
    for line in working.lines:
        if line.operation.role == "product" and line.axes[-2:] == ("query", "key"):
            return line
    raise Nothing("no line of this working is a product of queries and keys.")


def _exchanged(working: Working) -> Working:
    product = _product(working)
    turned = replace(product, operands=product.operands[::-1])
    return working.rewrite(lambda line: [turned if line == product else line])


def _not_transposed(working: Working) -> Working:
    product = _product(working)
    return working.rewrite(lambda line: [replace(line, operation=linear.matmul) if line == product else line])


def _elementwise(working: Working) -> Working:
    product = _product(working)
    cells = replace(product, operation=linear.multiply)
    return working.rewrite(lambda line: [cells if line == product else line])


_DEPTH_1 = "Where the depth is 1."

ROWS = (
    Deviation(
        id="query-key-exchanged",
        kind="mistake",
        does="Queries and keys are exchanged: the scores are transposed.",
        invisible="Where the scores are symmetric, as with equal query and key weights and no masks.",
        remedy="q @ k.T: a row for each query, a column for each key.",
        seen="femtoGPT#30, llm.c PR#531 (looked like it), FasterTransformer#76.",
        rewrite=_exchanged,
        catalogue=("B9",),
    ),
    Deviation(
        id="keys-not-transposed",
        kind="mistake",
        does="Queries are multiplied by the keys, not by their transpose; it runs where there are as "
        "many keys as features.",
        invisible="Where each head's matrix of keys is symmetric.",
        remedy="q @ k.T, or q @ k.transpose(-2, -1).",
        seen="The family of D10, products along the wrong axis; no thread is known.",
        rewrite=_not_transposed,
        catalogue=("D10",),
    ),
    Deviation(
        id="query-key-elementwise",
        kind="mistake",
        does="Queries and keys are multiplied cell by cell, not as matrices; it runs where there are as many keys as "
        "features.",
        invisible="Never on ordinary data.",
        remedy="q @ k.T (or np.matmul, torch.matmul), not q * k.",
        seen="The family of D10: DUET#6, pypto-lib PR#186.",
        rewrite=_elementwise,
        catalogue=("D10",),
    ),
    Deviation(
        id="scale-missing",
        kind="mistake",
        does="The scores are not scaled.",
        invisible=_DEPTH_1,
        remedy="q @ k.T / sqrt(d), with d the depth of one head.",
        seen="mlc-llm PR#3426, tiny-transformers#71, MONAI GenerativeModels#146, RaBitQCache PR#1.",
        rewrite=_scale_missing,
        catalogue=("D3", "D7"),
    ),
    Deviation(
        id="scale-by-model",
        kind="mistake",
        does="The scores are divided by the root of the model's width, not of one head's depth.",
        invisible="Where both are equal, as with one head.",
        remedy="Divide by sqrt(q.shape[-1]) of the split heads: (d_model // heads) ** 0.5.",
        seen="vit-pytorch#65, ng-video-lecture PR#6, dfdx#171, TMUnet#13, set_transformer#18, train-llm-from-scratch "
        "PR#3, ViT-CIFAR PR#11, DL4Proteins#12.",
        rewrite=_scale_by_model,
        catalogue=("D1",),
    ),
    Deviation(
        id="scale-by-all-heads",
        kind="mistake",
        does="The scores are divided by the root of all heads' depth together, heads * depth.",
        invisible="Where there is one head.",
        remedy="Divide by sqrt(q.shape[-1]) after splitting into heads.",
        seen="vit-pytorch#65, dfdx#171: the same, where the model is as wide as its heads together.",
        rewrite=_scale_by_all_heads,
        catalogue=("D1",),
    ),
    Deviation(
        id="scale-by-keys",
        kind="mistake",
        does="The scores are divided by the root of the number of keys.",
        invisible="Where there are as many keys as features in a head.",
        remedy="Divide by sqrt(d): k.shape[-1], not k.shape[-2] nor len(k).",
        seen="The family of D1: the wrong size under the root; no thread is known.",
        rewrite=_scale_by_keys,
    ),
    Deviation(
        id="scale-rounded",
        kind="mistake",
        does="The scores are divided by a rounded root of the depth, such as 1.41 for 2 or 1.7 for 3.",
        invisible="Where the root is a whole number.",
        remedy="Divide by np.sqrt(d), or carry four decimals: 1.4142, 1.7321, 2.2361.",
        seen="Hand solutions; no public thread is known.",
        rewrite=swap({ops.scale_by_depth: variants_scores.scale_by_rounded_root}),
        parameters=(Parameter("decimals", int, "how many the root is rounded to", least=0, most=MAX_DECIMALS),),
        tries=values("decimals", 2, 1),
        catalogue=("H1",),
    ),
    Deviation(
        id="scale-squared",
        kind="mistake",
        does="The scores are divided by the depth, not by its root: the root is missing, or the scale applied twice.",
        invisible=_DEPTH_1,
        remedy="Scale once: either q before the product or the scores after it, by 1 / sqrt(d).",
        seen="maxtext#3138, xtuner PR#873 (twice); ferrox PR#243 (meant so, Jais).",
        rewrite=_by_query(variants_scores.divide_by_depth, 2),
        catalogue=("D4", "D6"),
    ),
    Deviation(
        id="scale-halved",
        kind="mistake",
        does="The scores are divided by the fourth root of the depth: queries got half of the scale, keys did not.",
        invisible=_DEPTH_1,
        remedy="Split over both, q * d**-0.25 and k * d**-0.25, or do it once, q * d**-0.5.",
        seen="The family of D4; ONNX and Whisper split the scale over queries and keys, which is right.",
        rewrite=_by_query(variants_scores.divide_by_fourth_root, 0.5),
    ),
    Deviation(
        id="scale-inverted",
        kind="mistake",
        does="The scores are multiplied by the number that they should be divided by.",
        invisible=_DEPTH_1,
        remedy="q @ k.T / sqrt(d); a parameter called scale is mostly 1 / sqrt(d) already.",
        seen="maxtext#1370, Megatron-LM PR#848.",
        rewrite=_by_query(variants_scores.multiply_by_root_depth, -1),
        catalogue=("D5",),
    ),
    Deviation(
        id="scale-factor",
        kind="convention",
        does="The scores are multiplied by a constant instead of 1 / sqrt(depth).",
        invisible="Where it equals 1 / sqrt(depth).",
        remedy="Take the scale of the model: Gemma's query_pre_attn_scalar**-0.5, Granite's "
        "attention_multiplier, 1 in T5.",
        seen="ferrox#40 and #65, TransformerLens PR#694, transformers#31891, llama.cpp PR#8444, mlc-llm PR#3485.",
        rewrite=_scale_factor,
        parameters=(Parameter("factor", float, "what the scores are multiplied by", span=Span(1e-3, 1e3)),),
        tries=values("factor", 0.0625, 0.08838834764831845, 0.125, 0.5),
        catalogue=("D7",),
    ),
    Deviation(
        id="scale-by-depth",
        kind="mistake",
        does="The scores are divided by the root of the depth, where the model states another scale.",
        invisible="Where that scale is 1 / sqrt(depth).",
        remedy="Pass it on: scaled_dot_product_attention(q, k, v, scale=...), or q * scale before q @ k.T.",
        seen="ferrox#40 and #65, TransformerLens PR#694, mlc-llm PR#3485.",
        rewrite=_scale_by_depth,
        catalogue=("D7",),
    ),
    Deviation(
        id="scale-after-mask",
        kind="convention",
        does="The scale is applied after masks and biases were added, so that it scales these too; masks of 0 and "
        "minus infinity stay as they are.",
        invisible="Where masks hold only 0 and minus infinity, and no bias is added.",
        remedy="scores = q @ k.T / sqrt(d) + mask, in this order.",
        seen="mlx#2626, OpenSeq2Seq PR#76, transformers PR#8518 and PR#4499.",
        rewrite=_scale_after_mask,
        catalogue=("D9", "C12"),
    ),
    Deviation(
        id="scale-after-softmax",
        kind="mistake",
        does="The weights, not the scores, are divided by the square root of the depth: a query's weights sum "
        "to 1/sqrt(depth), not to 1.",
        invisible=_DEPTH_1,
        remedy="Divide the scores before the softmax: softmax(q @ k.T / sqrt(d)) @ v.",
        seen="The lecture behind the notebook this project grew from: softmax(Q K^T) / sqrt(d_k) V; ViT#2.",
        rewrite=_scale_after_softmax,
        catalogue=("D2",),
    ),
)
