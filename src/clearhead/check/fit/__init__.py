"""Parameters of deviations, fitted to numbers: constants that stand on no list, and maps of heads and tokens."""
