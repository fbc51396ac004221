"""Some notes, and no revision."""
