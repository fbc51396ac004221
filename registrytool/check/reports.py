"""One report in the forms that other programs read: SARIF 2.1.0, JUnit XML and annotations of GitHub."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import registrytool

from .rules import all_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .finding import Finding
    from .model import Report, Rule

#: Where the pages of the rules can be read; SARIF wants absolute addresses.
DOCUMENTATION = "https://github.com/lsst-dm/registrytool/blob/main/docs/reference/rules"
_PROJECT = "https://github.com/lsst-dm/registrytool"
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report, kind: str, folder: Path | None = None) -> str:
    """Write a report in another form.

    Parameters
    ----------
    report : `Report`
        The report.
    kind : `str`
        ``sarif``, ``junit`` or ``github``.
    folder : `pathlib.Path`, optional
        Paths are written relative to this folder, the root of the checkout; those of content elsewhere are relative
        to the content folder.  By default the current one.

    Returns
    -------
    text : `str`
        The report, without a line end.
    """
    return _RENDERINGS[kind](report, folder if folder is not None else Path.cwd())


def location(report: Report, path: str, folder: Path) -> str:
    """Return the path of a finding relative to a folder, if the content lies in it."""
    whole = Path(report.content) / path
    folder = folder.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else path


def help_uri(rule: str) -> str:
    """Return the address of the page of a rule."""
    return f"{DOCUMENTATION}/{rule}.md"


# -- SARIF ----------------------------------------------------------------------


def _sarif(report: Report, folder: Path) -> str:
    rules = [(name, rule) for name, rule in all_rules() if rule.CODE in _codes(report)]
    index = {name: number for number, (name, _) in enumerate(rules)}
    waived = [
        {**_result(report, w.finding, index, folder), "suppressions": [_suppression(w.waiver)]} for w in report.waived
    ]
    run = {
        "tool": {
            "driver": {
                "name": "registrytool",
                "version": registrytool.__version__,
                "informationUri": _PROJECT,
                "rules": [_descriptor(name, rule) for name, rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [{"level": "note", "message": {"text": n}} for n in report.notes],
            }
        ],
        "columnKind": "utf16CodeUnits",
        "results": [*(_result(report, f, index, folder) for f in report.findings), *waived],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _codes(report: Report) -> set[str]:
    """Return the codes of all rules that ran or found something."""
    return {*report.rules, *(f.code for f in report.findings), *(w.finding.code for w in report.waived)}


def _descriptor(name: str, rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.CODE,
        "name": "".join(word.capitalize() for word in name.split("_")),
        "shortDescription": {"text": rule.SUMMARY},
        "help": {"text": rule.GOOD_WAY},
        "helpUri": help_uri(name),
        "defaultConfiguration": {"level": "error"},
    }


def _result(report: Report, finding: Finding, index: Mapping[str, int], folder: Path) -> dict[str, Any]:
    # What a waiver must name identifies a finding, wherever in the file it moves.
    identity = f"{finding.code}\n{finding.object}\n{finding.difference}"
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.rule],
        "level": "error",
        "message": {"text": f"{finding.message} {finding.good_way}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(location(report, finding.path, folder))},
                    "region": {"startLine": max(finding.line, 1)},
                }
            }
        ],
        "partialFingerprints": {"registrytool/v1": hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()},
    }


def _suppression(waiver: Any) -> dict[str, Any]:
    why = f"{waiver.approval}, {waiver.by}, {waiver.when} until {waiver.until}: {waiver.why}"
    return {"kind": "external", "status": "accepted", "justification": why}


# -- JUnit ----------------------------------------------------------------------

#: What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def _junit(report: Report, folder: Path) -> str:
    findings, skipped = report.findings, report.waived
    failed = {f.rule for f in findings} | {w.finding.rule for w in skipped}
    passed = [(name, rule) for name, rule in all_rules() if rule.CODE in report.rules and name not in failed]
    numbers = {
        "tests": str(len(findings) + len(skipped) + len(passed)),
        "failures": str(len(findings)),
        "errors": "0",
    }
    suites = ET.Element("testsuites", numbers)
    suite = ET.SubElement(suites, "testsuite", {"name": "registrytool check", **numbers, "skipped": str(len(skipped))})
    for finding in findings:
        case = _testcase(suite, report, finding, folder)
        failure = ET.SubElement(case, "failure", {"message": _xml(finding.message), "type": finding.code})
        failure.text = _xml(
            f"{location(report, finding.path, folder)}:{finding.line}: {finding.message}\n{finding.good_way}\n"
            f"{help_uri(finding.rule)}"
        )
    for waived in skipped:
        case = _testcase(suite, report, waived.finding, folder)
        ET.SubElement(case, "skipped", {"message": _xml(f"waived by {waived.waiver.approval}: {waived.waiver.why}")})
    for name, rule in passed:
        ET.SubElement(suite, "testcase", {"classname": f"registrytool.{rule.CODE}", "name": name})
    if report.notes:
        ET.SubElement(suite, "system-out").text = _xml("\n".join(report.notes))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode")


def _testcase(suite: ET.Element, report: Report, finding: Finding, folder: Path) -> ET.Element:
    return ET.SubElement(
        suite,
        "testcase",
        {
            "classname": f"registrytool.{finding.code}",
            "name": _xml(f"{finding.rule}: {finding.object}"),
            # Not in the schema of Jenkins, but GitLab makes a link of it.
            "file": _xml(location(report, finding.path, folder)),
        },
    )


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


# -- GitHub -----------------------------------------------------------------------


def _github(report: Report, folder: Path) -> str:
    lines = []
    for finding in report.findings:
        place = {
            "file": location(report, finding.path, folder),
            "line": str(max(finding.line, 1)),
            "title": f"{finding.code} {finding.rule}",
        }
        lines.append(_command("error", place, f"{finding.message}\n{finding.good_way}\n{help_uri(finding.rule)}"))
    for waiver in report.waivers_in_force:
        place = {"file": location(report, "schemas/waivers.yaml", folder), "line": str(waiver.line), "title": "waiver"}
        text = f"In force until {waiver.until} by {waiver.approval} ({waiver.by}): {waiver}. {waiver.why}"
        lines.append(_command("notice", place, text))
    lines.extend(_command("notice", {"title": "registrytool check"}, note) for note in report.notes)
    return "\n".join(lines)


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    """Return a workflow command, escaped as the toolkit of GitHub does (actions/toolkit: command.ts)."""
    parts = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items()
    )
    return f"::{name} {parts}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


_RENDERINGS: Mapping[str, Callable[[Report, Path], str]] = {"sarif": _sarif, "junit": _junit, "github": _github}
