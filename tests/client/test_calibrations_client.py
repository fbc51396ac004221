"""Claims about certifications: what registrytool does is what the client does, row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.schema import DropConstraint

from registrytool.maintain import timespans
from registrytool.maintain.certifications import list_certifications
from registrytool.maintain.collections import CollectionType, ensure_collection
from registrytool.maintain.dataset_types import load_dataset_types
from registrytool.maintain.find import Query, find_datasets, plan_search
from registrytool.maintain.session import Session, change, reading
from registrytool.maintain.summaries import ensure_summaries
from tests.support.equivalence import repository_of

if TYPE_CHECKING:
    from tests.support.equivalence import MakeTwins

each_key = pytest.mark.parametrize("options", [(), ("--name-key", "--datasets-version", "1.0.0")], ids=["new", "old"])

#: 2018-01-01 00:00:00 UTC, and a day later, in TAI nanoseconds.
BEGIN, END = 1_514_764_837_000_000_000, 1_514_851_237_000_000_000
SPAN = f"Timespan(time_at({BEGIN}), time_at({END}))"
TIMES = ("--begin", "2018-01-01T00:00:00", "--end", "2018-01-02T00:00:37/tai")


@each_key
def test_certifications_are_those_of_the_client(options: tuple[str, ...], twins: MakeTwins) -> None:
    two = twins(*options)
    new = 'c/"new" ü'
    two.we("calibration", "certify", "{repo}", new, "flat", "-c", "calib/gen-A", *TIMES)
    two.we("calibration", "certify", "{repo}", new, "flat", "-c", "calib/gen-B", "--begin", "2018-01-02")
    two.we("calibration", "certify", "{repo}", new, "bias", "-c", "calib/gen-B", "--where", "instrument='HSC'")
    two.we("calibration", "decertify", "{repo}", "HSC/calib", "bias", *TIMES, "--yes")
    two.we("calibration", "decertify", "{repo}", new, "flat", "--begin", "2019-01-01", "--yes", "--where",
           "instrument='HSC' AND detector=1")  # fmt: skip
    two.we("calibration", "decertify", "{repo}", "LSSTCam/calib", "transmission", "--yes")
    two.client(f"""
registry.registerCollection({new!r}, CollectionType.CALIBRATION)
registry.certify({new!r}, refs("flat", "calib/gen-A"), {SPAN})
registry.certify({new!r}, refs("flat", "calib/gen-B"), Timespan(time_at({END}), None))
registry.certify({new!r}, refs("bias", "calib/gen-B", "instrument='HSC'"), Timespan(None, None))
registry.decertify("HSC/calib", "bias", {SPAN})
ids = [r.dataId for r in refs("flat", "calib/gen-B", "instrument='HSC' AND detector=1")]
registry.decertify({new!r}, "flat", Timespan(time_at(1_546_300_837_000_000_000), None), dataIds=ids)
registry.decertify("LSSTCam/calib", "transmission", Timespan(None, None))
""")
    two.assert_changed()
    two.assert_same(read=not options)


def test_shifts_and_copies_are_what_the_client_would_certify_anew(twins: MakeTwins) -> None:
    two = twins()
    two.we("calibration", "copy", "{repo}", "LSSTCam/calib", "copied", "--dataset-type", "bias,camera", *TIMES)
    two.we("calibration", "shift", "{repo}", "copied", "camera", "--by", "86400", "--yes")
    two.we("calibration", "shift", "{repo}", "HSC/calib", "camera", "--begin", "2018-01-01", "--yes")
    two.client(f"""
registry.registerCollection("copied", CollectionType.CALIBRATION)
registry.certify("copied", refs("bias", "calib/gen-B", "instrument='LSSTCam'"), {SPAN})
later = Timespan(time_at({END}), time_at({END} + 86_400_000_000_000))
registry.certify("copied", refs("camera", "calib/gen-A", "instrument='LSSTCam'"), later)
registry.decertify("HSC/calib", "camera", Timespan(None, time_at({BEGIN})))
""")
    two.assert_changed()
    two.assert_same()


def test_what_the_client_refuses_to_certify_is_refused(twins: MakeTwins) -> None:
    two = twins()
    raised = two.client_fails(
        f'registry.certify("HSC/calib", refs("bias", "calib/gen-A", "instrument=\'HSC\'"), {SPAN})'
    )
    assert raised == "ConflictingDefinitionError"
    said = two.we_fail("calibration", "certify", "{repo}", "HSC/calib", "bias", "-c", "calib/gen-A", *TIMES)
    assert said.startswith("Error: The collection 'HSC/calib' has datasets of type 'bias' that are valid then: ")
    assert "(instrument='HSC', detector=0) from 2017-01-01T00:00:00Z to 2024-04-30T23:59:23.000000001Z" in said
    assert said.endswith("Decertify them for that time first: 'registrytool calibration decertify'.\n")
    raised = two.client_fails(f'registry.certify("HSC/calib", refs("raw", "HSC/raw/all"), {SPAN})')
    assert raised in ("DatasetTypeError", "CollectionTypeError")
    said = two.we_fail("calibration", "certify", "{repo}", "HSC/calib", "raw", "-c", "HSC/raw/all", *TIMES)
    assert said == (
        "Error: Datasets of type 'raw' cannot be certified: it was not registered as a calibration. "
        "'registrytool dataset-type list' shows which are.\n"
    )


def test_what_is_listed_is_what_the_client_sees(twins: MakeTwins) -> None:
    two = twins()
    with reading(repository_of(two.ours)) as session:
        found = list_certifications(session, ["calib/defaults"])
    theirs = two.client("""
answer = [
    [a.collection, str(a.ref.id), *a.timespan.nsec]
    for name in ("bias", "camera", "flat", "transmission")
    for a in registry.queryDatasetAssociations(name, ["LSSTCam/calib", "HSC/calib"])
]
""")
    ours = [[one.collection, str(one.dataset_id), one.valid.begin_ns, one.valid.end_ns] for one in found]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) > 10


#: Begin and end in TAI nanoseconds, `None` where there is no bound: apart, touching, by a nanosecond, within, the same.
VALID = (
    (BEGIN, END),
    (BEGIN, END),
    (END, END + 10),
    (END - 1, END + 1),
    (BEGIN + 5, BEGIN + 6),
    (None, BEGIN),
    (None, BEGIN + 1),
    (END + 10, None),
    (END + 20, END + 30),
    (None, None),
)


def test_overlaps_are_the_pairs_that_the_client_refuses_to_certify_together(twins: MakeTwins) -> None:
    two = twins()
    refused = two.client(f"""
from lsst.daf.butler.registry import ConflictingDefinitionError
where = "instrument='HSC' AND detector=0"
first, second = (refs("bias", run, where) for run in ("calib/gen-A", "calib/gen-B"))
assert len(first) == len(second) == 1
spans = [Timespan(*(None if n is None else time_at(n) for n in span)) for span in {VALID!r}]
answer = []
for i, one in enumerate(spans):
    for j, other in enumerate(spans[:i]):
        registry.registerCollection(f"pair/{{i}}-{{j}}", CollectionType.CALIBRATION)
        registry.certify(f"pair/{{i}}-{{j}}", first, one)
        try:
            registry.certify(f"pair/{{i}}-{{j}}", second, other)
        except ConflictingDefinitionError:
            answer.append(f"pair/{{i}}-{{j}}")
""")

    # No database lets anybody make them but SQLite, and that only behind the back of all programs.
    change(repository_of(two.ours), "certify behind everybody's back", _certify_pairs)

    checked = json.loads(two.check("--format", "json", "calibration", "check", "{repo}", "pair/*").stdout)
    assert checked["certifications"] == len(VALID) * (len(VALID) - 1)
    assert {p["kind"] for p in checked["problems"]} == {"overlap"}
    assert sorted(p["first"]["collection"] for p in checked["problems"]) == sorted(refused) != []


def _certify_pairs(session: Session) -> None:
    query = Query(("bias",), ("calib/gen-A", "calib/gen-B"), "instrument='HSC' AND detector=0")
    first, second = find_datasets(session, plan_search(session, query))
    dataset_type = load_dataset_types(session)["bias"]
    table = session.table(str(dataset_type.calibs_table))
    if session.dialect == "postgresql":
        for constraint in table.constraints:
            if isinstance(constraint, ExcludeConstraint):
                session.execute(DropConstraint(constraint))
    number = session.scalar(sa.select(sa.func.max(table.c.id)))
    for i, one in enumerate(VALID):
        for j, other in enumerate(VALID[:i]):
            collection = ensure_collection(session, f"pair/{i}-{j}", CollectionType.CALIBRATION)
            ensure_summaries(session, collection, [dataset_type.id], {"instrument": ["HSC"]})
            for dataset, span in ((first, one), (second, other)):
                number += 1
                row = {
                    "id": number,
                    "dataset_type_id": dataset_type.id,
                    "dataset_id": dataset.id,
                    session.collection_column: collection.key,
                    **dataset.data_id,
                    **timespans.values(timespans.Timespan.of(*span), session.dialect),
                }
                session.execute(sa.insert(table), row)
