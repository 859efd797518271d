"""The kind of an exercise, and its spec."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from clearhead.errors import SpecError, UnknownName, suggest
from clearhead.spec import (
    Attention,
    Backward,
    Block,
    Embedding,
    Encoder,
    Head,
    Loss,
    Mlp,
    Norm,
    Positions,
    Rotary,
    Transformer,
)
from clearhead.working import Working

PartName = Literal[
    "causal", "rotary", "positions", "sinusoidal", "bias", "grouped", "exponentials", "dropout", "output", "residual",
    "norm", "rms", "mlp", "embedding", "cross", "encoder", "stack", "logits", "loss", "squared",
    "gradients",
]  # fmt: skip
DifficultyName = Literal["easy", "medium", "hard"]

PARTS: dict[PartName, str] = {
    "causal": "no token sees a later one",
    "rotary": "rotary positions rotate queries and keys",
    "positions": "given positions are added to the embeddings",
    "sinusoidal": "sines and cosines of the positions are added to the embeddings",
    "bias": "queries, keys and values have a bias",
    "grouped": "two query heads share each key/value head",
    "exponentials": "the exponentials of the scores and their sums are lines of their own",
    "dropout": "half of the weights are dropped, by a given mask, and the others doubled",
    "output": "an output projection follows the heads",
    "residual": "the input is added to the result of attention",
    "norm": "a layer norm follows each residual",
    "rms": "a root-mean-square norm follows each residual",
    "mlp": "an MLP with ReLU follows, again with a residual",
    "embedding": "tokens are looked up in a table of the vocabulary",
    "cross": "cross-attention to a memory of two tokens follows, again with a residual",
    "encoder": "cross-attention follows, to the result of an encoder's block",
    "stack": "a second block follows, with weights of its own",
    "logits": "each token gets a logit, and a probability, for each word of the vocabulary",
    "loss": "the cross-entropy of the given next words is the result, behind logits and probabilities",
    "squared": "the mean squared error from a given target is the result",
    "gradients": "the gradients for all given numbers follow, of the loss or from a given gradient of the result",
}
"""The parts that an exercise can have."""

OF_MODELS = frozenset({"embedding", "cross", "encoder", "stack", "logits", "loss", "squared"})
"""The parts that make it a model and not a single block."""

APART = (("norm", "rms"), ("positions", "sinusoidal"), ("loss", "squared"), ("logits", "squared"), ("cross", "encoder"))
"""Parts of which an exercise has only one."""


class Difficulty(Struct, frozen=True):
    """How hard the arithmetic may be.

    Attributes:
        entries: the numbers that tokens are drawn from.
        weights: the numbers that weights are drawn from; frequent ones are repeated.
        largest: the largest absolute value of a score.
        exponentials: the most different ones for three tokens and two heads; two more for each further token or head.
        decimals: the decimals of answers.
    """

    entries: tuple[float, ...]
    weights: tuple[float, ...]
    largest: float
    exponentials: int
    decimals: int


DIFFICULTIES: dict[DifficultyName, Difficulty] = {
    "easy": Difficulty((1, 1, 2), (1, 1, -1), 4, 5, 2),
    "medium": Difficulty((1, 1, 2, -1), (1, 1, -1), 6, 7, 3),
    "hard": Difficulty((1, 2, -1, -2, 0.5, 1.5), (1, -1, 0.5, 2), 6, 12, 3),
}

FEWEST_TOKENS, MAX_TOKENS, MAX_HEADS, MAX_WIDTH = 2, 8, 4, 8


class Recipe(Struct, frozen=True, kw_only=True):
    """The kind of an exercise.

    Raises:
        SpecError: sizes do not fit each other, or the exercise would hide a mistake whatever its numbers.
        UnknownName: no such part or difficulty.
    """

    tokens: int = 3
    heads: int = 2
    width: int = 4
    parts: tuple[PartName, ...] = ()
    difficulty: DifficultyName = "easy"

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise UnknownName(f"An exercise has no part {part!r}. {suggest(part, PARTS)}")
        if self.difficulty not in DIFFICULTIES:
            raise UnknownName(f"No difficulty is called {self.difficulty!r}. {suggest(self.difficulty, DIFFICULTIES)}")
        for name, fewest, most in (("tokens", FEWEST_TOKENS, MAX_TOKENS), ("heads", 1, MAX_HEADS)):
            if not fewest <= getattr(self, name) <= most:
                raise SpecError(f"{name} expects {fewest} to {most}, for computing by hand; got {getattr(self, name)}.")
        self._check_width()
        for one, other in APART:
            if one in self.parts and other in self.parts:
                raise SpecError(f"parts has {one} and {other}. Choose one of the two.")
        if "norm" in self.parts and self.width == 2:
            raise SpecError("norm needs a width of 3 or more: of two numbers it always makes 1 and -1.")
        if "grouped" in self.parts and self.heads % 2:
            raise SpecError(f"parts has grouped, which needs an even number of heads; got {self.heads}.")

    def _check_width(self) -> None:
        """At depth 1 the scale is 1, so that no mistake with it would show; rotary positions need pairs."""
        depths = (2, 4) if "rotary" in self.parts else range(2, MAX_WIDTH + 1)
        fitting = [self.heads * depth for depth in depths if self.heads * depth <= MAX_WIDTH]
        if self.width not in fitting:
            raise SpecError(
                f"width expects {' or '.join(map(str, fitting))}: {self.heads} heads of depth "
                f"{'2 or 4' if 'rotary' in self.parts else '2 or more'}; got {self.width}."
            )

    @property
    def spec(self) -> Attention | Block | Transformer:
        """What is computed."""
        parts: set[str] = set(self.parts)
        if parts & OF_MODELS:
            return self._model(parts)
        if parts & {"residual", "norm", "rms", "mlp", "positions", "sinusoidal"}:
            return self._block(parts, self._positions)
        return self._attention(parts)

    @property
    def backward(self) -> Backward | None:
        """The gradients that are computed too; None for none."""
        return Backward() if "gradients" in self.parts else None

    @property
    def working(self) -> Working:
        """All lines of what is computed."""
        forward = self.spec.working()
        return forward if self.backward is None else self.backward.working(forward)

    def _model(self, parts: set[str]) -> Transformer:
        embedded = "embedding" in parts
        blocks = [self._block(parts, None if embedded else self._positions, cross=bool(parts & {"cross", "encoder"}))]
        if "stack" in parts:
            blocks.append(self._block(parts, None))
        return Transformer(
            embedding=Embedding(positions=self._positions or False) if embedded else None,
            encoder=Encoder((self._block(parts - {"causal", "mlp"}, None),)) if "encoder" in parts else None,
            layers=tuple(blocks),
            head=Head(probabilities="loss" not in parts) if parts & {"logits", "loss"} else None,
            loss=Loss("squared-error" if "squared" in parts else "cross-entropy")
            if parts & {"loss", "squared"}
            else None,
        )

    def _block(self, parts: set[str], positions: Positions | None, *, cross: bool = False) -> Block:
        kind: Literal["layer", "rms"] = "rms" if "rms" in parts else "layer"
        return Block(
            self._attention(parts),
            norm=Norm(kind, eps=0, gain=False) if parts & {"norm", "rms"} else None,
            mlp=Mlp("relu") if "mlp" in parts else None,
            positions=positions,
            cross=self._attention(parts & {"grouped", "bias", "output"}, memory=True) if cross else None,
        )

    def _attention(self, parts: set[str], *, memory: bool = False) -> Attention:
        return Attention(
            heads=self.heads,
            kv_heads=self.heads // 2 if "grouped" in parts else None,
            causal="causal" in parts,
            rotary=Rotary() if "rotary" in parts else None,
            bias=("query", "key", "value") if "bias" in parts else (),
            output="output" in parts,
            exponentials="exponentials" in parts,
            dropout=0.5 if "dropout" in parts else None,
            memory=memory,
        )

    @property
    def _positions(self) -> Positions | None:
        given = {"positions": Positions(), "sinusoidal": Positions("sinusoidal")}
        return next((given[part] for part in self.parts if part in given), None)

    @property
    def level(self) -> Difficulty:
        """How hard the arithmetic may be."""
        return DIFFICULTIES[self.difficulty]

    def options(self) -> str:
        """The recipe as options of the command line."""
        parts = f" --parts {','.join(self.parts)}" if self.parts else ""
        sizes = f"--tokens {self.tokens} --heads {self.heads} --width {self.width}"
        return f"{sizes}{parts} --difficulty {self.difficulty}"
