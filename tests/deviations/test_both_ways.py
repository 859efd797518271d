"""Every optional field of every spec, declared and not done, done and not declared: a row each, or a reason why not."""

import msgspec
import numpy as np
import pytest

import clearhead.spec
from clearhead import Attention, Block, Claim, Mlp, Norm, Positions, Rotary, diagnose
from clearhead.deviations import deviate
from clearhead.errors import ClearheadError
from clearhead.spec import Disentangled, Embedding, Experts, Extra, Growth, Head, Linear, Loss, Relative, Transformer

SIZES = {"token": 5, "query": 5, "key": 5, "past": 3, "model": 8, "extra": 3, "depth": 4, "hidden": 7, "vocabulary": 6}
RMS, BARE = Norm("rms"), Norm("rms", eps=1e-6, gain=False)
PLAIN, TURNED = Attention(2), Attention(2, rotary=Rotary())
NORMED = Block(PLAIN, norm=Norm())
GATED = Mlp("silu", gated=True)


def turned(**fields):
    return Attention(2, rotary=Rotary(**fields))


def block(**fields):
    return Block(PLAIN, norm=Norm(), **fields)


def routed(**fields):
    return block(placement="pre", mlp=Mlp("silu", experts=Experts(6, 2, **fields)))


def model(embedding=None, **fields):
    return Transformer(embedding or Embedding(), (Block(PLAIN),), **fields)


PAIRS = {
    "Attention.scale": (Attention(2, scale=0.3), PLAIN, "scale-factor", "scale-factor"),
    "Attention.softcap": (Attention(2, softcap=1.3), PLAIN, "softcap-missing", "softcap-added"),
    "Attention.causal": (Attention(2, causal=True), PLAIN, "causal-missing", "causal-added"),
    "Attention.window": (Attention(2, window=2), PLAIN, "window-missing", "window-added"),
    "Attention.mask": (Attention(2, mask="boolean"), PLAIN, "mask-missing", None),
    "Attention.padding": (Attention(2, padding=True), PLAIN, "padding-missing", None),
    "Attention.alibi": (Attention(2, alibi=True), PLAIN, "alibi-missing", "alibi-undeclared"),
    "Attention.sink": (Attention(2, sink=True), PLAIN, "sink-missing", None),
    "Attention.rotary": (TURNED, PLAIN, "rotary-missing", "rotary-added"),
    "Attention.qk_norm": (Attention(2, qk_norm=BARE), PLAIN, "qk-norm-missing", "qk-norm-added"),
    "Attention.qk_norm_last": (
        Attention(2, rotary=Rotary(), qk_norm=RMS, qk_norm_last=True),
        Attention(2, rotary=Rotary(), qk_norm=RMS),
        None,
        "qk-norm-after-rotary",
    ),
    "Attention.bias": (Attention(2, bias=("key", "value")), PLAIN, "bias-missing", None),
    "Attention.output": (PLAIN, Attention(2, output=False), "output-projection-missing", None),
    "Attention.output_norm": (Attention(2, output_norm=BARE), PLAIN, "norm-missing", None),
    "Attention.cache": (Attention(2, cache=True), PLAIN, "cache-missing", None),
    "Attention.memory": (Attention(2, memory=True), PLAIN, "memory-ignored", None),
    "Attention.gated": (Attention(2, gated=True), PLAIN, "head-gate-missing", None),
    "Attention.clip": (Attention(2, clip=0.7), PLAIN, "clip-missing", "clip-added"),
    "Rotary.layout": (turned(layout="interleaved"), TURNED, "rotary-other-layout", "rotary-other-layout"),
    "Rotary.base": (turned(base=500.0), TURNED, "rotary-base", "rotary-base"),
    "Rotary.width": (turned(width=2), TURNED, "rotary-whole-head", "rotary-width"),
    "Rotary.scaling": (turned(scaling=Linear(4.0)), TURNED, "rotary-scaling-missing", "rotary-interpolated"),
    "Rotary.amplitude": (turned(amplitude=1.3), TURNED, "rotary-amplitude-missing", "rotary-amplitude"),
    "Norm.kind": (Block(PLAIN, norm=RMS), Block(PLAIN, norm=Norm(bias=False)), *["norm-of-other-kind"] * 2),
    "Norm.eps": (Block(PLAIN, norm=Norm(eps=0.03)), NORMED, "norm-eps", "norm-eps"),
    "Norm.gain": (NORMED, Block(PLAIN, norm=Norm(gain=False)), "norm-gain-and-bias-missing", None),
    "Norm.bias": (NORMED, Block(PLAIN, norm=Norm(bias=False)), "norm-bias-missing", None),
    "Mlp.activation": (block(mlp=Mlp("silu")), block(mlp=Mlp()), *["activation-of-other-kind"] * 2),
    "Mlp.gated": (block(mlp=GATED), block(mlp=Mlp("silu")), "gate-missing", None),
    "Mlp.bias": (block(mlp=Mlp(bias=True)), block(mlp=Mlp()), "bias-missing", None),
    "Mlp.norm": (block(mlp=Mlp(norm=BARE)), block(mlp=Mlp()), "norm-left-out", None),
    "Mlp.limit": (
        block(mlp=Mlp("silu", gated=True, limit=0.8)),
        block(mlp=GATED),
        "mlp-limit-missing",
        "mlp-limit-added",
    ),
    "Block.norm": (NORMED, Block(PLAIN), "norm-left-out", None),
    "Block.placement": (block(placement="pre"), NORMED, "norm-placement", "norm-placement"),
    "Block.positions": (block(positions=Positions()), NORMED, "positions-missing", None),
    "Block.residual_scale": (block(residual_scale=0.4), NORMED, "residual-scale-missing", "residual-scale-added"),
    "Block.extra": (block(extra=Extra()), NORMED, "extra-part-missing", None),
    "Block.gain": (block(gain=True), NORMED, "output-gain-missing", None),
    "Attention.value_norm": (Attention(2, value_norm=BARE), PLAIN, "norm-missing", None),
    "Block.stream_scale": (block(stream_scale=0.4), NORMED, "stream-scale-missing", None),
    "Attention.growth": (Attention(2, growth=Growth(0.7, 2)), PLAIN, "query-growth-missing", None),
    "Block.output_gain": (block(output_gain=True, mlp=Mlp()), block(mlp=Mlp()), "output-gain-missing", None),
    "Block.attention_norm": (
        block(placement="pre", mlp=Mlp()),
        block(placement="pre", mlp=Mlp(), attention_norm=False),
        "norm-left-out",
        None,
    ),
    "Experts.scores": (routed(scores="sigmoid"), routed(), *["router-scores-of-other-kind"] * 2),
    "Experts.tolerance": (
        routed(scores="one-by-one", renormalise=False, tolerance=0.3),
        routed(scores="one-by-one", renormalise=False, tolerance=1e9),
        "router-far-experts-kept",
        None,
    ),
    "Experts.renormalise": (
        routed(),
        routed(renormalise=False),
        "router-not-renormalised",
        "router-renormalised",
    ),
    "Experts.scale": (routed(scale=1.7), routed(), "router-scale-missing", None),
    "Experts.correction": (routed(correction=True), routed(), "router-correction-missing", None),
    "Experts.groups": (
        routed(groups=3, chosen_groups=1, group_counts=1),
        routed(),
        "router-groups-ignored",
        None,
    ),
    "Experts.shared": (routed(shared=True), routed(), "shared-expert-missing", None),
    "Experts.shared_gate": (routed(shared=True, shared_gate=True), routed(shared=True), "shared-gate-missing", None),
    "Attention.relative": (Attention(2, relative=Relative()), PLAIN, "relative-missing", None),
    "Attention.disentangled": (
        Attention(2, disentangled=Disentangled(4, 9, ("content-position",))),
        PLAIN,
        "content-position-missing",
        None,
    ),
    "Disentangled.terms": (
        Attention(2, disentangled=Disentangled(4, 9)),
        Attention(2, disentangled=Disentangled(4, 9, ("content-position",))),
        "position-content-missing",
        None,
    ),
    "Positions.kind": (block(positions=Positions("sinusoidal")), NORMED, "positions-missing", "positions-undeclared"),
    "Positions.base": (
        block(positions=Positions("sinusoidal", base=300.0)),
        block(positions=Positions("sinusoidal")),
        "sinusoid-base",
        "sinusoid-base",
    ),
    "Positions.start": (
        block(positions=Positions("sinusoidal", width=8, start=2.0)),
        block(positions=Positions("sinusoidal", width=8)),
        "positions-shifted",
        "positions-shifted",
    ),
    "Embedding.scale": (model(Embedding(scale=3.0)), model(), "embedding-scale-missing", "embedding-factor"),
    "Embedding.norm": (model(Embedding(norm=BARE)), model(), "norm-missing", None),
    "Transformer.norm": (model(norm=BARE), model(), "norm-missing", None),
    "Head.softcap": (model(head=Head(softcap=1.0)), model(head=Head()), "softcap-missing", None),
    "Loss.smoothing": (
        model(head=Head(), loss=Loss(smoothing=0.1)),
        model(head=Head(), loss=Loss()),
        "loss-smoothing-missing",
        "loss-smoothing-added",
    ),
    "Loss.ignored": (
        model(head=Head(), loss=Loss(ignored=0)),
        model(head=Head(), loss=Loss()),
        "loss-ignored-counted",
        None,
    ),
    "Loss.reduction": (
        model(head=Head(), loss=Loss(reduction="sum")),
        model(head=Head(), loss=Loss()),
        "loss-averaged",
        "loss-summed",
    ),
    "Loss.weighted": (
        model(head=Head(), loss=Loss(weighted=True)),
        model(head=Head(), loss=Loss()),
        "class-weights-missing",
        None,
    ),
    "Head.bias": (model(head=Head(bias=True)), model(head=Head()), "bias-missing", None),
}
"""A spec with the field and one without; the row where it is declared and not done, and where it is done alone.

None where it is done with arrays, or the gain of a norm, that the other spec does not have.
"""

OTHER_SHAPES = "the arrays, or what comes out, have other shapes then, which an error says"
MORE_LINES = "it shows more lines, with the same numbers"
OF_A_MODEL = "it belongs to checkpoints: code is measured for it, and numbers of a whole model are not claimed by hand"
REASONS = {
    "Attention.kv_heads": OTHER_SHAPES,
    "Attention.qk_norm_over": OTHER_SHAPES,
    "Attention.latent": OTHER_SHAPES,
    **{f"Experts.{each}": OF_A_MODEL for each in ("bias", "chosen_groups", "group_counts", "input_scale", "gain")},
    "Experts.apart": "a norm left out is norm-left-out; experts that read another line have no row yet",
    "Relative.buckets": OTHER_SHAPES,
    "Growth.rate": "another rate or context has no row yet",
    "Growth.context": "another rate or context has no row yet",
    "Attention.value_from_key": OTHER_SHAPES,
    "Attention.keys_of": "the keys of another layer are not there in one",
    "Embedding.extras": OF_A_MODEL,
    "Disentangled.span": OTHER_SHAPES,
    "Disentangled.reach": "other buckets have no row yet",
    "Disentangled.shared": OTHER_SHAPES,
    "Disentangled.norm": "a norm left out is norm-left-out, wherever it stands",
    "Relative.reach": "other buckets have no row yet",
    "Attention.projected": OTHER_SHAPES,
    "Attention.exponentials": MORE_LINES,
    "Attention.delta": OTHER_SHAPES,
    "Attention.dropout": "its mask is given, and what was drawn otherwise is not known",
    "Rotary.offset": "scores depend on differences of positions alone; of one side it is rotary-offset-on-one-side",
    "Mlp.experts": OTHER_SHAPES,
    "Block.mlp": OTHER_SHAPES,
    "Block.cross": OTHER_SHAPES,
    "Block.dropout": "its mask is given, and what was drawn otherwise is not known",
    "Block.repeat": "the weights of another block are not given",
    "Positions.layout": "done and not declared it is sinusoid-concatenated; the other way it has no row yet",
    "Positions.width": OTHER_SHAPES,
    "Latent.norm": "a norm left out is norm-left-out, wherever it stands",
    "Latent.query": OTHER_SHAPES,
    **{f"Transformer.{each}": OTHER_SHAPES for each in ("embedding", "layers", "pooler", "head", "encoder", "loss")},
    "Transformer.first": "it names lines",
    "Transformer.narrowed": OF_A_MODEL,
    **{f"Embedding.{each}": "it adds an array that the other spec does not have" for each in ("types", "positions")},
    **{f"Embedding.{each}": OF_A_MODEL for each in ("pad", "narrow", "masked", "projected")},
    **{f"Encoder.{each}": OTHER_SHAPES for each in ("embedding", "norm")},
    **{f"Head.{each}": OTHER_SHAPES for each in ("reads", "tied", "transform", "plain", "probabilities")},
    **{f"Head.{each}": OF_A_MODEL for each in ("eps", "scale", "pad", "narrow", "normed", "mark", "rest", "averaged")},
    **{f"Backward.{each}": "it names lines, whose gradients are those of the forward pass" for each in ("of", "wrt")},
    **{f"Backward.{each}": OTHER_SHAPES for each in ("loss", "optimizer")},
    "Loss.kind": OTHER_SHAPES,
    "Loss.reads": "it is the same number",
}


WHOLE = {
    "Delta": "sizes change the shapes of arrays; its steps have rows of their own, held to code in test_wild.py",
    **dict.fromkeys(("Extra", "Extras", "Patches", "Yarn", "LongRope", "Proportional", "Frequencies"), OF_A_MODEL),
    "Optimizer": "a step of training is a line whose numbers are compared; mistakes in it have no rows yet",
}
"""Specs without rows for any of their fields, and why."""


def optional():
    """The optional fields of all specs, as ``Spec.field``."""
    specs = {name: getattr(clearhead.spec, name) for name in clearhead.spec.__all__}
    structs = {
        name: each for name, each in specs.items() if isinstance(each, type) and issubclass(each, msgspec.Struct)
    }
    return {f"{n}.{f.name}" for n, each in structs.items() for f in msgspec.structs.fields(each) if not f.required}


def test_every_optional_field_has_a_row_or_a_reason():
    """No field of a spec is without rows both ways, unless a reason stands here."""
    fields = {each for each in optional() if each.partition(".")[0] not in WHOLE}
    assert fields == PAIRS.keys() | REASONS.keys()


def drawn(working):
    """Random arrays, the same for a name in every working; embeddings are the input."""
    sizes = {"head": 2, **SIZES, **working.sizes}
    sizes["head*depth"] = sizes["head"] * sizes["depth"]
    arrays = {}
    for given in working.givens:
        rng = np.random.default_rng([3, *given.name.replace("embedding", "input").encode()])
        shape = [sizes[word] for word in given.axes]
        if given.holds == "booleans":
            arrays[given.name] = np.arange(np.prod(shape)).reshape(shape) % 3 != 1
        elif given.holds == "integers":
            arrays[given.name] = rng.integers(0, SIZES["vocabulary"], shape)
        else:
            arrays[given.name] = rng.normal(size=shape) + given.name.endswith("gain")
    return arrays


def report_of(declared, done):
    """What is said of the last line of one spec, where the other is declared."""
    declared, done = declared.working(), done.working()
    numbers = done.run(drawn(done)).numpy(done.lines[-1].name)
    claim = Claim.of(declared.lines[-1].name, numbers.round(6), decimals=6)
    return diagnose([claim], declared.run(drawn(declared)), max_deviations=1)


@pytest.mark.parametrize("field", [name for name, (_, _, row, _) in PAIRS.items() if row])
def test_declared_and_not_done_is_named(field):
    """The spec has the field and the numbers do not: its row is among the findings."""
    has, lacks, row, _ = PAIRS[field]
    assert report_of(has, lacks).explained_by(row)


@pytest.mark.parametrize("field", [name for name, (_, _, _, row) in PAIRS.items() if row])
def test_done_and_not_declared_is_named(field):
    """The numbers have the field and the spec does not: its row is among the findings."""
    has, lacks, _, row = PAIRS[field]
    assert report_of(lacks, has).explained_by(row)


@pytest.mark.parametrize("id", ["gate-missing:kept=gate", "gate-missing:kept=up", "gate-exchanged"])
def test_a_gate_of_heads_is_not_that_of_an_mlp(id):
    """Deviations of a gated MLP leave a gated attention before it as it is, and do not apply to one alone."""
    both = Block(Attention(2, gated=True), norm=Norm(), mlp=GATED).working()
    rewritten = {line.name for line in deviate(both, id).lines if line not in both.lines}
    assert rewritten
    assert all(name.startswith("mlp") for name in rewritten)
    with pytest.raises(ClearheadError, match="gated product"):
        deviate(Attention(2, gated=True).working(), id)
