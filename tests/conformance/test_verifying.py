"""The comparison with Transformers, when something is wrong."""

import pytest
from msgspec.structs import replace

from clearhead import diagnose, load
from clearhead.claim import Claim
from clearhead.models import Rope
from clearhead.models.families.llama import LLAMA
from clearhead.models.verifying import verify

from .families import made

IDS = [3, 16, 8, 2, 11, 8]


@pytest.fixture
def small(tmp_path):
    """A small Llama that Transformers saved."""
    made("llama").save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def test_a_right_table_agrees(small):
    """The small Llama agrees in every line."""
    verdict = verify(load(small), IDS)
    assert verdict.first is None
    assert [each.line for each in verdict.lines][:3] == [
        "embedding",
        "layers.0.attention.weights",
        "layers.0.mlp.residual",
    ]


def test_a_wrong_table_is_found(small):
    """A table with the other layout of rotary positions differs first in layer 0's weights, and is diagnosed so."""
    wrong = replace(LLAMA, spec={**LLAMA.spec, "attention.rotary": Rope("interleaved")})
    verdict = verify(load(small, families=[wrong]), IDS)
    assert verdict.first.line == "layers.0.attention.weights"
    assert verdict.lines[0].agrees
    suspect = verdict.suspect
    claims = [Claim.of("attention.weights", suspect.theirs["attention.weights"], decimals=3)]
    report = diagnose(claims, suspect.working.run(suspect.given), max_deviations=1)
    assert report.explained_by("rotary-other-layout"), str(report)


def test_a_wrong_eps_is_found_where_it_is(small):
    """A norm that is only slightly other shows in the first line it touches."""
    wrong = replace(LLAMA, spec={**LLAMA.spec, "norm.eps": 0.1})
    verdict = verify(load(small, families=[wrong]), IDS)
    assert verdict.first.line == "layers.0.attention.weights"
    assert verdict.suspect.layer == 0
    assert verdict.suspect.working.label_base == 0
