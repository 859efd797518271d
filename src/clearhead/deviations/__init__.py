"""The table of deviations: wrong, or merely different, ways to do the same, each a rewrite of a working.

A deviation knows lines by their operation and role, not by their place, so it applies to any working that has such a
line. The rows stand in small modules by theme, in the order in which a block is computed.
"""

from clearhead.deviations.applied import Applied, candidates, deviate, deviation, parse_deviation
from clearhead.deviations.deviation import Deviation, Parameter, Span
from clearhead.deviations.rounding import CARRIED, SHOWN
from clearhead.deviations.table import DEVIATIONS, GROUPS

__all__ = [
    "CARRIED", "DEVIATIONS", "GROUPS", "SHOWN", "Applied", "Deviation", "Parameter", "Span", "candidates", "deviate",
    "deviation", "parse_deviation",
]  # fmt: skip
