"""Write the files of a new version: its schema, the step that leads to it, and the test data of the step.

What follows from comparing the two snapshots is written as code; what does not, is marked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from registrytool.catalog import Catalog
from registrytool.config import parse_yaml
from registrytool.errors import ConfigurationError, ContentError, UnknownVersionError
from registrytool.history import History
from registrytool.models import (
    COMPONENTS,
    CONFIGURATIONS,
    ComponentVersion,
    DatasetTables,
    DynamicContent,
    State,
    to_plain,
)
from registrytool.naming import module_name, revision_id, version_key
from registrytool.structure import Structure, from_metadata
from registrytool.universe import DEFAULT_NAMESPACE, Universe

from .manager_file import build_on
from .marks import CALIBS, DIALECTS, LIVE, MARK, RECORDS, SENTENCE, TAGS, as_sentence
from .work import Way, Work, operations_between, way_between
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from registrytool.config import Content
    from registrytool.history import Revision

_OBSCORE = {"table_name": LIVE}
_ROOT = '''"""Root of the tree of {what}.

It stands for no version.
"""

component = "{component}"

#: Registries begin here: no step leads to this tree.
origin = True

revision = "{revision}"
down_revision = None
branch_labels = ("{component}",)
depends_on = None
'''
_ORIGIN = '''"""Universe {version} of {implementation}, where registries begin."""

component, implementation, version = "{component}", "{implementation}", "{version}"

#: Registries begin here: no step leads to this version.
origin = True

revision = "{revision}"
down_revision = "{root}"
branch_labels = ("{component}-{implementation}",)
depends_on = None
'''


@dataclass(frozen=True, slots=True)
class Scaffold:
    """Files that were written for a new version.

    Attributes
    ----------
    version : `ComponentVersion`
        The new version.
    start : `ComponentVersion` or `None`
        The version from which the step begins; `None` if registries begin here.
    revision : `str`
        Identifier of the step.
    files : `tuple` [`pathlib.Path`, ...]
        What was written.
    operations : `tuple` [`str`, ...]
        What differs between the two snapshots.
    unfinished : `tuple` [`str`, ...]
        What has to be filled in.
    """

    version: ComponentVersion
    start: ComponentVersion | None
    revision: str
    files: tuple[Path, ...]
    operations: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        result: dict[str, Any] = to_plain(self)
        return result


def new_revision(
    content: Content,
    component: str,
    version: str,
    *,
    implementation: str | None = None,
    start: str | None = None,
    universe: Path | None = None,
    message: str | None = None,
) -> Scaffold:
    """Write the schema file, the revision and the test data of a new version.

    Parameters
    ----------
    content : `Content`
        Where they go.
    component : `str`
        Component, such as ``dimensions-config``.
    version : `str`
        The new version.
    implementation : `str`, optional
        Class, or namespace of a universe; by default that of new registries, or the one of the universe file.
    start : `str`, optional
        The version from which the step begins; by default the newest.
    universe : `pathlib.Path`, optional
        YAML file with the new universe, for ``dimensions-config``.
    message : `str`, optional
        What changes, one sentence in the imperative without a full stop.

    Returns
    -------
    scaffold : `Scaffold`
        What was written.

    Raises
    ------
    ConfigurationError
        The version exists, is not newer, or a name or file is not what it should be; nothing has been written.
    """
    wanted = _Request(content, component, version, implementation, start, universe, message)
    files = wanted.files()
    written: list[Path] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        if wanted.removed is not None:
            wanted.removed.unlink()
    except OSError as error:
        reason = f"Cannot write {error.filename}: {error.strerror}."
        raise ConfigurationError(reason) from error
    return Scaffold(
        wanted.version,
        wanted.start,
        wanted.id,
        tuple(written),
        tuple(wanted.operations),
        tuple(wanted.unfinished),
    )


class _Request:
    """What is wanted, checked against the content, and the text of every file."""

    def __init__(
        self,
        content: Content,
        component: str,
        version: str,
        implementation: str | None,
        start: str | None,
        universe: Path | None,
        message: str | None,
    ) -> None:
        self.content, self.catalog, self.history = content, Catalog(content), History(content)
        self.operations: list[str] = []
        self.unfinished: list[str] = []
        self.removed: Path | None = None
        self._check_names(component, version, message)
        self.universe_text, self.universe = self._read_universe(component, universe)
        self.version = ComponentVersion(component, self._implementation(component, implementation), version)
        self.id = revision_id(component, self.version.implementation, version)
        self.message = message
        known = self.catalog.versions[component].get(self.version.implementation, ())
        self.schema = self._schema_file(version)
        present = self.history.of(self.version)
        self.rewritten = present if present is not None and _is_placeholder(present.path) else None
        if present is not None and self.rewritten is None:
            reason = f"{self.version} exists already: {_shown(content, present.path)} leads to it."
            raise ConfigurationError(reason)
        if self.schema.exists() and universe is not None and self.schema.read_text("utf-8") != self.universe_text:
            reason = f"{self.version} exists already, with another universe: {_shown(content, self.schema)}."
            raise ConfigurationError(reason)
        self.start = self._start(start, tuple(v for v in known if v != version))
        self._check_universe()

    # -- what is refused --------------------------------------------------

    @staticmethod
    def _check_names(component: str, version: str, message: str | None) -> None:
        if component not in COMPONENTS or component == "obscore-config":
            known = ", ".join(c for c in COMPONENTS if c != "obscore-config")
            reason = f"There are no versions of {component} to be made."
            raise ConfigurationError(reason, hint=f"Components: {known}.")
        rule, example = (r"0|[1-9]\d*", "9") if component in CONFIGURATIONS else (r"\d+\.\d+\.\d+", "2.1.0")
        if not re.fullmatch(rule, version):
            reason = f"{version!r} is not a version of {component}, which are written like {example}."
            raise ConfigurationError(reason)
        if message is not None and (not _slug(message) or re.search(r'[\n\r\\]|"""', message)):
            reason = f"The message {message!r} is not one line with words, without backslashes and triple quotes."
            raise ConfigurationError(reason)

    @staticmethod
    def _read_universe(component: str, path: Path | None) -> tuple[str, Mapping[str, Any] | None]:
        if path is None:
            return "", None
        if component != "dimensions-config":
            reason = f"A universe is a version of dimensions-config, not of {component}."
            raise ConfigurationError(reason)
        try:
            text = path.read_text(encoding="utf-8")
            config = parse_yaml(text)
            if not isinstance(config, Mapping):
                reason = f"{path} does not hold a dimension universe."
                raise ConfigurationError(reason)
            Universe(config)
        except (OSError, UnicodeDecodeError) as error:
            reason = f"Cannot read {path}: {getattr(error, 'strerror', None) or error}."
            raise ConfigurationError(reason) from error
        except ValueError as error:
            reason = f"{path} is not YAML: {error}."
            raise ConfigurationError(reason) from error
        except ContentError as error:
            reason = f"{path} is not a dimension universe: {error.message}"
            raise ConfigurationError(reason) from error
        return text, config

    def _implementation(self, component: str, given: str | None) -> str:
        known = self.catalog.versions[component]
        if self.universe is not None:
            found = str(self.universe.get("namespace") or DEFAULT_NAMESPACE)
            if given not in (None, found):
                reason = f"The universe file is of the namespace {found}, not {given}."
                raise ConfigurationError(reason)
            given = found
        if given is None:
            usual = self.content.implementations.get(component, {})
            given = next(iter(usual if component not in CONFIGURATIONS else known), None)
        if given is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", given):
            reason = f"{given!r} cannot be the name of an implementation or a namespace."
            raise ConfigurationError(reason, hint="It is an identifier, of ASCII letters, digits and underscores.")
        if component not in CONFIGURATIONS and given not in known:
            raise UnknownVersionError(f"{component} implementation", given, sorted(known))
        return given

    def _schema_file(self, version: str) -> Path:
        folder = self.content.schemas / self.version.component / self.version.implementation
        suffix = f"{version}.yaml" if self.version.component in CONFIGURATIONS else f"{module_name(version)}.py"
        return folder / suffix

    def _start(self, given: str | None, known: Sequence[str]) -> ComponentVersion | None:
        version = self.version
        if given is not None and given not in known:
            reason = f"There is no {version.component} {version.implementation} {given} to begin from."
            raise ConfigurationError(reason, hint=f"Known: {', '.join(known) or 'none'}.")
        if not known:
            if version.component in CONFIGURATIONS:
                return None
            reason = f"There is no version of {version.component} {version.implementation} to begin from."
            raise ConfigurationError(reason)
        if version_key(version.version) <= version_key(known[-1]):
            reason = f"{version} is not newer than {known[-1]}, the newest version there is."
            raise ConfigurationError(reason)
        start = ComponentVersion(version.component, version.implementation, given or known[-1])
        before = self.history.of(start)
        if before is None:
            reason = f"No revision leads to {start}, so none can begin there."
            raise ConfigurationError(reason)
        ours = self.rewritten.id if self.rewritten is not None else None
        other = next((r for r in self.history.revisions.values() if r.down == before.id and r.id != ours), None)
        if other is not None:
            reason = f"A step begins at {start} already: {_shown(self.content, other.path)}."
            raise ConfigurationError(reason)
        return start

    def _check_universe(self) -> None:
        version = self.version
        if version.component not in CONFIGURATIONS:
            return
        if self.universe is None and not self.schema.exists():
            reason = f"A new version of {version.component} needs its universe."
            raise ConfigurationError(reason, hint="Name the YAML file with --universe.")
        config = self.universe if self.universe is not None else self.catalog.universe_config(version)
        self.universe = config
        if str(config.get("version")) != version.version:
            reason = f"The universe file is version {config.get('version')}, not {version.version}."
            raise ConfigurationError(reason)
        if self.start is not None and int(version.version) != int(self.start.version) + 1:
            reason = f"The universe after {self.start.version} is {int(self.start.version) + 1}, not {version.version}."
            raise ConfigurationError(reason)

    # -- files ------------------------------------------------------------

    def files(self) -> dict[Path, str]:
        """Return the text of every file to be written, by path."""
        result: dict[Path, str] = {}
        if not self.schema.exists():
            result[self.schema] = self.universe_text if self.universe is not None else self._manager_schema()
        if self.start is None:
            self._origin(result)
            return result
        if self.schema.exists():
            unfinished = self.version.component not in CONFIGURATIONS and MARK in self.schema.read_text("utf-8")
            if unfinished:
                reason = f"{_shown(self.content, self.schema)} has something to fill in, which comes first."
                raise ConfigurationError(reason)
        finished = self.version.component in CONFIGURATIONS or self.schema.exists()
        self._step(result, finished=finished)
        return result

    def _origin(self, result: dict[Path, str]) -> None:
        """Begin a tree, or a branch of it, with a version to which no step leads."""
        version = self.version
        folder = self.content.alembic / "versions" / version.component
        root = revision_id(version.component)
        if root not in self.history.revisions:
            result[folder / "root.py"] = _ROOT.format(
                what="dimension universes", component=version.component, revision=root
            )
        several = any(r.target is not None and r.component == version.component for r in self._revisions())
        prefix = f"{version.implementation}_" if several else ""
        result[folder / f"{prefix}{_label(version.version)}.py"] = _ORIGIN.format(
            implementation=version.implementation,
            version=version.version,
            component=version.component,
            revision=self.id,
            root=root,
        )
        result.update(self._changelog("Begin"))

    def _revisions(self) -> Sequence[Revision]:
        return list(self.history.revisions.values())

    def _step(self, result: dict[Path, str], *, finished: bool) -> None:
        assert self.start is not None  # noqa: S101 (the caller has looked)
        before = self.history.of(self.start)
        assert before is not None  # noqa: S101 (looked up when the request was checked)
        work = self._compare() if finished else Work([], Way(), Way())
        what = f"the operations: finish {self.schema.name}, then run the same command again"
        if not finished:
            self.unfinished.append(what)
        self.operations = work.operations
        # The message of the first run holds when the script is written again.
        told = self.rewritten.summary if self.rewritten is not None else None
        message = self.message or told or (work.summary if finished else f"Lead to {self.version.version}")
        # Scripts of one implementation of several begin alike.
        prefix = re.sub(r"v\d.*", "", before.path.stem)
        name = f"{prefix}{_label(self.start.version)}_to_{_label(self.version.version)}_{_slug(message)}.py"
        folder = self.content.alembic / "versions" / self.version.component
        path = self.rewritten.path if self.rewritten is not None and self.message is None else folder / name
        if self.rewritten is not None and path != self.rewritten.path:
            self.removed = self.rewritten.path
        writer = Writer(self.version, self.id, before.id, message)
        result[path] = writer.script(work) if finished else writer.placeholder(what)
        if finished:
            result.update(self._changelog(message))
            self.unfinished.extend([*work.up.decisions, *(f"going back: {d}" for d in work.down.decisions)])
            rows = writer.rows(work)
            if rows and not path.with_suffix(".rows.yaml").exists():
                result[path.with_suffix(".rows.yaml")] = rows

    def _compare(self) -> Work:
        """Compare the two snapshots on both databases."""
        assert self.start is not None  # noqa: S101 (the caller has looked)
        state = self.catalog.newest_state()
        old: dict[str, Structure] = {}
        new: dict[str, Structure] = {}
        before_universe = self._config(state, self.start)
        after_universe = self._config(state, self.version)
        first, second = Universe(before_universe), Universe(after_universe)
        shared = [e.name for e in first if e.is_dimension and second.is_known(e.name)]
        dynamic = DynamicContent(
            (DatasetTables(TAGS, "tags", tuple(shared)), DatasetTables(CALIBS, "calibs", tuple(shared))),
            (RECORDS,),
            _OBSCORE if self.version.component == "obscore" else None,
        )
        fresh = Catalog(self.content)  # one that has not read the schema file yet
        for dialect in DIALECTS:
            for side, version, universe in ((old, self.start, before_universe), (new, self.version, after_universe)):
                try:
                    metadata = fresh.metadata(state.replace(version), dialect, dynamic, universe=universe)
                except (sa.exc.SQLAlchemyError, KeyError, TypeError) as error:
                    reason = f"{version} gives no tables: {' '.join(str(error).split())}"
                    raise ConfigurationError(reason) from error
                side[dialect] = from_metadata(metadata, dialect)
        return Work(list(operations_between(old, new)), way_between(old, new), way_between(new, old))

    def _config(self, state: State, version: ComponentVersion) -> Mapping[str, Any]:
        if version.component != "dimensions-config":
            return self.catalog.universe_config(state["dimensions-config"])
        if version == self.version and self.universe is not None:
            return self.universe
        return self.catalog.universe_config(version)

    def _manager_schema(self) -> str:
        """Return a schema file that builds on the one before."""
        assert self.start is not None  # noqa: S101 (managers have a version to begin from)
        path = self._schema_file(self.start.version)
        if not path.exists():
            # The version before belongs to the content that this one is laid over.
            path = _file_of(self.catalog, self.start)
        self.unfinished.append(f"{_shown(self.content, self.schema)}: what is new in the tables")
        return build_on(path, self.start, self.version, self.message)

    def _changelog(self, what: str) -> dict[Path, str]:
        """Return the changelog with an entry, if there is one and it has none."""
        path = self.content.root / "CHANGELOG.md"
        if not path.is_file():
            return {}
        text = path.read_text(encoding="utf-8")
        entry = f"- {self.version}: {as_sentence(what)}\n"
        if entry in text:
            return {}
        head = re.search(r"^## .*$", text, re.MULTILINE)
        if head is not None and re.match(r"## \[?(unreleased|next)", head[0], re.IGNORECASE):
            after = text[head.end() :].lstrip("\n")
            return {path: text[: head.end()] + "\n\n" + entry + after}
        at = head.start() if head is not None else len(text)
        start = text[:at].rstrip("\n")
        rest = f"\n{text[at:]}" if text[at:] else ""
        return {path: f"{start}\n\n## Unreleased\n\n{entry}{rest}"}


def _file_of(catalog: Catalog, version: ComponentVersion) -> Path:
    from pathlib import Path

    return Path(str(catalog.module(version).__file__))


def _is_placeholder(path: Path) -> bool:
    return f'"{SENTENCE}the operations' in path.read_text(encoding="utf-8")


def _shown(content: Content, path: Path) -> str:
    return path.relative_to(content.root).as_posix() if path.is_relative_to(content.root) else str(path)


def _label(version: str) -> str:
    return module_name(version)


def _slug(message: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    return words[:40].rpartition("_")[0] or words[:40] if len(words) > 40 else words
