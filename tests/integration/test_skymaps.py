"""Claims about sky maps in a registry, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryStateError
from registrytool.instruments.skymap import (
    list_skymaps,
    load_skymap,
    register_export,
    register_skymap,
    remove_skymap,
)
from registrytool.maintain.export_file import write_export
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.session import change, reading
from tests.support.registries import assert_clean, make
from tests.unit.instruments.test_skymap_geometry import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.instruments.skymap_geometry import SkyMapDefinition
    from registrytool.repository import Repository
    from tests.support.places import Place

pytestmark = pytest.mark.usefixtures("odd_namespace")


def small(folder: Path, *replaced: tuple[str, str]) -> SkyMapDefinition:
    text = GOOD
    for old, new in replaced:
        text = text.replace(old, new)
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return load_skymap(path)


def counts(repository: Repository) -> dict[str, int]:
    names = ("skymap", "tract", "patch", "tract_skypix_overlap", "patch_skypix_overlap", "patch_skypix_overlap_summary")
    with reading(repository) as session:
        return {n: session.scalar(sa.select(sa.func.count()).select_from(session.table(n))) for n in names}


def test_a_sky_map_is_registered_with_tracts_patches_and_overlaps(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    definition = small(tmp_path)
    planned = register_skymap(repository, definition, dry_run=True)
    assert counts(repository)["skymap"] == 0
    assert register_skymap(repository, definition) == planned
    assert (planned.tracts, planned.patches, planned.hash) == (1, 9, definition.hash.hex())
    found = counts(repository)
    assert {n: found[n] for n in ("skymap", "tract", "patch")} == {"skymap": 1, "tract": 1, "patch": 9}
    assert found["patch_skypix_overlap"] >= 9
    with reading(repository) as session:
        assert load_records(session, "skymap") == [
            {"name": "small", "hash": definition.hash, "tract_max": 1, "patch_nx_max": 3, "patch_ny_max": 3}
        ]
        assert [(p["id"], p["cell_x"], p["cell_y"]) for p in load_records(session, "patch")] == [
            (3 * y + x, x, y) for y in range(3) for x in range(3)
        ]
        assert list_skymaps(session) == [{"name": "small", "hash": definition.hash.hex(), "tracts": 1, "patches": 9}]
    again = register_skymap(repository, definition)
    assert again.exists
    assert counts(repository) == found
    assert_clean(repository)


def test_another_sky_map_of_the_name_is_refused(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    first = small(tmp_path)
    register_skymap(repository, first)
    before = counts(repository)
    with pytest.raises(RegistryStateError) as caught:
        register_skymap(repository, small(tmp_path, ("radius_deg: 0.1", "radius_deg: 0.2")))
    assert str(caught.value) == (
        f"The registry of {repository.name} has another sky map small, with the hash {first.hash.hex()}. "
        "Give the new one another name; a sky map is never changed."
    )
    with pytest.raises(RegistryStateError) as caught:
        register_skymap(repository, small(tmp_path, ("name: small", "name: other")))
    assert str(caught.value) == (
        f"The registry of {repository.name} has the sky map other already, under the name small. Use that name."
    )
    assert counts(repository) == before


def test_a_sky_map_that_is_there_in_part_is_refused(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_skymap(repository, small(tmp_path))
    change(repository, "spoil", lambda s: s.execute(sa.delete(s.table("patch_skypix_overlap"))))
    change(repository, "spoil", lambda s: s.execute(sa.delete(s.table("patch")).where(s.table("patch").c.id == 4)))
    with pytest.raises(RegistryStateError) as caught:
        register_skymap(repository, small(tmp_path))
    assert str(caught.value) == (
        f"The registry of {repository.name} has the sky map small with 1 tracts and 8 patches, and it should have 1 "
        "and 9. Remove it and register it again."
    )


def test_a_removed_sky_map_leaves_nothing(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_skymap(repository, small(tmp_path))
    shown = remove_skymap(repository, "small", dry_run=True)
    assert shown.registered == {"patch": 9, "tract": 1}
    assert remove_skymap(repository, "small") == shown
    assert set(counts(repository).values()) == {0}
    with pytest.raises(RegistryStateError) as caught:
        remove_skymap(repository, "small")
    assert str(caught.value) == f"The registry of {repository.name} has no sky map small. It has none."
    assert_clean(repository)


def test_a_sky_map_comes_from_an_export_file(place: Place, tmp_path: Path) -> None:
    repository = make(place, "newest")
    register_skymap(repository, small(tmp_path))
    before = counts(repository)
    path = tmp_path / "export.yaml"
    with reading(repository) as session, path.open("w", encoding="utf-8") as stream:
        records = {n: load_records(session, n) for n in ("skymap", "tract", "patch")}
        write_export(stream, session.universe, records.items())
    assert [p.exists for p in register_export(repository, path)] == [True]
    remove_skymap(repository, "small")
    (planned,) = register_export(repository, path, dry_run=True)
    assert (planned.tracts, planned.patches, planned.exists) == (1, 9, False)
    assert register_export(repository, path) == [planned]
    assert counts(repository) == before
    change(repository, "spoil", lambda s: s.execute(sa.update(s.table("patch")).values(cell_x=7)))
    with pytest.raises(RegistryStateError) as caught:
        register_export(repository, path)
    assert str(caught.value) == (
        f"The registry of {repository.name} has another patch small, 0, 0 than the file {path}. A sky map is never "
        "changed; remove it, or use another name."
    )
