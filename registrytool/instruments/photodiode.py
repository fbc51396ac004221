"""Readings of photodiodes on test stands, matched with exposures and ingested.

Files are matched by the observation in their name (``MC_C_20250101_000012``), by day and number of the sequence in
their name (``Photodiode_Readings_20250101_000012.txt``), or by the same in a FITS header.  Two columns of text become
the FITS table that the calibration classes of lsst/ip_isr (python/lsst/ip/isr/photodiode.py) read; FITS files stay as
they are.  Dataset type and run are those of lsst/obs_lsst (python/lsst/obs/lsst/photodiode.py).
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.maintain.collections import CollectionType, ensure_collection, find_collection
from registrytool.maintain.dataset_types import ensure_dataset_type, find_same
from registrytool.maintain.datasets import insert_datasets
from registrytool.maintain.datastore import store_records
from registrytool.maintain.session import change, look
from registrytool.models import to_plain

from .observation import BadFile
from .placement import Placed, Transfer
from .stores import file_templates, id_mode, store_of
from .templates import choose_template, format_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.repository import Repository

DATASET_TYPE, STORAGE_CLASS, DIMENSIONS = "photodiode", "IsrCalib", ("instrument", "exposure")
FORMATTER = "lsst.obs.base.formatters.fitsGeneric.FitsGenericFormatter"
#: Names of files in folders.
PATTERN = r".*[Pp]hotodiode.*\.(txt|csv|dat|fits?)"
_OBS_ID = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}_[A-Z]_\d{8}_\d{6}(?!\d)")
_DAY_SEQ = re.compile(r"(?<!\d)(\d{8})_(\d{1,6})(?!\d)")


@dataclass(frozen=True, slots=True)
class PhotodiodeReport:
    """What became of readings of photodiodes.

    Attributes
    ----------
    datasets : `int`
        Number of new datasets.
    skipped : `int`
        Number of files of which the exposure has a reading already.
    unmatched : `tuple` [`BadFile`, ...]
        Files that belong to no exposure, or that cannot be read.
    """

    datasets: int
    skipped: int
    unmatched: tuple[BadFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


@dataclass(frozen=True, slots=True)
class _Match:
    file: str
    exposure: int
    path: str


def ingest_photodiode(
    repository: Repository,
    instrument: str,
    files: Sequence[str],
    *,
    run: str | None = None,
    transfer: Transfer = Transfer.COPY,
    dry_run: bool = False,
    catalog: Catalog | None = None,
) -> PhotodiodeReport:
    """Ingest readings of photodiodes, in one transaction.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    instrument : `str`
        Name of the instrument.
    files : `~collections.abc.Sequence` [`str`]
        Absolute paths.
    run : `str`, optional
        Run; by default ``<instrument>/calib/photodiode``.
    transfer : `Transfer`, optional
        How FITS files get to their place; text is written anew.
    dry_run : `bool`, optional
        Only say what would be done.
    catalog : `Catalog`, optional
        The content.

    Returns
    -------
    report : `PhotodiodeReport`
        What was done, and which files belong to no exposure.

    Raises
    ------
    ConfigurationError
        A package is not installed that the datastore needs, or astropy.
    RegistryStateError
        The universe has no exposures, or the dataset type exists with another definition.
    """
    run = run or f"{instrument}/calib/photodiode"

    def matched(session: Session) -> tuple[list[BadFile], list[_Match], int]:
        bad: list[BadFile] = []
        return bad, *_matches(session, repository, instrument, files, run, bad)

    store = look(repository, store_of, catalog=catalog)
    unmatched, matches, skipped = look(repository, matched, catalog=catalog)
    if not dry_run:
        # Also where there is nothing to do: a run that was killed after its commit has left its journal.
        store.recover()
    if dry_run or not matches:
        return PhotodiodeReport(len(matches), skipped, tuple(unmatched))

    taken = store.taken(match.path for match in matches)
    with tempfile.TemporaryDirectory() as folder:
        placed: dict[int, Placed] = {}
        sizes: dict[int, int] = {}
        converted = False
        for match in matches:
            source = match.file
            if not _is_fits(source):
                source, converted = str(Path(folder) / f"{match.exposure}.fits"), True
                try:
                    convert(match.file, source, instrument)
                except ValueError as error:
                    unmatched.append(BadFile(match.file, f"It has not two columns of numbers: {error}."))
                    continue
            try:
                way = Transfer.COPY if source != match.file else store.resolve(transfer, [source])
                placed[match.exposure] = store.place_of(way, source, match.path, taken=match.path in taken)
            except RegistryStateError as error:
                unmatched.append(BadFile(match.file, error.message))
                continue
            sizes[match.exposure] = os.stat(source).st_size  # noqa: PTH116 (fast)
        way = Transfer.COPY if converted else store.resolve(transfer, [m.file for m in matches])
        if not placed:
            return PhotodiodeReport(0, skipped, tuple(unmatched))

        def work(session: Session) -> None:
            collection = ensure_collection(session, run, CollectionType.RUN)
            dataset_type = ensure_dataset_type(session, DATASET_TYPE, DIMENSIONS, STORAGE_CLASS)
            rows = [{"instrument": instrument, "exposure": exposure} for exposure in placed]
            ids = insert_datasets(session, dataset_type, collection, rows, ids=id_mode(session))
            records = [
                {
                    "dataset_id": dataset_id,
                    "path": file.path,
                    "formatter": FORMATTER,
                    "storage_class": STORAGE_CLASS,
                    "file_size": sizes[exposure],
                }
                for dataset_id, (exposure, file) in zip(ids, placed.items(), strict=True)
            ]
            store_records(session, records)

        with store.placing(way, list(placed.values())):
            change(repository, f"ingest {len(placed)} readings of photodiodes", work, catalog=catalog)
    return PhotodiodeReport(len(placed), skipped, tuple(unmatched))


def _matches(
    session: Session,
    repository: Repository,
    instrument: str,
    files: Sequence[str],
    run: str,
    unmatched: list[BadFile],
) -> tuple[list[_Match], int]:
    """Return the exposures of files, and how many files are passed over since their exposures have readings."""
    table = session.table("exposure")
    taken = _taken(session, instrument, run)
    template = choose_template(
        file_templates(repository), DATASET_TYPE, STORAGE_CLASS, [*DIMENSIONS, *session.universe["exposure"].implied]
    )
    filters = session.table("physical_filter")
    matches: dict[int, _Match] = {}
    skipped = 0
    for file in files:
        try:
            condition, what = _condition(file, table)
        except ValueError as error:
            unmatched.append(BadFile(file, str(error)))
            continue
        rows = session.rows(
            sa.select(table, filters.c.band)
            .select_from(
                table.join(
                    filters,
                    sa.and_(filters.c.instrument == table.c.instrument, filters.c.name == table.c.physical_filter),
                )
            )
            .where(table.c.instrument == instrument, condition)
        )
        if len(rows) != 1:
            found = "no exposure" if not rows else f"{len(rows)} exposures"
            unmatched.append(BadFile(file, f"There is {found} of {instrument} with {what}."))
            continue
        row = rows[0]._mapping  # noqa: SLF001 (public in SQLAlchemy)
        number = row["id"]
        if number in taken:
            skipped += 1
        elif number in matches:
            unmatched.append(BadFile(file, f"It belongs to the same exposure as {matches[number].file}."))
        else:
            values = {
                "run": run,
                "datasetType": DATASET_TYPE,
                "instrument": instrument,
                "exposure": number,
                "exposure.obs_id": row["obs_id"],
                "exposure.day_obs": row["day_obs"],
                "day_obs": row["day_obs"],
                "physical_filter": row["physical_filter"],
                "band": row["band"],
            }
            matches[number] = _Match(file, number, f"{format_template(template, values)}.fits")
    return list(matches.values()), skipped


def _taken(session: Session, instrument: str, run: str) -> set[int]:
    """Return the exposures that have a reading."""
    collection = find_collection(session, run)
    dataset_type = find_same(session, DATASET_TYPE, DIMENSIONS, STORAGE_CLASS, is_calibration=False)
    if collection is None or dataset_type is None:
        return set()
    tags = session.table(dataset_type.tags_table)
    query = sa.select(tags.c.exposure).where(
        tags.c.dataset_type_id == dataset_type.id,
        tags.c[session.collection_column] == collection.key,
        tags.c.instrument == instrument,
    )
    return set(session.connection.scalars(query))


def _condition(file: str, table: sa.Table) -> tuple[sa.ColumnElement[bool], str]:
    """Return the condition for the exposure of a file, and the same in words.

    Raises
    ------
    ValueError
        Nothing says which exposure it is; the message is a sentence.
    """
    name = Path(file).name
    found = _OBS_ID.search(name)
    if found is not None:
        return table.c.obs_id == found[0], f"the observation {found[0]}"
    numbers = _DAY_SEQ.search(name)
    if numbers is not None:
        day, seq = int(numbers[1]), int(numbers[2])
    elif _is_fits(file):
        header = _header(file)
        if header.get("OBSID"):
            return table.c.obs_id == str(header["OBSID"]), f"the observation {header['OBSID']}"
        try:
            day = int(header.get("DAYOBS", header.get("DAY_OBS", "")))
            seq = int(header.get("SEQNUM", header.get("SEQ_NUM", "")))
        except (TypeError, ValueError):
            message = "Neither its name nor its header says to which exposure it belongs."
            raise ValueError(message) from None
    else:
        message = "Its name does not say to which exposure it belongs."
        raise ValueError(message)
    return sa.and_(table.c.day_obs == day, table.c.seq_num == seq), f"number {seq} of {day}"


def _is_fits(file: str) -> bool:
    return Path(file).suffix.lower() in (".fits", ".fit")


def _header(file: str) -> dict[str, Any]:
    _require_astropy()
    from astropy.io import fits

    try:
        with fits.open(file) as hdus:
            return {k: v for hdu in reversed(hdus) for k, v in hdu.header.items()}
    except (OSError, ValueError) as error:
        message = f"It is not a FITS file: {' '.join(str(error).split()).rstrip('.')}."
        raise ValueError(message) from error


def _require_astropy() -> None:
    try:
        import astropy.io.fits  # noqa: F401 (whether it can be imported)
    except ImportError as error:
        message = "Cannot read readings of photodiodes: that needs the package astropy, which is not installed."
        raise ConfigurationError(message, hint="Install it with 'pip install registrytool[ingest]'.") from error


def convert(source: str, target: str, instrument: str) -> None:
    """Write two columns of text, times in seconds and currents in amperes, as a FITS table.

    Parameters
    ----------
    source, target : `str`
        Paths of the text and of the new file.
    instrument : `str`
        Name of the instrument.

    Raises
    ------
    ConfigurationError
        The package astropy is not installed.
    ValueError
        The text has not two columns of numbers.
    """
    _require_astropy()
    import numpy as np
    from astropy.io import fits

    try:
        with Path(source).open(encoding="utf-8") as stream:
            lines = [line.replace(",", " ").split() for line in stream if line.strip() and not line.startswith("#")]
    except UnicodeDecodeError as error:
        message = "it is not text"
        raise ValueError(message) from error
    if not lines or any(len(line) != 2 for line in lines):
        message = "it has no lines" if not lines else "some lines have more or fewer"
        raise ValueError(message)
    samples = np.array(lines, dtype=float)
    length = f"{len(samples)}D"
    columns = [
        fits.Column(name="TIME", format=length, array=samples[None, :, 0]),
        fits.Column(name="CURRENT", format=length, array=samples[None, :, 1]),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    numbers = _DAY_SEQ.search(Path(source).name)
    table.header["OBSTYPE"] = "PHOTODIODE"
    table.header["INSTRUME"] = instrument
    table.header["CALIBCLS"] = "lsst.ip.isr.PhotodiodeCalib"
    table.header["HIERARCH PHOTODIODE_SCHEMA"] = "Simple Photodiode"
    table.header["HIERARCH PHOTODIODE_SCHEMA_VERSION"] = 1
    table.header["HIERARCH INTEGRATION_METHOD"] = "DIRECT_SUM"
    if numbers is not None:
        table.header["DAY_OBS"], table.header["SEQ_NUM"] = int(numbers[1]), int(numbers[2])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(target)
