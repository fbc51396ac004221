"""Observations from the headers of raw files, by astro_metadata_translator (extra ``ingest``), read in parallel.

How a translated header becomes an exposure record follows what lsst/obs_base does (python/lsst/obs/base/_instrument.py
and ingest.py): positions are ICRS, the angle on the sky counts only where the translator says that it is one, and an
observation that ends before it begins ends where it begins.
"""

from __future__ import annotations

import importlib
import json
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from registrytool.errors import ConfigurationError
from registrytool.maintain.timespans import Timespan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: What a header must say.
REQUIRED = frozenset(
    {
        "datetime_begin", "datetime_end", "detector_num", "exposure_group", "exposure_id", "exposure_time",
        "instrument", "observation_id", "observing_day", "physical_filter",
    }
)  # fmt: skip
#: What else records hold.
OPTIONAL = frozenset(
    {
        "altaz_begin", "boresight_rotation_angle", "boresight_rotation_coord", "can_see_sky", "dark_time",
        "group_counter_end", "group_counter_start", "has_simulated_content", "object", "observation_counter",
        "observation_reason", "observation_type", "observing_day_offset", "science_program", "tracking_radec",
        "visit_id",
    }
)  # fmt: skip
#: How many files one process is given at once.
_CHUNK = 25
#: Names of index files.
_INDEX = ("_index.json",)
_JD_1970 = 2440587.5
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Observation:
    """What the header of one detector says.

    Attributes
    ----------
    file : `str`
        The file.
    instrument : `str`
        Name of the instrument.
    exposure, detector : `int`
        Numbers.
    obs_id, physical_filter, group : `str`
        As the header has them.
    visit_id : `int` or `None`
        Number of the group.
    day_obs : `int`
        Day of observation, YYYYMMDD.
    day_obs_offset_s : `int` or `None`
        When that day begins, in seconds after 0 h TAI.
    timespan : `Timespan`
        When it was taken.
    fields : `tuple` [`tuple` [`str`, object], ...]
        All other fields of the exposure record that universes know: names and values.
    """

    file: str
    instrument: str
    exposure: int
    detector: int
    obs_id: str
    physical_filter: str
    group: str
    visit_id: int | None
    day_obs: int
    day_obs_offset_s: int | None
    timespan: Timespan
    fields: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be ingested.

    Attributes
    ----------
    file : `str`
        The file.
    reason : `str`
        Why, as a sentence.
    """

    file: str
    reason: str


def require_translators(wanted: str = "read headers") -> None:
    """Check that astro_metadata_translator is installed.

    Raises
    ------
    ConfigurationError
        It is not.
    """
    try:
        importlib.import_module("astro_metadata_translator")
    except ImportError as error:
        message = f"Cannot {wanted}: that needs the package astro_metadata_translator, which is not installed."
        raise ConfigurationError(message, hint="Install it with 'pip install registrytool[ingest]'.") from error


def load_translator(name: str | None) -> Any:
    """Return the class that translates headers.

    Parameters
    ----------
    name : `str` or `None`
        Full name of the class; `None` leaves the choice to each header.

    Raises
    ------
    ConfigurationError
        There is no such class.
    """
    if name is None:
        return None
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None) if module else None
        if found is None:
            # The package does not export all of its translators.
            registered = importlib.import_module("astro_metadata_translator").MetadataTranslator.translators
            found = next((t for t in registered.values() if t.__name__ == attribute), None)
    except ImportError:
        found = None
    if found is None:
        message = f"There is no header translator {name}."
        hint = "Install the package that has it, or ingest from index files with translated content."
        raise ConfigurationError(message, hint=hint)
    return found


def find_files(places: Iterable[str | Path], pattern: str = r".*\.fits?(\.fz|\.gz)?") -> list[str]:
    """Return the files in some places.

    Parameters
    ----------
    places : `~collections.abc.Iterable` [`str` or `~pathlib.Path`]
        Files, which are taken as they are, and folders, which are searched for files.
    pattern : `str`, optional
        Regular expression for the whole name of a file in a folder.

    Returns
    -------
    files : `list` [`str`]
        Absolute paths, each once, those of a folder in order.

    Raises
    ------
    ConfigurationError
        A place does not exist, or the pattern is malformed.
    """
    import re

    try:
        wanted = re.compile(pattern)
    except re.error as error:
        message = f"{pattern!r} is not a regular expression: {error}."
        raise ConfigurationError(message) from error
    found: dict[str, None] = {}
    for place in map(Path, places):
        if place.is_dir():
            for folder, folders, names in os.walk(place):
                folders.sort()
                found |= {os.path.abspath(os.path.join(folder, n)): None for n in sorted(names) if wanted.fullmatch(n)}  # noqa: PTH100, PTH118 (fast)
        elif place.exists():
            found[os.path.abspath(place)] = None  # noqa: PTH100 (links stay links)
        else:
            message = f"There is no file or folder {place}."
            raise ConfigurationError(message)
    return list(found)


def read_headers(
    files: Sequence[str], translator: str | None = None, *, processes: int | None = None
) -> Iterator[list[Observation] | BadFile]:
    """Read the headers of files, in parallel.

    Parameters
    ----------
    files : `~collections.abc.Sequence` [`str`]
        FITS files, and index files of astro_metadata_translator (``_index.json``).
    translator : `str`, optional
        Full name of the class that translates headers.
    processes : `int`, optional
        How many processes; by default one for each processor.

    Yields
    ------
    found : `list` [`Observation`] or `BadFile`
        For each file in the order of ``files``, and for each file of an index, what its headers say, one for each
        detector.

    Raises
    ------
    ConfigurationError
        A package is not installed, or there is no such translator.
    """
    require_translators()
    if any(not file.endswith(_INDEX) for file in files):
        # Translated content of an index needs none.
        load_translator(translator)
    number = min(processes or len(os.sched_getaffinity(0)), max(1, len(files) // _CHUNK))
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    if number <= 1:
        for chunk in chunks:
            yield from _read_chunk(chunk, translator)
        return
    import multiprocessing

    # Not by fork: the process may have threads, and open connections.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["astro_metadata_translator", "astropy.io.fits", __name__])
    with ProcessPoolExecutor(number, mp_context=context) as pool:
        waiting = iter(chunks)
        # A few chunks ahead, so that results of many files do not pile up.
        pending = [pool.submit(_read_chunk, chunk, translator) for chunk in islice(waiting, number * 4)]
        try:
            while pending:
                result = pending.pop(0).result()
                pending += [pool.submit(_read_chunk, chunk, translator) for chunk in islice(waiting, 1)]
                yield from result
        finally:
            for future in pending:
                future.cancel()


def _read_chunk(files: Sequence[str], translator: str | None) -> list[list[Observation] | BadFile]:
    import logging

    # What it could not find in a header that need not be there, it tells nobody.
    logging.getLogger("astro_metadata_translator").setLevel(logging.CRITICAL)
    try:
        chosen = load_translator(translator)
    except ConfigurationError:
        chosen = None
    result: list[list[Observation] | BadFile] = []
    for file in files:
        if file.endswith(_INDEX):
            result += _read_index(file, chosen)
        else:
            result.append(_read_file(file, chosen))
    return result


def _read_file(file: str, translator: Any) -> list[Observation] | BadFile:
    from astro_metadata_translator import MetadataTranslator

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            primary = _primary(file)
            # As a URI, in which no character of a path means anything else.
            uri = f"file://{quote(file)}"
            kind = translator or MetadataTranslator.determine_translator(primary, filename=uri)
            headers = list(kind.determine_translatable_headers(uri, primary))
            cut = next((str(w.message) for w in caught if "truncated" in str(w.message)), None)
            if cut is not None:
                return BadFile(file, f"The file is cut off: {_sentence(cut)}.")
            found = [_observation(file, h, kind) for h in headers]
    except Exception as error:  # noqa: BLE001 (headers can be wrong in any way, and translators fail in any way)
        return BadFile(file, f"Its header cannot be read: {_reason(error)}.")
    return found or BadFile(file, "It has no header of a detector.")


def _primary(file: str) -> Any:
    """Return the first header, merged with the second where the first has no data."""
    from astro_metadata_translator import merge_headers
    from astropy.io import fits

    with fits.open(file, memmap=True, lazy_load_hdus=True) as hdus:
        primary = hdus[0].header
        if primary.get("NAXIS", 0) == 0 and len(hdus) > 1:
            return merge_headers([primary, hdus[1].header], mode="overwrite")
        return primary


def _read_index(file: str, translator: Any) -> list[list[Observation] | BadFile]:
    """Return what an index says of each of its files."""
    from astro_metadata_translator import ObservationInfo
    from astro_metadata_translator.indexing import read_index

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            index = read_index(file, force_dict=True)
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        return [BadFile(file, f"It is not an index of astro_metadata_translator: {_reason(error)}.")]
    result: list[list[Observation] | BadFile] = []
    for name, content in index.items():
        path = str(Path(file).parent / name)
        try:
            if not Path(path).exists():
                result.append(BadFile(path, f"The index {file} names it, and it does not exist."))
            elif isinstance(content, ObservationInfo):
                result.append([_from_info(path, content)])
            else:
                result.append([_observation(path, content, translator)])
        except Exception as error:  # noqa: BLE001 (as in _read_file)
            result.append(BadFile(path, f"What the index {file} says of it is of no use: {_reason(error)}."))
    return result


def _observation(file: str, header: Any, translator: Any) -> Observation:
    from astro_metadata_translator import ObservationInfo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        info = ObservationInfo(
            header,
            filename=f"file://{quote(file)}",
            translator_class=translator,
            pedantic=False,
            required=set(REQUIRED),
            subset=set(REQUIRED | OPTIONAL),
            quiet=True,
        )
        return _from_info(file, info)


def _from_info(file: str, info: Any) -> Observation:
    missing = sorted(name for name in REQUIRED if getattr(info, name) is None)
    if missing:
        message = f"it says nothing about {', '.join(missing)}"
        raise ValueError(message)
    begin, end = to_tai_ns(info.datetime_begin), to_tai_ns(info.datetime_end)
    ra = dec = sky_angle = None
    if info.tracking_radec is not None:
        icrs = info.tracking_radec.icrs
        ra, dec = float(icrs.ra.deg), float(icrs.dec.deg)
        if info.boresight_rotation_coord == "sky" and info.boresight_rotation_angle is not None:
            sky_angle = float(info.boresight_rotation_angle.deg)
    altaz = info.altaz_begin
    fields = {
        "exposure_time": float(info.exposure_time.to_value("s")),
        "dark_time": None if info.dark_time is None else float(info.dark_time.to_value("s")),
        "observation_type": info.observation_type,
        "observation_reason": info.observation_reason,
        "seq_num": info.observation_counter,
        "seq_start": info.group_counter_start,
        "seq_end": info.group_counter_end,
        "target_name": info.object,
        "science_program": info.science_program,
        "tracking_ra": ra,
        "tracking_dec": dec,
        "sky_angle": sky_angle,
        "azimuth": None if altaz is None else float(altaz.az.deg),
        "zenith_angle": None if altaz is None else float(altaz.zen.deg),
        "has_simulated": info.has_simulated_content,
        "can_see_sky": info.can_see_sky,
    }
    offset = info.observing_day_offset
    return Observation(
        file=file,
        instrument=info.instrument,
        exposure=info.exposure_id,
        detector=info.detector_num,
        obs_id=info.observation_id,
        physical_filter=info.physical_filter,
        group=info.exposure_group,
        visit_id=info.visit_id,
        day_obs=info.observing_day,
        day_obs_offset_s=None if offset is None else round(offset.to_value("s")),
        timespan=Timespan.of(begin, max(begin, end)),
        fields=tuple(fields.items()),
    )


def to_tai_ns(time: Any) -> int:
    """Return TAI nanoseconds since 1970 for an `astropy.time.Time`, exact as its two parts are."""
    tai = time.tai
    days, rest = divmod(float(tai.jd1) - _JD_1970, 1.0)
    return int(days) * _DAY_NS + round((rest + float(tai.jd2)) * _DAY_NS)


def with_file(observation: Observation, file: str) -> Observation:
    """Return an observation of another file."""
    return replace(observation, file=file)


def _reason(error: BaseException) -> str:
    # What the translator could not find is the cause of what it says.
    found = error.__cause__ if isinstance(error.__cause__, (KeyError, ValueError)) else error
    text = str(found.args[0]) if isinstance(found, KeyError) and found.args else str(found)
    return _sentence(text) or type(found).__name__


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")[:300]
