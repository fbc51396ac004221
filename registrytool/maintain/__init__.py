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
    from .collection_tree import (  # noqa: F401 (for type checkers)
        TreeNode,
        tree_nodes,
        tree_svg,
    )
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
    from .obscore_table import (  # noqa: F401 (for type checkers)
        ObsCoreCheck,
        check_obscore,
        enable_obscore,
    )
    from .session import (  # noqa: F401 (for type checkers)
        Session,
        change,
        reading,
    )
    from .timespans import (  # noqa: F401 (for type checkers)
        Timespan,
    )

#: Public names and the module of each; the imports above say the same to those who check types.
_MODULES = {
    "AssociationPlan": "associations",
    "AttributeReport": "attributes",
    "ChainEdit": "chains",
    "ChainMode": "chains",
    "ChainReport": "chains",
    "Collection": "collections",
    "CollectionDetails": "collection_list",
    "CollectionInfo": "collection_list",
    "CollectionReport": "collection_changes",
    "CollectionType": "collections",
    "Collections": "collections",
    "DatasetType": "dataset_types",
    "DatasetTypeInfo": "dataset_type_changes",
    "DatasetTypeReport": "dataset_type_changes",
    "ObsCoreCheck": "obscore_table",
    "RemovalPlan": "collection_changes",
    "Session": "session",
    "Timespan": "timespans",
    "TreeNode": "collection_tree",
    "Unused": "dataset_type_changes",
    "associate": "associations",
    "change": "session",
    "check_obscore": "obscore_table",
    "create_collection": "collection_changes",
    "disassociate": "associations",
    "document_collection": "collection_changes",
    "edit_chain": "chains",
    "edit_chains": "chains",
    "enable_obscore": "obscore_table",
    "ensure_collection": "collections",
    "ensure_dataset_type": "dataset_types",
    "find_unused": "dataset_type_changes",
    "get_attribute": "attributes",
    "list_attributes": "attributes",
    "list_collections": "collection_list",
    "list_dataset_types": "dataset_type_changes",
    "load_collections": "collections",
    "load_dataset_types": "dataset_types",
    "plan_associate": "associations",
    "plan_chain_edit": "chains",
    "plan_create": "collection_changes",
    "plan_disassociate": "associations",
    "plan_document": "collection_changes",
    "plan_register": "dataset_type_changes",
    "plan_removal": "collection_changes",
    "plan_remove": "dataset_type_changes",
    "plan_rename": "collection_changes",
    "plan_rename_dataset_type": "dataset_type_changes",
    "plan_set_attribute": "attributes",
    "plan_set_storage_class": "dataset_type_changes",
    "reading": "session",
    "register_dataset_type": "dataset_type_changes",
    "remove_collection": "collection_changes",
    "remove_dataset_type": "dataset_type_changes",
    "rename_collection": "collection_changes",
    "rename_dataset_type": "dataset_type_changes",
    "set_attribute": "attributes",
    "set_storage_class": "dataset_type_changes",
    "show_collection": "collection_list",
    "tree_nodes": "collection_tree",
    "tree_svg": "collection_tree",
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
