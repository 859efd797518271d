"""What kind of exercise is wanted, and the spec that it comes to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from clearhead.errors import SpecError, UnknownName, suggest
from clearhead.spec import Attention, Block, Mlp, Norm, Positions, Rotary

PartName = Literal["causal", "rotary", "positions", "bias", "grouped", "output", "residual", "norm", "rms", "mlp"]
DifficultyName = Literal["easy", "medium", "hard"]

PARTS: dict[PartName, str] = {
    "causal": "no token sees a later one",
    "rotary": "rotary positions turn queries and keys",
    "positions": "given positions are added to the embeddings",
    "bias": "queries, keys and values have a bias",
    "grouped": "two query heads share each key/value head",
    "output": "an output projection follows the heads",
    "residual": "the input is added to what attention finds",
    "norm": "a layer norm follows each residual",
    "rms": "a root-mean-square norm follows each residual",
    "mlp": "an MLP with ReLU follows, again with a residual",
}
"""What an exercise can have, and what that is."""


class Difficulty(Struct, frozen=True):
    """How hard the arithmetic may be.

    Attributes:
        entries: the numbers that tokens are drawn from.
        weights: the numbers that weights are drawn from, those that come often more than once.
        largest: no score is beyond this.
        exponentials: the most different ones for three tokens and two heads; two more for each further token or head.
        decimals: how precisely answers are asked for.
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
    """What kind of exercise is wanted.

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
                raise SpecError(f"{name} expects {fewest} to {most}, to be worked by hand; got {getattr(self, name)}.")
        self._check_width()
        if "norm" in self.parts and "rms" in self.parts:
            raise SpecError("parts has norm and rms. Choose one of the two.")
        if "norm" in self.parts and self.width == 2:
            raise SpecError("norm needs a width of 3 or more: of two numbers it makes 1 and -1, whatever they are.")
        if "grouped" in self.parts and self.heads % 2:
            raise SpecError(f"parts has grouped, which needs an even number of heads; got {self.heads}.")

    def _check_width(self) -> None:
        """At depth 1 the scale is 1, so that no mistake with it would show; rotary turns pairs."""
        depths = (2, 4) if "rotary" in self.parts else range(2, MAX_WIDTH + 1)
        fitting = [self.heads * depth for depth in depths if self.heads * depth <= MAX_WIDTH]
        if self.width not in fitting:
            raise SpecError(
                f"width expects {' or '.join(map(str, fitting))}: {self.heads} heads of depth "
                f"{'2 or 4' if 'rotary' in self.parts else '2 or more'}; got {self.width}."
            )

    @property
    def spec(self) -> Attention | Block:
        """What is computed."""
        parts = set(self.parts)
        in_block = parts & {"residual", "norm", "rms", "mlp", "positions"}
        attention = Attention(
            heads=self.heads,
            kv_heads=self.heads // 2 if "grouped" in parts else None,
            causal="causal" in parts,
            rotary=Rotary() if "rotary" in parts else None,
            bias=("query", "key", "value") if "bias" in parts else (),
            output="output" in parts,
        )
        if not in_block:
            return attention
        kind: Literal["layer", "rms"] = "rms" if "rms" in parts else "layer"
        return Block(
            attention,
            norm=Norm(kind, eps=0, gain=False) if parts & {"norm", "rms"} else None,
            mlp=Mlp("relu") if "mlp" in parts else None,
            positions=Positions() if "positions" in parts else None,
        )

    @property
    def level(self) -> Difficulty:
        """How hard the arithmetic may be."""
        return DIFFICULTIES[self.difficulty]

    def options(self) -> str:
        """The recipe as the command line has it."""
        parts = f" --parts {','.join(self.parts)}" if self.parts else ""
        sizes = f"--tokens {self.tokens} --heads {self.heads} --width {self.width}"
        return f"{sizes}{parts} --difficulty {self.difficulty}"
