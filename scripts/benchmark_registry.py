"""Fill an empty registry for `scripts/benchmark migrate`: what a survey leaves behind, in any number.

Of 20 datasets, 6 are raw data, 10 belong to visits, 3 to patches of the sky and 1 is a calibration with a validity
range; one in five of those of visits is tagged, and each is stored, with a file record.  All in statements that the
database executes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.database import Database
from registrytool.executor import ConnectionExecutor
from registrytool.models import DatasetTables, DynamicContent
from registrytool.reshape import Reshape
from registrytool.state import read_recorded
from registrytool.structure import from_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = (
    ("instrument", "detector", "exposure"),
    ("instrument", "detector", "visit"),
    ("band", "skymap", "tract", "patch"),
    ("instrument", "detector"),
)
TYPES = ("raw", "calexp", "deepCoadd", "bias")
#: Which of 20 datasets are of which type.
SHARES = ("n % 20 < 6", "n % 20 BETWEEN 6 AND 15", "n % 20 BETWEEN 16 AND 18", "n % 20 = 19")
#: Numbers of the runs, so that no data ID is twice in one: of raw data, visits, patches and calibrations.
RUNS = ("1", "2 + n % 4", "100 + n / 5000", "1000000 + n / 2000")
DATA_IDS = (
    "'LSSTCam', n % 100, n / 100",
    "'LSSTCam', n % 100, n / 100",
    "'r', 'sky', n / 100 % 50, n % 100",
    "'LSSTCam', n / 20 % 100",
)
#: Columns of data IDs in the order of the tables.
COLUMNS = (
    "instrument, detector, exposure",
    "instrument, detector, visit",
    "band, skymap, tract, patch",
    "instrument, detector",
)


def fill(url: str, namespace: str | None, datasets: int) -> None:
    """Fill a registry of universe 4 and datasets 1.0.0 of either kind, with collections of either kind.

    Parameters
    ----------
    url, namespace : `str`
        The registry.
    datasets : `int`
        How many datasets.
    """
    catalog, database = Catalog.find(), Database(sa.make_url(url), namespace)
    tables = [DatasetTables(f"dataset_tags_{k:08}", "tags", g) for k, g in enumerate(GROUPS, start=1)]
    tables.append(DatasetTables("dataset_calibs_00000004", "calibs", GROUPS[3]))
    dynamic = DynamicContent(tuple(tables), ("file_datastore_records",))
    lite = database.dialect == "sqlite"
    with database.write("fill") as connection:
        recorded = read_recorded(connection, database.namespace, catalog, where=url)
        empty, full = (
            catalog.metadata(
                recorded.state, database.dialect, content, universe=recorded.universe, namespace=database.namespace
            )
            for content in (None, dynamic)
        )
        Reshape(from_metadata(empty, database.dialect), None, full).create(ConnectionExecutor(connection))
        if lite:
            connection.exec_driver_sql("PRAGMA cache_size = -2000000")
        else:
            quoted = connection.dialect.identifier_preparer.quote_identifier(database.namespace or "public")
            connection.execute(sa.text("SELECT set_config('search_path', :name, true)"), {"name": quoted})
            # The rows are right; looking up each of their keys would take most of the time.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        words = Words(
            lite,
            by_name=recorded.state["collections"].implementation.startswith("NameKey"),
            uuids=recorded.state["datasets"].implementation.endswith("UUID"),
        )
        for statement in words.statements(datasets):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    if not lite:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@dataclass(frozen=True)
class Words:
    """How things are said in one kind of registry: SQLite or not, collections by name or not, UUIDs or not."""

    lite: bool
    by_name: bool
    uuids: bool

    @property
    def identifier(self) -> str:
        """The identifier of dataset n; UUIDs are spread over the index as random ones are, but the same each time."""
        if not self.uuids:
            return "n + 1"
        spread = "(n * 2654435761) % 4294967296"
        if self.lite:
            return f"printf('%08x%024x', {spread}, n)"
        return f"(lpad(to_hex({spread}), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid"

    def text(self, begin: str, number: str) -> str:
        """A text and a number."""
        return f"printf('{begin}%d', {number})" if self.lite else f"format('{begin}%s', {number})"

    def numbers(self, count: int) -> str:
        """The rows n = 0, 1, 2, …"""
        if self.lite:
            return f"(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s LIMIT {count}) SELECT n FROM s)"
        return f"(SELECT generate_series(0::bigint, {count - 1}) AS n) AS s"

    def key(self, number: str) -> str:
        """The key of a collection."""
        return self.text("LSSTCam/runs/DRP/PREOPS-0001/", number) if self.by_name else number

    @property
    def key_column(self) -> str:
        """Column of such keys."""
        return "collection_name" if self.by_name else "collection_id"

    def span(self, begin: str, end: str) -> tuple[str, str]:
        """Columns and values of a timespan."""
        if self.lite:
            return "timespan_begin, timespan_end", f"{begin}, {end}"
        return "timespan", f"int8range({begin}, {end})"

    def statements(self, datasets: int) -> Iterator[str]:
        """Give all statements."""
        yield from self._dimensions(datasets // 100 + 1)
        yield from self._dataset_types()
        yield from self._collections(datasets)
        yield from self._datasets(datasets)

    def _dimensions(self, exposures: int) -> Iterator[str]:
        begin = "1672531237000000000 + n * 30000000000"
        bounds, span = self.span(begin, f"{begin} + 15000000000")
        false = "0" if self.lite else "false"
        yield "INSERT INTO instrument VALUES ('LSSTCam', 100000000, 2, 100000000, 10, 'lsst.obs.lsst.LsstCam')"
        yield "INSERT INTO physical_filter (instrument, name, band) VALUES ('LSSTCam', 'r_57', 'r')"
        yield (
            "INSERT INTO detector (instrument, id, full_name, purpose) "
            f"SELECT 'LSSTCam', n, {self.text('R22_S', 'n')}, 'SCIENCE' FROM {self.numbers(100)}"
        )
        yield (
            "INSERT INTO exposure (instrument, id, physical_filter, obs_id, exposure_time, observation_type, day_obs, "
            f"seq_num, group_name, group_id, has_simulated, {bounds}) SELECT 'LSSTCam', n, 'r_57', "
            f"{self.text('obs-', 'n')}, 15.0, 'science', 20230101 + n % 28, n, {self.text('group-', 'n')}, n, {false}, "
            f"{span} FROM {self.numbers(exposures)}"
        )
        yield (
            f"INSERT INTO visit (instrument, id, physical_filter, name, day_obs, seq_num, {bounds}) "
            f"SELECT 'LSSTCam', n, 'r_57', {self.text('visit-', 'n')}, 20230101 + n % 28, n, {span} "
            f"FROM {self.numbers(exposures)}"
        )
        columns = "name, hash, tract_max, patch_nx_max, patch_ny_max"
        yield f"INSERT INTO skymap ({columns}) VALUES ('sky', 'YQ==', 50, 10, 10)"
        yield f"INSERT INTO tract (skymap, id) SELECT 'sky', n FROM {self.numbers(50)}"
        yield (
            "INSERT INTO patch (skymap, tract, id, cell_x, cell_y) "
            f"SELECT 'sky', n / 100, n % 100, n % 10, n / 10 % 10 FROM {self.numbers(5000)}"
        )

    def _dataset_types(self) -> Iterator[str]:
        for number, (name, group) in enumerate(zip(TYPES, GROUPS, strict=True), start=1):
            yield f"INSERT INTO dimension_graph_key (id) VALUES ({number})"
            for dimension in group:
                yield f"INSERT INTO dimension_graph_definition VALUES ({number}, '{dimension}')"
            calibs = "'dataset_calibs_00000004'" if number == 4 else "NULL"
            yield (
                "INSERT INTO dataset_type (id, name, storage_class, dimensions_key, tag_association_table, "
                "calibration_association_table) "
                f"VALUES ({number}, '{name}', 'Exposure', {number}, 'dataset_tags_{number:08}', {calibs})"
            )
        yield "INSERT INTO opaque_meta VALUES ('file_datastore_records')"

    def _collections(self, datasets: int) -> Iterator[str]:
        columns = "name, type" if self.by_name else "collection_id, name, type"
        # Tagged collections are 6 to 9, that of calibrations is 10.
        runs = [(RUNS[k], SHARES[k], k + 1, 1) for k in range(4)]
        others = [("6 + n % 4", "n % 20 BETWEEN 6 AND 15", 2, 2), ("10", "n % 20 = 19", 4, 4)]
        for number, share, dataset_type, kind in (*runs, *others):
            found = f"(SELECT DISTINCT {number} AS c FROM {self.numbers(datasets)} WHERE {share}) AS d"
            name = self.text("LSSTCam/runs/DRP/PREOPS-0001/", "c")
            values = f"{name}, {kind}" if self.by_name else f"c, {name}, {kind}"
            yield f"INSERT INTO collection ({columns}) SELECT {values} FROM {found}"
            if kind == 1:
                run_column = "name" if self.by_name else "collection_id"
                yield f"INSERT INTO run ({run_column}) SELECT {self.key('c')} FROM {found}"
            governor = "skymap" if dataset_type == 3 else "instrument"
            value = "sky" if dataset_type == 3 else "LSSTCam"
            for table, what in (("dataset_type", f"{dataset_type}"), (governor, f"'{value}'")):
                column = "dataset_type_id" if table == "dataset_type" else table
                yield (
                    f"INSERT INTO collection_summary_{table} ({self.key_column}, {column}) "
                    f"SELECT {self.key('c')}, {what} FROM {found}"
                )

    def _datasets(self, datasets: int) -> Iterator[str]:
        ingested = (
            "strftime('%Y-%m-%d %H:%M:%S', 1672531200 + n, 'unixepoch') || printf('.%06d', n * 7919 % 1000000)"
            if self.lite
            else "timestamp '2023-01-01' + n * interval '1.007919 second'"
        )
        kind = f"CASE {' '.join(f'WHEN {s} THEN {k}' for k, s in enumerate(SHARES, start=1))} END"
        run = f"CASE {' '.join(f'WHEN {s} THEN {r}' for r, s in zip(RUNS, SHARES, strict=True))} END"
        source, identifier = self.numbers(datasets), self.identifier
        yield (
            f"INSERT INTO dataset (id, dataset_type_id, ingest_date, {'run_name' if self.by_name else 'run_id'}) "
            f"SELECT {identifier}, {kind}, {ingested}, {self.key(run)} FROM {source}"
        )
        for k in range(4):
            table, columns = f"dataset_tags_{k + 1:08}", f"dataset_type_id, dataset_id, {self.key_column}, {COLUMNS[k]}"
            for number, share in ((RUNS[k], SHARES[k]), *([("6 + n % 4", "n % 20 IN (7, 12)")] if k == 1 else ())):
                yield (
                    f"INSERT INTO {table} ({columns}) SELECT {k + 1}, {identifier}, {self.key(number)}, {DATA_IDS[k]} "
                    f"FROM {source} WHERE {share}"
                )
        bounds, span = self.span("n * 1000", "n * 1000 + 20000")
        yield (
            f"INSERT INTO dataset_calibs_00000004 (id, dataset_type_id, dataset_id, {self.key_column}, {COLUMNS[3]}, "
            f"{bounds}) SELECT n, 4, {identifier}, {self.key('10')}, {DATA_IDS[3]}, {span} FROM {source} "
            f"WHERE {SHARES[3]}"
        )
        yield f"INSERT INTO dataset_location SELECT 'FileDatastore@<butlerRoot>', {identifier} FROM {source}"
        yield (
            "INSERT INTO file_datastore_records "
            "(dataset_id, path, formatter, storage_class, component, checksum, file_size) "
            f"SELECT {identifier}, {self.text('LSSTCam/runs/DRP/PREOPS-0001/exposures/2023-01-01/file_', 'n')}, "
            "'lsst.daf.butler.formatters.fits.FitsExposureFormatter', 'Exposure', '__NULL_STRING__', NULL, 33554432 "
            f"FROM {source}"
        )
