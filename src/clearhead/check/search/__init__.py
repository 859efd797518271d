"""The search for sets of deviations that give the claimed numbers."""
