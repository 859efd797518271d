"""Norms, MLPs and whole blocks, measured: part by part, and with parts switched off."""
