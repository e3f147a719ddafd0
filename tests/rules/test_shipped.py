"""The rules we ship: they load clean, every case of theirs holds, and every deny and ask has a way out."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import yaml

from execpolicy.bundle.load import Loaded, PolicySource, load_policy
from execpolicy.decision import Decision, Layer
from execpolicy.diagnostics import render
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.lang.format import format_text
from execpolicy.lang.rules import NetworkRule, PathRule, ToolRule

RULES = Path(__file__).parents[2] / "rules"
BUNDLES = sorted(path.parent.name for path in RULES.glob("*/manifest.yaml"))
PROFILES = sorted(path.stem for path in (RULES / "profiles").glob("*.yaml"))
WORKSPACE = "/home/user/project"
CONTEXT = CheckContext(
    cwd=WORKSPACE,
    workspace=WORKSPACE,
    home="/home/user",
    writable=("/tmp",),
    protected=(f"{WORKSPACE}/.git", f"{WORKSPACE}/.agent", "/etc/agent", "/home/user/.agent"),
)


def read(path: Path) -> object:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@functools.cache
def profile(name: str) -> Loaded:
    described = read(RULES / "profiles" / f"{name}.yaml")
    assert isinstance(described, dict)
    return load_policy([PolicySource(RULES / file, Layer.USER) for file in described["files"]])


def cases() -> list[object]:
    found: list[object] = []
    for bundle in BUNDLES:
        rows = read(RULES / bundle / "cases.yaml")
        assert isinstance(rows, list)
        found += [
            pytest.param(row["command"], row["decision"], row.get("rule"), id=f"{bundle}: {row['command']}")
            for row in rows
        ]
    return found


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_loads_clean(name: str) -> None:
    loaded = profile(name)
    assert [render(one) for one in loaded.diagnostics] == []
    assert loaded.broken == ()


@pytest.mark.parametrize(("command", "decision", "rule"), cases())
def test_case(command: str, decision: str, rule: str | None) -> None:
    verdict = check(command, profile("standard").policy, CONTEXT)
    assert verdict.decision.word == decision, verdict
    if rule is not None:
        assert rule in {match.rule_id for match in verdict.matches}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_manifest_names_what_is_there(bundle: str) -> None:
    manifest = read(RULES / bundle / "manifest.yaml")
    assert isinstance(manifest, dict)
    assert set(manifest) == {"name", "version", "summary", "owner", "engine", "files", "cases"}
    assert manifest["name"] == bundle
    assert sorted(manifest["files"]) == sorted(path.name for path in (RULES / bundle).glob("*.rules"))


def test_the_standard_profile_holds_every_bundle() -> None:
    described = read(RULES / "profiles" / "standard.yaml")
    assert isinstance(described, dict)
    shipped = {f"{path.parent.name}/{path.name}" for path in RULES.glob("*/*.rules")}
    assert {file for file in shipped if not file.startswith("profiles/")} == set(described["files"])


def test_every_ask_and_deny_says_why_and_what_else() -> None:
    for name in PROFILES:
        for rule in profile(name).policy.rules:
            if rule.meta.decision is not Decision.ALLOW:
                assert rule.meta.justification, rule.meta.id
                assert rule.meta.suggest, rule.meta.id


def test_every_rule_about_commands_has_examples_of_both_kinds() -> None:
    for rule in profile("standard").policy.rules:
        if not isinstance(rule, PathRule | NetworkRule | ToolRule):
            assert rule.match, rule.meta.id
            assert rule.not_match, rule.meta.id


@pytest.mark.parametrize(
    ("loose", "tight"), [("standard", "strict"), ("strict", "read-only"), ("standard", "ci")]
)
def test_a_tighter_profile_is_never_looser(loose: str, tight: str) -> None:
    for bundle in BUNDLES:
        rows = read(RULES / bundle / "cases.yaml")
        assert isinstance(rows, list)
        for row in rows:
            one = check(row["command"], profile(loose).policy, CONTEXT).decision
            other = check(row["command"], profile(tight).policy, CONTEXT).decision
            assert other >= one, row


def test_a_machine_without_a_person_gets_no_asks_by_silence() -> None:
    for command in ("frobnicate", "python x.py", "cat $(./x)"):
        assert check(command, profile("ci").policy, CONTEXT).decision is Decision.DENY


@pytest.mark.parametrize(
    "path", sorted(RULES.rglob("*.rules")), ids=lambda path: str(path.relative_to(RULES))
)
def test_a_file_is_in_canonical_form(path: Path) -> None:
    """`agent policy fmt` over `rules/` has nothing to change."""
    text = path.read_text(encoding="utf-8")
    assert format_text(text, str(path)).text == text
