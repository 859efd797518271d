"""A diagnosis as plain data."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from clearhead.check.precision.arithmetic import Precision
from clearhead.check.results import Finding, Outcome
from clearhead.deviations import deviation


def diagnosis_data(report: Outcome) -> dict[str, Any]:
    """A diagnosis as plain data for JSON."""
    return {
        "verdict": report.verdict,
        "convincing": report.convincing if report.findings else None,
        "precision": None if report.precision is None else _precision_data(report.precision),
        "findings": [_finding_data(each) for each in report.findings],
        "indistinguishable": [[list(each) for each in group.sets] for group in report.indistinguishable],
        "first_wrong_line": report.first_wrong_line,
        "near_misses": [
            {
                "deviations": list(each.deviations),
                "line": each.line,
                "wrong": each.wrong,
                "cells": each.cells,
                "wrong_in_all": each.off,
                "claimed": each.claimed,
                "slips": [to_builtins(slip) for slip in each.slips],
            }
            for each in report.near_misses
        ],
        "lines": [
            {
                "line": each.line,
                "follows": each.follows,
                "right": sum(each.right),
                "cells": sum(each.cells),
                "explained_by": [list(chosen) for chosen in each.explained_by],
            }
            for each in report.judged
        ],
        "tried": report.tried,
        "largest": report.largest,
        "fitting": report.fitting,
    }


def _precision_data(precision: Precision) -> dict[str, Any]:
    """In what sense the numbers are right, with the sentence that says so."""
    data = to_builtins(precision)
    del data["claims"]
    return {"said": str(precision), **data}


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "deviations": list(finding.deviations),
        "kinds": list(finding.kinds),
        "fit": {
            "by_chance": finding.fit.by_chance,
            "convincing": finding.fit.convincing,
            "evidence": [
                {"deviation": each.deviation, "line": each.line, "cells": each.cells, "digits": each.digits}
                for each in finding.fit.evidence
            ],
        },
        "remedies": [deviation(each).remedy for each in finding.ids],
    }
