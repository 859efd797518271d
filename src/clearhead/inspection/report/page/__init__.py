"""The report: one HTML file with the statistics of all heads of a model on a text.

`content` makes plain data and packed numbers; `assemble` puts these into one file with the modules and styles of this
folder and those shared with the page of a trace.
"""

from clearhead.inspection.report.page.assemble import program, report, served_report, styles

__all__ = ["program", "report", "served_report", "styles"]
