"""In what precision numbers are right: what rounding reaches, and what arithmetic in a type gives."""
