"""Environment of Alembic: everything is done by `registrytool.runner`."""

from registrytool.runner import run_env

run_env()
