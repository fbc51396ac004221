"""What only reads never writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Limits, Registry
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

READING = [
    ("status", "repo"),
    ("verify", "repo"),
    ("log", "repo"),
    ("history",),
    ("releases",),
    ("migrate", "repo", "--plan"),
    ("migrate", "repo", "--sql"),
    ("schema", "show", "./repo"),
    ("schema", "diff", "./repo", "newest"),
    ("schema", "sql"),
]


def test_commands_that_only_read_leave_no_trace(old_registry: Registry, run: Run) -> None:
    before = old_registry.trace()

    for words in READING:
        outcome = run(*words)

        assert outcome.exit_code in (0, 4), outcome
        assert outcome.stderr == ""
        assert old_registry.trace() == before, words


def test_commands_that_only_read_need_no_right_to_write(registry: Registry, limits: Limits, run: Run) -> None:
    if registry.place.dialect == "sqlite":
        registry.file.chmod(0o444)
        registry.folder.chmod(0o555)
    with limits.permissions_bind():
        for words in READING:
            assert run(*words).exit_code == 0, words
    registry.folder.chmod(0o755)


def test_commands_that_only_read_need_no_more_than_select(
    postgres: PostgresServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(postgres.new_database())
    monkeypatch.setenv("PGPASSWORD", str(url.password))
    full = url.render_as_string(hide_password=False)
    assert run("create", "repo", "--db", full, "--namespace", "registry").exit_code == 0
    user = f"{url.database}_reader"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA registry TO {user}")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA registry TO {user}")
    reader = url.set(username=user, password="secret").render_as_string(hide_password=False)  # noqa: S106
    try:
        for command in ("status", "verify", "log"):
            assert run(command, reader, "--namespace", "registry").exit_code == 0, command
        assert run("schema", "show", reader, "--namespace", "registry").exit_code == 0
        refused = run("stamp", reader, "--namespace", "registry")
        assert refused.exit_code == 3
        assert refused.stdout == ""
        assert refused.stderr.endswith(
            ": permission denied for schema registry. Connect as a user with that right, such as the owner of the "
            "tables.\n"
        )
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {user}")
            connection.exec_driver_sql(f"DROP ROLE {user}")
        postgres.drop_database(full)
