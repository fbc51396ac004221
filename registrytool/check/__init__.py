"""The CI gate: check that every change of a schema has a tested migration, or an approved waiver."""

from .model import Finding, Report, Rule, Subject
from .run import check_content

__all__ = ["Finding", "Report", "Rule", "Subject", "check_content"]
