"""Environment of Alembic: everything is done by `registrytool.alembic_env`."""

from registrytool.alembic_env import run_env

run_env()
