"""Formulas as mathematics: one printer for each medium, over one shared walk."""
