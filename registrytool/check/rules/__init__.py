"""The rules, one in each file; the name of the file is the name of the rule.

Codes: RT1xx the tree of revisions and schema files, RT2xx released files, RT3xx what steps do when they run, RT4xx
dangerous statements, RT5xx waivers, RT6xx the merge of branches.

Besides the names of `registrytool.check.model.Rule` a rule may have ``notes(subject)``, sentences that are no
findings; ``BLOCKS = False``, if steps can be run although it has found something; and ``NEEDS_BASE = True``, if it
compares with another revision.  RT7xx are about clients.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from registrytool.check.model import Rule


@cache
def all_rules() -> tuple[tuple[str, Rule], ...]:
    """Return the names and modules of all rules, in the order of their codes."""
    names = sorted(module.name for module in iter_modules(__path__))
    rules = [(name, cast("Rule", import_module(f"{__name__}.{name}"))) for name in names]
    return tuple(sorted(rules, key=lambda item: item[1].CODE))
