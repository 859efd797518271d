"""What computes norms, MLPs and whole blocks, measured: part by part, and from weights that are switched off."""
