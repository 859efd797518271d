"""What an encoder-decoder is given to read: a source, and what the decoder has written so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from clearhead.errors import CheckpointError, ShapeError
from clearhead.models.checkpoint import Checkpoint, read_json
from clearhead.models.families.heads import PATHS
from clearhead.models.texts import Inputs, Source, encoded, text_inputs
from clearhead.models.tokenizer import Encoded
from clearhead.spec import Frames

if TYPE_CHECKING:
    from clearhead.models.model import Model

Numbers = np.ndarray[Any, Any]


def pair_of(model: Model, source: Source, decoder: Source | None) -> Inputs:
    """What both stacks of an encoder-decoder read, as arrays; those of the encoder begin with ``encoder.``.

    Raises:
        ShapeError: numbers of tokens that the model does not have, or not one text of the decoder for each source.
        CheckpointError: nothing says with which token the decoder starts.
    """
    read = _read(model, source)
    (array,) = (each for name, each in read.arrays.items() if name in ("token", "frame"))
    lead = array.shape[: -2 if "frame" in read.arrays else -1]
    again = decoder is None and model.checkpoint.architecture.endswith(tuple(PATHS))
    own = _shifted(model, source) if again else _written(model, decoder, lead)
    written = text_inputs(model, own, model.vocabulary, "decoder: ")
    if written.arrays["token"].shape[:-1] != lead:
        raise ShapeError(
            f"the source has {_texts(lead)} and decoder {_texts(written.arrays['token'].shape[:-1])}. "
            f"Give the decoder one text for each."
        )
    _check_marked(model, array)
    arrays = {f"encoder.{name}": each for name, each in read.arrays.items()} | written.arrays
    if read.padded or written.padded:
        for side, of in (("encoder.", read), ("", written)):
            shape = of.arrays["token"].shape if "token" in of.arrays else (*lead, array.shape[-2] // 2)
            arrays.setdefault(f"{side}padding", np.ones(shape, bool))
    return Inputs(arrays, written.tokens, read.tokens)


def _texts(lead: Sequence[int]) -> str:
    return f"{lead[0]} texts" if lead else "one text"


def _read(model: Model, source: Source) -> Inputs:
    """What the encoder reads: a text, or the frames of a recording."""
    spec = model.spec.encoder
    if spec is not None and isinstance(spec.embedding, Frames):
        return Inputs({"frame": frames(source, *model.recording)})
    return text_inputs(model, encoded(model, source), model.source_vocabulary, "", types=False)


def frames(source: Source, channels: int, positions: int) -> Numbers:
    """The features of a recording (*batch, channel, frame) as frames (*batch, frame, channel).

    Raises:
        ShapeError: another number of channels, or another length than the model has positions for.
    """
    expected = f"a recording expects its features, (channel={channels}, frame={2 * positions})"
    try:
        features = np.asarray(source, np.float32)
    except (TypeError, ValueError):
        raise ShapeError(f"{expected}; got {type(source).__name__}.") from None
    if features.ndim < 2 or features.shape[-2:] != (channels, 2 * positions):
        raise ShapeError(f"{expected}; got shape {features.shape}. Pad or cut it as the feature extractor does.")
    return features.swapaxes(-1, -2)


def _written(model: Model, decoder: Source | None, lead: Sequence[int]) -> Encoded | list[Encoded]:
    """What the decoder has written so far: texts behind the token that it starts with, numbers as they are."""
    if decoder is None:
        start = start_of(model.checkpoint)
        alone = Encoded((start,), (0,), model.names([start]))
        return [alone] * lead[0] if lead else alone
    if isinstance(decoder, str):
        return _behind_start(model, model.tokenizer.encode(decoder))
    parts = list(decoder) if not isinstance(decoder, Encoded) else []
    if parts and all(isinstance(part, str) for part in parts):
        return [_behind_start(model, model.tokenizer.encode(str(part))) for part in parts]
    return encoded(model, decoder)


def _shifted(model: Model, source: Source) -> Encoded | list[Encoded]:
    """What the decoder reads where the head judges the source: the source again, behind the start token."""
    found, start = encoded(model, source), start_of(model.checkpoint)
    if isinstance(found, list):
        return [_moved(model, each, start) for each in found]
    return _moved(model, found, start)


def _moved(model: Model, text: Encoded, start: int) -> Encoded:
    ids = (start, *text.ids[:-1])
    return replace(text, ids=ids, types=(0,) * len(ids), tokens=model.names(ids))


def _check_marked(model: Model, source: Numbers) -> None:
    """Checks that each source has the token at which a head for classes reads the decoder."""
    head = model.spec.head
    if head is not None and head.mark is not None and not (source == head.mark).any(-1).all():
        raise ShapeError(
            f"the model's head reads where the source has the token {head.mark}, which ends a text; it is not there. "
            f"Put it at the end."
        )


def _behind_start(model: Model, text: Encoded) -> Encoded:
    """A text as decoders are trained on it: behind the start token, and without the token that ends it."""
    start, ends = start_of(model.checkpoint), model.checkpoint.config.get("eos_token_id")
    ids = text.ids[:-1] if text.ids and text.ids[-1] in (ends if isinstance(ends, list) else [ends]) else text.ids
    ids = ids if ids[:1] == (start,) else (start, *ids)
    return replace(text, ids=ids, types=(0,) * len(ids), tokens=model.names(ids))


def start_of(checkpoint: Checkpoint) -> int:
    """The number of the token that a decoder starts with, by the config or by what is said of generation beside it.

    Raises:
        CheckpointError: neither says.
    """
    said = {} if checkpoint.generation is None else read_json(checkpoint.generation)
    for entries in (checkpoint.config, said):
        start = entries.get("decoder_start_token_id")
        if isinstance(start, int) and not isinstance(start, bool):
            return start
    raise CheckpointError(
        f"{checkpoint.path}: the config has no decoder_start_token_id, so it is not known with which token the decoder "
        f"starts. Give its tokens as numbers, the first of which is that one."
    )
