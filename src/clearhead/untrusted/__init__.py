"""Formats of other programs, read as untrusted: JSON, archives, arrays, and foreign libraries."""
