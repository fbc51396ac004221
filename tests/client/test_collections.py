"""Commands for collections do what the client's own Python API does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
