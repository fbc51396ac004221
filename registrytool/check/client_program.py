"""Make registries with the installed Butler client, in every configuration that it offers.

Run in the Python of the client (``lsst-daf-butler`` 25.2023.600 and newer), from standard input, and never imported by
registrytool: it may use nothing but the standard library and the client.  What to do is told by an environment
variable, since command lines are seen by everybody and a URL may hold a password; it holds a JSON object::

    {"folder": ..., "output": ..., "postgresql": URL or null}

``folder`` gets one repository for each configuration and database; on PostgreSQL each has a namespace.  ``output`` gets
one JSON object in each line: first the client, then each registry as it is made.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import sys
import traceback
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

OBSCORE_CLASS = "lsst.daf.butler.registry.obscore.ObsCoreLiveTableManager"
#: Enough of a configuration for the ObsCore table; it has an extra column and an index.
OBSCORE = {
    "version": 0,
    "collection_type": "RUN",
    "collections": [".*"],
    "obs_collection": "registrytool",
    "facility_name": "registrytool",
    "dataset_types": {
        "raw": {"dataproduct_type": "image", "calib_level": 1, "obs_id_fmt": "{records[exposure].obs_id}"}
    },
    "extra_columns": {"visit_number": {"template": "{visit}", "type": "int"}},
    "indices": {"visit_number": "visit_number"},
}


def full_name(cls: type) -> str:
    """Return the name by which a configuration calls a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def load(name: str) -> Any:
    """Import a class by its full name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def default_managers() -> dict[str, str]:
    """Return the class names that the client uses by default, by component."""
    managers = load("lsst.daf.butler.registry.RegistryConfig")()["managers"]
    return {name: managers[name] if isinstance(managers[name], str) else managers[name, "cls"] for name in managers}


def manager_classes(default: type) -> list[type]:
    """Return all managers of the client that can stand in for one."""
    package = importlib.import_module("lsst.daf.butler.registry")
    interfaces = f"{package.__name__}.interfaces"
    bases = [c for c in default.__mro__ if c.__module__.startswith(interfaces) and c.__name__.endswith("Manager")]
    found = {full_name(default): default}
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda _: None):
        if ".tests" in info.name or ".remote" in info.name:
            continue
        # What lacks an optional dependency cannot be configured either.
        with contextlib.suppress(Exception):
            for cls in vars(importlib.import_module(info.name)).values():
                if inspect.isclass(cls) and issubclass(cls, tuple(bases)) and is_concrete(cls, interfaces):
                    found.setdefault(full_name(cls), cls)
    return list(found.values())


def is_concrete(cls: type, interfaces: str) -> bool:
    """Return whether a class can be configured, and is not what others are derived from."""
    derived = cls.__module__.startswith(interfaces) or cls.__name__.endswith("Base")
    return not derived and not inspect.isabstract(cls)


def versions_of(cls: Any) -> list[str]:
    """Return the versions that a manager can make, the default first; the first clients have one only."""
    if not hasattr(cls, "currentVersions"):
        return [str(cls.currentVersion())]
    versions = [str(v) for v in cls.currentVersions()]
    with contextlib.suppress(Exception):
        newest = str(cls.clsNewSchemaVersion(None))
        versions.sort(key=lambda v: v != newest)
    return versions


def configurations() -> list[dict[str, Any]]:
    """List what the client can make: one configuration by default, and one for each choice."""
    result: list[dict[str, Any]] = [{"name": "default", "managers": {}, "universe": None}]
    for component, name in default_managers().items():
        default = load(name)
        for cls in manager_classes(default):
            choices: list[tuple[str, Any]] = [] if cls is default else [("", full_name(cls))]
            choices += [(f" {v}", {"cls": full_name(cls), "schema_version": v}) for v in versions_of(cls)[1:]]
            for suffix, setting in choices:
                label = f"{component} {cls.__name__}{suffix}"
                # A client can have a class that it no longer makes, for repositories that are there.
                old = cls is not default and not suffix
                result.append({"name": label, "managers": {component: setting}, "universe": None, "old": old})
    package = Path(importlib.import_module("lsst.daf.butler").__file__ or "").parent
    result.extend(
        {"name": f"universe {path.stem}", "managers": {}, "universe": str(path)}
        for path in sorted((package / "configs" / "old_dimensions").glob("*.yaml"))
    )
    with contextlib.suppress(ImportError, AttributeError):
        load(OBSCORE_CLASS)
        live: dict[str, Any] = {"cls": OBSCORE_CLASS, "config": OBSCORE}
        result.append({"name": "obscore", "managers": {"obscore": live}, "universe": None})
    return result


def make(configuration: dict[str, Any], folder: str, db: str | None, namespace: str | None) -> None:
    """Make one registry, with dataset types of all groups of dimensions that are the least for an element."""
    client = importlib.import_module("lsst.daf.butler")
    config = client.Config()
    if db is not None:
        config["registry", "db"] = db
        config["registry", "namespace"] = namespace
    for component, setting in configuration["managers"].items():
        config["registry", "managers", component] = setting
    # Without forceConfigRoot=False the client would overwrite registry.db.
    client.Butler.makeRepo(folder, config=config, dimensionConfig=configuration["universe"], forceConfigRoot=False)
    # Opening it for writing makes the table of file records.  The first clients have no from_config; for the newest
    # a call of the class is not the way.
    butler = getattr(client.Butler, "from_config", client.Butler)(folder, writeable=True)
    registry = butler.registry
    universe = registry.dimensions
    elements = universe.getStaticElements() if hasattr(universe, "getStaticElements") else universe.elements
    # There are dozens of dimensions that are pixels of the sky, and all are alike.
    groups = {e.name: [d.name for d in e.required] for e in elements if "SkyPix" not in type(e).__name__}
    groups["nothing"] = []
    with contextlib.suppress(AttributeError):
        groups["sky"] = [universe.commonSkyPix.name]
    done: set[tuple[str, ...]] = set()
    for name, dimensions in groups.items():
        if tuple(dimensions) in done:
            continue
        done.add(tuple(dimensions))
        # Calibrations need tables of both kinds.
        registry.registerDatasetType(
            client.DatasetType(f"of_{name}", dimensions, "StructuredDataDict", universe=universe, isCalibration=True)
        )


def run_child(configuration: dict[str, Any], folder: str, db: str | None, namespace: str | None, errors: Path) -> bool:
    """Make a registry in a child process: clients remember universes by number, and may crash."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            make(configuration, folder, db, namespace)
            status = 0
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is the answer)
            said = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            errors.write_text(json.dumps(said), encoding="utf-8")
        finally:
            # Nothing of the parent may be flushed or cleaned up twice.
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def main(options: dict[str, Any]) -> None:
    """Make all registries."""
    warnings.simplefilter("ignore")
    with Path(options["output"]).open("a", encoding="utf-8") as output:

        def tell(value: dict[str, Any]) -> None:
            output.write(json.dumps(value) + "\n")
            output.flush()

        wanted = configurations()
        tell({"version": metadata.version("lsst-daf-butler"), "python": sys.executable, "count": len(wanted)})
        for number, configuration in enumerate(wanted):
            for dialect in ("sqlite", "postgresql") if options["postgresql"] else ("sqlite",):
                # A dot in the name of a folder would make several clients take it for a file.
                folder = f"{options['folder']}/{dialect}_{number}"
                url = options["postgresql"] if dialect == "postgresql" else None
                namespace = f"registry_{number}" if dialect == "postgresql" else None
                answer = {"name": configuration["name"], "dialect": dialect, "folder": folder, "namespace": namespace}
                answer.update(error=None, old=bool(configuration.get("old")))
                errors = Path(f"{folder}.error")
                if not run_child(configuration, folder, url, namespace, errors):
                    answer["error"] = "the client crashed"
                    if errors.exists():
                        answer.update(json.loads(errors.read_text(encoding="utf-8")))
                tell(answer)


if __name__ == "__main__":
    main(json.loads(os.environ.pop("REGISTRYTOOL_CLIENT_OPTIONS")))
