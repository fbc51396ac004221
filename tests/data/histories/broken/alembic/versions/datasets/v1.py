"""A script that cannot be executed."""

raise RuntimeError("out of order")
