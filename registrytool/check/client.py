"""Compare what an installed Butler client makes with the catalogue: what the Butler's own CI runs.

A program of ours (``client_program.py``) runs in the Python of the client and makes registries in every configuration
that the client offers.  Each is read as any registry is, and its versions and its structure are looked up here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.database import Database
from registrytool.drift import classify
from registrytool.errors import ConfigurationError, RegistryToolError, UnknownVersionError
from registrytool.inspection import inspect
from registrytool.models import (
    CONFIGURATIONS,
    MANAGERS,
    ComponentVersion,
    Difference,
    DynamicContent,
    Judgement,
    State,
    to_plain,
)
from registrytool.naming import version_key
from registrytool.progress import NullProgress, Progress
from registrytool.repository import database_url
from registrytool.state import STAMPS, read_attributes, write_attribute
from registrytool.structure import differences, from_metadata
from registrytool.universe import Universe, same_universe, without_docs

if TYPE_CHECKING:
    from registrytool.catalog import Catalog
    from registrytool.inspection import Inspection

_PROGRAM = Path(__file__).with_name("client_program.py")
_MANAGER = "config:registry.managers."
#: How long a client may take for all of its configurations, in seconds; slow machines need a few minutes.
_TIMEOUT_S = 3600.0

#: Outcomes that mean that nothing is wrong.  ``refused`` is a class that the client has and no longer makes.
GOOD = ("known", "known drift", "refused")


@dataclass(frozen=True, slots=True)
class ClientRegistry:
    """One registry that the client made, or would not make.

    Attributes
    ----------
    configuration : `str`
        How the client was configured, such as ``default`` or ``collections NameKeyCollectionManager``.
    dialect : `str`
        ``sqlite`` or ``postgresql``.
    outcome : `str`
        ``known``: the catalogue has exactly this.  ``known drift``: it does, but for known and harmless drift.
        ``new``: a version, class or universe that has no snapshot, or no migration, here.  ``changed``: the same
        versions with another structure or another universe.  ``refused``: the client does not make it.
        ``failed``: the client cannot make what it should, or what it made cannot be read.
    message : `str`
        One sentence.
    state : `State` or `None`
        Versions of the registry; those of ``new`` ones are as the client says.
    releases : `tuple` [`str`, ...]
        Butler releases that make this state by default.
    changes : `tuple` [`str`, ...]
        What is new, for ``new``; what else of the content changed, for ``changed``.
    differences : `tuple` [`Difference`, ...]
        How the structure differs from the snapshot, for ``new`` from that of the nearest known versions.
    """

    configuration: str
    dialect: str
    outcome: str
    message: str
    state: State | None = None
    releases: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.outcome in GOOD


@dataclass(frozen=True, slots=True)
class ClientReport:
    """What a client makes, compared with the catalogue."""

    client: str
    python: str
    registries: tuple[ClientRegistry, ...]
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether the catalogue knows everything that the client makes."""
        return all(r.good for r in self.registries)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result: dict[str, Any] = to_plain(self)
        return {**result, "clean": self.clean}


def check_client(
    path: str | Path, catalog: Catalog, *, postgresql_url: str | None = None, progress: Progress | None = None
) -> ClientReport:
    """Compare what an installed Butler client makes with the catalogue.

    Parameters
    ----------
    path : `str` or `pathlib.Path`
        Python interpreter of an environment with ``lsst-daf-butler``, or an executable of it, such as ``butler``.
    catalog : `Catalog`
        The content.
    postgresql_url : `str`, optional
        An empty database with the extension btree_gist, which the registries are made in.  Without it only SQLite is
        used.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    report : `ClientReport`
        One entry for each configuration and database.

    Raises
    ------
    ConfigurationError
        The path is not what it should be, or there is no client.
    """
    progress = progress or NullProgress()
    python = find_python(path)
    url = database_url(postgresql_url).render_as_string(hide_password=False) if postgresql_url else None
    progress.phase(f"Making registries with the client of {python}")
    with tempfile.TemporaryDirectory(prefix="registrytool-client-") as folder:
        client, made = _run(python, Path(folder), url)
        judge = _Judge(catalog, url)
        registries = []
        for number, item in enumerate(made):
            progress.step_started(f"{item['name']} ({item['dialect']})", number + 1, len(made))
            registries.append(judge.look(item))
    return ClientReport(client["version"], str(python), tuple(registries), tuple(judge.notes(client["version"])))


# -- running the client -------------------------------------------------------


def find_python(path: str | Path) -> Path:
    """Find the Python interpreter that an executable is run with.

    Parameters
    ----------
    path : `str` or `pathlib.Path`
        A Python interpreter, or a script that names one in its first line; without a slash it is looked for in
        ``PATH``.

    Returns
    -------
    python : `pathlib.Path`
        The interpreter.

    Raises
    ------
    ConfigurationError
        There is no such file, or it is neither of the two.
    """
    found = shutil.which(os.path.expanduser(path))  # noqa: PTH111 (keeps "./")
    if found is None:
        message = f"There is no executable {path}."
        raise ConfigurationError(message, hint="Name the Python interpreter of the client, or its program butler.")
    # Symbolic links are not followed: in a virtual environment the name of the interpreter decides what it sees.
    executable = Path(found).absolute()
    with executable.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"#!"):
        return executable
    lines = head.decode(errors="replace").splitlines()
    words = shlex.split(lines[0][2:])
    if words and Path(words[0]).name == "env":
        words = [w for w in words[1:] if not w.startswith("-") and "=" not in w]
    # pip writes paths that are too long for the system, or have blanks, into the second line.
    if words and Path(words[0]).name == "sh" and len(lines) > 1 and lines[1].startswith("'''exec' "):
        words = shlex.split(lines[1].removeprefix("'''exec' "))
    name = words[0] if words else ""
    if not re.match(r"(python|pypy)", Path(name).name):
        if re.match(r"(python|pypy)", executable.name):
            return executable  # a shim: a shell script that starts the interpreter
        message = f"{executable} is not run with Python but with {name or 'nothing'}."
        raise ConfigurationError(message, hint="Name the Python interpreter of the client.")
    interpreter = shutil.which(name)
    if interpreter is None:
        message = f"{executable} is run with {name}, which does not exist."
        raise ConfigurationError(message)
    return Path(interpreter)


def _run(python: Path, folder: Path, url: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Let the client make its registries."""
    output = folder / "output.jsonl"
    options = {"folder": str(folder), "output": str(output), "postgresql": url}
    # The options may hold a password, which the list of processes must not show.
    environment = {**os.environ, "REGISTRYTOOL_CLIENT_OPTIONS": json.dumps(options), "PYTHONSAFEPATH": "1"}
    try:
        # The program comes from standard input: otherwise its folder, which is ours, would be searched for modules.
        done = subprocess.run(  # noqa: S603 (the user names the program)
            [python, "-"],
            input=_PROGRAM.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{python} cannot be run: {getattr(error, 'strerror', None) or error}."
        raise ConfigurationError(message) from error
    lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
    if done.returncode or not lines:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        message = f"There is no usable Butler client in the environment of {python}: {said}."
        raise ConfigurationError(message, hint="Install lsst-daf-butler in it, or name another one.")
    first, *rest = (json.loads(line) for line in lines)
    return first, rest


# -- judging what it made -----------------------------------------------------


class _Judge:
    """Compares registries with the catalogue."""

    def __init__(self, catalog: Catalog, url: str | None) -> None:
        self._catalog = catalog
        self._history = catalog.history
        self._releases = catalog.releases
        self._url = url
        self._default: State | None = None

    def look(self, made: Mapping[str, Any]) -> ClientRegistry:
        """Judge one registry."""
        name, dialect = made["name"], made["dialect"]
        if made["error"] is not None:
            reason = " ".join(str(made["error"]).split())
            # A class that is only kept for old repositories is the client's own business; a missing driver is not.
            refused = made["old"] and not reason.startswith(
                ("ImportError", "ModuleNotFoundError", "the client crashed")
            )
            outcome, verb = ("refused", "does not make") if refused else ("failed", "cannot make")
            return ClientRegistry(name, dialect, outcome, f"The client {verb} it: {reason}")
        if dialect == "sqlite":
            database = Database(sa.make_url(f"sqlite:///{made['folder']}/gen3.sqlite3"))
        else:
            database = Database(sa.make_url(str(self._url)), made["namespace"])
        try:
            with self._scratch(database) as connection:
                return self._judge(name, connection, database.namespace)
        except RegistryToolError as error:
            return ClientRegistry(name, dialect, "failed", f"What the client made cannot be read: {error}")

    @staticmethod
    @contextmanager
    def _scratch(database: Database) -> Iterator[sa.Connection]:
        """Open a transaction that may write and is always rolled back."""
        with database.read() as connection:  # tells an unreadable database in one sentence
            connection.execute(sa.text("SELECT 1"))
        engine = sa.create_engine(database.url, poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                yield connection
                connection.rollback()
        finally:
            engine.dispose()

    def _judge(self, name: str, connection: sa.Connection, namespace: str | None) -> ClientRegistry:
        dialect = connection.dialect.name
        attributes = read_attributes(connection, namespace)
        state, unknown = self._stated(attributes)
        if name == "default":
            self._default = state
        for component, version in unknown.items():
            # The nearest known version takes its place, so that everything else can be compared.
            nearest = self._nearest(version)
            state = state.replace(nearest)
            stored = self._catalog.stored_class(component, nearest.implementation)
            write_attribute(connection, namespace, _MANAGER + component, stored)
            write_attribute(connection, namespace, f"version:{stored}", nearest.version)
        inspection = inspect(connection, namespace, self._catalog, where="the client")
        found = self._differences(inspection)
        state = inspection.recorded.state
        changes = [
            f"{version} has no snapshot; the nearest is {self._nearest(version)}" for version in unknown.values()
        ]
        changed = list(self._strange_attributes(attributes)) + [
            note for note in inspection.notes if note.startswith("opaque table")
        ]
        universe = state["dimensions-config"]
        known_universes = self._catalog.versions["dimensions-config"].get(universe.implementation, ())
        if universe.version not in known_universes:
            news, more = self._new_universe(inspection, namespace, dialect)
            changes.extend(news)
            found = [*more, *found]
        elif not same_universe(self._catalog.universe_config(universe), inspection.recorded.universe):
            before = self._catalog.universe_config(universe)
            changed.append(f"the universe {universe.implementation} {universe.version} is not as released")
            changed.extend(universe_differences(before, inspection.recorded.universe))
        changes.extend(
            f"{version} has a snapshot, but no revision leads to it"
            for version in state.components.values()
            if version.component != "obscore-config"
            and version.version in self._catalog.versions[version.component].get(version.implementation, ())
            and self._history.of(version) is None
        )
        stated = state.replace(*unknown.values())
        return self._verdict(name, dialect, stated, changes, changed, found)

    def _verdict(
        self,
        name: str,
        dialect: str,
        state: State,
        changes: list[str],
        changed: list[str],
        found: list[Difference],
    ) -> ClientRegistry:
        drifts = self._catalog.drift
        serious = [d for d in found if d.drift is None or drifts[d.drift].judgement is Judgement.REPAIR]
        releases = self._releases_of(state)
        if changes:
            message = f"New here: {changes[0]}."
            return ClientRegistry(name, dialect, "new", message, state, (), (*changes, *changed), tuple(found))
        if changed or serious:
            what = changed[0] if changed else str(serious[0])
            more = len(changed) + len(serious) - 1
            message = f"The versions are known, but not this: {what}{f', and {more} more' if more else ''}."
            return ClientRegistry(name, dialect, "changed", message, state, releases, tuple(changed), tuple(found))
        belongs = self._belongs_to(state)
        if found:
            kinds = ", ".join(sorted({str(d.drift) for d in found}))
            message = f"Known: {belongs}; with the known drift {kinds}."
            return ClientRegistry(name, dialect, "known drift", message, state, releases, (), tuple(found))
        return ClientRegistry(name, dialect, "known", f"Known: {belongs}.", state, releases)

    def _stated(self, attributes: Mapping[str, str]) -> tuple[State, dict[str, ComponentVersion]]:
        """Return the managers that a registry names, and those that the catalogue does not know."""
        versions: dict[str, ComponentVersion] = {}
        unknown: dict[str, ComponentVersion] = {}
        for component in (*MANAGERS, "obscore"):
            class_name = attributes.get(_MANAGER + component)
            if class_name is None:
                continue
            implementation = self._catalog.implementation_of(component, class_name)
            version = ComponentVersion(
                component, implementation or class_name.rpartition(".")[2], attributes.get(f"version:{class_name}", "?")
            )
            versions[component] = version
            if implementation is None:
                # Another module than the one of the known class makes it another class.
                unknown[component] = version
                continue
            try:
                self._catalog.require(version)
            except UnknownVersionError:
                unknown[component] = version
        return State(versions), unknown

    def _nearest(self, version: ComponentVersion) -> ComponentVersion:
        """Return the newest known version before another one, else the oldest; of the default class if need be."""
        implementations = self._catalog.versions[version.component]
        implementation = version.implementation
        if not implementations.get(implementation):
            implementation = next(iter(self._catalog.content.implementations[version.component]))
        known = implementations[implementation]
        try:
            before = [v for v in known if version_key(v) <= version_key(version.version)]
        except ValueError:
            before = []
        return ComponentVersion(version.component, implementation, (before or list(known[:1]))[-1])

    def _differences(self, inspection: Inspection) -> list[Difference]:
        """Compare everything: in a registry that the client has just made nothing belongs to anybody else."""
        listed = [
            d
            for d in differences(inspection.expected, inspection.found)
            if not (d.name == STAMPS or (d.kind == "extension" and d.aspect == "unexpected"))
        ]
        kinds = self._catalog.drift.values()
        return classify(listed, kinds, inspection.expected, Universe(inspection.recorded.universe))

    def _strange_attributes(self, attributes: Mapping[str, str]) -> Iterator[str]:
        usual = re.compile(r"config:registry\.managers\.\w+|version:[\w.]+|schema_digest:[\w.]+")
        for name in sorted(attributes):
            if not usual.fullmatch(name) and name not in CONFIGURATIONS.values():
                yield f"the attribute {name} is unknown"

    def _new_universe(
        self, inspection: Inspection, namespace: str | None, dialect: str
    ) -> tuple[list[str], list[Difference]]:
        """Say how an unknown universe differs from the nearest known one."""
        state, config = inspection.recorded.state, inspection.recorded.universe
        version = state["dimensions-config"]
        known = self._catalog.versions["dimensions-config"].get(version.implementation, ())
        if not known:
            return [f"the namespace {version.implementation} of universes is unknown"], []
        nearest = self._nearest(version)
        before = self._catalog.universe_config(nearest)
        changes = [f"the universe {version.implementation} {version.version} has no snapshot and no migration"]
        changes.extend(f"{line} (than in {nearest.version})" for line in universe_differences(before, config))
        # The tables of datasets have columns of dimensions that the older universe may lack.
        expected = self._catalog.metadata(
            state.replace(nearest), dialect, DynamicContent(), universe=before, namespace=namespace
        )
        new = self._catalog.metadata(state, dialect, DynamicContent(), universe=config, namespace=namespace)
        return changes, differences(from_metadata(expected, dialect), from_metadata(new, dialect))

    def _releases_of(self, state: State) -> tuple[str, ...]:
        """Return the releases that make a state by default, the newest first."""
        return tuple(r.name for r in reversed(self._releases.known()) if _same(r.state, state))

    def _belongs_to(self, state: State) -> str:
        """Say which release makes a state, or the one most like it."""
        best: tuple[list[str], str] | None = None
        for release in reversed(self._releases.known()):
            other = [
                str(v)
                for v in state.components.values()
                if v.component != "obscore-config" and v != release.state.get(v.component)
            ]
            if best is None or len(other) < len(best[0]):
                best = other, release.name
        assert best is not None  # noqa: S101 (the file has releases)
        others, name = best
        return f"as {name} makes it" + (f", but {', '.join(others)}" if others else "")

    def notes(self, client: str) -> Iterator[str]:
        """Say where ``releases.yaml`` is wrong about the client."""
        if self._default is None:
            return
        try:
            release = self._releases.find(client)
        except UnknownVersionError:
            yield f"schemas/releases.yaml does not know the release {client}"
            return
        for component, version in self._default.components.items():
            wanted = release.state.get(component)
            if wanted is not None and wanted != version:
                yield f"schemas/releases.yaml says that {client} makes {wanted}, and it makes {version}"


def _same(release: State, state: State) -> bool:
    """Whether a release makes a state; its configuration of the ObsCore table is the user's."""
    return release.components == state.without("obscore-config").components


def universe_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """List what differs between two universes, but for documentation strings and the version number.

    Parameters
    ----------
    before, after : `~collections.abc.Mapping`
        Configurations.

    Returns
    -------
    lines : `list` [`str`]
        Such as ``elements/exposure/metadata/tilt is new``.
    """
    return [line for line in _compare(without_docs(before), without_docs(after), "") if not line.startswith("version ")]


def _compare(before: Any, after: Any, path: str) -> Iterator[str]:
    a, b = _by_name(before), _by_name(after)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in [*a, *(k for k in b if k not in a)]:
            inner = f"{path}/{key}" if path else str(key)
            if key not in b:
                yield f"{inner} is gone"
            elif key not in a:
                yield f"{inner} is new"
            else:
                yield from _compare(a[key], b[key], inner)
        if isinstance(before, list) and before != after and list(a) != list(b) and set(a) == set(b):
            yield f"{path} is in another order"
    elif before != after:
        yield f"{path} is {after!r} instead of {before!r}"


def _by_name(value: Any) -> Any:
    """Return a list of named things as a mapping."""
    if isinstance(value, list) and value and all(isinstance(v, Mapping) and "name" in v for v in value):
        return {v["name"]: {k: w for k, w in v.items() if k != "name"} for v in value}
    return value
