"""Fill a new registry for `scripts/benchmark maintain`: a run, a smaller one, a tagged collection, and files.

The rows are those that the Butler writes, which would take it hours; the database makes them by itself, in a few
statements.  Identifiers are random, as those of the Butler are (but for its newest versions): the worst case for all
indexes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.datastore import ensure_records_table
from registrytool.maintain.session import Session, change
from registrytool.maintain.summaries import ensure_summaries

if TYPE_CHECKING:
    from pathlib import Path

    from registrytool.repository import Repository

RUN, OTHER, TAGGED = "u/benchmark/run", "u/benchmark/other", "u/benchmark/tagged"
DETECTORS = 100


def fill(repository: Repository, datasets: int) -> None:
    """Fill a registry.

    Parameters
    ----------
    repository : `Repository`
        A new repository of the newest versions.
    datasets : `int`
        Number of datasets in the run `RUN`; `OTHER` has a tenth of them, and `TAGGED` each fifth of `RUN`.
    """
    # One more than is needed, for those who insert while it is measured.
    exposures = -(-datasets // DETECTORS) + 1

    def work(session: Session) -> None:
        session.execute(sa.insert(session.table("instrument")), {"name": "Cam", "class_name": "Cam"})
        session.execute(
            sa.insert(session.table("detector")),
            [{"instrument": "Cam", "id": i, "full_name": f"R{i}"} for i in range(DETECTORS)],
        )
        session.execute(sa.insert(session.table("physical_filter")), {"instrument": "Cam", "name": "r", "band": "r"})
        session.execute(sa.insert(session.table("day_obs")), {"instrument": "Cam", "id": 20260101})
        session.execute(sa.insert(session.table("group")), {"instrument": "Cam", "name": "g"})
        common = {"instrument": "Cam", "day_obs": 20260101, "group": "g", "physical_filter": "r"}
        session.execute(
            sa.insert(session.table("exposure")),
            [{**common, "id": i, "obs_id": f"o{i}", "exposure_time": float(i % 60)} for i in range(exposures)],
        )
        dataset_type = ensure_dataset_type(session, "raw", ["instrument", "exposure", "detector"], "StructuredDataDict")
        ensure_records_table(session, "file_datastore_records")
        keys = {}
        for name, kind in ((RUN, CollectionType.RUN), (OTHER, CollectionType.RUN), (TAGGED, CollectionType.TAGGED)):
            collection = ensure_collection(session, name, kind)
            ensure_summaries(session, collection, [dataset_type.id], {"instrument": ["Cam"]})
            keys[name] = collection.key
        for run, number in ((RUN, datasets), (OTHER, datasets // 10)):
            _fill_run(session, dataset_type.id, dataset_type.tags_table, keys[run], run, number)
        tags = session.table(dataset_type.tags_table)
        columns = [c for c in tags.columns if c.name != session.collection_column]
        some = sa.select(*columns, sa.literal(keys[TAGGED])).where(
            tags.c[session.collection_column] == keys[RUN], tags.c.detector % 5 == 0
        )
        names = [*(c.name for c in columns), session.collection_column]
        session.execute(sa.insert(tags).from_select(names, some))

    change(repository, "fill", work)
    if repository.dialect == "postgresql":
        engine = sa.create_engine(repository.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def make_files(root: Path, datasets: int) -> None:
    """Make the files of the run, which are empty: deleting them takes as long as deleting full ones of a few kB."""
    for exposure in range(-(-datasets // DETECTORS)):
        folder = root / RUN / "raw" / str(exposure)
        folder.mkdir(parents=True)
        for detector in range(min(DETECTORS, datasets - exposure * DETECTORS)):
            os.close(os.open(f"{folder}/{detector}.yaml", os.O_CREAT | os.O_WRONLY))


def count_files(root: Path) -> int:
    """Return how many files of the run are left."""
    return sum(len(files) for _, _, files in os.walk(root / RUN))


def _fill_run(session: Session, number: int, tags: str, run: int | str, name: str, datasets: int) -> None:
    lite = session.dialect == "sqlite"
    make_id = "lower(hex(randomblob(16)))" if lite else "gen_random_uuid()"
    schema = f'"{session.namespace}".' if session.namespace else ""
    values = {"t": number, "r": run, "n": datasets, "name": name}
    concat = "'/raw/' || e.id || '/' || d.id || '.yaml'"
    for statement in (
        (
            f"CREATE TEMPORARY TABLE new_rows AS SELECT {make_id} AS id, e.id AS exposure, d.id AS detector, "
            f"CAST(:name AS text) || {concat} AS path "
            f"FROM {schema}exposure AS e CROSS JOIN {schema}detector AS d ORDER BY e.id, d.id LIMIT :n"
        ),
        (
            f"INSERT INTO {schema}dataset (id, dataset_type_id, ingest_date, run_id) "
            "SELECT id, :t, 1767225637000000000, :r FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}{tags} (dataset_type_id, dataset_id, collection_id, instrument, detector, exposure) "
            "SELECT :t, id, :r, 'Cam', detector, exposure FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}dataset_location (datastore_name, dataset_id) "
            "SELECT 'FileDatastore@<butlerRoot>', id FROM new_rows"
        ),
        (
            f"INSERT INTO {schema}file_datastore_records "
            "(dataset_id, path, formatter, storage_class, component, checksum, file_size) "
            "SELECT id, path, 'lsst.daf.butler.formatters.yaml.YamlFormatter', 'StructuredDataDict', "
            "'__NULL_STRING__', NULL, 10 FROM new_rows"
        ),
        "DROP TABLE new_rows",
    ):
        text = sa.text(statement)
        session.connection.execute(text, {k: v for k, v in values.items() if f":{k}" in statement})
