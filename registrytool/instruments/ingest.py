"""Raw files, from their headers to exposure records, datasets and files of a datastore.

Identifiers are those of the Butler's own ingest: UUID version 5 of dataset type, run and data ID (lsst/obs_base:
python/lsst/obs/base/ingest.py), so that the same file is the same dataset in every repository.  Old ones number
datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.errors import RegistryStateError, RegistryToolError
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.datastore import store_records
from registrytool.maintain.records import apply_records, plan_records
from registrytool.maintain.session import change, look
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from .headers import read_headers
from .ingest_records import Item, path_of, plan_batch
from .library import bundled_definitions, load_definition
from .observation import BadFile
from .placement import Transfer
from .stores import file_templates, id_mode, store_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

    from .definition import InstrumentDefinition
    from .ingest_records import Batch, Existing
    from .observation import Observation
    from .placement import Placed

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
    """

    definitions: tuple[InstrumentDefinition, ...] = ()
    run: str | None = None
    transfer: Transfer = Transfer.AUTO
    existing: Existing = "fail"
    fail_fast: bool = False
    processes: int | None = None


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
    """

    datasets: int
    exposures: int
    updated: int
    skipped: int
    recovered: int
    bad: tuple[BadFile, ...]
    all_exposures: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result = dict(to_plain(self))
        del result["all_exposures"]
        return result


def ingest_raws(
    repository: Repository,
    files: Sequence[str],
    options: IngestOptions | None = None,
    *,
    dry_run: bool = False,
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
        Absolute paths or URIs of FITS files and of index files.
    options : `IngestOptions`, optional
        How.
    dry_run : `bool`, optional
        Whether nothing is written.
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
        A package is not installed, or nothing is known of a translator.
    RegistryStateError
        An instrument is not registered, or ``fail_fast`` is set and a file cannot be ingested.
    """
    options, progress = options or IngestOptions(), progress or NullProgress()
    return _Ingest(repository, options, progress, catalog, dry_run=dry_run).run(files)


class _Ingest:
    def __init__(
        self,
        repository: Repository,
        options: IngestOptions,
        progress: Progress,
        catalog: Catalog | None,
        *,
        dry_run: bool,
    ) -> None:
        self.dry_run = dry_run
        self.repository, self.options, self.progress, self.catalog = repository, options, progress, catalog
        self.definitions = {d.name: d for d in options.definitions}
        self.bad: list[BadFile] = []
        # In their order.
        self.all_exposures: dict[tuple[str, int], None] = {}
        self.exposures: set[tuple[str, int]] = set()
        self.datasets = self.updated = self.skipped = 0

    def run(self, files: Sequence[str]) -> IngestReport:
        self.store = look(self.repository, store_of, catalog=self.catalog)
        self.templates = file_templates(self.repository)
        recovered = 0
        if not self.dry_run:
            found = self.store.recover()
            recovered = found.removed
            self.skipped += sum(f in found.moved for f in files)
            files = [f for f in files if f not in found.moved]
        self.transfer = self.store.resolve(self.options.transfer, files)
        items: list[Item] = []
        # Headers of the next files are read while a batch is ingested.
        for more in self._items(files):
            items += more
            if len(items) >= BATCH:
                self._ingest(items)
                items = []
        self._ingest(items)
        return IngestReport(
            self.datasets, len(self.exposures), self.updated, self.skipped, recovered, tuple(self.bad),
            tuple(self.all_exposures),
        )  # fmt: skip

    def _refuse(self, bad: Iterable[BadFile]) -> None:
        for one in bad:
            if self.options.fail_fast:
                message = f"Cannot ingest {one.file}: {one.reason[:1].lower()}{one.reason[1:]}"
                raise RegistryStateError(message)
            self.bad.append(one)

    # -- from files to items

    def _items(self, files: Sequence[str]) -> Iterator[list[Item]]:
        """Read all headers, and find out for each file what it is going to be."""
        more = "" if self.dry_run else ", and ingesting them"
        self.progress.phase(f"Reading the headers of {len(files)} files{more}")
        translator = self.options.definitions[0].translator if len(self.options.definitions) == 1 else None
        seen: dict[tuple[str, int, int], str] = {}
        for number, found in enumerate(read_headers(files, translator, processes=self.options.processes), 1):
            self.progress.rows("files", number, len(files))
            if isinstance(found, BadFile):
                self._refuse([found])
                continue
            items: list[Item] = []
            for observation in found:
                item = self._item(observation)
                if isinstance(item, BadFile):
                    self._refuse([item])
                    continue
                first = seen.setdefault((*item.exposure, observation.detector), observation.file)
                if first != observation.file or any(i.observation.detector == observation.detector for i in items):
                    reason = f"It has the same exposure and detector as {first}."
                    self._refuse([BadFile(observation.file, reason)])
                    continue
                self.all_exposures[item.exposure] = None
                items.append(item)
            yield items

    def _item(self, observation: Observation) -> Item | BadFile:
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
        return Item(observation, definition, found.physical_filter, run)

    # -- from items to a transaction

    def _ingest(self, items: list[Item]) -> None:
        """Ingest some files in one transaction."""
        if not items:
            return
        items.sort(key=lambda i: (*i.exposure, i.observation.detector))

        def plan(session: Session) -> tuple[Batch, dict[str, Placed], list[BadFile]]:
            batch = plan_batch(session, items, self.options.existing)
            return batch, *self._places(session, batch.items)

        batch, placed, bad = look(self.repository, plan, catalog=self.catalog)
        self._refuse([*batch.bad, *bad])
        unfit = {one.file for one in (*batch.bad, *bad)}
        self.skipped += batch.skipped
        wanted = [item for item in batch.items if item.observation.file in placed]
        if self.dry_run:
            self._count(len(wanted), batch)
            return
        if not wanted and not batch.updates:
            return

        def work(session: Session) -> int:
            # As the universe is now: a migration can have come between.
            fit = [item for item in items if item.observation.file not in unfit]
            again = plan_batch(session, fit, self.options.existing)
            if not {i.observation.file for i in wanted} <= {i.observation.file for i in again.items}:
                message = "Cannot ingest the files: somebody else is ingesting the same ones."
                raise RegistryStateError(message, hint="Run the same command again.")
            for element, rows in again.records.items():
                apply_records(session, plan_records(session, element, rows, on_conflict="skip"))
            updated = 0
            for element, row in again.updates:
                updated += apply_records(session, plan_records(session, element, [row], on_conflict="replace")).replaced
            self._insert(session, wanted, placed)
            return updated

        with self.store.placing(self.transfer, list(placed.values())):
            updated = change(self.repository, f"ingest {len(wanted)} raw files", work, catalog=self.catalog)
        self._count(len(wanted), batch)
        self.updated += updated

    def _count(self, datasets: int, batch: Batch) -> None:
        self.datasets += datasets
        # The files of an exposure can be in several batches.
        self.exposures |= {(r["instrument"], r["id"]) for e in ("exposure", "visit") for r in batch.records.get(e, ())}

    def _insert(self, session: Session, items: Sequence[Item], placed: Mapping[str, Placed]) -> None:
        """Insert datasets, and what the datastore keeps of their files."""
        groups: dict[tuple[str, str], list[Item]] = {}
        for item in items:
            groups.setdefault((item.definition.name, item.run), []).append(item)
        for (_, run), group in groups.items():
            raw = group[0].raw
            collection = ensure_collection(session, run, CollectionType.RUN)
            dataset_type = ensure_dataset_type(session, raw.dataset_type, raw.dimensions, raw.storage_class)
            rows = [item.data_id for item in group]
            ids = insert_datasets(session, dataset_type, collection, rows, ids=id_mode(session))
            store_records(
                session,
                [
                    {
                        "dataset_id": dataset_id,
                        "path": placed[item.observation.file].path,
                        "formatter": raw.formatter,
                        "storage_class": raw.storage_class,
                        "file_size": item.observation.size,
                    }
                    for dataset_id, item in zip(ids, group, strict=True)
                ],
            )

    # -- files

    def _places(self, session: Session, items: Sequence[Item]) -> tuple[dict[str, Placed], list[BadFile]]:
        """Return where the files go; a file with several detectors goes where the first of them would."""
        paths: dict[str, str] = {}
        for item in items:
            if item.observation.file not in paths:
                paths[item.observation.file] = path_of(session, item, self.templates)
        stay = self.transfer in (Transfer.DIRECT, Transfer.IN_PLACE)
        taken = set() if stay else self.store.taken(paths.values())
        placed: dict[str, Placed] = {}
        bad: list[BadFile] = []
        targets: dict[str, str] = {}
        for source, path in paths.items():
            try:
                found = self.store.place_of(self.transfer, source, path, taken=path in taken)
            except RegistryStateError as error:
                bad.append(BadFile(source, error.message))
                continue
            other = targets.setdefault(found.path, source)
            if other != source:
                bad.append(BadFile(source, f"It would go to the same place as {other}."))
                continue
            placed[source] = found
        return placed, bad
