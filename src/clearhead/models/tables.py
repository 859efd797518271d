"""Tables of families in files of Python: of one's own, or of a checkpoint that is being tried."""

from __future__ import annotations

import runpy

from clearhead.errors import CheckpointError
from clearhead.files import FilePath
from clearhead.models.family import Family


def read_families(path: FilePath) -> tuple[Family, ...]:
    """The tables that a Python file defines. The file is run, so it must be one that you trust.

    Raises:
        CheckpointError: it cannot be run, or defines no `Family`.
    """
    try:
        defined = runpy.run_path(str(path))
    except Exception as error:  # whatever a file of the user's own raises
        raise CheckpointError(f"{path}: cannot be run: {type(error).__name__}: {str(error)[:200]}.") from None
    found = {value.name: value for name, value in defined.items() if isinstance(value, Family) and name[0] != "_"}
    if not found:
        raise CheckpointError(f"{path}: defines no clearhead.Family. Assign one to a name, such as MINE = Family(...).")
    return tuple(found.values())
