"""Numbers that somebody got, or that code gives, held against the working."""

from clearhead.check.calls.calling import Form, Symptom
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.task import Task
from clearhead.check.compare.comparison import Compared, Comparison, compare
from clearhead.check.compare.slips import Slip
from clearhead.check.diagnosis import Report, assert_agrees, diagnose
from clearhead.check.judge.first_wrong import Judged
from clearhead.check.measure.laws import Law
from clearhead.check.measure.measure import measure
from clearhead.check.measure.parts import Measurement, Part, Premise
from clearhead.check.precision.arithmetic import Precision
from clearhead.check.probing.adapt import Adapted, adapt
from clearhead.check.probing.metamorphic import Violation
from clearhead.check.probing.probe import probe
from clearhead.check.probing.report import Drawn, Probe, Tested
from clearhead.check.report.comparison import data_of, document_of
from clearhead.check.results import Finding, NearMiss
from clearhead.check.search.chance import Evidence, Fit
from clearhead.check.search.separation import Indistinguishable, Separation

__all__ = [
    "Adapted", "Compared", "Comparison", "Drawn", "Evidence", "Finding", "Fit", "Form", "Indistinguishable", "Inputs",
    "Judged", "Law", "Measurement", "NearMiss", "Part", "Precision", "Premise", "Probe", "Report", "Separation", "Slip",
    "Symptom", "Task", "Tested", "Violation", "adapt", "assert_agrees", "compare", "data_of", "diagnose", "document_of",
    "measure", "probe",
]  # fmt: skip
