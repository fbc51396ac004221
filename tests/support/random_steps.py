"""Random operations on the repository that ``client_fill.py`` fills: as a command, and as a program for the client.

What is drawn follows from the seed alone, not from what was done before: a step can be about what an earlier one has
removed, or has not made.  Left out is where registrytool refuses on purpose what the client does: unprintable names,
empty validity, two datasets of one data ID in one certification, runs that are in a chain, and other definitions of
collections that are there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

#: Collections by type: those of the repository, and those that steps make.
RUNS = ("u/ann/run/1", "u/ann/run/2", "u/ann/empty", "calib/gen-A", "skymaps", 'u/o\'neill "%s" :x ü', "n/[run]*")
TAGGED = ("u/ann/best", "u/ann/tagged-empty", "a_b", "100% {tag}?")
CALIBRATIONS = ("HSC/calib", "LSSTCam/calib", "calib/empty", "semi;colon")
CHAINS = ("u/ann/chain", "u/ann/chain/outer", "calib/defaults", "u/ann/chain/empty", "back\\slash", " blanks ")
NEW = {RUNS[-2]: "RUN", RUNS[-1]: "RUN", **dict.fromkeys(TAGGED[2:], "TAGGED"), CALIBRATIONS[-1]: "CALIBRATION"}
NEW |= dict.fromkeys(CHAINS[-2:], "CHAINED")
COLLECTIONS = (*RUNS, *TAGGED, *CALIBRATIONS, *CHAINS)
#: Dataset types that steps register and remove.
DEFINITIONS = (
    ("new_a", "visit detector", False),
    ("new_a", "visit", False),
    ("new_b", "detector", True),
    ("new_c", "skymap htm7", False),
    ("bias", "detector", True),
    ("calexp", "detector", True),
)
NS = 10**9
#: Bounds of validity, in TAI nanoseconds; `None` is no bound.
TIMES = (None, 1_483_228_837 * NS, 1_577_836_837 * NS + 1, 1_600_000_000 * NS, 1_700_000_000 * NS)


@dataclass(frozen=True)
class Step:
    """An operation.

    Parameters
    ----------
    words : `list` [`list`]
        Commands of registrytool, of which the next is run if the one before has done its work.
    program : `str`
        The same for the client, see ``client_do.py``.
    """

    words: list[list[str]]
    program: str


@dataclass(frozen=True)
class Known:
    """A dataset that is there at the start."""

    id: str
    type: str
    run: str
    stored: bool


def steps(random: Random, number: int, datasets: Sequence[Known], folder: Path) -> list[Step]:
    """Draw operations.

    Parameters
    ----------
    random : `random.Random`
        The generator.
    number : `int`
        How many.
    datasets : sequence of `Known`
        What they can be about.
    folder : `pathlib.Path`
        For files with identifiers.
    """
    draw = _Draw(random, datasets, folder)
    kinds: list[tuple[Callable[[], Step], int]] = [
        *((draw.create, 3), (draw.document, 1), (draw.chain, 5), (draw.remove, 2), (draw.associate, 4)),
        *((draw.disassociate, 2), (draw.register, 3), (draw.remove_type, 2), (draw.purge, 2), (draw.unstore, 2)),
        *((draw.certify, 6), (draw.decertify, 5), (draw.copy, 3), (draw.record, 5), (draw.empty_trash, 1)),
    ]
    makers, weights = zip(*kinds, strict=True)
    return [maker() for maker in random.choices(makers, weights, k=number)]


class _Draw:
    def __init__(self, random: Random, datasets: Sequence[Known], folder: Path) -> None:
        self.random = random
        self.datasets = datasets
        self.folder = folder

    # -- what they are about

    def _collection(self, wanted: Sequence[str]) -> str:
        """Return a collection of the wanted type, or now and then of any."""
        return self.random.choice(wanted if self.random.random() < 0.9 else COLLECTIONS)

    def _some(self, fits: Callable[[Known], bool] = lambda _: True) -> list[Known]:
        """Return datasets of one type and run, of which no two have one data ID."""
        found = [d for d in self.datasets if fits(d)]
        one = self.random.choice(found)
        found = [d for d in found if (d.type, d.run) == (one.type, one.run)]
        return self.random.sample(found, self.random.randint(1, min(6, len(found))))

    def _ids(self, datasets: Sequence[Known]) -> tuple[list[str], str]:
        """Return the option that names datasets, and the program that finds them."""
        file = self.folder / f"{uuid.UUID(int=self.random.getrandbits(128))}.txt"
        file.write_text("\n".join(d.id for d in datasets), encoding="utf-8")
        program = f"refs = [registry.getDataset(UUID(i)) for i in {[d.id for d in datasets]!r}]\n"
        return ["--ids", str(file)], program

    #: Of those that are gone, nobody can want anything; registrytool passes over them where it takes something away.
    _LEFT = "refs = [r for r in refs if r is not None]\n"
    _ALL = "assert None not in refs, 'gone'\n"

    def _valid(self) -> tuple[list[str], str]:
        begin, end = sorted(self.random.sample(TIMES, 2), key=lambda t: t or 0)
        if self.random.random() < 0.5 and begin is None:
            begin, end = end, None
        words = [f"{option}={_mjd(ns)}" for option, ns in (("--begin", begin), ("--end", end)) if ns is not None]
        bounds = ", ".join("None" if ns is None else f"time_at({ns})" for ns in (begin, end))
        return words, f"Timespan({bounds})"

    # -- collections

    def create(self) -> Step:
        name, kind = self.random.choice(sorted(NEW.items()))
        # Copying makes runs, too, without documentation.
        doc = None if kind == "RUN" else f"about {name}"
        words = ["collection", "create", "{repo}", name, "--type", kind, *(["--doc", doc] if doc else [])]
        return Step([words], f"butler.collections.register({name!r}, CollectionType.{kind}, doc={doc!r})")

    def document(self) -> Step:
        # Those that steps make keep theirs, with which they are made again.
        name = self.random.choice([c for c in COLLECTIONS if c not in NEW])
        doc = self.random.choice(("it's\n100 %", "", None))
        words = ["collection", "doc", "{repo}", name, *(["--clear"] if doc is None else ["--set", doc])]
        return Step([words], f"registry.setCollectionDocumentation({name!r}, {doc!r})")

    def chain(self) -> Step:
        name = self._collection(CHAINS)
        children = [self.random.choice(COLLECTIONS) for _ in range(self.random.randint(1, 3))]
        verb, method = self.random.choice(
            (("set", "redefine"), ("prepend", "prepend"), ("extend", "extend"), ("remove", "remove_from"))
        )
        words = ["collection", "chain", verb, "{repo}", name, *children]
        return Step([words], f"butler.collections.{method}_chain({name!r}, {children!r})")

    def remove(self) -> Step:
        name = self.random.choice(COLLECTIONS)
        words = ["collection", "remove", "{repo}", name, "--unlink", "--yes"]
        program = f"""
if butler.collections.get_info({name!r}).type is CollectionType.RUN:
    butler.removeRuns([{name!r}], unlink_from_chains=True)
    butler._datastore.emptyTrash()
else:
    for chain in butler.collections.get_info({name!r}, include_parents=True).parents:
        butler.collections.remove_from_chain(chain, [{name!r}])
    registry.removeCollection({name!r})
"""
        return Step([words, *(self.empty_trash().words if name in RUNS else [])], program)

    def associate(self) -> Step:
        name = self._collection(TAGGED)
        option, program = self._ids(self._some())
        words = ["collection", "associate", "{repo}", name, *option]
        return Step([words], f"{program}{self._ALL}registry.associate({name!r}, refs)")

    def disassociate(self) -> Step:
        name = self._collection(TAGGED)
        option, program = self._ids(self._some())
        words = ["collection", "disassociate", "{repo}", name, "--yes", *option]
        return Step([words], f"{program}{self._ALL}registry.disassociate({name!r}, refs)")

    # -- dataset types

    def register(self) -> Step:
        name, dimensions, calibration = self.random.choice(DEFINITIONS)
        words = ["dataset-type", "register", "{repo}", name, "StructuredDataDict", *dimensions.split()]
        definition = f"{name!r}, {dimensions.split()!r}, 'StructuredDataDict', isCalibration={calibration}"
        program = f"registry.registerDatasetType(DatasetType({definition}, universe=butler.dimensions))"
        return Step([[*words, *(["--is-calibration"] if calibration else [])]], program)

    def remove_type(self) -> Step:
        name = self.random.choice(("new_a", "new_b", "new_c", "bias"))
        # The client says nothing where there is none.
        program = f"assert butler.get_dataset_type({name!r})\nregistry.removeDatasetType({name!r})"
        return Step([["dataset-type", "remove", "{repo}", name, "--yes"]], program)

    # -- datasets

    def purge(self) -> Step:
        option, program = self._ids(self._some())
        words = ["dataset", "remove", "{repo}", "--yes", *option]
        program += f"{self._LEFT}butler.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)\n"
        trash = self.empty_trash()
        return Step([words, *trash.words], program + trash.program)

    def unstore(self) -> Step:
        option, program = self._ids(self._some(lambda d: d.stored))
        words = ["dataset", "prune", "{repo}", "--unstore", "--yes", *option]
        program += f"{self._LEFT}butler.pruneDatasets(refs, disassociate=False, unstore=True, purge=False)\n"
        trash = self.empty_trash()
        return Step([words, *trash.words], program + trash.program)

    def empty_trash(self) -> Step:
        return Step([["dataset", "trash", "empty", "{repo}", "--yes"]], "butler._datastore.emptyTrash()")

    def copy(self) -> Step:
        name = self._collection(RUNS)
        datasets = self._some()
        option, program = self._ids(datasets)
        words = ["dataset", "copy", "{repo}", name, datasets[0].type, "--files", "none", *option]
        program += f"{self._ALL}registry.registerRun({name!r})\n"
        program += f"registry.insertDatasets({datasets[0].type!r}, [r.dataId for r in refs], run={name!r})"
        return Step([words], program)

    # -- calibrations

    def certify(self) -> Step:
        # What is missing, we would make.
        name = self.random.choice(CALIBRATIONS[:3])
        datasets = self._some(lambda d: d.type in ("bias", "flat", "camera", "transmission"))
        option, program = self._ids(datasets)
        valid, timespan = self._valid()
        words = ["calibration", "certify", "{repo}", name, datasets[0].type, *valid, *option]
        program += f"{self._ALL}assert butler.collections.get_info({name!r})\n"
        return Step([words], f"{program}registry.certify({name!r}, refs, {timespan})")

    def decertify(self) -> Step:
        name, type_ = self._collection(CALIBRATIONS), self.random.choice(("bias", "flat", "camera", "raw"))
        valid, timespan = self._valid()
        words = ["calibration", "decertify", "{repo}", name, type_, "--yes", *valid]
        chosen = ""
        if type_ == "bias" and self.random.random() < 0.5:
            detector = self.random.randrange(4)
            words += ["--where", f"instrument='HSC' AND detector={detector}"]
            chosen = f", dataIds=[dict(instrument='HSC', detector={detector})]"
        return Step([words], f"registry.decertify({name!r}, {type_!r}, {timespan}{chosen})")

    # -- dimension records

    def record(self) -> Step:
        element, values = self.random.choice(
            (
                ("instrument", {"name": "O'Brien", "class_name": "a.b"}),
                ("detector", {"instrument": "HSC", "id": 1, "full_name": "it's", "raft": None}),
                ("detector", {"instrument": "O'Brien", "id": 7, "full_name": '100% "ü"'}),
                ("physical_filter", {"instrument": "HSC", "name": "HSC-G", "band": "new"}),
                ("day_obs", {"instrument": "HSC", "id": 20150630}),
                ("group", {"instrument": "O'Brien", "name": "a b"}),
                ("subfilter", {"band": "g", "id": 5}),
            )
        )
        there, more = self.random.choice(
            (("fail", ""), ("skip", ", skip_existing=True"), ("replace", ", replace=True"))
        )
        fields = [f"{name}={'' if value is None else value}" for name, value in values.items()]
        words = ["record", "insert", "{repo}", element, *fields, "--existing", there]
        return Step([words], f"registry.insertDimensionData({element!r}, {values!r}{more})")


def _mjd(tai_ns: Any) -> str:
    from registrytool.maintain.times import format_time

    return f"{format_time(tai_ns, 'tai')}/tai"
