"""Numbers that somebody got, or that code gives, held against the working."""

from clearhead.check.compare.comparison import Compared, Comparison, compare
from clearhead.check.compare.slips import Slip
from clearhead.check.diagnosis import Report, assert_agrees, diagnose
from clearhead.check.judge.first_wrong import Judged
from clearhead.check.probing import Adapted, Probe, adapt, probe
from clearhead.check.probing.calling import Form, Symptom
from clearhead.check.probing.drawing import Inputs
from clearhead.check.probing.metamorphic import Violation
from clearhead.check.probing.report import Drawn, Tested
from clearhead.check.probing.task import Task
from clearhead.check.report.comparison import data_of, document_of
from clearhead.check.results import Finding, NearMiss
from clearhead.check.search.chance import Evidence, Fit
from clearhead.check.search.separation import Indistinguishable, Separation

__all__ = [
    "Adapted", "Compared", "Comparison", "Drawn", "Evidence", "Finding", "Fit", "Form", "Indistinguishable", "Inputs",
    "Judged", "NearMiss", "Probe", "Report", "Separation", "Slip", "Symptom", "Task", "Tested", "Violation", "adapt",
    "assert_agrees", "compare", "data_of", "diagnose", "document_of", "probe",
]  # fmt: skip
