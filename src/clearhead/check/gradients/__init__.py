"""Gradients that a function returns: whether they fit its own forward pass, and what is wrong with them."""
