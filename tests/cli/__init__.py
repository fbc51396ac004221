"""Each command: its whole output, exit code and what it leaves behind."""
