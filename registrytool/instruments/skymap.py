"""Sky maps: from definitions and export files into a registry, and out again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.errors import ConfigurationError, RegistryStateError
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.overlaps import sphgeom
from registrytool.maintain.record_reading import load_records
from registrytool.maintain.record_values import Shape
from registrytool.maintain.records import RecordPlan, apply_records, insert_records, plan_records
from registrytool.maintain.session import change, look
from registrytool.models import to_plain
from registrytool.progress import NullProgress

from ._nodes import Entry, Faults, read_file
from .removal import Removal, remove_registered
from .skymap_geometry import Cells, SkyMapDefinition, TractCentre

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

#: Where tasks look for the Python object of a sky map.
DATASET_TYPE, STORAGE_CLASS, RUN = "skyMap", "SkyMap", "skymaps"
#: Version of the shape of the files.
FORMAT_VERSION = 1
_FIELDS = (
    "format_version",
    "name",
    "rings",
    "discrete",
    "pixel_scale_arcsec",
    "tract_overlap_deg",
    "rotation_deg",
    "projection",
    "patch_inner_dimensions",
    "patch_border",
    "cells",
)
#: Longest name that a registry holds.
_NAME = 64
#: How many tracts are written at once.
_TRACTS = 20


@dataclass(frozen=True, slots=True)
class SkyMapPlan:
    """What is going to be done with a sky map.

    Attributes
    ----------
    skymap : `str`
        Its name.
    hash : `str`
        Hash of its parameters, hexadecimal.
    tracts, patches : `int`
        Numbers of records.
    exists : `bool`
        Whether it is there already, and nothing is to be done.
    """

    skymap: str
    hash: str
    tracts: int
    patches: int
    exists: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dict(to_plain(self))


# -- definitions --------------------------------------------------------------


def bundled_skymaps() -> list[str]:
    """Return the names of the sky maps that come with registrytool."""
    return sorted((path.stem for path in _bundled().glob("*.yaml")), key=str.casefold)


def load_skymap(name: str | Path) -> SkyMapDefinition:
    """Load the definition of a sky map.

    Parameters
    ----------
    name : `str` or `~pathlib.Path`
        File, or name of a sky map that comes with registrytool.

    Raises
    ------
    ConfigurationError
        There is no such file or sky map.
    DefinitionError
        The file is wrong; all faults are named.
    """
    path = _bundled() / f"{name}.yaml" if str(name) in bundled_skymaps() else Path(name)
    if not path.is_file():
        message = f"There is no file {name}, and no sky map of that name comes with registrytool."
        raise ConfigurationError(message, hint=f"Known sky maps: {', '.join(bundled_skymaps())}.")
    top, faults = read_file(path, _FIELDS)
    version = top.value("format_version", int, required=True)
    if version is not None and version != FORMAT_VERSION:
        top.fault("format_version", f"is {version}, and this version of registrytool reads {FORMAT_VERSION}")
    rings = top.entry("rings", ("num_rings", "ra_start_deg"))
    if (rings is None) == ("discrete" not in top.nodes):
        top.fault("rings", "must be there, or discrete with a list of tracts, and not both")
    projection = top.text("projection", default="TAN")
    if projection != "TAN":
        top.fault("projection", f"is {projection}, and only TAN is known")
    cells = top.entry("cells", ("inner", "border", "per_patch", "in_border"))
    if cells is not None and ("patch_inner_dimensions" in top.nodes or "patch_border" in top.nodes):
        top.fault("cells", "decide the sizes of patches; leave out patch_inner_dimensions and patch_border")
    inner = top.values("patch_inner_dimensions", int) or (4000, 4000)
    if len(inner) != 2 or min(inner) < 1:
        top.fault("patch_inner_dimensions", "must be two numbers of pixels, 1 or more each")
        inner = (4000, 4000)
    scale = top.value("pixel_scale_arcsec", float, required=True, default=1.0)
    if scale <= 0:
        top.fault("pixel_scale_arcsec", f"is {scale:g}, and must be more than 0")
    number = None if rings is None else rings.integer("num_rings", required=True, low=1)
    start = 0.0 if rings is None else rings.value("ra_start_deg", float, default=0.0)
    found = SkyMapDefinition(
        name=top.text("name", required=True, limit=_NAME, default=""),
        num_rings=number,
        ra_start_deg=start,
        tracts=_places(top, faults),
        pixel_scale_arcsec=scale,
        tract_overlap_deg=top.value("tract_overlap_deg", float, required=True, default=0.0),
        rotation_deg=top.value("rotation_deg", float, default=0.0),
        patch_inner_dimensions=(inner[0], inner[1]),
        patch_border=top.integer("patch_border") if "patch_border" in top.nodes else 100,
        cells=None if cells is None else _cells(cells),
    )
    faults.stop()
    return found


def _places(top: Entry, faults: Faults) -> tuple[TractCentre, ...]:
    result = []
    for path, node in top.items("discrete"):
        entry = Entry(node, path, faults, ("ra_deg", "dec_deg", "radius_deg"))
        ra, dec, radius = (entry.value(n, float, required=True) for n in ("ra_deg", "dec_deg", "radius_deg"))
        if dec is not None and not -90 <= dec <= 90:
            entry.fault("dec_deg", f"is {dec:g}, and must lie between -90 and 90")
        if radius is not None and not 0 < radius < 45:
            entry.fault("radius_deg", f"is {radius:g}, and must lie between 0 and 45")
        if None not in (ra, dec, radius):
            result.append(TractCentre(ra, dec, radius))
    if "discrete" in top.nodes and not result:
        top.fault("discrete", "must have at least one tract")
    return tuple(result)


def _cells(entry: Entry) -> Cells:
    default = Cells()
    values = {
        name: entry.integer(name, low=low) if name in entry.nodes else getattr(default, name)
        for name, low in (("inner", 1), ("border", 0), ("per_patch", 1), ("in_border", 0))
    }
    return Cells(**values)


def _bundled() -> Path:
    return Path(__file__).parent / "skymaps"


# -- register -----------------------------------------------------------------


def plan_skymap(session: Session, definition: SkyMapDefinition) -> SkyMapPlan:
    """Say what the registration of a sky map makes.

    Parameters
    ----------
    session : `Session`
        The registry.
    definition : `SkyMapDefinition`
        The sky map.

    Raises
    ------
    RegistryStateError
        Another sky map has the name, or the same one has another; or one is there in part.
    """
    tracts, patches = definition.tract_max, definition.patch_count
    plan = SkyMapPlan(definition.name, definition.hash.hex(), tracts, patches, exists=False)
    return _plan(session, plan, definition.hash)


def _plan(session: Session, plan: SkyMapPlan, digest: bytes) -> SkyMapPlan:
    where = f"The registry of {session.repository.name}"
    if "skymap" not in session.universe:
        message = f"{where} has a universe without sky maps."
        raise RegistryStateError(message)
    for row in load_records(session, "skymap"):
        if row["name"] == plan.skymap and row["hash"] != digest:
            message = f"{where} has another sky map {plan.skymap}, with the hash {row['hash'].hex()}."
            raise RegistryStateError(message, hint="Give the new one another name; a sky map is never changed.")
        if row["name"] != plan.skymap and row["hash"] == digest:
            message = f"{where} has the sky map {plan.skymap} already, under the name {row['name']}."
            raise RegistryStateError(message, hint="Use that name.")
        if row["name"] == plan.skymap:
            found = tuple(_count(session, element, plan.skymap) for element in ("tract", "patch"))
            if found != (plan.tracts, plan.patches):
                message = (
                    f"{where} has the sky map {plan.skymap} with {found[0]} tracts and {found[1]} patches, and it "
                    f"should have {plan.tracts} and {plan.patches}."
                )
                raise RegistryStateError(message, hint="Remove it and register it again.")
            return SkyMapPlan(plan.skymap, plan.hash, plan.tracts, plan.patches, exists=True)
    return plan


def _count(session: Session, element: str, name: str) -> int:
    table = session.table(element)
    return int(session.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.skymap == name)))


def register_skymap(
    repository: Repository,
    definition: SkyMapDefinition,
    *,
    catalog: Catalog | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> SkyMapPlan:
    """Register a sky map with its tracts and patches, in one transaction.

    The dataset type ``skyMap`` and the run ``skymaps`` are made too, but no dataset: that is a Python object of the
    software of sky maps.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    definition : `SkyMapDefinition`
        The sky map.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether nothing is written.
    progress : `Progress`, optional
        Is told how many tracts are done.

    Returns
    -------
    plan : `SkyMapPlan`
        What was done, or would be.

    Raises
    ------
    RegistryStateError
        What `plan_skymap` refuses.
    ConfigurationError
        lsst-sphgeom is not installed.
    """
    wanted = f"register the sky map {definition.name}"
    progress = progress or NullProgress()
    planned = look(repository, lambda session: plan_skymap(session, definition), catalog=catalog)
    if dry_run or planned.exists:
        return planned
    sphgeom(wanted)
    polygon = _polygons()

    def work(session: Session) -> SkyMapPlan:
        plan = plan_skymap(session, definition)
        if plan.exists:
            return plan
        _prepare_dataset(session)
        nx, ny = definition.patch_grid()
        head = {"name": definition.name, "hash": definition.hash, "tract_max": plan.tracts}
        insert_records(session, "skymap", [{**head, "patch_nx_max": nx, "patch_ny_max": ny}])
        batch: list[Any] = []
        for tract in definition.iter_tracts():
            batch.append(tract)
            if len(batch) == _TRACTS or tract.id == plan.tracts - 1:
                tracts = [{"skymap": definition.name, "id": t.id, "region": polygon(t.corners)} for t in batch]
                patches = [
                    {
                        "skymap": definition.name,
                        "tract": t.id,
                        "id": p.id,
                        "cell_x": p.cell_x,
                        "cell_y": p.cell_y,
                        "region": polygon(p.corners),
                    }
                    for t in batch
                    for p in t.patches
                ]
                # None of them can be there, since the sky map is new: nothing has to be looked up.
                apply_records(session, RecordPlan("tract", tuple(tracts), (), 0))
                apply_records(session, RecordPlan("patch", tuple(patches), (), 0))
                batch.clear()
                progress.rows("tract", tract.id + 1, plan.tracts)
        return plan

    return change(repository, wanted, work, catalog=catalog)


def _prepare_dataset(session: Session) -> None:
    """Make what a dataset with the sky map needs, which only its software can write."""
    ensure_dataset_type(session, DATASET_TYPE, ("skymap",), STORAGE_CLASS)
    ensure_collection(session, RUN, CollectionType.RUN)


def _polygons() -> Callable[[Iterable[tuple[float, float, float]]], bytes]:
    from lsst.sphgeom import ConvexPolygon, UnitVector3d

    def encode(corners: Iterable[tuple[float, float, float]]) -> bytes:
        return bytes(ConvexPolygon.convexHull([UnitVector3d(*corner) for corner in corners]).encode())

    return encode


def register_export(
    repository: Repository, path: Path, *, catalog: Catalog | None = None, dry_run: bool = False
) -> list[SkyMapPlan]:
    """Register the sky maps of an export file of the Butler, with the tracts and patches that it has.

    Parameters
    ----------
    repository : `Repository`
        The repository.
    path : `~pathlib.Path`
        The file.
    catalog : `Catalog`, optional
        The content.
    dry_run : `bool`, optional
        Whether nothing is written.

    Returns
    -------
    plans : `list` [`SkyMapPlan`]
        What was done, or would be, for each sky map.

    Raises
    ------
    ConfigurationError
        The file is not an export, or has no sky map.
    RegistryStateError
        The registry has something else under the same name.
    """
    from registrytool.maintain.export_file import read_export

    found = read_export(path).records
    if not found.get("skymap"):
        message = f"The file {path} has no sky map."
        raise ConfigurationError(message, hint="'registrytool record import' reads records of any kind.")

    def plan(session: Session) -> tuple[list[SkyMapPlan], list[RecordPlan]]:
        if "skymap" not in session.universe:
            message = f"The registry of {repository.name} has a universe without sky maps."
            raise RegistryStateError(message)
        promised: dict[str, list[tuple[Any, ...]]] = {}
        plans = []
        for element in ("skymap", "tract", "patch"):
            rows = found.get(element, [])
            plans.append(plan_records(session, element, rows, on_conflict="replace", promised=promised))
            shape = Shape.of(session.universe, element)
            names = [{shape.aliases.get(n, n): v for n, v in row.items()} for row in rows]
            promised[element] = [shape.key_of(row) for row in names]
        for item in plans:
            for changed in item.changes:
                what = f"{item.element} {', '.join(str(k) for k in changed.key)}"
                message = f"The registry of {repository.name} has another {what} than the file {path}."
                raise RegistryStateError(message, hint="A sky map is never changed; remove it, or use another name.")
        new = {row["name"] for row in plans[0].new}
        summary = []
        for row in found["skymap"]:
            name = row["name"]
            tracts, patches = (sum(r["skymap"] == name for r in found.get(e, [])) for e in ("tract", "patch"))
            fresh = name in new or any(r["skymap"] == name for item in plans[1:] for r in item.new)
            summary.append(SkyMapPlan(name, bytes(row["hash"]).hex(), tracts, patches, exists=not fresh))
        return summary, plans

    if dry_run:
        return look(repository, plan, catalog=catalog)[0]

    def work(session: Session) -> list[SkyMapPlan]:
        summary, plans = plan(session)
        if not all(p.exists for p in summary):
            _prepare_dataset(session)
        for item in plans:
            apply_records(session, item)
        return summary

    return change(repository, f"register the sky maps of {path}", work, catalog=catalog)


# -- list and remove ----------------------------------------------------------


def list_skymaps(session: Session) -> list[dict[str, Any]]:
    """Return the sky maps of a registry, with the numbers of their tracts and patches."""
    if "skymap" not in session.universe:
        return []
    return [
        {
            "name": row["name"],
            "hash": row["hash"].hex(),
            "tracts": _count(session, "tract", row["name"]),
            "patches": _count(session, "patch", row["name"]),
        }
        for row in load_records(session, "skymap")
    ]


def remove_skymap(
    repository: Repository,
    name: str,
    *,
    cascade: bool = False,
    preview: bool = False,
    catalog: Catalog | None = None,
    dry_run: bool = False,
) -> Removal:
    """Remove a sky map with its tracts and patches; see `remove_registered`."""
    return remove_registered(
        repository,
        "skymap",
        name,
        lambda _: {"tract", "patch"},
        what="sky map",
        cascade=cascade,
        preview=preview,
        catalog=catalog,
        dry_run=dry_run,
    )
