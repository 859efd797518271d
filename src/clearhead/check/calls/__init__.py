"""How a function is called: what is asked of it, inputs drawn for it, in which form, and what comes back."""
