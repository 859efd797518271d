"""A whole model as a spec: embedding, blocks, a last norm, and a head."""

from __future__ import annotations

from typing import Literal

from clearhead.errors import SpecError
from clearhead.ops import Operation
from clearhead.ops.textbook import linear, scores, tables
from clearhead.spec.block import NO_MEMORY, Block, Memory, Positions
from clearhead.spec.draft import Draft
from clearhead.spec.extra import Extras
from clearhead.spec.fields import Spec
from clearhead.spec.frames import Frames
from clearhead.spec.loss import Loss
from clearhead.spec.mlp import ACTIVATIONS, Activation
from clearhead.spec.norm import Norm
from clearhead.spec.patches import TOKENS, Patches, learned_positions
from clearhead.working import Working

KEPT = 0.88
"""The share of tokens that are not masked in ESM's training: 1 - 0.15 * 0.8."""

MAX_LAYERS = 1000
"""A bound above the layers of any model."""


class Embedding(Spec, frozen=True, tag_field="kind", tag="tokens"):
    """Tokens become rows: ``token`` (token), whole numbers, looked up in ``embedding.weight`` (vocabulary, model).

    Attributes:
        scale: rows are multiplied by this (Gemma); None for 1.
        types: adds a row of ``embedding.type.weight`` (type, model), selected by ``type`` (token), whole numbers.
        positions: adds a learned row of ``embedding.position.weight`` (position, model) for each position (GPT-2), or,
            with `Positions`, ``embedding.position`` (token, model) as given, or sinusoids.
        norm: a norm of the sum (BERT).
        masked: the number of the masking token, whose rows are 0; the others are scaled for it (ESM). None for no such
            thing.
        narrow: rows have fewer features than tokens, and a product with ``embedding.project.weight`` (embedding,
            model) and ``embedding.project.bias`` follow the norm (ALBERT, ELECTRA).
        extras: adds ``embedding.extra`` (layer, token, extra), a row of each token for each layer (Gemma 4).
        projected: rows have fewer features than tokens, and their product with ``embedding.project.weight``
            (embedding, model) comes before all else (OPT 350M).
        pad: the number of the padding token, which has no position: the first position is row pad + 1 (RoBERTa). None
            for positions of all tokens from row 0.
    """

    scale: float | None = None
    types: bool = False
    positions: bool | Positions = False
    norm: Norm | None = None
    pad: int | None = None
    narrow: bool = False
    masked: int | None = None
    projected: bool = False
    extras: Extras | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.narrow and self.norm is None:
            raise SpecError("narrow embeddings have a norm before their product. Give one.")
        if self.narrow and self.projected:
            raise SpecError("embeddings are projected before all else, or narrow until their norm. Drop one of both.")

    @property
    def row(self) -> str:
        """The axis word of a row's features."""
        return "embedding" if self.narrow else "model"

    def write(self, draft: Draft, past: str | None = None) -> str:
        """Writes the lines onto ``draft``; returns the name of the rows. ``past`` is a cache, for its length."""
        out = self._write_rows(draft, past)
        if self.extras is not None:
            self.extras.write(draft, out)
        return out

    def _write_rows(self, draft: Draft, past: str | None) -> str:
        names, axes = self._names(), f"token {self.row}"
        row = "embedding" if self.projected else self.row
        table = draft.give("embedding.weight", f"vocabulary {row}")
        rows = f"{table} {draft.give('token', 'token', 'integers')}"
        out = draft.write("embedding.row" if self.projected else names["token"], tables.look_up, rows, f"token {row}")
        if self.projected:
            weight = draft.give("embedding.project.weight", "embedding model")
            out = draft.write(names["token"], linear.matmul, f"{out} {weight}", axes)
        if self.scale is not None:
            out = draft.write(names["scaled"], scores.scale, out, axes, factor=self.scale)
        if self.masked is not None:
            given = {"mask": self.masked, "keep": KEPT}
            out = draft.write(names["unmasked"], tables.drop_masked, f"{out} token", axes, **given)
        if self.types:
            table = draft.give("embedding.type.weight", f"type {self.row}")
            row = draft.write(
                "embedding.type", tables.look_up, f"{table} {draft.give('type', 'token', 'integers')}", axes
            )
            out = draft.write(names["typed"], linear.add, f"{out} {row}", axes)
        if self.positions:
            row = self._position(draft, out, past, axes)
            out = draft.write(names["placed"], linear.add, f"{out} {row}", axes)
        if self.norm is None:
            return out
        if not self.narrow:
            return self.norm.write(draft, out, name="embedding")
        normed = self.norm.write(draft, out, axes, name="embedding.narrow")
        return _affine(draft, "embedding", normed, "embedding model", given="embedding.project")

    def _position(self, draft: Draft, source: str, past: str | None, axes: str) -> str:
        if isinstance(self.positions, Positions):
            return self.positions.write_row(draft, source, "embedding.position", past)
        return learned_positions(draft, source, past, axes) if self.pad is None else self._real_positions(draft, axes)

    def _real_positions(self, draft: Draft, axes: str) -> str:
        operands = f"{draft.give('embedding.position.weight', f'position {self.row}')} token"
        return draft.write("embedding.position", tables.rows_of_real, operands, axes, pad=self.pad)

    def _names(self) -> dict[str, str]:
        """The names of the sums on the way; the last is that of the whole, or of what the norm reads."""
        there = {
            "token": True, "scaled": self.scale is not None, "unmasked": self.masked is not None, "typed": self.types,
            "placed": bool(self.positions),
        }  # fmt: skip
        names = {part: f"embedding.{part}" for part, is_there in there.items() if is_there}
        return {**names, [*names][-1]: "embedding" if self.norm is None else "embedding.sum"}


class Head(Spec, frozen=True):
    """The head, which makes ``logits`` of the last tokens.

    Given arrays: ``logits.weight`` (model, vocabulary), or (model, class) for a classifier, unless tied; with bias
    ``logits.bias``; with an activation ``transform.weight`` (model, model), ``transform.bias`` and a layer norm's gain
    and bias.

    Attributes:
        reads: all ``tokens``, the ``first``, the ``last``, the ``mean`` of all, the last one that is ``marked`` in the
            encoder's text, or ``pooled``, which comes from the first.
        tied: the logits use the rows of ``embedding.weight``.
        bias: adds a bias.
        softcap: limits logits to -softcap .. softcap, with tanh (Gemma 2).
        pad: the number of the padding token: ``last`` is the last other token. None for the last of all.
        mark: the number of the token that is ``marked`` (BART's classifier: where the text ends).
        rest: adds to the logits the product of the mean of all tokens but this many with ``logits.rest.weight``
            (model, class) (DINOv2's classifier); None for no such thing.
        averaged: the logits are the mean of those of all tokens (EuroBERT's classifier).
        scale: logits are multiplied by this (Cohere, Granite; 1 / temperature); None for 1.
        transform: the activation of a product that comes first, followed by a norm (BERT's masked language model).
        eps: the eps of the transform's norm.
        plain: neither the product nor the norm of the transform has a bias (ModernBERT).
        normed: whether a norm follows the transform; BART's and EuroBERT's classifiers have none.
        narrow: what the logits are made of has as many features as embeddings have, fewer than a token has: the product
            of the transform, or of the last tokens, narrowed.
        probabilities: adds ``probabilities``, the softmax of the logits of each token.
    """

    reads: Literal["tokens", "first", "last", "mean", "marked", "pooled"] = "tokens"
    tied: bool = False
    bias: bool = False
    softcap: float | None = None
    transform: Activation | None = None
    eps: float = 1e-12
    scale: float | None = None
    pad: int | None = None
    narrow: bool = False
    plain: bool = False
    normed: bool = True
    mark: int | None = None
    rest: int | None = None
    averaged: bool = False
    probabilities: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.reads == "marked") != (self.mark is not None):
            raise SpecError("a head that reads what is marked has its mark, and no other head has one. Give both.")

    @property
    def axes(self) -> str:
        """The axes of the logits."""
        return f"token {'vocabulary' if self.reads == 'tokens' and not self.averaged else 'class'}"

    def _chosen(self, draft: Draft, source: str, padding: str | None) -> str:
        """The rows that the head reads."""
        if self.reads == "first":
            return draft.write("first", tables.first_token, source, TOKENS)
        if self.reads == "last" and self.pad is None:
            return draft.write("last", tables.last_token, source, TOKENS)
        if self.reads == "last":
            return draft.write("last", tables.last_real_token, f"{source} token", TOKENS, pad=self.pad)
        if self.reads == "marked":
            return draft.write("marked", tables.last_marked_token, f"{source} encoder.token", TOKENS, mark=self.mark)
        if self.reads == "mean":
            operation, operand, parameters = _mean(padding)
            return draft.write("mean", operation, f"{source} {operand}", TOKENS, **parameters)
        return source

    def write(self, draft: Draft, source: str, padding: str | None = None) -> str:
        """Writes the lines onto ``draft``, for the tokens ``source``; returns the name of the last, ``logits``.

        ``padding`` is the name of the array that says which tokens are real, if there is one.
        """
        tokens, source = source, self._chosen(draft, source, padding)
        if self.transform is not None:
            source = self._transformed(draft, source, self.transform)
        axes = self.axes
        row, column = "embedding" if self.narrow else "model", axes.split()[-1]
        weight = "embedding.weight" if self.tied else draft.give("logits.weight", f"{row} {column}")
        product = linear.matmul_transposed if self.tied else linear.matmul
        steps: list[tuple[str, Operation, str, dict[str, object]]] = [("product", product, f"{source} {weight}", {})]
        if self.rest is not None:
            rest = draft.write("mean", tables.mean_token, tokens, TOKENS, skip=self.rest)
            of_rest = f"{rest} {draft.give('logits.rest.weight', f'model {column}')}"
            steps.append(("sum", linear.add, draft.write("logits.rest", linear.matmul, of_rest, axes), {}))
        if self.bias:
            steps.append(("biased", linear.bias, draft.give("logits.bias", column), {}))
        if self.scale is not None:
            steps.append(("scaled", scores.scale, "", {"factor": self.scale}))
        if self.softcap is not None:
            steps.append(("capped", scores.softcap, "", {"cap": self.softcap}))
        if self.averaged:
            steps.append(("averaged", *_mean(padding)))
        out = ""
        for number, (step, operation, operands, parameters) in enumerate(steps, start=1):
            name = "logits" if number == len(steps) else f"logits.{step}"
            out = draft.write(name, operation, f"{out} {operands}", axes, **parameters)
        return out

    def _transformed(self, draft: Draft, source: str, activation: Activation) -> str:
        row = "embedding" if self.narrow else "model"
        if self.plain:
            weight = draft.give("transform.weight", f"model {row}")
            product = draft.write("transform", linear.matmul, f"{source} {weight}", f"token {row}")
        else:
            product = _affine(draft, "transform", source, f"model {row}")
        active = draft.write("transform.active", ACTIVATIONS[activation], product, f"token {row}")
        if not self.normed:
            return active
        norm = Norm(eps=self.eps, bias=False if self.plain else None)
        return norm.write(draft, active, f"token {row}", name="transform.norm")


def _mean(padding: str | None) -> tuple[Operation, str, dict[str, object]]:
    """The mean of the tokens, without those that are padding: the operation, its other operand, its parameters."""
    return (tables.mean_token, "", {"skip": 0}) if padding is None else (tables.mean_real_token, padding, {})


def _affine(draft: Draft, name: str, source: str, axes: str = "model model", given: str = "") -> str:
    """A product with a matrix, plus a bias: a line of this name, of arrays that may have another name."""
    column, given = axes.split()[-1], given or name
    weight = draft.give(f"{given}.weight", axes)
    product = draft.write(f"{name}.product", linear.matmul, f"{source} {weight}", f"token {column}")
    return draft.write(name, linear.bias, f"{product} {draft.give(f'{given}.bias', column)}", f"token {column}")


class Encoder(Spec, frozen=True):
    """The encoder of an encoder-decoder; its result is the memory of the decoder's blocks.

    Its lines begin with ``encoder.``; without an embedding ``encoder.input`` (token, model) is given. All its blocks
    share ``encoder.padding`` (key), booleans, if their attention asks for it, and so do those that read the memory.

    Attributes:
        layers: the blocks in order, each as often as its ``repeat`` says.
        embedding: how source tokens, or frames of a recording, become rows; None where these are given.
        norm: the last norm; None for none.
    """

    layers: tuple[Block, ...]
    embedding: Embedding | Frames | None = None
    norm: Norm | None = None

    def write(self, draft: Draft, first: int) -> Memory:
        """Writes the lines onto ``draft``, with layers from number ``first``; returns its names for the decoder."""
        own = draft.inside("encoder")
        stream = own.give("input", "token model") if self.embedding is None else self.embedding.write(own)
        stream = _write_layers(own, self.layers, stream, first)
        padded = any(each.attention.padding for each in self.layers)
        last = stream if self.norm is None else self.norm.write(own, stream)
        return last, "encoder.padding" if padded else None


def repeated(layers: tuple[Block, ...]) -> list[Block]:
    """The blocks of a stack, each as often as it is repeated."""
    return [block for block in layers for _ in range(block.repeat)]


def _write_layers(draft: Draft, layers: tuple[Block, ...], stream: str, first: int, memory: Memory = NO_MEMORY) -> str:
    """Writes blocks one after the other; all share the array that says which keys are real."""
    blocks = repeated(layers)
    padding = draft.give("padding", "key", "booleans") if any(each.attention.padding for each in blocks) else None
    for number, block in enumerate(blocks, start=first):
        stream = block.write(draft.inside(f"layers.{number}"), stream, padding, memory)
    return stream


class Transformer(Spec, frozen=True):
    """A whole model, from tokens to logits and a loss, or any part of one.

    Its lines are ``embedding``, ``layers.1.attention.weights`` ... ``layers.1.mlp.residual`` ..., ``norm`` and
    ``logits``, ``probabilities`` and ``loss``.

    Attributes:
        embedding: how tokens, or an image's patches, become rows; None where ``input`` (token, model) is given.
        layers: the blocks in order, each as often as its ``repeat`` says. All share ``padding`` (key), booleans, if
            their attention asks for it, and all with ``cross`` share ``memory`` (key, model).
        norm: the last norm; None for none.
        pooler: adds ``pooled``, made of the first token: this activation of its product with ``pooler.weight`` plus
            ``pooler.bias`` (BERT: tanh); ``"first"``: the token as it is (DINOv2); ``"normed"``: after a norm with
            ``pooled.gain`` and ``pooled.bias`` (CLIP). None for no pooler.
        head: what gives ``logits``; None for a model without.
        encoder: the encoder whose result is the memory; None where there is none, or ``memory`` is given.
        loss: the loss of the logits, or of the last block where there is no head; None for none.
        narrowed: adds ``narrowed`` (token, embedding), the product of the last tokens with ``narrowed.weight``
            (model, embedding), which the head reads (OPT 350M).
        first: the number of the first layer, head and cell: 1 as on paper, 0 as in checkpoints.
    """

    embedding: Embedding | Patches | None = None
    layers: tuple[Block, ...] = ()
    norm: Norm | None = None
    pooler: Activation | Literal["first", "normed"] | None = None
    head: Head | None = None
    encoder: Encoder | None = None
    loss: Loss | None = None
    first: Literal[0, 1] = 1
    narrowed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.embedding or self.layers or self.head or self.loss):
            raise SpecError("a model has an embedding, layers, a head or a loss; this has none. Add one of them.")
        if len(repeated(self.layers)) > MAX_LAYERS:
            raise SpecError(f"layers expects at most {MAX_LAYERS} blocks, got {len(repeated(self.layers))}.")
        if self.head and self.head.reads == "pooled" and not self.pooler:
            raise SpecError("the head reads pooled, and there is no pooler. Set pooler = tanh.")
        if self.head and self.head.reads == "marked" and not self.encoder:
            raise SpecError("the head reads what is marked in the encoder's text, and there is no encoder. Give one.")
        if self.head and self.head.tied and not isinstance(self.embedding, Embedding):
            raise SpecError("the head is tied to embeddings of tokens, and there are none. Set tied = false.")
        if self.encoder and not any(block.cross for block in self.layers):
            raise SpecError("nothing reads the encoder. Give the layers a cross-attention, below [model.layers.cross].")
        if self._counts_positions() and any(block.attention.cache for block in self.layers):
            raise SpecError(
                "positions of these kinds go without a cache. Use a table of positions for all tokens, state a width, "
                "or no cache."
            )
        if self.loss and self.loss.kind == "cross-entropy" and not self.head:
            raise SpecError(
                'a cross-entropy reads logits, and there is no head. Add one, or set kind = "squared-error".'
            )

    def _counts_positions(self) -> bool:
        """Whether positions are counted from the tokens alone, without those of a cache."""
        if not isinstance(self.embedding, Embedding):
            return False
        stated = self.embedding.positions
        if isinstance(stated, Positions):
            return stated.kind == "given" or stated.width is None
        return stated and self.embedding.pad is not None

    def working(self) -> Working:
        """The lines of this model."""
        draft = Draft()
        memory = NO_MEMORY
        if self.encoder:
            memory = self.encoder.write(draft, self.first)
        elif any(block.cross for block in self.layers):
            memory = draft.give("memory", "key model"), None
        stream = _write_layers(draft, self.layers, self._embedded(draft), self.first, memory)
        if self.norm is not None:
            stream = self.norm.write(draft, stream)
        if self.narrowed:
            weight = draft.give("narrowed.weight", "model embedding")
            stream = draft.write("narrowed", linear.matmul, f"{stream} {weight}", "token embedding")
        pooled = stream if self.pooler is None else self._pooled(draft, stream, self.pooler)
        if self.head is not None:
            padding = "padding" if any(block.attention.padding for block in self.layers) else None
            stream = self.head.write(draft, pooled if self.head.reads == "pooled" else stream, padding)
        axes = self.head.axes if self.head else TOKENS
        if self.loss is not None:
            self.loss.write(draft, stream, axes)
        elif self.head and self.head.probabilities:
            draft.write("probabilities", scores.softmax, stream, axes)
        return draft.working(label_base=self.first)

    def _embedded(self, draft: Draft) -> str:
        if self.embedding is None:
            return draft.give("input", "token model")
        if isinstance(self.embedding, Patches):
            return self.embedding.write(draft)
        cached = self.layers and self.layers[0].attention.cache
        return self.embedding.write(draft, f"layers.{self.first}.attention.past.key" if cached else None)

    def _pooled(self, draft: Draft, stream: str, pooler: Activation | Literal["first", "normed"]) -> str:
        if pooler == "first":
            return draft.write("pooled", tables.first_token, stream, TOKENS)
        first = draft.write("pooler.first", tables.first_token, stream, TOKENS)
        if pooler == "normed":
            return Norm().write(draft, first, name="pooled")
        return draft.write("pooled", ACTIVATIONS[pooler], _affine(draft, "pooler", first), TOKENS)
