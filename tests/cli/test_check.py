"""``registrytool check`` and ``registrytool waiver``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa

from registrytool.check.lock import release
from registrytool.check.rules import all_rules
from registrytool.check.waivers import read_waivers
from tests.unit.check.broken import V1_TO_V2, V2_TO_V3, Broken
from tests.unit.check.conftest import THIRD_PARTY, copy_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.places import Run
    from tests.support.postgres import PostgresServer

LOCK = "schemas/schemas.lock"
WAIVERS = "schemas/waivers.yaml"
WAIVER = ("--rule", "RT112", "--object", "dimensions-config toy 3", "--difference", "no downgrade", "--by", "CCB",
          "--approval", "RFC-123", "--until", "2026-12-31", "--why", "so be it")  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Broken:
    import datetime

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("registrytool.check.waivers.today", lambda: datetime.date(2026, 11, 23))
    return copy_content(THIRD_PARTY, tmp_path / "toy")


@pytest.fixture
def one_way(toy: Broken) -> Broken:
    """Content with one finding."""
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    return toy


def static_rules() -> int:
    return sum(not rule.CODE.startswith(("RT205", "RT3", "RT4", "RT6", "RT7")) for _, rule in all_rules())


# -- answers --------------------------------------------------------------------


def test_check_says_that_nothing_is_wrong(toy: Broken, run: Run) -> None:
    outcome = run("check", "--content", "toy", "--static")
    assert (outcome.exit_code, outcome.stderr) == (0, "Reading the content ...\n")
    assert outcome.stdout == f"{toy.root}: {static_rules()} rules, nothing found.\n"


def test_check_runs_all_steps_on_sqlite(toy: Broken, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--select", "RT301", "--select", "RT302")
    assert outcome.exit_code == 0
    assert ": 2 rules on SQLite " in outcome.stdout


def test_check_says_what_is_wrong_and_exits_with_4(one_way: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--static")
    assert (outcome.exit_code, outcome.stderr) == (4, "")
    line = (one_way.root / V2_TO_V3).read_text().splitlines().index('revision = "18114554a6fa"') + 1
    assert f"\n RT112   {V2_TO_V3}:{line}   The step has neither a downgrade nor a reason" in outcome.stdout
    assert "RT112 missing_downgrade: Write downgrade(step); where information is lost" in outcome.stdout
    assert "    docs/reference/rules/missing_downgrade.md\n" in outcome.stdout
    assert outcome.stdout.endswith(f"{one_way.root}: {static_rules()} rules, 1 finding.\n")


def test_check_answers_in_json(one_way: Broken, run: Run) -> None:
    for words in (("--format", "json", "check"), ("check", "--format", "json"), ("check", "--report", "json")):
        outcome = run("--quiet", *words, "--content", "toy", "--static")
        answer = json.loads(outcome.stdout)
        assert outcome.exit_code == 4
        assert (answer["format_version"], answer["clean"], answer["databases"]) == (1, False, [])
        (finding,) = answer["findings"]
        assert (finding["code"], finding["path"], finding["object"]) == ("RT112", V2_TO_V3, "dimensions-config toy 3")
        assert finding["documentation"] == "docs/reference/rules/missing_downgrade.md"


def test_check_writes_reports_for_programs(one_way: Broken, run: Run) -> None:
    said = run("--quiet", "check", "--content", "toy", "--static", "--report", "sarif").stdout
    (result,) = json.loads(said)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == f"toy/{V2_TO_V3}"
    said = run("--quiet", "check", "--content", "toy", "--static", "--report", "github").stdout
    assert said.startswith(f"::error file=toy/{V2_TO_V3},line=")


def test_check_writes_a_file_and_prints_a_table(one_way: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--static", "--report", "junit", "--output", "out.xml")
    assert outcome.exit_code == 4
    assert "RT112 missing_downgrade: " in outcome.stdout
    suite = ET.parse("out.xml").getroot()[0]  # noqa: S314 (our own)
    assert suite.get("failures") == "1"


def test_check_prints_annotations_and_writes_what_the_file_is_called(one_way: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--static", "--report", "github", "--output", "out.sarif")
    assert outcome.stdout.startswith("::error file=toy/")
    assert json.loads(Path("out.sarif").read_text())["version"] == "2.1.0"


def test_check_prints_no_annotation_if_nothing_is_wrong(toy: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--static", "--report", "github")
    assert (outcome.exit_code, outcome.stdout) == (0, "")


def test_check_lists_the_rules(run: Run) -> None:
    outcome = run("check", "--rules")
    assert outcome.exit_code == 0
    assert " RT112   missing_downgrade " in outcome.stdout
    answer = json.loads(run("--format", "json", "check", "--rules").stdout)
    assert [r["code"] for r in answer["rules"]] == [rule.CODE for _, rule in all_rules()]


def test_check_of_unreleased_steps_leaves_out_those_in_the_lock(toy: Broken, run: Run) -> None:
    quick = ("--quiet", "check", "--content", "toy", "--select", "RT306", "--unreleased", "--format", "json")
    rows = V1_TO_V2.replace(".py", ".rows.yaml")
    toy.edit(rows, "{id: 2, long: false", "{id: 2, long: true")
    toy.write("schemas/waivers.yaml", "- {rule: RT301, object: x, difference: y, approval: RFC-1, by: CCB,\n"
              "   when: 2024-01-01, until: 2999-01-01, why: so}\n")  # fmt: skip
    outcome = run(*quick)
    assert {f["path"] for f in json.loads(outcome.stdout)["findings"]} == {V1_TO_V2}
    release(toy.content)
    outcome = run(*quick, "--select", "RT301", "--select", "RT504")
    assert outcome.exit_code == 0, outcome.stdout
    assert "Steps that are released were not run." in json.loads(outcome.stdout)["notes"]


# -- wrong use ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "main", "--release"), "--against and --release cannot be used together."),
        (("--client", "python", "--release"), "--client and --release cannot be used together."),
        (("--release", "--static"), "Nothing is released without having run its steps."),
        (("--output", "x"), "A file needs a form that is for files."),
        (("--select", "RT9"), "There is no rule 'RT9'."),
        (("--static", "--report", "json", "--output", "no/such/folder"), "Cannot write no/such/folder"),
    ],
)
def test_check_refuses_what_makes_no_sense(words: tuple[str, ...], message: str, toy: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", *words)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert message in outcome.stderr


def test_check_refuses_a_folder_without_content(toy: Broken, run: Run) -> None:
    outcome = run("check", "--content", "toy/schemas")
    assert outcome.exit_code == 2


# -- release ----------------------------------------------------------------------


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run no step, for tests about something else."""
    from registrytool.check import run as module

    real: Callable[..., object] = module.check_content
    monkeypatch.setattr(module, "check_content", lambda *a, **k: real(*a, **(k | {"databases": ()})))


@pytest.mark.usefixtures("no_steps")
def test_release_adds_what_is_new(toy: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--release")
    assert outcome.exit_code == 0
    assert "Released 6 files:\n" in outcome.stdout
    assert f"  {V2_TO_V3}\n" in outcome.stdout
    before = (toy.root / LOCK).read_text()
    outcome = run("--quiet", "check", "--content", "toy", "--release")
    assert outcome.stdout.endswith("There was nothing new to release.\n")
    assert (toy.root / LOCK).read_text() == before


@pytest.mark.usefixtures("no_steps")
def test_release_refuses_what_is_not_clean(one_way: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--release")
    assert (outcome.exit_code, outcome.stderr) == (4, "Nothing was released.\n")
    assert not (one_way.root / LOCK).exists()


@pytest.mark.usefixtures("no_steps")
def test_release_does_not_take_edits_of_what_is_released(toy: Broken, run: Run) -> None:
    run("--quiet", "check", "--content", "toy", "--release")
    before = (toy.root / LOCK).read_text()
    toy.edit(V2_TO_V3, "The table scan is new.", "The table scan is new!")
    outcome = run("--quiet", "check", "--content", "toy", "--release")
    assert outcome.exit_code == 4
    assert "RT201" in outcome.stdout
    assert (toy.root / LOCK).read_text() == before


# -- waivers ----------------------------------------------------------------------


def test_waivers_are_added_and_printed_at_every_run(one_way: Broken, run: Run) -> None:
    outcome = run("waiver", "add", "--content", "toy", *WAIVER)
    shown = "RT112 dimensions-config toy 3 (no downgrade)"
    assert outcome.exit_code == 0
    assert outcome.stdout == f"Added to {one_way.root / WAIVERS}: {shown}, until 2026-12-31.\n"
    outcome = run("--quiet", "check", "--content", "toy", "--static")
    assert outcome.exit_code == 0
    assert outcome.stdout == (
        f"Waivers in force:\n  {shown}: RFC-123, CCB, until 2026-12-31, covers 1. so be it\n\n"
        f"{one_way.root}: {static_rules()} rules, nothing found.\n"
    )
    answer = json.loads(run("--quiet", "--format", "json", "check", "--content", "toy", "--static").stdout)
    assert [w["waiver"]["approval"] for w in answer["waived"]] == ["RFC-123"]
    assert [w["approval"] for w in answer["waivers_in_force"]] == ["RFC-123"]


def test_waivers_are_listed(one_way: Broken, run: Run) -> None:
    assert run("waiver", "list", "--content", "toy").stdout == "There are no waivers.\n"
    run("waiver", "add", "--content", "toy", *WAIVER)
    assert "2026-11-23   2026-12-31   so be it   in force" in run("waiver", "list", "--content", "toy").stdout
    answer = json.loads(run("--format", "json", "waiver", "list", "--content", "toy").stdout)
    assert answer["waivers"][0]["until"] == "2026-12-31"


@pytest.mark.parametrize("option", ["--rule", "--difference", "--approval", "--by", "--until", "--why"])
def test_a_waiver_needs_everything_where_nobody_can_be_asked(option: str, toy: Broken, run: Run) -> None:
    words = [w for w in WAIVER if w not in ("--object", "dimensions-config toy 3")]
    at = words.index(option)
    outcome = run("waiver", "add", "--content", "toy", *words[:at], *words[at + 2 :])
    assert (outcome.exit_code, outcome.stderr) == (2, f"Error: A waiver needs {option}.\n")
    assert not (toy.root / WAIVERS).exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--rule", "RT1", "There is no rule 'RT1'."),
        ("--until", "soon", "--until soon is not a day"),
        ("--until", "2026-11-01", "The waiver would have expired on 2026-11-01."),
    ],
)
def test_a_waiver_that_makes_no_sense_is_refused(option: str, value: str, message: str, toy: Broken, run: Run) -> None:
    words = list(WAIVER)
    words[words.index(option) + 1] = value
    outcome = run("waiver", "add", "--content", "toy", *words)
    assert outcome.exit_code == 2
    assert message in outcome.stderr


def test_prune_removes_what_covers_nothing_and_keeps_the_rest(one_way: Broken, run: Run) -> None:
    run("waiver", "add", "--content", "toy", *WAIVER)
    words = list(WAIVER)
    words[1], words[3] = "RT101", "something else"
    run("waiver", "add", "--content", "toy", *words)
    outcome = run("--quiet", "waiver", "prune", "--content", "toy", "--static", "--dry-run")
    assert outcome.stdout == (
        "would be removed: RT101 something else (no downgrade), covers nothing\n1 waiver would be removed.\n"
    )
    assert len(read_waivers(one_way.content).waivers) == 2
    outcome = run("--quiet", "waiver", "prune", "--content", "toy", "--static")
    assert outcome.stdout.endswith("1 waiver removed.\n")
    assert [w.rule for w in read_waivers(one_way.content).waivers] == ["RT112"]


def test_prune_keeps_waivers_of_rules_that_did_not_run(toy: Broken, run: Run) -> None:
    words = list(WAIVER)
    words[1] = "RT301"
    run("waiver", "add", "--content", "toy", *words)
    toy.edit(V1_TO_V2, "depends_on = None", 'depends_on = ("x",)')
    assert run("--quiet", "waiver", "prune", "--content", "toy").stdout == "0 waivers removed.\n"


# -- clients ------------------------------------------------------------------------


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that makes one registry that is known and one that is not."""
    from registrytool.check.client import ClientRegistry, ClientReport

    known = ClientRegistry("default", "sqlite", "known", "This is the state of w_2026_19.")
    new = ClientRegistry("other", "sqlite", "new", "The universe is new.", changes=("new table wind",))
    monkeypatch.setattr(
        "registrytool.check.client.check_client",
        lambda *_, **__: ClientReport("lsst-daf-butler 31", "/client/python", (known, new), ("A note.",)),
    )


@pytest.mark.usefixtures("client")
def test_check_compares_with_a_client(toy: Broken, run: Run) -> None:
    outcome = run("--quiet", "check", "--content", "toy", "--client", "/client/python")
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith("lsst-daf-butler 31 (/client/python)\n")
    assert " other           sqlite     new       The universe is new." in outcome.stdout
    assert "other on sqlite:\n  - new table wind\n" in outcome.stdout
    assert "RT701 unknown_client: " in outcome.stdout
    assert "Note: A note.\n" in outcome.stdout
    assert outcome.stdout.endswith(": 1 rule on sqlite, 1 finding.\n")


@pytest.mark.usefixtures("client")
def test_check_tells_programs_about_a_client(toy: Broken, run: Run) -> None:
    answer = json.loads(run("--quiet", "--format", "json", "check", "--content", "toy", "--client", "python").stdout)
    assert [r["outcome"] for r in answer["client"]["registries"]] == ["known", "new"]
    assert [(f["code"], f["difference"]) for f in answer["findings"]] == [("RT701", "new: new table wind")]


@pytest.mark.usefixtures("client")
def test_what_a_client_makes_can_be_waived(toy: Broken, run: Run) -> None:
    words = ["--rule", "RT701", "--object", "client other sqlite", "--difference", "new: new table wind", *WAIVER[6:]]
    assert run("waiver", "add", "--content", "toy", *words).exit_code == 0
    outcome = run("--quiet", "check", "--content", "toy", "--client", "/client/python")
    assert outcome.exit_code == 0
    assert run("--quiet", "check", "--content", "toy", "--static").exit_code == 0


@pytest.mark.postgresql
def test_a_client_gets_an_empty_database(
    toy: Broken, run: Run, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registrytool.check.client import ClientReport

    urls: list[str] = []

    def make(*_: object, postgresql_url: str, **__: object) -> ClientReport:
        engine = sa.create_engine(postgresql_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            extensions = connection.scalars(sa.text("SELECT extname FROM pg_extension")).all()
        assert "btree_gist" in extensions
        urls.append(postgresql_url)
        return ClientReport("lsst-daf-butler 31", "/client/python", ())

    monkeypatch.setattr("registrytool.check.client.check_client", make)
    words = ["--quiet", "check", "--content", "toy", "--client", "python", "--postgresql", postgres.admin_url]
    assert run(*words).exit_code == 0
    (url,) = urls
    assert sa.make_url(url).database != sa.make_url(postgres.admin_url).database
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        sa.create_engine(url, poolclass=sa.NullPool).connect()


@pytest.mark.usefixtures("client")
def test_a_client_without_the_server_that_is_wanted_is_refused(toy: Broken, run: Run) -> None:
    words = ["check", "--content", "toy", "--client", "python", "--postgresql", "postgresql://localhost:1/x"]
    outcome = run(*words)
    assert outcome.exit_code == 2
    assert "There is no PostgreSQL server to check with: " in outcome.stderr
