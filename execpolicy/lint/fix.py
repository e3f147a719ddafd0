"""Takes out declarations that a check has shown to be needless; everything else of a file stays as it is."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from execpolicy.lang.lower import parse_rules
from execpolicy.lang.rules import Meta, Rule, RuleFile
from execpolicy.lang.scanner import Scanner
from execpolicy.lint.base import Finding, LintFile
from execpolicy.values import replace

MADE_ID: Final = re.compile(r".*:[0-9]+(?:\.[0-9]+)?")
LINE_END: Final = re.compile(r"[ \t]*\r?\n")


def take_out(file: LintFile, findings: Sequence[Finding]) -> tuple[str, tuple[Finding, ...]]:
    """The file without the declarations of `findings`, and which of them were done.

    A declaration stays when a comment stands in it or something else on its lines, or when more than it would change.
    All may go at once: what a finding rests on is never what rests on it.
    """
    text = file.source.text
    wanted = {
        file.source.offset(one.origin.line, one.origin.column): one for one in findings if one.file is file
    }
    scanner = Scanner(file.source)
    spans = [(chunk.start, chunk.end) for chunk in scanner.chunks() if chunk.start in wanted]
    places = [comment.span.start for comment in scanner.comments]
    done: list[Finding] = []
    for start, end in reversed(spans):
        if bisect_left(places, start) != bisect_left(places, end):
            continue
        line_start = text.rfind("\n", 0, start) + 1
        behind = LINE_END.match(text, end)
        if text[line_start:start].strip(" \t") or (behind is None and end != len(text)):
            continue
        stop = behind.end() if behind is not None else end
        if text[:line_start].endswith("\n\n") and text.startswith("\n", stop):
            stop += 1  # one of the two empty lines that would meet
        text = text[:line_start] + text[stop:]
        done.append(wanted[start])
    if not _same_but(file.rules, done, parse_rules(text, file.source.path, file.layer).file):
        return file.source.text, ()
    return text, tuple(reversed(done))


def _same_but(old: RuleFile, done: Sequence[Finding], new: RuleFile) -> bool:
    gone = {finding.origin for finding in done}
    kept_rules = [rule for rule in old.rules if rule.meta.origin not in gone]
    kept_exceptions = tuple(one for one in old.exceptions if one.origin not in gone)
    return (
        len(old.rules) - len(kept_rules) + len(old.exceptions) - len(kept_exceptions) == len(gone)
        and list(map(_unnamed, kept_rules)) == list(map(_unnamed, new.rules))
        and kept_exceptions == new.exceptions
        and old.defaults == new.defaults
        and old.masks == new.masks
        and old.host_executables == new.host_executables
    )


def _unnamed(rule: Rule) -> Rule:
    """Without an id that was made of its line."""
    meta: Meta = rule.meta
    if MADE_ID.fullmatch(meta.id):
        return replace(rule, meta=replace(meta, id=""))
    return rule
