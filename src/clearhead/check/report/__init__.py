"""Comparisons and diagnoses as documents and as data."""
