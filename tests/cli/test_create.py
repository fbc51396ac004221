"""``registrytool create``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

import registrytool.create
from tests.support.places import Place

if TYPE_CHECKING:
    from tests.cli.conftest import Limits
    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

VERSIONS = """\
  attributes DefaultButlerAttributeManager 1.0.1
  dimensions StaticDimensionRecordStorageManager 6.0.2
  collections SynthIntKeyCollectionManager 2.0.0
  datasets ByDimensionsDatasetRecordStorageManagerUUID 2.0.0
  datastores MonolithicDatastoreRegistryBridgeManager 0.2.1
  opaque ByNameOpaqueTableStorageManager 0.2.0
  dimensions-config daf_butler 8
"""

CYCLE = """\
version: 1
elements:
  a: {requires: [b], keys: [{name: id, type: int}]}
  b: {requires: [a], keys: [{name: id, type: int}]}
"""


def words(place: Place) -> list[str]:
    """Say where the registry shall be made."""
    if place.namespace is None:
        return ["repo"]
    return ["repo", "--db", place.url.replace("+psycopg2", ""), "--namespace", place.namespace]


def left(place: Place) -> Any:
    """Return all that is in a place: files, and tables with their schemas."""
    files = sorted(str(path.relative_to(place.folder)) for path in place.folder.rglob("*"))
    if place.namespace is None:
        return files
    engine = sa.create_engine(place.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = sa.inspect(connection)
        return files, {schema: found.get_table_names(schema=schema) for schema in found.get_schema_names()}


def test_create_makes_a_repository(place: Place, run: Run, password: str) -> None:
    outcome = run("create", *words(place))

    url = sa.make_url(place.url)
    shown = f"postgresql+psycopg2://{url.username}:***@{url.host}:{url.port}/{url.database}\nNamespace registry"
    if place.namespace is None:
        shown = f"sqlite:///{place.folder}/gen3.sqlite3"
    assert outcome == (0, f"Created {place.folder} with 48 tables in {shown}\n{VERSIONS}", "")
    assert run("verify", "repo").exit_code == 0


def test_butler_yaml_is_what_the_butler_writes_and_holds_no_password(place: Place, run: Run, password: str) -> None:
    run("create", *words(place))

    text = (place.folder / "butler.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    assert config["datastore"] == {
        "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore",
        "records": {"table": "file_datastore_records"},
        "root": "<butlerRoot>",
    }
    assert config["registry"]["managers"]["datasets"] == (
        "lsst.daf.butler.registry.datasets.byDimensions.ByDimensionsDatasetRecordStorageManagerUUID"
    )
    if place.namespace is None:
        assert config["registry"]["db"] == "sqlite:///<butlerRoot>/gen3.sqlite3"
        assert "namespace" not in config["registry"]
    else:
        url = sa.make_url(place.url)
        assert config["registry"]["db"] == f"postgresql+psycopg2://{url.username}@{url.host}:{url.port}/{url.database}"
        assert config["registry"]["namespace"] == "registry"
        assert password not in text
        assert "***" not in text


def test_create_as_json_has_the_names_of_the_fields(place: Place, run: Run) -> None:
    outcome = run("create", *words(place), "--format", "json")

    answer = json.loads(outcome.stdout)
    assert list(answer) == ["format_version", "repository", "url", "namespace", "state", "tables", "warnings"]
    assert (answer["format_version"], answer["tables"], answer["warnings"]) == (1, 48, [])
    assert (answer["repository"], answer["namespace"]) == (str(place.folder), place.namespace)
    assert answer["state"]["components"]["opaque"] == {
        "component": "opaque",
        "implementation": "ByNameOpaqueTableStorageManager",
        "version": "0.2.0",
    }
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_create_makes_the_versions_of_an_old_release(place: Place, run: Run, password: str) -> None:
    outcome = run("create", *words(place), "--at", "w_2023_10", "--at", "dimensions-config=2")

    assert "  datasets ByDimensionsDatasetRecordStorageManagerUUID 1.0.0\n" in outcome.stdout
    assert outcome.stdout.endswith("  dimensions-config daf_butler 2\n")
    assert run("verify", "repo").exit_code == 0


def test_create_takes_a_universe_of_any_namespace(place: Place, run: Run, password: str) -> None:
    Path("mine.yaml").write_text(
        "namespace: mine\nversion: 3\nskypix: {common: htm7, htm: {class: lsst.sphgeom.HtmPixelization, "
        "max_level: 7}}\n"
        "elements: {telescope: {governor: true, keys: [{name: name, type: string, length: 16}]}}\n",
        encoding="utf-8",
    )

    outcome = run("create", *words(place), "--universe", "mine.yaml")

    assert outcome.stdout.endswith("  dimensions-config mine 3\n")
    assert outcome.exit_code == 0
    assert run("verify", "repo").exit_code == 0


def test_create_warns_of_a_namespace_that_the_butler_cannot_use(
    place: Place, odd_namespace: str, run: Run, password: str
) -> None:
    outcome = run("create", *words(place))

    if place.namespace is None:
        assert outcome.stderr == ""
    else:
        assert outcome.stderr == (
            f"Warning: The Butler itself can only use namespaces that need no quotes, and {odd_namespace} needs them.\n"
        )
    assert outcome.exit_code == 0
    assert run("verify", "repo").exit_code == 0


@pytest.mark.parametrize("namespace", ["100% of %(x)s", "a:b/c.d'e", "UPPER"])
def test_create_takes_every_name_of_a_namespace(
    namespace: str, postgres: PostgresServer, tmp_path: Path, run: Run
) -> None:
    url = postgres.new_database()
    assert run("create", "repo", "--db", url, "--namespace", namespace).exit_code == 0
    assert run("verify", url, "--namespace", namespace).exit_code == 0
    postgres.drop_database(url)


@pytest.mark.parametrize("name", ['it\'s "a" ünï', "100% <x>", "a:b#c@d%41e", "a?b=c"])
def test_create_takes_every_name_of_a_folder_and_of_a_file(name: str, run: Run) -> None:
    assert run("create", name).exit_code == 0
    assert sorted(path.name for path in Path(name).iterdir()) == ["butler.yaml", "gen3.sqlite3"]
    assert run("verify", name).exit_code == 0
    if "?" in name:  # which ends the path in a URL
        return
    url = f"sqlite:///{name}.sqlite3"
    assert run("create", "other", "--db", url).exit_code == 0
    assert Path(f"{name}.sqlite3").is_file()
    assert run("verify", "other").exit_code == 0
    assert run("verify", url).exit_code == 0


# -- refusals -------------------------------------------------------------------


def test_create_refuses_a_repository_that_exists(run: Run) -> None:
    run("create", "repo")
    before = Path("repo/gen3.sqlite3").read_bytes()

    outcome = run("create", "repo")

    here = Path.cwd()
    assert outcome == (
        3,
        "",
        f"Error: There is a repository in {here}/repo already. Choose another folder, or remove it first.\n",
    )
    assert Path("repo/gen3.sqlite3").read_bytes() == before


def test_create_refuses_a_namespace_with_tables(postgres: PostgresServer, tmp_path: Path, run: Run) -> None:
    place = Place("postgresql", postgres.new_database(), "registry", tmp_path)
    run("create", *words(place))
    before = left(place)

    outcome = run("create", "other", *words(place)[1:])

    assert outcome == (
        3,
        "",
        (
            "Error: The namespace registry has tables already (48, such as butler_attributes). Choose another one with "
            "--namespace.\n"
        ),
    )
    assert left(place) == before
    postgres.drop_database(place.url)


def test_create_refuses_a_database_file_that_exists(run: Run) -> None:
    Path("some.sqlite3").write_bytes(b"precious")

    outcome = run("create", "repo", "--db", "sqlite:///some.sqlite3")

    assert outcome == (
        3,
        "",
        "Error: There is a database file some.sqlite3 already. Choose another folder, or remove the file first.\n",
    )
    assert Path("some.sqlite3").read_bytes() == b"precious"
    assert not Path("repo").exists()


@pytest.mark.parametrize(
    ("repo", "sentence"),
    [
        ("file", "{here}/file is a file, and a repository is a folder. Choose another place."),
        (
            "file/below",
            (
                "Cannot make a repository in {here}/file/below: Not a directory. Choose another place, or get "
                "the right to "
                "write there."
            ),
        ),
    ],
)
def test_create_refuses_a_file_as_folder(repo: str, sentence: str, run: Run) -> None:
    Path("file").write_text("precious", encoding="utf-8")

    assert run("create", repo) == (3, "", f"Error: {sentence.format(here=Path.cwd())}\n")
    assert Path("file").read_text(encoding="utf-8") == "precious"


def test_create_refuses_a_place_without_the_right_to_write(limits: Limits, run: Run) -> None:
    Path("closed").mkdir(mode=0o555)

    with limits.permissions_bind():
        outcome = run("create", "closed/repo")
        inside = run("create", "closed")

    here = Path.cwd()
    assert outcome == (
        3,
        "",
        (
            f"Error: Cannot make a repository in {here}/closed/repo: Permission denied. Choose another place, or "
            "get the "
            "right to write there.\n"
        ),
    )
    assert inside == (
        3,
        "",
        (
            f"Error: Cannot make the database file {here}/closed/gen3.sqlite3: Permission denied. Choose another "
            "place, or "
            "get the right to write there.\n"
        ),
    )
    assert list(Path("closed").iterdir()) == []


BAD_OPTIONS = [
    (
        ["--namespace", "a"],
        2,
        "A namespace was named, but SQLite has none. Leave --namespace out, or name a PostgreSQL database with --db.",
    ),
    (
        ["--at", "w_1999_01"],
        3,
        "There is no Butler release w_1999_01 in the schema content. The first week is w_2020_32.",
    ),
    (
        ["--at", "nonsense"],
        3,
        (
            "There is no Butler release nonsense in the schema content. Releases look like w_2026_43, 30.2026.4300 or "
            "30.0.11."
        ),
    ),
    (
        ["--at", "datasets=1.5.0"],
        3,
        (
            "There is no version of datasets ByDimensionsDatasetRecordStorageManagerUUID 1.5.0 in the schema "
            "content. Known: "
            "1.0.0, 2.0.0."
        ),
    ),
    (
        ["--at", "dimensions-config=99"],
        3,
        (
            "There is no version of dimensions-config daf_butler 99 in the schema content. Known: 0, 1, 2, 3, 4, 5, "
            "6, 7, 8. "
            "It is newer than this registrytool: upgrade registrytool."
        ),
    ),
    (["--at", "attributes=none"], 2, "A registry cannot be made without attributes."),
    (
        ["--at", "obscore=0.0.1"],
        2,
        (
            "A registry cannot be made with obscore: its table follows from a configuration. Make it without, "
            "then migrate "
            "it with --to obscore=0.0.1."
        ),
    ),
    (["--universe", "missing.yaml"], 2, "Cannot read missing.yaml: No such file or directory."),
    (["--universe", "broken.yaml"], 2, "broken.yaml is not YAML: did not find expected node content, line 2."),
    (["--universe", "binary.yaml"], 2, "binary.yaml is not a text file in UTF-8."),
    (
        ["--universe", "list.yaml"],
        2,
        "list.yaml is not a dimension universe: it is not a mapping. It needs at least version, skypix and elements.",
    ),
    (
        ["--universe", "empty.yaml"],
        2,
        "empty.yaml is not a dimension universe: it has no elements. It needs at least version, skypix and elements.",
    ),
    (
        ["--universe", "cycle.yaml"],
        2,
        "cycle.yaml is not a dimension universe: the dimensions a, b depend on each other in a circle.",
    ),
    (
        ["--universe", "hole.yaml"],
        2,
        "hole.yaml is not a dimension universe: the dimension a depends on b, which is not defined.",
    ),
    (
        ["--universe", "type.yaml"],
        2,
        "type.yaml is not a dimension universe: a dimension universe cannot have columns of type 'colour'.",
    ),
    (
        ["--universe", "form.yaml"],
        2,
        (
            "form.yaml is not a dimension universe: an element does not have the form that it needs. It needs at least "
            "version, skypix and elements."
        ),
    ),
    (
        ["--db", "mysql://me:secret@host/db"],
        2,
        "registrytool works with SQLite and PostgreSQL, not with mysql.",
    ),
    (
        ["--db", "nonsense"],
        2,
        "'nonsense' is not the URL of a database. It looks like sqlite:///PATH or postgresql://HOST/DATABASE.",
    ),
    (
        ["--db", "sqlite://"],
        2,
        (
            "The URL sqlite:// names no database file. It looks like sqlite:///PATH, with four slashes for an "
            "absolute path."
        ),
    ),
    (
        ["--db", "sqlite:///nowhere/x.sqlite3"],
        3,
        (
            "Cannot make the database file nowhere/x.sqlite3: No such file or directory. Choose another place, "
            "or get the "
            "right to write there."
        ),
    ),
    (
        ["--content", "empty"],
        2,
        "There are no folders schemas/ and alembic/ in empty. Name the folder that holds both with --content.",
    ),
]


@pytest.mark.parametrize(("options", "code", "sentence"), BAD_OPTIONS, ids=[" ".join(case[0]) for case in BAD_OPTIONS])
def test_create_refuses_bad_options_in_one_sentence_and_leaves_nothing_behind(
    options: list[str], code: int, sentence: str, run: Run
) -> None:
    Path("broken.yaml").write_text("a: [", encoding="utf-8")
    Path("binary.yaml").write_bytes(b"\xff\xfe")
    Path("list.yaml").write_text("- 1", encoding="utf-8")
    Path("empty.yaml").write_text("version: 1", encoding="utf-8")
    Path("cycle.yaml").write_text(CYCLE, encoding="utf-8")
    Path("hole.yaml").write_text("version: 1\nelements: {a: {requires: [b]}}", encoding="utf-8")
    Path("type.yaml").write_text("version: 1\nelements: {a: {keys: [{name: x, type: colour}]}}", encoding="utf-8")
    Path("form.yaml").write_text("version: 1\nelements: {a: 5}", encoding="utf-8")
    Path("empty").mkdir()
    before = sorted(Path.cwd().rglob("*"))

    outcome = run("create", "some/where/repo", *options)

    assert outcome == (code, "", f"Error: {sentence}\n")
    assert sorted(Path.cwd().rglob("*")) == before


def test_create_leaves_nothing_behind_when_it_fails_between_tables_and_commit(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        message = "No space left on device"
        raise OSError(28, message)

    before = left(place)
    monkeypatch.setattr(registrytool.create, "_butler_yaml", fail)

    outcome = run("create", *words(place))
    deeper = run("create", "repo/a/b", *words(place)[1:])

    sentence = (
        "Cannot make a repository in {}: No space left on device. Choose another place, or get the right to write"
    )
    assert outcome == (3, "", f"Error: {sentence.format(place.folder)} there.\n")
    assert deeper == (3, "", f"Error: {sentence.format(place.folder / 'a' / 'b')} there.\n")
    assert left(place) == before


def test_create_leaves_nothing_behind_when_the_commit_fails(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(place)

    def fail(self: sa.Connection) -> None:
        message = "the power went"
        raise sa.exc.OperationalError("COMMIT", {}, Exception(message))

    monkeypatch.setattr(sa.Connection, "commit", fail)

    outcome = run("create", *words(place))

    assert outcome == (
        3,
        "",
        f"Error: Cannot create a registry for {place.folder}: the database says: the power went.\n",
    )
    monkeypatch.undo()
    assert left(place) == before


def test_create_leaves_nothing_behind_when_it_crashes(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = left(place)
    monkeypatch.setattr(registrytool.create, "write_attributes", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run("create", *words(place))

    assert left(place) == before


def test_create_says_how_to_get_a_missing_extension(postgres: PostgresServer, run: Run) -> None:
    url = postgres.new_database(extension=False)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    # A name of its own, since users belong to the server and not to the database.
    user = f"{sa.make_url(url).database}_user"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
        connection.exec_driver_sql(f"CREATE SCHEMA mine AUTHORIZATION {user}")
    try:
        theirs = sa.make_url(url).set(username=user, password="secret").render_as_string(hide_password=False)  # noqa: S106

        outcome = run("create", "repo", "--db", theirs, "--namespace", "mine")

        assert outcome == (
            3,
            "",
            (
                "Error: The database lacks the extension btree_gist, which the Butler needs. Ask an "
                "administrator to run: "
                "CREATE EXTENSION btree_gist;\n"
            ),
        )
        assert not Path("repo").exists()
        elsewhere = run("create", "repo", "--db", url, "--namespace", "other")
        assert elsewhere.exit_code == 0  # who may make the extension, makes it
        mine = run("create", "mine", "--db", theirs, "--namespace", "third")
        assert mine.exit_code == 3
        assert "permission denied for database" in mine.stderr
        assert not Path("mine").exists()
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {user}")
            connection.exec_driver_sql(f"DROP ROLE {user}")
        postgres.drop_database(url)
