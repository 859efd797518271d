"""Traces as data: JSON and NumPy archives, written and read back."""
