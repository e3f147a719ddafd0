"""Every check has a page, and what the page shows is what the check finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from execpolicy.decision import Layer
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules
from execpolicy.lint.base import LintFile, Subject
from execpolicy.lint.run import CHECKS, lint
from execpolicy.source import SourceText

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "checks"
FENCE = re.compile(r"^```rules (fires|quiet)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def found(text: str) -> set[str]:
    parsed = parse_rules(text, "page.rules", Layer.USER)
    assert parsed.diagnostics == ()
    file = LintFile(SourceText("page.rules", text), Layer.USER, parsed.file)
    subject = Subject(files=(file,), policy=Policy.build([(Layer.USER, parsed.file)]), today="2026-06-01")
    return {finding.code for finding in lint(subject).findings}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.code}-{check.name}")
def test_a_page_shows_what_is_found_and_what_is_not(check: object) -> None:
    code, name = getattr(check, "code"), getattr(check, "name")  # noqa: B009
    examples = FENCE.findall((PAGES / f"{code}-{name}.md").read_text("utf-8"))
    assert {kind for kind, _ in examples} == {"fires", "quiet"}
    for kind, text in examples:
        assert (code in found(text)) is (kind == "fires"), text


def test_every_page_is_about_a_check() -> None:
    pages = {path.stem for path in PAGES.glob("L*.md")}
    assert pages == {f"{check.code}-{check.name}" for check in CHECKS}
    listed = (PAGES / "README.md").read_text("utf-8")
    assert all(f"({page}.md)" in listed for page in pages)


def test_codes_are_told_apart() -> None:
    assert len({check.code for check in CHECKS}) == len({check.name for check in CHECKS}) == len(CHECKS)
