"""Frozen data classes that travel between the layers; each can turn itself into plain JSON values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Components that every registry has, in the order in which their tables are defined.
MANAGERS = ("attributes", "dimensions", "collections", "datasets", "datastores", "opaque")
#: Components of which the version is stored in a configuration, with the attribute that holds it.
CONFIGURATIONS = {"dimensions-config": "config:dimensions.json", "obscore-config": "config:obscore.json"}
COMPONENTS = (*MANAGERS, "dimensions-config", "obscore", "obscore-config")


def to_plain(value: Any) -> Any:
    """Return a value as JSON knows it: data classes become mappings, times ISO 8601 in UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(v) for v in value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return value


@dataclass(frozen=True, slots=True)
class _Model:
    """Base of the data classes."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, keyed by field name."""
        result = to_plain(self)
        assert isinstance(result, dict)  # noqa: S101 (a data class always becomes a mapping)
        return result


@dataclass(frozen=True, slots=True)
class ComponentVersion(_Model):
    """Implementation and version of one component.

    The implementation is the class name without module, or the namespace of a configuration.
    """

    component: str
    implementation: str
    version: str

    def __str__(self) -> str:
        return f"{self.component} {self.implementation} {self.version}"


@dataclass(frozen=True, slots=True)
class State(_Model):
    """Versions of all components of a registry; a component that is absent has no entry."""

    components: Mapping[str, ComponentVersion]

    def __getitem__(self, component: str) -> ComponentVersion:
        return self.components[component]

    def get(self, component: str) -> ComponentVersion | None:
        """Return the version of a component, or `None` if the registry does not have it."""
        return self.components.get(component)

    def replace(self, *versions: ComponentVersion) -> State:
        """Return a state in which some components have other versions."""
        return State({**self.components, **{v.component: v for v in versions}})

    def without(self, component: str) -> State:
        """Return a state that lacks a component."""
        return State({k: v for k, v in self.components.items() if k != component})


@dataclass(frozen=True, slots=True)
class DatasetTables(_Model):
    """Tags or calibs table of one dimension group.

    ``dimensions`` are the required dimensions of the group, in any order.
    """

    name: str
    kind: str  # "tags" or "calibs"
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DynamicContent(_Model):
    """What a registry holds that decides which tables it has beyond its state."""

    dataset_tables: tuple[DatasetTables, ...] = ()
    record_tables: tuple[str, ...] = ()
    obscore: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Difference(_Model):
    """One difference between the structure that the versions promise and the one found.

    ``kind`` names the kind of object, ``aspect`` what of it differs (``missing``, ``unexpected``, or a property such
    as ``type``); ``drift`` is the identifier of the known drift it belongs to.
    """

    table: str
    kind: str
    name: str
    aspect: str
    expected: Any
    found: Any
    drift: str | None = None

    def __str__(self) -> str:
        where = self.kind if self.kind == "table" else f"{self.table}: {self.kind}" if self.table else self.kind
        if self.aspect in ("missing", "unexpected"):
            return f"{where} {self.name} is {self.aspect}"
        return f"{where} {self.name}: {self.aspect} is {self.found!r}, expected {self.expected!r}"


@dataclass(frozen=True, slots=True)
class Release(_Model):
    """A Butler release: the state that it makes by default, which holds since week ``since``."""

    name: str
    since: str | None
    state: State


class Judgement(enum.Enum):
    """What a known drift means."""

    HARMLESS = "harmless"
    REPAIR = "must be repaired"


@dataclass(frozen=True, slots=True)
class Drift(_Model):
    """A known drift: a difference that no version number records."""

    id: str
    summary: str
    era: str
    judgement: Judgement
    origin: str
    match: tuple[Mapping[str, Any], ...]
    dialect: str | None = None
    prepare: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentStatus(_Model):
    """What `status` says of one component."""

    component: str
    implementation: str
    version: str
    newest: str
    pending: int
    revision: str
    stamped: bool


@dataclass(frozen=True, slots=True)
class Status(_Model):
    """What `status` says of a registry."""

    registry: str
    dialect: str
    namespace: str | None
    components: tuple[ComponentStatus, ...]
    pending: tuple[str, ...]
    readers: str
    writers: str
    notes: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        """Whether nothing is pending."""
        return not self.pending


@dataclass(frozen=True, slots=True)
class Verification(_Model):
    """What `verify` found; ``notes`` hold what is no difference but worth knowing."""

    registry: str
    state: State
    tables: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    repaired: tuple[Difference, ...] = ()

    @property
    def unknown(self) -> tuple[Difference, ...]:
        """Differences that belong to no known drift."""
        return tuple(d for d in self.differences if d.drift is None)


class Direction(enum.Enum):
    """Whether a step goes to a newer or to an older version."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PlannedStep(_Model):
    """One step of a plan: a revision, run up or down.

    ``start`` or ``end`` is `None` where the component comes into or goes out of existence.
    """

    component: str
    revision: str
    direction: Direction
    start: ComponentVersion | None
    end: ComponentVersion | None
    summary: str
    options: tuple[str, ...] = ()
    loses: str | None = None
    reversible: bool = True
    closed: str | None = None

    @property
    def name(self) -> str:
        """Short name, such as ``dimensions-config daf_butler 5 -> 6``."""
        present = self.end or self.start
        implementation = present.implementation if present else ""
        start = self.start.version if self.start else "none"
        end = self.end.version if self.end else "none"
        if self.start and self.end and self.start.implementation != self.end.implementation:
            implementation, end = self.start.implementation, f"{self.end.implementation} {end}"
        return f"{self.component} {implementation} {start} -> {end}"


@dataclass(frozen=True, slots=True)
class TableWork(_Model):
    """What a step does to one table; ``rows`` and ``size_bytes`` are `None` where unknown."""

    table: str
    action: str
    lock: str
    rows: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class StepWork(_Model):
    """A planned step with its effect on tables and readers.

    ``online`` says whether it can run with ``--online``, and ``obstacles`` why not; there is no such thing on SQLite.
    """

    step: PlannedStep
    tables: tuple[TableWork, ...]
    readers: str
    writers: str
    lock_s: float | None = None
    online: bool = False
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan(_Model):
    """Ordered steps from one state to another."""

    start: State
    end: State
    steps: tuple[PlannedStep, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps


@dataclass(frozen=True, slots=True)
class MigrationReport(_Model):
    """What `migrate` did, or with ``applied`` false, would do."""

    registry: str
    plan: Plan
    work: tuple[StepWork, ...]
    repairs: tuple[Difference, ...]
    applied: bool
    warnings: tuple[str, ...] = ()
    backup: str | None = None
    elapsed_s: float | None = None
    step_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LogEntry(_Model):
    """One operation in the log of a registry."""

    when: str
    operation: str
    who: str
    tool: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stamping(_Model):
    """Revisions in ``alembic_version`` before and after stamping."""

    registry: str
    before: tuple[str, ...]
    after: tuple[str, ...]
