"""The budgets for anything from outside, stated once: bytes read, values made of them, seconds.

Each bound holds for a whole file, or a whole request, not for each of its parts. A bound that only concerns display
is stated where things are shown.
"""

from __future__ import annotations

from clearhead.errors import ClearheadError

# Problems, claims and submissions

MAX_PROBLEM_BYTES = 2**20
"""The bytes of a problem file: worked examples are small."""

MAX_PROBLEM_CELLS = 4_000_000
"""The numbers of all lines of a problem together: 32 MB in float64."""

MAX_DEVIATIONS = 64
"""Deviations of one working: people combine a few, and each makes the working longer for all that follow."""

MAX_CLAIMS = 1000
MAX_CLAIMED_CELLS = 100_000
"""Claims of one file, and the numbers in all of them."""

MAX_SUBMISSIONS = 10_000
"""Submissions that are graded at once."""

# Traces

MAX_TRACE_BYTES = 2**32
MAX_TRACE_LINES = 100_000
MAX_TRACE_JSON_BYTES = 128 << 20
MAX_TRACE_VALUES = 4_000_000
"""The text and the values of a trace in JSON, where each takes up to thirty bytes; an archive needs no such bound."""

MAX_DIRECTORY_BYTES = 32 << 20
"""The index of an archive's entries: up to 100,000 of them."""

# Checkpoints

MAX_HEADER_BYTES = 32 << 20
"""The bytes of a safetensors header, an index or a config: usually a few hundred kilobytes."""

MAX_JSON_VALUES = 500_000
"""Values in one of these; the index of a model of 700 billion parameters has 100,000."""

MAX_TOKENIZER_BYTES = 256 << 20

MAX_METADATA_VALUES = 4_000_000
"""Strings and numbers in all metadata of a GGUF file; a vocabulary of 256,000 has about a million with its merges."""

MAX_METADATA_BYTES = 256 << 20
"""Their strings together."""

MAX_MERGE_STEPS = 200_000_000
"""Characters that are copied to find SentencePiece's merges; a large vocabulary takes a tenth."""

MAX_TEXT_BYTES = 256 << 20
"""The bytes of a text that is inspected: far more than any model reads at once."""

MAX_DOCUMENT_BYTES = 16 << 20
"""The bytes of one document of a corpus: a long novel has two megabytes."""

MAX_GROUPS = 256
"""Groups of documents in a corpus, each with separate sums."""

# The live page

MAX_REQUEST_BYTES = 3 * 2**20
"""A problem file of the largest size, as text within JSON."""

MAX_BODY_SECONDS = 10.0
"""How long a request may take to arrive."""

MAX_MAP_WEIGHTS = 200_000_000
"""The weights of one head that one request for a part of its map takes: a second or two."""

MAX_ANSWER_SECONDS = 20.0
MAX_DIAGNOSIS_SECONDS = 30.0
"""How long a request may be computed, from its start."""


class Budget:
    """The rest of a bound while a file is read."""

    def __init__(self, limit: int, what: str, error: type[ClearheadError]) -> None:
        self.limit = limit
        self.what = what
        self.error = error
        self.spent = 0

    def spend(self, amount: int) -> None:
        """Counts values before they are made.

        Raises:
            ClearheadError: of the kind given, once all together is more than the bound.
        """
        self.spent += amount
        if self.spent > self.limit:
            raise self.error(f"at most {self.limit} {self.what} are read; this has more.")
