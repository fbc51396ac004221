"""Where the registry of a repository is: ``butler.yaml``, the repository index, credentials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registrytool.config import hide_passwords
from registrytool.errors import ConfigurationError, RegistryNotFoundError
from registrytool.repository import database_url, open_repository

if TYPE_CHECKING:
    from registrytool.repository import Repository

HOST = "postgresql://host.example.org:5432/registry"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a folder of its own, without settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "DAF_BUTLER_REPOSITORY_INDEX",
        "DAF_BUTLER_REPOSITORIES",
        "LSST_DB_AUTH",
        "LSST_DB_AUTH_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)


def repository(folder: str = "repo", **config: Any) -> Path:
    """Write a repository without a registry."""
    Path(folder).mkdir(parents=True)
    text = yaml.safe_dump({"registry": {"db": "sqlite:///<butlerRoot>/gen3.sqlite3"}, **config})
    Path(folder, "butler.yaml").write_text(text, encoding="utf-8")
    return Path(folder).absolute()


def found(**registry: Any) -> Repository:
    """Open a repository with these settings of its registry."""
    return open_repository(str(repository(registry=registry)))


def shown(repository: Repository) -> str:
    return repository.url.render_as_string(hide_password=False)


# -- butler.yaml --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["repo", "repo/", "repo/butler.yaml", "./repo", "{here}/repo", "file://{here}/repo"])
def test_a_repository_is_named_by_its_folder_or_file(name: str) -> None:
    root = repository()

    opened = open_repository(name.format(here=Path.cwd()))

    assert (opened.root, opened.dialect, opened.namespace) == (root, "sqlite", None)
    assert opened.sqlite_file == root / "gen3.sqlite3"
    assert opened.config_file is not None
    assert opened.config_file.name == "butler.yaml"


def test_a_uri_can_have_quoted_characters() -> None:
    root = repository("a b%c")

    assert open_repository(f"file://{Path.cwd()}/a%20b%25c").root == root


@pytest.mark.parametrize("folder", ["a?b", "100%", "a%41", "it's"])
def test_the_root_is_taken_literally(folder: str) -> None:
    root = repository(folder)

    assert open_repository(folder).sqlite_file == root / "gen3.sqlite3"


def test_the_root_can_be_elsewhere() -> None:
    repository("configs", root="../data")

    assert open_repository("configs").sqlite_file == Path.cwd() / "configs/../data/gen3.sqlite3"


def test_a_configuration_without_registry_db_has_the_old_default() -> None:
    root = repository(registry={}, datastore={"root": "<butlerRoot>"})

    assert open_repository("repo").sqlite_file == root / "gen3.sqlite3"


def test_managers_are_named_by_class_or_mapping() -> None:
    opened = found(
        db="sqlite:///x.sqlite3", managers={"datasets": "a.B", "collections": {"cls": "c.D", "schema_version": "2.0.0"}}
    )

    assert opened.managers == {"datasets": "a.B", "collections": "c.D"}


def test_postgresql_means_psycopg2() -> None:
    opened = found(db="postgresql://me@host/db", namespace="ns")

    assert shown(opened) == "postgresql+psycopg2://me@host/db"
    assert (opened.dialect, opened.namespace) == ("postgresql", "ns")


def test_settings_beside_the_url_give_what_it_lacks_and_no_more() -> None:
    opened = found(db="postgresql://me@/db", username="you", password="pw", host="h", port=5433, database="other")  # noqa: S106

    assert shown(opened) == "postgresql+psycopg2://me:pw@h:5433/db"


def test_db_and_namespace_of_the_command_line_win() -> None:
    repository(registry={"db": "postgresql://host/db", "namespace": "ns", "username": "me"})

    opened = open_repository("repo", db="postgresql://other/db2", namespace="ns2")

    assert (shown(opened), opened.namespace) == ("postgresql+psycopg2://other/db2", "ns2")


def test_a_url_is_a_repository_without_a_folder() -> None:
    opened = open_repository("postgresql://me:secret@host/db", namespace="ns")

    assert (opened.name, opened.namespace, opened.root) == ("postgresql://me:***@host/db", "ns", None)
    assert shown(opened) == "postgresql+psycopg2://me:secret@host/db"


def test_a_password_in_the_query_is_one() -> None:
    url = database_url("postgresql://me@host/db?password=secret&sslmode=require")

    assert url.password == "secret"  # noqa: S105
    assert url.render_as_string() == "postgresql+psycopg2://me:***@host/db?sslmode=require"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:se:cr/et?@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:se@cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("host=h password='my secret' user=me", "host=h password=*** user=me"),
        ("PGPASSWORD=secret psql", "PGPASSWORD=*** psql"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql:/me:secret@host/db", "postgresql:/me:***@host/db"),
        ("sqlite:////repo/a:b@c.sqlite3", "sqlite:////repo/a:b@c.sqlite3"),
    ],
)
def test_passwords_are_hidden_in_any_text(text: str, hidden: str) -> None:
    assert hide_passwords(text) == hidden
    assert hide_passwords(f"Cannot open '{text}'.") == f"Cannot open '{hidden}'."


# -- repository index ------------------------------------------------------------------


def test_an_alias_of_the_index_is_looked_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    repository("main")
    there = repository("elsewhere/main")
    Path("index.yaml").write_text(f"main: {there}\n", encoding="utf-8")

    for place in ("index.yaml", f"file://{Path.cwd()}/index.yaml"):
        monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", place)
        opened = open_repository("main")
        assert (opened.root, opened.name) == (there, "main")
    assert open_repository("./main").root == Path.cwd() / "main"


def test_the_index_can_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    there = repository("elsewhere")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f'{{"main": "file://{there}", "other": "/nowhere"}}')

    assert open_repository("main").root == there
    with pytest.raises(RegistryNotFoundError, match="There is no repository other: "):
        open_repository("other")


def test_both_indexes_at_a_time_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", "index.yaml")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", "{}")

    with pytest.raises(ConfigurationError) as caught:
        open_repository("main")

    assert str(caught.value) == (
        "Both DAF_BUTLER_REPOSITORY_INDEX and DAF_BUTLER_REPOSITORIES are set. Unset one of them."
    )


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("missing.yaml", "Cannot read the repository index missing.yaml: No such file or directory."),
        ("bad.yaml", "The repository index bad.yaml is not YAML: did not find expected node content, line 2."),
        ("list.yaml", "The repository index list.yaml is not a mapping of names to places."),
        ("binary.yaml", "The repository index binary.yaml is not a text file in UTF-8."),
        (
            "s3://bucket/index.yaml",
            (
                "Cannot read the repository index s3://bucket/index.yaml: it is not on a local file system. Name the "
                "repository by its folder."
            ),
        ),
    ],
)
def test_an_index_that_cannot_be_used_matters_only_to_who_needs_it(
    index: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository()
    Path("bad.yaml").write_text("a: [", encoding="utf-8")
    Path("list.yaml").write_text("- a", encoding="utf-8")
    Path("binary.yaml").write_bytes(b"\xff")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", index)

    assert open_repository("repo").root == root
    with pytest.raises(ConfigurationError) as caught:
        open_repository("main")
    assert str(caught.value) == sentence


# -- db-auth.yaml ---------------------------------------------------------------------


def credentials(monkeypatch: pytest.MonkeyPatch, *entries: dict[str, str]) -> None:
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", yaml.safe_dump(list(entries)))


@pytest.mark.parametrize(
    "pattern",
    [
        "postgresql://host.example.org:5432/registry",
        "postgresql://host.example.org/registry",
        "postgresql://host.example.org",
        "postgresql://host.example.org/",
        "postgresql://*",
        "postgresql://*.example.org/reg*",
    ],
)
def test_credentials_match_by_what_the_pattern_has(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch, {"url": pattern, "username": "me", "password": "pw"})

    assert database_url(HOST).render_as_string(hide_password=False) == (
        "postgresql+psycopg2://me:pw@host.example.org:5432/registry"
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "mysql://host.example.org",
        "postgresql://example.org",
        "postgresql://host.example.org:5433",
        "postgresql://host.example.org/other",
        "postgresql://me@host.example.org",  # a user in the pattern must be in the URL as well
        "host.example.org",
        "postgresql://host.example.org:port",
    ],
)
def test_credentials_that_do_not_match_leave_the_url_alone(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch, {"url": pattern, "username": "me", "password": "pw"})

    assert database_url(HOST).render_as_string(hide_password=False) == (
        "postgresql+psycopg2://host.example.org:5432/registry"
    )


def test_a_port_of_the_pattern_must_be_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch, {"url": "postgresql://host:5432", "username": "me", "password": "pw"})

    assert database_url("postgresql://host/db").password is None


def test_a_user_of_the_url_is_kept_and_must_be_that_of_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(
        monkeypatch,
        {"url": "postgresql://you@host", "username": "you", "password": "first"},
        {"url": "postgresql://me@host", "username": "other", "password": "second"},
        {"url": "postgresql://host", "username": "any", "password": "third"},
    )

    def of(url: str) -> tuple[str | None, str | None]:
        result = database_url(url)
        return result.username, result.password

    assert of("postgresql://you@host/db") == ("you", "first")
    assert of("postgresql://me:wrong@host/db") == ("me", "second")  # what matches replaces the password
    assert of("postgresql://they@host/db") == ("they", "third")
    assert of("postgresql://host/db") == ("any", "third")


def test_urls_without_host_or_database_and_files_have_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch, {"url": "postgresql://*", "username": "me", "password": "pw"}, {"nonsense": "x"})

    assert database_url("postgresql:///db").password is None
    assert database_url("postgresql://host").password is None
    assert database_url("sqlite:///file").password is None


def test_credentials_are_for_the_url_with_the_settings_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch, {"url": "postgresql://h:5433/db", "username": "me", "password": "pw"})

    assert shown(found(db="postgresql:///db", host="h", port=5433)) == "postgresql+psycopg2://me:pw@h:5433/db"


def test_credentials_come_from_the_first_source_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: str, user: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"- {{url: 'postgresql://*', username: {user}, password: pw}}\n", encoding="utf-8")
        Path(path).chmod(0o600)

    write("home/.lsst/db-auth.yaml", "home")
    write("other.yaml", "file")

    assert database_url(HOST).username == "home"
    monkeypatch.setenv("LSST_DB_AUTH", "other.yaml")
    assert database_url(HOST).username == "file"
    credentials(monkeypatch, {"url": "postgresql://*", "username": "environment", "password": "pw"})
    assert database_url(HOST).username == "environment"
    monkeypatch.delenv("LSST_DB_AUTH_CREDENTIALS")
    monkeypatch.setenv("LSST_DB_AUTH", "missing.yaml")
    assert database_url(HOST).username is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_credentials_that_others_can_get_at_are_refused(mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("auth.yaml").write_text("[]", encoding="utf-8")
    Path("auth.yaml").chmod(mode)
    monkeypatch.setenv("LSST_DB_AUTH", "auth.yaml")

    with pytest.raises(ConfigurationError) as caught:
        database_url(HOST)

    assert str(caught.value) == (
        "The file auth.yaml holds passwords and can be read by others. Run 'chmod 600 auth.yaml'."
    )


@pytest.mark.parametrize(
    "text",
    [
        "secret: [",
        "secret: 5",
        "- {url: 'postgresql://*', username: secret}",
        "- secret",
        "- {url: 'postgresql://[secret', password: secret}",
    ],
)
def test_malformed_credentials_are_refused_without_quoting_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", text)

    with pytest.raises(ConfigurationError) as caught:
        database_url(HOST)

    assert str(caught.value).startswith("LSST_DB_AUTH_CREDENTIALS ")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
