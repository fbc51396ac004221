"""Change ``butler.yaml`` where a migration demands it, keeping everything else in it, comments too."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .config import parse_yaml
from .errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from .catalog import Catalog
    from .models import Plan


def follow_plan(path: Path | None, plan: Plan, catalog: Catalog) -> list[str]:
    """Name what a registry has at the end of a plan; known managers that it does not have give way.

    It can be done again, for a run that was killed between its commit and this.

    Parameters
    ----------
    path : `pathlib.Path` or `None`
        The file, if there is one.
    plan : `Plan`
        The steps that were done; none if the registry was there already.
    catalog : `Catalog`
        The content.

    Returns
    -------
    warnings : `list` [`str`]
        What was wrong without any step, and what must be done by hand.
    """
    if path is None:
        return _by_hand(plan, _new_names(plan, catalog), catalog)
    try:
        text = _read(path)
        changed, warnings = _followed(path, text, plan, catalog)
        if changed != text:
            named = "; ".join(_must_name(plan, _new_names(plan, catalog), catalog))
            _replace(path, changed, f"It must name {named}." if named else "Compare it with one of a new repository.")
    except ConfigurationError as error:
        return [_complaint(error)]
    return warnings


def require_writable(path: Path | None, plan: Plan, catalog: Catalog) -> None:
    """Check that what `follow_plan` is going to do can be done: after the commit of a migration it is too late.

    Parameters
    ----------
    path, plan, catalog
        See `follow_plan`.

    Raises
    ------
    ConfigurationError
        The file must be changed, and it cannot be written.
    """
    if path is None:
        return
    try:
        text = _read(path)
        changed, _ = _followed(path, text, plan, catalog)
    except ConfigurationError:
        # It is in a state that cannot be changed here at all, which is said when all is done.
        return
    if changed == text:
        return
    try:
        _write_beside(path.resolve(), changed, "").unlink()
    except ConfigurationError as error:
        message = f"The migration changes butler.yaml as well, and {error.message}"
        hint = "Make it writable; or name the registry by its URL, and change the file by hand afterwards."
        raise ConfigurationError(message, hint=hint) from error


def _new_names(plan: Plan, catalog: Catalog) -> dict[str, str]:
    history = catalog.history
    return {old: new for s in plan.steps for old, new in history.revision(s.revision).configuration.items()}


def _followed(path: Path, text: str, plan: Plan, catalog: Catalog) -> tuple[str, list[str]]:
    """Return the text of a file as a plan wants it, and what must be said about it."""
    from .models import CONFIGURATIONS

    warnings: list[str] = []
    text = _with_names(path, text, _new_names(plan, catalog))
    managers = _managers(parse_yaml(text))
    components = plan.start.components.keys() | plan.end.components.keys()
    for component in sorted(components - CONFIGURATIONS.keys()):
        start, end = plan.start.get(component), plan.end.get(component)
        present = _class_of(managers, component)
        known = catalog.implementation_of(component, present or "")
        stale = end is not None and known not in (None, end.implementation)
        if not stale and (start and start.implementation) == (end and end.implementation):
            continue
        usual = next(iter(catalog.content.implementations[component]))
        if end is not None and end.implementation == usual and not managers:
            # Nobody was named, before week 2020.45: the defaults of the client hold, which are those of new registries.
            continue
        class_name = catalog.configured_class(component, end.implementation) if end is not None else None
        try:
            text = _with_manager(path, text, component, class_name)
        except ConfigurationError as error:
            warnings.append(_complaint(error))
            continue
        if start is not None and end is not None and start.implementation == end.implementation:
            warnings.append(f"butler.yaml named {present} as manager of {component}; now it names {class_name}")
    return text, warnings


def _complaint(error: ConfigurationError) -> str:
    return f"butler.yaml must be changed by hand: {str(error).rstrip('.')}"


def _by_hand(plan: Plan, renamed: Mapping[str, str], catalog: Catalog) -> list[str]:
    """Say what must be changed in the files of a registry that was named by its URL."""
    what = "the butler.yaml of each repository with this registry"
    return [f"{what} must be changed by hand: it must name {item}" for item in _must_name(plan, renamed, catalog)]


def _must_name(plan: Plan, renamed: Mapping[str, str], catalog: Catalog) -> list[str]:
    """Return what a file must name after a plan that it did not name before."""
    from .models import CONFIGURATIONS

    changed = [f"{new} instead of {old}" for old, new in sorted(renamed.items())]
    for component in sorted((plan.start.components.keys() & plan.end.components.keys()) - CONFIGURATIONS.keys()):
        implementation = plan.end[component].implementation
        if implementation != plan.start[component].implementation:
            changed.append(f"{catalog.configured_class(component, implementation)} as registry.managers.{component}")
    return changed


def names_manager(path: Path, component: str) -> bool:
    """Return whether a ``butler.yaml`` names a class that manages a component."""
    return _class_of(_managers(parse_yaml(_read(path))), component) is not None


def set_manager(path: Path, component: str, class_name: str | None) -> bool:
    """Set or remove the class that manages a component.

    The file is replaced as a whole, so that a reader never sees half of it.

    Parameters
    ----------
    path : `pathlib.Path`
        The file.
    component : `str`
        Component.
    class_name : `str` or `None`
        Class; `None` removes the entry.

    Returns
    -------
    changed : `bool`
        Whether the file had to be changed.

    Raises
    ------
    ConfigurationError
        The file is not written in a way that can be changed like this; it is as it was.
    """
    text = _read(path)
    changed = _with_manager(path, text, component, class_name)
    if changed != text:
        _replace(path, changed, _action(component, class_name))
    return changed != text


def _action(component: str, class_name: str | None) -> str:
    what = f"registry.managers.{component}"
    return f"Please {f'set {what} to {class_name}' if class_name else f'remove {what}'} yourself."


def _with_manager(path: Path, text: str, component: str, class_name: str | None) -> str:
    """Return a text with another manager of a component; see `set_manager`."""
    before = parse_yaml(text)
    if _class_of(_managers(before), component) == class_name:
        return text
    wanted = dict(_managers(before))
    if class_name is None:
        wanted.pop(component, None)
    else:
        wanted[component] = class_name
    changed = _edited(text, component, class_name)
    if changed is None or _managers(_parsed(changed)) != wanted or _rest(_parsed(changed)) != _rest(before):
        message = f"{path} is not written in a way that registrytool can change."
        raise ConfigurationError(message, hint=_action(component, class_name))
    return changed


def _with_names(path: Path, text: str, names: Mapping[str, str]) -> str:
    """Give values other names, wherever they stand; datastores of another class keep their own names.

    The name of a datastore is in the rows of a registry.  Where the file does not give it, it follows from the class.

    Raises
    ------
    ConfigurationError
        The file is not written in a way that can be changed like this.
    """
    before = parse_yaml(text)
    added: list[str] = []
    wanted = _renamed(before, names, added)
    if wanted == before:
        return text
    lines = []
    for line in text.splitlines(keepends=True):
        lines.append(re.sub(r"[\w.]+", lambda match: names.get(match[0], match[0]), line))
        head = re.match(r"(\s*(?:- +)?)cls:", line)
        if head and lines[-1] != line and added:
            name = json.dumps(added.pop(0), ensure_ascii=False)
            end = _line_end(line)
            lines[-1] = f"{lines[-1].rstrip()}{end}{' ' * len(head[1])}name: {name}{end}"
    changed = "".join(lines)
    if _parsed(changed) != wanted:
        listed = ", ".join(f"{old} to {new}" for old, new in names.items() if old in text)
        message = f"{path} is not written in a way that registrytool can change."
        raise ConfigurationError(message, hint=f"Please change {listed} yourself, and give datastores a name.")
    return changed


def _renamed(value: Any, names: Mapping[str, str], added: list[str]) -> Any:
    """Return a configuration with other values, and note the names of datastores that it lacked, in their order."""
    if isinstance(value, Mapping):
        kind = value.get("cls")
        result = {}
        if isinstance(kind, str) and kind in names and "name" not in value:
            result["name"] = f"{kind.rpartition('.')[2]}@{value.get('root')}"
            added.append(result["name"])
        return result | {key: _renamed(item, names, added) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names, added) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _read(path: Path) -> str:
    """Return the text of a file with its line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        message = f"{path} cannot be read: {reason}."
        raise ConfigurationError(message, hint="Compare it with one of a new repository.") from error


def _line_end(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n"


def _replace(path: Path, text: str, action: str) -> None:
    """Replace a file, or what a link leads to."""
    path = path.resolve()
    temporary = _write_beside(path, text, action)
    try:
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, temporary, error, action) from error


def _write_beside(path: Path, text: str, action: str) -> Path:
    """Write a file that can take the place of another, and return where it is."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.chmod(path.stat().st_mode & 0o777)
    except OSError as error:
        raise _unwritable(path, temporary, error, action) from error
    return temporary


def _unwritable(path: Path, temporary: Path, error: OSError, action: str) -> ConfigurationError:
    with contextlib.suppress(OSError):
        temporary.unlink()
    message = f"{path} cannot be written: {error.strerror or error}."
    return ConfigurationError(message, hint=action)


def _parsed(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError:
        return None


def _managers(config: Any) -> Mapping[str, Any]:
    registry = config.get("registry") if isinstance(config, Mapping) else None
    managers = registry.get("managers") if isinstance(registry, Mapping) else None
    return managers if isinstance(managers, Mapping) else {}


def _rest(config: Any) -> Any:
    """Return a configuration without the managers."""
    if not isinstance(config, Mapping) or not isinstance(config.get("registry"), Mapping):
        return config
    registry = {k: v for k, v in config["registry"].items() if k != "managers"}
    return {**config, "registry": registry}


def _class_of(managers: Mapping[str, Any], component: str) -> str | None:
    value = managers.get(component)
    if isinstance(value, Mapping):
        value = value.get("cls")
    return str(value) if value is not None else None


def _edited(text: str, component: str, class_name: str | None) -> str | None:
    """Edit the lines below ``registry: managers:``; `None` if there are none."""
    lines = text.splitlines(keepends=True)
    registry = _find(lines, "registry", 0, len(lines), "")
    if registry is None:
        return None
    end = _block_end(lines, registry)
    managers = next(
        (i for i in range(registry + 1, end) if re.match(r"\s+managers:\s*(#.*)?$", lines[i].rstrip("\n"))), None
    )
    if managers is None:
        return None
    last = _block_end(lines, managers)
    children = [i for i in range(managers + 1, last) if lines[i].strip() and not lines[i].lstrip().startswith("#")]
    if not children:
        return None
    indent = re.match(r"\s*", lines[children[0]])[0]  # type: ignore[index]
    entry = _find(lines, component, managers + 1, last, indent)
    line = lines[children[-1] if entry is None else entry]
    comment = re.search(r":\s*(?:'[^']*'|\"[^\"]*\"|[^'\"\s]\S*)(\s+#.*?)\s*$", line) if entry is not None else None
    kept = comment[1] if comment else ""
    new = [f"{indent}{component}: {class_name}{kept}{_line_end(line)}"] if class_name is not None else []
    if entry is not None:
        return "".join([*lines[:entry], *new, *lines[_block_end(lines, entry) :]])
    position = children[-1] + 1
    if not lines[position - 1].endswith("\n"):
        lines[position - 1] += _line_end(lines[0])
    return "".join([*lines[:position], *new, *lines[position:]])


def _find(lines: list[str], key: str, start: int, end: int, indent: str) -> int | None:
    pattern = re.compile(rf"{re.escape(indent)}(['\"]?){re.escape(key)}\1\s*:")
    return next((i for i in range(start, end) if pattern.match(lines[i])), None)


def _block_end(lines: list[str], start: int) -> int:
    """Return the position after a key and all that is indented more than it."""
    depth = len(lines[start]) - len(lines[start].lstrip())
    end = start + 1
    for i in range(start + 1, len(lines)):
        stripped = lines[i].strip()
        if not stripped or stripped.startswith("#"):
            continue
        if len(lines[i]) - len(lines[i].lstrip()) <= depth:
            break
        end = i + 1
    return end
