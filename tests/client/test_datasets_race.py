"""Claims about eight processes, real clients among them, that certify, insert and remove the same things at once."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from registrytool.maintain.certifications import check_certifications
from registrytool.maintain.orphans import find_orphans
from registrytool.maintain.session import reading
from tests.support import forks, race_worker
from tests.support.equivalence import repository_of
from tests.support.registries import assert_clean

if TYPE_CHECKING:
    from tests.client.conftest import Client
    from tests.support.equivalence import MakeTwins

ROUNDS = 6

#: The client tells of a deadlock where registrytool tries again; what matters is that both leave everything right.
CLIENT = f"""
import random
from collections import Counter
done, day = Counter(), 86_400_000_000_000
rng = random.Random(SEED)
registry.registerCollection("race/calib", CollectionType.CALIBRATION)
registry.registerRun("race/run")
def attempt(name, act):
    try:
        act()
        done[name] += 1
    except Exception as error:
        done[type(error).__name__] += 1
for _ in range({2 * ROUNDS}):
    begin = rng.randrange(20)
    span = Timespan(time_at(begin * day), time_at((begin + rng.randrange(1, 8)) * day))
    attempt("certified", lambda: registry.certify("race/calib", refs("bias", "calib/gen-A"), span))
    if rng.random() < 0.5:
        attempt("decertified", lambda: registry.decertify("race/calib", "bias", span))
    data_ids = [dict(instrument="HSC", detector=d) for d in rng.sample(range(4), 2)]
    attempt("inserted", lambda: registry.insertDatasets("bias", data_ids, run="race/run"))
    if rng.random() < 0.5:
        found = refs("bias", "race/run")
        attempt("removed", lambda: butler.pruneDatasets(found, purge=True, unstore=True, disassociate=True))
answer = done
"""


@pytest.mark.slow
@pytest.mark.parametrize("dialect", [pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_nothing_is_lost_and_nothing_overlaps_when_all_do_it_at_once(twins: MakeTwins, client: Client) -> None:
    two = twins()
    folder = two.ours.folder
    two._do(two.ours, 'registry.registerCollection("race/calib", CollectionType.CALIBRATION)')
    processes = [forks.Forked(race_worker.main, "race_worker.py", ROUNDS, i, folder) for i in range(6)]
    clients = [client.begin("client_do.py", folder, CLIENT.replace("SEED", str(i))) for i in range(2)]
    theirs: Counter[str] = Counter()
    for finish in clients:
        theirs.update(json.loads(finish())["answer"])
    answers = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0] * 6, "\n".join(said for _, said in answers)
    ours: Counter[str] = sum((Counter(json.loads(answer)) for answer, _ in answers), Counter())
    # They did get in each other's way, and each got its turn.
    assert all(ours[what] for what in ("certified", "overlap", "inserted", "removed")), ours
    assert theirs["inserted"], theirs
    with reading(repository_of(two.ours)) as session:
        check = check_certifications(session, ["race/calib"])
        assert check.problems == ()
        assert [o for o in find_orphans(session).found if not o.harmless] == []
    assert_clean(repository_of(two.ours))
