"""What becomes of the states of a model that makes a vector of a text: it is said, not computed."""

from __future__ import annotations

from clearhead.budgets import MAX_HEADER_BYTES, MAX_JSON_VALUES
from clearhead.errors import CheckpointError
from clearhead.models.checkpoint import Checkpoint
from clearhead.models.tensors import content
from clearhead.untrusted import strict_json

POOLINGS = {1: "mean of all tokens", 2: "first token", 3: "last token", 4: "scores of pairs"}
"""What GGUF files call them (llama.cpp's pooling types)."""


def vector_notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Notes on the steps behind the last line: those of sentence-transformers (modules.json), or of llama.cpp.

    Raises:
        CheckpointError: modules.json cannot be read.
    """
    steps = _modules(checkpoint)[1:]
    pooling = checkpoint.config.get("pooling_type")
    if isinstance(pooling, int) and pooling in POOLINGS:
        steps = [f"pooling ({POOLINGS[pooling]})"]
    if not steps:
        return ()
    return (
        f"The checkpoint makes one vector of a text by {', '.join(steps)}, behind the last line; no line has that.",
    )


def _modules(checkpoint: Checkpoint) -> list[str]:
    """The kinds of the modules that sentence-transformers runs one after the other; none where it does not."""
    path = checkpoint.modules
    if path is None:
        return []
    try:
        found = strict_json.loads(content(path, MAX_HEADER_BYTES), max_values=MAX_JSON_VALUES)
    except ValueError as error:
        raise CheckpointError(f"{path}: the JSON in it cannot be read: {error}. Fetch it again.") from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CheckpointError(f"{path}: expects a list of modules, as sentence-transformers writes it. Fetch it again.")
    return [str(each.get("type", "an unknown module")).rpartition(".")[2][:60] for each in found]
