"""The shipped profile measured on commands that other projects labelled, and on evasions of a deny."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Decision, Layer, Verdict
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy

RULES = Path(__file__).parents[2] / "rules"
WORKSPACE = "/home/user/project"
CONTEXT = CheckContext(
    cwd=WORKSPACE,
    workspace=WORKSPACE,
    home="/home/user",
    writable=("/tmp",),
    protected=(f"{WORKSPACE}/.git", f"{WORKSPACE}/.agent", "/etc/agent", "/home/user/.agent"),
)
# docs/reference/bundles.md argues for each kind of them.
ARGUED_ALLOWS = 44
HELD_BACK = 0.97
ALLOWED_OF_SAFE = 0.77


@functools.cache
def standard() -> Policy:
    files = yaml.safe_load((RULES / "profiles" / "standard.yaml").read_text(encoding="utf-8"))["files"]
    return load_policy([PolicySource(RULES / file, Layer.USER) for file in files]).policy


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def test_what_others_call_dangerous_is_held_back(reference: Path) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows(reference / "labelled-commands.jsonl"):
        seen[row["expected"], check(row["cmd"], standard(), CONTEXT).decision.word] += 1
    bad = {key: count for key, count in seen.items() if key[0] in ("deny", "dangerous")}
    good = {key: count for key, count in seen.items() if key[0] in ("allow", "safe")}
    allowed = sum(count for key, count in bad.items() if key[1] == "allow")
    assert allowed <= ARGUED_ALLOWS, seen
    assert 1 - allowed / sum(bad.values()) >= HELD_BACK, seen
    fine = sum(count for key, count in good.items() if key[1] == "allow")
    assert fine / sum(good.values()) >= ALLOWED_OF_SAFE, seen


def test_no_known_form_walks_around_a_deny(reference: Path, tmp_path: Path) -> None:
    allowed = []
    for row in rows(reference / "deny-evasion.jsonl"):
        policy = tmp_path / "deny.rules"
        names = row["rules"]["deny"]  # type: ignore[index]
        denies = "".join(f'prefix_rule(pattern = ["{name}"], decision = "deny")\n' for name in names)
        policy.write_text('defaults(unmatched = "allow")\n' + denies, encoding="utf-8")
        loaded = load_policy([PolicySource(policy, Layer.USER)]).policy
        if check(row["cmd"], loaded, CONTEXT).decision is Decision.ALLOW:
            allowed.append(row["cmd"])
    assert allowed == []


def test_everyday_lines_are_answered_sanely(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints how documentation's one-liners are answered, and what asks come from."""
    policy = standard()
    shares: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for row in rows(reference / "everyday-commands.jsonl"):
        verdict = check(row["cmd"], policy, CONTEXT)
        shares[verdict.decision.word] += 1
        if verdict.decision is not Decision.ALLOW:
            causes[cause(verdict)] += 1
    total = sum(shares.values())
    with capsys.disabled():
        print()
        print("everyday:", {word: f"{count / total:.1%}" for word, count in shares.most_common()})
        for phrase, count in causes.most_common(15):
            print(f"  {count:6} {phrase}")
    assert shares["deny"] / total <= 0.05, shares
    assert shares["allow"] / total >= 0.2, shares


def cause(verdict: Verdict) -> str:
    """What a verdict is about: the rule that decided, or what was not known."""
    if verdict.deciding is not None:
        return verdict.deciding.rule_id
    unknowns = [
        phrase for part in verdict.parts if part.decision is verdict.decision for phrase in part.unknowns
    ]
    if unknowns or verdict.unknowns:
        return (unknowns or verdict.unknowns)[0].split(":")[0][:60]
    part = next(part for part in verdict.parts if part.decision is verdict.decision)
    return f"no rule: {part.kind}" + (
        f" {part.text.split()[0]}" if part.kind == "command" and part.text else ""
    )
