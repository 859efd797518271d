"""Formats of other programs, read without believing what they say: JSON, archives, arrays, and foreign libraries."""
