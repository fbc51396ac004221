"""Definitions of instruments: what a file says about a camera, as values; pure.

A definition holds what registers an instrument (maxima, filters, detectors) and what reading its files needs (header
translator, dataset type, run, day of observation).  Nothing of it is kept by this module: filters belong to the
definition that holds them, and two definitions can contradict each other in one process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError, UnknownFilterError
from registrytool.universe import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Version of the shape of the files.
FORMAT_VERSION = 1
#: Visit systems of the format, with the numbers that a registry keeps.
VISIT_SYSTEMS: Mapping[str, int] = MappingProxyType({"one-to-one": 0, "by-group-metadata": 1, "by-seq-start-end": 2})


@dataclass(frozen=True, slots=True)
class Filter:
    """A physical filter of one instrument.

    Attributes
    ----------
    instrument, physical_filter : `str`
        What identifies it: the same name can mean something else in another instrument.
    band : `str`
        Band; several filters can serve one.
    aliases : `tuple` [`str`]
        Other names in headers.
    wavelength_nm : `tuple` [`float`, `float`] or `None`
        Shortest and longest wavelength, in nanometres.
    doc : `str`
        What there is to know.
    """

    instrument: str
    physical_filter: str
    band: str
    aliases: tuple[str, ...] = ()
    wavelength_nm: tuple[float, float] | None = None
    doc: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the filter among those of all instruments."""
        return self.instrument, self.physical_filter

    def record(self) -> dict[str, Any]:
        """Return the row of ``physical_filter``."""
        return {"instrument": self.instrument, "name": self.physical_filter, "band": self.band}


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector of one instrument.

    Attributes
    ----------
    instrument : `str`
        Name of the instrument.
    id : `int`
        Number, below ``detector_max``.
    full_name : `str`
        Name, unique within the instrument.
    name_in_raft, raft, purpose : `str` or `None`
        As the registry keeps them; `None` is NULL.
    corners_mm : `tuple` [`tuple` [`float`, `float`]], shape (4, 2), or `None`
        Corners in the focal plane, in millimetres, in order around the detector.
    columns : `~collections.abc.Mapping` [`str`, object]
        Columns that another universe adds.
    """

    instrument: str
    id: int
    full_name: str
    name_in_raft: str | None = None
    raft: str | None = None
    purpose: str | None = None
    corners_mm: tuple[tuple[float, float], ...] | None = None
    columns: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def record(self) -> dict[str, Any]:
        """Return the row of ``detector``."""
        return {
            "instrument": self.instrument,
            "id": self.id,
            "full_name": self.full_name,
            "name_in_raft": self.name_in_raft,
            "raft": self.raft,
            "purpose": self.purpose,
            **self.columns,
        }


@dataclass(frozen=True, slots=True)
class FocalPlane:
    """How positions in the focal plane become positions on the sky.

    Attributes
    ----------
    plate_scale_arcsec_per_mm : `float`
        Scale on the axis.
    distortion : `tuple` [`float`, ...]
        Coefficients k₁, k₂ … of the field angle s·r·(1 + k₁·r + k₂·r² + …), with r in millimetres and the scale s.
    rotation_deg : `float`
        Added to the angle of the exposure on the sky.
    flip_x : `bool`
        Whether x grows to the east at an angle of 0, not to the west.
    padding_mm : `float`
        By how much regions reach beyond the edges of detectors, for what is not known exactly.
    """

    plate_scale_arcsec_per_mm: float
    distortion: tuple[float, ...] = ()
    rotation_deg: float = 0.0
    flip_x: bool = False
    padding_mm: float = 0.0

    def on_sky(
        self, position_mm: tuple[float, float], ra_deg: float, dec_deg: float, sky_angle_deg: float
    ) -> tuple[float, float, float]:
        """Return where a position in the focal plane lies on the sky.

        Parameters
        ----------
        position_mm : `tuple` [`float`, `float`]
            Position in millimetres from the optical axis.
        ra_deg, dec_deg : `float`
            Where the optical axis points, ICRS, in degrees.
        sky_angle_deg : `float`
            Angle of the focal plane on the sky, as ``exposure.sky_angle``: that of its y axis, from north over east, in
            degrees.

        Returns
        -------
        direction : `tuple` [`float`, `float`, `float`]
            Unit vector, ICRS.
        """
        x, y = position_mm
        if self.flip_x:
            x = -x
        radius = math.hypot(x, y)
        scale = 1.0 + sum(k * radius**n for n, k in enumerate(self.distortion, start=1))
        angle = math.radians(self.plate_scale_arcsec_per_mm * radius * scale / 3600.0)
        # Direction in the focal plane, from north over east, when x points west.
        turn = math.atan2(-x, y) + math.radians(sky_angle_deg + self.rotation_deg)
        north, east, axis = math.cos(turn) * math.sin(angle), math.sin(turn) * math.sin(angle), math.cos(angle)
        ra, dec = math.radians(ra_deg), math.radians(dec_deg)
        out = axis * math.cos(dec) - north * math.sin(dec)
        return (
            out * math.cos(ra) - east * math.sin(ra),
            out * math.sin(ra) + east * math.cos(ra),
            axis * math.sin(dec) + north * math.cos(dec),
        )


@dataclass(frozen=True, slots=True)
class RawDatasets:
    """What raw files become in a repository.

    Attributes
    ----------
    dataset_type : `str`
        Name of the dataset type.
    dimensions : `tuple` [`str`]
        Its dimensions.
    storage_class, formatter : `str`
        How the client reads the files; the full name of the class of the formatter.
    scales : `~collections.abc.Mapping` [`str`, `float`]
        Columns of whole numbers that keep what headers say times such a number, rounded.
    """

    dataset_type: str
    dimensions: tuple[str, ...]
    storage_class: str
    formatter: str
    scales: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class InstrumentDefinition:
    """What a file says about an instrument.

    Attributes
    ----------
    name, class_name : `str`
        Name in registries; full name of the class that the Butler's software has for it.
    visit_max, detector_max : `int`
        Limits of visit and detector numbers, exclusive.
    exposure_max : `int` or `None`
        The same of exposures; `None` where the universe has none.
    namespace : `str`
        Namespace of the universe that the instrument belongs to.
    visit_systems : `tuple` [`str`]
        How exposures become visits.
    default_visit_system : `str` or `None`
        The one that queries use.
    day_obs : `tuple` [`tuple` [`int`, `int`]]
        From which day (YYYYMMDD) on a day of observation begins how many seconds after 0 h TAI; ascending.
    filters : `tuple` [`Filter`]
        In order.
    detectors : `tuple` [`Detector`]
        In the order of their numbers.
    focal_plane : `FocalPlane` or `None`
        How corners of detectors are projected.
    translator : `str` or `None`
        Full name of the class that translates headers.
    raw : `RawDatasets` or `None`
        What raw files become.
    runs : `~collections.abc.Mapping` [`str`, `str`]
        Run names by purpose; ``raw`` is that of raw files.
    records : `~collections.abc.Mapping` [`str`, `tuple` [`~collections.abc.Mapping`]]
        Rows of further elements that another universe needs, by element, before those of detectors.
    warnings : `tuple` [`str`]
        What is odd about the file, but no fault.
    source : `str`
        The file.
    """

    name: str
    class_name: str
    visit_max: int
    detector_max: int
    exposure_max: int | None = None
    namespace: str = DEFAULT_NAMESPACE
    visit_systems: tuple[str, ...] = ()
    default_visit_system: str | None = None
    day_obs: tuple[tuple[int, int], ...] = ()
    filters: tuple[Filter, ...] = ()
    detectors: tuple[Detector, ...] = ()
    focal_plane: FocalPlane | None = None
    translator: str | None = None
    raw: RawDatasets | None = None
    runs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    records: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()
    source: str = ""

    def record(self) -> dict[str, Any]:
        """Return the row of ``instrument``, with the columns of the newest universe."""
        default = self.default_visit_system
        return {
            "name": self.name,
            "visit_max": self.visit_max,
            "visit_system": None if default is None else VISIT_SYSTEMS[default],
            "exposure_max": self.exposure_max,
            "detector_max": self.detector_max,
            "class_name": self.class_name,
        }

    def find_filter(self, name: str) -> Filter:
        """Return the filter that a header means by a name.

        Parameters
        ----------
        name : `str`
            Name of a physical filter, or an alias; the first filter in order that has it counts.

        Raises
        ------
        UnknownFilterError
            No filter of this instrument has the name.
        """
        for found in self.filters:
            if found.physical_filter == name:
                return found
        for found in self.filters:
            if name in found.aliases:
                return found
        raise UnknownFilterError(self.name, name, [f.physical_filter for f in self.filters])

    def band(self, name: str) -> str:
        """Return the band of a physical filter or alias.

        Raises
        ------
        UnknownFilterError
            No filter of this instrument has the name.
        """
        return self.find_filter(name).band

    def detector(self, key: int | str) -> Detector:
        """Return a detector by its number or full name.

        Raises
        ------
        ConfigurationError
            There is none.
        """
        for found in self.detectors:
            if key in (found.id, found.full_name):
                return found
        message = f"The instrument {self.name} has no detector {key}."
        raise ConfigurationError(message, hint=f"'registrytool instrument show {self.name}' lists them.")

    def on_sky(
        self, detector: Detector, ra_deg: float, dec_deg: float, sky_angle_deg: float
    ) -> list[tuple[float, float, float]] | None:
        """Return where the corners of a detector lie on the sky, with the padding.

        Parameters
        ----------
        detector : `Detector`
            The detector.
        ra_deg, dec_deg, sky_angle_deg : `float`
            As for `FocalPlane.on_sky`.

        Returns
        -------
        corners : `list` [`tuple` [`float`, `float`, `float`]], length 4, or `None`
            Unit vectors, ICRS, in order around the detector; `None` if the definition has no corners of it.
        """
        plane, corners = self.focal_plane, detector.corners_mm
        if plane is None or corners is None:
            return None
        padded = []
        for i, here in enumerate(corners):
            x, y = here
            for other in (corners[i - 1], corners[(i + 1) % len(corners)]):
                edge = math.dist(here, other)
                x += plane.padding_mm * (here[0] - other[0]) / edge
                y += plane.padding_mm * (here[1] - other[1]) / edge
            padded.append((x, y))
        return [plane.on_sky(corner, ra_deg, dec_deg, sky_angle_deg) for corner in padded]

    def day_obs_offset_s(self, day: int) -> int | None:
        """Return how many seconds after 0 h TAI a day of observation (YYYYMMDD) begins, `None` if nobody knows."""
        known = [offset for first, offset in self.day_obs if first <= day]
        return known[-1] if known else None
