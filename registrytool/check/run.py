"""Run the rules over a content folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError, ContentError
from registrytool.progress import NullProgress, Progress

from .model import Report, Subject
from .rules import all_rules
from .waivers import Waived, read_waivers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from registrytool.config import Content

    from .client import ClientReport
    from .finding import Finding
    from .laboratory import Laboratory
    from .model import Rule
    from .waivers import Waiver

#: Rules that run steps.
_DYNAMIC = ("RT3", "RT4")
#: Rules of which findings cannot be waived: those about waivers.
_NEVER_WAIVED = "RT5"
#: Rules about the merge of branches (``--against``), and about clients (``--client``).
_OF_BRANCHES, _OF_CLIENTS = "RT6", "RT7"
_BROKEN, _UNUSED, _BROAD = "broken_content", "unused_waiver", "broad_waiver"


def check_content(
    content: Content,
    *,
    base: Content | None = None,
    postgresql_url: str | None = None,
    require_postgresql: bool = False,
    databases: Collection[str] = ("sqlite", "postgresql"),
    unreleased: bool = False,
    laboratory: Laboratory | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a content folder by all rules.

    Parameters
    ----------
    content : `Content`
        The content folder.
    base : `Content`, optional
        The content as it was, to judge what has changed since.
    postgresql_url : `str`, optional
        URL of a PostgreSQL server in which databases may be made; by default that of the environment, or programs on
        this machine.
    require_postgresql : `bool`, optional
        Whether it is a finding that PostgreSQL cannot be had.
    databases : collection of `str`, optional
        On which databases steps are run; none leaves out the rules that run steps.
    unreleased : `bool`, optional
        Whether only those steps are run that are not released yet.
    laboratory : `Laboratory`, optional
        Databases in which steps are run, kept for another run; by default some that are gone afterwards.
    select, ignore : sequence of `str`, optional
        Codes, beginnings of codes (``RT1``) or names of rules; only these, and not these.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    report : `Report`
        What was found, sorted by path, line and code.

    Raises
    ------
    ConfigurationError
        There is no such rule or database.
    """
    progress = progress or NullProgress()
    if unknown := set(databases) - {"sqlite", "postgresql"}:
        message = f"There is no database {', '.join(sorted(unknown))}; there are sqlite and postgresql."
        raise ConfigurationError(message)
    run = _Run(Subject(content, base, unreleased=unreleased), _selected(select, ignore), progress)
    run.static()
    names: tuple[str, ...] = ()
    if any(_is_dynamic(rule) for _, rule in run.rules) and databases:
        if run.blocked:
            run.notes.append("No step was run, since what was found has to be mended first.")
        else:
            names = run.dynamic(postgresql_url, databases, laboratory, require_postgresql=require_postgresql)
    return run.report(names)


def check_client_against(
    content: Content,
    client: str | Path,
    *,
    postgresql_url: str | None = None,
    require_postgresql: bool = False,
    progress: Progress | None = None,
) -> tuple[Report, ClientReport]:
    """Compare what an installed Butler client makes with the content.

    Parameters
    ----------
    content : `Content`
        The content folder.
    client : `str` or `pathlib.Path`
        Python interpreter or executable of the client.
    postgresql_url : `str`, optional
        URL of a PostgreSQL server in which databases may be made.  Without it only SQLite is used.
    require_postgresql : `bool`, optional
        Whether PostgreSQL must be tried too; without a URL the programs on this machine are run.
    progress : `Progress`, optional
        Is told what happens.

    Returns
    -------
    report : `Report`
        What the content lacks.
    made : `ClientReport`
        What the client made.

    Raises
    ------
    ConfigurationError
        There is no such client, or PostgreSQL is wanted and cannot be had.
    """
    from .client import check_client
    from .rules import unknown_client
    from .server import start_server

    subject = Subject(content)
    rules = [(name, rule) for name, rule in all_rules() if rule.CODE == unknown_client.CODE]
    run = _Run(subject, rules, progress or NullProgress())
    with contextlib.ExitStack() as stack:
        url = None
        if require_postgresql or postgresql_url is not None:
            server = stack.enter_context(start_server(postgresql_url))
            url = server.make().render_as_string(hide_password=False)
        made = check_client(client, subject.catalog, postgresql_url=url, progress=progress)
    for name, rule in rules:
        run.take(name, rule, list(unknown_client.of_client(subject, made)))
    run.notes.extend(made.notes)
    return run.report(tuple(sorted({r.dialect for r in made.registries}))), made


def idle_waivers(
    content: Content, *, databases: Collection[str] = ("sqlite", "postgresql"), progress: Progress | None = None
) -> list[Waiver]:
    """Return the waivers that have expired or cover nothing, in the order of the file."""
    report = check_content(content, databases=databases, progress=progress)
    lines = {f.line for f in report.findings if f.rule == _UNUSED}
    return [w for w in read_waivers(content).waivers if w.expired or w.line in lines]


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.path, f.line, f.code, f.message)))


def matches(rule: str, code: str, wanted: str) -> bool:
    """Return whether a rule is meant by a code, the beginning of a code, or a name."""
    return rule == wanted or code.startswith(wanted.upper())


def _selected(select: Sequence[str] | None, ignore: Sequence[str] | None) -> list[tuple[str, Rule]]:
    for wanted in (*(select or ()), *(ignore or ())):
        if not wanted or not any(matches(name, rule.CODE, wanted) for name, rule in all_rules()):
            message = f"There is no rule {wanted!r}."
            raise ConfigurationError(message, hint="'registrytool check --rules' lists them.")
    return [
        (name, rule)
        for name, rule in all_rules()
        if (not select or any(matches(name, rule.CODE, w) for w in select))
        and not any(matches(name, rule.CODE, w) for w in ignore or ())
    ]


def _can_run(rule: Rule, subject: Subject) -> bool:
    """Return whether there is what a rule compares with; a waiver for one that cannot run is not idle."""
    if rule.CODE.startswith(_OF_BRANCHES) or getattr(rule, "NEEDS_BASE", False):
        return subject.base is not None
    return not rule.CODE.startswith(_OF_CLIENTS)


def _is_dynamic(rule: Rule) -> bool:
    return rule.CODE.startswith(_DYNAMIC)


class _Run:
    """One run of the rules."""

    def __init__(self, subject: Subject, rules: list[tuple[str, Rule]], progress: Progress) -> None:
        self.subject = subject
        self.rules = rules
        self.notes: list[str] = []
        self._progress = progress
        self._waivers = read_waivers(subject.content).waivers
        self._findings: list[Finding] = []
        self._waived: list[Waived] = []
        self._ran: set[str] = set()
        self._used: set[Waiver] = set()

    def static(self) -> None:
        """Run the rules that read files; those that the selection leaves out still decide whether steps can be run."""
        self._progress.phase("Reading the content")
        chosen = {name for name, _ in self.rules}
        self.blocked = False
        for name, rule in sorted(all_rules(), key=lambda item: item[0] == _BROKEN):
            if _is_dynamic(rule) or not _can_run(rule, self.subject):
                continue
            # What the whole content says is broken has a reason, which the other rules have told already.
            found = [] if name == _BROKEN and self.blocked else self._ask(rule)
            left = [f for f in found if not self._is_waived(f)]
            if left and getattr(rule, "BLOCKS", rule.CODE.startswith("RT1")):
                self.blocked = True
            if name in chosen:
                self.take(name, rule, found)

    def dynamic(
        self,
        postgresql_url: str | None,
        databases: Collection[str],
        given: Laboratory | None,
        *,
        require_postgresql: bool,
    ) -> tuple[str, ...]:
        """Run the rules that run steps, and return the databases on which they did."""
        from .laboratory import Laboratory

        wanted = "postgresql" in databases
        own = Laboratory(postgresql_url, postgresql=wanted, require_postgresql=require_postgresql)
        with own if given is None else contextlib.nullcontext(given) as laboratory:
            self.subject.laboratory = laboratory
            for name, rule in self.rules:
                if _is_dynamic(rule):
                    self._progress.phase(f"{rule.CODE} {name}")
                    self.take(name, rule, self._ask(rule))
            if self.subject.unreleased:
                self.notes.append("Steps that are released were not run.")
            if wanted and laboratory.missing and not require_postgresql:
                self.notes.append(f"Steps were run on SQLite only: {laboratory.missing}")
            names = laboratory.databases
            self.subject.laboratory = None
        return names

    def _ask(self, rule: Rule) -> list[Finding]:
        try:
            return list(rule.check(self.subject))
        except ContentError:
            return []  # broken_content tells what could not be read, if no other rule does

    def take(self, name: str, rule: Rule, found: Iterable[Finding]) -> None:
        """Sort findings into those that are waived and those that are not."""
        self._ran |= {name, rule.CODE}
        for finding in found:
            waiver = self._is_waived(finding)
            if waiver is None:
                self._findings.append(finding)
            else:
                self._used.add(waiver)
                self._waived.append(Waived(finding, waiver))
        notes: Any = getattr(rule, "notes", None)
        if notes is not None:
            self.notes.extend(notes(self.subject))

    def _is_waived(self, finding: Finding) -> Waiver | None:
        if finding.code.startswith(_NEVER_WAIVED):
            return None
        return next((w for w in self._waivers if w.in_force and w.covers(finding)), None)

    def _known(self, name: str) -> Any:
        """Return a chosen rule by name, with what it has besides `Rule`."""
        return next((rule for other, rule in self.rules if other == name), None)

    def report(self, databases: tuple[str, ...]) -> Report:
        """Return what was found, unused waivers included."""
        in_force = tuple(w for w in self._waivers if w.in_force)
        if (rule := self._known(_BROAD)) is not None:
            self._findings.extend(rule.broad(self.subject, self._waived))
        if (rule := self._known(_UNUSED)) is not None:
            ran = self._ran
            if self.subject.unreleased:
                # What the rules about steps would find in those that were not run is not known.
                ran = ran - {word for name, found in all_rules() if _is_dynamic(found) for word in (name, found.CODE)}
            everything = {name for name, found in all_rules() if _can_run(found, self.subject)} <= ran
            # Of a rule that has not run it is not known what it would find; and what is no rule never finds anything.
            known = {word for name, found in all_rules() for word in (name, found.CODE)}
            idle = tuple(
                w
                for w in in_force
                if w not in self._used and (everything or w.rule in ran or (w.rule and w.rule not in known))
            )
            self._findings.extend(rule.unused(self.subject, idle))
        return Report(
            str(self.subject.content.root),
            tuple(rule.CODE for name, rule in self.rules if name in self._ran),
            _sorted(self._findings),
            tuple(self._waived),
            in_force,
            databases,
            tuple(self.notes),
        )
