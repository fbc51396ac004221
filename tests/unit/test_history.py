"""Revision trees: those of made-up content, and those of the project as Alembic itself reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from registrytool.config import Content
from registrytool.errors import ContentError
from registrytool.history import History
from registrytool.models import ComponentVersion
from registrytool.naming import revision_id
from tests.support.content_states import CATALOG, HISTORY

HISTORIES = Path(__file__).parents[1] / "data" / "histories"


def history(name: str) -> History:
    return History(Content(HISTORIES / name))


def test_a_revision_says_what_it_is() -> None:
    revision = history("roads").revisions["a00000000002"]
    assert (revision.down, revision.path.name, revision.summary) == ("a00000000001", "v1_to_v2.py", "Two")
    assert revision.target == ComponentVersion("attributes", "Plain", "2")
    assert (revision.origin, revision.reversible, revision.loses) == (False, True, "colours")
    assert revision.options == {"colour": "Any colour"}


def test_edges_are_the_steps_that_can_be_run() -> None:
    edges = [(e.start and e.start.version, e.end.version) for e in history("roads").edges("attributes")]
    assert edges == [("1", "2"), ("2", "3"), ("3", "4"), ("1", "3")]


def test_a_component_may_begin_with_a_step() -> None:
    (edge,) = history("roads").edges("obscore")
    assert (edge.start, edge.end) == (None, ComponentVersion("obscore", "Live", "1"))


def test_all_faults_of_a_broken_tree_are_named_together() -> None:
    with pytest.raises(ContentError) as caught:
        _ = history("broken").revisions
    folder = HISTORIES / "broken" / "alembic" / "versions"
    assert caught.value.message == (
        "The revision tree is broken: "
        f"{folder}/attributes/v1_again.py and {folder}/attributes/v1.py have the same identifier; "
        f"{folder}/datasets/notes.py is not a revision: module 'registrytool_revision_notes' has no attribute "
        "'component'; "
        f"{folder}/datasets/v1.py cannot be executed: RuntimeError: out of order; "
        f"{folder}/attributes/v2_to_v3.py leads on from a30000000002, which does not exist."
    )


def test_revisions_in_a_circle_are_refused() -> None:
    with pytest.raises(ContentError, match=r"v1_to_v2.py and .*v2_to_v1.py lead on from each other"):
        _ = history("circle").revisions


def test_alembic_reads_the_same_tree() -> None:
    script = HISTORY.scripts
    read = {r.revision: r.down_revision for r in script.walk_revisions()}
    assert read == {r.id: r.down for r in HISTORY.revisions.values()}


def test_alembic_finds_one_head_for_each_implementation() -> None:
    script = HISTORY.scripts
    newest = {
        revision_id(component, implementation, versions[-1])
        for component, implementations in CATALOG.versions.items()
        for implementation, versions in implementations.items()
        if HISTORY.of(ComponentVersion(component, implementation, versions[-1]))
    }
    bare_roots = {r.id for r in HISTORY.revisions.values() if r.target is None} - {
        r.down for r in HISTORY.revisions.values()
    }
    # A switch follows the version that it leaves, beside the trees.
    switches = [r for r in HISTORY.revisions.values() if r.is_switch]
    followed = {r.down for r in switches}
    assert set(script.get_heads()) == (newest - followed) | bare_roots | {r.id for r in switches}


@pytest.mark.parametrize("root", [r for r in HISTORY.revisions.values() if r.down is None], ids=lambda r: r.component)
def test_the_label_of_a_tree_is_its_component(root: object) -> None:
    from registrytool.history import Revision

    assert isinstance(root, Revision)
    script = HISTORY.scripts
    assert root.id == revision_id(root.component)
    assert root.component in script.get_revision(root.id).branch_labels


def test_labels_of_implementations_resolve_to_their_newest_version() -> None:
    script = HISTORY.scripts
    for component, implementations in CATALOG.versions.items():
        for implementation, versions in implementations.items():
            if HISTORY.of(ComponentVersion(component, implementation, versions[-1])):
                (head,) = script.get_revisions(f"{component}-{implementation}@head")
                assert head is not None
                newest = revision_id(component, implementation, versions[-1])
                assert head.revision == newest or (
                    HISTORY.revisions[head.revision].is_switch and head.down_revision == newest
                )
