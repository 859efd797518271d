"""What a config means is what Transformers' own config classes make of it: defaults, nulls, old names, precedence."""

import copy
import random

import pytest
import transformers

from clearhead.errors import CheckpointError
from clearhead.models import FAMILIES
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.loading import elsewhere
from clearhead.models.reading import read_spec

from .families import CONFIGURATIONS

pytestmark = pytest.mark.sweep(3)

OLD_AND_NEW = [
    {"rope_theta": 77.0},
    {"rope_theta": 77.0, "rope_parameters": {"rope_type": "default", "rope_theta": 33.0}},
    {"rope_theta": 77.0, "rope_scaling": {"type": "linear", "factor": 2.0}},
    {
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "rope_parameters": {"rope_type": "default", "rope_theta": 9.0},
    },
    {"rope_scaling": None, "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 9.0}},
    {"rotary_pct": 0.5, "rotary_emb_base": 55, "rope_theta": 44.0},
    {"partial_rotary_factor": 0.5},
    {"sliding_window": 3},
    {"sliding_window": None},
    {"head_dim": None},
    {"num_key_value_heads": None},
    {"hidden_act": "relu"},
    {"attn_logit_softcapping": None},
    {"attn_logit_softcapping": 7.0},
    {"sliding_window_pattern": 2},
    {"_sliding_window_pattern": 2},
    {"tie_word_embeddings": True},
    {"tie_word_embeddings": False},
    {"attention_bias": True},
    {"rope_local_base_freq": 12.0},
    {"max_window_layers": 1, "use_sliding_window": True, "sliding_window": 4},
]
"""Entries that old and new configs have, alone and beside each other."""


def checkpoint(architecture, config):
    return Checkpoint("x", architecture, config, {})


def family_of(architecture):
    return next(each for each in FAMILIES if architecture in each.architectures)


def spec_of(architecture, config):
    return read_spec(family_of(architecture), checkpoint(architecture, config)).spec


def as_transformers(config_class, config):
    """A config as Transformers understands it, all defaults stated."""
    full = getattr(transformers, config_class).from_dict(copy.deepcopy(config))
    if isinstance(turned := getattr(full, "rope_parameters", None), dict):
        full.standardize_rope_params()
        if "rope_type" in turned:
            turned.setdefault("partial_rotary_factor", 1.0)  # what models take where it is not there
    return {name: value for name, value in full.to_dict().items() if name != "dtype"}


def same(architecture, config_class, config):
    """Whether a config means what Transformers makes of it; None where one of the two refuses it."""
    try:
        theirs = as_transformers(config_class, config)
    except Exception:  # whatever it raises, it cannot load this
        return None
    try:
        return spec_of(architecture, config) == spec_of(architecture, theirs)
    except CheckpointError:
        return None


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_defaults_are_transformers_own(name):
    """Each entry of a config may be left out or, where Transformers allows it, null, and means what it means there."""
    architecture, config_class, options = CONFIGURATIONS[name]
    compared = 0
    for key in options:
        rest = {k: v for k, v in options.items() if k != key}
        for config in (rest, {**rest, key: None}):
            found = same(architecture, config_class, config)
            assert found is not False, (key, config)
            compared += found is True
    assert compared > 0
    assert same(architecture, config_class, options)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_precedence_is_transformers_own(name):
    """Where old and new entries stand beside each other, the same one counts."""
    architecture, config_class, options = CONFIGURATIONS[name]
    compared = 0
    for extra in OLD_AND_NEW:
        found = same(architecture, config_class, {**options, **extra})
        assert found is not False, extra
        compared += found is True
    assert compared > 5


@pytest.mark.parametrize("seed", range(20))
def test_random_configs(seed):
    """Several such entries at once, drawn at random."""
    draw = random.Random(seed)
    for name in draw.sample(sorted(CONFIGURATIONS), 8):
        architecture, config_class, options = CONFIGURATIONS[name]
        config = dict(options)
        for extra in draw.sample(OLD_AND_NEW, 3):
            config |= extra
        assert same(architecture, config_class, config) is not False, (name, config)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.transformers], ids=lambda each: each.name)
def test_entries_of_other_families_are_unknown_to_transformers(family):
    """An entry that is left aside because only other families have it is none that Transformers' class reads."""
    _, config_class, _ = next(each for each in CONFIGURATIONS.values() if each[0] in family.architectures)
    config = getattr(transformers, config_class)()
    assert [name for name in elsewhere(family) if hasattr(config, name)] == []
