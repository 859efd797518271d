"""Transformer attention with all of its working shown."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
