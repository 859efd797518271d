"""Compiled code for large float32 arrays: vectors, products, attention, and whole programs."""
