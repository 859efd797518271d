"""Engines: what has shards done, on this machine or on others. They give the same results."""
