"""Headers of raw files, translated by astro_metadata_translator (extra ``ingest``), read in parallel.

Where a file has a sidecar, or an index names it, that counts instead of its header: what astro_metadata_translator
wrote there is a header, or one that is translated already, and needs no translator.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import warnings
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError
from registrytool.interrupts import Deaf

from .fits_headers import CutOffError, NotFitsError, read_primary
from .observation import BadFile, MissingPropertyError, Observation, from_info, translate
from .sources import Source, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How many files one process is given at once, and how many such parts are ahead of what is asked for.
_CHUNK, _AHEAD = 25, 40
#: Names of index files.
_INDEX = ("_index.json",)
#: Keys of index files and sidecars.
_COMMON, _CONTENT = "__COMMON__", "__CONTENT__"
_KEYWORD = re.compile(r"[A-Z0-9_ -]+")
_SUFFIX = re.compile(r"\.fits?(\.fz|\.gz|\.bz2)?$")


class _HeaderError(Exception):
    """A header is of no use; the text is a sentence without its period."""


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


def read_headers(
    files: Sequence[str], translator: str | None = None, *, processes: int | None = None
) -> Iterator[list[Observation] | BadFile]:
    """Read the headers of files, in parallel.

    Parameters
    ----------
    files : `~collections.abc.Sequence` [`str`]
        Absolute paths or URIs of FITS files, and of index files of astro_metadata_translator (``_index.json``).
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
    from multiprocessing import resource_tracker

    # Not by fork: the process may have threads, and open connections.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["astro_metadata_translator", "astropy.io.fits", __name__])
    # Otherwise it is started with the first worker, and lets this process hear Ctrl-C at once.
    resource_tracker.ensure_running()
    with ProcessPoolExecutor(number, mp_context=context) as pool:

        def submit(chunk: Sequence[str]) -> Future[list[list[Observation] | BadFile]]:
            # Starts a worker as long as there are too few, and for the first one the server that makes them.
            with Deaf():
                return pool.submit(_read_chunk, chunk, translator)

        waiting = iter(chunks)
        # So far ahead that there is work while a batch is ingested, and that results do not pile up.
        pending = [submit(chunk) for chunk in islice(waiting, _AHEAD)]
        try:
            while pending:
                result = pending.pop(0).result()
                pending += [submit(chunk) for chunk in islice(waiting, 1)]
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
            result += _read_index(Source(file), chosen)
        else:
            result.append(_read_file(Source(file), chosen))
    return result


def _read_file(source: Source, translator: Any) -> list[Observation] | BadFile:
    file, size = source.name, 0
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            size = source.size()
            sidecar = None if _looks_itself(translator) else _read_sidecar(source)
            if sidecar is not None:
                return [_from_content(source, size, sidecar, translator)]
            found = [translate(source, size, header, kind) for kind, header in _headers(source, size, translator)]
        # Of files that are compressed as a whole.
        cut = next((str(w.message) for w in caught if "truncated" in str(w.message)), None)
        if cut is not None:
            return BadFile(file, f"The file is cut off: {_sentence(cut)}.")
    except CutOffError as error:
        return BadFile(file, f"The file is cut off: {error}.")
    except NotFitsError:
        return BadFile(file, "It is not a FITS file." if size else "It is empty.")
    except FileNotFoundError:
        return BadFile(file, "It does not exist.")
    except PermissionError as error:
        return BadFile(file, f"It cannot be read: {reason_of(error)}.")
    except IsADirectoryError:
        return BadFile(file, "It is a folder that cannot be searched.")
    except _HeaderError as error:
        return BadFile(file, f"{error}.")
    except Exception as error:  # noqa: BLE001 (headers can be wrong in any way, and translators fail in any way)
        return BadFile(file, f"{_explanation(error)}.")
    return found or BadFile(file, "It has no header of a detector.")


def _headers(source: Source, size: int, translator: Any) -> list[tuple[Any, Any]]:
    """Return the header of each detector, and the translator for it."""
    with source.opened() as stream:
        primary: Any = read_primary(stream, size)
    if primary is None:
        primary = _astropy_primary(source)
    kind = _choose(translator, primary, source.uri)
    if _looks_itself(kind):
        # It adds to each header what astropy has read.
        return [(kind, h) for h in kind.determine_translatable_headers(source.uri, _astropy_primary(source))]
    return [(kind, primary)]


def _choose(translator: Any, header: Any, uri: str) -> Any:
    """Return the translator for a header, and refuse one that is meant for another."""
    from astro_metadata_translator import MetadataTranslator

    if translator is not None and translator.can_translate(header, filename=uri):
        return translator
    try:
        found = MetadataTranslator.determine_translator(header, filename=uri)
    except ValueError:
        if translator is not None:
            return translator
        names = ", ".join(sorted(MetadataTranslator.translators))
        message = f"No installed translator knows its header ({names}); an index with translated headers needs none"
        raise _HeaderError(message) from None
    if translator is not None and found is not translator:
        message = f"Its header is one for {found.name}, not for {translator.name}"
        raise _HeaderError(message)
    return found


def _looks_itself(translator: Any) -> bool:
    """Return whether a translator looks for the headers of the detectors of a file itself."""
    from astro_metadata_translator import MetadataTranslator

    name = "determine_translatable_headers"
    usual = getattr(MetadataTranslator, name).__func__
    return translator is not None and getattr(translator, name).__func__ is not usual


def _astropy_primary(source: Source) -> Any:
    """Return the first header, merged with the second where the first has no data."""
    from astro_metadata_translator import merge_headers
    from astropy.io import fits

    with source.as_local() as file, fits.open(file, memmap=True, lazy_load_hdus=True) as hdus:
        primary = hdus[0].header
        if primary.get("NAXIS", 0) == 0 and len(hdus) > 1:
            return merge_headers([primary, hdus[1].header], mode="overwrite")
        return primary


def _read_sidecar(source: Source) -> dict[str, Any] | None:
    """Return what stands in the file of the same name with the suffix ``.json``, `None` if there is none."""
    stem = _SUFFIX.sub("", source.name)
    sidecar = Source(f"{stem}.json")
    if stem == source.name or not sidecar.exists():
        return None
    try:
        return _read_json(sidecar)
    except (ValueError, TypeError) as error:
        message = f"Its sidecar {sidecar.name} is none of astro_metadata_translator: {_reason(error)}"
        raise _HeaderError(message) from None


def _read_json(source: Source) -> dict[str, Any]:
    with source.opened() as stream:
        content = json.load(stream)
    if not isinstance(content, dict):
        message = "it holds no mapping"
        raise TypeError(message)
    return content


def _from_content(source: Source, size: int, content: dict[str, Any], translator: Any) -> Observation:
    """Return what a header of an index or sidecar says, be it translated or not."""
    from astro_metadata_translator import ObservationInfo

    content = dict(content)
    mode = content.pop(_CONTENT, None)
    if mode == "translated" or (mode is None and {"observation_id", "instrument"} <= content.keys()):
        # The package knows the properties of a camera of its own only where the translator is installed.
        own = {name[4:]: content.pop(name) for name in list(content) if name.startswith("ext_")}
        return from_info(source, size, ObservationInfo.from_simple(content), own)
    return translate(source, size, content, translator)


def _read_index(index: Source, translator: Any) -> list[list[Observation] | BadFile]:
    """Return what an index says of each of its files."""
    try:
        content = _read_json(index)
        common = content.pop(_COMMON)
        mode = content.pop(_CONTENT, "metadata")
    except Exception as error:  # noqa: BLE001 (as in _read_file)
        return [BadFile(index.name, f"It is not an index of astro_metadata_translator: {_reason(error)}.")]
    result: list[list[Observation] | BadFile] = []
    for name, found in content.items():
        source = index.sibling(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                whole = {**found, **common, _CONTENT: mode}
                result.append([_from_content(source, source.size(), whole, translator)])
        except FileNotFoundError:
            result.append(BadFile(source.name, f"The index {index.name} names it, and it does not exist."))
        except Exception as error:  # noqa: BLE001 (as in _read_file)
            reason = f"What the index {index.name} says of it is of no use: {_reason(error)}."
            result.append(BadFile(source.name, reason))
    return result


def _explanation(error: BaseException) -> str:
    """Return what is wrong with a header, as the beginning of a sentence."""
    cause = error.__cause__
    if not isinstance(error, MissingPropertyError) or cause is None:
        return f"Its header cannot be read: {_reason(error)}"
    if isinstance(cause, KeyError) and cause.args and _KEYWORD.fullmatch(str(cause.args[0])):
        return f"Its header has no {cause.args[0]}, which {error} is taken from"
    return f"Its header does not give {error}: {_reason(cause)}"


def _reason(error: BaseException) -> str:
    # What the translator could not find is the cause of what it says.
    found = error.__cause__ if isinstance(error.__cause__, (KeyError, ValueError)) else error
    text = str(found.args[0]) if isinstance(found, KeyError) and found.args else str(found)
    return _sentence(text) or type(found).__name__


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")[:300]
