"""Write the files of a new version: its schema, the step that leads to it, and the test data of the step.

What follows from comparing the two snapshots is written as code; what does not, is marked: a statement
``raise NotImplementedError("fill in: ...")``, the name ``FILL_IN`` in a schema file, or the word ``FILL_IN`` in test
data.  `registrytool.check.rules.unfinished_revision` finds every mark.
"""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .catalog import COMPONENTS, CONFIGURATIONS, Catalog
from .config import parse_yaml
from .errors import ConfigurationError, ContentError, UnknownVersionError
from .history import History
from .models import ComponentVersion, DatasetTables, DynamicContent, State, to_plain
from .naming import module_name, revision_id, shrink, version_key
from .structure import Column, Structure, Table, differences, from_metadata
from .universe import DEFAULT_NAMESPACE, Universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .config import Content
    from .history import Revision
    from .models import Difference

#: Mark of what a person has to decide.
MARK = "FILL_IN"
#: How the sentence of a mark begins where it is the argument of an exception.
SENTENCE = "fill in: "

_DIALECTS = ("sqlite", "postgresql")
_WIDTH = 110
#: How many operations a script lists; a change of a key of a dimension has dozens that are all alike.
_LISTED = 24
_TAGS, _CALIBS, _RECORDS, _LIVE = (
    "dataset_tags_00000001",
    "dataset_calibs_00000001",
    "file_datastore_records",
    "obscore",
)
#: Tables of which the name in a registry is not known beforehand, and how they are called here.
_DYNAMIC = {_TAGS: "dataset_tags_*", _CALIBS: "dataset_calibs_*", _RECORDS: "file_datastore_records"}
_OBSCORE = {"table_name": _LIVE}


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
        work = self._compare() if finished else _Work([], _Way(), _Way())
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
        writer = _Writer(self.version, self.id, before.id, message)
        result[path] = writer.script(work) if finished else writer.placeholder(what)
        if finished:
            result.update(self._changelog(message))
            self.unfinished.extend([*work.up.decisions, *(f"going back: {d}" for d in work.down.decisions)])
            rows = writer.rows(work)
            if rows and not path.with_suffix(".rows.yaml").exists():
                result[path.with_suffix(".rows.yaml")] = rows

    def _compare(self) -> _Work:
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
            (DatasetTables(_TAGS, "tags", tuple(shared)), DatasetTables(_CALIBS, "calibs", tuple(shared))),
            (_RECORDS,),
            _OBSCORE if self.version.component == "obscore" else None,
        )
        fresh = Catalog(self.content)  # one that has not read the schema file yet
        for dialect in _DIALECTS:
            for side, version, universe in ((old, self.start, before_universe), (new, self.version, after_universe)):
                try:
                    metadata = fresh.metadata(state.replace(version), dialect, dynamic, universe=universe)
                except (sa.exc.SQLAlchemyError, KeyError, TypeError) as error:
                    reason = f"{version} gives no tables: {' '.join(str(error).split())}"
                    raise ConfigurationError(reason) from error
                side[dialect] = from_metadata(metadata, dialect)
        return _Work(list(_operations(old, new)), _way(old, new), _way(new, old))

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
        return _build_on(path, self.start, self.version, self.message)

    def _changelog(self, what: str) -> dict[Path, str]:
        """Return the changelog with an entry, if there is one and it has none."""
        path = self.content.root / "CHANGELOG.md"
        if not path.is_file():
            return {}
        text = path.read_text(encoding="utf-8")
        entry = f"- {self.version}: {_sentence(what)}\n"
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


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


# -- what changes -------------------------------------------------------------


@dataclass
class _Way:
    """What one direction of a step has to do besides what follows from the structures."""

    decisions: list[str] = field(default_factory=list)
    fill: dict[str, dict[str, str]] = field(default_factory=dict)
    renames: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: list[tuple[str, tuple[str, ...], str, str]] = field(default_factory=list)  # table, keys, column, why
    lost: list[tuple[str, tuple[str, ...], str | None]] = field(default_factory=list)  # table, keys, column
    converted: list[tuple[str, str]] = field(default_factory=list)
    added: list[tuple[str, Table, Column]] = field(default_factory=list)


@dataclass
class _Work:
    """What differs between two versions."""

    operations: list[str]
    up: _Way
    down: _Way

    @property
    def summary(self) -> str:
        """A message for who gives none."""
        return _work_summary(self.operations)


def _work_summary(operations: Sequence[str]) -> str:
    firsts = [o for o in operations if re.match(r"(new table|drop table|[\w*]+: (add|drop) column)", o)]
    if not operations:
        return "Change the configuration alone"
    if len(firsts) == 1 and (match := re.match(r"([\w*]+): (add|drop) column (\w+)", firsts[0])):
        return f"{match[2].capitalize()} {match[1].replace('*', 'N')}.{match[3]}"
    if len(firsts) == 1 and (match := re.match(r"(new|drop) table (\w+)", firsts[0])):
        return f"{'Add' if match[1] == 'new' else 'Drop'} the table {match[2]}"
    tables = list(dict.fromkeys(re.findall(r"^(?:new table |drop table )?(\w+)", "\n".join(operations), re.MULTILINE)))
    return f"Change {', '.join(tables[:3])}{' and other tables' if len(tables) > 3 else ''}"


def _operations(old: Mapping[str, Structure], new: Mapping[str, Structure]) -> Iterator[str]:
    """List the operations, those that both databases share once."""
    listed: dict[tuple[str, ...], dict[str, str]] = {}
    for dialect in _DIALECTS:
        for d in differences(old[dialect], new[dialect]):
            if d.kind == "comment" or d.aspect == "comment":
                continue
            key = (d.table, d.kind, shrink(d.name, "postgresql"), d.aspect)
            listed.setdefault(key, {})[dialect] = _operation(d)
    for texts in listed.values():
        sqlite, postgresql = texts.get("sqlite"), texts.get("postgresql")
        if sqlite is not None and postgresql is not None:
            different = (
                "" if sqlite == postgresql else f"; on PostgreSQL: {postgresql.partition(': ')[2] or postgresql}"
            )
            yield f"{sqlite}{different}"
        else:
            yield f"{sqlite or postgresql} ({'SQLite' if sqlite else 'PostgreSQL'} only)"


def _operation(d: Difference) -> str:
    """Say what leads from the first structure to the second."""
    table = _DYNAMIC.get(d.table, d.table)
    where = f"{table}: " if table and d.kind != "table" else ""
    name = d.name.replace("00000001", "*")
    if d.aspect == "unexpected":
        return f"new table {name}" if d.kind == "table" else f"{where}add {d.kind} {name}, {d.found}"
    if d.aspect == "missing":
        return f"drop table {name}" if d.kind == "table" else f"{where}drop {d.kind} {name}"
    change = {("nullable", False): "becomes NOT NULL", ("nullable", True): "may be NULL"}.get((d.aspect, d.found))
    return f"{where}{d.kind} {name} {change or f'{d.aspect} {d.expected} becomes {d.found}'}"


def _way(old: Mapping[str, Structure], new: Mapping[str, Structure]) -> _Way:
    """Find what has to be decided or refused on the way from one structure to another."""
    way = _Way()
    before, after = old["sqlite"].tables, new["sqlite"].tables
    for name in before:
        if name not in after:
            way.lost.append((name, before[name].primary_key, None))
    for name, want in after.items():
        if name in before:
            _columns_on_the_way(way, before[name], want)
            _keys_on_the_way(way, before[name], want, {n for n in after if n not in before})
    return way


def _columns_on_the_way(way: _Way, have: Table, want: Table) -> None:
    name = _DYNAMIC.get(want.name, want.name)
    added = {n: c for n, c in want.columns.items() if n not in have.columns}
    dropped = {n: c for n, c in have.columns.items() if n not in want.columns}
    for column in added.values():
        way.added.append((want.name, want, column))
        like = next((n for n, c in dropped.items() if c.type == column.type), None)
        if like is not None:
            del dropped[like]
            way.renames.setdefault(want.name, {})[like] = column.name
            way.decisions.append(
                f"{name}.{like} goes and {name}.{column.name} of the same type comes: take it out of renames "
                "if that is not the same column with another name"
            )
        elif not column.nullable and column.default is None:
            way.fill.setdefault(want.name, {})[column.name] = "sa.null()"
            way.decisions.append(
                f"what {name}.{column.name} is for rows that are there: it cannot be NULL and has no default"
            )
    way.lost.extend((want.name, have.primary_key, column) for column in dropped)
    for column in want.columns.values():
        present = have.columns.get(column.name)
        if present is None:
            continue
        if present.nullable and not column.nullable:
            why = f"{{count}} records of {name} have no {column.name}, the first one is ({{first}})."
            way.refusals.append((want.name, have.primary_key, column.name, why))
        if present.type != column.type:
            _type_on_the_way(way, name, want, have.primary_key, (present, column))


def _type_on_the_way(way: _Way, name: str, table: Table, keys: tuple[str, ...], columns: tuple[Column, Column]) -> None:
    present, column = columns
    lengths = [_length(present.type), _length(column.type)]
    if None not in lengths:
        old, new = lengths
        # What other tables refer to is refused there: their columns follow.
        refers = any(column.name in fk.columns for fk in table.foreign_keys)
        if old is not None and new is not None and new < old and not refers:
            way.refusals.append((table.name, keys, column.name, f"{new}"))
        return
    way.converted.append((table.name, column.name))
    way.fill.setdefault(table.name, {})[column.name] = f'sa.column("{column.name}")'
    way.decisions.append(f"how {name}.{column.name}, {present.type}, becomes {column.type}")


def _length(kind: str) -> int | None:
    """Return how many characters a type of text can hold, `None` if it holds something else."""
    if kind in ("TEXT", "VARCHAR"):
        return 2**31
    match = re.fullmatch(r"VARCHAR\((\d+)\)", kind)
    return int(match[1]) if match else None


def _keys_on_the_way(way: _Way, have: Table, want: Table, created: set[str]) -> None:
    name = _DYNAMIC.get(want.name, want.name)
    present = {(fk.columns, fk.target, fk.target_columns) for fk in have.foreign_keys}
    for fk in want.foreign_keys:
        if (fk.columns, fk.target, fk.target_columns) in present or not set(fk.columns) <= set(have.columns):
            continue
        how = "make its rows" if fk.target in created else "refuse, or make, what is missing"
        way.decisions.append(f"({', '.join(fk.columns)}) of {name} must be in {fk.target}: {how}")
    unique = {u.columns for u in have.uniques} | {have.primary_key}
    for constraint in [u.columns for u in want.uniques] + [want.primary_key]:
        if constraint not in unique and set(constraint) <= set(have.columns):
            if set(constraint) in [set(u) for u in unique]:
                continue
            way.decisions.append(f"({', '.join(constraint)}) of {name} must be unique: refuse what is not")


# -- writing ------------------------------------------------------------------


class _Writer:
    """Writes the script of a step and its test data."""

    def __init__(self, version: ComponentVersion, revision: str, down: str, message: str) -> None:
        self.version, self.revision, self.down, self.message = version, revision, down, message

    def placeholder(self, what: str) -> str:
        """Return a script of which the operations are not known yet."""
        body = textwrap.indent(_mark(what), "    ")
        return self._assemble([], "", body, body, uses_sa=False)

    def script(self, work: _Work) -> str:
        """Return the script of a step."""
        up, down = self._function(work.up, forward=True), self._function(work.down, forward=False)
        return self._assemble(work.operations, self._variables(work), up, down, uses_sa="sa." in up + down)

    def _assemble(self, operations: Sequence[str], variables: str, up: str, down: str, *, uses_sa: bool) -> str:
        lines = [_sentence(self.message)]
        if operations:
            lines += ["", "What differs between the two versions:", ""]
            more = [f"and {len(operations) - _LISTED} more, which 'registrytool schema diff' lists"]
            for operation in operations if len(operations) <= _LISTED else [*operations[:_LISTED], *more]:
                lines += textwrap.wrap(f"- {operation}", _WIDTH, subsequent_indent="  ", break_long_words=False)
        return _SCRIPT.format(
            docstring="\n".join(lines) + ("\n" if len(lines) > 1 else ""),
            sa="\nimport sqlalchemy as sa\n" if uses_sa else "",
            component=self.version.component,
            implementation=self.version.implementation,
            version=self.version.version,
            revision=self.revision,
            down=self.down,
            variables=variables,
            upgrade=up,
            downgrade=down,
        )

    @staticmethod
    def _variables(work: _Work) -> str:
        drops: dict[str, list[str]] = {}
        for table, _, column in work.up.lost:
            drops.setdefault(table, []).append(column or "*")
        changes: dict[str, list[str]] = {}
        for table, column in work.up.converted:
            changes.setdefault(table, []).append(column)
        result = ""
        for name, tables in (("drops", drops), ("changes", changes)):
            if tables:
                items = ", ".join(
                    f'"{t}": ({", ".join(_quoted(c) for c in columns)},)' for t, columns in tables.items()
                )
                result += f"{name} = {{{items}}}\n"
        lost = [f"{t}.{c}" if c else f"the records of {t}" for t, _, c in work.down.lost if t not in _DYNAMIC]
        if lost:
            result += f"loses = {_quoted(_listed(lost))}\n"
        return f"\n{result}" if result else ""

    def _function(self, way: _Way, *, forward: bool) -> str:
        lines = [_mark(d) for d in way.decisions]
        tables = list(
            dict.fromkeys(
                [t for t, *_ in way.refusals if t not in _DYNAMIC]
                + [t for t, *_ in way.lost if t not in _DYNAMIC and not forward]
            )
        )
        lines += [f"{_variable(t)} = step.old({_old_name(t)})" for t in tables]
        for table, keys, column, why in way.refusals:
            if table not in _DYNAMIC:
                lines += _refusal(table, keys, column, why)
        if not forward:
            for table, keys, lost in way.lost:
                if table not in _DYNAMIC:
                    lines += _loss(table, keys, lost)
        lines.append(_reshape(way))
        return textwrap.indent("\n".join(lines), "    ")

    def rows(self, work: _Work) -> str:
        """Return test data: one record of each table that changes, up and down."""
        tables = {t: table for t, table, _ in work.up.added if t not in _DYNAMIC and t != _LIVE}
        if not tables or any(c.name in t.primary_key for _, t, c in work.up.added):
            return f"{_ROWS}- case: {MARK}\n  before: {{}}\n  after: {{}}\n" if work.up.decisions else ""
        cases = []
        for name, table in tables.items():
            keys = {k: _sample(table.columns[k]) for k in table.primary_key}
            given = ", ".join(f"{k}: {v}" for k, v in keys.items())
            renamed = {new: old for old, new in work.up.renames.get(name, {}).items()}
            new = [c for t, _, c in work.up.added if t == name]
            before = "".join(f", {renamed[c.name]}: {_sample(c)}" for c in new if c.name in renamed)
            after = "".join(f", {c.name}: {self._expected(work, name, c, renamed)}" for c in new)
            cases.append(
                f"- case: a record of {name} gets {_listed([c.name for c in new])}\n"
                f"  before:\n    {name}:\n      - {{{given}{before}}}\n"
                f"  after:\n    {name}:\n      - {{{given}{after}}}\n"
            )
            cases.append(
                f"- case: a record of {name} stays, going back\n  direction: down\n"
                f"  before:\n    {name}:\n      - {{{given}}}\n"
                f"  after:\n    {name}:\n      - {{{given}}}\n"
            )
        return _ROWS + "\n".join(cases)

    @staticmethod
    def _expected(work: _Work, table: str, column: Column, renamed: Mapping[str, str]) -> str:
        if column.name in renamed:
            return _sample(column)
        if column.name in work.up.fill.get(table, {}):
            return MARK
        return "null" if column.default is None else MARK


def _sample(column: Column) -> str:
    if "CHAR" in column.type or "TEXT" in column.type:
        return "00000000-0000-0000-0000-000000000001" if column.type == "CHAR(32)" else "A"
    return {"FLOAT": "1.5", "BOOLEAN": "true"}.get(column.type, "1")


def _mark(decision: str) -> str:
    """Return the statement that asks for a decision."""
    statement = f"raise NotImplementedError({_quoted(SENTENCE + decision)})"
    if len(statement) <= _WIDTH:
        return statement
    parts = textwrap.wrap(SENTENCE + decision, 100, drop_whitespace=False, break_long_words=False)
    return "raise NotImplementedError(\n" + "".join(f"    {_quoted(p)}\n" for p in parts) + ")"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _variable(table: str) -> str:
    name = re.sub(r"\W", "_", table)
    return f"{name}_" if keyword.iskeyword(name) or name in ("step", "sa") else name


def _old_name(table: str) -> str:
    if table == _LIVE:
        return 'str((step.before.dynamic.obscore or {}).get("table_name") or "obscore")'
    return _quoted(table)


def _select(table: str, keys: Sequence[str], condition: str) -> str:
    """Return a query for keys as an argument, indented, as the formatter would write it."""
    query = f"sa.select({', '.join(f'{_variable(table)}.c.{k}' for k in keys)})"
    if not condition:
        return f"    {query},"
    line = f"    {query}.where({condition}),"
    return line if len(line) <= _WIDTH + 6 else f"    {query}.where(\n        {condition}\n    ),"


def _refusal(table: str, keys: Sequence[str], column: str, why: str) -> list[str]:
    reference = f"{_variable(table)}.c.{column}"
    condition = f"{reference}.is_(None)"
    hint = f"Set {table}.{column} of these records and run the same command again."
    if why.isdigit():
        condition = f"sa.func.length({reference}) > {why}"
        hint = f"Shorten {table}.{column} of these records and run the same command again."
        why = (
            f"{{count}} records of {table} have a {column} of more than {why} characters, the first one is ({{first}})."
        )
    query = _select(table, keys, condition)
    return ["step.refuse_if(", query, f"    {_quoted(why)},", f"    {_quoted(hint)},", ")"]


def _loss(table: str, keys: Sequence[str], column: str | None) -> list[str]:
    condition, what = "", f"{{count}} records of {table}, the first one is ({{first}})"
    if column is not None:
        condition, what = f"{_variable(table)}.c.{column}.is_not(None)", f"{table}.{column} of {what}"
    return ["step.refuse_loss(", _select(table, keys, condition), f"    {_quoted(what)},", ")"]


def _reshape(way: _Way) -> str:
    arguments = []
    for name, tables in (("fill", way.fill), ("renames", way.renames)):
        texts = []
        for table, columns in tables.items():
            if table not in _DYNAMIC:
                values = (f"{_quoted(c)}: {v if name == 'fill' else _quoted(v)}" for c, v in columns.items())
                texts.append(f"{_quoted(table)}: {{{', '.join(values)}}}")
        if texts:
            arguments.append(f"{name}={{{', '.join(texts)}}}")
    if len(arguments) < 2:
        return f"step.reshape({''.join(arguments)})"
    return "step.reshape(\n" + "".join(f"    {a},\n" for a in arguments) + ")"


# -- schema files of managers -------------------------------------------------


def _build_on(path: Path, start: ComponentVersion, version: ComponentVersion, message: str | None) -> str:
    """Return a schema file that defines what another one does, with a place for what is new.

    Constants are repeated, and every function but the private ones calls that of the version before.
    """
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    doc = (ast.get_docstring(tree) or "").partition("\n")[0]
    subject = re.sub(r",?\s*$", "", doc.partition(start.version)[0]) or version.component.capitalize()
    what = message or MARK
    parts = [f'"""{subject} {version.version}: {_sentence(what[0].lower() + what[1:] if message else what)}"""']
    imports = ["from __future__ import annotations", "from typing import TYPE_CHECKING, Any"]
    constants, functions, uses_sa, types = [], [], False, set[str]()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_public_constant(node):
            text = ast.get_source_segment(source, node) or ""
            uses_sa = uses_sa or "sa." in text
            constants.append(_comment_above(source, node.lineno) + text)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args]
            if not arguments or arguments[0].arg != "registry":
                continue
            signature = ast.get_source_segment(source, node) or ""
            types |= set(re.findall(r"\b(Sequence|Mapping)\b", signature.partition(":\n")[0]))
            uses_sa = uses_sa or "sa." in ast.unparse(node.args)
            functions.append(_forwarded(node))
    parts += [imports[0], ""]
    typing = (
        "from typing import TYPE_CHECKING, Any"
        if any("Any" in f for f in functions)
        else ("from typing import TYPE_CHECKING")
    )
    parts.append(typing)
    if uses_sa:
        parts += ["", "import sqlalchemy as sa"]
    guarded = [f"    from collections.abc import {', '.join(sorted(types))}"] if types else []
    guarded += ["    from types import ModuleType", "", "    from registrytool.catalog import Builder"]
    parts += ["", "if TYPE_CHECKING:", *guarded, ""]
    parts += [
        "#: Take this line out when tables() says what is new; 'registrytool check' fails until then.",
        f'{MARK} = "what is new in the tables"',
        "",
    ]
    for constant in constants:
        parts += [constant, ""]
    parts += [
        "",
        "def _base(registry: Builder) -> ModuleType:",
        f'    return registry.version("{start.component}", "{start.implementation}", "{start.version}")',
        "",
    ]
    for function in functions:
        parts += ["", function, ""]
    text = "\n".join(parts).rstrip("\n") + "\n"
    return text.replace('"""\nfrom __future__', '"""\n\nfrom __future__')


def _is_public_constant(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(
        isinstance(t, ast.Name) and t.id.isupper() and not t.id.startswith("_") and t.id != MARK for t in targets
    )


def _comment_above(source: str, line: int) -> str:
    lines = source.splitlines()
    result: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.startswith("#"):
            break
        result.insert(0, text)
    return "".join(f"{t}\n" for t in result)


def _forwarded(node: ast.FunctionDef) -> str:
    """Return a function that calls the one of the same name of the version before."""
    positional = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    if node.args.vararg is not None:
        positional.append(f"*{node.args.vararg.arg}")
    passed = positional + [f"{a.arg}={a.arg}" for a in node.args.kwonlyargs]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    is_none = node.returns is None or ast.unparse(node.returns) == "None"
    doc = ast.get_docstring(node)
    head = f"def {node.name}({ast.unparse(node.args)}){returns}:\n" + (f'    """{doc}"""\n' if doc else "")
    call = f"    {'' if is_none else 'return '}_base(registry).{node.name}({', '.join(passed)})"
    if node.name == "tables":
        call += (
            "\n    # Here goes what is new: a table, by registry.table(...).  If a table changes, define all tables"
            "\n    # here, as the file of the version before does, instead of calling it."
        )
    return head + call


_ROWS = "# Rows before the step, and what they must be after it (docs/how-to/write-a-step.md).\n\n"

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

_SCRIPT = '''"""{docstring}"""

from __future__ import annotations

from typing import TYPE_CHECKING
{sa}
if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "{component}", "{implementation}", "{version}"

revision = "{revision}"
down_revision = "{down}"
branch_labels = None
depends_on = None
{variables}

def upgrade(step: Step) -> None:
{upgrade}


def downgrade(step: Step) -> None:
{downgrade}
'''
