"""Every command of maintenance with words that it accepts, for the tests that try something on all of them.

A command that is missing here fails ``tests/cli/test_every_command.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import typer.main

from registrytool.cli import app
from registrytool.instruments.ingest import IngestOptions, ingest_raws
from registrytool.instruments.library import load_definition
from registrytool.instruments.placement import Transfer
from registrytool.instruments.register import register_instruments
from registrytool.instruments.skymap import load_skymap, register_skymap
from registrytool.maintain.associations import associate
from registrytool.maintain.calibrations import certify
from registrytool.maintain.chains import ChainEdit, ChainMode, edit_chain
from registrytool.maintain.collection_changes import create_collection
from registrytool.maintain.collections import CollectionType
from registrytool.maintain.dataset_types import ensure_dataset_type
from registrytool.maintain.datastore import store_records
from registrytool.maintain.find import Query
from registrytool.maintain.prune import Mode, prune
from registrytool.maintain.session import change
from registrytool.maintain.timespans import Timespan
from tests.support import raws
from tests.support.maintain_states import INSTRUMENT, RUN, add, bias, fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from registrytool.repository import Repository

#: Groups of commands that bring in what was observed.
INSTRUMENTS = ("raw", "visit", "photodiode", "instrument", "skymap")
GROUPS = ("collection", "dataset-type", "dataset", "calibration", "record", "attributes", "obscore", *INSTRUMENTS)
#: What every command takes, and what is tried elsewhere.
_SHARED = ("context", "repo", "db", "namespace", "content", "output", "dry_run", "yes", "help")
DATASETS = 6


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes
    ----------
    path : `tuple` [`str`, ...]
        Its words.
    texts : `tuple` [`str`, ...]
        Parameters that take text from the user.
    options : `dict` [`str`, `str`]
        How a parameter is called on the command line; nothing for arguments.
    flags, lists : `frozenset` [`str`]
        Parameters that take no value, and those that take several.
    parameters : `frozenset` [`str`]
        All parameters, those that commands share included.
    """

    path: tuple[str, ...]
    texts: tuple[str, ...]
    options: Mapping[str, str | None]
    flags: frozenset[str]
    parameters: frozenset[str]

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return "dry_run" in self.parameters

    @property
    def name(self) -> str:
        """Its words."""
        return " ".join(self.path)

    def words(self, place: str, values: Mapping[str, Any]) -> list[str]:
        """Return a command line."""
        arguments, options = [place] if "repo" in self.parameters else [], []
        for name, option in self.options.items():
            if name not in values:
                continue
            value = values[name]
            each = list(value) if isinstance(value, (list, tuple)) else [value]
            if option is None:
                arguments += each
            elif name in self.flags:
                options.append(option)
            else:
                options += [f"{option}={one}" for one in each]
        yes = ["--yes"] if "yes" in self.parameters else []
        return [*self.path, *yes, *options, "--", *map(str, arguments)]


def commands() -> Iterator[Command]:
    """Return all commands of maintenance, as ``registrytool --help`` shows them."""
    root: Any = typer.main.get_command(app)
    for group in GROUPS:
        yield from _commands(root.commands[group], (group,))


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[Command]:
    if hasattr(command, "commands"):
        for name, member in command.commands.items():
            yield from _commands(member, (*path, name))
        return
    kinds = get_type_hints(command.callback, include_extras=True)
    own = {p.name: p for p in command.params if p.name not in _SHARED}
    flags = frozenset(n for n in own if get_args(kinds[n])[:1] == (bool,))
    texts = tuple(n for n in own if n not in flags and ("str" in repr(kinds[n]) or "Path" in repr(kinds[n])))
    names = {n: p.opts[0] if p.param_type_name == "option" else None for n, p in own.items()}
    yield Command(path, texts, names, flags, frozenset(kinds))


#: By command: values of parameters with which it has something to do in a repository that `prepare` has filled.
EXAMPLES: dict[str, dict[str, Any]] = {
    "collection list": {"globs": ["*"]},
    "collection show": {"name": "calib"},
    "collection create": {"name": "new", "kind": "TAGGED", "doc": "it's new"},
    "collection doc": {"name": "tagged", "text": "it's “tagged”"},
    "collection rename": {"name": "tagged", "new_name": "renamed"},
    "collection remove": {"name": RUN, "unlink": True},
    "collection associate": {"name": "tagged", "types": ["bias"], "collections": [RUN], "where": "detector > 2"},
    "collection disassociate": {"name": "other tags", "types": ["bias"], "where": "detector < 2"},
    "collection tree": {"globs": ["*"]},
    "collection chain set": {"name": "chain", "children": ["calib"]},
    "collection chain prepend": {"name": "chain", "children": ["calib"]},
    "collection chain extend": {"name": "chain", "children": ["calib"]},
    "collection chain remove": {"name": "chain", "children": [RUN]},
    "collection chain pop": {"name": "chain"},
    "collection chain flatten": {"name": "outer"},
    "dataset-type list": {"globs": ["*"]},
    "dataset-type show": {"name": "bias"},
    "dataset-type register": {"name": "dark", "storage_class": "Exposure", "dimensions": ["detector", "band"]},
    "dataset-type remove": {"name": "note"},
    "dataset-type rename": {"name": "bias", "new_name": "zero"},
    "dataset-type set-storage-class": {"name": "bias", "storage_class": "ExposureF"},
    "dataset-type unused": {},
    "dataset find": {"types": ["bias"], "collections": [RUN], "where": "detector < 3", "order_by": ["-detector"]},
    "dataset show": {"identifier": "{id}"},
    "dataset move": {"run": "moved", "types": ["bias"], "collections": [RUN], "where": "detector IN (1..4)"},
    "dataset copy": {"run": "copied", "types": ["bias"], "collections": [RUN], "where": "detector IN (1..4)"},
    "dataset remove": {"types": ["bias"], "collections": [RUN], "where": "detector < 4", "empty_trash": True},
    "dataset prune": {"types": ["bias"], "collections": [RUN], "unstore": True, "empty_trash": True},
    "dataset orphans": {},
    "dataset trash list": {},
    "dataset trash empty": {},
    "calibration list": {"collections": ["calib"], "types": ["bias"], "where": "detector = 1", "at": "2024-05-01"},
    "calibration check": {"collections": ["calib"], "types": ["bias"]},
    "calibration certify": {
        "collection": "calib",
        "dataset_type": "bias",
        "collections": [RUN],
        "where": "detector < 4",
        "begin": "2020-01-01",
        "end": "2021-02-01",
    },
    "calibration decertify": {
        "collection": "calib",
        "dataset_type": "bias",
        "begin": "2024-03-01",
        "end": "2024-04-01",
        "where": "detector < 4",
    },
    "calibration shift": {
        "collection": "calib",
        "dataset_type": "bias",
        "by": "10",
        "begin": "2024-03-01",
        "where": "detector < 4",
    },
    "calibration copy": {"source": "calib", "target": "calib2", "types": ["bias"], "begin": "2024-03-01"},
    "record list": {"element": "detector", "fields": ["id=1"], "where": "detector.purpose = 'SCIENCE'"},
    "record export": {"file": "{folder}/export.yaml", "elements": ["detector"], "where": "detector = 1"},
    "record import": {"file": "{folder}/detector.csv"},
    "record insert": {"element": "detector", "fields": [f"instrument={INSTRUMENT}", "id=99", "full_name=new"]},
    "record update": {"element": "detector", "fields": ["id=3"], "values": ["purpose=it's"]},
    "record delete": {"element": "physical_filter", "fields": ["name=F-g"]},
    "record diff": {"other": "{repo}", "elements": ["detector"]},
    "attributes list": {},
    "attributes get": {"name": "config:dimensions.json"},
    "attributes set": {"name": "observatory.contact", "value": "it's"},
    "obscore enable": {"config": "{folder}/obscore.yaml", "no_backup": True},
    "obscore configure": {"config": "{folder}/obscore2.yaml", "no_backup": True},
    "obscore check": {},
    "obscore rebuild": {},
    "raw ingest": {
        "files": ["{folder}/raw4.fits", "{folder}/raw6.fits"],
        "transfer": "copy",
        "existing": "skip",
        "processes": "1",
        "visits": True,
    },
    "visit define": {"instrument": "HSC", "where": "exposure = 2"},
    "photodiode ingest": {"instrument": "HSC", "files": ["{folder}/Photodiode_20130617_2.txt"]},
    "instrument list": {},
    "instrument show": {"instrument": "{folder}/toy.yaml"},
    "instrument universe": {"instrument": "PFS"},
    "instrument validate": {"files": ["{folder}/toy.yaml"]},
    "instrument register": {"instruments": ["{folder}/other.yaml"]},
    "instrument update": {"instruments": ["{folder}/changed.yaml"]},
    "instrument diff": {"instruments": ["{folder}/changed.yaml"]},
    "instrument export": {"name": "Toy"},
    "instrument remove": {"name": "Toy"},
    "skymap register": {"skymap": "{folder}/small.yaml"},
    "skymap list": {},
    "skymap remove": {"name": "old"},
}
#: Commands that have nothing to do before another one has run, and which one.
AFTER = {f"obscore {name}": "obscore enable" for name in ("configure", "check", "rebuild")}

_READ = "test_reading_client::test_what_is_shown_is_what_the_client_sees"
_CHANGED = "test_collections::test_commands_do_what_the_client_does"
_CHAINS = "test_collections::test_a_chain_is_edited_in_all_repositories_of_the_index_as_by_the_client"
_RECORDS = "test_records_client::test_commands_do_what_the_client_does"
_LATER = "test_obscore_client::test_a_table_made_later_is_that_of_the_client"
#: By command: the test in which the client is the measure of it, as module of ``tests/client`` and function.
AGAINST_THE_CLIENT: dict[str, str] = {
    "collection list": _READ,
    "collection show": _READ,
    "collection create": _CHANGED,
    "collection doc": _CHANGED,
    "collection rename": "test_dataset_types::test_a_renamed_collection_is_the_same_for_the_client",
    "collection remove": "test_collections::test_a_run_is_removed_as_by_the_client",
    "collection associate": _CHANGED,
    "collection disassociate": _CHANGED,
    "collection tree": _READ,
    "collection chain set": _CHANGED,
    "collection chain prepend": _CHAINS,
    "collection chain extend": _CHANGED,
    "collection chain remove": _CHAINS,
    "collection chain pop": _CHANGED,
    "collection chain flatten": _CHANGED,
    "dataset-type list": _READ,
    "dataset-type show": _READ,
    "dataset-type register": "test_dataset_types::test_dataset_types_are_registered_and_removed_as_by_the_client",
    "dataset-type remove": "test_dataset_types::test_dataset_types_are_registered_and_removed_as_by_the_client",
    "dataset-type rename": "test_dataset_types::test_a_renamed_dataset_type_is_the_same_for_the_client",
    "dataset-type set-storage-class": "test_dataset_types::test_another_storage_class_is_that_for_the_client",
    "dataset-type unused": _READ,
    "dataset find": "test_datasets_client::test_what_is_found_is_what_the_client_finds",
    "dataset show": "test_reading_client::test_a_dataset_is_shown_as_the_client_sees_it",
    "dataset move": "test_datasets_client::test_what_was_moved_is_what_it_was",
    "dataset copy": "test_datasets_client::test_copies_are_datasets_of_their_own",
    "dataset remove": "test_datasets_client::test_datasets_are_removed_as_the_client_does",
    "dataset prune": "test_datasets_client::test_datasets_are_pruned_as_the_client_does",
    "dataset orphans": "test_reading_client::test_trash_and_orphans_are_those_that_the_client_makes",
    "dataset trash list": "test_reading_client::test_trash_and_orphans_are_those_that_the_client_makes",
    "dataset trash empty": "test_datasets_client::test_the_whole_trash_is_emptied_as_the_client_does",
    "calibration list": _READ,
    "calibration check": "test_reading_client::test_gaps_and_overlaps_are_those_of_the_clients_timespans",
    "calibration certify": "test_calibrations_client::test_certifications_are_those_of_the_client",
    "calibration decertify": "test_calibrations_client::test_certifications_are_those_of_the_client",
    "calibration shift": "test_calibrations_client::test_shifts_and_copies_are_what_the_client_would_certify_anew",
    "calibration copy": "test_calibrations_client::test_shifts_and_copies_are_what_the_client_would_certify_anew",
    "record list": _READ,
    "record export": "test_records_client::test_differences_are_what_the_client_changed",
    "record import": _RECORDS,
    "record insert": _RECORDS,
    "record update": _RECORDS,
    "record delete": "test_records_client::test_after_a_deletion_the_client_sees_what_was_never_there",
    "record diff": "test_records_client::test_differences_are_what_the_client_changed",
    "attributes list": "test_reading_client::test_attributes_are_those_of_the_client",
    "attributes get": "test_reading_client::test_attributes_are_those_of_the_client",
    "attributes set": "test_reading_client::test_attributes_are_those_of_the_client",
    "obscore enable": _LATER,
    "obscore configure": _LATER,
    "obscore check": _LATER,
    "obscore rebuild": "test_obscore_client::test_rebuilt_rows_are_those_of_the_client",
}

OBSCORE = """
version: 1
collection_type: RUN
obs_collection: test
facility_name: "it's"
dataset_types:
  bias: {dataproduct_type: image, calib_level: 1, obs_id_fmt: "{detector}"}
"""
TOY = """
format_version: 1
name: Toy
class_name: lsst.obs.toy.Toy
visit_max: 1000
exposure_max: 1000
detector_max: 10
visit_systems: [one-to-one]
default_visit_system: one-to-one
raw: {dataset_type: raw, dimensions: [instrument, detector, exposure], storage_class: Exposure, formatter: f}
runs: {raw: Toy/raw/all}
filters:
  - {physical_filter: r2, band: r}
detectors:
  - {id: 1, full_name: R_1, purpose: SCIENCE}
"""
SKYMAP = """
format_version: 1
name: small
discrete:
  - {ra_deg: 10, dec_deg: -5, radius_deg: 0.1}
pixel_scale_arcsec: 0.5
tract_overlap_deg: 0
patch_inner_dimensions: [500, 500]
patch_border: 10
"""


def given(repository: Repository) -> Path:
    """Return the folder of the files that examples name."""
    assert repository.root is not None
    return repository.root.parent / "given"


def example(name: str, repository: Repository, identifier: object) -> dict[str, Any]:
    """Return the values of a command for a repository."""
    words = {"id": str(identifier), "folder": str(given(repository)), "repo": str(repository.root)}

    def fill_in(value: Any) -> Any:
        if isinstance(value, list):
            return [fill_in(v) for v in value]
        return value.format(**words) if isinstance(value, str) and value.startswith("{") else value

    return {n: fill_in(v) for n, v in EXAMPLES[name].items()}


def prepare(repository: Repository) -> Sequence[Any]:
    """Fill a new repository, and return the identifiers of its datasets."""
    fill(repository)
    ids = _store(repository, "bias", RUN, bias(*range(DATASETS)))
    certify(repository, "calib", "bias", Query(("bias",), (RUN,)), Timespan.of(1_704_067_237 * 10**9, None))
    for name in ("chain", "outer"):
        create_collection(repository, name, CollectionType.CHAINED)
    create_collection(repository, "other tags", CollectionType.TAGGED)
    edit_chain(repository, ChainEdit("chain", ChainMode.SET, (RUN, "tagged")))
    edit_chain(repository, ChainEdit("outer", ChainMode.SET, ("chain",)))
    associate(repository, "other tags", Query(("bias",), (RUN,)))
    change(repository, "make a type", lambda s: ensure_dataset_type(s, "spare", ["instrument"], "StructuredDataDict"))
    _store(repository, "spare", "u/spare", [{"instrument": INSTRUMENT}])
    prune(repository, Query(("spare",)), Mode.UNSTORE)
    _prepare_files(repository)
    return ids


def _store(repository: Repository, dataset_type: str, run: str, data_ids: list[dict[str, Any]]) -> list[Any]:
    """Add datasets with files."""
    assert repository.root is not None
    ids, rows = add(repository, dataset_type, run, data_ids), []
    for i, identifier in enumerate(ids):
        path = repository.root / f"ü {dataset_type} {i}%41.yaml"
        path.write_text("a: 1", encoding="utf-8")
        rows.append({"dataset_id": identifier, "path": path.name, "formatter": "f", "storage_class": "s"})
    change(repository, "store", lambda s: store_records(s, rows))
    return ids


def _prepare_files(repository: Repository) -> None:
    """Write the files that examples name, and add what they have to do with."""
    folder = given(repository)
    folder.mkdir()
    texts = {
        "obscore.yaml": OBSCORE,
        "obscore2.yaml": OBSCORE.replace("version: 1", "version: 2").replace("it's", "that's"),
        "detector.csv": f"instrument,id,full_name\n{INSTRUMENT},77,imported\n",
        "toy.yaml": TOY,
        "other.yaml": TOY.replace("Toy", "Other"),
        "changed.yaml": TOY.replace("band: r", "band: i"),
        "small.yaml": SKYMAP,
        "old.yaml": SKYMAP.replace("small", "old").replace("-5", "5"),
        "Photodiode_20130617_2.txt": "0.0 1e-9\n0.1 2e-9\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    raws.register(repository, raws.cameras()[0])
    files = {number: raws.hsc(folder / f"raw{number}.fits", number) for number in (2, 4, 6)}
    ingest_raws(repository, [str(files[2])], IngestOptions(transfer=Transfer.COPY, processes=1))
    register_instruments(repository, [load_definition(folder / "toy.yaml")])
    register_skymap(repository, load_skymap(folder / "old.yaml"))
