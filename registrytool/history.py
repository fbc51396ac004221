"""Revision trees: every migration script of the content, read without a database.

A revision is an Alembic script that says which version of which component it leads to::

    component, implementation, version = "dimensions-config", "daf_butler", "7"

and has ``upgrade(step)`` and, unless there is no way back, ``downgrade(step)``; ``step`` is a
`registrytool.step.Step`.  Besides Alembic's own it may have the variables ``options`` (what the user can or must set,
with help), ``loses`` (what a downgrade cannot keep), ``needs`` (versions that other components must have reached) and
``irreversible`` (why there is no downgrade). A step with which another component begins says so in ``brings``; one
after which other tables are registered has a function ``content``; what gets another name in ``butler.yaml`` is in
``configuration``. Steps from one implementation to another lie in ``alembic/switches``, beside the trees: the row in
``alembic_version`` that follows is the one of the version that they lead to.

What the gate (`registrytool.check`) must be told of a script is in
``changes`` and ``drops`` (columns, by table, whose values the upgrade converts, or does without for good; ``*`` stands
for whole rows), ``closed`` (why the repository must be closed while it runs), ``phase`` (``expand`` or ``contract``,
of a change in several steps) and ``new_keys`` (why keys get other values, in all tables that hold them).  ``computes``
says why a script of SQL cannot do what the step does (`--sql`): what it computes in Python.

Needs are not ``depends_on``, since Alembic then drops the row of the
other tree from ``alembic_version``, which the existing migration tool would take for a contradiction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ContentError
from .models import ComponentVersion, Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from .config import Content
    from .models import PlannedStep

#: The step between two configurations of the ObsCore table. Its versions are no content: the user brings them.
CONFIGURE = "obscore-config"


#: Of a change in several steps: new things beside the old ones, and the old ones gone.
PHASES = ("expand", "contract")
#: Variables of a script that are read, its functions included.
VARIABLES = (
    *("revision", "down_revision", "branch_labels", "depends_on", "component", "implementation", "version", "origin"),
    *("needs", "options", "required_options", "loses", "irreversible", "brings", "configuration", "content"),
    *("changes", "drops", "closed", "phase", "computes", "new_keys", "upgrade", "downgrade"),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One script: the step to a version.

    ``target`` is `None` for the root of a tree; ``origin`` is true for a version from which registries start, to
    which no step leads.
    """

    id: str
    down: str | None
    path: Path
    summary: str
    component: str
    target: ComponentVersion | None
    origin: bool
    reversible: bool
    needs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    required_options: tuple[str, ...] = ()
    loses: str | None = None
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drops: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    closed: str | None = None
    phase: str | None = None
    computes: str | None = None
    new_keys: str | None = None
    brings: tuple[ComponentVersion, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_switch(self) -> bool:
        """Whether it leads between implementations (``alembic/switches``): no registry is ever stamped with it."""
        return self.path.parent.parent.name == "switches"


@dataclass(frozen=True, slots=True)
class Edge:
    """A step that can be run, from one version of a component to the next; ``start`` is `None` if it begins it."""

    revision: Revision
    start: ComponentVersion | None
    end: ComponentVersion


class History:
    """All revisions of the content.

    Parameters
    ----------
    content : `Content`
        The content.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self._modules: dict[Path, ModuleType] = {}

    @cached_property
    def revisions(self) -> Mapping[str, Revision]:
        """Revisions by identifier.

        Raises
        ------
        ContentError
            A script is malformed; all that are wrong are named together.
        """
        result: dict[str, Revision] = {}
        faults = []
        for path in self.content.scripts:
            try:
                revision = self._read(path)
            except ContentError as error:
                faults.append(error.message)
                continue
            if revision.id in result:
                faults.append(f"{path} and {result[revision.id].path} have the same identifier")
            result[revision.id] = revision
        faults.extend(
            f"{r.path} leads on from {r.down}, which does not exist"
            for r in result.values()
            if r.down and r.down not in result
        )
        if circle := _circle(result):
            faults.append(f"{' and '.join(str(r.path) for r in circle)} lead on from each other")
        if faults:
            message = f"The revision tree is broken: {'; '.join(faults)}."
            raise ContentError(message)
        return result

    def revision(self, identifier: str) -> Revision:
        """Return the script of a planned step: a revision of the content, or the step between configurations."""
        if identifier == CONFIGURE:
            return self._read(Path(__file__).with_name("obscore_step.py"))
        return self.revisions[identifier]

    def script(self, identifier: str) -> ModuleType:
        """Return the script of a planned step, which is executed once."""
        return self._modules[self.revision(identifier).path]

    def function(self, planned: PlannedStep) -> Callable[[Any], None]:
        """Return what the script of a step does in its direction."""
        module = self.script(planned.revision)
        function: Callable[[Any], None] = module.upgrade if planned.direction is Direction.UP else module.downgrade
        return function

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """All scripts as Alembic reads them, for its own environment."""
        from alembic.script import ScriptDirectory

        return ScriptDirectory.from_config(alembic_config(self.content))

    def _read(self, path: Path) -> Revision:
        if path not in self._modules:
            self._modules[path] = execute_script(path)
        return revision_of(self._modules[path], path)

    def edges(self, component: str | None = None) -> Iterator[Edge]:
        """List the steps that can be run."""
        for revision in self.revisions.values():
            if component not in (None, revision.component) or revision.target is None or revision.origin:
                continue
            before = self.revisions[revision.down] if revision.down else None
            yield Edge(revision, before.target if before else None, revision.target)

    def of(self, version: ComponentVersion) -> Revision | None:
        """Return the revision that stands for a version: a switch leads to it from the side."""
        return next((r for r in self.revisions.values() if r.target == version and not r.is_switch), None)


def _circle(revisions: Mapping[str, Revision]) -> list[Revision]:
    """Return revisions that lead on from each other, in the order of their files; none if there is no circle."""
    # What leads on from nothing that is left is not part of a circle.
    left = dict(revisions)
    while ready := [r for r in left.values() if r.down not in left]:
        for revision in ready:
            del left[revision.id]
    return sorted(left.values(), key=lambda r: r.path)


def read_revision(path: Path) -> Revision:
    """Read one script.

    Raises
    ------
    ContentError
        It cannot be executed, or is not a revision.
    """
    return revision_of(execute_script(path), path)


def revision_of(module: ModuleType, path: Path) -> Revision:
    """Return what a script says of itself.

    Raises
    ------
    ContentError
        It is not a revision.
    """
    try:
        component: str = module.component
        implementation, version = getattr(module, "implementation", None), getattr(module, "version", None)
        target = ComponentVersion(component, implementation, version) if implementation and version else None
        options: Mapping[str, str] = getattr(module, "options", {})
        return Revision(
            module.revision,
            module.down_revision,
            path,
            (module.__doc__ or "").strip().partition("\n")[0].rstrip("."),
            component,
            target,
            bool(getattr(module, "origin", False)),
            hasattr(module, "downgrade") and not hasattr(module, "irreversible"),
            getattr(module, "needs", {}),
            options,
            tuple(getattr(module, "required_options", ())),
            getattr(module, "loses", None),
            {table: tuple(columns) for table, columns in getattr(module, "changes", {}).items()},
            {table: tuple(columns) for table, columns in getattr(module, "drops", {}).items()},
            getattr(module, "closed", None),
            getattr(module, "phase", None),
            getattr(module, "computes", None),
            getattr(module, "new_keys", None),
            tuple(ComponentVersion(*version) for version in getattr(module, "brings", ())),
            getattr(module, "configuration", {}),
        )
    except (AttributeError, TypeError) as error:
        message = f"{path} is not a revision: {error}"
        raise ContentError(message) from error


def execute_script(path: Path) -> ModuleType:
    """Execute a script and return its module.

    Raises
    ------
    ContentError
        It cannot be executed.
    """
    spec = spec_from_file_location(f"registrytool_revision_{path.stem}", path)
    if spec is None or spec.loader is None:
        message = f"cannot load {path}"
        raise ContentError(message)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        message = f"{path} cannot be executed: {type(error).__name__}: {error}"
        raise ContentError(message) from error
    return module


def alembic_config(content: Content) -> Config:
    """Return the configuration of Alembic for some content.

    The environment is always our own; other content brings its ``versions``.
    """
    from alembic.config import Config

    from .config import Content as _Content

    def escaped(path: Path) -> str:
        return str(path).replace("%", "%%")

    config = Config()
    config.set_main_option("script_location", escaped(_Content.find().alembic))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("recursive_version_locations", "true")
    config.set_main_option("version_locations", "\n".join(escaped(folder) for folder in content.script_folders))
    return config
