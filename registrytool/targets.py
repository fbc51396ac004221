"""What a user may name as the wanted versions: releases, versions of components, universes in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .config import parse_yaml
from .errors import ConfigurationError, RegistryStateError
from .models import COMPONENTS, CONFIGURATIONS, ComponentVersion, State
from .obscore import DEFAULT_NAMESPACE
from .state import parse_universe
from .universe import Universe, docs, with_docs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .catalog import Catalog


def parse_targets(targets: Iterable[str], state: State, catalog: Catalog) -> dict[str, ComponentVersion | None]:
    """Work out which versions are wanted.

    Parameters
    ----------
    targets : iterable of `str`
        Each ``newest``, a Butler release, or ``component=version`` (``dimensions-config=namespace/version`` for
        another namespace, likewise ``obscore-config``, ``obscore=none`` to do without).
    state : `State`
        State of the registry: its implementations are kept.
    catalog : `Catalog`
        Known versions.

    Returns
    -------
    wanted : `dict` [`str`, `ComponentVersion` or `None`]
        Wanted version by component.

    Raises
    ------
    ConfigurationError
        A target is malformed.
    UnknownVersionError
        A version or release is not known.
    """
    result: dict[str, ComponentVersion | None] = {}
    for target in targets:
        component, equals, version = target.partition("=")
        if not target or (equals and not version):
            message = f"The target {target!r} names no version."
            hint = "It is newest, a Butler release (w_2024_10, 27.0) or component=version."
            raise ConfigurationError(message, hint=hint)
        if target == "newest":
            for name, present in state.components.items():
                if name != "obscore-config":
                    result[name] = _newest(catalog, present)
            if state.get("dimensions-config") is None:
                # The universe was part of the code; it comes with the dimensions that store it.
                result["dimensions-config"] = catalog.newest_state()["dimensions-config"]
        elif not equals:
            result.update(_release_targets(target, state, catalog))
        elif component not in COMPONENTS:
            message = f"There is no component {component!r}."
            raise ConfigurationError(message, hint=f"The components are {', '.join(COMPONENTS)}.")
        elif version == "none":
            result[component] = None
        elif component == "obscore-config":
            found = state.get(component)
            namespace, _, number = version.rpartition("/")
            namespace = namespace or (found.implementation if found is not None else DEFAULT_NAMESPACE)
            result[component] = ComponentVersion(component, namespace, number)
        else:
            implementation, slash, number = version.rpartition("/")
            found = state.get(component)
            if not slash:
                implementation = (
                    found.implementation if found is not None else next(iter(catalog.versions.get(component, ())), "")
                )
            wanted = ComponentVersion(component, implementation, number or version)
            catalog.require(wanted)
            result[component] = wanted
    return result


def _newest(catalog: Catalog, present: ComponentVersion) -> ComponentVersion:
    """Return the newest version of an implementation; of a universe that is not ours, the present one."""
    if present.component in CONFIGURATIONS and present.implementation not in catalog.versions[present.component]:
        return present
    # A registry that is newer than the content is refused, not called up to date.
    catalog.require(present)
    return catalog.newest(present.component, present.implementation)


def _release_targets(name: str, state: State, catalog: Catalog) -> dict[str, ComponentVersion | None]:
    releases = catalog.releases
    release = releases.find(name)
    result: dict[str, ComponentVersion | None] = {}
    for component, wanted in release.state.components.items():
        present = state.get(component)
        if present is None:
            if component == "dimensions-config":
                result[component] = wanted
            continue
        target = wanted
        if present.implementation != wanted.implementation:
            # Another implementation that clients of that age have too, such as collections keyed by name, stays.
            accepted = releases.accepted(release, component, present.implementation)
            if component == "dimensions-config":
                target = present
            elif accepted is not None:
                target = ComponentVersion(component, present.implementation, accepted)
        catalog.require(target) if component not in CONFIGURATIONS or target is wanted else None
        result[component] = target
    return result


def wanted_state(
    at: Iterable[str], catalog: Catalog, *, universe: Path | None = None, universe_docs: Path | None = None
) -> tuple[State, Mapping[str, Any]]:
    """Work out the state and the universe of a new registry.

    Parameters
    ----------
    at : iterable of `str`
        Releases, or what `parse_targets` takes, instead of the newest versions.
    catalog : `Catalog`
        Known versions.
    universe : `pathlib.Path`, optional
        File with a dimension universe, of any namespace.
    universe_docs : `pathlib.Path`, optional
        File with a dimension universe from which to take the documentation strings.

    Returns
    -------
    state : `State`
        Versions of all components.
    config : `~collections.abc.Mapping`
        Configuration of the dimension universe.

    Raises
    ------
    ConfigurationError
        The options contradict each other.
    UnknownVersionError
        A version is not known.
    """
    state = catalog.newest_state()
    for target in at:
        if "=" in target or target == "newest":
            wanted = parse_targets([target], state, catalog)
            if None in wanted.values():
                message = f"A registry cannot be made without {target.partition('=')[0]}."
                raise ConfigurationError(message)
            state = state.replace(*(v for v in wanted.values() if v is not None))
        else:
            release = catalog.releases.find(target)
            for version in release.state.components.values():
                catalog.require(version)
            state = release.state
    for component in ("obscore", "obscore-config"):
        if state.get(component) is not None:
            message = f"A registry cannot be made with {component}: its table follows from a configuration."
            raise ConfigurationError(message, hint="Make it without, then migrate it with --to obscore=0.0.1.")
    implicit = hasattr(catalog.module(state["dimensions"]), "universe")
    if implicit:
        state = state.without("dimensions-config")
        if universe is not None:
            message = f"Registries with {state['dimensions']} do not store a universe, and one was named."
            raise ConfigurationError(message, hint="Leave --universe out, or take dimensions 6.0.0 or newer.")
    if universe is not None:
        config = _read_universe(universe)
        parsed = Universe(config)
        state = state.replace(ComponentVersion("dimensions-config", parsed.namespace, str(parsed.version)))
    else:
        config = catalog.universe(state)
    if universe_docs is not None:
        config = with_docs(config, dict(docs(_read_universe(universe_docs))))
    return state, config


def _read_universe(path: Path) -> Mapping[str, Any]:
    try:
        config = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is not a text file in UTF-8."
        raise ConfigurationError(message) from error
    except ValueError as error:
        message = f"{path} is not YAML: {error}."
        raise ConfigurationError(message) from error
    if not isinstance(config, Mapping):
        message = f"{path} is not a dimension universe: it is not a mapping."
        raise ConfigurationError(message, hint="It needs at least version, skypix and elements.")
    try:
        parse_universe(config, str(path))
    except RegistryStateError as error:
        # The file is what the user named, so naming it was wrong.
        raise ConfigurationError(error.message, hint=error.hint) from error
    return config
