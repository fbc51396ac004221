"""Commands for collections do what the client's own Python API does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.equivalence import tables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.equivalence import MakeTwins

ODD = 'u/o\'neill "%s" :x ü'


@dataclass(frozen=True)
class Step:
    """What we do, and what the client does for the same."""

    words: tuple[str, ...]
    program: str


def chain(mode: str, *words: str) -> tuple[str, ...]:
    return ("collection", "chain", mode, "{repo}", *words)


def make(kind: str, name: str, *words: str) -> tuple[str, ...]:
    return ("collection", "create", "{repo}", name, "--type", kind, *words)


STEPS = [
    Step(make("run", "silent", "--doc", ""), "registry.registerRun('silent', doc='')"),
    Step(make("run", "r", "--doc", "a run"), "registry.registerRun('r', doc='a run')"),
    Step(make("TAGGED", ODD), f"registry.registerCollection({ODD!r}, CollectionType.TAGGED)"),
    Step(
        make("calibration", "c", "--doc", 'why "not"'),
        "registry.registerCollection('c', CollectionType.CALIBRATION, doc='why \"not\"')",
    ),
    Step(make("CHAINED", "outer"), "registry.registerCollection('outer', CollectionType.CHAINED)"),
    Step(
        ("collection", "doc", "{repo}", ODD, "--set", "it's\n100 %"),
        f"registry.setCollectionDocumentation({ODD!r}, 'it\\'s\\n100 %')",
    ),
    Step(("collection", "doc", "{repo}", ODD, "--set", ""), f"registry.setCollectionDocumentation({ODD!r}, '')"),
    Step(("collection", "doc", "{repo}", "r", "--clear"), "registry.setCollectionDocumentation('r', None)"),
    # Into an empty chain, which has no positions to count on from.
    Step(chain("prepend", "outer", "r", ODD), f"butler.collections.prepend_chain('outer', ['r', {ODD!r}])"),
    Step(chain("set", "outer"), "butler.collections.redefine_chain('outer', [])"),
    Step(chain("extend", "outer", "c", "r"), "butler.collections.extend_chain('outer', ['c', 'r'])"),
    Step(
        chain("set", "outer", "r", "u/ann/chain", "r"),
        "butler.collections.redefine_chain('outer', ['r', 'u/ann/chain', 'r'])",
    ),
    Step(
        chain("prepend", "outer", ODD, "u/ann/chain"),
        f"butler.collections.prepend_chain('outer', [{ODD!r}, 'u/ann/chain'])",
    ),
    Step(chain("prepend", "outer", "c", ODD), f"butler.collections.prepend_chain('outer', ['c', {ODD!r}])"),
    Step(chain("extend", "outer", "c", "u/ann/best"), "butler.collections.extend_chain('outer', ['c', 'u/ann/best'])"),
    Step(
        chain("remove", "outer", "c", "u/ann/empty"),
        "butler.collections.remove_from_chain('outer', ['c', 'u/ann/empty'])",
    ),
    Step(
        chain("pop", "outer", "--index", "-1"),
        "registry.setCollectionChain('outer', registry.getCollectionChain('outer')[:-1])",
    ),
    Step(
        chain("flatten", "outer"),
        "registry.setCollectionChain('outer', registry.getCollectionChain('outer'), flatten=True)",
    ),
    Step(
        ("collection", "associate", "{repo}", ODD, "--dataset-type", "flat", "-c", "calib/gen-A"),
        f"registry.associate({ODD!r}, refs('flat', 'calib/gen-A'))",
    ),
    # Some of them again.
    Step(
        (
            "collection",
            "associate",
            "{repo}",
            ODD,
            "-c",
            "calib/gen-A",
            "--dataset-type",
            "*",
        ),
        f"registry.associate({ODD!r}, [r for t in registry.queryDatasetTypes() for r in refs(t, 'calib/gen-A')])",
    ),
    Step(
        (
            "collection",
            "disassociate",
            "{repo}",
            ODD,
            "--dataset-type",
            "flat",
            "--where",
            "instrument='HSC' AND detector=0",
            "--yes",
        ),
        f"registry.disassociate({ODD!r}, refs('flat', {ODD!r}, \"instrument='HSC' AND detector=0\"))",
    ),
    Step(
        ("collection", "disassociate", "{repo}", ODD, "-c", "calib/gen-A", "--yes"),
        f"registry.disassociate({ODD!r}, [r for t in registry.queryDatasetTypes() for r in refs(t, 'calib/gen-A')])",
    ),
    Step(
        ("collection", "remove", "{repo}", "u/ann/chain/empty", "--yes"),
        "registry.removeCollection('u/ann/chain/empty')",
    ),
    Step(
        ("collection", "remove", "{repo}", "LSSTCam/calib", "--yes", "--unlink"),
        "butler.collections.remove_from_chain('calib/defaults', ['LSSTCam/calib'])\n"
        "registry.removeCollection('LSSTCam/calib')",
    ),
    Step(
        ("collection", "remove", "{repo}", "u/ann/best", "--yes", "--unlink"),
        "for c in ('u/ann/chain/outer', 'outer'):\n    butler.collections.remove_from_chain(c, ['u/ann/best'])\n"
        "registry.removeCollection('u/ann/best')",
    ),
    Step(("collection", "remove", "{repo}", "outer", "--yes"), "registry.removeCollection('outer')"),
]


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--name-key",)], ids=["number", "name"])
def test_commands_do_what_the_client_does(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    for step in STEPS:
        two.we(*step.words)
        two.client(step.program)
        try:
            two.assert_same(structure=False)
        except AssertionError as error:
            message = f"after {step}: {error}"
            raise AssertionError(message) from error
    two.assert_changed()
    two.assert_same()


@pytest.mark.parametrize("options", [(), ("--name-key",)], ids=["number", "name"])
def test_a_run_is_removed_as_by_the_client(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    two.we("collection", "remove", "{repo}", "u/ann/run/1", "--unlink", "--yes")
    two.we("dataset", "trash", "empty", "{repo}", "--yes")
    two.client("butler.removeRuns(['u/ann/run/1'], unlink_from_chains=True)\nbutler._datastore.emptyTrash()")
    two.assert_changed()
    two.assert_same()


def test_a_chain_is_edited_in_all_repositories_of_the_index_as_by_the_client(twins: MakeTwins, tmp_path: Path) -> None:
    pairs = {"first one": twins(), "zweite-ü": twins("--name-key")}
    index = tmp_path / "index.yaml"
    index.write_text(yaml.safe_dump({name: str(two.ours.folder) for name, two in pairs.items()}), encoding="utf-8")
    names = list(pairs)
    others = [f"--repo={name}" for name in names[1:]]
    edits = (
        (("prepend", names[0], "u/ann/chain", "calib/gen-A", "skymaps"),
         "butler.collections.prepend_chain('u/ann/chain', ['calib/gen-A', 'skymaps'])"),
        (("remove", names[0], "u/ann/chain", "u/ann/run/1"),
         "butler.collections.remove_from_chain('u/ann/chain', ['u/ann/run/1'])"),
    )  # fmt: skip
    run = pairs["first one"].run
    environment = {"DAF_BUTLER_REPOSITORY_INDEX": str(index)}
    for words, program in edits:
        done = run("collection", "chain", *words, *others, env=environment)
        assert done.exit_code == 0, done.stderr
        for two in pairs.values():
            two.client(program)
    for two in pairs.values():
        two.assert_changed()
        two.assert_same(structure=False)
    # What one of them refuses is done in none.
    pairs["first one"].client_in_ours("registry.registerRun('x')")
    before = [tables_of(two.ours) for two in pairs.values()]
    done = run("collection", "chain", "extend", names[0], "u/ann/chain", "x", *others, env=environment)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: There is no collection 'x' in the registry of zweite-ü."), done.stderr
    assert [tables_of(two.ours) for two in pairs.values()] == before
    assert pairs["zweite-ü"].client_fails("butler.collections.extend_chain('u/ann/chain', 'x')") == (
        "MissingCollectionError"
    )
