"""Code held against a working: called on inputs drawn for it, diagnosed, and tried for what must always hold."""

from clearhead.check.probing.adapt import Adapted, adapt
from clearhead.check.probing.probe import probe
from clearhead.check.probing.report import Probe

__all__ = ["Adapted", "Probe", "adapt", "probe"]
