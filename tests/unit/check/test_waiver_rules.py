"""Waivers: what they cover, and rules about them."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

import pytest

from registrytool.check.waivers import HEADER, Waiver, add_waiver, read_waivers, remove_waivers
from registrytool.errors import ConfigurationError
from tests.unit.check.broken import V2_TO_V3, Broken

if TYPE_CHECKING:
    from collections.abc import Callable

WAIVERS = "schemas/waivers.yaml"
ENTRY = """\
# Scans are gone for good.
- rule: RT112
  object: dimensions-config toy 3
  difference: no downgrade
  approval: RFC-123
  by: CCB
  when: 2026-11-01
  until: 2026-12-31
  why: nobody goes back
"""

pytestmark = pytest.mark.usefixtures("day")


@pytest.fixture
def one_way(toy: Broken) -> Broken:
    """Content with one finding, which a waiver covers."""
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    toy.write(WAIVERS, HEADER + "\n" + ENTRY)
    return toy


def test_a_waiver_covers_what_it_names(one_way: Broken) -> None:
    report = one_way.check()
    assert report.findings == ()
    assert [(w.finding.code, w.waiver.approval) for w in report.waived] == [("RT112", "RFC-123")]
    assert [w.approval for w in report.waivers_in_force] == ["RFC-123"]


@pytest.mark.parametrize("rule", ["RT112", "missing_downgrade"])
def test_a_waiver_names_a_rule_by_code_or_name(rule: str, one_way: Broken) -> None:
    one_way.edit(WAIVERS, "- rule: RT112\n  object: dimensions-config toy 3\n", f"- rule: {rule}\n")
    assert one_way.check().findings == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("difference: no downgrade", "difference: no reason"),
        ("object: dimensions-config toy 3", "object: dimensions-config toy 2"),
        ("rule: RT112", "rule: RT101"),
    ],
)
def test_a_waiver_covers_nothing_else(old: str, new: str, one_way: Broken) -> None:
    one_way.edit(WAIVERS, old, new)
    assert [f.code for f in one_way.check().findings] == ["RT112", "RT504"]


def test_an_unused_waiver_is_found(toy: Broken) -> None:
    toy.write(WAIVERS, ENTRY)
    assert toy.found() == ("RT504", WAIVERS, "- rule: RT112")


@pytest.mark.parametrize("code", ["RT205", "RT301", "RT701"])
def test_a_waiver_for_a_rule_that_did_not_run_is_not_unused(code: str, toy: Broken) -> None:
    toy.write(WAIVERS, ENTRY.replace("RT112", code))
    assert toy.check().findings == ()


def test_an_expired_waiver_is_found_and_covers_nothing(one_way: Broken, day: Callable[[str], None]) -> None:
    day("2027-01-01")
    assert [f.code for f in one_way.check().findings] == ["RT112", "RT503"]


def test_an_expired_waiver_is_not_unused_as_well(toy: Broken, day: Callable[[str], None]) -> None:
    toy.write(WAIVERS, ENTRY)
    day("2027-01-01")
    assert toy.found() == ("RT503", WAIVERS, "- rule: RT112")


def test_a_waiver_holds_on_its_last_day(one_way: Broken, day: Callable[[str], None]) -> None:
    day("2026-12-31")
    assert one_way.check().findings == ()


def test_a_waiver_of_the_future_covers_nothing_yet(one_way: Broken, day: Callable[[str], None]) -> None:
    day("2026-10-31")
    assert [f.code for f in one_way.check().findings] == ["RT112", "RT503"]


@pytest.mark.parametrize("line", ["  approval: RFC-123\n", "  by: CCB\n", "  why: nobody goes back\n"])
def test_a_waiver_without_an_explanation_is_found_and_covers_nothing(line: str, one_way: Broken) -> None:
    one_way.edit(WAIVERS, line, "")
    findings = one_way.check().findings
    assert [f.code for f in findings] == ["RT112", "RT502"]
    assert findings[1].difference == line.partition(":")[0].strip()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  until: 2026-12-31\n", ""),
        ("until: 2026-12-31", "until: some day"),
        ("until: 2026-12-31", "until: 2026-10-01"),
        ("  difference: no downgrade\n", ""),
        ("why:", "because:"),
        ("- rule: RT112\n  object: dimensions-config toy 3\n  difference", "- difference"),
    ],
)
def test_an_entry_that_is_no_waiver_is_found(old: str, new: str, toy: Broken) -> None:
    toy.write(WAIVERS, ENTRY.replace(old, new))
    code, path, _ = toy.found()
    assert (code, path) == ("RT501", WAIVERS)


@pytest.mark.parametrize("text", ["rule: RT112\n", "- RT112\n", "[\n"])
def test_a_file_that_holds_no_waivers_is_found(text: str, toy: Broken) -> None:
    toy.write(WAIVERS, text)
    assert toy.found()[:2] == ("RT501", WAIVERS)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]\n"])
def test_no_waivers_give_nothing(text: str, toy: Broken) -> None:
    toy.write(WAIVERS, text)
    assert toy.check().findings == ()


def test_findings_about_waivers_cannot_be_waived(toy: Broken) -> None:
    toy.write(WAIVERS, ENTRY)
    finding = toy.only()
    toy.append(WAIVERS, "\n" + ENTRY.replace("RT112", "RT504").replace("dimensions-config toy 3", finding.object)
               .replace("no downgrade", finding.difference))  # fmt: skip
    assert [f.code for f in toy.check().findings] == ["RT504", "RT504"]


def test_a_waived_finding_does_not_keep_steps_from_running(one_way: Broken) -> None:
    assert not any("No step was run" in note for note in one_way.check().notes)


# -- writing --------------------------------------------------------------------


def waiver(**changes: str) -> Waiver:
    values = {
        "rule": "RT112",
        "object": None,
        "difference": "no downgrade",
        "approval": "RFC-7",
        "by": "CCB",
        "why": "so",
    }
    day = {"when": datetime.date(2026, 11, 1), "until": datetime.date(2026, 12, 1)}
    return Waiver(**{**values, **day, **changes})  # type: ignore[arg-type]


def test_a_waiver_comes_back_as_it_was_written(toy: Broken) -> None:
    odd = 'a "b": # c\n- d\\ é'
    add_waiver(toy.content, waiver(difference=odd, why=odd))
    (read,) = read_waivers(toy.content).waivers
    assert (read.difference, read.why, read.until) == (odd, odd, datetime.date(2026, 12, 1))


def test_a_waiver_is_added_at_the_end_and_the_rest_stays(toy: Broken) -> None:
    toy.write(WAIVERS, HEADER + "\n" + ENTRY)
    before = (toy.root / WAIVERS).read_text()
    add_waiver(toy.content, waiver())
    assert (toy.root / WAIVERS).read_text().startswith(before)
    assert [w.approval for w in read_waivers(toy.content).waivers] == ["RFC-123", "RFC-7"]


def test_the_empty_list_gives_way_to_the_first_waiver(toy: Broken) -> None:
    toy.write(WAIVERS, HEADER + "\n[]\n")
    add_waiver(toy.content, waiver())
    assert (toy.root / WAIVERS).read_text().startswith(HEADER)
    assert len(read_waivers(toy.content).waivers) == 1


@pytest.mark.parametrize("name", ["approval", "by", "why", "difference"])
def test_a_waiver_without_an_explanation_is_not_written(name: str, toy: Broken) -> None:
    with pytest.raises(ConfigurationError, match=f"A waiver must say {name}."):
        add_waiver(toy.content, waiver(**{name: " "}))
    assert not (toy.root / WAIVERS).exists()


def test_the_same_waiver_is_not_written_twice(toy: Broken) -> None:
    add_waiver(toy.content, waiver())
    with pytest.raises(ConfigurationError, match=re.escape("There is a waiver for RT112 (no downgrade) already.")):
        add_waiver(toy.content, waiver(why="again"))


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_removing_keeps_comments_and_order(gone: int, toy: Broken) -> None:
    parts = [ENTRY.replace("RFC-123", f"RFC-{i}").replace("Scans are", f"Comment {i}:") for i in range(3)]
    toy.write(WAIVERS, HEADER + "\n" + "\n".join(parts))
    remove_waivers(toy.content, [read_waivers(toy.content).waivers[gone]])
    text = (toy.root / WAIVERS).read_text()
    assert [w.approval for w in read_waivers(toy.content).waivers] == [f"RFC-{i}" for i in range(3) if i != gone]
    assert text.startswith(HEADER)
    assert [f"Comment {i}" in text for i in range(3)] == [True, True, True]


def test_removing_all_leaves_an_empty_list(toy: Broken) -> None:
    toy.write(WAIVERS, HEADER + "\n" + ENTRY)
    remove_waivers(toy.content, read_waivers(toy.content).waivers)
    assert read_waivers(toy.content).waivers == ()
    assert (toy.root / WAIVERS).read_text().endswith("\n[]\n")
