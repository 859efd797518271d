"""How a function is called: its task, random inputs, their form, and its results."""
