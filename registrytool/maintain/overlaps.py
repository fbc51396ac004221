"""Pixels of the sky that a region overlaps, as a registry stores them; needs lsst-sphgeom (extra ``sky``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError, ContentError, RegistryStateError

if TYPE_CHECKING:
    from types import ModuleType

    from registrytool.universe import Universe

#: Classes of pixelizations of universes that do not name one.
_CLASSES = {"htm": "HtmPixelization", "healpix": "HealpixPixelization"}


@dataclass(frozen=True, slots=True)
class CommonSkypix:
    """The pixelization of which a registry stores the overlaps with regions.

    Attributes
    ----------
    system : `str`
        Such as ``htm``.
    level : `int`
        Such as 7.
    class_name : `str`
        Its class in ``lsst.sphgeom``.
    """

    system: str
    level: int
    class_name: str

    @property
    def name(self) -> str:
        """Name of the dimension, such as ``htm7``."""
        return f"{self.system}{self.level}"


def common_skypix(universe: Universe) -> CommonSkypix:
    """Return the common pixelization of a universe.

    Raises
    ------
    ContentError
        The universe does not say which.
    """
    skypix = universe.config.get("skypix") or {}
    match = re.fullmatch(r"(.*?)(\d+)", str(skypix.get("common", "")))
    if match is None or match[1] not in skypix:
        message = f"Universe {universe.namespace} {universe.version} does not say which pixels of the sky it uses."
        raise ContentError(message, hint="skypix.common of the universe must be a system and a level, such as htm7.")
    class_name = str((skypix[match[1]] or {}).get("class") or _CLASSES.get(match[1], match[1]))
    return CommonSkypix(match[1], int(match[2]), class_name.rpartition(".")[2])


def sphgeom(wanted: str) -> ModuleType:
    """Import lsst-sphgeom.

    Parameters
    ----------
    wanted : `str`
        What it is needed for, as the middle of "Cannot {wanted}: ...".

    Raises
    ------
    ConfigurationError
        It is not installed.
    """
    try:
        from lsst import sphgeom as module
    except ImportError as error:
        message = f"Cannot {wanted}: that needs the package lsst-sphgeom, which is not installed."
        raise ConfigurationError(message, hint="Install it with 'pip install registrytool[sky]'.") from error
    return module


def decode_region(region: bytes, wanted: str = "read a region") -> Any:
    """Return the ``lsst.sphgeom.Region`` that some bytes encode.

    Raises
    ------
    RegistryStateError
        They encode none.
    """
    module = sphgeom(wanted)
    try:
        return module.Region.decode(region)
    except (RuntimeError, ValueError, TypeError) as error:
        message = f"Cannot {wanted}: {len(region)} bytes are not the encoding of a region by lsst-sphgeom."
        raise RegistryStateError(message) from error


def pixel_region(universe: Universe, name: str, index: int) -> Any:
    """Return the region of a pixel of the sky.

    Parameters
    ----------
    universe : `Universe`
        The universe.
    name : `str`
        Pixelization and level, such as ``htm7``.
    index : `int`
        Number of the pixel.

    Raises
    ------
    ContentError
        The universe has no such pixels.
    """
    system, level = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    skypix = universe.config.get("skypix") or {}
    if system not in skypix or not level:
        message = f"Universe {universe.namespace} {universe.version} has no pixels {name}."
        raise ContentError(message)
    class_name = str((skypix[system] or {}).get("class") or _CLASSES.get(system, system)).rpartition(".")[2]
    return getattr(sphgeom(f"find pixels of {name}"), class_name)(int(level)).pixel(index)


def overlap_pixels(region: bytes, system: str = "htm", level: int = 7, *, class_name: str | None = None) -> list[int]:
    """Return the pixels of the envelope of a region, as the Butler stores them.

    Parameters
    ----------
    region : `bytes`
        Encoding of a region by lsst-sphgeom.
    system : `str`, optional
        Pixelization, such as ``htm``.
    level : `int`, optional
        Its level.
    class_name : `str`, optional
        Its class in ``lsst.sphgeom``, for a system that is neither ``htm`` nor ``healpix``.

    Returns
    -------
    pixels : `list` [`int`]
        Indices in ascending order.

    Raises
    ------
    ConfigurationError
        The package lsst-sphgeom is not installed.
    RegistryStateError
        The bytes encode no region, or there is no such pixelization.
    """
    wanted = "find the pixels that a region overlaps"
    name = class_name or _CLASSES.get(system, system)
    pixelization = getattr(sphgeom(wanted), name, None)
    if pixelization is None:
        message = f"Cannot {wanted}: the package lsst-sphgeom has no pixelization {name}."
        raise RegistryStateError(message)
    envelope = pixelization(level).envelope(decode_region(region, wanted))
    return [pixel for begin, end in envelope for pixel in range(begin, end)]
