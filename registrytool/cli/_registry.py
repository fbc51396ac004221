"""Commands on a registry: what all of them take, ask and answer in the same way."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer

from ._options import ContentFolder, Db, DryRun, Format, Namespace, OutputFormat, Repo, RepoOrNone, Yes
from ._output import answer, confirmed, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from registrytool.catalog import Catalog
    from registrytool.maintain.session import Session
    from registrytool.progress import Progress
    from registrytool.repository import Repository

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound="Callable[..., None]")

#: Options of every command on a registry, in the order of the help.
_FIRST: dict[str, Any] = {"context": typer.Context}
_CHANGING: dict[str, Any] = {"dry_run": DryRun}
_ASKING: dict[str, Any] = {"yes": Yes}
_LAST: dict[str, Any] = {"db": Db, "namespace": Namespace, "content": ContentFolder, "output": OutputFormat}


@dataclass(frozen=True)
class Registry:
    """The registry that a command is about, and how the command was told to act and to answer.

    Attributes
    ----------
    context : `typer.Context`
        Context of the command.
    repo, db, namespace : `str` or `None`
        How the user named the registry; a command can do without ``repo`` that says so.
    content : `~pathlib.Path` or `None`
        Folder of another content.
    output : `Format` or `None`
        How the answer is written.
    changing : `bool`
        Whether the command is one that can change something.
    dry_run : `bool`
        Whether to change nothing.
    yes : `bool`
        Whether not to ask.
    """

    context: typer.Context
    repo: str | None
    db: str | None
    namespace: str | None
    content: Path | None
    output: Format | None
    changing: bool = False
    dry_run: bool = False
    yes: bool = False

    @cached_property
    def repository(self) -> Repository:
        """The repository."""
        assert self.repo is not None  # noqa: S101 (such a command asks before)
        return self.open(self.repo)

    @cached_property
    def catalog(self) -> Catalog:
        """The content."""
        from registrytool.catalog import Catalog

        return Catalog.find(self.content)

    def open(self, repo: str) -> Repository:
        """Return a repository that is named in the same way."""
        from registrytool.repository import open_repository

        return open_repository(repo, db=self.db, namespace=self.namespace)

    def reading(self) -> AbstractContextManager[Session]:
        """Open the registry in a transaction that cannot write."""
        from registrytool.maintain.session import reading

        return reading(self.repository, catalog=self.catalog)

    def progress(self) -> AbstractContextManager[Any]:
        """Show the progress of an operation."""
        return progress(self.context)

    def carry_out(
        self,
        act: Callable[..., _Result],
        question: Callable[[_Result], str | None] | None = None,
        *,
        apply: Callable[[_Result, Progress], object] | None = None,
        shows_progress: bool = False,
    ) -> _Result:
        """Plan, ask, and act.

        Parameters
        ----------
        act : callable
            An operation that lacks ``dry_run``, and ``progress`` if it shows some.
        question : callable, optional
            Is given the plan; returns what to ask, or `None` if there is nothing to do.  Without it, nobody is asked.
        apply : callable, optional
            Does what was planned, and nothing else; without it, the operation plans again.
        shows_progress : `bool`, optional
            Whether the operation can be told to show progress.

        Returns
        -------
        result : object
            What was planned, with ``--dry-run`` or if there was nothing to do; else what was done.
        """
        if question is not None and (apply is not None or self.dry_run or not self.yes):
            plan = act(dry_run=True)
            asked = question(plan)
            if self.dry_run or asked is None:
                return plan
            confirmed(asked, yes=self.yes)
            if apply is not None:
                with self.progress() as shown:
                    apply(plan, shown)
                return plan
        if not shows_progress:
            return act(dry_run=self.dry_run)
        with self.progress() as shown:
            return act(dry_run=self.dry_run, progress=shown)

    def answer(self, data: Mapping[str, Any], table: Callable[[], None]) -> None:
        """Write the answer, with the registry that it is about, and whether anything was changed."""
        head: dict[str, Any] = {} if self.repo is None else {"registry": self.repository.name}
        if self.changing:
            head["dry_run"] = self.dry_run
        answer(self.context, self.output, {**head, **data}, table)


def reads(app: typer.Typer, name: str | None = None, *, optional: bool = False) -> Callable[[_Command], _Command]:
    """Make a command of a function that reads a registry, which is its first parameter, and may be optional."""
    return _command(app, name, {}, optional=optional)


def changes(app: typer.Typer, name: str | None = None, *, asks: bool = False) -> Callable[[_Command], _Command]:
    """Make a command of a function that changes a registry, with ``--dry-run``; if it asks, with ``--yes``."""
    return _command(app, name, _CHANGING | (_ASKING if asks else {}))


def _command(
    app: typer.Typer, name: str | None, more: Mapping[str, Any], *, optional: bool = False
) -> Callable[[_Command], _Command]:
    def decorate(function: _Command) -> _Command:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        kind = inspect.Parameter.KEYWORD_ONLY

        def shared(options: Mapping[str, Any], default: Any) -> list[inspect.Parameter]:
            return [inspect.Parameter(n, kind, annotation=hint, default=default) for n, hint in options.items()]

        parameters = [
            *shared(_FIRST, inspect.Parameter.empty),
            *shared({"repo": RepoOrNone if optional else Repo}, None if optional else inspect.Parameter.empty),
            *(p.replace(kind=kind, annotation=hints[p.name]) for p in own),
            *shared(more, default=False),
            *shared(_LAST, default=None),
        ]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            from registrytool.database import look_again

            mine = {p.name: values.pop(p.name) for p in own}
            call = functools.partial(function, Registry(**values, changing="dry_run" in values), **mine)
            # What only reads answers when all has been read, so that it can begin again.
            call() if more else look_again(call)

        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name)(run)
        return function

    return decorate
