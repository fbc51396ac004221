"""Running the rules: selection, blocking, sorting, and content that lies over that of the package."""

from __future__ import annotations

import pytest

from registrytool.catalog import Catalog
from registrytool.check.rules import all_rules
from registrytool.check.run import check_content
from registrytool.config import Content
from registrytool.errors import ConfigurationError
from registrytool.history import History
from tests.unit.check.broken import UNIVERSES, V1_TO_V2, V2_TO_V3, Broken
from tests.unit.check.conftest import ROOT


def test_each_rule_has_its_own_code_and_says_what_it_demands() -> None:
    codes = [rule.CODE for _, rule in all_rules()]
    assert codes == sorted(set(codes))
    for name, rule in all_rules():
        assert rule.CODE.startswith("RT"), name
        assert rule.SUMMARY.endswith("."), name
        assert rule.GOOD_WAY.endswith("."), name


def test_each_rule_has_its_page_and_each_page_its_rule() -> None:
    pages = {path.stem for path in (ROOT / "docs/reference/rules").glob("*.md")}
    assert pages == {name for name, _ in all_rules()}


@pytest.mark.parametrize("name", [name for name, _ in all_rules()])
def test_the_page_of_a_rule_says_its_code_and_what_it_demands(name: str) -> None:
    rule = dict(all_rules())[name]
    path = ROOT / "docs/reference/rules" / f"{name}.md"
    if not path.exists():
        pytest.fail(f"{path} is missing")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {rule.CODE}: {name}\n")
    assert " ".join(rule.SUMMARY.split()) in " ".join(text.split())


def test_selected_rules_alone_are_run(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    assert check_content(toy.content, databases=(), select=["RT2", "cycle"]).findings == ()
    assert check_content(toy.content, databases=(), select=["rt11"]).rules[0] == "RT110"
    assert len(check_content(toy.content, databases=(), select=["missing_downgrade"]).findings) == 1


def test_ignored_rules_are_not_run(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "def downgrade(", "def backwards(")
    report = check_content(toy.content, databases=(), ignore=["RT112"])
    assert report.clean
    assert "RT112" not in report.rules


@pytest.mark.parametrize("option", ["select", "ignore"])
@pytest.mark.parametrize("code", ["RT999", "", "downgrade"])
def test_a_rule_that_does_not_exist_is_refused(option: str, code: str, toy: Broken) -> None:
    with pytest.raises(ConfigurationError, match="There is no rule"):
        check_content(toy.content, databases=(), **{option: [code]})  # type: ignore[arg-type]


def test_a_database_that_does_not_exist_is_refused(toy: Broken) -> None:
    with pytest.raises(ConfigurationError, match="There is no database oracle"):
        check_content(toy.content, databases=("oracle",))


def test_no_step_is_run_while_the_tree_is_broken(toy: Broken) -> None:
    toy.remove(V1_TO_V2)
    report = check_content(toy.content, databases=("sqlite",))
    assert [f.code for f in report.findings] == ["RT101"]
    assert "No step was run, since what was found has to be mended first." in report.notes
    assert not any(code.startswith(("RT3", "RT4")) for code in report.rules)


def test_findings_are_sorted_by_place(toy: Broken) -> None:
    toy.edit(V2_TO_V3, "depends_on = None", 'depends_on = ("x",)')
    toy.edit(V2_TO_V3, "branch_labels = None", 'branch_labels = ("x",)')
    toy.edit(V1_TO_V2, "depends_on = None", 'depends_on = ("x",)')
    findings = toy.check().findings
    assert [(f.path, f.code) for f in findings] == [(V1_TO_V2, "RT109"), (V2_TO_V3, "RT108"), (V2_TO_V3, "RT109")]


# -- content that lies over that of the package -------------------------------------


def test_content_without_a_list_of_implementations_adds_to_that_of_the_package(toy: Broken) -> None:
    catalog = Catalog(toy.content)
    assert catalog.versions["dimensions-config"]["toy"] == ("1", "2", "3")
    assert catalog.versions["collections"] == Catalog.find().versions["collections"]
    assert str(catalog.newest_state()["dimensions-config"]) == "dimensions-config toy 3"
    ours, all_of_them = (set(History(c).revisions) for c in (Content.find(), toy.content))
    assert len(all_of_them - ours) == 3
    assert ours < all_of_them


def test_a_version_can_be_added_to_a_universe_of_the_package(toy: Broken) -> None:
    universe = (toy.content.layers[-1].schemas / "dimensions-config/daf_butler/8.yaml").read_text()
    toy.write("schemas/dimensions-config/daf_butler/9.yaml", universe.replace("version: 8", "version: 9"))
    assert Catalog(toy.content).versions["dimensions-config"]["daf_butler"][-2:] == ("8", "9")


def test_content_with_a_list_of_implementations_stands_alone(project: Broken) -> None:
    assert project.content.below is None
    (project.root / UNIVERSES).mkdir()
    assert Catalog(project.content).versions["dimensions-config"]["toy"] == ()


def test_the_content_of_the_package_has_nothing_below() -> None:
    assert Content.find().below is None
    assert Content.find(Content.find().root).below is None
