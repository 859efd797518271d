"""Specs: what they refuse, and the lines they stand for."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from clearhead import spec
from clearhead.errors import ProblemError, SpecError
from clearhead.problems.reader import parse_problem
from clearhead.spec import Attention, Block, Embedding, Head, Linear, Mlp, Norm, Positions, Rotary, Transformer
from clearhead.spec.fields import Spec

REFUSED = [
    (lambda: Attention(2, scale=float("nan")), "Attention scale expects a finite number, got nan."),
    (lambda: Attention(2, softcap=float("inf")), "Attention softcap expects a finite number, got inf."),
    (lambda: Attention(2, window=2**70), "Attention window expects a finite number, got 11805916207174"),
    (lambda: Attention(2, scale=10**400), "Attention scale expects a number or None, got 1000000"),
    (lambda: Rotary(scaling=Linear(0)), "Linear factor expects a number above 0, got 0."),
    (lambda: Attention(heads=0), "heads expects 1 or more, got 0."),
    (lambda: Attention(heads=4, kv_heads=3), "kv_heads expects a divisor of heads=4, got 3"),
    (lambda: Attention(heads=4, kv_heads=0), "kv_heads expects a divisor of heads=4, got 0"),
    (lambda: Attention(heads=2, kv_heads=4), "kv_heads expects a divisor of heads=2, got 4"),
    (lambda: Attention(heads=1, softcap=0.0), "softcap expects a number above 0, got 0.0."),
    (lambda: Attention(heads=1, window=-1), "window expects a number above 0, got -1."),
    (lambda: Attention(heads=1, mask="bool"), "Attention mask expects 'additive', 'boolean' or None, got 'bool'."),
    (
        lambda: Attention(heads=1, bias=("query", "gate")),
        "Attention bias expects a tuple of ('key', 'output', 'query' or 'value') or True or False, got",
    ),
    (lambda: Attention(heads=1, bias=("output",), output=False), "bias names output, but output is false."),
    (lambda: Attention(heads=1, memory=True, rotary=Rotary()), "memory goes without rotary and cache"),
    (lambda: Attention(heads=1, memory=True, cache=True), "memory goes without rotary and cache"),
    (lambda: Rotary(layout="quarter"), "Rotary layout expects 'half' or 'interleaved', got 'quarter'."),
    (lambda: Rotary(base=0.0), "rotary base expects a number above 0, got 0.0."),
    (lambda: Rotary(width=3), "rotary width expects an even number of features, got 3."),
    (lambda: Rotary(width=0), "rotary width expects an even number of features, got 0."),
    (lambda: Norm("batch"), "Norm kind expects 'layer' or 'rms', got 'batch'."),
    (lambda: Norm(eps=-1e-5), "norm eps expects 0 or more, got -1e-05."),
    (lambda: Norm(eps=float("nan")), "Norm eps expects a finite number, got nan."),
    (lambda: Norm(gain=False, bias=True), "norm bias comes with a gain."),
    (
        lambda: Mlp("swish"),
        "Mlp activation expects 'gelu', 'gelu-sigmoid', 'gelu-tanh', 'relu', 'relu-squared', 'silu', 'tanh' or "
        "'xielu', got 'swish'.",
    ),
    (lambda: Positions("learned"), "Positions kind expects 'given' or 'sinusoidal', got 'learned'."),
    (
        lambda: Block(Attention(heads=1), placement="mid"),
        "Block placement expects 'after', 'normed', 'parallel', 'post', 'pre' or 'sandwich', got 'mid'.",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_contradictions_are_refused(make, message):
    """An impossible spec is an error that names the field, what it expects and what it got."""
    with pytest.raises(SpecError) as caught:
        make()
    assert str(caught.value).startswith(message)


OTHER_TYPES = [
    (lambda: Attention("2"), "Attention heads expects a whole number, got '2'."),
    (lambda: Attention(2.0), "Attention heads expects a whole number, got 2.0."),
    (lambda: Attention(True), "Attention heads expects a whole number, got True."),
    (lambda: Attention(2, causal="yes"), "Attention causal expects True or False, got 'yes'."),
    (lambda: Attention(2, rotary=True), "Attention rotary expects Rotary(...) or None, got True."),
    (lambda: Attention(2, scale="big"), "Attention scale expects a number or None, got 'big'."),
    (lambda: Attention(2, bias="query"), "Attention bias expects a tuple of"),
    (lambda: Rotary(scaling=8.0), "Rotary scaling expects Linear(...), Llama3Scaling(...), Yarn(...)"),
    (lambda: Linear("2"), "Linear factor expects a number above 0, got '2'."),
    (lambda: Norm("rms", gain=1), "Norm gain expects True or False, got 1."),
    (lambda: Mlp(gated=None), "Mlp gated expects True or False, got None."),
    (lambda: Block(2), "Block attention expects Attention(...), got 2."),
    (lambda: Block(Attention(2), norm="rms"), "Block norm expects Norm(...) or None, got 'rms'."),
    (lambda: Transformer(Embedding(), 3), "Transformer layers expects a tuple of (Block(...)), got 3."),
    (lambda: Transformer(Norm(), ()), "Transformer embedding expects Embedding(...), Patches(...) or None, got Norm("),
    (
        lambda: Head(reads="end"),
        "Head reads expects 'first', 'last', 'marked', 'mean', 'pooled' or 'tokens', got 'end'.",
    ),
]


@pytest.mark.parametrize(("make", "message"), OTHER_TYPES, ids=[message for _, message in OTHER_TYPES])
def test_other_types_are_refused_where_they_are_given(make, message):
    """A value of another type is an error that names the spec, the field, what it expects and what it got."""
    with pytest.raises(SpecError) as caught:
        make()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (Attention(np.int64(2), scale=np.float32(0.5)), Attention(2, scale=0.5)),
        (Attention(2, scale=1), Attention(2, scale=1.0)),
        (Attention(2, bias=["query"]), Attention(2, bias=("query",))),
        (Attention(2, bias=True), Attention(2, bias=("query", "key", "value", "output"))),
        (Attention(2, bias=True, output=False), Attention(2, bias=("query", "key", "value"), output=False)),
        (Attention(2, bias=False), Attention(2)),
    ],
)
def test_what_means_the_same_is_the_same_spec(given, stored):
    """Numbers of NumPy, whole numbers for floats, lists and True or False for a bias are stored in one way."""
    assert given == stored
    assert [type(each) for each in msgspec.structs.astuple(given)] == [
        type(each) for each in msgspec.structs.astuple(stored)
    ]
    assert given.working() == stored.working()


SPECS = [
    Attention(heads=2),
    Attention(heads=4, kv_heads=2, rotary=Rotary("interleaved", width=2), qk_norm=Norm("rms"), bias=("output",)),
    Block(Attention(heads=1), norm=Norm(eps=0), placement="pre", mlp=Mlp("silu"), positions=Positions("sinusoidal")),
]


@pytest.mark.parametrize("spec", SPECS)
def test_specs_are_data(spec):
    """Specs are frozen, hashable, and survive a trip through a file format; equal specs give equal workings."""
    again = msgspec.json.decode(msgspec.json.encode(spec), type=type(spec))
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.working() == spec.working()
    with pytest.raises(AttributeError):
        spec.heads = 3


def test_unknown_fields_are_refused_in_files():
    """A misspelt field in a file is an error, not a default."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `head`"):
        msgspec.json.decode(b'{"heads": 2, "head": 3}', type=Attention)


def names(working):
    """The names of the given arrays and of the lines, in order."""
    return " ".join(given.name for given in working.givens), " ".join(line.name for line in working.lines)


def test_lines_of_plain_attention():
    """The names are those of the paper's equations, in order."""
    assert names(Attention(heads=2).working()) == (
        "input query.weight key.weight value.weight output.weight",
        "query key value scores scaled weights head concat output",
    )


def test_lines_of_a_post_norm_block_without_mlp():
    """A block of attention alone has plain names."""
    block = Block(Attention(heads=2), norm=Norm(gain=False), positions=Positions())
    assert names(block.working()) == (
        "embedding position query.weight key.weight value.weight output.weight",
        "input query key value scores scaled weights head concat output residual norm",
    )


def test_lines_of_a_pre_norm_block_without_mlp():
    """Norm comes first, residual last, and the gain of a norm is a line of its own."""
    block = Block(Attention(heads=2, output=False), norm=Norm("rms"), placement="pre")
    assert names(block.working()) == (
        "input norm.gain query.weight key.weight value.weight",
        "norm.normalized norm query key value scores scaled weights head concat residual",
    )


def test_lines_of_a_pre_norm_block_with_mlp():
    """With an MLP every line gets the path of its half; a memory is given, not normed."""
    attention = Attention(heads=2, memory=True, mask="additive", causal=True)
    block = Block(attention, norm=Norm(bias=False), placement="pre", mlp=Mlp("relu"))
    given, lines = names(block.working())
    assert given == (
        "input attention.norm.gain attention.memory attention.query.weight attention.key.weight "
        "attention.value.weight attention.mask attention.output.weight mlp.norm.gain mlp.up.weight mlp.output.weight"
    )
    assert lines == (
        "attention.norm.normalized attention.norm attention.query attention.key attention.value attention.scores "
        "attention.scaled attention.masked.given attention.masked attention.weights attention.head attention.concat "
        "attention.output attention.residual mlp.norm.normalized mlp.norm mlp.up mlp.active mlp.output mlp.residual"
    )


def test_lines_of_a_block_with_everything(rich):
    """All features at once, each a line of its own."""
    given, lines = names(rich.working())
    assert given == (
        "embedding "
        "attention.query.weight attention.query.bias attention.key.weight attention.key.bias "
        "attention.value.weight attention.value.bias attention.query.norm.gain attention.key.norm.gain "
        "attention.past.key attention.past.value attention.mask attention.padding "
        "attention.output.weight attention.output.bias attention.norm.gain attention.norm.bias "
        "mlp.up.weight mlp.up.bias mlp.gate.weight mlp.gate.bias mlp.output.weight mlp.output.bias "
        "mlp.norm.gain mlp.norm.bias"
    )
    assert lines == (
        "position input "
        "attention.query.product attention.query attention.key.product attention.key "
        "attention.value.product attention.value "
        "attention.query.norm.normalized attention.query.norm attention.key.norm.normalized attention.key.norm "
        "attention.rotary.position attention.rotary.angle attention.rotary.cos attention.rotary.sin "
        "attention.query.rotated attention.key.rotated attention.key.joined attention.value.joined "
        "attention.key.repeated attention.value.repeated "
        "attention.scores attention.scaled attention.capped attention.alibi.slope attention.alibi "
        "attention.masked.given attention.masked.causal attention.masked.window attention.masked "
        "attention.weights attention.head attention.concat attention.output.product attention.output "
        "attention.residual attention.norm.normalized attention.norm "
        "mlp.up.product mlp.up mlp.gate.product mlp.gate mlp.active mlp.gated mlp.output.product mlp.output "
        "mlp.residual mlp.norm.normalized mlp.norm"
    )


@pytest.mark.parametrize(
    ("spec", "bias"),
    [(Norm(), True), (Norm(gain=False), False), (Norm("rms"), False), (Norm("rms", bias=True), True)],
)
def test_what_norms_usually_have(spec, bias):
    """A layer norm with a gain has a bias, an RMS norm has none, unless told otherwise."""
    assert spec.has_bias is bias


def test_axes_of_the_lines():
    """Key/value heads are groups until they are shared out; the axes of lines are words."""
    working = Attention(heads=4, kv_heads=2).working()
    assert working.axes["query"] == ("head", "token", "depth")
    assert working.axes["key"] == ("group", "token", "depth")
    assert working.axes["key.repeated"] == ("head", "key", "depth")
    assert working.axes["weights"] == ("head", "query", "key")
    assert working.axes["concat"] == ("token", "head*depth")


def test_known_sizes_are_demanded():
    """A spec that says how many heads there are puts that into the arrays it asks for."""
    sizes = {given.name: given.known_sizes() for given in Attention(heads=4, kv_heads=2).working().givens}
    assert sizes["query.weight"] == (4, None, None)
    assert sizes["key.weight"] == (2, None, None)
    assert sizes["input"] == (None, None)


def test_every_spec_has_its_fields_in_the_reference():
    """The page of all fields has a section for each public spec, and each of its fields in it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "fields.md").read_text("utf-8")
    sections = dict(part.partition("\n")[::2] for part in page.split("\n## ")[1:])
    known = {name: kind for name in spec.__all__ if issubclass(kind := getattr(spec, name), Spec)}
    assert set(sections) == set(known)
    assert [(name, field) for name, kind in known.items() for field in kind.__struct_fields__
            if f"| `{field}` |" not in sections[name]] == []  # fmt: skip


@pytest.mark.parametrize(("said", "activation"), [("swiglu", "silu"), ("GEGLU", "gelu"), ("reglu", "relu")])
def test_a_gated_activation_is_answered_with_the_two_fields(said, activation):
    """An activation and a gate in one name are two fields: the error says which, of a spec as of a file."""
    remedy = f'Write activation = "{activation}" with gated = true.'
    with pytest.raises(SpecError, match=remedy):
        Mlp(activation=said)
    text = f'format = 1\ntitle = "x"\ntokens = ["a"]\n[block.mlp]\nactivation = "{said}"\n[arrays]\ninput = [[1]]\n'
    with pytest.raises(ProblemError, match=remedy):
        parse_problem(text)
