"""Gradients of operations: stated as textbooks write them, or derived from the forward formula."""
