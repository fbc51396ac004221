"""Claims about the commands for datasets and certifications: refusals, injection, odd names, being killed."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from registrytool.errors import RegistryConflictError
from registrytool.maintain.calibrations import certify
from registrytool.maintain.certifications import check_certifications
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collection_changes import remove_collection
from registrytool.maintain.collections import CollectionType, ensure_collection, load_collections
from registrytool.maintain.datasets import Batches, empty_run
from registrytool.maintain.datastore import store_records
from registrytool.maintain.find import Query
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.session import Session, change, reading
from registrytool.maintain.timespans import Timespan
from registrytool.maintain.transfer import copy_datasets
from tests.support import forks
from tests.support.maintain_states import INSTRUMENT, RUN, STATES, add, bias, counts, fill, types
from tests.support.registries import assert_clean, make

if TYPE_CHECKING:
    from registrytool.repository import Repository
    from tests.support.places import Place, Run

pytestmark = pytest.mark.usefixtures("odd_namespace")

DAY_NS = 86_400_000_000_000
INJECTION = "x'; DROP TABLE dataset; --"
NOBODY = "00000000-0000-7000-8000-000000000000"


def files_of(repository: Repository, number: int, *, prefix: str = "bias") -> list[Any]:
    """Put biases with files into the run, and return their identifiers."""
    assert repository.root is not None
    identifiers = add(repository, "bias", RUN, bias(*range(number)))
    rows = []
    for i, identifier in enumerate(identifiers):
        path = repository.root / prefix / f"ü {i}%41.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("a: 1", encoding="utf-8")
        rows.append(
            {
                "dataset_id": identifier,
                "path": str(path.relative_to(repository.root)),
                "formatter": "f",
                "storage_class": "s",
            }
        )
    change(repository, "store", lambda s: store_records(s, rows))
    return identifiers


def scalar(engine: sa.Engine, query: sa.Executable) -> Any:
    """Ask in a transaction of its own: one sees the sessions of one moment."""
    with engine.connect() as connection:
        return connection.scalar(query)


def everything(repository: Repository) -> dict[str, list[Any]]:
    """Return all rows."""
    with reading(repository) as session:
        return {
            name: sorted(map(repr, session.rows(sa.select(table)))) for name, table in session.metadata.tables.items()
        }


#: Words of a command, and what it must say; {run} and {id} are put in.
REFUSED: list[tuple[str, str]] = [
    ("dataset find R nonsense", "There is no dataset type 'nonsense' in the registry of"),
    ("dataset find R biass", "Did you mean bias?"),
    ("dataset find R bias -c nonsense", "There is no collection 'nonsense' in the registry of"),
    ("dataset find R bias --where detector=", "is wrong at position 10: a name, a value or '(' was expected"),
    ("dataset find R bias --where detector='x'", "detector is a number, and cannot be compared with a text"),
    ("dataset find R bias --where visit=1", "the dataset type 'bias' has no visit"),
    ("dataset find R bias --where detector.purpos='x'", "Did you mean detector.purpose or"),
    (
        "dataset find R bias --where instrument.name>5",
        "instrument.name is a text, and cannot be compared with a number",
    ),
    ("dataset find R bias --where detector", "detector is a number, and neither true nor false"),
    ("dataset find R bias --where instrument%3=0", "instrument is a text, and a number is needed"),
    ("dataset find R bias --where instrument IN (1..5)", "instrument is a text, and a number is needed"),
    (f"dataset find R bias --where {INJECTION}", "the string has no end"),
    (f"dataset find R {INJECTION}", "There is no dataset type"),
    (f"dataset find R bias -c {INJECTION}", "There is no collection"),
    (f"dataset find R bias --order-by {INJECTION}", "is not the name of a dimension or of a field of one"),
    ("dataset find R bias --order-by visit", "has no visit to sort by"),
    ("dataset find R bias --at tomorrow", "'tomorrow' is not a time."),
    ("dataset find R bias --ids /nonsense", "Cannot read the identifiers in /nonsense: No such file or directory."),
    (f"dataset show R {INJECTION}", "is not the identifier of a dataset."),
    (f"dataset show R {NOBODY}", f"There is no dataset {NOBODY} in the registry of"),
    ("dataset move R tagged bias --yes", "Datasets are put into runs, and 'tagged' is a collection of type TAGGED."),
    ("dataset copy R {run} bias", "of the data IDs"),
    ("dataset remove R --yes", "All datasets of"),
    ("dataset remove R nonsense --yes", "There is no dataset type 'nonsense'"),
    ("dataset prune R bias --yes", "Either --disassociate or --unstore says what becomes of the datasets."),
    ("dataset prune R bias --disassociate {run} --yes", "is of type RUN, and one of type TAGGED is needed."),
    ("dataset prune R bias --disassociate nonsense --yes", "There is no collection 'nonsense'"),
    ("calibration certify R calib bias", "It was not said which datasets are to be certified."),
    ("calibration certify R tagged bias -c {run}", "is of type TAGGED, and one of type CALIBRATION is needed."),
    ("calibration certify R calib note -c {run}", "Datasets of type 'note' cannot be certified"),
    ("calibration certify R calib bias -c {run} --begin 2024-01-02 --end 2024-01-01", "The time of validity is empty"),
    ("calibration certify R calib bias -c {run} --begin 2024-13-02", "'2024-13-02' is not a time"),
    ("calibration certify R calib bias -c {run},other", "Two of the datasets of type 'bias' have the data ID"),
    ("calibration certify R certified bias -c other", "has datasets of type 'bias' that are valid then"),
    ("calibration decertify R nonsense bias --yes", "There is no collection 'nonsense'"),
    (f"calibration decertify R certified bias --where {INJECTION} --yes", "the string has no end"),
    ("calibration shift R certified bias --yes", "It was not said how validity is to change."),
    ("calibration shift R certified bias --end 1971-01-01 --yes", "would never be valid."),
    ("calibration copy R nonsense x", "There is no collection 'nonsense'"),
    ("calibration copy R certified certified", "has datasets of type 'bias' that are valid then"),
    (f"calibration list R {INJECTION}", "There is no collection"),
]


def split(text: str) -> list[str]:
    """Return the words of a command: what follows an option with blanks is one word."""
    head, option, value = text.partition(" --where ")
    if not option:
        for name in (INJECTION, f"-c {INJECTION}"):
            head = head.replace(name, name.replace(" ", "\0"))
        return [word.replace("\0", " ") for word in head.split(" ")]
    yes = value.endswith(" --yes")
    return [*head.split(" "), "--where", value.removesuffix(" --yes"), *(["--yes"] if yes else [])]


def test_what_is_wrong_is_refused_in_one_sentence_and_changes_nothing(place: Place, run: Run) -> None:
    repository = make(place)
    fill(repository)
    files_of(repository, 3)
    add(repository, "bias", "other", bias(1, 2))
    certify(repository, "certified", "bias", Query(("bias",), (RUN,)), Timespan(DAY_NS * 10000))
    before = everything(repository)
    for text, sentence in REFUSED:
        words = [word.replace("{run}", RUN) for word in split(text)]
        words[words.index("R")] = str(place.folder)
        outcome = run(*words, "--db", place.url)
        assert outcome.exit_code in (2, 3), (text, outcome)
        assert outcome.stdout == "", text
        assert outcome.stderr.count("\n") == 1, (text, outcome.stderr)
        assert sentence in outcome.stderr, (text, outcome.stderr)
    assert everything(repository) == before


@pytest.mark.parametrize("state", ["old", "numbers"])
def test_every_command_works_on_older_states(state: str, place: Place, run: Run) -> None:
    repository = make(place, *STATES[state])
    fill(repository)
    identifiers = files_of(repository, 4)
    where = ("--db", place.url)
    repo = str(place.folder)

    def ask(*words: str) -> Any:
        outcome = run("--format", "json", *words, *where)
        assert outcome.exit_code == 0, outcome.stderr
        return json.loads(outcome.stdout)

    found = ask(
        "dataset", "find", repo, "bias", "-c", RUN, "--where", "detector IN (1..3) AND ingest_date > T'2020-01-01'"
    )
    assert [d["data_id"]["detector"] for d in found["datasets"]] == [1, 2, 3]
    shown = ask("dataset", "show", repo, str(identifiers[0]))
    assert (shown["run"], len(shown["files"]), shown["data_id"]) == (RUN, 1, bias(0)[0])
    assert shown["ingest_date_utc"].startswith("20")
    assert ask("calibration", "certify", repo, "c", "bias", "-c", RUN, "--begin", "2024-01-01")["new_collection"]
    assert len(ask("calibration", "decertify", repo, "c", "bias", "--begin", "2025-01-01", "--yes")["added"]) == 4
    ask("calibration", "shift", repo, "c", "bias", "--by", "3600", "--yes", "--where", "detector=2")
    times = {(c["begin_utc"], c["end_utc"]) for c in ask("calibration", "list", repo, "c")["certifications"]}
    assert times == {
        ("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-01-01T01:00:00Z", "2025-01-01T01:00:00Z"),
    }
    assert ask("calibration", "check", repo)["certifications"] == 4
    assert ask("dataset", "copy", repo, "copies", "bias", "-c", RUN)["total"] == 4
    assert ask("dataset", "move", repo, "moved", "bias", "-c", RUN, "--where", "detector > 1", "--yes")["total"] == 2
    assert ask("dataset", "remove", repo, "-c", "copies", "--yes", "--empty-trash")["trash"]["kept"] == 4
    assert ask("dataset", "prune", repo, "-c", "moved", "--unstore", "--yes")["stored"] == 2
    assert ask("dataset", "trash", "list", repo)["datastores"][0]["files"] == 2
    assert ask("dataset", "trash", "empty", repo, "--yes")["deleted"] == 2
    assert ask("dataset", "remove", repo, "bias", "--yes", "--empty-trash")["certifications"] == {"c": 4}
    assert list((place.folder / "bias").iterdir()) == []
    with reading(repository) as session:
        assert find_orphans(session, files=True).found == ()
        assert counts(session, "dataset", "dataset_location_trash") == {"dataset": 0, "dataset_location_trash": 0}
    assert_clean(repository)


def test_a_file_that_cannot_be_deleted_stays_in_the_trash(place: Place, run: Run) -> None:
    repository = make(place)
    fill(repository)
    files_of(repository, 3)
    stuck = place.folder / "bias" / "ü 1%41.yaml"
    stuck.unlink()
    stuck.mkdir()
    (place.folder / "bias" / "ü 2%41.yaml").unlink()
    outcome = run("dataset", "remove", str(place.folder), "bias", "--yes", "--empty-trash", "--db", place.url)
    assert outcome.exit_code == 4
    assert "1 file deleted, of 2 datasets." in outcome.stdout
    assert "1 file had gone already." in outcome.stdout
    assert f"Cannot delete {stuck}: it is a folder." in outcome.stdout
    stuck.rmdir()
    outcome = run("dataset", "trash", "empty", str(place.folder), "--yes", "--db", place.url)
    assert (outcome.exit_code, outcome.stdout) == (
        0,
        "0 files deleted, of 1 dataset.\n1 file had gone already.\n",
    )


def test_orphans_of_each_kind_are_found(place: Place, run: Run) -> None:
    repository = make(place)
    fill(repository)
    one, two, three, *_ = files_of(repository, 4)
    (place.folder / "bias" / "stray file").write_text("x", encoding="utf-8")
    (place.folder / "bias" / "ü 3%41.yaml").unlink()

    def spoil(session: Any) -> None:
        location, records = session.table("dataset_location"), session.table("file_datastore_records")
        session.execute(sa.delete(location).where(location.c.dataset_id.in_([one, three])))
        dataset = session.table("dataset")
        session.execute(sa.delete(dataset).where(dataset.c.id == three))
        session.execute(sa.delete(records).where(records.c.dataset_id == two))

    change(repository, "spoil", spoil)
    outcome = run("--format", "json", "dataset", "orphans", str(place.folder), "--files", "--db", place.url)
    assert outcome.exit_code == 4
    found = {o["kind"]: (o["count"], o["examples"], o["harmless"]) for o in json.loads(outcome.stdout)["found"]}
    assert found == {
        "dataset without location": (1, [str(one)], True),
        "location without record": (1, [str(two)], False),
        "record without dataset": (1, [str(three)], False),
        "record without location": (1, [str(one)], False),
        "file without record": (2, ["bias/stray file", "bias/ü 1%41.yaml"], False),
        "record without file": (1, ["bias/ü 3%41.yaml"], False),
    }


def test_overlaps_and_gaps_are_reported(place: Place, run: Run) -> None:
    repository = make(place)
    fill(repository)
    add(repository, "bias", RUN, bias(1, 2))
    for begin, end in ((0, 10), (20, 30)):
        certify(repository, "c", "bias", Query(("bias",), (RUN,)), Timespan(begin * DAY_NS, end * DAY_NS))
    with reading(repository) as session:
        assert [p.kind for p in check_certifications(session, gaps=True).problems] == ["gap", "gap"]
        assert check_certifications(session).problems == ()

    def spoil(session: Any) -> None:
        table = session.table(types(session)["bias"].calibs_table)
        columns = [c for c in table.c if c.name != "id"]
        number = session.new_ids(table.name, "id", 1)[0]
        row = sa.select(sa.literal(number), *columns).where(table.c.detector == 1).limit(1)
        session.execute(sa.insert(table).from_select(["id", *(c.name for c in columns)], row))

    change(repository, "spoil", spoil)
    outcome = run("--format", "json", "calibration", "check", str(place.folder), "c", "--db", place.url)
    assert outcome.exit_code == 4
    (problem,) = json.loads(outcome.stdout)["problems"]
    assert (problem["kind"], problem["first"]["data_id"]) == ("overlap", {"instrument": INSTRUMENT, "detector": 1})


# -- killed ------------------------------------------------------------------------------

KILLED = 6000


def killed(place: Place, words: list[str], delay_s: float) -> bool:
    """Run a command and kill it after a while; return whether it was still running."""
    process = forks.Forked(forks.registrytool, "registrytool", *words, "--db", place.url)
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    process.communicate()
    # What an earlier one has finished, a later one refuses; the last run looks at the reason.
    assert process.returncode in (0, 3, 4)
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["dataset", "remove", "R", "-c", RUN, "--yes", "--empty-trash"],
        ["dataset", "copy", "R", "copies", "-c", RUN],
        ["dataset", "move", "R", "moved", "-c", RUN, "--yes"],
        ["calibration", "certify", "R", "c", "bias", "-c", RUN],
    ],
    ids=lambda words: words[1],
)
def test_a_command_that_is_killed_leaves_nothing_half_done(words: list[str], place: Place, run: Run) -> None:
    repository = make(place)
    fill(repository, detectors=KILLED)
    files_of(repository, KILLED)
    words = [str(place.folder) if word == "R" else word for word in words]
    begun = time.monotonic()
    assert run(*words, "--dry-run", "--db", place.url).exit_code == 0
    start_s = time.monotonic() - begun
    rng = random.Random(str(words))  # noqa: S311 (no secret)
    for _ in range(3):
        killed(place, words, start_s * rng.uniform(0.5, 3))
        with reading(repository) as session:
            found = find_orphans(session)
            assert [o for o in found.found if not o.harmless] == []
            assert check_certifications(session).problems == ()
        assert_clean(repository)
    outcome = run(*words, "--db", place.url)
    # What one of the killed ones has finished is refused a second time, or there is nothing left to do.
    assert outcome.exit_code == 0 or "has datasets of type 'bias'" in outcome.stderr
    with reading(repository) as session:
        assert [o for o in find_orphans(session, files=True).found if not o.harmless and words[1] != "remove"] == []
        numbers = counts(session, "dataset", types(session)["bias"].calibs_table or "")
    expected = {"remove": (0, 0), "copy": (2 * KILLED, 0), "move": (KILLED, 0), "certify": (KILLED, KILLED)}
    assert tuple(numbers.values()) == expected[words[1]]


def test_a_run_is_emptied_in_pieces(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "FIRST", dict.fromkeys(Batches.FIRST, 500))
    monkeypatch.setattr(Batches, "LARGEST", dict.fromkeys(Batches.LARGEST, 1000))
    repository = make(place)
    fill(repository, detectors=3000)
    files_of(repository, 3000)
    seen: list[int] = []

    class Watch:
        def rows(self, table: str, done: int, total: int) -> None:
            assert (table, total) == ("dataset", 3000)
            seen.append(done)

    change(
        repository,
        "empty",
        lambda s: empty_run(s, load_collections(s)[RUN], progress=Watch()),  # type: ignore[arg-type]
    )
    assert seen[-1] == 3000
    assert len(seen) > 2
    with reading(repository) as session:
        names = ("dataset", "dataset_location", "dataset_location_trash")
        assert counts(session, *names) == {"dataset": 0, "dataset_location": 0, "dataset_location_trash": 3000}


@pytest.mark.postgresql
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_copy_shares_no_file_that_somebody_else_is_throwing_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, refused = Session.hold, threading.Event()

    def watched(self: Session, rows: sa.Select[Any], wanted: str, **more: Any) -> None:
        try:
            hold(self, rows, wanted, **more)
        except RegistryConflictError:
            refused.set()
            raise

    monkeypatch.setattr(Session, "hold", watched)
    repository = make(place)
    fill(repository)
    files_of(repository, 2)
    copying = threading.Thread(target=copy_datasets, args=(repository, Query(("bias",), (RUN,)), "copies"))
    with reading(repository) as session:
        location, trash = session.table("dataset_location"), session.table("dataset_location_trash")
    engine = sa.create_engine(place.url)
    with engine.begin() as somebody:
        names = [c.name for c in location.columns]
        somebody.execute(sa.insert(trash).from_select(names, sa.select(location)))
        somebody.execute(sa.delete(location))
        copying.start()
        assert refused.wait(30), "it did not see that they are being thrown away"
        assert copying.is_alive()
    copying.join(30)
    engine.dispose()

    with reading(repository) as session:
        dataset, records = session.table("dataset"), session.table("file_datastore_records")
        assert session.scalar(sa.select(sa.func.count()).select_from(dataset)) == 4
        assert session.scalar(sa.select(sa.func.count()).select_from(records)) == 2
        assert session.rows(sa.select(location)) == []


@pytest.mark.postgresql
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_removal_waits_for_who_changes_the_chain_with_nothing_in_hand_that_they_need(place: Place) -> None:
    repository = make(place)
    fill(repository)
    with reading(repository) as session:
        table, chains = session.table("collection"), session.table("collection_chain")
    change(repository, "make a chain", lambda s: ensure_collection(s, "chain", CollectionType.CHAINED))
    edit_chain(repository, ChainEdit("chain", ChainMode.SET, (RUN,)))
    removing = threading.Thread(target=lambda: remove_collection(repository, RUN, unlink=True))
    waiting = sa.text(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() "
        "AND application_name LIKE 'registrytool%'"
    )
    engine = sa.create_engine(place.url)
    with engine.begin() as butler:
        chain, run = (butler.scalar(sa.select(table.c.collection_id).where(table.c.name == n)) for n in ("chain", RUN))
        butler.execute(sa.select(table).where(table.c.collection_id == chain).with_for_update(key_share=True))
        removing.start()
        deadline = time.monotonic() + 30
        while not scalar(engine, waiting):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        butler.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
        butler.execute(sa.insert(chains), {"parent": chain, "position": -1, "child": run})
    removing.join(30)
    engine.dispose()
    with reading(repository) as session:
        assert set(load_collections(session)) == {"chain", "calib", "tagged"}
        assert session.rows(sa.select(chains)) == []
