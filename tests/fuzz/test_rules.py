"""Broken rule files: every one is answered, none loses a deny of another file, formatting is stable."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Decision, Layer
from execpolicy.diagnostics import render
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.lang.format import format_text
from execpolicy.lang.lower import parse_rules

NAMES = ["prefix_rule(", "command_rule(", "exception(", "defaults(", "pattern", "decision", "when", "until"]
MARKS = ["=", ",", ")", "[", "]", "{", "}", ":", "+", ";", "\n", "\r\n", " ", "# c\n", "\\\n", "\ufeff", "\0"]
VALUES = [
    '"git"',
    "'",
    '"',
    '"""',
    '"deny"',
    '"allow"',
    'glob("a*")',
    'regex("(a")',
    "end",
    "not",
    "branch",
    "1",
]
WORDS = [*NAMES, *MARKS, *VALUES]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)
CONTEXT = CheckContext(cwd="/w", workspace="/w")
DENY = 'prefix_rule(pattern=["zz"], decision="deny")\n'


@given(TEXTS)
def test_every_text_is_answered_and_formats_to_what_stays(text: str) -> None:
    for one in parse_rules(text, "x.rules", Layer.USER).diagnostics:
        assert one.code
        assert "x.rules:" in render(one)
    done = format_text(text, "x.rules")
    if done.text is not None:
        assert format_text(done.text, "x.rules").text == done.text
        assert (
            parse_rules(done.text, "x.rules", Layer.USER).diagnostics == ()
            or parse_rules(text, "x.rules", Layer.USER).diagnostics
        )


@given(text=TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_no_file_takes_the_deny_of_another(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_text(DENY, encoding="utf-8")
    (tmp_path / "b.rules").write_text(text, encoding="utf-8", newline="")
    sources = [PolicySource(tmp_path / name, Layer.USER) for name in ("b.rules", "a.rules")]
    assert check("zz", load_policy(sources).policy, CONTEXT).decision is Decision.DENY
