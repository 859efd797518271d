"""A trace as source code: NumPy or PyTorch, as a script or a notebook."""
