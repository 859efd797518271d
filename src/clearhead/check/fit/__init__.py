"""Parameters of deviations, fitted to numbers: constants that are not listed, and maps of heads and tokens."""
