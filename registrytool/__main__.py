"""The program, as the script ``registrytool`` and ``python -m registrytool`` start it."""

from __future__ import annotations

from registrytool.interrupts import leave_at_once


def main() -> None:
    """Run the command line."""
    leave_at_once()
    # Takes longer than a finger takes to press Ctrl-C.
    from registrytool.cli import main as run

    run()


if __name__ == "__main__":
    main()
