"""Multi-head self- and cross-attention as a spec, and its lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import force_setattr

from clearhead.errors import SpecError
from clearhead.ops import Operation
from clearhead.ops.textbook import experts, linear, relative, scores, tokens
from clearhead.spec.delta import Delta
from clearhead.spec.disentangled import Disentangled
from clearhead.spec.draft import Draft
from clearhead.spec.fields import Spec, check_rate
from clearhead.spec.growth import Growth
from clearhead.spec.latent import Latent
from clearhead.spec.norm import Norm
from clearhead.spec.relative import Relative
from clearhead.spec.rotary import Rotary
from clearhead.working import Working

Projection = Literal["query", "key", "value", "output"]
NormedOver = Literal["depth", "depth-own", "heads"]
PROJECTIONS: tuple[Projection, ...] = ("query", "key", "value", "output")


class Attention(Spec, frozen=True):
    """Scaled dot-product attention over heads (Vaswani et al. 2017, section 3.2).

    Given arrays (weights multiply from the right; see `clearhead.axes` for the words):
    ``input`` (token, model); ``query.weight`` (head, model, depth); ``key.weight`` and ``value.weight`` the same, with
    kv_heads heads; ``output.weight`` (head*depth, model); and what the attributes below add.

    Attributes:
        heads: query heads.
        kv_heads: key/value heads; each serves heads / kv_heads neighbouring query heads (Ainslie et al. 2023). None
            for the number of query heads.
        scale: the factor of scores; None for 1 / sqrt(depth).
        softcap: limits scores to -softcap .. softcap, with tanh (Gemma 2), before masks.
        causal: no query sees a later key. With more keys than queries the last query sees all keys.
        window: a query attends to keys less than ``window`` tokens away (with causal: itself and window - 1 before it).
        mask: adds ``mask`` (query, key): ``"boolean"``, True = may attend, or ``"additive"``, added to the scores.
        padding: adds ``padding`` (key), booleans: True for real tokens, False for padding.
        alibi: scores fall linearly with distance, with one slope for each head (Press et al. 2022).
        sink: adds ``sink`` (head), a learned score for each head: its exponential joins the denominator of the softmax,
            so that a query need not attend to any key (gpt-oss).
        rotary: rotary positions of queries and keys.
        qk_norm: a norm of queries and keys, before rotary positions.
        bias: the projections that add a bias: ``query.bias`` (head, depth) ... ``output.bias`` (model); True for all.
        output: whether an output projection follows the concatenated heads.
        cache: adds ``past.key`` and ``past.value`` (group, past, depth), set before the new keys and values.
        memory: keys and values come from ``memory`` (key, model) instead of the input: cross-attention.
        qk_norm_over: the axes of that norm: ``"depth"`` of each head, with one gain for all heads (Qwen 3);
            ``"depth-own"`` with a gain (head, depth) of each head's own (Cohere); ``"heads"``: all heads together, with
            a gain (head, depth) (OLMo 2).
        latent: keys and values, and optionally queries, come from low-rank latents (DeepSeek-V2).
        qk_norm_last: that norm comes after rotary positions (HunYuan).
        output_norm: a norm of the concatenated heads, before the output projection (BitNet).
        clip: queries, keys and values are clipped to -clip .. clip (OLMo), queries and keys after their norm
            where there is one (OLMoE); None for not.
        projected: whether queries, keys and values are products with weights; if not, all three are the input, whose
            columns are split into heads.
        exponentials: adds the softmax's ``exponentials`` and their ``sums`` as lines.
        dropout: the rate at which weights are dropped in training, by the given ``weights.keep`` (head, query, key),
            booleans: kept weights are divided by 1 - dropout; None for none.
        delta: a gated delta net in the place of the scores, weights and sums, with heads of its own (Qwen3-Next); it
            goes with ``causal`` alone.
        gated: each head's result is multiplied by the logistic function of its own ``gate``, the product of the tokens
            with ``gate.weight`` (head, model, depth), plus ``gate.bias`` where queries have one (Qwen3-Next).
        value_from_key: values are the keys before their norm and rotation, without ``value.weight`` (Gemma 4).
        value_norm: a norm of each head's values (Gemma 4).
        keys_of: the number of an earlier layer of the same kind whose keys and values are read (Gemma 4); None for own
            ones.
        growth: queries grow with their position, after rotary positions (Ministral 3).
        disentangled: scores plus what the content of queries and keys says of distances (DeBERTa).
        relative: scores plus ``relative.weight`` (bucket, head), a learned number for the distance of query and key
            (T5).
    """

    heads: int
    kv_heads: int | None = None
    scale: float | None = None
    softcap: float | None = None
    causal: bool = False
    window: int | None = None
    mask: Literal["boolean", "additive"] | None = None
    padding: bool = False
    alibi: bool = False
    sink: bool = False
    rotary: Rotary | None = None
    qk_norm: Norm | None = None
    bias: tuple[Projection, ...] | bool = ()
    output: bool = True
    cache: bool = False
    memory: bool = False
    qk_norm_over: NormedOver = "depth"
    latent: Latent | None = None
    qk_norm_last: bool = False
    output_norm: Norm | None = None
    clip: float | None = None
    projected: bool = True
    exponentials: bool = False
    dropout: float | None = None
    relative: Relative | None = None
    disentangled: Disentangled | None = None
    growth: Growth | None = None
    value_from_key: bool = False
    value_norm: Norm | None = None
    keys_of: int | None = None
    delta: Delta | None = None
    gated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1:
            raise SpecError(f"heads expects 1 or more, got {self.heads}.")
        if self.groups < 1 or self.heads % self.groups:
            raise SpecError(
                f"kv_heads expects a divisor of heads={self.heads}, got {self.kv_heads}: "
                f"every key/value head serves equally many query heads."
            )
        for name, value in (("softcap", self.softcap), ("window", self.window), ("clip", self.clip)):
            if value is not None and value <= 0:
                raise SpecError(f"{name} expects a number above 0, got {value}. Leave it out for none.")
        if self.qk_norm and self.qk_norm_over == "heads" and self.qk_norm.kind != "rms":
            raise SpecError("qk_norm over all heads is an RMS norm. Set kind = rms.")
        force_setattr(self, "bias", self.biased)
        if self.dropout is not None:
            check_rate("Attention", self.dropout)
        if not self.projected and (self.groups != self.heads or set(self.biased) - {"output"} or self.clip):
            raise SpecError("projected = false goes without kv_heads, clip and biases of queries, keys and values.")
        if "output" in self.biased and not self.output:
            raise SpecError("bias names output, but output is false. Drop one of the two.")
        if self.latent and (self.memory or self.qk_norm or self.clip or self.groups != self.heads):
            raise SpecError("latent goes without memory, qk_norm, clip and kv_heads: latents replace them.")
        if self.delta:
            defaults = zip(self.__struct_fields__[1:], self.__struct_defaults__, strict=True)
            changed = {name for name, default in defaults if getattr(self, name) != default}
            if "causal" not in changed or changed - {"kv_heads", "causal", "padding", "delta"}:
                raise SpecError(
                    f"delta goes with causal = true and padding alone, since it has no scores; got "
                    f"{', '.join(sorted(changed - {'delta'})) or 'neither'}."
                )
        if self.latent and set(self.biased) - {"output"}:
            raise SpecError("latent goes without biases of query, key and value. Drop them.")
        self._check_distances()

    def _check_distances(self) -> None:
        """Checks what counts on tokens having an order."""
        if self.keys_of is not None and (self.memory or self.latent or self.clip or self.growth or self.qk_norm_last):
            raise SpecError("keys_of goes without memory, latent, clip, growth and qk_norm_last.")
        if self.memory and (self.rotary or self.cache):
            raise SpecError("memory goes without rotary and cache: its tokens have no order relative to the input's.")
        if self.memory and (self.relative or self.disentangled):
            raise SpecError(
                "memory goes without relative and disentangled: its tokens have no order relative to the input's."
            )
        if self.disentangled and (self.latent or self.relative or not self.projected or self.groups != self.heads):
            raise SpecError("disentangled goes with projected queries and keys, without kv_heads, latent and relative.")

    @property
    def groups(self) -> int:
        """Key/value heads."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def biased(self) -> tuple[Projection, ...]:
        """The projections that add a bias."""
        if not isinstance(self.bias, bool):
            return self.bias
        return tuple(each for each in PROJECTIONS if self.bias and (self.output or each != "output"))

    def working(self) -> Working:
        """The lines of this attention."""
        draft = Draft()
        self.write(draft, draft.give("input", "token model"))
        return draft.working()

    def write(self, draft: Draft, source: str, padding: str | None = None, memory: str | None = None) -> str:
        """Writes the lines onto ``draft``, for the tokens ``source``; returns the name of the last.

        ``padding`` is the full name of an array that says which keys are real, where several attentions share one.
        ``memory`` is the full name of the array of keys and values, where several attentions share one.
        """
        if self.delta is not None:
            return self._output(draft, self.delta.write(draft, source))
        if self.keys_of is not None:
            query, key, value = self._with_keys_of(draft, source, self.keys_of)
        else:
            query, key, value = self._own(draft, source, memory)
        if self.groups != self.heads:
            times = self.heads // self.groups
            key = draft.write("key.repeated", linear.repeat, key, "head key depth", times=times)
            value = draft.write("value.repeated", linear.repeat, value, "head key depth", times=times)
        return self._attend(draft, source, (query, key, value), padding)

    def _own(self, draft: Draft, source: str, memory: str | None) -> tuple[str, str, str]:
        """Writes queries, keys and values as they meet, behind a cache perhaps; returns their names."""
        query, key, value = self._three(draft, source, memory)
        if self.qk_norm and not self.qk_norm_last:
            query, key = self._both_normed(draft, self.qk_norm, query, key)
            if self.clip is not None:
                query = draft.write("query.clipped", tokens.clip, query, "head token depth", limit=self.clip)
                key = draft.write("key.clipped", tokens.clip, key, self._keys("token"), limit=self.clip)
        past = self._past(draft) if self.cache else []
        if self.rotary:
            position = self.rotary.write_position(draft, query, past[0] if past else None)
            query, key = self.rotary.write(draft, position, query, key, self._keys("token"))
        if self.qk_norm and self.qk_norm_last:
            query, key = self._both_normed(draft, self.qk_norm, query, key)
        if self.growth is not None:
            query = self.growth.write(draft, query, past[0] if past else None)
        if self.value_norm is not None:
            value = self.value_norm.write(draft, value, self._keys("token"), "value.norm")
        if past:
            key = draft.write("key.joined", linear.append, f"{past[0]} {key}", self._keys("key"))
            value = draft.write("value.joined", linear.append, f"{past[1]} {value}", self._keys("key"))
        return query, key, value

    def _with_keys_of(self, draft: Draft, source: str, layer: int) -> tuple[str, str, str]:
        """Writes queries; returns their name, and those of the keys and values of an earlier layer."""
        query = self._project(draft, "query", source, "head token depth")
        if self.qk_norm:
            query = self._normed(draft, self.qk_norm, query, "query.norm", "head token depth")
        if self.rotary:
            past = draft.of_layer(layer, "past.key") if self.cache else None
            position = self.rotary.write_position(draft, query, past)
            query, _ = self.rotary.write(draft, position, query, None, "")
        key = "key.joined" if self.cache else "key.rotated" if self.rotary else "key.norm" if self.qk_norm else "key"
        plain = "key" if self.value_from_key else "value"
        value = "value.joined" if self.cache else "value.norm" if self.value_norm else plain
        return query, draft.of_layer(layer, key), draft.of_layer(layer, value)

    def _three(self, draft: Draft, source: str, memory: str | None) -> tuple[str, str, str]:
        """Writes queries, keys and values; returns their names."""
        if self.latent is not None:
            return self.latent.write(draft, source, self._sizes())
        memory = memory or (draft.give("memory", "key model") if self.memory else source)
        query = self._project(draft, "query", source, "head token depth")
        key = self._project(draft, "key", memory, self._keys("token"))
        if self.value_from_key:
            return query, key, key
        return query, key, self._project(draft, "value", memory, self._keys("token"))

    def _both_normed(self, draft: Draft, norm: Norm, query: str, key: str) -> tuple[str, str]:
        query = self._normed(draft, norm, query, "query.norm", "head token depth")
        return query, self._normed(draft, norm, key, "key.norm", self._keys("token"))

    def _normed(self, draft: Draft, norm: Norm, source: str, name: str, axes: str) -> str:
        if self.qk_norm_over == "depth":
            return norm.write(draft, source, axes, name)
        plain = tokens.layer_norm if norm.kind == "layer" else tokens.rms_norm
        operation = tokens.rms_norm_of_heads if self.qk_norm_over == "heads" else plain
        normalized = draft.write(f"{name}.normalized", operation, source, axes, eps=norm.eps)
        head = axes.split()[0]
        gain = draft.give(f"{name}.gain", f"{head} depth", sizes=self._sizes())
        return draft.write(name, tokens.head_gain, f"{normalized} {gain}", axes)

    def _past(self, draft: Draft) -> list[str]:
        return [draft.give(f"past.{name}", self._keys("past"), sizes=self._sizes()) for name in ("key", "value")]

    def _keys(self, tokens: str) -> str:
        return f"{'head' if self.groups == self.heads else 'group'} {tokens} depth"

    def _sizes(self) -> dict[str, int]:
        return {"head": self.heads, "group": self.groups}

    def _project(self, draft: Draft, name: Projection, source: str, axes: str) -> str:
        head, _, depth = axes.split()
        if not self.projected:
            return draft.write(name, linear.split, source, axes, heads=self.heads)
        weight = draft.give(f"{name}.weight", f"{head} model {depth}", sizes=self._sizes())
        clipped = self.clip is not None and (self.qk_norm is None or name == "value")
        last = f"{name}.unclipped" if clipped else name
        biased = name in self.biased
        out = draft.write(f"{name}.product" if biased else last, linear.project, f"{source} {weight}", axes)
        if biased:
            bias = draft.give(f"{name}.bias", f"{head} {depth}", sizes=self._sizes())
            out = draft.write(last, linear.head_bias, f"{out} {bias}", axes)
        return draft.write(name, tokens.clip, out, axes, limit=self.clip) if clipped else out

    def _attend(self, draft: Draft, source: str, three: tuple[str, str, str], padding: str | None) -> str:
        query, key, value = three
        score = draft.write("scores", linear.matmul_transposed, f"{query} {key}", "head query key")
        if self.disentangled is not None:
            score = self.disentangled.write(draft, score, query, key, self._sizes(), self.biased)
        if self.scale is None:
            score = draft.write("scaled", scores.scale_by_depth, f"{score} {query}", "head query key")
        else:
            score = draft.write("scaled", scores.scale, score, "head query key", factor=self.scale)
        if self.softcap is not None:
            score = draft.write("capped", scores.softcap, score, "head query key", cap=self.softcap)
        if self.alibi:
            slope = draft.write("alibi.slope", scores.alibi_slopes, score, "head", heads=self.heads)
            score = draft.write("alibi", scores.alibi, f"{score} {slope}", "head query key")
        if self.relative is not None:
            score = self._biased_by_distance(draft, score, self.relative)
        score = self._mask(draft, score, padding)
        if self.exponentials:
            parts = draft.write("exponentials", scores.exponential, score, "head query key")
            draft.write("sums", scores.sum_of_row, parts, "head query")
        weights = self._weigh(draft, score)
        if self.dropout is not None:
            keep = draft.give("weights.keep", "head query key", "booleans", self._sizes())
            weights = draft.write(
                "weights.dropped", tokens.dropout, f"{weights} {keep}", "head query key", rate=self.dropout
            )
        head = draft.write("head", linear.weighted_sum, f"{weights} {value}", "head token depth")
        if self.gated:
            head = self._gated(draft, source, head)
        concat = draft.write("concat", linear.concat, head, "token head*depth")
        if self.output_norm is not None:
            concat = self.output_norm.write(draft, concat, "token head*depth", "concat.norm")
        return self._output(draft, concat) if self.output else concat

    def _gated(self, draft: Draft, source: str, head: str) -> str:
        axes = "head token depth"
        name, weight = "gate", draft.give("gate.weight", "head model depth", sizes=self._sizes())
        biased = "query" in self.biased
        gate = draft.write(f"{name}.product" if biased else name, linear.project, f"{source} {weight}", axes)
        if biased:
            bias = draft.give("gate.bias", "head depth", sizes=self._sizes())
            gate = draft.write(name, linear.head_bias, f"{gate} {bias}", axes)
        share = draft.write("gate.share", experts.logistic, gate, axes)
        return draft.write("gated", linear.multiply, f"{head} {share}", axes)

    def _biased_by_distance(self, draft: Draft, score: str, stated: Relative) -> str:
        table = draft.give("relative.weight", "bucket head", sizes={**self._sizes(), "bucket": stated.buckets})
        operands, both = f"{score} {table}", not self.causal
        parameters = {"buckets": stated.buckets, "reach": stated.reach, "both": both}
        return draft.write("relative", relative.relative_bias, operands, "head query key", **parameters)

    def _weigh(self, draft: Draft, score: str) -> str:
        if not self.sink:
            return draft.write("weights", scores.softmax, score, "head query key")
        sink = draft.give("sink", "head", sizes=self._sizes())
        return draft.write("weights", scores.softmax_with_sink, f"{score} {sink}", "head query key")

    def _mask(self, draft: Draft, score: str, padding: str | None) -> str:
        """Writes a line for each mask; the last is called ``masked``."""
        masks = self._masks(draft, padding)
        for number, (kind, operation, operand, parameters) in enumerate(masks, start=1):
            name = "masked" if number == len(masks) else f"masked.{kind}"
            score = draft.write(name, operation, f"{score} {operand}", "head query key", **parameters)
        return score

    def _masks(self, draft: Draft, padding: str | None) -> Sequence[tuple[str, Operation, str, dict[str, object]]]:
        masks: list[tuple[str, Operation, str, dict[str, object]]] = []
        if self.mask == "boolean":
            masks.append(("given", scores.mask_boolean, draft.give("mask", "query key", "booleans"), {}))
        if self.mask == "additive":
            masks.append(("given", scores.mask_additive, draft.give("mask", "query key"), {}))
        if self.causal:
            masks.append(("causal", scores.mask_causal, "", {}))
        if self.window is not None:
            masks.append(("window", scores.mask_window, "", {"width": self.window}))
        if self.padding:
            real = padding or draft.give("padding", "key", "booleans")
            masks.append(("padding", scores.mask_padding, real, {}))
        return masks

    def _output(self, draft: Draft, concat: str) -> str:
        weight = draft.give("output.weight", "head*depth model")
        if "output" not in self.biased:
            return draft.write("output", linear.matmul, f"{concat} {weight}", "token model")
        product = draft.write("output.product", linear.matmul, f"{concat} {weight}", "token model")
        return draft.write("output", linear.bias, f"{product} {draft.give('output.bias', 'model')}", "token model")
