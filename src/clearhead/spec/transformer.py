"""A whole model as a spec: embedding, blocks, a last norm, and what is read off it."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops import Operation
from clearhead.ops.textbook import linear, scores, tables
from clearhead.spec.block import Block
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec
from clearhead.spec.mlp import ACTIVATIONS, Activation
from clearhead.spec.norm import Norm
from clearhead.working import Working

TOKENS = "token model"


class Embedding(Spec, frozen=True, tag_field="kind", tag="tokens"):
    """Tokens become rows: ``token`` (token), whole numbers, looked up in ``embedding.weight`` (vocabulary, model).

    Attributes:
        scale: rows are multiplied with this (Gemma); None for not.
        types: adds the row of ``embedding.type.weight`` (type, model) that ``type`` (token), whole numbers, names.
        positions: adds a learned row of ``embedding.position.weight`` (position, model) for each position (GPT-2).
        norm: a norm of the sum (BERT).
        pad: positions count all tokens but this one, from the row behind its own (RoBERTa); None for all from row 0.
    """

    scale: float | None = None
    types: bool = False
    positions: bool = False
    norm: Norm | None = None
    pad: int | None = None

    def write(self, draft: Draft, past: str | None = None) -> str:
        """Writes the lines onto a draft; returns the name of the last. ``past`` is a cache, for its length."""
        names = self._names()
        table = draft.give("embedding.weight", "vocabulary model")
        rows = f"{table} {draft.give('token', 'token', 'integers')}"
        out = draft.write(names["token"], tables.look_up, rows, TOKENS)
        if self.scale is not None:
            out = draft.write(names["scaled"], scores.scale, out, TOKENS, factor=self.scale)
        if self.types:
            types = f"{draft.give('embedding.type.weight', 'type model')} {draft.give('type', 'token', 'integers')}"
            row = draft.write("embedding.type", tables.look_up, types, TOKENS)
            out = draft.write(names["typed"], linear.add, f"{out} {row}", TOKENS)
        if self.positions:
            row = _positions(draft, out, past) if self.pad is None else self._real_positions(draft)
            out = draft.write(names["placed"], linear.add, f"{out} {row}", TOKENS)
        return out if self.norm is None else self.norm.write(draft, out, name="embedding")

    def _real_positions(self, draft: Draft) -> str:
        operands = f"{draft.give('embedding.position.weight', 'position model')} token"
        return draft.write("embedding.position", tables.rows_of_real, operands, TOKENS, pad=self.pad)

    def _names(self) -> dict[str, str]:
        """The names of the sums on the way; the last is that of the whole, or of what the norm reads."""
        there = {"token": True, "scaled": self.scale is not None, "typed": self.types, "placed": self.positions}
        names = {part: f"embedding.{part}" for part, is_there in there.items() if is_there}
        return {**names, [*names][-1]: "embedding" if self.norm is None else "embedding.sum"}


class Patches(Spec, frozen=True, tag_field="kind", tag="patches"):
    """Patches of an image become tokens (Dosovitskiy et al. 2021).

    Given arrays: ``patch`` (token, pixel), each patch's numbers in one row; ``embedding.patch.weight`` (pixel, model)
    and ``embedding.patch.bias`` (model); ``embedding.class`` (model), a token set in front;
    ``embedding.position.weight`` (position, model).
    """

    def write(self, draft: Draft) -> str:
        """Writes the lines onto a draft; returns the name of the last."""
        source = f"{draft.give('patch', 'token pixel')} {draft.give('embedding.patch.weight', 'pixel model')}"
        product = draft.write("embedding.patch.product", linear.matmul, source, TOKENS)
        bias = draft.give("embedding.patch.bias", "model")
        patch = draft.write("embedding.patch", linear.bias, f"{product} {bias}", TOKENS)
        first = draft.give("embedding.class", "model")
        joined = draft.write("embedding.joined", tables.prepend, f"{first} {patch}", TOKENS)
        return draft.write("embedding", linear.add, f"{joined} {_positions(draft, joined, None)}", TOKENS)


def _positions(draft: Draft, source: str, past: str | None) -> str:
    """The learned rows of the positions that tokens stand at, behind those of a cache."""
    table = draft.give("embedding.position.weight", "position model")
    if past is None:
        return draft.write("embedding.position", tables.first_rows, f"{table} {source}", TOKENS, offset=0)
    return draft.write("embedding.position", tables.next_rows, f"{table} {source} {past}", TOKENS, offset=0)


class Head(Spec, frozen=True):
    """What is read off the last tokens: ``logits``.

    Given arrays: ``logits.weight`` (model, vocabulary), or (model, class) for a classifier, unless tied; with bias
    ``logits.bias``; with an activation ``transform.weight`` (model, model), ``transform.bias`` and a layer norm's gain
    and bias.

    Attributes:
        reads: every token; or only the ``first``; or what was ``pooled`` from it.
        tied: the products are with the rows of ``embedding.weight``.
        bias: adds a bias.
        softcap: limits logits to -softcap .. softcap, with tanh (Gemma 2).
        scale: logits are multiplied with this (Cohere, Granite); None for not.
        transform: a product, this activation and a norm stand before (BERT's masked language model).
        eps: of that norm.
    """

    reads: Literal["tokens", "first", "pooled"] = "tokens"
    tied: bool = False
    bias: bool = False
    softcap: float | None = None
    transform: Activation | None = None
    eps: float = 1e-12
    scale: float | None = None

    def write(self, draft: Draft, source: str) -> str:
        """Writes the lines onto a draft; returns the name of the last, ``logits``."""
        if self.reads == "first":
            source = draft.write("first", tables.first_token, source, TOKENS)
        if self.transform is not None:
            source = self._transformed(draft, source, self.transform)
        column = "vocabulary" if self.reads == "tokens" else "class"
        axes = f"token {column}"
        weight = "embedding.weight" if self.tied else draft.give("logits.weight", f"model {column}")
        product = linear.matmul_transposed if self.tied else linear.matmul
        steps: list[tuple[str, Operation, str, dict[str, object]]] = [("product", product, f"{source} {weight}", {})]
        if self.bias:
            steps.append(("biased", linear.bias, draft.give("logits.bias", column), {}))
        if self.scale is not None:
            steps.append(("scaled", scores.scale, "", {"factor": self.scale}))
        if self.softcap is not None:
            steps.append(("capped", scores.softcap, "", {"cap": self.softcap}))
        out = ""
        for number, (step, operation, operands, parameters) in enumerate(steps, start=1):
            name = "logits" if number == len(steps) else f"logits.{step}"
            out = draft.write(name, operation, f"{out} {operands}", axes, **parameters)
        return out

    def _transformed(self, draft: Draft, source: str, activation: Activation) -> str:
        product = _affine(draft, "transform", source)
        active = draft.write("transform.active", ACTIVATIONS[activation], product, TOKENS)
        return Norm(eps=self.eps).write(draft, active, name="transform.norm")


def _affine(draft: Draft, name: str, source: str) -> str:
    """A product with a square matrix, plus a bias."""
    product = draft.write(
        f"{name}.product", linear.matmul, f"{source} {draft.give(f'{name}.weight', 'model model')}", TOKENS
    )
    return draft.write(name, linear.bias, f"{product} {draft.give(f'{name}.bias', 'model')}", TOKENS)


class Transformer(Spec, frozen=True):
    """A whole model.

    Its lines are ``embedding``, ``layers.0.attention.weights`` ... ``layers.0.mlp.residual`` ..., ``norm`` and
    ``logits``; layers and heads count from 0, as the tools for checkpoints do.

    Attributes:
        embedding: how tokens, or an image's patches, become rows.
        layers: the blocks in order. All share ``padding`` (key), booleans, if their attention asks for it.
        norm: the last norm; None for none.
        pooler: adds ``pooled``: this activation of the first token's product with ``pooler.weight`` plus
            ``pooler.bias`` (BERT: tanh); None for not.
        head: what gives ``logits``; None for a model without.
    """

    embedding: Embedding | Patches
    layers: tuple[Block, ...]
    norm: Norm | None = None
    pooler: Activation | None = None
    head: Head | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers:
            raise SpecError("layers expects one block or more, got none.")
        if self.head and self.head.reads == "pooled" and not self.pooler:
            raise SpecError("the head reads what was pooled, and there is no pooler. Set pooler = tanh.")
        if self.head and self.head.tied and isinstance(self.embedding, Patches):
            raise SpecError("the head is tied to embeddings of tokens, and there are only patches. Set tied = false.")

    def working(self) -> Working:
        """The lines that this model stands for."""
        draft = Draft()
        past = "layers.0.attention.past.key" if self.layers[0].attention.cache else None
        if isinstance(self.embedding, Patches):
            stream = self.embedding.write(draft)
        else:
            stream = self.embedding.write(draft, past)
        padding = None
        if any(block.attention.padding for block in self.layers):
            padding = draft.give("padding", "key", "booleans")
        for number, block in enumerate(self.layers):
            stream = block.write(draft.inside(f"layers.{number}"), stream, padding)
        if self.norm is not None:
            stream = self.norm.write(draft, stream)
        pooled = stream if self.pooler is None else self._pooled(draft, stream, self.pooler)
        if self.head is not None:
            self.head.write(draft, pooled if self.head.reads == "pooled" else stream)
        return draft.working(label_base=0)

    def _pooled(self, draft: Draft, stream: str, activation: Activation) -> str:
        first = draft.write("pooler.first", tables.first_token, stream, TOKENS)
        return draft.write("pooled", ACTIVATIONS[activation], _affine(draft, "pooler", first), TOKENS)
