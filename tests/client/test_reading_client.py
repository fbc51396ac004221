"""What reading commands show is what the client's own Python API says of the same repository."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registrytool.maintain.record_text import parse_timespan
from tests.support.equivalence import tables_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.equivalence import MakeTwins, Twins
    from tests.support.places import Dialect

#: Old keys and dates on one of the databases, new ones on the other: each question is asked in both places.
KEYS = {"sqlite": ("--name-key", "--datasets-version", "1.0.0"), "postgresql": ()}

ODD = 'u/o\'neill "%s" :x ü'

#: What is read and has not been there yet: names with wildcards, names that differ in case, chains that repeat.
PREPARED = f"""
for name in ("odd/[1]", "odd/1", "odd/Case", "odd/case", {ODD!r}, "bracket[", "no summary"):
    registry.registerRun(name)
for name in ("bias", "task_config", "flat"):
    found = refs(name, ["calib/gen-A", "u/ann/run/1"])
    registry.insertDatasets(name, [r.dataId for r in found], run=(run := "odd/case" if name == "flat" else {ODD!r}))
registry.registerCollection("mixed", CollectionType.CHAINED)
registry.registerCollection("twice", CollectionType.CHAINED)
registry.registerCollection("tags", CollectionType.TAGGED)
registry.associate("tags", refs("bias", {ODD!r}) + refs("calexp", "u/ann/run/2"))
registry.setCollectionChain("mixed", ["tags", "u/ann/chain", "calib/gen-B", {ODD!r}])
registry.setCollectionChain("twice", ["mixed", "calib/gen-A", "u/ann/chain", "u/ann/best"])
registry.registerDatasetType(DatasetType("nobody's “ü”"[:6], ["visit"], "Exposure", universe=butler.dimensions))
registry.registerDatasetType(DatasetType("Bias", ["detector"], "Exposure", universe=butler.dimensions))
"""

#: How the client answers; each question is an expression that uses these names.
HELPERS = """
from collections import Counter
types = sorted(registry.queryDatasetTypes(), key=lambda t: t.name)
kinds = CollectionType.all()
everything = [
    (t, a) for t in types for a in registry.queryDatasetAssociations(t, collectionTypes=kinds, flattenChains=False)
]

def collections(globs, **more):
    found = butler.collections.query_info(globs, include_parents=True, include_doc=True, **more)
    return sorted(([c.name, c.type.name, c.doc or "", list(c.children), sorted(c.parents)] for c in found))

def counts(name):
    return dict(Counter(t.name for t, a in everything if a.collection == name))

def summary(name):
    found = registry.getCollectionSummary(name)
    governors = {k: sorted(v) for k, v in found.governors.items() if v}
    return [sorted(t.name for t in found.dataset_types), governors, registry.getCollectionDocumentation(name) or ""]

def tree(name, below, depth=0):
    rows = [[name, depth]]
    for child in below(name):
        rows += tree(child, below, depth + 1)
    return rows

def children(name):
    return butler.collections.get_info(name).children

def parents(name):
    return sorted(butler.collections.get_info(name, include_parents=True).parents)

def described(t):
    return [t.name, t.storageClass_name, sorted(t.dimensions.required), sorted(t.dimensions.names), t.isCalibration()]

def number(t):
    return len({a.ref.id for x, a in everything if x.name == t.name})

def firsts(name, where, span):
    'What the client finds of each data ID.'
    t = registry.getDatasetType(name)
    ids = {str(r.dataId): r.dataId for x, a in everything if x.name == name for r in [a.ref]}
    found = [registry.findDataset(t, i, collections=where, timespan=span) for i in ids.values()]
    return sorted(str(r.id) for r in found if r is not None)

def found(name, where=..., **more):
    names = [t.name for t in registry.queryDatasetTypes(name)]
    options = dict(find_first=False, explain=False, limit=None) | more
    return sorted({str(r.id) for n in names for r in butler.query_datasets(n, where, **options)})

def dataset(number):
    ref = butler.get_dataset(UUID(number))
    mine = [a for _, a in everything if a.ref.id == ref.id and a.collection != ref.run]
    tags = sorted(a.collection for a in mine if registry.getCollectionType(a.collection) is CollectionType.TAGGED)
    spans = sorted(([a.collection, *utc(a.timespan)] for a in mine if a.collection not in tags), key=repr)
    stored = butler._datastore.knows(ref)
    path = butler.getURI(ref).ospath if stored else None
    chains = [c for c in butler.collections.query("*", CollectionType.CHAINED)
              if ref.run in butler.collections.query(c, flatten_chains=True)]
    return [str(ref.id), ref.datasetType.name, ref.datasetType.storageClass_name, ref.run,
            dict(ref.dataId.required), tags, spans, sorted(chains), path]

def utc(span):
    times = [t and t.utc.isot for t in (span.begin, span.end)]
    return [t and t[:19] for t in times]

def certified(names, where):
    return sorted([a.collection, t.name, str(a.ref.id), *a.timespan.nsec] for t, a in everything
                  if t.name in names and a.collection in where)

def records(element, **more):
    found = butler.query_dimension_records(element, explain=False, limit=None, **more)
    return sorted((plain({n: getattr(r, n) for n in r.fields.names}) for r in found), key=repr)

def plain(row):
    shown = {}
    for name, value in row.items():
        if isinstance(value, Timespan):
            value = "empty" if value.isEmpty() else [int(n) for n in value.nsec]
        elif isinstance(value, bytes):
            value = value.hex()
        elif hasattr(value, "encode") and not isinstance(value, str):
            value = value.encode().hex()
        shown[name] = value
    return shown
"""


@dataclass(frozen=True)
class Question:
    """A command, what of its answer is looked at, and the client's expression for the same."""

    words: tuple[str, ...]
    see: Callable[[Any], Any]
    client: str


def asked(words: str | tuple[str, ...], see: Callable[[Any], Any], client: str) -> Question:
    return Question(tuple(words.split()) if isinstance(words, str) else words, see, client)


def listed(answer: Any) -> Any:
    return sorted([c["name"], c["type"], c["doc"] or "", c["children"], c["parents"]] for c in answer["collections"])


def counted(answer: Any) -> Any:
    return {c["name"]: c["counts"] for c in answer["collections"] if c["type"] != "CHAINED"}


def shown(answer: Any) -> Any:
    return [answer["summary"]["dataset_types"], answer["summary"]["governors"], answer["doc"] or ""]


def nodes(answer: Any) -> Any:
    return [[n["name"], n["depth"]] for n in answer["nodes"]]


def described(answer: Any) -> Any:
    rows = answer.get("dataset_types", [answer])
    return [[t["name"], t["storage_class"], sorted(t["dimensions"]), sorted(t["all_dimensions"]), t["is_calibration"]]
            for t in rows]  # fmt: skip


def ids(answer: Any) -> Any:
    return sorted(d["id"] for d in answer["datasets"])


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the client gives it: times in nanoseconds."""
    if row.get("timespan") is None:
        return row
    span = parse_timespan(row["timespan"])
    return row | {"timespan": "empty" if span.empty else [span.begin_ns, span.end_ns]}


#: Without odd/[1], which registrytool takes for the collection of this name.
GLOBS = (
    "u/*",
    "odd/?",
    "odd/[1-9]",
    "odd/[!1]",
    "odd]",
    "[odd",
    "odd/[cC]ase",
    "ODD/*",
    "bracket[",
    "*/raw/*",
    "u/ann/run/1",
    "nothing*",
)
SHOWN = ("u/ann/run/1", "u/ann/best", "HSC/calib", "calib/defaults", "twice", "no summary", "u/ann/chain/empty", ODD)

COLLECTIONS = [
    asked("collection list", listed, "collections('*')"),
    *(asked(("collection", "list", glob), listed, f"collections([{glob!r}])") for glob in GLOBS),
    asked("collection list calib/* --type CALIBRATION --type chained", listed,
          "collections('calib/*', collection_types={CollectionType.CALIBRATION, CollectionType.CHAINED})"),
    asked("collection list --counts", counted,
          "{c: counts(c) for c in butler.collections.query('*', kinds - {CollectionType.CHAINED})}"),
    asked("collection list nothing", listed, "collections('nothing')"),
    *(asked(("collection", "show", name), shown, f"summary({name!r})") for name in SHOWN),
    asked("collection show nothing", shown, "summary('nothing')"),
    *(asked(("collection", "tree", name), nodes, f"tree({name!r}, children)")
      for name in ("twice", "u/ann/chain/outer")),
    asked("collection tree calib/gen-A --inverse", nodes, "tree('calib/gen-A', parents)"),
]  # fmt: skip
TYPES = [
    asked("dataset-type list", described, "[described(t) for t in types]"),
    *(asked(("dataset-type", "list", glob), described, f"[described(t) for t in types if t in {{*{asks}}}]")
      for glob, asks in ((g, f"registry.queryDatasetTypes({g!r})") for g in ("cal*", "?ias", "[bf]*", "BIAS*"))),
    asked("dataset-type list --counts", lambda a: {t["name"]: t["datasets"] for t in a["dataset_types"]},
          "{t.name: number(t) for t in types}"),
    *(asked(("dataset-type", "show", name), described, f"[described(registry.getDatasetType({name!r}))]")
      for name in ("bias", "task_config", "deepCoadd_directWarp", "nothing")),
    asked("dataset-type unused", lambda a: a["dataset_types"], "[t.name for t in types if not number(t)]"),
]  # fmt: skip
#: Chains that are searched, and what they are searched for; a dataset without dimensions is among them.
FOUND = (("bias", "twice"), ("calexp", "twice"), ("task_config", "twice"), ("task_config", "u/ann/chain/outer"))
AT = (("2016-01-01", 1_451_606_436), ("2020-01-01", 1_577_836_837), ("2024-12-31T23:00:00", 1_735_686_037))
DATASETS = [
    *(asked(("dataset", "find", name, "-c", place, "--find-first"), ids, f"found({name!r}, {place!r}, find_first=True)")
      for name, place in FOUND),
    *(asked(("dataset", "find", name, "-c", place), ids, f"found({name!r}, {place!r})") for name, place in FOUND),
    asked("dataset find bias* ?lat", ids, "sorted(found('bias', '*') + found('flat', '*'))"),
    asked("dataset find bias -c odd/[1],odd/case,tags", ids, "found('bias', ['odd/[1]', 'odd/case', 'tags'])"),
    asked("dataset find flat -c odd/[c]ase,calib/gen-B", ids, "found('flat', ['odd/[c]ase', 'calib/gen-B'])"),
    asked("dataset find bias -c nothing", ids, "found('bias', 'nothing')"),
    asked("dataset find nothing", ids, "list(butler.query_datasets('nothing', '*'))"),
    asked("dataset find calexp -c no* -c u/ann/chain/empty", lambda a: a["count"],
          "len(butler.query_datasets('calexp', ['no summary', 'u/ann/chain/empty'], explain=False))"),
    *(asked(("dataset", "find", name, "-c", place, "--find-first", "--at", at), ids,
            f"firsts({name!r}, {place.split(',')!r}, Timespan(time_at({s}_000_000_000), time_at({s}_000_000_001)))")
      for at, s in AT for name in ("bias", "flat") for place in ("calib/defaults", "HSC/calib,calib/gen-A")),
]  # fmt: skip
CALIBRATIONS = [
    asked("calibration list", lambda a: len(a["certifications"]),
          "len(certified({t.name for t in types}, ['HSC/calib', 'LSSTCam/calib']))"),
    asked("calibration list calib/defaults -t b*", lambda a: sorted(c["dataset_id"] for c in a["certifications"]),
          "sorted(row[2] for row in certified(['bias'], ['HSC/calib', 'LSSTCam/calib']))"),
]  # fmt: skip
RECORDS = [
    *(asked(("record", "list", element), lambda a: sorted(map(stored, a["records"]), key=repr), f"records({element!r})")
      for element in ("instrument", "exposure", "visit", "patch", "day_obs", "visit_definition", "skymap", "tract")),
    asked(("record", "list", "detector", "instrument=HSC", "--where", "detector > 1"),
          lambda a: sorted(a["records"], key=repr), "records('detector', where=\"instrument='HSC' AND detector > 1\")"),
    asked("record list exposure instrument=HSC id=17010102 --utc", lambda a: a["records"][0]["timespan"][:19],
          "butler.query_dimension_records('exposure', instrument='HSC', exposure=17010102)[0]"
          ".timespan.begin.utc.isot[:19]"),
    asked("record list nothing", stored, "records('nothing')"),
]  # fmt: skip


def answers(two: Twins, questions: list[Question]) -> None:
    """Ask both, and compare: what the client refuses is refused."""
    tried = ", ".join(f"(lambda: {q.client})" for q in questions)
    wanted = two.client_in_ours(f"""{HELPERS}
answer = []
for ask in ({tried},):
    try:
        answer.append(["answered", ask()])
    except Exception as error:
        answer.append(["refused", type(error).__name__ + ": " + str(error)])
""")
    before, problems = tables_of(two.ours), []
    for question, (kind, value) in zip(questions, wanted, strict=True):
        place = str(two.ours.folder)
        known = 3 if question.words[:2] == ("collection", "chain") else 2
        words = [*question.words[:known], place, *question.words[known:]]
        done = two.run("--format", "json", *words)
        found = ["refused", done.stderr]
        if done.exit_code in (0, 4):
            found = ["answered", question.see(json.loads(done.stdout))]
        if found[0] != kind or (kind == "answered" and found[1] != value):
            problems.append(f"{question.words}:\n  ours   {found}\n  client {[kind, value]}")
    assert problems == [], "\n".join(problems)
    assert tables_of(two.ours) == before


@pytest.mark.slow
def test_what_is_shown_is_what_the_client_sees(dialect: Dialect, twins: MakeTwins) -> None:
    two = twins(*KEYS[dialect])
    two.client_in_ours(PREPARED)
    answers(two, COLLECTIONS + TYPES + DATASETS + CALIBRATIONS + RECORDS)


def looked_at(two: Twins, *words: str) -> Any:
    """Return the answer of a command."""
    done = two.check("--format", "json", *words)
    assert done.exit_code in (0, 4), done.stderr
    return json.loads(done.stdout)


def test_a_dataset_is_shown_as_the_client_sees_it(dialect: Dialect, twins: MakeTwins) -> None:
    two = twins(*KEYS[dialect])
    chosen = two.client_in_ours("""
answer = [str(refs(n, c)[0].id) for n, c in (
    ("bias", "calib/gen-A"), ("visitSummary", "u/ann/best"), ("task_config", "u/ann/run/1"), ("calexp", "u/ann/best"),
    ("flat", "calib/gen-B"), ("skyMap", "skymaps"))]
""")
    wanted = two.client_in_ours(f"{HELPERS}\nanswer = [dataset(i) for i in {chosen!r}]")
    found = []
    for identifier in chosen:
        one = looked_at(two, "dataset", "show", "{repo}", identifier)
        spans = [
            [c["collection"], *(t and t[:19] for t in (c["begin_utc"], c["end_utc"]))] for c in one["certifications"]
        ]
        uris = [f["uri"] for f in one["files"]]
        assert len(uris) <= 1
        found.append(
            [
                *(one[n] for n in ("id", "dataset_type", "storage_class", "run", "data_id", "tagged")),
                sorted(spans, key=repr),
                sorted(one["chains"]),
                uris[0] if uris else None,
            ]
        )
    assert found == wanted
    assert any(row[6] for row in found)


def test_trash_and_orphans_are_those_that_the_client_makes(twins: MakeTwins) -> None:
    two = twins()
    # One of each: forgotten by the datastore, without its file, in the trash, gone with its file in the trash.
    forgotten, lost, lost_id, trashed, removed = two.client_in_ours("""
from pathlib import Path
chosen = [refs("bias", "calib/gen-A")[i] for i in (0, 1)] + [refs("bias", "calib/gen-B")[i] for i in (0, 1)]
forgotten, lost, trashed, removed = chosen
path = butler.getURI(forgotten).ospath
butler._datastore.forget([forgotten])
gone = Path(butler.getURI(lost).ospath)
gone.unlink()
butler._datastore.trash(trashed)
butler.pruneDatasets([removed], disassociate=True, unstore=True, purge=True)
answer = [path, str(gone), str(lost.id), str(trashed.id), str(removed.id)]
""")
    trash = two.client_in_ours("answer = sorted(p.ospath for p in butler._datastore.emptyTrash(dry_run=True))")
    (listed_trash,) = looked_at(two, "dataset", "trash", "list", "{repo}")["datastores"]
    sizes = sum(Path(p).stat().st_size for p in trash)
    assert (listed_trash["files"], listed_trash["size_bytes"]) == (len(trash), sizes)
    number, unknown, missing = two.client_in_ours(
        HELPERS
        + """
every = {a.ref.id: a.ref for _, a in everything}.values()
known = butler._datastore.knows_these(list(every))
there = butler._datastore.mexists([r for r in every if known[r]])
unknown = sorted(str(r.id) for r in every if not known[r])
answer = [len(every), unknown, [str(r.id) for r, ok in there.items() if not ok]]
"""
    )
    orphans = looked_at(two, "dataset", "orphans", "{repo}", "--files", "--examples", "1000")
    kinds = {f["kind"]: f["examples"] for f in orphans["found"]}
    # For the client what is in the trash still has a place, if not for long.
    without = set(kinds["dataset without location"]) - set(kinds["dataset in the trash"])
    assert (orphans["datasets"], sorted(without)) == (number, unknown)
    assert [Path(forgotten).relative_to(two.ours.folder).as_posix()] == kinds["file without record"]
    assert [Path(lost).relative_to(two.ours.folder).as_posix()] == kinds["record without file"]
    assert missing == [lost_id]
    assert trashed in kinds["dataset in the trash"]
    assert removed not in kinds["dataset in the trash"]
    assert not orphans["clean"]


def test_gaps_and_overlaps_are_those_of_the_clients_timespans(dialect: Dialect, twins: MakeTwins) -> None:
    two = twins(*KEYS[dialect])
    gaps, number = two.client_in_ours(
        HELPERS
        + """
second = Timespan(time_at(1_577_836_837_000_000_000), time_at(1_577_836_838_000_000_000))
registry.decertify("LSSTCam/calib", "bias", second)
by_place = {}
for t in types:
    if t.isCalibration():
        for a in registry.queryDatasetAssociations(t, ["HSC/calib", "LSSTCam/calib"]):
            by_place.setdefault((a.collection, t.name, str(a.ref.dataId)), []).append(a.timespan)
gaps = Counter()
for (collection, name, _), spans in by_place.items():
    spans.sort(key=lambda s: s.nsec)
    pairs = list(zip(spans, spans[1:]))
    assert not any(a.overlaps(b) for a, b in pairs)
    gaps[collection + " " + name] += sum(not a.nsec[1] == b.nsec[0] for a, b in pairs)
answer = [{k: n for k, n in gaps.items() if n}, sum(map(len, by_place.values()))]
"""
    )
    checked = looked_at(two, "calibration", "check", "{repo}", "calib/defaults", "--gaps")
    found = Counter(f"{p['first']['collection']} {p['first']['dataset_type']}" for p in checked["problems"])
    assert (dict(found), checked["certifications"]) == (gaps, number)
    assert {p["kind"] for p in checked["problems"]} == {"gap"}
    assert looked_at(two, "calibration", "check", "{repo}")["problems"] == []


def test_attributes_are_those_of_the_client(twins: MakeTwins) -> None:
    two = twins()
    program = "answer = dict(butler._registry._managers.attributes.items())"
    assert looked_at(two, "attributes", "list", "{repo}")["attributes"] == two.client_in_ours(program)
    name, value = "observatory's “ü” %s", 'it\'s "100 %"\n:x'
    two.we("attributes", "set", "{repo}", name, value)
    two.client(f"butler._registry._managers.attributes.set({name!r}, {value!r})")
    two.assert_changed()
    two.assert_same()
    assert two.client_in_ours(f"answer = butler._registry._managers.attributes.get({name!r})") == value
    assert looked_at(two, "attributes", "get", "{repo}", name)["value"] == value
