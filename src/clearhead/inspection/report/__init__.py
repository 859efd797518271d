"""The results of an inspection of a model as files: a report, and tables of the numbers."""

from clearhead.inspection.report.files import BY, FORMS, save

__all__ = ["BY", "FORMS", "save"]
