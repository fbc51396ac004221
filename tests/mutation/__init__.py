"""Break correct content, and see whether the gate says so."""
