"""Code compared with a working: called on random inputs, and tested for properties."""
