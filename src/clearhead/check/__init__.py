"""Numbers that somebody got, or that code gives, compared with the working."""

from clearhead.check.calls.calling import Form, Symptom
from clearhead.check.calls.drawing import Inputs
from clearhead.check.calls.task import Task
from clearhead.check.compare.comparison import Compared, Comparison, compare
from clearhead.check.compare.slips import Slip
from clearhead.check.diagnosis import Report, assert_agrees, diagnose
from clearhead.check.gradients.differences import Slope
from clearhead.check.gradients.functions import Autograd, autograd
from clearhead.check.gradients.places import Place
from clearhead.check.gradients.probe import probe_gradients
from clearhead.check.gradients.report import GradientProbe
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
    "Adapted", "Autograd", "Compared", "Comparison", "Drawn", "Evidence", "Finding", "Fit", "Form", "GradientProbe",
    "Indistinguishable", "Inputs", "Judged", "Law", "Measurement", "NearMiss", "Part", "Place", "Precision",
    "Premise", "Probe", "Report", "Separation", "Slip", "Slope", "Symptom", "Task", "Tested", "Violation", "adapt",
    "assert_agrees", "autograd", "compare", "data_of", "diagnose", "document_of", "measure", "probe",
    "probe_gradients",
]  # fmt: skip
