"""Problems proposed from what somebody has: a notebook, a script or a workbook, which are read and never run."""

from clearhead.problems.proposal.propose import Proposal, propose

__all__ = ["Proposal", "propose"]
