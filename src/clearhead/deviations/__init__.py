"""The table of deviations: wrong or different ways to do the same, each a rewrite of a working.

A deviation knows lines by their operation and role, not by their place, so it applies to any working that has such a
line. The rows stand in small modules by theme, in the order in which a block is computed. ``deviations.table`` has all
of them; it is loaded when a deviation is first named, so that a problem without any starts sooner.
"""

from clearhead.deviations.applied import Applied, candidates, deviate, deviation, parse_deviation
from clearhead.deviations.deviation import Deviation, Parameter, Span

__all__ = ["Applied", "Deviation", "Parameter", "Span", "candidates", "deviate", "deviation", "parse_deviation"]
