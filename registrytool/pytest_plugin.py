"""Plug-in of pytest: registries at any state, and the claims about content as tests.

Every project in whose environment registrytool is installed loads this module, so it imports nothing that is not there
already; all else is imported by the fixtures that need it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.check.laboratory import Laboratory
    from registrytool.config import Content
    from registrytool.database import Database
    from registrytool.models import State

_OPTION = "registrytool_content"
_CLAIMS = Path(__file__).parent / "testing" / "claims.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("registrytool")
    group.addoption(
        "--registrytool-content",
        metavar="DIR",
        dest=_OPTION,
        default=None,
        help="folder with schemas/ and alembic/ of another project; its claims are tested, too",
    )
    group.addoption(
        "--registrytool-postgresql",
        metavar="URL",
        dest="registrytool_postgresql",
        default=None,
        help="PostgreSQL server in which databases may be made (default: REGISTRYTOOL_TEST_POSTGRES_URL, or programs "
        "on this machine)",
    )
    group.addoption(
        "--registrytool-no-postgresql",
        dest="registrytool_no_postgresql",
        action="store_true",
        help="leave out the claims on PostgreSQL, on purpose",
    )
    parser.addini(_OPTION, "folder with schemas/ and alembic/, for the fixtures of registrytool", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Add the file of the claims to what is collected, if content was named."""
    # Workers of pytest-xdist get the arguments of the controller, where the file is already.
    if config.getoption(_OPTION, None) and str(_CLAIMS) not in config.args:
        config.args.append(str(_CLAIMS))


def content_folder(config: pytest.Config) -> Path | None:
    """Return the content that the command line or the configuration of pytest names, `None` if neither does."""
    named = config.getoption(_OPTION, None)
    if named:
        return Path(named)
    configured = str(config.getini(_OPTION) or "")
    return config.rootpath / configured if configured else None


@dataclass(frozen=True)
class Registry:
    """A registry that belongs to one test.

    Attributes
    ----------
    url : `str`
        URL of the database, password included.
    namespace : `str` or `None`
        PostgreSQL schema.
    state : `State`
        Its versions.
    database : `Database`
        The same, with ``read()`` and ``write(purpose)``, which give a connection in a transaction.
    """

    url: str
    namespace: str | None
    state: State
    database: Database


class RegistryAt(Protocol):
    """What the fixture ``registry_at`` is."""

    def __call__(
        self,
        target: str | Sequence[str] = "newest",
        dialect: str = "sqlite",
        *,
        rows: bool = False,
        content: Path | None = None,
        obscore: Mapping[str, Any] | None = None,
    ) -> Registry:
        """Give a fresh registry."""


@pytest.fixture(scope="session")
def registrytool_content(pytestconfig: pytest.Config) -> Content:
    """Return the content that was named, or that of registrytool itself."""
    from registrytool.config import Content

    return Content.find(content_folder(pytestconfig))


@pytest.fixture(scope="session")
def registrytool_catalog(registrytool_content: Content) -> Catalog:
    """Return the versions of the content."""
    from registrytool.catalog import Catalog

    return Catalog(registrytool_content)


@pytest.fixture(scope="session")
def registrytool_laboratory(pytestconfig: pytest.Config) -> Iterator[Laboratory]:
    """Give the place where registries are made; a PostgreSQL server is started when the first test needs it."""
    from registrytool.check.laboratory import Laboratory

    url = pytestconfig.getoption("registrytool_postgresql", None)
    wanted = not pytestconfig.getoption("registrytool_no_postgresql", default=False)
    with Laboratory(url, postgresql=wanted) as laboratory:
        yield laboratory


@pytest.fixture
def registry_at(registrytool_catalog: Catalog, registrytool_laboratory: Laboratory) -> Iterator[RegistryAt]:
    """Return a function that gives a fresh registry at any state, on either database, gone after the test.

    A state is made once in a session and cloned after that, which takes milliseconds.
    """
    from registrytool.catalog import Catalog
    from registrytool.targets import wanted_state

    catalogs: dict[Path, Catalog] = {}
    with contextlib.ExitStack() as stack:

        def make(
            target: str | Sequence[str] = "newest",
            dialect: str = "sqlite",
            *,
            rows: bool = False,
            content: Path | None = None,
            obscore: Mapping[str, Any] | None = None,
        ) -> Registry:
            catalog = registrytool_catalog if content is None else catalogs.setdefault(content, Catalog.find(content))
            targets = (target,) if isinstance(target, str) else tuple(target)
            state, _ = wanted_state(targets, catalog)
            if obscore is not None:
                state = state.replace(catalog.newest("obscore", next(iter(catalog.versions["obscore"]))))
            if dialect == "postgresql" and registrytool_laboratory.server is None:
                pytest.fail(f"No PostgreSQL for the test: {registrytool_laboratory.missing}", pytrace=False)
            made = registrytool_laboratory.registry(catalog, state, dialect, rows=rows, obscore=obscore)
            database = stack.enter_context(made)
            url = database.url.render_as_string(hide_password=False)
            return Registry(url, database.namespace, state, database)

        yield make
