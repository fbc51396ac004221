"""Live ObsCore table 0.0.1 (week 2022.41): one row for each observation, as the configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from registrytool.catalog import Builder, IndexSpec

_TEXT, _FLOAT, _INT, _SMALL = sa.Text, sa.Float, sa.Integer, sa.SmallInteger

#: Columns of the IVOA ObsCore data model that come first, in order.
_COLUMNS: tuple[tuple[str, type[sa.types.TypeEngine[Any]]], ...] = (
    ("dataproduct_type", _TEXT),
    ("dataproduct_subtype", _TEXT),
    ("facility_name", _TEXT),
    ("calib_level", _SMALL),
    ("target_name", _TEXT),
    ("obs_id", _TEXT),
    ("obs_collection", _TEXT),
    ("obs_publisher_did", _TEXT),
    ("access_url", _TEXT),
    ("access_format", _TEXT),
    ("s_resolution", _FLOAT),
    ("s_xel1", _INT),
    ("s_xel2", _INT),
    ("t_xel", _INT),
    ("t_min", _FLOAT),
    ("t_max", _FLOAT),
    ("t_exptime", _FLOAT),
    ("t_resolution", _FLOAT),
    ("em_xel", _INT),
    ("em_min", _FLOAT),
    ("em_max", _FLOAT),
    ("em_res_power", _FLOAT),
    ("em_filter_name", _TEXT),
    ("o_ucd", _TEXT),
    ("pol_xel", _INT),
    ("instrument_name", _TEXT),
)
_DEFAULT_PLUGIN = (("s_ra", _FLOAT), ("s_dec", _FLOAT), ("s_fov", _FLOAT), ("s_region", _TEXT))


class _Spherical(sa.types.UserDefinedType[Any]):
    """A type of the pgSphere extension."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


def _extra_type(registry: Builder, value: Any) -> sa.types.TypeEngine[Any]:
    """Return the type of a configured column: that of its constant, or the declared one of its template."""
    if isinstance(value, Mapping):
        length = value.get("length")
        return registry.column_type(value.get("type", "string"), 255 if length is None else int(length))
    for python, name in ((bool, "bool"), (int, "int"), (float, "float")):
        if isinstance(value, python):
            return registry.column_type(name)
    return sa.Text()


def tables(registry: Builder, config: Mapping[str, Any]) -> None:
    """Define the table that a configuration asks for."""
    columns: dict[str, sa.types.TypeEngine[Any]] = {}
    for name, kind in _COLUMNS:
        columns[name] = kind()
    extra: dict[str, Any] = dict(config.get("extra_columns") or {})
    for dataset_type in (config.get("dataset_types") or {}).values():
        for name, value in (dataset_type.get("extra_columns") or {}).items():
            extra.setdefault(name, value)
    for name, value in extra.items():
        columns.setdefault(name, _extra_type(registry, value))
    indexes: list[IndexSpec] = []
    # Clients of all ages use the default plugin, too, whatever the configuration names.
    for name, kind in _DEFAULT_PLUGIN:
        columns[name] = kind()
    for plugin in (config.get("spatial_plugins") or {}).values():
        if "pgsphere" in str(plugin.get("cls", "")).lower():
            settings = plugin.get("config") or {}
            region = settings.get("region_column") or "pgsphere_region"
            position = settings.get("position_column") or "pgsphere_position"
            columns[region], columns[position] = _Spherical("spoly"), _Spherical("spoint")
            indexes.extend(registry.index(name, method="gist") for name in (region, position))
    for wanted in (config.get("indices") or {}).values():
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        indexes.append(registry.index(*names))
    key = registry.reference("dataset", column="registry_dataset_id", primary_key=True)
    # Unlike all other primary keys it is not declared NOT NULL where the database permits that.
    key.nullable = registry.dialect == "sqlite"
    registry.table(
        config.get("table_name") or "obscore",
        *(sa.Column(name, kind) for name, kind in columns.items()),
        key,
        registry.foreign_key(("registry_dataset_id",), "dataset", ("id",), ondelete="CASCADE", index=False),
        *indexes,
    )
