"""Small problems shown exactly: fractions, roots and powers of e instead of decimals, by SymPy."""

from clearhead.show.exact.document import exact_document

__all__ = ["exact_document"]
