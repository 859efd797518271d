"""Formulas as mathematics: one printer for each medium, upon one shared walk."""
