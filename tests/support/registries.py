"""Make, migrate and check registries in a `Place`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registrytool.create import CreateOptions, create_repository
from registrytool.migrate import MigrateOptions, apply_migration
from registrytool.repository import open_repository
from registrytool.verify import verify_registry
from tests.support.content_states import CATALOG

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.catalog import Catalog
    from registrytool.models import ComponentVersion, MigrationReport, State
    from registrytool.repository import Repository
    from tests.support.places import Place

#: What the steps ask for, by the version that they lead to.
SETTINGS = {"2": {"has_simulated": "0"}, "6": {"keep_group_id": "yes"}}


def make(place: Place, *targets: str, universe: Path | None = None, catalog: Catalog | None = None) -> Repository:
    """Make a registry."""
    options = CreateOptions(db=place.url, namespace=place.namespace, at=targets, universe=universe)
    create_repository(place.folder, options, catalog=catalog or CATALOG)
    # The password is not in butler.yaml.
    return open_repository(str(place.folder), db=place.url)


def make_state(place: Place, state: State) -> Repository:
    """Make a registry in a state."""
    return make(place, *(target(version) for version in state.components.values()))


def target(version: ComponentVersion) -> str:
    """Return how a version is written on the command line."""
    return f"{version.component}={version.implementation}/{version.version}"


def migrate(repository: Repository, *targets: str, **settings: str) -> MigrationReport:
    """Migrate a registry without a backup, losses accepted."""
    options = MigrateOptions(targets=targets, settings=settings, accept_loss=True, backup=False)
    return apply_migration(repository, options, catalog=CATALOG)


def assert_clean(repository: Repository, state: State | None = None) -> None:
    """Check that a registry is what its versions promise, and that these are the wanted ones."""
    verification = verify_registry(repository, catalog=CATALOG)
    assert [str(d) for d in verification.differences] == []
    assert [note for note in verification.notes if not note.endswith("keeps what a step back restores")] == []
    if state is not None:
        assert verification.state == state
