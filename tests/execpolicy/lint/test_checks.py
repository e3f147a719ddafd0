"""What each check finds, as rows; what it takes back; what it corrects."""

# ruff: noqa: E501
from __future__ import annotations

from dataclasses import replace

import pytest

from execpolicy.decision import Layer
from execpolicy.diagnostics import Severity, render
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules
from execpolicy.lint.base import Finding, LintFile, Subject
from execpolicy.lint.checks.evadable import spellings
from execpolicy.lint.checks.unanchored import anchored
from execpolicy.lint.fix import take_out
from execpolicy.lint.run import lint
from execpolicy.source import SourceText

WHY = 'justification = "because", suggest = "otherwise"'


def read(text: str, path: str = "t.rules", layer: Layer = Layer.USER) -> LintFile:
    parsed = parse_rules(text, path, layer)
    assert [render(one) for one in parsed.diagnostics] == []
    return LintFile(SourceText(path, text), layer, parsed.file)


def subject(*files: LintFile, groups: frozenset[str] | None = None) -> Subject:
    policy = Policy.build([(file.layer, file.rules) for file in files])
    return Subject(files=files, policy=policy, today="2026-06-01", groups=groups)


def find(text: str, code: str, **more: frozenset[str]) -> list[Finding]:
    return [one for one in lint(subject(read(text), **more)).findings if one.code == code]


@pytest.mark.parametrize(
    ("code", "text", "severity"),
    [
        pytest.param("L001", 'prefix_rule(["a"])\nprefix_rule(["a"])', "warning", id="duplicate"),
        pytest.param("L001", f'prefix_rule(["a"])\nprefix_rule(["a"], "deny", {WHY})', None, id="not-duplicate"),
        pytest.param(
            "L001", 'prefix_rule(["a"])\nprefix_rule(["a"], sandbox = "read-only")', None, id="other-terms"
        ),
        pytest.param("L002", 'prefix_rule(["a"])\nprefix_rule(["a", "b"])', "warning", id="shadowed"),
        pytest.param("L002", 'prefix_rule(["a", "b"])\nprefix_rule(["a"])', "warning", id="shadowed-by-a-later"),
        pytest.param(
            "L002", 'prefix_rule(["a"])\nprefix_rule(["a", "b"], justification = "x")', "note", id="own-reason"
        ),
        pytest.param(
            "L002", 'prefix_rule(["a"], when = branch == "x")\nprefix_rule(["a", "b"])', None, id="only-sometimes"
        ),
        pytest.param(
            "L002",
            'prefix_rule(["a"], expires = "2026-12-31")\nprefix_rule(["a", "b"])',
            None,
            id="outlives-the-other",
        ),
        pytest.param(
            "L002",
            'prefix_rule(["a"])\nprefix_rule(["a", "b"], sandbox = "read-only")',
            None,
            id="stricter-terms-count",
        ),
        pytest.param(
            "L002", f'prefix_rule(["a"], "deny", {WHY}, mode = "audit")\nprefix_rule(["a", "b"])', None, id="audit"
        ),
        pytest.param(
            "L002",
            f'command_rule(program = "a", decision = "deny", {WHY})\nprefix_rule(["a", "b"])',
            "warning",
            id="a-command-rule-over-a-prefix",
        ),
        pytest.param(
            "L002",
            f'path_rule(["/a/**", "/b"], ["read", "write"], decision = "deny", {WHY})'.replace(
                "path_rule([", "path_rule(paths = ["
            ).replace(', ["read"', ', access = ["read"')
            + '\npath_rule(paths = ["/b"], access = ["read"], decision = "allow")',
            "warning",
            id="paths",
        ),
        pytest.param(
            "L002",
            f'network_rule(host = "*.a.com", decision = "deny", {WHY})\nnetwork_rule(host = "x.a.com", decision = "allow")',
            "warning",
            id="hosts",
        ),
        pytest.param(
            "L002",
            f'network_rule(host = "*.a.com", decision = "deny", {WHY})\nnetwork_rule(host = "a.com", decision = "allow")',
            None,
            id="the-host-itself-is-no-subdomain",
        ),
        pytest.param(
            "L002",
            f'tool_rule(server = "s", tool = glob("*"), decision = "deny", {WHY})\ntool_rule(server = "s", tool = "x", decision = "allow")',
            "warning",
            id="tools",
        ),
        pytest.param("L003", f'prefix_rule(["a"])\nprefix_rule(["a"], "ask", {WHY})'.replace('"ask",', 'decision = "ask",'), "warning", id="conflict"),
        pytest.param("L004", 'prefix_rule(["a", all_of(glob("x*"), glob("y*"))])', "warning", id="no-such-word"),
        pytest.param("L004", 'prefix_rule(["a"], unless = [args_match(rest)])', "warning", id="all-excepted"),
        pytest.param("L004", 'prefix_rule(["a"], when = interactive and not interactive)', "warning", id="and-not"),
        pytest.param("L004", 'prefix_rule(["a"], when = os == "linux" and os == "macos")', "warning", id="two-systems"),
        pytest.param("L004", 'prefix_rule(["a"], when = repo == "x" and repo == "y")', None, id="a-fact-of-many-names"),
        pytest.param("L005", 'prefix_rule(["sudo"])', "warning", id="wrapper"),
        pytest.param("L005", 'prefix_rule([["env", "timeout"]])', "note", id="transparent-wrapper"),
        pytest.param("L005", 'prefix_rule(["/bin/bash"])', "warning", id="shell-by-path"),
        pytest.param("L005", 'prefix_rule(["python3", "-c"])', "warning", id="program-text"),
        pytest.param("L005", 'prefix_rule(["git"])', "warning", id="every-subcommand"),
        pytest.param("L005", 'prefix_rule([any_of(glob("my-*"))])', "warning", id="wildcard"),
        pytest.param("L005", 'prefix_rule(["frobnicate"])', "note", id="bare"),
        pytest.param("L005", 'prefix_rule(["frobnicate", "look"])', None, id="not-bare"),
        pytest.param("L005", f'prefix_rule(["bash"], decision = "ask", {WHY})', None, id="only-allows"),
        pytest.param("L006", 'prefix_rule(["a"], decision = "deny", justification = "x")', "note", id="no-way-out"),
        pytest.param("L008", f'prefix_rule(["git", "push", "--force"], decision = "deny", {WHY})', "warning", id="behind-an-operand"),
        pytest.param(
            "L008",
            f'prefix_rule(["rm", "-rf"], decision = "deny", {WHY})\n'
            f'command_rule(program = "rm", flags = all_of("-r", "-f"), decision = "deny", {WHY})',
            None,
            id="stopped-by-another-rule",
        ),
        pytest.param("L008", f'prefix_rule(["rm", "-rf"], decision = "ask", {WHY})', None, id="silence-asks-as-well"),
        pytest.param(
            "L008",
            f'prefix_rule(["rm", "-rf"], decision = "ask", {WHY})\nprefix_rule(["rm"])',
            "warning",
            id="allowed-in-another-spelling",
        ),
        pytest.param("L009", 'prefix_rule(["a"], expires = "2026-06-01")', "note", id="last-day"),
        pytest.param("L009", 'prefix_rule(["a"], expires = "2026-05-31")', "warning", id="over"),
        pytest.param("L010", 'prefix_rule(["a"], when = sandbox in ["readonly"])', "warning", id="no-such-sandbox"),
        pytest.param(
            "L010",
            'prefix_rule(["a"], when = user in group("releases"))\n' * 2
            + 'prefix_rule(["b"], when = user in group("relases"))',
            "warning",
            id="a-group-nearly-named",
        ),
        pytest.param("L011", f'prefix_rule(["a", none_of(regex("x"))], decision = "deny", {WHY})', "warning", id="a-deny-that-excepts"),
        pytest.param("L011", f'prefix_rule(["a", regex("x")], decision = "deny", {WHY})', "note", id="a-deny"),
        pytest.param("L011", f'prefix_rule(["a", regex("^x")], decision = "deny", {WHY})', None, id="a-deny-by-start"),
    ],
)  # fmt: skip
def test_row(code: str, text: str, severity: str | None) -> None:
    text = text.replace('], "deny",', '], decision = "deny",')
    found = [one.severity.value for one in find(text, code)]
    assert set(found) == ({severity} if severity else set()), found


def test_a_rule_of_a_lower_layer_may_be_needless_and_not_the_other_way_round() -> None:
    narrow, wide = 'prefix_rule(["a", "b"])', 'prefix_rule(["a"])'
    below = subject(read(wide, "m", Layer.MANAGED), read(narrow, "u", Layer.USER))
    above = subject(read(narrow, "m", Layer.MANAGED), read(wide, "u", Layer.USER))
    assert [one.origin.path for one in lint(below).findings if one.code == "L002"] == ["u"]
    assert [one for one in lint(above).findings if one.code == "L002"] == []


def test_groups_that_there_are() -> None:
    text = 'prefix_rule(["a"], when = user in group("ops"))'
    assert find(text, "L010", groups=frozenset({"ops"})) == []
    assert [one.message for one in find(text, "L010", groups=frozenset({"dev"}))] == [
        "there is no group `ops`"
    ]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("^a$", True, id="both"),
        pytest.param("^a|b$", False, id="each-alternative"),
        pytest.param("^(?:a|b)$", True, id="group"),
        pytest.param(".*a[^x]*", False, id="not-everything"),
        pytest.param("(^a$|^b$)", True, id="inside-a-group"),
        pytest.param("", False, id="empty"),
    ],
)
def test_anchored(text: str, want: bool) -> None:
    assert anchored(text) is want


@pytest.mark.parametrize(
    ("words", "among"),
    [
        pytest.param("rm -rf", "rm -r -f", id="apart"),
        pytest.param("rm -rf", "rm -fr", id="turned"),
        pytest.param("rm -rf", "rm --recursive -f", id="long-name"),
        pytest.param("git push -f", "git push --force", id="another-name"),
        pytest.param("git push --force", "git push operand --force", id="behind-an-operand"),
        pytest.param("git push", "git -C value push", id="in-front-of-the-subcommand"),
    ],
)
def test_spellings(words: str, among: str) -> None:
    assert tuple(among.split()) in set(spellings(words.split()))


def test_numbers_are_no_options() -> None:
    assert ("kill", "-1", "-9") not in set(spellings(["kill", "-9", "-1"]))


# --- comments -------------------------------------------------------------------------------

RULE = 'prefix_rule(["bash"])'


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        pytest.param(f"# lint: ignore L005 because x\n{RULE}", {"L007"}, id="above"),
        pytest.param(f"{RULE}  # lint: ignore L005 because x", {"L007"}, id="behind"),
        pytest.param('prefix_rule(\n    ["bash"],  # lint: ignore L005 because x\n)', {"L007"}, id="inside"),
        pytest.param(f"#lint:ignore L005 , L007 because x\n{RULE}", set(), id="two"),
        pytest.param(f"# lint: ignore-file L005,L007 because x\n{RULE}\n{RULE}", {"L001"}, id="whole-file"),
        pytest.param(f"# lint: ignore L005\n{RULE}", {"L000", "L005", "L007"}, id="no-reason"),
        pytest.param(f"# lint: ignore L005 because \n{RULE}", {"L000", "L005", "L007"}, id="empty-reason"),
        pytest.param(f"# lint: ignore L999 because x\n{RULE}", {"L000", "L005", "L007"}, id="no-such-check"),
        pytest.param(f"# lint: skip everything\n{RULE}", {"L000", "L005", "L007"}, id="not-understood"),
        pytest.param(f"{RULE}\n# lint: ignore L005 because x", {"L000", "L005", "L007"}, id="about-nothing"),
        pytest.param(f"# lint: ignore L009 because x\n{RULE}", {"L000", "L005", "L007"}, id="of-no-use"),
        pytest.param(f"# lint is a word\n{RULE}", {"L005", "L007"}, id="another-comment"),
    ],
)
def test_ignore(text: str, codes: set[str]) -> None:
    assert {one.code for one in lint(subject(read(text))).findings} == codes


def test_what_is_left_out_is_not_run() -> None:
    found = lint(subject(read(RULE)), leave_out=["L005"])
    assert {one.code for one in found.findings} == {"L007"}


def test_a_finding_is_shown_with_carets() -> None:
    (finding,) = find(f'prefix_rule(["rm", "-rf"], decision = "deny", {WHY})', "L008")
    assert render(finding.diagnostic) == (
        "warning[L008]: rule `t.rules:1` stops `rm -rf`, but `rm -r -f` only asks\n"
        " --> t.rules:1:13\n"
        "  |\n"
        '1 | prefix_rule(["rm", "-rf"], decision = "deny", justification = "because", suggest = "otherwise")\n'
        "  |             ^^^^^^^^^^^^^ these words, in this order\n"
        '  = help: `command_rule(program = "rm", flags = all_of("-r", "-f"), ...)` reads options in any order and spelling'
    )


# --- corrections ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param('# keep\nprefix_rule(["a"])\nprefix_rule(["a"])  \n# end\n', '# keep\nprefix_rule(["a"])\n# end\n', id="one-line"),
        pytest.param('prefix_rule(["a"])\n\nprefix_rule(\n    ["a"],\n)\n\nprefix_rule(["b"])', 'prefix_rule(["a"])\n\nprefix_rule(["b"])', id="empty-lines"),
        pytest.param('prefix_rule(["a"])\nprefix_rule(["a"], match = [\n  # a comment\n  "a",\n])', None, id="a-comment-inside"),
        pytest.param('prefix_rule(["a"]); prefix_rule(["a"])', None, id="two-on-a-line"),
        pytest.param('prefix_rule(["a"])\nprefix_rule(["a"])  # why', None, id="a-comment-behind"),
        pytest.param('prefix_rule(["a"])\nprefix_rule(["a"])', 'prefix_rule(["a"])\n', id="last-line"),
    ],
)  # fmt: skip
def test_take_out(text: str, want: str | None) -> None:
    (finding,) = find(text, "L001")
    new, done = take_out(finding.file, [finding])
    assert (new, bool(done)) == (text if want is None else want, want is not None)


def test_nothing_is_taken_out_that_would_change_another_rule() -> None:
    (finding,) = find('prefix_rule(["a"])\nprefix_rule(["a"])\nprefix_rule(["b"])', "L001")
    other = replace(finding, origin=replace(finding.origin, line=2, column=3))
    assert take_out(finding.file, [other]) == (finding.file.source.text, ())


def test_severities_fold() -> None:
    report = lint(subject(read('prefix_rule(["frobnicate"])')))
    assert report.serious == 0
    assert {one.severity for one in report.findings} == {Severity.NOTE}
