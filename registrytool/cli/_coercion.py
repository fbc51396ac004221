"""Words that need no library to become values: typer builds a pydantic validator for each parameter of a command.

To load pydantic takes a tenth of the time of a short command, and nearly all parameters are texts, or were not given.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import typer.core

if TYPE_CHECKING:
    from collections.abc import Callable


class _Quick:
    """Turns words into values as typer does, and asks typer only where that takes more than a look.

    Parameters
    ----------
    annotation : `type`
        What the value has to be.
    usual : callable
        Returns what typer would use, and loads pydantic for it.
    """

    def __init__(self, annotation: Any, usual: Callable[[], Any]) -> None:
        self._annotation = annotation
        self._usual = usual

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value of some words; `None` stands for an option that was not given."""
        kind = self._annotation
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if kind is str and type(value) is str:
            return value
        if kind == list[str] and type(value) in (list, tuple) and all(type(item) is str for item in value):
            return list(value)
        if isinstance(kind, enum.EnumType):
            # Spelled otherwise, or wrong: typer knows what counts, and what to say.
            members: list[Any] = list(kind)
            found = next((member for member in members if value in (member, member.value)), None)
            if found is not None:
                return found
        return self._usual().coerce(value, param=param, ctx=ctx)


def coerce_quickly() -> None:
    """Let typer load pydantic only for words that need it; other versions than those that use it stay as they are."""
    parameter: Any = getattr(typer.core, "_TyperParameter", None)
    if parameter is None or not hasattr(parameter, "get_runtime_param"):
        return
    usual = parameter.get_runtime_param
    parameter.get_runtime_param = lambda self: _Quick(self.type_descriptor.annotation, lambda: usual(self))
