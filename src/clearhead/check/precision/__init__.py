"""In what precision numbers are right: the effect of rounding, and of arithmetic in a type."""
