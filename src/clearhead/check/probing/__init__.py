"""Code held against a working: called on inputs drawn for it, and tried for what must always hold."""
