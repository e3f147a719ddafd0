"""`policy test`: examples and tables of cases, reports for people and machines, what no case reached."""

# ruff: noqa: E501
from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import validate
from typer.testing import CliRunner

from execpolicy.bundle.cases import read_cases
from execpolicy.cli import app
from execpolicy.cli.facts import schema_of
from execpolicy.diagnostics import render

RULES = """
prefix_rule(pattern = ["git", "status"], match = ["git status -s"], not_match = ["git push"], id = "look")
prefix_rule(pattern = ["git", "push"], decision = "deny", id = "push", justification = "reviewed")
prefix_rule(pattern = ["deploy"], decision = "deny", when = branch == "main", id = "deploy")
path_rule(paths = ["/etc/**"], access = ["write"], decision = "deny", id = "etc")
"""
CASES = """
# a comment
- {decision: allow, command: git status, rule: look}
- decision: deny
  script: |
    git status
    git push
  rule: push
- {decision: deny, argv: [deploy], facts: {branch: main}}
- {decision: ask, argv: [deploy], facts: {branch: dev}, cwd: sub, name: another branch}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.rules").write_text(RULES, "utf-8")
    (tmp_path / "cases.yaml").write_text(CASES, "utf-8")
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["test", "--rules", "t.rules", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_all_pass(folder: Path) -> None:
    status, out, _ = run("cases.yaml")
    assert status == 0
    assert out.startswith("pass t.rules  2 passed\npass cases.yaml  4 passed\n6 passed in ")
    assert "\x1b" not in out


def test_a_failure_says_what_and_where(folder: Path) -> None:
    (folder / "cases.yaml").write_text(
        "- {decision: allow, command: git push}\n- {decision: deny, command: git push, rule: look}\n", "utf-8"
    )
    status, out, _ = run("cases.yaml")
    assert status == 1
    assert "expected allow, got deny by push  cases.yaml:1" in out
    assert "expected rule look to speak, which spoke: push  cases.yaml:2" in out
    assert "2 failed, 2 passed" in out


def test_an_example_that_fails_is_a_failure_and_costs_no_case(folder: Path) -> None:
    (folder / "t.rules").write_text(RULES.replace("git status -s", "git stash"), "utf-8")
    status, out, _ = run("cases.yaml")
    assert status == 1
    assert "rule `look` does not match this example  t.rules:2:51" in out
    assert "pass cases.yaml  4 passed" in out


def test_coverage(folder: Path) -> None:
    _, out, _ = run("cases.yaml", "--coverage")
    assert "coverage: 3 of 4 rules reached by cases (75%)" in out
    assert "not reached: deny etc  t.rules:5:1" in out


def test_junit_is_what_ci_reads(folder: Path) -> None:
    (folder / "cases.yaml").write_text(
        '- {decision: allow, command: "git push", name: "\\u0001<&>"}\n' + CASES.strip(), "utf-8"
    )
    assert run("cases.yaml", "--junit", "out.xml")[0] == 1
    root = ElementTree.parse(folder / "out.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == (
        "testsuites",
        "7",
        "1",
        "0",
    )
    assert [suite.get("name") for suite in root] == ["t.rules", "cases.yaml"]
    for suite in root:
        assert suite.tag == "testsuite"
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        for case in suite:
            assert {"name", "classname", "time"} <= set(case.keys())
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "expected allow, got deny by push"
    assert run("cases.yaml", "--junit", "no/such/folder/x.xml")[0] == 1


@pytest.mark.parametrize("words", [["cases.yaml"], ["cases.yaml", "--coverage"], [], ["broken.yaml"]])
def test_json_is_as_its_schema_says(folder: Path, words: list[str]) -> None:
    (folder / "broken.yaml").write_text("- {decision: maybe}", "utf-8")
    _, out, _ = run("--format", "json", *words)
    validate(json.loads(out), schema_of("test"))


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        pytest.param("- {decision: allow, command: x, why: y}", "a case has no `why`", "1:38", id="unknown-key"),
        pytest.param("\n- {command: x}", "a case needs `decision`", "2:3", id="no-decision"),
        pytest.param("- {decision: maybe, command: x}", "`decision`: unallowed value maybe", "1:14", id="no-such-decision"),
        pytest.param("- {decision: allow}", "a case asks about one of `command`, `script` and `argv`", "1:3", id="nothing-asked"),
        pytest.param("- {decision: allow, command: x, argv: [y]}", "a case asks about one of `command`, `script` and `argv`", "1:3", id="two-asked"),
        pytest.param("- {decision: allow, argv: x}", "`argv`: must be of list type", "1:27", id="no-list"),
        pytest.param("- {decision: allow, argv: []}", "`argv`: min length is 1", "1:27", id="empty-list"),
        pytest.param("- {decision: allow, command: ''}", "`command`: empty values not allowed", "1:30", id="empty"),
        pytest.param("- {decision: allow, decision: deny, command: x}", "`decision` is given twice", "1:21", id="twice"),
        pytest.param("- {decision: allow, command: x, facts: {brnch: a}}", "`brnch` is not a fact", "1:40", id="fact"),
        pytest.param("- {decision: allow, command: x, today: 2026-99-99}", "`2026-99-99` is not", "1:40", id="date"),
        pytest.param("- {decision: allow, command: x, facts: {a: {b: c}}}", "`facts`: must be of ['string', 'boolean', 'list'] type", "1:40", id="a-fact-of-facts"),
        pytest.param("- x", "a case is a mapping", "1:3", id="no-mapping"),
        pytest.param("a: b", "a table is a list of cases", "1:1", id="no-list-of-cases"),
        pytest.param("- [", "no YAML: ", "1:4", id="no-yaml"),
        pytest.param("- &a {decision: allow, command: x}\n- *a", "no YAML: `*name` is not read here", "2:3", id="alias"),
        pytest.param("- {decision: allow, command: x}\n--- \n- y", "no YAML: one document is read", "2:1", id="two-documents"),
        pytest.param("[" * 50, "no YAML: nested too deeply", "1:33", id="deep"),
        pytest.param("- {decision: allow, command: \"\0\"}", "no YAML: unacceptable character", "1:1", id="nul"),
    ],
)  # fmt: skip
def test_an_error_has_its_place(text: str, message: str, place: str) -> None:
    cases, errors = read_cases(text, "c.yaml")
    assert cases == ()
    assert [one.place for one in errors] == [f"c.yaml:{place}"]
    assert errors[0].message.startswith(message)
    assert render(errors[0])


def test_the_quick_look_says_what_the_schema_says() -> None:
    from cerberus import Validator

    from execpolicy.bundle.cases import SCHEMA, _is_plain

    rows = [
        {"decision": decision, "command": command, **more}
        for decision in ("allow", "prompt", "x", "", None)
        for command in ("x", "", None)
        for more in ({}, {"rule": "r"}, {"rule": ""}, {"name": "n"}, {"other": "x"})
    ]
    assert any(_is_plain(row) for row in rows)
    for row in rows:
        assert not _is_plain(row) or Validator(SCHEMA).validate(row)


def test_a_long_table_is_answered_in_bounded_length(folder: Path) -> None:
    (folder / "cases.yaml").write_text("- {decision: allow, command: git push}\n" * 300, "utf-8")
    _, out, _ = run("cases.yaml")
    assert "at most 100 failures of a file are shown" in out
    assert out.count("expected allow") == 100


def test_good_rows_of_a_bad_table_are_read_and_nothing_is_run(folder: Path) -> None:
    text = "- {decision: allow, command: x}\n- {}\n- {decision: deny, command: 5}\n"
    cases, errors = read_cases(text, "c.yaml")
    assert [case.text for case in cases] == ["x", "5"]
    assert len(errors) == 1
    (folder / "c.yaml").write_text(text, "utf-8")
    status, out, err = run("c.yaml")
    assert (status, out) == (1, "")
    assert "1 error, nothing was run" in err


@pytest.mark.parametrize("data", [b"\xff", b"", b"# nothing"])
def test_files(folder: Path, data: bytes) -> None:
    (folder / "c.yaml").write_bytes(data)
    status, out, err = run("c.yaml")
    assert status == (1 if data == b"\xff" else 0)
    assert "Traceback" not in out + err
    assert run("none.yaml")[0] == 1
    assert run("--nonsense")[0] == 2


def test_broken_rules_are_told(folder: Path) -> None:
    (folder / "t.rules").write_text("prefix_rule(", "utf-8")
    status, _, err = run("cases.yaml")
    assert status == 1
    assert "E003" in err
