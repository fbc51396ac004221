"""${message}."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registrytool.step import Step

component, implementation, version = "COMPONENT", "IMPLEMENTATION", "VERSION"

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade(step: Step) -> None:
    step.reshape()


def downgrade(step: Step) -> None:
    step.reshape()
