"""The report: one HTML file to look through what all heads of a model do on a text.

`content` says what it shows, as plain data and packed numbers; `assemble` puts it into one file with the modules and
styles of this folder and those that it shares with the page of a trace.
"""

from clearhead.inspection.report.page.assemble import report

__all__ = ["report"]
