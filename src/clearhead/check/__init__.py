"""Numbers that somebody got, or that code gives, held against the working."""

from clearhead.check.compare.comparison import Compared, Comparison, compare
from clearhead.check.diagnosis import Report, assert_agrees, diagnose
from clearhead.check.probing import Adapted, Probe, adapt, probe
from clearhead.check.report.comparison import data_of, document_of
from clearhead.check.results import Finding, NearMiss
from clearhead.check.search.separation import Separation

__all__ = [
    "Adapted", "Compared", "Comparison", "Finding", "NearMiss", "Probe", "Report", "Separation", "adapt",
    "assert_agrees", "compare", "data_of", "diagnose", "document_of", "probe",
]  # fmt: skip
