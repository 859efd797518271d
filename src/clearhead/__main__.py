"""``python -m clearhead`` is the command ``clearhead``. Ctrl-C while it starts ends it as later: with code 130."""

import gc
import sys

# What is imported stays, so looking for garbage among it, as often as Python does, takes a tenth of the start.
ALLOCATIONS = 100_000
"""The number of new objects after which garbage is collected."""


def main() -> None:
    """Runs the command that was typed."""
    gc.set_threshold(ALLOCATIONS)
    try:
        from clearhead.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        run(prog_name="clearhead")
    finally:
        gc.freeze()  # the process frees all at once; looking for garbage before takes a seventh of a short command


if __name__ == "__main__":
    main()
