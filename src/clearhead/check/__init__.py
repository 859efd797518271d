"""Numbers that somebody got, held against the working."""

from clearhead.check.comparison import Compared, Comparison, compare
from clearhead.check.diagnosis import Finding, NearMiss, Report, assert_agrees, diagnose
from clearhead.check.report import data_of, document_of
from clearhead.check.separation import Separation

__all__ = [
    "Compared", "Comparison", "Finding", "NearMiss", "Report", "Separation", "assert_agrees", "compare", "data_of",
    "diagnose", "document_of",
]  # fmt: skip
