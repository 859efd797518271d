"""Modules of PyTorch and Hugging Face compared with the textbook, as they are and with something changed."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config
from transformers.models.bert.modeling_bert import BertAttention, BertSelfAttention
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.mistral.modeling_mistral import MistralAttention
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from clearhead import SpecError, adapt, probe

BERT = BertConfig(hidden_size=6, num_attention_heads=2, intermediate_size=11, attn_implementation="eager")
GROUPED = {
    "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "attn_implementation": "eager",
}  # fmt: skip
LLAMA = LlamaConfig(**GROUPED, attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 500.0})

MODULES = {
    "multihead": lambda: nn.MultiheadAttention(6, 2, batch_first=True),
    "multihead, tokens first, no bias": lambda: nn.MultiheadAttention(6, 3, bias=False),
    "layer, post, relu": lambda: nn.TransformerEncoderLayer(6, 2, 11, batch_first=True),
    "layer, pre, gelu": lambda: nn.TransformerEncoderLayer(
        6, 2, 11, batch_first=True, norm_first=True, activation="gelu", layer_norm_eps=1e-3
    ),
    "layer, tokens first, no bias": lambda: nn.TransformerEncoderLayer(6, 3, 11, bias=False),
    "bert self": lambda: BertSelfAttention(BERT),
    "bert": lambda: BertAttention(BERT),
    "gpt2": lambda: GPT2Attention(GPT2Config(n_embd=6, n_head=2, attn_implementation="eager"), layer_idx=0),
    "gpt2, scaled by layer": lambda: GPT2Attention(
        GPT2Config(n_embd=6, n_head=2, attn_implementation="sdpa", scale_attn_by_inverse_layer_idx=True), layer_idx=3
    ),
    "llama": lambda: LlamaAttention(LLAMA, 0),
    "qwen2": lambda: Qwen2Attention(Qwen2Config(**GROUPED), 0),
    "mistral": lambda: MistralAttention(MistralConfig(**GROUPED), 0),
}


def shaken(module):
    """A module in evaluation with parameters that are not the zeros and ones they start from."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


@pytest.mark.parametrize("name", MODULES)
def test_modules_agree_with_the_textbook(name):
    """Each known module computes what its working says, and breaks no property."""
    report = probe(adapt(shaken(MODULES[name]())))
    assert report.verdict == "agrees", str(report)
    assert not report.failing
    assert {each.kind for each in report.symptoms} <= {"precision"}


class Flipped(BertSelfAttention):
    """BERT's attention with the polarity of its mask turned round."""

    def forward(self, x, attention_mask):
        masked = torch.where(attention_mask == 0, torch.tensor(float("-inf"), dtype=x.dtype), 0.0)
        return super().forward(x, attention_mask=masked)


class Leaking(GPT2Attention):
    """GPT-2's attention that drops its mask."""

    def forward(self, x, attention_mask):
        return super().forward(x, attention_mask=torch.zeros_like(attention_mask))


class Tiled(LlamaAttention):
    """Llama's attention with key/value heads dealt out in turn."""

    def forward(self, x, **kwargs):
        order = torch.tensor([0, 2, 1, 3])
        heads = self.q_proj.weight.view(4, 6, -1)
        self.q_proj.weight.data = heads[order].reshape(24, -1)
        self.q_proj.bias.data = self.q_proj.bias.view(4, 6)[order].reshape(-1)
        self.o_proj.weight.data = self.o_proj.weight.view(-1, 4, 6)[:, order].reshape(-1, 24)
        try:
            return super().forward(x, **kwargs)
        finally:
            self.q_proj.weight.data = self.q_proj.weight.view(4, 6, -1)[order].reshape(24, -1)
            self.q_proj.bias.data = self.q_proj.bias.view(4, 6)[order].reshape(-1)
            self.o_proj.weight.data = self.o_proj.weight.view(-1, 4, 6)[:, order].reshape(-1, 24)


def patched(module, **attributes):
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


CHANGED = {
    "scale left out": (lambda: patched(shaken(BertSelfAttention(BERT)), scaling=1.0), "scale-missing"),
    "scale squared": (lambda: patched(shaken(LlamaAttention(LLAMA, 0)), scaling=1 / 6), "scale-squared"),
    "mask turned round": (lambda: shaken(Flipped(BERT)), "padding-inverted"),
    "causal mask dropped": (lambda: shaken(Leaking(GPT2Config(n_embd=6, n_head=2), layer_idx=0)), "causal-missing"),
    "groups tiled": (lambda: shaken(Tiled(LLAMA, 0)), "groups-tiled"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_module_comes_back_with_its_cause(name):
    """A subclass or a patched module is compared with the textbook of its base, and the change is named."""
    make, cause = CHANGED[name]
    report = probe(adapt(make()))
    assert report.verdict == "explained", str(report)
    assert cause in report.findings[0].ids, str(report)


def test_parameters_exchanged_after_adapting_are_found():
    """A port that copies the key's weights into the value, compared with the original's, is told so."""
    original = adapt(shaken(nn.MultiheadAttention(6, 2, batch_first=True)))
    module = shaken(nn.MultiheadAttention(6, 2, batch_first=True))
    module.in_proj_weight.data[12:] = module.in_proj_weight.data[6:12]
    module.in_proj_bias.data[12:] = module.in_proj_bias.data[6:12]
    port = adapt(module)
    report = probe(port.function, original.working, original.takes, original.returns, original.given, library="torch")
    assert report.verdict == "explained"
    assert "projection-copied:of=value,uses=key" in str(report)


def test_dropout_that_was_left_on_is_said():
    """A module in training gives other numbers each time, and the report says what to do."""
    report = probe(adapt(shaken(nn.MultiheadAttention(6, 2, batch_first=True, dropout=0.3)).train()))
    assert [each.kind for each in report.symptoms] == ["varies"]
    assert "model.eval()" in str(report)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.Linear(3, 4), "Linear is of no known kind. Known are torch.nn.MultiheadAttention, "),
        (lambda: nn.MultiheadAttention(6, 2, kdim=3), "has keys and values of another width"),
        (lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True), "adds another key"),
        (lambda: nn.TransformerEncoderLayer(6, 2, 11, activation=nn.functional.silu), "has the activation silu"),
        (lambda: GPT2Attention(GPT2Config(n_embd=6, n_head=2), is_cross_attention=True), "attends to another sequence"),
    ],
)
def test_what_cannot_be_adapted_is_told_and_how_to_go_on(make, says):
    """The error says what is known, or what about this module is not, and how to probe it by hand."""
    with pytest.raises(SpecError, match=says) as raised:
        adapt(make())
    assert "probe(function, working" in str(raised.value)


def test_an_adapter_does_not_touch_its_module():
    """Probing leaves the module's parameters, precision and mode as they were."""
    module = shaken(nn.TransformerEncoderLayer(6, 2, 11, batch_first=True))
    before = {name: array.clone() for name, array in module.state_dict().items()}
    probe(adapt(module))
    after = module.state_dict()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    assert not module.training
