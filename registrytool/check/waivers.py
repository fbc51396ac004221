"""Waivers (``schemas/waivers.yaml``): differences that the change-control board has approved.

A waiver names the one difference that it covers.  It is in force from the day of its approval to the day on which it
expires, and only if it says who approved it where, and why.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registrytool.config import read_yaml
from registrytool.errors import ConfigurationError, ContentError
from registrytool.models import to_plain

from .sources import yaml_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from registrytool.config import Content

    from .finding import Finding

#: Name of the file in ``schemas/``.
WAIVERS = "waivers.yaml"

#: What a waiver says, in the order in which it is written.
FIELDS = ("rule", "object", "difference", "approval", "by", "when", "until", "why")
_EXPLANATION = ("approval", "by", "why")

HEADER = """\
# Waivers: differences that the change-control board (CCB) has approved without a migration.  'registrytool waiver add'
# writes them, 'registrytool waiver prune' removes those that have expired or cover nothing.
#
# rule        code or name of the rule that finds it     (rule, object or both)
# object      what it is about, as the finding says
# difference  exactly what is covered, as the finding says
# approval    where the approval is on file, such as RFC-123
# by          who approved it
# when        day of the approval
# until       last day on which it holds
# why         the reason
"""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A recorded approval of one difference.

    Attributes
    ----------
    rule, object : `str` or `None`
        Code or name of the rule, and what it is about; at least one of them is given.
    difference : `str`
        The exact difference.
    approval, by, why : `str`
        Where the approval is on file, who approved, and the reason; empty if the waiver does not say.
    when, until : `datetime.date`
        First and last day.
    line : `int`
        Line in the file.
    """

    rule: str | None
    object: str | None
    difference: str
    approval: str
    by: str
    when: datetime.date
    until: datetime.date
    why: str
    line: int = 0

    def __str__(self) -> str:
        return f"{' '.join(p for p in (self.rule, self.object) if p)} ({self.difference})"

    @property
    def unexplained(self) -> tuple[str, ...]:
        """What it should say and does not."""
        return tuple(name for name in _EXPLANATION if not getattr(self, name).strip())

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return self.until < today()

    @property
    def early(self) -> bool:
        """Whether the day of its approval has not come yet."""
        return self.when > today()

    @property
    def in_force(self) -> bool:
        """Whether it covers its difference now."""
        return not (self.expired or self.early or self.unexplained)

    def covers(self, finding: Finding) -> bool:
        """Return whether it names a finding."""
        return (
            self.rule in (None, finding.code, finding.rule)
            and self.object in (None, finding.object)
            and self.difference == finding.difference
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in (*FIELDS, "line")} | {"in_force": self.in_force}


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that a waiver covers."""

    finding: Finding
    waiver: Waiver

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"finding": self.finding.to_dict(), "waiver": self.waiver.to_dict()}


@dataclass(frozen=True, slots=True)
class Waivers:
    """What the file holds; ``faults`` are lines of entries that are no waivers, with the reason."""

    waivers: tuple[Waiver, ...]
    faults: tuple[tuple[int, str], ...] = ()


def today() -> datetime.date:
    """Return the date, in UTC: a waiver expires everywhere at once."""
    return datetime.datetime.now(datetime.UTC).date()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else to_plain(value)


# -- reading ------------------------------------------------------------------


def read_waivers(content: Content) -> Waivers:
    """Read the waivers of a content folder; without the file there are none."""
    path = content.schemas / WAIVERS
    if not path.exists():
        return Waivers(())
    try:
        raw = read_yaml(path)
    except ContentError as error:
        return Waivers((), ((1, error.message.replace(str(path), "The file")),))
    if raw is None:
        return Waivers(())
    if not isinstance(raw, list):
        return Waivers((), ((1, "The file does not hold a list."),))
    line = yaml_lines(path)
    waivers, faults = [], []
    for number, item in enumerate(raw):
        try:
            waivers.append(_waiver(item, line(number)))
        except ValueError as error:
            faults.append((line(number), f"The entry is no waiver: {error}."))
    return Waivers(tuple(waivers), tuple(faults))


def _waiver(raw: Any, line: int) -> Waiver:
    if not isinstance(raw, dict):
        message = "it is not a mapping"
        raise ValueError(message)  # noqa: TRY004 (told to the user like the others)
    if unknown := [str(key) for key in raw if key not in FIELDS]:
        message = f"it says {', '.join(unknown)}, which waivers do not have"
        raise ValueError(message)
    if not (raw.get("rule") or raw.get("object")):
        message = "it names neither a rule nor an object"
        raise ValueError(message)
    if not str(raw.get("difference") or "").strip():
        message = "it does not name the difference"
        raise ValueError(message)
    when, until = (_date(raw, name) for name in ("when", "until"))
    if until < when:
        message = f"it expires on {until}, before it begins on {when}"
        raise ValueError(message)
    texts = {name: str(raw[name]) if raw.get(name) is not None else "" for name in _EXPLANATION}
    rule, about = (str(raw[name]) if raw.get(name) else None for name in ("rule", "object"))
    return Waiver(rule, about, str(raw["difference"]), when=when, until=until, line=line, **texts)


def _date(raw: Mapping[str, Any], name: str) -> datetime.date:
    value = raw.get(name)
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError:
        message = f"{name} is {value!r} and not a day such as 2026-12-31" if value else f"it does not say {name}"
        raise ValueError(message) from None


# -- writing ------------------------------------------------------------------


def add_waiver(content: Content, waiver: Waiver) -> Path:
    """Write a waiver at the end of the file; all that stands there stays as it is.

    Parameters
    ----------
    content : `Content`
        The content folder.
    waiver : `Waiver`
        The waiver.

    Returns
    -------
    path : `pathlib.Path`
        The file.

    Raises
    ------
    ConfigurationError
        The waiver is not in force, is there already, or the file is not a list.
    """
    path = content.schemas / WAIVERS
    if not waiver.rule and not waiver.object:
        message = "A waiver names a rule, an object or both."
        raise ConfigurationError(message)
    if missing := [*waiver.unexplained, *([] if waiver.difference.strip() else ["difference"])]:
        message = f"A waiver must say {', '.join(missing)}."
        raise ConfigurationError(message)
    if waiver.expired or waiver.until < waiver.when:
        message = f"The waiver would have expired on {waiver.until}."
        raise ConfigurationError(message)
    text = path.read_text(encoding="utf-8") if path.exists() else f"{HEADER}\n[]\n"
    found = read_waivers(content)
    if found.faults:
        message = f"{path} is broken in line {found.faults[0][0]}: {found.faults[0][1]}"
        raise ConfigurationError(message)
    if any((w.rule, w.object, w.difference) == (waiver.rule, waiver.object, waiver.difference) for w in found.waivers):
        message = f"There is a waiver for {waiver} already."
        raise ConfigurationError(message, hint="Edit it, or remove it first with 'registrytool waiver prune'.")
    path.write_text(_without_empty_list(text).rstrip("\n") + "\n\n" + _entry(waiver), encoding="utf-8")
    return path


def _entry(waiver: Waiver) -> str:
    lines = []
    for name in FIELDS:
        value = getattr(waiver, name)
        if value is None:
            continue
        # A JSON string is a YAML string, whatever is in it.
        text = value.isoformat() if isinstance(value, datetime.date) else json.dumps(value, ensure_ascii=False)
        lines.append(f"  {name}: {text}\n")
    return "- " + "".join(lines).removeprefix("  ")


def _without_empty_list(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if line.partition("#")[0].strip() != "[]")


def remove_waivers(content: Content, unwanted: Collection[Waiver]) -> None:
    """Remove waivers from the file; comments and the order of the others stay.

    Parameters
    ----------
    content : `Content`
        The content folder.
    unwanted : collection of `Waiver`
        Waivers as they were read from it.
    """
    import yaml

    if not unwanted:
        return
    path = content.schemas / WAIVERS
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    first = {waiver.line for waiver in unwanted}
    gone: set[int] = set()
    for node in root.value:
        start, end = node.start_mark.line, node.end_mark.line + (1 if node.end_mark.column else 0)
        if start + 1 in first:
            # The end of a node is where the next begins, comments and empty lines between them included.
            while end > start + 1 and not lines[end - 1].partition("#")[0].strip():
                end -= 1
            gone.update(range(start, end))
            if end < len(lines) and not lines[end].strip() and start and not lines[start - 1].strip():
                gone.add(end)
    kept = "".join(line for number, line in enumerate(lines) if number not in gone).rstrip("\n") + "\n"
    if len(unwanted) == len(root.value):
        kept = kept.rstrip("\n") + "\n\n[]\n"
    path.write_text(kept.lstrip("\n"), encoding="utf-8")
