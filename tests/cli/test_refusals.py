"""Repositories and registries that cannot be used: one sentence, the right exit code, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Registry
    from tests.support.places import Run

#: Every command that opens a registry.
COMMANDS = [
    ("status",),
    ("verify",),
    ("verify", "--repair"),
    ("migrate",),
    ("migrate", "--plan"),
    ("migrate", "--sql"),
    ("stamp",),
    ("log",),
]
NAME_IT = "Name the database by URL, with --namespace for the schema."
CONFIGURATIONS = [
    (
        "a: [1\n",
        f"repo/butler.yaml is not YAML: did not find expected ',' or ']', line 2. {NAME_IT}",
    ),
    ("- 1\n", "repo/butler.yaml is not the configuration of a repository: the file is not a mapping."),
    ("", "repo/butler.yaml is not the configuration of a repository: the file is not a mapping."),
    (
        "registry: {managers: {}}\n",
        "repo/butler.yaml does not say where its database is: registry.db is missing. Name the database with --db.",
    ),
    (
        "registry: {db: 5}\n",
        (
            "repo/butler.yaml does not say where its database is: registry.db is 5, not a URL. Name the database "
            "with --db."
        ),
    ),
    ("registry: 5\n", "repo/butler.yaml is not the configuration of a repository: registry is not a mapping."),
    (
        "registry: {db: 'mysql://me:secret@host/db'}\n",
        "registrytool works with SQLite and PostgreSQL, not with mysql.",
    ),
    (
        "registry: {db: nonsense}\n",
        "'nonsense' is not the URL of a database. It looks like sqlite:///PATH or postgresql://HOST/DATABASE.",
    ),
    (
        "registry: {db: 'postgresql://host/db', port: none}\n",
        "repo/butler.yaml is not the configuration of a repository: registry.port is none. It must be a number.",
    ),
    (
        "cls: lsst.daf.butler.remote_butler.RemoteButler\nremote_butler: {url: 'https://example.org'}\n",
        f"repo/butler.yaml is the configuration of a remote Butler, which names no database. {NAME_IT}",
    ),
    (
        "registry: !include other.yaml\n",
        f"repo/butler.yaml includes other files, which registrytool does not follow. {NAME_IT}",
    ),
    (
        "root: s3://bucket/repo\nregistry: {db: 'sqlite:///<butlerRoot>/x'}\n",
        f"repo/butler.yaml is not the configuration of a local repository: root is s3://bucket/repo. {NAME_IT}",
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_repository_that_does_not_exist_is_refused(command: tuple[str, ...], run: Run) -> None:
    assert run(*command, "nowhere") == (
        3,
        "",
        (
            "Error: There is no repository nowhere: no such file or folder, and no such name in the repository "
            "index. Name a "
            "folder, its butler.yaml, or the URL of the database.\n"
        ),
    )


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--db", "", "'' is not the URL of a database. It looks like sqlite:///PATH or postgresql://HOST/DATABASE."),
        (
            "--namespace",
            "postgresql://me:secret@host/x",
            (
                "The registry of repo is in SQLite, which has no namespace postgresql://me:***@host/x. "
                "Leave --namespace out."
            ),
        ),
        ("--content", "a" * 300, f"Cannot look for the content in {'a' * 300}: File name too long."),
    ],
)
def test_values_that_cannot_be_are_refused_without_passwords(option: str, value: str, said: str, run: Run) -> None:
    assert run("create", "repo").exit_code == 0
    assert run("status", "repo", option, value) == (2, "", f"Error: {said}\n")


def test_a_folder_that_is_no_repository_is_refused(run: Run) -> None:
    Path("folder").mkdir()

    assert run("status", "folder") == (
        3,
        "",
        "Error: folder is not a repository: it has no butler.yaml. 'registrytool create' makes a new one.\n",
    )


@pytest.mark.parametrize(("text", "sentence"), CONFIGURATIONS, ids=[case[0] for case in CONFIGURATIONS])
def test_a_configuration_that_cannot_be_used_is_refused(text: str, sentence: str, run: Run) -> None:
    Path("repo").mkdir()
    Path("repo/butler.yaml").write_text(text, encoding="utf-8")

    assert run("status", "repo") == (2, "", f"Error: {sentence}\n")


def test_an_sqlite_file_named_as_repository_is_recognised(run: Run) -> None:
    run("create", "repo")

    assert run("status", "repo/gen3.sqlite3") == (
        2,
        "",
        (
            "Error: repo/gen3.sqlite3 is an SQLite database, and not the configuration of a repository. Name it as "
            "sqlite:///repo/gen3.sqlite3, or name its repository.\n"
        ),
    )
    assert run("status", "sqlite:///repo/gen3.sqlite3").exit_code == 0


URLS = [
    ("mysql://me:secret@host/db", 2, "registrytool works with SQLite and PostgreSQL, not with mysql."),
    (
        "s3://bucket/repo",
        2,
        (
            "Cannot open repository s3://bucket/repo: it is not on a local file system (s3). Name its database by "
            "URL, with "
            "--namespace for the schema."
        ),
    ),
    (
        "postgresql://me:secret@host:port/db",
        2,
        (
            "'postgresql://me:***@host:port/db' is not the URL of a database. It looks like sqlite:///PATH or "
            "postgresql://HOST/DATABASE."
        ),
    ),
    (
        "postgresql://me:sec@ret@host/db",
        2,
        "The URL postgresql://me:***@host/db has more than one @. Write an @ in a password as %40.",
    ),
    (
        "sqlite://",
        2,
        (
            "The URL sqlite:// names no database file. It looks like sqlite:///PATH, with four slashes for an "
            "absolute path."
        ),
    ),
    (
        "sqlite:///nowhere.sqlite3",
        3,
        (
            "There is no database file nowhere.sqlite3. Check the URL of the database, which is registry.db in "
            "butler.yaml."
        ),
    ),
    (
        "sqlite:///folder",
        3,
        (
            "The database folder is a folder, not a file. Check the URL of the database, which is registry.db in "
            "butler.yaml."
        ),
    ),
]


@pytest.mark.parametrize(("url", "code", "sentence"), URLS, ids=[case[0] for case in URLS])
def test_a_url_that_names_no_registry_is_refused(url: str, code: int, sentence: str, run: Run) -> None:
    Path("folder").mkdir()

    assert run("status", url) == (code, "", f"Error: {sentence}\n")
    assert list(Path.cwd().rglob("*")) == [Path.cwd() / "folder"]


def test_options_that_contradict_the_repository_are_refused(run: Run) -> None:
    run("create", "repo")

    assert run("status", "repo", "--namespace", "a") == (
        2,
        "",
        "Error: The registry of repo is in SQLite, which has no namespace a. Leave --namespace out.\n",
    )
    assert run("status", "sqlite:///repo/gen3.sqlite3", "--db", "sqlite:///other") == (
        2,
        "",
        (
            "Error: sqlite:///repo/gen3.sqlite3 is the URL of a database, and --db names another one. Leave one of "
            "them out.\n"
        ),
    )


# -- what a registry says about itself -------------------------------------------------

UNIVERSE = "config:dimensions.json"
IT_IS_NO_UNIVERSE = f"The attribute {UNIVERSE} in the registry of repo is not a dimension universe:"
NEEDS = "It needs at least version, skypix and elements."
KNOWN = "Known: ByDimensionsDatasetRecordStorageManager, ByDimensionsDatasetRecordStorageManagerUUID."


def change_universe(registry: Registry, **changes: Any) -> None:
    universe = json.loads(registry.value(UNIVERSE))
    registry.set_value(UNIVERSE, json.dumps({**universe, **changes}))


def no_version(registry: Registry) -> None:
    registry.rename_value("version:%datasets%", None)


def unknown_version(registry: Registry) -> None:
    registry.rename_value("version:%datasets%", "1.5.0")


def newer_version(registry: Registry) -> None:
    registry.rename_value("version:%datasets%", "3.0.0")


def malformed_version(registry: Registry) -> None:
    registry.rename_value("version:%datasets%", "x.y")


def unknown_manager(registry: Registry) -> None:
    registry.set_value("config:registry.managers.datasets", "some.module.FancyManager")


def no_manager(registry: Registry) -> None:
    registry.set_value("config:registry.managers.datasets", None)


def no_universe(registry: Registry) -> None:
    registry.set_value(UNIVERSE, None)


def universe_not_json(registry: Registry) -> None:
    registry.set_value(UNIVERSE, "{")


def universe_list(registry: Registry) -> None:
    registry.set_value(UNIVERSE, "[]")


def universe_without_version(registry: Registry) -> None:
    registry.set_value(UNIVERSE, '{"a": 1}')


def universe_without_elements(registry: Registry) -> None:
    change_universe(registry, elements=[1])


def universe_of_malformed_version(registry: Registry) -> None:
    change_universe(registry, version="x.y")


def universe_with_hole(registry: Registry) -> None:
    change_universe(registry, elements={"a": {"requires": ["b"]}}, topology={})


def universe_of_wrong_form(registry: Registry) -> None:
    change_universe(registry, skypix=3)


CONTENTS: list[tuple[Callable[[Registry], None], str]] = [
    (
        no_version,
        (
            "The registry of repo does not say which version its datasets have. The attribute "
            "version:lsst.daf.butler.registry."
            "datasets.byDimensions._manager.ByDimensionsDatasetRecordStorageManagerUUID is missing."
        ),
    ),
    (
        unknown_version,
        (
            "The registry of repo has datasets ByDimensionsDatasetRecordStorageManagerUUID 1.5.0, which is not in "
            "the schema "
            "content. Known: 1.0.0, 2.0.0."
        ),
    ),
    (
        newer_version,
        (
            "The registry of repo has datasets ByDimensionsDatasetRecordStorageManagerUUID 3.0.0, which is not in "
            "the schema "
            "content. Known: 1.0.0, 2.0.0. It is newer than this registrytool: upgrade registrytool."
        ),
    ),
    (
        malformed_version,
        (
            "The registry of repo says that its datasets have the version x.y. A version is made of numbers and "
            "points: mend "
            "the attribute in the table butler_attributes."
        ),
    ),
    (
        unknown_manager,
        (
            "The registry of repo has datasets manager class some.module.FancyManager, which is not in the "
            "schema content. "
            f"{KNOWN} Other schema content is named with --content."
        ),
    ),
    (
        no_manager,
        (
            "The registry of repo does not say which class manages its datasets. The attribute "
            "config:registry.managers.datasets is missing."
        ),
    ),
    (
        no_universe,
        (
            f"The registry of repo does not hold its dimension universe. The attribute {UNIVERSE} is missing: "
            "restore it from a backup."
        ),
    ),
    (
        universe_not_json,
        (
            f"The attribute {UNIVERSE} in the registry of repo is not JSON: Expecting property name enclosed in "
            "double quotes: "
            "line 1 column 2 (char 1). Mend it, or restore the registry from a backup."
        ),
    ),
    (
        universe_list,
        (
            f"The attribute {UNIVERSE} in the registry of repo is not a JSON mapping. Mend it, or restore the "
            "registry from a "
            "backup."
        ),
    ),
    (universe_without_version, f"{IT_IS_NO_UNIVERSE} it has no version. {NEEDS}"),
    (universe_without_elements, f"{IT_IS_NO_UNIVERSE} it has no elements. {NEEDS}"),
    (universe_of_malformed_version, f"{IT_IS_NO_UNIVERSE} its version is x.y. It must be a whole number."),
    (universe_with_hole, f"{IT_IS_NO_UNIVERSE} the dimension a depends on b, which is not defined."),
    (universe_of_wrong_form, f"{IT_IS_NO_UNIVERSE} an element does not have the form that it needs. {NEEDS}"),
]


@pytest.mark.parametrize(("spoil", "sentence"), CONTENTS, ids=[case[0].__name__ for case in CONTENTS])
def test_a_registry_that_says_something_strange_is_refused_and_left_as_it_was(
    spoil: Callable[[Registry], None], sentence: str, registry: Registry, run: Run
) -> None:
    spoil(registry)
    before = registry.trace()

    for command in COMMANDS:
        if command != ("log",):  # which does not need to understand the versions
            assert run(*command, "repo") == (3, "", f"Error: {sentence}\n"), command
    assert registry.trace() == before


def test_a_registry_that_says_nothing_is_refused_and_left_as_it_was(registry: Registry, run: Run) -> None:
    registry.execute("DELETE FROM {s}butler_attributes")
    before = registry.trace()

    for command in COMMANDS:
        assert run(*command, "repo") == (
            3,
            "",
            (
                "Error: The registry of repo says nothing about itself: the table butler_attributes is empty. It "
                "was made "
                "before week 2020.32, when versions were not recorded yet: which tables it should have cannot be told. "
                "Ingest its files into a new repository.\n"
            ),
        )
    assert registry.trace() == before


def test_a_database_without_a_registry_is_refused_and_left_as_it_was(registry: Registry, run: Run) -> None:
    registry.execute("DROP TABLE {s}butler_attributes")
    before = registry.trace()

    there, check = "", "Check the name of the database"
    if registry.place.namespace is not None:
        there, check = " in namespace registry", "Check the namespace"
    for command in COMMANDS:
        assert run(*command, "repo") == (
            3,
            "",
            (
                f"Error: There is no registry{there} of repo: the table butler_attributes is missing. {check}; "
                "'registrytool "
                "create' makes a new registry.\n"
            ),
        )
    assert registry.trace() == before


def test_a_universe_that_is_too_new_is_refused_where_its_steps_matter(registry: Registry, run: Run) -> None:
    change_universe(registry, version=99)
    before = registry.trace()

    assert run("status", "repo") == (
        3,
        "",
        (
            "Error: The registry of repo has dimensions-config daf_butler 99, which is not in the schema content. "
            "Known: 0, 1, "
            "2, 3, 4, 5, 6, 7, 8. It is newer than this registrytool: upgrade registrytool.\n"
        ),
    )
    migrate = run("migrate", "repo")
    assert (migrate.exit_code, migrate.stdout) == (3, "")
    assert migrate.stderr.endswith("It is newer than this registrytool: upgrade registrytool.\n")
    assert registry.trace() == before


def test_revisions_that_contradict_the_versions_are_refused(registry: Registry, run: Run) -> None:
    run("stamp", "repo")
    registry.execute("UPDATE {s}alembic_version SET version_num = 'deadbeef0000' WHERE version_num = '4e2d7a28475b'")
    before = registry.trace()

    for command in COMMANDS[2:7]:
        assert run(*command, "repo") == (
            3,
            "",
            (
                "Error: The revisions in alembic_version contradict the versions in butler_attributes: deadbeef0000 "
                "belongs "
                "to none of them. Find out which is right; 'registrytool stamp --purge' rewrites the revisions "
                "from the "
                "versions.\n"
            ),
        ), command
    assert registry.trace() == before


@pytest.mark.parametrize("command", [("collection", "create"), ("dataset", "find"), ("attributes", "get"), ("status",)])
def test_words_that_are_no_text_are_wrong_use(command: tuple[str, ...], run: Run) -> None:
    outcome = run(*command, "repo", "a\udcffb")

    assert outcome.exit_code == 2
    number = len(command) + 2
    assert f"Error: word {number} is not UTF-8: a\\udcffb; type it again, or rename what it names." in outcome.stderr
