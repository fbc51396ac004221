"""Bad input to the commands for collections, dataset types and attributes: one sentence, and nothing changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collection_changes import create_collection
from registrytool.maintain.collections import CollectionType
from registrytool.maintain.dataset_type_changes import register_dataset_type
from registrytool.repository import open_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Registry
    from tests.support.places import Run

NO_HINT = "'registrytool collection list' shows what there is."
DROP = "x'; DROP TABLE collection; --"
ODD = '"); DELETE FROM dataset -- %s :x'


def missing(name: str, hint: str = NO_HINT) -> str:
    return f"There is no collection {name!r} in the registry of {{repo}}. {hint}"


def missing_type(name: str, hint: str = "'registrytool dataset-type list' shows what there is.") -> str:
    return f"There is no dataset type {name!r} in the registry of {{repo}}. {hint}"


NAME = "A name is made of letters, digits and underscores."
SIGNS = "A name has at least one sign, and none that cannot be printed."

# What is asked, and the sentence; {repo} stands for the repository.
CASES: list[tuple[list[str], str]] = [
    (["collection", "list", "{repo}", "nope"], missing("nope")),
    (["collection", "list", "{repo}", DROP], missing(DROP)),
    (["collection", "show", "{repo}", "run_a"], missing("run_a", "Did you mean run/a or run/b?")),
    (["collection", "show", "{repo}", ODD], missing(ODD)),
    (["collection", "show", "{repo}", ""], missing("")),
    (["collection", "tree", "{repo}", "nope"], missing("nope")),
    (["collection", "create", "{repo}", "", "--type", "RUN"], f"A collection cannot have the name ''. {SIGNS}"),
    (
        ["collection", "create", "{repo}", "a\nb", "--type", "RUN"],
        f"A collection cannot have the name 'a\\nb'. {SIGNS}",
    ),
    (
        ["collection", "create", "{repo}", "run/a", "--type", "TAGGED"],
        "There is a collection 'run/a' of type RUN, and one of type TAGGED is wanted. Choose another name.",
    ),
    (
        ["collection", "create", "{repo}", "run/a", "--type", "RUN", "--doc", "other"],
        (
            "There is a collection 'run/a' with another documentation. "
            "'registrytool collection doc' sets that of a collection."
        ),
    ),
    (["collection", "doc", "{repo}", "nope", "--set", "x"], missing("nope")),
    (["collection", "doc", "{repo}", DROP], missing(DROP)),
    (["collection", "rename", "{repo}", "nope", "x"], missing("nope")),
    (["collection", "rename", "{repo}", "run/a", ""], f"A collection cannot have the name ''. {SIGNS}"),
    (
        ["collection", "rename", "{repo}", "run/a", "run/b"],
        "The collection 'run/a' cannot be renamed to 'run/b': there is a collection of that name. Choose another name.",
    ),
    (["collection", "remove", "{repo}", DROP, "--yes"], missing(DROP)),
    (
        ["collection", "remove", "{repo}", "run/a", "--yes"],
        "The collection 'run/a' is in the chains 'inner', 'outer'. With --unlink it is taken out of them.",
    ),
    (
        ["collection", "remove", "{repo}", "inner", "--yes"],
        "The collection 'inner' is in the chain 'outer'. With --unlink it is taken out of them.",
    ),
    (["collection", "chain", "set", "{repo}", "nope", "run/a"], missing("nope")),
    (["collection", "chain", "set", "{repo}", "inner", DROP], missing(DROP)),
    (
        ["collection", "chain", "extend", "{repo}", "run/a", "run/b"],
        "The collection 'run/a' is of type RUN, and one of type CHAINED is needed.",
    ),
    (["collection", "chain", "remove", "{repo}", "inner", "nope"], missing("nope")),
    (
        ["collection", "chain", "prepend", "{repo}", "inner", "inner"],
        (
            "The chain 'inner' cannot have the child 'inner', which is the chain itself. "
            "A search through it would never end."
        ),
    ),
    (
        ["collection", "chain", "extend", "{repo}", "inner", "run/b", "outer"],
        "The chain 'inner' cannot have the child 'outer', which leads to 'inner'. A search through it would never end.",
    ),
    (
        ["collection", "chain", "pop", "{repo}", "inner", "--index", "1"],
        "The chain 'inner' has 1 children, and none at place 1. Places are counted from 0, or from -1 at the end.",
    ),
    (
        ["collection", "chain", "pop", "{repo}", "empty"],
        "The chain 'empty' has 0 children, and none at place 0. Places are counted from 0, or from -1 at the end.",
    ),
    (
        ["collection", "associate", "{repo}", "run/a", "--dataset-type", "*"],
        "The collection 'run/a' is of type RUN, and one of type TAGGED is needed.",
    ),
    (["collection", "associate", "{repo}", "tags", "-c", "nope"], missing("nope")),
    (["collection", "associate", "{repo}", "tags", "--dataset-type", "bia"], missing_type("bia", "Did you mean bias?")),
    (["collection", "associate", "{repo}", "tags", "--dataset-type", DROP], missing_type(DROP)),
    (
        ["collection", "disassociate", "{repo}", "calib", "--dataset-type", "*", "--yes"],
        "The collection 'calib' is of type CALIBRATION, and one of type TAGGED is needed.",
    ),
    (["dataset-type", "list", "{repo}", "nope"], missing_type("nope")),
    (["dataset-type", "show", "{repo}", DROP], missing_type(DROP)),
    (["dataset-type", "show", "{repo}", "bia*"], missing_type("bia*", "Did you mean bias?")),
    (["dataset-type", "register", "{repo}", DROP, "Exposure"], f"A dataset type cannot have the name {DROP!r}. {NAME}"),
    (["dataset-type", "register", "{repo}", "new", DROP], f"A storage class cannot have the name {DROP!r}. {NAME}"),
    (
        ["dataset-type", "register", "{repo}", "new", "Exposure", "vist"],
        "Universe daf_butler 8 has no dimension 'vist'. Did you mean visit?",
    ),
    (
        ["dataset-type", "register", "{repo}", "new", "Image", "physical_filter", "subfilter"],
        (
            "No dataset type can have the dimensions band, instrument, physical_filter, subfilter: subfilter requires "
            "band, of which there is no column where physical_filter implies it. "
            "Leave out subfilter, or what brings physical_filter."
        ),
    ),
    (
        ["dataset-type", "register", "{repo}", "bias", "Image", "detector"],
        (
            "There is a dataset type 'bias' with another definition (dimensions instrument, detector, storage class "
            "Exposure, a calibration), and dimensions instrument, detector, storage class Image is wanted. "
            "Choose another name."
        ),
    ),
    (
        ["record", "insert", "{repo}", "skymap", "tract_max=2"],
        "Cannot write records of skymap: the skymap has no name.",
    ),
    (["dataset-type", "remove", "{repo}", "nope", "--yes"], missing_type("nope")),
    (["dataset-type", "rename", "{repo}", "nope", "x"], missing_type("nope")),
    (["dataset-type", "rename", "{repo}", "bias", "a.b"], f"A dataset type cannot have the name 'a.b'. {NAME}"),
    (
        ["dataset-type", "rename", "{repo}", "bias", "raw"],
        "The dataset type 'bias' cannot be renamed to 'raw': there is one of that name. Choose another name.",
    ),
    (["dataset-type", "set-storage-class", "{repo}", "nope", "x"], missing_type("nope")),
    (["dataset-type", "set-storage-class", "{repo}", "bias", ""], f"A storage class cannot have the name ''. {NAME}"),
    (
        ["attributes", "get", "{repo}", DROP],
        f"The registry of {{repo}} has no attribute {DROP!r}. 'registrytool attributes list' shows what there is.",
    ),
    (["attributes", "set", "{repo}", "", "x"], f"An attribute cannot have the name ''. {SIGNS}"),
    (
        ["attributes", "set", "{repo}", "version:some.Class", "1.0.0"],
        (
            "The attribute 'version:some.Class' would mean nothing to anybody. "
            "'registrytool attributes list' shows what there is."
        ),
    ),
    (
        ["attributes", "set", "{repo}", "registrytool.log.2020", "x"],
        "The attribute 'registrytool.log.2020' belongs to the log of registrytool. 'registrytool log' shows it.",
    ),
]

WRONG_USE: list[tuple[list[str], str]] = [
    (
        ["record", "list", "{repo}", "visit", "--where", "exposure_time % 2 = 1"],
        (
            "The expression 'exposure_time % 2 = 1' is wrong at position 1: exposure_time is not a whole number, which "
            "% is for (⟨here⟩exposure_time % 2 = 1). Compare it by <= and >=."
        ),
    ),
    (
        ["record", "list", "{repo}", "visit", "--where", "exposure_time IN (1..9:2)"],
        (
            "The expression 'exposure_time IN (1..9:2)' is wrong at position 1: exposure_time is not a whole number, "
            "which ranges are made of (⟨here⟩exposure_time IN (1..9:2)). Compare it by <= and >=."
        ),
    ),
    (
        # Instruments have a field of this name, but what stands alone is a dimension.
        ["dataset", "find", "{repo}", "bias", "--where", "visit_system = 2"],
        (
            "The expression 'visit_system = 2' is wrong at position 1: the dataset type 'bias' has no visit_system "
            "(⟨here⟩visit_system = 2). Did you mean instrument.visit_system?"
        ),
    ),
    (
        ["collection", "doc", "{repo}", "run/a", "--set", "x", "--clear"],
        "Both --set and --clear say what becomes of the documentation. Leave one of them out.",
    ),
    (
        ["collection", "associate", "{repo}", "tags"],
        (
            "It was not said which datasets are meant. "
            "Choose by --dataset-type, --collections, --where or --ids; --dataset-type '*' means all."
        ),
    ),
    (
        ["collection", "disassociate", "{repo}", "tags", "--yes"],
        (
            "It was not said which datasets are meant. "
            "Choose by --dataset-type, --collections, --where or --ids; --dataset-type '*' means all."
        ),
    ),
    (
        ["collection", "chain", "set", "{repo}", "inner", "--repo", "{repo}"],
        "The repository {repo} is named twice. Name each one once.",
    ),
    (
        ["collection", "tree", "{repo}", "--svg", "/nonexistent/tree.svg"],
        "Cannot write /nonexistent/tree.svg: No such file or directory. Choose another place.",
    ),
    (
        ["attributes", "set", "{repo}", "mine"],
        "One of VALUE, --file and --remove says what becomes of the attribute. Name exactly one of them.",
    ),
]


@pytest.fixture
def filled(registry: Registry) -> Registry:
    repository = open_repository(str(registry.folder), db=registry.place.url)
    for name, kind, doc in (
        ("run/a", CollectionType.RUN, "doc"),
        ("run/b", CollectionType.RUN, None),
        ("tags", CollectionType.TAGGED, None),
        ("calib", CollectionType.CALIBRATION, None),
        ("inner", CollectionType.CHAINED, None),
        ("outer", CollectionType.CHAINED, None),
        ("empty", CollectionType.CHAINED, None),
    ):
        create_collection(repository, name, kind, doc=doc)
    edit_chain(repository, ChainEdit("inner", ChainMode.SET, ("run/a",)))
    edit_chain(repository, ChainEdit("outer", ChainMode.SET, ("inner", "run/a")))
    register_dataset_type(repository, "bias", ["detector"], "Exposure", is_calibration=True)
    register_dataset_type(repository, "raw", ["exposure", "detector"], "Exposure")
    return registry


@pytest.mark.slow
def test_bad_input_gets_one_sentence_and_changes_nothing(filled: Registry, run: Run) -> None:
    before = filled.trace()
    repo = str(filled.folder)
    for exit_code, cases in ((3, CASES), (2, WRONG_USE)):
        for words, sentence in cases:
            done = run(*[repo if word == "{repo}" else word for word in words])
            assert done.stderr == f"Error: {sentence.replace('{repo}', repo)}\n", words
            assert (done.exit_code, done.stdout) == (exit_code, ""), words
    assert filled.trace() == before


def change_universe(change: Callable[[dict[str, Any]], object], registry: Registry) -> str:
    config = json.loads(registry.value("config:dimensions.json"))
    change(config)
    return json.dumps(config)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("config:dimensions.json", "{", "the attribute config:dimensions.json in the registry of {repo} is not JSON: "),
        (
            "config:dimensions.json",
            "[]",
            "the attribute config:dimensions.json in the registry of {repo} is not a JSON",
        ),
        (
            "config:dimensions.json",
            '{"version": 8}',
            "the attribute config:dimensions.json in the registry of {repo} is",
        ),
        (
            "config:obscore.json",
            "nonsense",
            "the attribute config:obscore.json in the registry of {repo} is not JSON: ",
        ),
        ("config:registry.managers.datasets", None, "the registry of {repo} does not say which class manages its data"),
        (
            "config:registry.managers.datasets",
            "os.system",
            "the registry of {repo} has datasets manager class os.system",
        ),
        (
            "version:lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
            "0.2.0",
            "the structure would not be what the versions promise (",
        ),
        (
            "version:lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
            "9.9.9",
            "the registry of {repo} has datastores MonolithicDatastoreRegistryBridgeManager 9.9.9, which",
        ),
        (
            "version:lsst.daf.butler.registry.bridge.monolithic.MonolithicDatastoreRegistryBridgeManager",
            "new",
            "the registry of {repo} says that its datastores have the version new.",
        ),
    ],
)
def test_what_would_not_be_true_is_no_value(
    name: str, value: str | None, reason: str, registry: Registry, run: Run
) -> None:
    before = registry.trace()
    done = run("attributes", "set", registry.folder, name, *(["--remove"] if value is None else [value]))
    begin = f"Error: The attribute {name!r} cannot have this value: {reason.replace('{repo}', str(registry.folder))}"
    assert done.stderr.startswith(begin), done.stderr
    assert (done.exit_code, done.stdout) == (3, "")
    assert registry.trace() == before


def test_another_universe_is_no_value(registry: Registry, run: Run) -> None:
    value = change_universe(lambda c: c["elements"]["visit"]["metadata"].pop(), registry)
    done = run("attributes", "set", registry.folder, "config:dimensions.json", value)
    assert done.exit_code == 3
    assert "cannot have this value: the structure would not be what the versions promise (visit: column" in done.stderr
    value = change_universe(lambda c: c["skypix"]["htm"].update(max_level=20), registry)
    done = run("attributes", "set", registry.folder, "config:dimensions.json", value)
    assert "the dimension universe is not daf_butler 8 as released: its configuration was modified." in done.stderr


def test_words_of_a_universe_can_change(registry: Registry, run: Run) -> None:
    value = change_universe(lambda c: c["elements"]["visit"].update(doc='it\'s a "visit"'), registry)
    done = run("attributes", "set", registry.folder, "config:dimensions.json", value, "--format", "json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["changed"] is True
    assert registry.value("config:dimensions.json") == value


def test_foreign_attributes_can_be_set_and_removed(registry: Registry, run: Run) -> None:
    assert run("attributes", "set", registry.folder, "mine: 'x' %s", "a\nb").stdout == (
        "The attribute \"mine: 'x' %s\" was set.\n"
    )
    assert run("attributes", "get", registry.folder, "mine: 'x' %s").stdout == "a\nb\n"
    assert (
        "mine: 'x' %s"
        in json.loads(run("attributes", "list", registry.folder, "--format", "json").stdout)["attributes"]
    )
    assert run("attributes", "set", registry.folder, "mine: 'x' %s", "a\nb").stdout == (
        "The attribute \"mine: 'x' %s\" has this value already.\n"
    )
    dry = run("attributes", "set", registry.folder, "mine: 'x' %s", "--remove", "--dry-run")
    assert dry.stdout == "The attribute \"mine: 'x' %s\" would be removed.\nBefore, its value was a\nb\n"
    assert run("attributes", "set", registry.folder, "mine: 'x' %s", "--remove").exit_code == 0
    assert run("attributes", "get", registry.folder, "mine: 'x' %s").exit_code == 3
