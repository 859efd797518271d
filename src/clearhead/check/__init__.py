"""Numbers that somebody got, held against the working."""

from clearhead.check.comparison import Compared, Comparison, compare
from clearhead.check.report import data_of, document_of

__all__ = ["Compared", "Comparison", "compare", "data_of", "document_of"]
