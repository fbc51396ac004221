"""Maintenance of what a registry holds: collections, dataset types, datasets, calibrations, dimension records.

Nothing here changes the schema; everything works on each supported state, on both databases.  What notebooks and
scripts need can be imported from here; a module is loaded when something of it is used for the first time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .associations import (  # noqa: F401 (for type checkers)
        AssociationPlan,
        associate,
        disassociate,
        plan_associate,
        plan_disassociate,
    )
    from .attributes import (  # noqa: F401 (for type checkers)
        AttributeReport,
        get_attribute,
        list_attributes,
        plan_set_attribute,
        set_attribute,
    )
    from .calibrations import (  # noqa: F401 (for type checkers)
        CalibrationChange,
        certify,
        copy_certifications,
        decertify,
        shift,
    )
    from .certifications import (  # noqa: F401 (for type checkers)
        CalibrationCheck,
        Certification,
        Choice,
        check_certifications,
        list_certifications,
    )
    from .chains import (  # noqa: F401 (for type checkers)
        ChainEdit,
        ChainMode,
        ChainReport,
        edit_chain,
        edit_chains,
        plan_chain_edit,
    )
    from .collection_changes import (  # noqa: F401 (for type checkers)
        CollectionReport,
        RemovalPlan,
        create_collection,
        document_collection,
        plan_create,
        plan_document,
        plan_removal,
        plan_rename,
        remove_collection,
        rename_collection,
    )
    from .collection_list import (  # noqa: F401 (for type checkers)
        CollectionDetails,
        CollectionInfo,
        list_collections,
        show_collection,
    )
    from .collection_tree import TreeNode, tree_nodes, tree_svg  # noqa: F401 (for type checkers)
    from .collections import (  # noqa: F401 (for type checkers)
        Collection,
        Collections,
        CollectionType,
        ensure_collection,
        load_collections,
    )
    from .dataset_type_changes import (  # noqa: F401 (for type checkers)
        DatasetTypeInfo,
        DatasetTypeReport,
        Unused,
        find_unused,
        list_dataset_types,
        plan_register,
        plan_remove,
        plan_rename_dataset_type,
        plan_set_storage_class,
        register_dataset_type,
        remove_dataset_type,
        rename_dataset_type,
        set_storage_class,
    )
    from .dataset_types import (  # noqa: F401 (for type checkers)
        DatasetType,
        ensure_dataset_type,
        load_dataset_types,
    )
    from .datasets import (  # noqa: F401 (for type checkers)
        dataset_id,
        empty_run,
        insert_datasets,
        remove_datasets,
    )
    from .datastore import (  # noqa: F401 (for type checkers)
        Datastore,
        file_uris,
        load_datastores,
        store_records,
    )
    from .dependants import (  # noqa: F401 (for type checkers)
        DeletePlan,
        delete_records,
        plan_delete,
        preview_delete,
    )
    from .expressions import Expression, ExpressionError, parse  # noqa: F401 (for type checkers)
    from .find import (  # noqa: F401 (for type checkers)
        Dataset,
        Query,
        Search,
        count_datasets,
        find_datasets,
        plan_search,
    )
    from .obscore_table import (  # noqa: F401 (for type checkers)
        ObsCoreCheck,
        ObsCoreRebuild,
        check_obscore,
        configure_obscore,
        enable_obscore,
        rebuild_obscore,
    )
    from .orphans import OrphanReport, find_orphans  # noqa: F401 (for type checkers)
    from .overlaps import (  # noqa: F401 (for type checkers)
        overlap_pixels,
    )
    from .prune import Mode, PrunePlan, plan_prune  # noqa: F401 (for type checkers)
    from .record_changes import (  # noqa: F401 (for type checkers)
        RecordChange,
        change_records,
        insert_record,
        remove_records,
    )
    from .record_query import (  # noqa: F401 (for type checkers)
        record_condition,
    )
    from .record_reading import (  # noqa: F401 (for type checkers)
        iter_records,
        load_records,
    )
    from .record_transfer import (  # noqa: F401 (for type checkers)
        Imported,
        RecordDifference,
        diff_records,
        export_records,
        import_records,
    )
    from .records import (  # noqa: F401 (for type checkers)
        Change,
        RecordPlan,
        RecordReport,
        insert_records,
        plan_records,
        plan_update,
        update_records,
    )
    from .session import Session, change, reading  # noqa: F401 (for type checkers)
    from .show import DatasetDetails, show_dataset  # noqa: F401 (for type checkers)
    from .times import format_time, parse_time  # noqa: F401 (for type checkers)
    from .timespans import Timespan  # noqa: F401 (for type checkers)
    from .transfer import (  # noqa: F401 (for type checkers)
        Files,
        TransferPlan,
        copy_datasets,
        move_datasets,
        plan_transfer,
    )
    from .trash import TrashEntry, TrashReport, empty_trash, list_trash  # noqa: F401 (for type checkers)

#: Public names and the module of each; the imports above say the same to those who check types.
_MODULES = {
    "AssociationPlan": "associations",
    "AttributeReport": "attributes",
    "CalibrationChange": "calibrations",
    "CalibrationCheck": "certifications",
    "Certification": "certifications",
    "ChainEdit": "chains",
    "ChainMode": "chains",
    "ChainReport": "chains",
    "Change": "records",
    "Choice": "certifications",
    "Collection": "collections",
    "CollectionDetails": "collection_list",
    "CollectionInfo": "collection_list",
    "CollectionReport": "collection_changes",
    "CollectionType": "collections",
    "Collections": "collections",
    "Dataset": "find",
    "DatasetDetails": "show",
    "DatasetType": "dataset_types",
    "DatasetTypeInfo": "dataset_type_changes",
    "DatasetTypeReport": "dataset_type_changes",
    "Datastore": "datastore",
    "DeletePlan": "dependants",
    "Expression": "expressions",
    "ExpressionError": "expressions",
    "Files": "transfer",
    "Imported": "record_transfer",
    "Mode": "prune",
    "ObsCoreCheck": "obscore_table",
    "ObsCoreRebuild": "obscore_table",
    "OrphanReport": "orphans",
    "PrunePlan": "prune",
    "Query": "find",
    "RecordChange": "record_changes",
    "RecordDifference": "record_transfer",
    "RecordPlan": "records",
    "RecordReport": "records",
    "RemovalPlan": "collection_changes",
    "Search": "find",
    "Session": "session",
    "Timespan": "timespans",
    "TransferPlan": "transfer",
    "TrashEntry": "trash",
    "TrashReport": "trash",
    "TreeNode": "collection_tree",
    "Unused": "dataset_type_changes",
    "associate": "associations",
    "certify": "calibrations",
    "change": "session",
    "change_records": "record_changes",
    "check_certifications": "certifications",
    "check_obscore": "obscore_table",
    "copy_certifications": "calibrations",
    "copy_datasets": "transfer",
    "count_datasets": "find",
    "create_collection": "collection_changes",
    "dataset_id": "datasets",
    "decertify": "calibrations",
    "delete_records": "dependants",
    "diff_records": "record_transfer",
    "disassociate": "associations",
    "document_collection": "collection_changes",
    "edit_chain": "chains",
    "edit_chains": "chains",
    "empty_run": "datasets",
    "empty_trash": "trash",
    "configure_obscore": "obscore_table",
    "enable_obscore": "obscore_table",
    "ensure_collection": "collections",
    "ensure_dataset_type": "dataset_types",
    "export_records": "record_transfer",
    "file_uris": "datastore",
    "find_datasets": "find",
    "find_orphans": "orphans",
    "find_unused": "dataset_type_changes",
    "format_time": "times",
    "get_attribute": "attributes",
    "import_records": "record_transfer",
    "insert_datasets": "datasets",
    "insert_record": "record_changes",
    "insert_records": "records",
    "iter_records": "record_reading",
    "list_attributes": "attributes",
    "list_certifications": "certifications",
    "list_collections": "collection_list",
    "list_dataset_types": "dataset_type_changes",
    "list_trash": "trash",
    "load_collections": "collections",
    "load_dataset_types": "dataset_types",
    "load_datastores": "datastore",
    "load_records": "record_reading",
    "move_datasets": "transfer",
    "overlap_pixels": "overlaps",
    "parse": "expressions",
    "parse_time": "times",
    "plan_associate": "associations",
    "plan_chain_edit": "chains",
    "plan_create": "collection_changes",
    "plan_delete": "dependants",
    "plan_disassociate": "associations",
    "plan_document": "collection_changes",
    "plan_prune": "prune",
    "plan_records": "records",
    "plan_register": "dataset_type_changes",
    "plan_removal": "collection_changes",
    "plan_remove": "dataset_type_changes",
    "plan_rename": "collection_changes",
    "plan_rename_dataset_type": "dataset_type_changes",
    "plan_search": "find",
    "plan_set_attribute": "attributes",
    "plan_set_storage_class": "dataset_type_changes",
    "plan_transfer": "transfer",
    "plan_update": "records",
    "preview_delete": "dependants",
    "reading": "session",
    "rebuild_obscore": "obscore_table",
    "record_condition": "record_query",
    "register_dataset_type": "dataset_type_changes",
    "remove_collection": "collection_changes",
    "remove_dataset_type": "dataset_type_changes",
    "remove_datasets": "datasets",
    "remove_records": "record_changes",
    "rename_collection": "collection_changes",
    "rename_dataset_type": "dataset_type_changes",
    "set_attribute": "attributes",
    "set_storage_class": "dataset_type_changes",
    "shift": "calibrations",
    "show_collection": "collection_list",
    "show_dataset": "show",
    "store_records": "datastore",
    "tree_nodes": "collection_tree",
    "tree_svg": "collection_tree",
    "update_records": "records",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 (a list of names)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
