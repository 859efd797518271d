"""Other, often wrong, ways to do the same: operations that only deviations use."""
