"""The operations of a transformer block as textbooks state them."""
