"""The claims of a class, graded."""
