"""The CI gate: check that every change of a schema has a tested migration, or an approved waiver."""

from .finding import Finding
from .model import Report, Rule, Subject
from .run import check_content

__all__ = ["Finding", "Report", "Rule", "Subject", "check_content"]
