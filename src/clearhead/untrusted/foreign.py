"""Foreign libraries, which can raise anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clearhead.errors import ClearheadError

MAX_SAID = 300


@contextmanager
def failing_as(error: type[ClearheadError], fault: str, remedy: str) -> Iterator[None]:
    """Turns whatever a foreign library raises into one of clearhead's errors, with the library's message.

    Not all raise an Exception: Rust's panics are a BaseException. clearhead's errors, an interrupt and an exit pass
    through.

    Args:
        error: the kind of error.
        fault: what failed, and on which input.
        remedy: what to do about it.

    Raises:
        ClearheadError: of the kind given.
    """
    try:
        yield
    except (ClearheadError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as raised:
        said = str(raised)[:MAX_SAID].rstrip(". \n") or type(raised).__name__
        raise error(f"{fault}: {said}. {remedy}") from None
