"""The operations, each stated twice: as a formula over indices and as array code.

``ops.table`` has all of them by name.
"""

from clearhead.ops.operation import (
    Array,
    Namespace,
    Operation,
    Parameters,
    Remark,
    Role,
    Step,
    as_parameters,
    namespace,
    operation,
    quiet,
)

__all__ = [
    "Array", "Namespace", "Operation", "Parameters", "Remark", "Role", "Step", "as_parameters", "namespace",
    "operation", "quiet",
]  # fmt: skip
