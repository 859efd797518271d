"""A repr that stays short for large results."""

from __future__ import annotations

from reprlib import Repr

from msgspec import Struct

_SHORT = Repr()
_SHORT.maxtuple = _SHORT.maxlist = _SHORT.maxdict = 3
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = 80


class Brief(Struct, frozen=True):
    """Data whose repr shows the first and last part of long values; attributes have all."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_SHORT.repr(getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({fields})"
