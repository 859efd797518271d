"""Claims compared with a trace, line by line and cell by cell."""
