"""Engines: how shards are computed, on this machine or on others. All give the same results."""
