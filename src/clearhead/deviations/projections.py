"""Deviations in the projections: which weights, transposed or not, of which tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation, Parameter
from clearhead.deviations.rewrites import (
    ALL,
    Nothing,
    belongs_to,
    change_lines,
    is_called,
    line_of,
    reread,
    with_operation,
)
from clearhead.errors import SpecError
from clearhead.line import Line, find
from clearhead.ops import Operation, Parameters
from clearhead.ops.textbook import linear
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working

ROLES = ("query", "key", "value")
INITIALS = {role[0]: role for role in ROLES}
PROJECTS = (linear.project, variants_heads.project_transposed)
BIASES = (linear.head_bias, linear.bias)
_TRANSPOSED = {linear.project: variants_heads.project_transposed, linear.matmul: linear.matmul_transposed}


def _arrays(working: Working, operations: Iterable[Operation]) -> tuple[str, ...]:
    """The given arrays that are the second operand of these operations: weights, or biases."""
    given = {each.name for each in working.givens}
    return tuple(
        line.operands[1] for line in working.lines if line.operation in operations and line.operands[1] in given
    )


def _chosen(working: Working, array: str, operations: Iterable[Operation]) -> tuple[str, ...]:
    """The arrays that a parameter means: one by any ending of its name, or all."""
    known = _arrays(working, operations)
    if not known:
        raise Nothing("no line of this working takes such an array.")
    return known if array == ALL else (find(array, known, what="array that lines take so:"),)


def _weight_transposed(working: Working, array: str) -> Working:
    chosen = _chosen(working, array, _TRANSPOSED)

    def change(line: Line) -> list[Line]:
        return [with_operation(line, _TRANSPOSED[line.operation])]

    def matches(line: Line) -> bool:
        return line.operation in _TRANSPOSED and line.operands[1] in chosen

    return change_lines(working, matches, change, "a product with a weight")


def _try_weights(working: Working) -> tuple[Parameters, ...]:
    return _try_arrays(_arrays(working, _TRANSPOSED))


def _try_arrays(names: tuple[str, ...]) -> tuple[Parameters, ...]:
    every = (ALL,) if len(names) > 1 else ()
    return tuple((("array", name),) for name in (*every, *names))


def _bias_missing(working: Working, array: str) -> Working:
    chosen = _chosen(working, array, BIASES)

    def matches(line: Line) -> bool:
        return line.operation in BIASES and line.operands[1] in chosen

    return change_lines(working, matches, lambda line: [with_operation(line, unchanged)], "a bias")


def _try_biases(working: Working) -> tuple[Parameters, ...]:
    """All biases, except that of the keys where softmax cancels it: where no norm or rotation follows it."""
    seen = any(is_called(line, "key.norm") or is_called(line, "key.rotated") for line in working.lines)
    names = _arrays(working, BIASES)
    tries = _try_arrays(names)
    return tuple(each for each in tries if seen or not each[0][1].endswith("key.bias"))


def _use_arrays_of(working: Working, uses: Mapping[str, str]) -> Working:
    """The projections of some roles with the weights and biases of others."""
    arrays = {
        (role, operations): line.operands[1]
        for operations in (PROJECTS, (linear.head_bias,))
        for role in ROLES
        for line in working.lines
        if line.operation in operations and belongs_to(line, role)
    }
    for role in {*uses, *uses.values()}:
        line_of(working, PROJECTS, role)

    def change(line: Line) -> list[Line]:
        for role, other in uses.items():
            for operations in (PROJECTS, (linear.head_bias,)):
                if line.operation in operations and belongs_to(line, role) and (other, operations) in arrays:
                    return [replace(line, operands=(line.operands[0], arrays[other, operations]))]
        return [line]

    return working.rewrite(change)


def _copied(working: Working, of: str, uses: str) -> Working:
    if of not in ROLES or uses not in ROLES:
        raise SpecError(f"projection-copied expects query, key or value for of and uses; got {of} and {uses}.")
    return _use_arrays_of(working, {of: uses})


def _try_copies(working: Working) -> tuple[Parameters, ...]:
    return tuple((("of", of), ("uses", uses)) for of in ROLES for uses in ROLES if of != uses)


def _order_permuted(working: Working, order: str) -> Working:
    if sorted(order) != sorted(INITIALS):
        raise SpecError(f"fused-order-permuted expects order as the letters q, k and v in some order; got {order!r}.")
    return _use_arrays_of(working, {role: INITIALS[letter] for role, letter in zip(ROLES, order, strict=True)})


def _sources(working: Working) -> tuple[str, str]:
    """The names of the tokens of the queries and of those of the keys."""
    source, memory = (line_of(working, PROJECTS, role).operands[0] for role in ("query", "key"))
    if source == memory:
        raise Nothing("queries and keys are made of the same tokens.")
    return source, memory


def _memory_exchanged(working: Working) -> Working:
    source, memory = _sources(working)
    return _reread_projections(working, ROLES, {source: memory, memory: source})


def _memory_ignored(working: Working) -> Working:
    source, memory = _sources(working)
    return _reread_projections(working, ("key", "value"), {memory: source})


def _value_from_input(working: Working) -> Working:
    source, memory = _sources(working)
    return _reread_projections(working, ("value",), {memory: source})


def _reread_projections(working: Working, roles: Iterable[str], renamed: Mapping[str, str]) -> Working:
    def matches(line: Line) -> bool:
        return line.operation in PROJECTS and any(belongs_to(line, role) for role in roles)

    return change_lines(working, matches, lambda line: [reread(line, renamed)], "a project")


def _value_unprojected(working: Working) -> Working:
    """Uses the tokens, split into heads, in place of the values, without the bias."""
    line = line_of(working, PROJECTS, "value")
    sizes = next((dict(each.sizes) for each in working.givens if each.name == line.operands[1]), {})
    heads = sizes.get(line.axes[-3])
    if heads is None:
        raise Nothing("the number of heads is not known before the arrays are.")
    plain = replace(line, operation=linear.split, operands=line.operands[:1], parameters=(("heads", heads),))
    return _without_bias(working.rewrite(lambda each: [plain if each == line else each]), line)


def _without_bias(working: Working, product: Line) -> Working:
    """Leaves out the bias that is added to a product."""

    def change(line: Line) -> list[Line]:
        is_its = line.operation.role == "bias" and line.operands[0] == product.name
        return [with_operation(line, unchanged) if is_its else line]

    return working.rewrite(change)


def _output_missing(working: Working) -> Working:
    line = line_of(working, (linear.matmul, linear.matmul_transposed), "output")
    if not any(is_called(each, "concat") and each.name in line.operands for each in working.lines):
        raise Nothing("no line of this working projects the concatenated heads.")
    return _without_bias(
        working.rewrite(lambda each: [with_operation(line, unchanged) if each == line else each]), line
    )


ROWS = (
    Deviation(
        id="weight-transposed",
        kind="convention",
        does="Tokens are multiplied by the transpose of a weight matrix (x @ W.T), as if it were stored as (out, in).",
        invisible="Where the matrix is symmetric; where it is not square the product fails.",
        remedy="nn.Linear stores (out, in) and computes x @ W.T; GPT-2's Conv1D stores (in, out). Transpose once, on "
        "loading.",
        seen="LLMs-from-scratch#857, nntile PR#370 and PR#402, ggml#371, AutoGPTQ PR#139.",
        rewrite=_weight_transposed,
        parameters=(Parameter("array", str, "the weight, such as query.weight, or all"),),
        tries=_try_weights,
        catalogue=("B1",),
    ),
    Deviation(
        id="bias-missing",
        kind="mistake",
        does="A bias is not added.",
        invisible="Where it is 0. A key's bias never changes the weights: it adds the same number to all of a "
        "query's scores.",
        remedy="Add it after the product: x @ w + b.",
        seen="TransformerLens, debugging guide, row on biases.",
        rewrite=_bias_missing,
        parameters=(Parameter("array", str, "the bias, such as query.bias, or all"),),
        tries=_try_biases,
        catalogue=("B15",),
    ),
    Deviation(
        id="projection-copied",
        kind="mistake",
        does="One of queries, keys and values is computed with the weights of another.",
        invisible="Where the two weights are equal.",
        remedy="Give each its own weights: q = x @ w_q, k = x @ w_k, v = x @ w_v.",
        seen="ARGMINN#1, FEDformer#1, sequence_labeling_tf PR#81, DNA-Diffusion#235.",
        rewrite=_copied,
        parameters=(
            Parameter("of", str, "query, key or value: the line that is computed"),
            Parameter("uses", str, "query, key or value: whose weights it is computed with"),
        ),
        tries=_try_copies,
        catalogue=("B8",),
    ),
    Deviation(
        id="fused-order-permuted",
        kind="mistake",
        does="The three parts of a fused projection are read in another order than they are stored.",
        invisible="Where the weights of the exchanged parts are equal.",
        remedy="Look the order up and split by it: q, k, v = np.split(x @ w_qkv, 3, axis=-1).",
        seen="ARGMINN#1, sequence_labeling_tf PR#81, DNA-Diffusion#235.",
        rewrite=_order_permuted,
        parameters=(Parameter("order", str, "the parts read as query, key and value, such as qvk"),),
        tries=lambda working: tuple((("order", order),) for order in ("kqv", "qvk", "vkq", "kvq", "vqk")),
        catalogue=("B8",),
    ),
    Deviation(
        id="memory-exchanged",
        kind="mistake",
        does="Cross-attention with exchanged sources: queries come from the memory, keys and values from the input.",
        invisible="In self-attention, or where memory and input are the same.",
        remedy="q = x @ w_q; k, v = memory @ w_k, memory @ w_v: queries of the decoder, the rest of the encoder.",
        seen="ml-cvnets#81.",
        rewrite=_memory_exchanged,
        catalogue=("B10",),
    ),
    Deviation(
        id="memory-ignored",
        kind="mistake",
        does="Keys and values are computed from the input, not from the memory: self-attention where cross-attention "
        "is meant.",
        invisible="In self-attention, or where memory and input are the same.",
        remedy="k, v = memory @ w_k, memory @ w_v.",
        seen="L2LTR#1 and ml-cvnets#81, the same family.",
        rewrite=_memory_ignored,
        catalogue=("B10",),
    ),
    Deviation(
        id="value-from-input",
        kind="mistake",
        does="In cross-attention, values are computed from the input, keys from the memory.",
        invisible="In self-attention, or where memory and input are the same.",
        remedy="v = memory @ w_v, from the same tokens as k.",
        seen="L2LTR#1.",
        rewrite=_value_from_input,
        catalogue=("B10",),
    ),
    Deviation(
        id="value-unprojected",
        kind="mistake",
        does="The values are the tokens themselves, split into heads, without a projection.",
        invisible="Where the value weights side by side are the identity.",
        remedy="v = x @ w_v before the weights are applied.",
        seen="anyup#27.",
        rewrite=_value_unprojected,
        catalogue=("F12",),
    ),
    Deviation(
        id="output-projection-missing",
        kind="mistake",
        does="The concatenated heads are the output, without the output projection.",
        invisible="Where the output weight is the identity.",
        remedy="np.concatenate(heads, axis=-1) @ w_o.",
        seen="Kyubyong/transformer#117 and PR#17, ChampSim PR#567, d2l-en PR#439.",
        rewrite=_output_missing,
        catalogue=("G2",),
    ),
)
