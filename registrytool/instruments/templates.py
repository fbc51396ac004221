"""Names of files in a datastore, made from templates as the Butler makes them; pure.

A template is text with fields such as ``{run:/}``, ``{exposure.obs_id|group:?}`` and ``{component:?}``: the first of
the names in a field that has a value counts; ``?`` leaves out the field, and the text before it, where none has;
``/`` keeps slashes.  Templates are those of ``butler.yaml``, else the Butler's own (lsst/daf_butler:
python/lsst/daf/butler/configs/datastores/fileDatastore.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registrytool.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT = (
    "{run:/}/{datasetType}.{component:?}/{tract:?}/{patch:?}/{day_obs|visit.day_obs|exposure.day_obs:?}/{band:?}/"
    "{subfilter:?}/{physical_filter:?}/{visit:?}/{exposure.obs_id|group:?}/{datasetType}_{component:?}_{instrument:?}_"
    "{tract:?}_{patch:?}_{band:?}_{physical_filter:?}_{visit:?}_{exposure.obs_id|group:?}_{detector.full_name:?}_"
    "{skymap:?}_{skypix:?}_{ssp_hypothesis_table:?}_{ssp_hypothesis_bundle:?}_{ssp_balanced_index:?}_{run}"
)
_RAW = (
    "{run:/}/{datasetType}.{component:?}/{day_obs|exposure.day_obs}/{exposure.obs_id}/"
    "{datasetType}_{component:?}_{instrument:?}_{physical_filter}_{exposure.obs_id}_{detector.full_name}_{run}"
)
#: Templates of the Butler, by dimensions, implied ones included.
_BY_DIMENSIONS = {frozenset({"physical_filter", "detector", "exposure"}): _RAW}
_FIELD = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")


def choose_template(
    configured: Mapping[str, Any] | str | None, dataset_type: str, storage_class: str, dimensions: Sequence[str]
) -> str:
    """Return the template for a dataset type.

    Parameters
    ----------
    configured : `~collections.abc.Mapping`, `str` or `None`
        ``datastore.templates`` of ``butler.yaml``.
    dataset_type, storage_class : `str`
        Names.
    dimensions : `~collections.abc.Sequence` [`str`]
        Its dimensions, implied ones included.
    """
    entries = dict(configured) if isinstance(configured, Mapping) else {}
    entries.setdefault("default", configured if isinstance(configured, str) else _DEFAULT)
    for name in (dataset_type, storage_class):
        if isinstance(entries.get(name), str):
            return str(entries[name])
    wanted = set(dimensions)
    sets = {frozenset(k.split("+")): str(v) for k, v in entries.items() if "+" in k}
    for names, template in {**_BY_DIMENSIONS, **sets}.items():
        # An instrument goes without saying.
        if names == wanted or names | {"instrument"} == wanted:
            return template
    return next(
        (t for names, t in {**_BY_DIMENSIONS, **sets}.items() if names <= wanted and "exposure" in names),
        str(entries["default"]),
    )


def format_template(template: str, values: Mapping[str, Any]) -> str:
    """Return the path that a template gives, without a suffix.

    Parameters
    ----------
    template : `str`
        The template.
    values : `~collections.abc.Mapping` [`str`, object]
        Values by name, such as ``run``, ``datasetType``, ``exposure.obs_id`` and ``detector.full_name``.

    Raises
    ------
    ConfigurationError
        A field that must have a value has none, or the path leads out of the datastore.
    """
    output, position = "", 0
    for match in _FIELD.finditer(template):
        literal, position = template[position : match.start()], match.end()
        style = match[2] or ""
        value = next((values[n] for n in match[1].split("|") if values.get(n) is not None), None)
        if value is None:
            if "?" not in style:
                message = f"The file template {template!r} needs {match[1]}, which has no value."
                raise ConfigurationError(message, hint="Change datastore.templates of butler.yaml.")
            # The separators before a field that is left out go with it, but for the one between folders.
            output += "/" if "/" in literal and not output.endswith("/") else ""
            continue
        # Characters that mean something in paths of some operating system; a run keeps its folders.
        text = re.sub(r'[ "*:<>?|\\]', "_", str(value))
        if "/" not in style:
            text = text.replace("/", "_").replace("#", "HASH").replace("..", "__")
        if literal == "/" and output.endswith("/"):
            literal = ""
        output += literal + text
    output += template[position:]
    path = re.sub(r"/{2,}", "/", output)
    if path.startswith("/") or ".." in path.split("/"):
        message = f"The file template {template!r} gives {path!r}, which is not inside of the datastore."
        raise ConfigurationError(message, hint="Change datastore.templates of butler.yaml.")
    return path
