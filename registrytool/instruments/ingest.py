"""Raw files, from their headers to exposure records, datasets and files of a datastore.

Identifiers are those of the Butler's own ingest: UUID version 5 of dataset type, run and data ID (lsst/obs_base:
python/lsst/obs/base/ingest.py), so that the same file is the same dataset in every repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from registrytool.config import parse_yaml
from registrytool.errors import ConfigurationError, RegistryStateError, RegistryToolError
from registrytool.maintain.collections import CollectionType, ensure_collection, find_collection
from registrytool.maintain.dataset_types import ensure_dataset_type, find_same
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.datastore import datastore_of, store_records
from registrytool.maintain.export_file import day_obs_record
from registrytool.maintain.record_values import Shape
from registrytool.maintain.records import apply_records, find_records, plan_records
from registrytool.maintain.session import change, reading
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .definition import bundled_definitions, load_definition
from .headers import BadFile, Observation, read_headers
from .placement import Placed, Transfer, place_of, placing, recover, resolve
from .templates import choose_template, format_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition

Existing = Literal["fail", "skip", "update"]

#: How many datasets become one transaction, at least.
BATCH = 2000


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How raw files are ingested.

    Attributes
    ----------
    definitions : `tuple` [`InstrumentDefinition`, ...]
        Instruments; by default those that come with registrytool, by the name in the header.
    run : `str` or `None`
        Run; by default that of the definition.
    transfer : `Transfer`
        How files get to their place.
    existing : `str`
        What to do with files that are ingested already: ``fail`` reports them, ``skip`` passes over them, ``update``
        also gives exposures that are there the fields of the headers.
    fail_fast : `bool`
        Whether the first file that cannot be ingested stops everything; what was committed before stays.
    processes : `int` or `None`
        How many processes read headers.
    dry_run : `bool`
        Whether nothing is written.
    """

    definitions: tuple[InstrumentDefinition, ...] = ()
    run: str | None = None
    transfer: Transfer = Transfer.AUTO
    existing: Existing = "fail"
    fail_fast: bool = False
    processes: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of raw files.

    Attributes
    ----------
    datasets, exposures : `int`
        Numbers of new ones.
    updated : `int`
        Number of exposures that were changed.
    skipped : `int`
        Number of datasets that were there.
    recovered : `int`
        Number of files that were removed, since an earlier run was killed before it had ingested them.
    bad : `tuple` [`BadFile`, ...]
        Files that were not ingested.
    all_exposures : `tuple` [`tuple` [`str`, `int`], ...]
        Instruments and numbers of all exposures of the files.
    dry_run : `bool`
        Whether nothing was written.
    """

    datasets: int
    exposures: int
    updated: int
    skipped: int
    recovered: int
    bad: tuple[BadFile, ...]
    all_exposures: tuple[tuple[str, int], ...] = ()
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result = dict(to_plain(self))
        del result["all_exposures"]
        return result


@dataclass(frozen=True, slots=True)
class _Item:
    """One dataset that is going to be."""

    observation: Observation
    definition: InstrumentDefinition
    physical_filter: str
    run: str

    @property
    def exposure(self) -> tuple[str, int]:
        return self.observation.instrument, self.observation.exposure


@dataclass(slots=True)
class _Batch:
    """What one transaction does; worked out before it, and again inside of it."""

    items: list[_Item]
    records: dict[str, list[dict[str, Any]]]
    updates: list[tuple[str, dict[str, Any]]]
    skipped: int
    bad: list[BadFile]


def ingest_raws(
    repository: Repository,
    files: Sequence[str],
    options: IngestOptions | None = None,
    *,
    progress: Progress | None = None,
    catalog: Catalog | None = None,
) -> IngestReport:
    """Ingest raw files.

    Work is cut into transactions of some thousand files.  Whatever happens, a file is either ingested, with its record
    and in its place, or not at all; the same command goes on where a run has ended.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    files : `~collections.abc.Sequence` [`str`]
        Absolute paths of FITS files and of index files.
    options : `IngestOptions`, optional
        How.
    progress : `Progress`, optional
        Is told what happens.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    report : `IngestReport`
        What was done, and what could not be.

    Raises
    ------
    ConfigurationError
        A package is not installed, the datastore is not local, or nothing is known of a translator.
    RegistryStateError
        An instrument is not registered, or ``fail_fast`` is set and a file cannot be ingested.
    """
    return _Ingest(repository, options or IngestOptions(), progress or NullProgress(), catalog).run(files)


class _Ingest:
    def __init__(
        self, repository: Repository, options: IngestOptions, progress: Progress, catalog: Catalog | None
    ) -> None:
        self.repository, self.options, self.progress, self.catalog = repository, options, progress, catalog
        self.definitions = {d.name: d for d in options.definitions}
        self.bad: list[BadFile] = []
        self.datasets = self.exposures = self.updated = self.skipped = 0

    def run(self, files: Sequence[str]) -> IngestReport:
        with reading(self.repository, catalog=self.catalog) as session:
            self.root = local_root(session)
            self.templates = file_templates(self.repository)
        recovered = 0
        if not self.options.dry_run:
            found = recover(self.root, self._known)
            recovered = found.removed
            self.skipped += sum(f in found.moved for f in files)
            files = [f for f in files if f not in found.moved]
        transfer = resolve(self.options.transfer, self.root, files)
        items = self._items(files)
        done = 0
        for part in _batches(items):
            self.progress.rows("datasets", done, len(items))
            self._ingest(part, transfer)
            done += len(part)
        exposures = tuple(dict.fromkeys(item.exposure for item in items))
        return IngestReport(
            self.datasets, self.exposures, self.updated, self.skipped, recovered, tuple(self.bad), exposures,
            self.options.dry_run,
        )  # fmt: skip

    def _refuse(self, bad: Iterable[BadFile]) -> None:
        for one in bad:
            if self.options.fail_fast:
                message = f"Cannot ingest {one.file}: {one.reason[:1].lower()}{one.reason[1:]}"
                raise RegistryStateError(message)
            self.bad.append(one)

    # -- from files to items

    def _items(self, files: Sequence[str]) -> list[_Item]:
        """Read all headers, and find out what each file is going to be."""
        self.progress.phase(f"Reading the headers of {len(files)} files")
        translator = self.options.definitions[0].translator if len(self.options.definitions) == 1 else None
        items: dict[tuple[str, int, int], _Item] = {}
        for number, found in enumerate(read_headers(files, translator, processes=self.options.processes), 1):
            self.progress.rows("headers", number, len(files))
            if isinstance(found, BadFile):
                self._refuse([found])
                continue
            for observation in found:
                item = self._item(observation)
                if isinstance(item, BadFile):
                    self._refuse([item])
                    continue
                key = (*item.exposure, observation.detector)
                first = items.setdefault(key, item)
                if first is not item:
                    reason = f"It has the same exposure and detector as {first.observation.file}."
                    self._refuse([BadFile(observation.file, reason)])
        # The files of an exposure belong together.
        return sorted(items.values(), key=lambda i: (*i.exposure, i.observation.detector))

    def _item(self, observation: Observation) -> _Item | BadFile:
        name = observation.instrument
        if name not in self.definitions:
            if self.options.definitions or name not in bundled_definitions():
                wanted = " or ".join(d.name for d in self.options.definitions) or "an instrument that is known"
                return BadFile(observation.file, f"It is of the instrument {name}, not of {wanted}.")
            self.definitions[name] = load_definition(name)
        definition = self.definitions[name]
        if definition.raw is None:
            return BadFile(observation.file, f"The definition of {name} does not say what raw files become.")
        try:
            found = definition.find_filter(observation.physical_filter)
            definition.detector(observation.detector)
        except RegistryToolError as error:
            return BadFile(observation.file, error.message)
        run = self.options.run or definition.runs.get("raw") or f"{name}/raw/all"
        return _Item(observation, definition, found.physical_filter, run)

    # -- from items to a transaction

    def _ingest(self, items: list[_Item], transfer: Transfer) -> None:
        with reading(self.repository, catalog=self.catalog) as session:
            batch = self._plan(session, items)
            placed, bad = self._places(session, batch.items, transfer)
        self._refuse([*batch.bad, *bad])
        self.skipped += batch.skipped
        wanted = [item for item in batch.items if item.observation.file in placed]
        if self.options.dry_run:
            self._count(len(wanted), batch)
            return
        if not wanted and not batch.updates:
            return

        def work(session: Session) -> int:
            again = self._plan(session, wanted)
            if len(again.items) < len(wanted):
                message = "Cannot ingest the files: somebody else is ingesting the same ones."
                raise RegistryStateError(message, hint="Run the same command again.")
            for element, rows in batch.records.items():
                apply_records(session, plan_records(session, element, rows, on_conflict="skip"))
            updated = 0
            for element, row in batch.updates:
                updated += apply_records(session, plan_records(session, element, [row], on_conflict="replace")).replaced
            self._insert(session, wanted, placed)
            return updated

        with placing(self.root, transfer, list(placed.values()), self._known):
            updated = change(self.repository, f"ingest {len(wanted)} raw files", work, catalog=self.catalog)
        self._count(len(wanted), batch)
        self.updated += updated

    def _count(self, datasets: int, batch: _Batch) -> None:
        self.datasets += datasets
        self.exposures += sum(len(batch.records.get(e, ())) for e in ("exposure", "visit"))

    def _plan(self, session: Session, items: Sequence[_Item]) -> _Batch:
        """Say which datasets and records are new, and refuse files that contradict what is there."""
        batch = _Batch([], {}, [], 0, [])
        taken = self._taken(session, items)
        chosen: dict[tuple[str, int], dict[str, Any]] = {}
        missing = _missing(session, items)
        for item in items:
            key = (*item.exposure, item.observation.detector)
            if key in taken:
                if self.options.existing == "fail":
                    reason = f"It is ingested already (exposure {key[1]}, detector {key[2]} of {key[0]})."
                    batch.bad.append(BadFile(item.observation.file, reason))
                else:
                    batch.skipped += 1
                    if self.options.existing == "update":
                        chosen.setdefault(item.exposure, _record(session, item))
                continue
            lacking = missing.get((item.observation.instrument, item.physical_filter, item.observation.detector))
            if lacking is not None:
                batch.bad.append(BadFile(item.observation.file, lacking))
                continue
            chosen.setdefault(item.exposure, _record(session, item))
            batch.items.append(item)
        self._compare(session, batch, chosen, items)
        return batch

    def _compare(
        self,
        session: Session,
        batch: _Batch,
        chosen: Mapping[tuple[str, int], dict[str, Any]],
        items: Sequence[_Item],
    ) -> None:
        """Compare the records of headers with those that are there."""
        definitions = {item.exposure: item.definition for item in items}
        for element in dict.fromkeys(_element(definitions[key]) for key in chosen):
            shape = Shape.of(session.universe, element)
            rows = {key: row for key, row in chosen.items() if _element(definitions[key]) == element}
            existing = find_records(session, shape, [shape.key_of(row) for row in rows.values()])
            for key, row in rows.items():
                old = existing.get(shape.key_of(row))
                if old is None:
                    batch.records.setdefault(element, []).append(row)
                    continue
                differ = [n for n in row if old[n] != row[n]]
                if differ and self.options.existing == "update":
                    batch.updates.append((element, row))
                elif differ:
                    name = differ[0]
                    reason = (
                        f"The {element} {key[1]} of {key[0]} is there with another {name} ({old[name]!r}, and the "
                        f"header says {row[name]!r})."
                    )
                    batch.bad += [BadFile(i.observation.file, reason) for i in batch.items if i.exposure == key]
                    batch.items = [i for i in batch.items if i.exposure != key]
            fresh = [*batch.records.get(element, ()), *(r for e, r in batch.updates if e == element)]
            _add_dependencies(session, batch, element, fresh, definitions, items)

    def _taken(self, session: Session, items: Sequence[_Item]) -> set[tuple[str, int, int]]:
        """Return instrument, exposure and detector of the datasets that are there."""
        result: set[tuple[str, int, int]] = set()
        for definition, run in dict.fromkeys((i.definition.name, i.run) for i in items):
            raw = self.definitions[definition].raw
            collection = find_collection(session, run)
            assert raw is not None  # noqa: S101 (checked by _item)
            dataset_type = find_same(session, raw.dataset_type, raw.dimensions, raw.storage_class, is_calibration=False)
            if collection is None or dataset_type is None:
                continue
            tags, element = session.table(dataset_type.tags_table), _element(self.definitions[definition])
            numbers = sorted({i.observation.exposure for i in items if i.definition.name == definition})
            for start in range(0, len(numbers), 500):
                query = sa.select(tags.c.instrument, tags.c[element], tags.c.detector).where(
                    tags.c.dataset_type_id == dataset_type.id,
                    tags.c[session.collection_column] == collection.key,
                    tags.c.instrument == definition,
                    tags.c[element].in_(numbers[start : start + 500]),
                )
                result |= {(row[0], row[1], row[2]) for row in session.connection.execute(query)}
        return result

    def _insert(self, session: Session, items: Sequence[_Item], placed: Mapping[str, Placed]) -> None:
        """Insert datasets, and what the datastore keeps of their files."""
        groups: dict[tuple[str, str], list[_Item]] = {}
        for item in items:
            groups.setdefault((item.definition.name, item.run), []).append(item)
        for (_, run), group in groups.items():
            raw = group[0].definition.raw
            assert raw is not None  # noqa: S101 (checked by _item)
            collection = ensure_collection(session, run, CollectionType.RUN)
            dataset_type = ensure_dataset_type(session, raw.dataset_type, raw.dimensions, raw.storage_class)
            rows = [_data_id(item) for item in group]
            ids = insert_datasets(session, dataset_type, collection, rows, ids="data_id_run")
            store_records(
                session,
                [
                    {
                        "dataset_id": dataset_id,
                        "path": placed[item.observation.file].path,
                        "formatter": raw.formatter,
                        "storage_class": raw.storage_class,
                        "file_size": os.stat(item.observation.file).st_size,  # noqa: PTH116 (fast)
                    }
                    for dataset_id, item in zip(ids, group, strict=True)
                ],
            )

    # -- files

    def _places(
        self, session: Session, items: Sequence[_Item], transfer: Transfer
    ) -> tuple[dict[str, Placed], list[BadFile]]:
        """Return where the files go; a file with several detectors goes where the first of them would."""
        placed: dict[str, Placed] = {}
        bad: list[BadFile] = []
        targets: dict[str, str] = {}
        for item in items:
            source = item.observation.file
            if source in placed:
                continue
            try:
                found = place_of(transfer, self.root, source, self._path(session, item))
            except RegistryStateError as error:
                bad.append(BadFile(source, error.message))
                continue
            other = targets.setdefault(found.path, source)
            if other != source:
                bad.append(BadFile(source, f"It would go to the same place as {other}."))
                continue
            placed[source] = found
        return placed, bad

    def _path(self, session: Session, item: _Item) -> str:
        raw, observation = item.definition.raw, item.observation
        assert raw is not None  # noqa: S101 (checked by _item)
        element = _element(item.definition)
        implied = session.universe[element].implied
        template = choose_template(
            self.templates, raw.dataset_type, raw.storage_class, [*raw.dimensions, *implied, "band"]
        )
        values = {
            "run": item.run,
            "datasetType": raw.dataset_type,
            "band": item.definition.band(item.physical_filter),
            "physical_filter": item.physical_filter,
            "day_obs": observation.day_obs,
            "group": observation.group,
            f"{element}.obs_id": observation.obs_id,
            f"{element}.day_obs": observation.day_obs,
            "detector.full_name": item.definition.detector(observation.detector).full_name,
            **_data_id(item),
        }
        return format_template(template, values) + _suffix(observation.file)

    def _known(self, paths: Sequence[str]) -> set[str]:
        return known_paths(self.repository, paths, catalog=self.catalog)


def known_paths(repository: Repository, paths: Sequence[str], *, catalog: Catalog | None = None) -> set[str]:
    """Return which of some paths in the datastore the registry has records of."""
    found: set[str] = set()
    with reading(repository, catalog=catalog) as session:
        name = datastore_of(session).records_table
        if not session.has_table(name) or name not in session.recorded.tables:
            return found
        table = session.table(name)
        for start in range(0, len(paths), 500):
            query = sa.select(table.c.path).where(table.c.path.in_(list(paths[start : start + 500])))
            found.update(session.connection.scalars(query))
    return found


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Cut items into parts that do not share an exposure or a file."""
    part: list[_Item] = []
    for item in items:
        if (
            len(part) >= BATCH
            and item.exposure != part[-1].exposure
            and item.observation.file != part[-1].observation.file
        ):
            yield part
            part = []
        part.append(item)
    if part:
        yield part


def _suffix(file: str) -> str:
    suffixes = PurePosixPath(file).suffixes[-2:]
    return "".join(suffixes) if suffixes[-1:] and suffixes[-1] in (".gz", ".fz", ".bz2") else "".join(suffixes[-1:])


def _element(definition: InstrumentDefinition) -> str:
    """Return the element that an observation is, which is ``visit`` in universes without exposures."""
    return "exposure" if definition.raw is None or "exposure" in definition.raw.dimensions else "visit"


def _data_id(item: _Item) -> dict[str, Any]:
    observation = item.observation
    return {
        "instrument": observation.instrument,
        "detector": observation.detector,
        _element(item.definition): observation.exposure,
        **item.definition.detector(observation.detector).columns,
    }


def _record(session: Session, item: _Item) -> dict[str, Any]:
    """Return the record of an exposure, with the fields that the universe has."""
    observation, shape = item.observation, Shape.of(session.universe, _element(item.definition))
    values = {
        "instrument": observation.instrument,
        "id": observation.exposure,
        "obs_id": observation.obs_id,
        "name": observation.obs_id,
        "physical_filter": item.physical_filter,
        "day_obs": observation.day_obs,
        "group": observation.group,
        "group_name": observation.group,
        "group_id": observation.visit_id,
        "timespan": observation.timespan,
        **dict(observation.fields),
    }
    return {name: values[name] for name in shape.fields if name in values}


def _add_dependencies(
    session: Session,
    batch: _Batch,
    element: str,
    rows: Sequence[Mapping[str, Any]],
    definitions: Mapping[tuple[str, int], InstrumentDefinition],
    items: Sequence[_Item],
) -> None:
    """Add the records of groups and days of observation that new exposures need, before theirs."""
    implied = session.universe[element].implied
    offsets = {(i.observation.instrument, i.observation.day_obs): i.observation.day_obs_offset_s for i in items}

    def offset_s(instrument: str, day: int) -> int | None:
        definition = next(d for (name, _), d in definitions.items() if name == instrument)
        found = definition.day_obs_offset_s(day)
        return offsets.get((instrument, day)) if found is None else found

    before: dict[str, list[dict[str, Any]]] = {}
    if "day_obs" in implied:
        days = dict.fromkeys((row["instrument"], row["day_obs"]) for row in rows)
        before["day_obs"] = [day_obs_record(instrument, day, offset_s) for instrument, day in days]
    if "group" in implied:
        groups = dict.fromkeys((row["instrument"], row["group"]) for row in rows)
        before["group"] = [{"instrument": instrument, "name": name} for instrument, name in groups]
    batch.records = {name: found for name, found in before.items() if found} | batch.records


def _missing(session: Session, items: Sequence[_Item]) -> dict[tuple[str, str, int], str]:
    """Return what keeps instruments, filters and detectors from being used, as sentences."""
    result: dict[tuple[str, str, int], str] = {}
    wanted = {(i.observation.instrument, i.physical_filter, i.observation.detector) for i in items}
    there = {}
    for element, keys in (
        ("instrument", {(i,) for i, _, _ in wanted}),
        ("physical_filter", {(i, f) for i, f, _ in wanted}),
        ("detector", {(i, d) for i, _, d in wanted}),
    ):
        there[element] = set(find_records(session, Shape.of(session.universe, element), keys))
    for instrument, name, detector in wanted:
        if (instrument,) not in there["instrument"]:
            result[instrument, name, detector] = f"The instrument {instrument} is not registered."
        elif (instrument, name) not in there["physical_filter"]:
            result[instrument, name, detector] = f"The filter {name!r} of {instrument} is not registered."
        elif (instrument, detector) not in there["detector"]:
            result[instrument, name, detector] = f"The detector {detector} of {instrument} is not registered."
    return result


def local_root(session: Session) -> str:
    """Return the folder of the datastore.

    Raises
    ------
    ConfigurationError
        Its files are not on this machine.
    """
    datastore = datastore_of(session)
    if not datastore.is_local:
        message = f"The files of {session.repository.name} are in {datastore.root}, which is not a local folder."
        raise ConfigurationError(message, hint="Ingest on a machine where they are.")
    return datastore.root.removeprefix("file://")


def file_templates(repository: Repository) -> Any:
    """Return ``datastore.templates`` of ``butler.yaml``."""
    if repository.config_file is None:
        return None
    config = parse_yaml(repository.config_file.read_text(encoding="utf-8"))
    datastore = config.get("datastore") if isinstance(config, dict) else None
    return datastore.get("templates") if isinstance(datastore, dict) else None
