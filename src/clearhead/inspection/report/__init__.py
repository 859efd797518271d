"""What an inspection of a model found, as files: a report to look through, and tables of the numbers."""

from clearhead.inspection.report.files import BY, FORMS, save

__all__ = ["BY", "FORMS", "save"]
