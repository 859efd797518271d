"""The comparison with Transformers, when something is wrong."""

import json

import pytest
from msgspec.structs import replace
from safetensors.numpy import load_file, save_file

from clearhead import diagnose, load
from clearhead.claim import Claim
from clearhead.models import Rope
from clearhead.models.families.llama import LLAMA, QWEN2
from clearhead.models.verifying import verify

from .families import made

IDS = [3, 16, 8, 2, 11, 8]


@pytest.fixture
def small(tmp_path):
    """A small Llama that Transformers saved."""
    made("llama").save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def test_a_right_table_agrees(small):
    """The small Llama agrees in every line: states, weights, and what each norm and projection gives."""
    verdict = verify(load(small), IDS)
    assert verdict.first is None
    turns = ("rotary.cos", "rotary.sin")
    assert [each.line for each in verdict.lines][:15] == [
        "embedding",
        *(f"layers.0.attention.{name}" for name in ("norm", "query", "key", "value", *turns, "weights", "output")),
        *(f"layers.0.mlp.{name}" for name in ("norm", "up", "gate", "active", "output", "residual")),
    ]


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("llama", ["mlp.active"]),
        ("gemma3", ["rotary.cos", "rotary.sin"]),
        ("mixtral", ["router.shares", "mlp.gate", "mlp.active", "mlp.output"]),
        ("deepseek_v3", ["router.shares", "mlp.gate", "mlp.active", "output.chosen"]),
        ("gpt_oss", ["router.shares", "mlp.output"]),
        ("gptj", ["rotary.cos", "rotary.sin"]),
        ("qwen3_5, wide steps", ["mlp.active"]),
    ],
)
def test_what_experts_activations_and_rotations_give_is_compared(tmp_path, name, ends):
    """Shares of experts, what each activates, their sum, and each kind of angles agree in the last layer."""
    made(name).save_pretrained(tmp_path)
    model = load(tmp_path)
    verdict = verify(model, IDS)
    assert verdict.first is None
    compared = {each.line for each in verdict.lines}
    last = f"layers.{len(model.spec.layers) - 1}."
    assert [end for end in ends if not any(line.startswith(last) and line.endswith(end) for line in compared)] == []


def test_an_expert_that_differs_is_found_where_it_does(tmp_path):
    """A number of one expert's weights, changed after ours were read, shows first in what that expert activates."""
    made("mixtral").save_pretrained(tmp_path)
    model = load(tmp_path)
    theirs = load_file(tmp_path / "model.safetensors")
    name = "model.layers.1.block_sparse_moe.experts.2.w1.weight"
    chosen = model.trace(IDS, keep="*.router.chosen")["layers.1.mlp.router.chosen"]
    assert chosen[:, 2].any()
    save_file({**theirs, name: theirs[name] * 2}, tmp_path / "model.safetensors", {"format": "pt"})
    verdict = verify(model, IDS)
    assert verdict.first.line == "layers.1.mlp.gate"
    differs = (abs(verdict.first.theirs - model.trace(IDS, keep="*.mlp.gate")["layers.1.mlp.gate"]) > 1e-4).any(axis=2)
    assert differs.any(axis=1).nonzero()[0].tolist() == [2]


def test_a_wrong_table_is_found(small):
    """A table with the other layout of rotary positions differs first in layer 0's weights, and is diagnosed so."""
    wrong = replace(LLAMA, spec={**LLAMA.spec, "attention.rotary": Rope("interleaved")})
    verdict = verify(load(small, families=[wrong]), IDS)
    assert verdict.first.line == "layers.0.attention.weights"
    assert [each.agrees for each in verdict.lines[:8]] == [True] * 7 + [False]
    suspect = verdict.suspect
    claims = [Claim.of("attention.weights", suspect.theirs["attention.weights"], decimals=3)]
    report = diagnose(claims, suspect.working.run(suspect.given), max_deviations=1)
    assert report.explained_by("rotary-other-layout"), str(report)


@pytest.mark.parametrize("name", ["llama", "glm", "cohere", "gpt_oss"])
def test_wrong_frequencies_are_found_before_they_are_used(tmp_path, name):
    """Cosines and sines are compared themselves, in each layout of pairs: with another base they differ first."""
    made(name).save_pretrained(tmp_path)
    assert verify(load(tmp_path), IDS).first is None
    path = tmp_path / "config.json"
    config = json.loads(path.read_text("utf-8"))
    model = load(tmp_path)
    config["rope_parameters"]["rope_theta"] *= 2
    path.write_text(json.dumps(config), "utf-8")
    assert ".attention.rotary." in verify(model, IDS).first.line


def test_a_wrong_eps_is_found_where_it_is(small):
    """A norm that is only slightly other shows in the first line it touches."""
    wrong = replace(LLAMA, spec={**LLAMA.spec, "norm.eps": 0.1})
    verdict = verify(load(small, families=[wrong]), IDS)
    assert verdict.first.line == "layers.0.attention.norm"
    assert verdict.suspect.layer == 0
    assert verdict.suspect.working.label_base == 0


def test_a_name_that_others_have_for_an_architecture_is_compared(tmp_path):
    """A checkpoint that names its architecture as its authors do is read, and held against Transformers' class."""
    made("mpt").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "architectures": ["MPTForCausalLM"]}), "utf-8")
    assert verify(load(tmp_path), IDS).first is None


def test_a_model_with_delta_nets_is_compared(tmp_path):
    """Of layers without a softmax the states are compared, of the others the weights too."""
    made("qwen3_5").save_pretrained(tmp_path)
    verdict = verify(load(tmp_path), IDS)
    assert verdict.first is None
    assert [each.line for each in verdict.lines if each.line.endswith("weights")] == ["layers.3.attention.weights"]


PARTS = {
    "qwen2_moe": ("mlp.router.logits", "mlp.shared.output", "attention.query"),
    "gemma2": ("attention.outer.norm", "mlp.outer.norm"),
    "qwen3": ("attention.query.norm", "attention.key.norm"),
    "deepseek_v3": ("attention.query.latent", "mlp.router.logits"),
    "bert": ("attention.output", "mlp.up", "attention.norm"),
    "qwen3_5": ("attention.gate", "attention.output"),
}


@pytest.mark.parametrize("name", PARTS)
def test_what_modules_give_is_compared(tmp_path, name):
    """Projections, norms and routers are held against the results of Transformers' own modules."""
    made(name).save_pretrained(tmp_path)
    verdict = verify(load(tmp_path), [*IDS, 30])
    assert verdict.first is None
    compared = {each.line.split(".", 2)[2] for each in verdict.lines if each.line.startswith("layers.")}
    assert compared >= {*PARTS[name]}


def test_a_wrong_projection_is_named_itself(tmp_path):
    """Where a bias is left out, the projection is the first line that differs, not the weights that come of it."""
    made("qwen2").save_pretrained(tmp_path)
    wrong = replace(QWEN2, spec={**QWEN2.spec, "attention.bias": ("query", "value")})
    verdict = verify(load(tmp_path, families=[wrong], ignore=["*k_proj.bias"]), IDS)
    assert verdict.first.line == "layers.0.attention.key"
