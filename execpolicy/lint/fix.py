"""Takes out declarations that a check has shown to be needless; everything else of a file stays as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from execpolicy.lang.lower import parse_rules
from execpolicy.lang.rules import Meta, Rule, RuleFile
from execpolicy.lang.scanner import Scanner
from execpolicy.lint.base import Finding

MADE_ID: Final = re.compile(r".*:[0-9]+(?:\.[0-9]+)?")
LINE_END: Final = re.compile(r"[ \t]*\r?\n")


def take_out(finding: Finding) -> str | None:
    """The file without the declaration. None when a comment stands in it, or when more than it would change."""
    file = finding.file
    text = file.source.text
    scanner = Scanner(file.source)
    chunk, _ = scanner.statement(file.source.offset(finding.origin.line, finding.origin.column))
    start, end = chunk.start, chunk.end
    if any(start < comment.span.start < end for comment in scanner.comments):
        return None
    line_start = text.rfind("\n", 0, start) + 1
    behind = LINE_END.match(text, end)
    if text[line_start:start].strip(" \t") or (behind is None and end != len(text)):
        return None  # something else stands on its lines
    start, end = line_start, behind.end() if behind is not None else end
    if text[:start].endswith("\n\n") and text.startswith("\n", end):
        end += 1  # one of the two empty lines that would meet
    new = text[:start] + text[end:]
    if not _same_but(file.rules, finding, parse_rules(new, file.source.path, file.layer).file):
        return None
    return new


def _same_but(old: RuleFile, finding: Finding, new: RuleFile) -> bool:
    kept_rules = [rule for rule in old.rules if rule.meta.origin != finding.origin]
    kept_exceptions = [one for one in old.exceptions if one.origin != finding.origin]
    gone = len(old.rules) - len(kept_rules) + len(old.exceptions) - len(kept_exceptions)
    return (
        gone == 1
        and list(map(_unnamed, kept_rules)) == list(map(_unnamed, new.rules))
        and tuple(kept_exceptions) == new.exceptions
        and old.defaults == new.defaults
        and old.host_executables == new.host_executables
    )


def _unnamed(rule: Rule) -> Rule:
    """Without an id that was made of its line."""
    meta: Meta = rule.meta
    if MADE_ID.fullmatch(meta.id):
        return replace(rule, meta=replace(meta, id=""))
    return rule
