"""The client can bring an old universe to the newest one as well: by exporting records and importing them.

Its import derives less than a migration does, which has the whole registry; what both derive must be the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.repository import open_repository
from tests.support.registries import migrate

if TYPE_CHECKING:
    from tests.client.conftest import Client, Content
    from tests.support.places import Place

OFFSETS = {"LATISS": 43200, "HSC": 0, "LSSTCam": 43200, "DECam": 43200}

LEFT_OUT = {
    2: {
        ("instrument", "visit_system"),
        ("exposure", "has_simulated"),
        ("exposure", "seq_start"),
        ("exposure", "seq_end"),
        ("visit", "seq_num"),
    },
    7: {("exposure", "can_see_sky")},
}
"""Fields that the import leaves undefined, by the universe that brought them: the migration derives them."""


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("universe", [1, 5])
def test_migrated_records_are_those_that_the_client_imports_from_an_export(
    universe: int, client: Client, place: Place
) -> None:
    folder, other = place.folder, place.folder.with_name("imported")
    client.make(place, universe=universe)
    client.run("client_import.py", folder, other, json.dumps(OFFSETS))
    imported = client.content(other)
    offsets = ",".join(f"{name}:{seconds}" for name, seconds in OFFSETS.items())
    settings = {"has_simulated": "0"} if universe < 2 else {}
    migrate(open_repository(str(folder)), "newest", day_obs_offset=offsets, **settings)

    assert derived_by_both(client.content(folder), universe) == derived_by_both(imported, universe)


def derived_by_both(content: Content, universe: int) -> dict[str, list[dict[str, Any]]]:
    """Return the dimension records without the fields that the import leaves undefined."""
    undefined = set().union(*(fields for version, fields in LEFT_OUT.items() if version > universe))
    return {
        element: sorted(
            ({k: v for k, v in record.items() if (element, k) not in undefined} for record in records), key=json.dumps
        )
        for element, records in content["records"].items()
    }
