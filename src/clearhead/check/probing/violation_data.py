"""Violations of properties as plain data for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearhead.check.probing.metamorphic import Violation


def violation_data(found: Violation | None) -> dict[str, Any] | None:
    """The input on which a property fails, and the cell that shows it; None for none."""
    if found is None:
        return None
    return {
        "says": found.says,
        "line": found.line,
        "cell": list(found.cell),
        "expected": _json(found.expected),
        "got": _json(found.got),
        "inputs": {name: _json(array.tolist()) for name, array in found.inputs.arrays.items()},
        "changed": {name: _json(array.tolist()) for name, array in found.changed.items()},
    }


def _json(value: Any) -> Any:
    """Numbers that JSON has; NaN and infinities as text."""
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if isinstance(value, bool) or np.isfinite(value) else str(value)
