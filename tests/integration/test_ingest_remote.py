"""Raw files of a service, and datastores of one: an HTTP server of the test keeps the files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.observation import BadFile
from registrytool.instruments.placement import Transfer
from registrytool.instruments.sources import find_files
from registrytool.repository import open_repository
from tests.integration.test_ingest import COPY, records_of
from tests.support import raws
from tests.support.http_files import FileServer, file_server
from tests.support.registries import assert_clean, make
from tests.support.twins import record_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registrytool.repository import Repository
    from tests.support.places import Place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with file_server(tmp_path / "service") as found:
        yield found


def remote(place: Place, server: FileServer) -> Repository:
    """Make a repository whose files are at the service."""
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    file = place.folder / "butler.yaml"
    config = yaml.safe_load(file.read_text())
    config["datastore"] = {
        "cls": "lsst.daf.butler.datastores.fileDatastore.FileDatastore",
        "root": f"{server.url}/store",
    }
    file.write_text(yaml.safe_dump(config))
    return open_repository(str(place.folder), db=place.url, namespace=place.namespace)


def stored(server: FileServer) -> set[str]:
    root = server.folder / "store"
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("way", [Transfer.AUTO, Transfer.MOVE])
def test_files_are_brought_to_a_datastore_of_a_service(
    place: Place, server: FileServer, tmp_path: Path, way: Transfer
) -> None:
    repository = remote(place, server)
    files = [raws.hsc(tmp_path / "in" / f"ä {n}#.fits", 2, n) for n in (50, 51)]
    contents = {f.read_bytes() for f in files}
    report = ingest_raws(repository, [str(f) for f in files], IngestOptions(transfer=way))
    assert (report.datasets, report.bad) == (2, ())
    assert records_of(repository) == stored(server)
    assert {(server.folder / "store" / p).read_bytes() for p in stored(server)} == contents
    assert [f.exists() for f in files] == [way is not Transfer.MOVE] * 2
    assert_clean(repository)


def test_files_of_a_service_stay_there_or_are_fetched(place: Place, server: FileServer, tmp_path: Path) -> None:
    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    raws.hsc(server.folder / "raw" / "a b.fits", 2, 50)
    fetched = raws.hsc(server.folder / "raw" / "c.fits", 2, 51)
    content = fetched.read_bytes()
    direct, other = f"{server.url}/raw/a%20b.fits", f"{server.url}/raw/c.fits"
    assert find_files([direct, tmp_path / "service" / "raw" / "c.fits"]) == [direct, str(fetched)]
    assert ingest_raws(repository, [direct], IngestOptions(transfer=Transfer.DIRECT)).datasets == 1
    assert records_of(repository) == {direct}
    assert ingest_raws(repository, [other], IngestOptions(transfer=Transfer.MOVE)).datasets == 1
    (path,) = records_of(repository) - {direct}
    assert (place.folder / path).read_bytes() == content
    assert not fetched.exists()
    report = ingest_raws(repository, [f"{server.url}/raw/none.fits"], COPY)
    assert report.bad == (BadFile(f"{server.url}/raw/none.fits", "It does not exist."),)
    link = IngestOptions(transfer=Transfer.SYMLINK)
    raws.hsc(fetched, 2, 52)
    report = ingest_raws(repository, [other], link)
    reason = f"Cannot symlink {other}: there are no links from or to other machines."
    assert report.bad == (BadFile(other, reason),)
    with pytest.raises(ConfigurationError) as caught:
        find_files([f"{server.url}/raw/none.fits"])
    assert caught.value.message == f"There is no file or folder {server.url}/raw/none.fits."


def test_files_in_a_datastore_of_a_service_stay_in_place(place: Place, server: FileServer, tmp_path: Path) -> None:
    repository = remote(place, server)
    raws.hsc(server.folder / "store" / "own" / "ü 2.fits", 2, 50)
    uri = f"{server.url}/store/own/%C3%BC%202.fits"
    assert ingest_raws(repository, [uri]).datasets == 1
    assert records_of(repository) == {"own/ü 2.fits"}
    outside = str(raws.hsc(tmp_path / "o.fits", 2, 51))
    report = ingest_raws(repository, [outside], IngestOptions(transfer=Transfer.IN_PLACE))
    assert report.bad == (BadFile(outside, f"The file {outside} is not in the datastore {server.url}/store."),)


def test_what_the_service_refuses_leaves_nothing(place: Place, server: FileServer, tmp_path: Path) -> None:
    repository = remote(place, server)
    files = [str(raws.hsc(tmp_path / f"{n}.fits", 2, n)) for n in (50, 51)]
    before = record_rows(repository)
    server.refused = "HSCE00000002_1_13"
    with pytest.raises(RegistryStateError) as caught:
        ingest_raws(repository, files, COPY)
    assert caught.value.message.startswith(f"Cannot copy {files[1]} to {server.url}/store/HSC/raw/all/raw/")
    assert stored(server) == set()
    assert record_rows(repository) == before
    # What a process that was killed has left is taken as it is, and another file is not.
    server.refused = None
    assert ingest_raws(repository, files[:1], COPY).datasets == 1
    (name,) = stored(server)
    left = server.folder / "store" / name.replace("1_12", "1_13")
    left.write_bytes((tmp_path / "50.fits").read_bytes())
    report = ingest_raws(repository, files[1:], COPY)
    target = f"{server.url}/store/{left.relative_to(server.folder / 'store')}"
    assert report.bad == (BadFile(files[1], f"There is another file in the place of {files[1]}: {target}."),)
    left.write_bytes((tmp_path / "51.fits").read_bytes())
    assert ingest_raws(repository, files[1:], COPY).datasets == 1
    assert records_of(repository) == stored(server)


def test_an_index_and_sidecars_of_a_service_are_read(place: Place, server: FileServer) -> None:
    from astro_metadata_translator.indexing import index_files

    repository = make(place)
    raws.register(repository, raws.cameras()[0])
    folder = server.folder / "raw"
    for number, name in ((50, "a.fits"), (51, "b.fits")):
        raws.hsc(folder / name, 2, number)
    index, _, _ = index_files(["a.fits"], str(folder), 1, True, "translated")
    (folder / "_index.json").write_text(json.dumps(index))
    direct = IngestOptions(transfer=Transfer.DIRECT)
    assert ingest_raws(repository, [f"{server.url}/raw/_index.json"], direct).datasets == 1
    more: dict[str, Any] = dict(index_files(["b.fits"], str(folder), 1, True, "metadata")[0])
    # What a sidecar says counts, and not the header.
    (folder / "b.json").write_text(json.dumps({**more["__COMMON__"], **more["b.fits"], "DET-ID": 52, "T_CCDSN": "052"}))
    raws.hsc(folder / "b.fits", 2, 51, DET__ID=99)
    assert ingest_raws(repository, [f"{server.url}/raw/b.fits"], direct).bad == ()
    assert records_of(repository) == {f"{server.url}/raw/a.fits", f"{server.url}/raw/b.fits"}
    (folder / "b.json").write_text("[]")
    (bad,) = ingest_raws(repository, [f"{server.url}/raw/b.fits"], direct).bad
    assert bad.reason == (
        f"Its sidecar {server.url}/raw/b.json is none of astro_metadata_translator: it holds no mapping."
    )
