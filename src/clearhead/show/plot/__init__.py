"""Pictures of lines by matplotlib."""
