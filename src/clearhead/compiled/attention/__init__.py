"""Attention with its statistics in tiles that stay in the cache: for processors in Numba, for GPUs in Triton."""
