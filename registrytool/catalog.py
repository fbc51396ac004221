"""The catalogue: a state, a dialect and the registered dataset types give exactly one `sqlalchemy.MetaData`.

The definitions are content: one file for each version of each component, ``schemas/<component>/<Implementation>/
v1_0_0.py``, loaded by path.  Such a file defines ``tables(registry)`` and, where it has them, ``REFERENCES`` (the
columns by which other tables refer to its own) and functions for tables that are made on demand.  What they call on
their argument is a `Builder`, which knows the naming rules of the format.
"""

from __future__ import annotations

import json
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from .builder import MAX_NSEC, MIN_NSEC, Builder, IndexSpec
from .config import Content, read_yaml
from .errors import ContentError, UnknownVersionError
from .models import COMPONENTS, CONFIGURATIONS, MANAGERS, ComponentVersion, DynamicContent, State
from .naming import module_name, parse_module_name, version_key
from .releases import Releases
from .universe import Universe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    import sqlalchemy as sa

    from .history import History
    from .models import Drift

#: Schema files name the builder by this module, and do not change any more.
__all__ = ["MAX_NSEC", "MIN_NSEC", "Builder", "Catalog", "IndexSpec", "parse_json"]

#: How many sets of table definitions a catalogue keeps at hand: one for each state between two steps.
_KEPT = 32


class Catalog:
    """The versions of all components that the content defines.

    Parameters
    ----------
    content : `Content`, optional
        The content; by default that of the package.
    """

    def __init__(self, content: Content | None = None) -> None:
        self.content = content or Content.find()
        self._modules: dict[ComponentVersion, ModuleType] = {}
        self._universes: dict[ComponentVersion, dict[str, Any]] = {}
        self._definitions: dict[Any, Builder] = {}

    @classmethod
    def find(cls, folder: Path | None = None) -> Catalog:
        """Return the catalogue of some content; that of the package does not change and is read once in a process.

        Parameters
        ----------
        folder : `pathlib.Path`, optional
            Folder that the user named; otherwise the content that came with the package.

        Raises
        ------
        ConfigurationError
            There is no content in the folder.
        """
        return cls(Content.find(folder)) if folder is not None else _catalog_of_package()

    # -- what there is ----------------------------------------------------

    @cached_property
    def versions(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Versions by component and implementation, oldest first; what a project adds comes before what is below."""
        result: dict[str, dict[str, tuple[str, ...]]] = {}
        for component in COMPONENTS:
            found: dict[str, set[str]] = {}
            for layer in self.content.layers:
                folder = layer.schemas / component
                for directory in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if not directory.is_dir() or directory.name.startswith(("_", ".")):
                        continue
                    names = found.setdefault(directory.name, set())
                    if component in CONFIGURATIONS:
                        names.update(p.stem for p in directory.glob("*.yaml") if p.stem.isdigit())
                    else:
                        names.update(v for p in directory.glob("v*.py") if (v := parse_module_name(p.stem)) is not None)
            result[component] = {name: tuple(sorted(names, key=version_key)) for name, names in found.items()}
        return result

    @cached_property
    def history(self) -> History:
        """All revisions of the content; to read them takes as long as to run a small step."""
        from .history import History

        return History(self.content)

    @cached_property
    def releases(self) -> Releases:
        """What is known of Butler releases."""
        return Releases(self.content)

    @cached_property
    def drift(self) -> Mapping[str, Drift]:
        """Kinds of drift that the content knows, by identifier.

        Raises
        ------
        ContentError
            The file is malformed.
        """
        from .drift import load_drift

        return load_drift(self.content)

    def require(self, version: ComponentVersion) -> None:
        """Check that a version is defined.

        Raises
        ------
        UnknownVersionError
            It is not; the message says whether it is newer than all that are known.
        """
        implementations = self.versions.get(version.component, {})
        if version.implementation not in implementations:
            what = "namespace" if version.component in CONFIGURATIONS else "implementation"
            raise UnknownVersionError(
                f"{version.component} {what}",
                version.implementation,
                sorted(implementations),
                hint="Other schema content is named with --content.",
            )
        known = implementations[version.implementation]
        if version.version in known:
            return
        try:
            newer = bool(known) and version_key(version.version) > version_key(known[-1])
        except ValueError:
            newer = False
        raise UnknownVersionError(
            f"version of {version.component} {version.implementation}",
            version.version,
            list(known),
            hint="It is newer than this registrytool: upgrade registrytool." if newer else None,
        )

    def newest(self, component: str, implementation: str) -> ComponentVersion:
        """Return the newest version of an implementation, or of the one that succeeds it.

        Raises
        ------
        UnknownVersionError
            The implementation is not known.
        """
        successor = self.content.implementations.get(component, {}).get(implementation, {}).get("successor")
        if successor is not None:
            return self.newest(component, successor)
        known = self.versions.get(component, {}).get(implementation, ())
        found = ComponentVersion(component, implementation, known[-1] if known else "of any number")
        self.require(found)
        return found

    def newest_state(self) -> State:
        """Return the state of a new registry with default implementations."""
        managers = [self.newest(c, next(iter(self.content.implementations[c]))) for c in MANAGERS]
        namespace = next(iter(self.versions["dimensions-config"]), "")
        versions = [*managers, self.newest("dimensions-config", namespace)]
        return State({v.component: v for v in versions})

    def implementation_of(self, component: str, class_name: str) -> str | None:
        """Return the implementation that a class name means, stored or configured; `None` if it is not known."""
        for name, classes in self.content.implementations.get(component, {}).items():
            if class_name in (classes["stored"], classes.get("configured")):
                return name
        return None

    def stored_class(self, component: str, implementation: str) -> str:
        """Return the class name that the database stores."""
        return self.content.implementations[component][implementation]["stored"]

    def configured_class(self, component: str, implementation: str) -> str:
        """Return the class name that ``butler.yaml`` has."""
        classes = self.content.implementations[component][implementation]
        return classes.get("configured", classes["stored"])

    # -- definitions ------------------------------------------------------

    def module(self, version: ComponentVersion) -> ModuleType:
        """Load the schema file of a version.

        Raises
        ------
        UnknownVersionError
            There is no such file.
        ContentError
            The file cannot be executed.
        """
        if version not in self._modules:
            from importlib.util import module_from_spec, spec_from_file_location

            self.require(version)
            name = module_name(version.version)
            path = self.content.schema_file(version.component, version.implementation, f"{name}.py")
            spec = spec_from_file_location(f"registrytool_schema_{version.component}_{name}", path)
            if spec is None or spec.loader is None:
                message = f"Cannot load {path}."
                raise ContentError(message)
            module = module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except Exception as error:
                message = f"The schema file {path} cannot be executed: {type(error).__name__}: {error}."
                raise ContentError(message) from error
            self._modules[version] = module
        return self._modules[version]

    def version(self, component: str, implementation: str, version: str) -> ModuleType:
        """Return the definitions of a version, on which those of another may build."""
        return self.module(ComponentVersion(component, implementation, version))

    def universe_config(self, version: ComponentVersion) -> dict[str, Any]:
        """Return the configuration of a universe, or an obscore configuration, that the content defines.

        Raises
        ------
        UnknownVersionError
            It is not defined.
        """
        if version not in self._universes:
            self.require(version)
            path = self.content.schema_file(version.component, version.implementation, f"{version.version}.yaml")
            config = read_yaml(path)
            if not isinstance(config, dict):
                message = f"{path} does not hold a mapping."
                raise ContentError(message)
            self._universes[version] = config
        return self._universes[version]

    def released_universe(self, namespace: str, version: str) -> dict[str, Any]:
        """Return the configuration of a universe, on which a schema file may build."""
        return self.universe_config(ComponentVersion("dimensions-config", namespace, version))

    def universe(self, state: State) -> Mapping[str, Any]:
        """Return the dimension universe that the content has for a state.

        Before week 2020.45 registries did not store one: it belonged to the version of the dimensions.

        Raises
        ------
        ContentError
            The state has none, though its dimensions need one.
        """
        version = state.get("dimensions-config")
        if version is not None:
            return self.universe_config(version)
        implicit = getattr(self.module(state["dimensions"]), "universe", None)
        if implicit is None:
            message = f"Registries with {state['dimensions']} store a dimension universe, and none is named."
            raise ContentError(message)
        config: Mapping[str, Any] = implicit(self)
        return config

    def can_hold(self, state: State, dialect: str) -> bool:
        """Return whether a database can hold registries of a state."""
        return not self._odd(state, dialect)

    def _odd(self, state: State, dialect: str) -> list[ComponentVersion]:
        """Return the versions that a database cannot hold."""
        return [
            version
            for version in state.components.values()
            if version.component not in CONFIGURATIONS
            and dialect not in getattr(self.module(version), "DIALECTS", (dialect,))
        ]

    def metadata(
        self,
        state: State,
        dialect: str,
        dynamic: DynamicContent | None = None,
        *,
        universe: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> sa.MetaData:
        """Return the table definitions of a registry.

        Parameters
        ----------
        state, dialect, dynamic, universe, namespace
            See `definitions`.

        Returns
        -------
        metadata : `sqlalchemy.MetaData`
            All tables, constraints, indexes and sequences; whoever asks for the same again gets the same object, so
            it must not be changed.

        Raises
        ------
        UnknownVersionError
            The content has no such version.
        ContentError
            The database cannot hold such registries.
        """
        return self.definitions(state, dialect, dynamic, universe=universe, namespace=namespace).metadata

    def definitions(
        self,
        state: State,
        dialect: str,
        dynamic: DynamicContent | None = None,
        *,
        universe: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> Builder:
        """Return the table definitions of a registry, of which each is made when it is asked for.

        Parameters
        ----------
        state : `State`
            Versions of all components.
        dialect : `str`
            ``sqlite`` or ``postgresql``.
        dynamic : `DynamicContent`, optional
            Tables that exist because of what is registered.
        universe : `~collections.abc.Mapping`, optional
            Configuration of the dimension universe, of any namespace; by default the one that the content has for
            the state.
        namespace : `str`, optional
            PostgreSQL schema of the tables.

        Returns
        -------
        definitions : `Builder`
            All tables; the same object for whoever asks for the same again.

        Raises
        ------
        UnknownVersionError
            The content has no such version.
        ContentError
            The database cannot hold such registries.
        """
        dynamic = dynamic or DynamicContent()
        if odd := self._odd(state, dialect):
            listed = " and ".join(str(version) for version in odd)
            name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[dialect]
            message = f"{name} cannot hold registries with {listed}."
            raise ContentError(message, hint="Take another database, or another implementation.")
        config = universe if universe is not None else self.universe(state)
        known = self._definitions
        key = (
            frozenset(state.components.values()),
            dialect,
            (dynamic.dataset_tables, dynamic.record_tables, json.dumps(dynamic.obscore, sort_keys=True, default=str)),
            json.dumps(config, sort_keys=True, default=str),
            namespace,
        )
        # Looking ahead, migrating and checking ask for the same few states over and over.
        found = known.pop(key) if key in known else self._define(state, dialect, dynamic, config, namespace)
        known[key] = found
        if len(known) > _KEPT:
            del known[next(iter(known))]
        return found

    def _define(
        self,
        state: State,
        dialect: str,
        dynamic: DynamicContent,
        config: Mapping[str, Any],
        namespace: str | None,
    ) -> Builder:
        builder = Builder(self, state, dialect, Universe(config), namespace)
        modules = {component: builder.load(component) for component in MANAGERS}
        for module in modules.values():
            module.tables(builder)
        for item in dynamic.dataset_tables:
            make = modules["datasets"].tags if item.kind == "tags" else modules["datasets"].calibs
            make(builder, item.name, builder.universe.sorted(item.dimensions))
        for name in dynamic.record_tables:
            modules["opaque"].records(builder, name)
        if state.get("obscore") is not None and dynamic.obscore is not None:
            builder.load("obscore").tables(builder, dynamic.obscore)
        return builder


@cache
def _catalog_of_package() -> Catalog:
    return Catalog(Content.find())


def parse_json(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON configuration.

    Raises
    ------
    ContentError
        The text is not JSON, or not a mapping.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        message = f"{what} is not JSON: {error}."
        raise ContentError(message) from error
    if not isinstance(value, dict):
        message = f"{what} is not a JSON mapping."
        raise ContentError(message)
    return value
