"""Claims about certifications: what registrytool does is what the client does, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registrytool.maintain.certifications import list_certifications
from registrytool.maintain.session import reading
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
    two.we("calibration", "copy", "{repo}", "LSSTCam/calib", "copied", "--type", "bias,camera", *TIMES)
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
