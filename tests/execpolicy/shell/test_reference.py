"""The facts against measured data: executions by bash, ways around a deny, everyday commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from execpolicy.facts import ScriptFacts, Word
from execpolicy.shell.analyse import analyse


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def fits(words: Sequence[Word], argv: Sequence[str]) -> bool:
    ends = {0}
    for word in words:
        after: set[int] = set()
        for at in ends:
            if word.many:
                after.update(range(at, len(argv) + 1))
            elif at < len(argv) and (
                argv[at] == word.text if word.text is not None else argv[at].startswith(word.prefix)
            ):
                after.add(at + 1)
        ends = after
    return len(argv) in ends


def doubted(facts: ScriptFacts) -> bool:
    return bool(facts.unknowns) or not facts.readable or any(command.unknowns for command in facts.commands)


def test_every_executed_command_is_found(reference: Path) -> None:
    """What the shell itself executed, and what carriers executed for it as far as they stand in the script."""
    missing = []
    exact = told = 0
    for row in rows(reference / "bash-truth.jsonl"):
        facts = analyse(row["script"])
        for argv, exe, via in zip(row["executed"], row["exe"], row["via"], strict=True):
            real = [argv, [Path(exe).name, *argv[1:]]]
            if any(fits(command.argv, one) for command in facts.commands for one in real):
                exact += 1
            elif doubted(facts) or via is not None:
                told += 1
            else:
                missing.append((row["id"], argv))
    print(f"\n{exact} found, {told} covered by a doubt, {len(missing)} missing")
    assert not missing


def test_no_way_around_a_deny(reference: Path) -> None:
    """A rule denies the program, all else is allowed: each form must be denied or asked about."""
    allowed = []
    answers: Counter[str] = Counter()
    for row in rows(reference / "deny-evasion.jsonl"):
        denied = set(row["rules"]["deny"])
        facts = analyse(row["cmd"])
        names = [command.argv[0] for command in facts.commands if command.argv]
        if any(name.text is not None and Path(name.text).name in denied for name in names):
            answers["deny"] += 1
        elif doubted(facts) or any(name.text is None for name in names):
            answers["ask"] += 1
        else:
            allowed.append(row["cmd"])
    print(f"\n{dict(answers)}")
    assert not allowed


def test_everyday_commands_are_read(reference: Path) -> None:
    total = unread = 0
    causes: Counter[str] = Counter()
    shell: Counter[str] = Counter()
    for row in rows(reference / "everyday-commands.jsonl"):
        total += 1
        facts = analyse(row["cmd"])
        if not facts.readable:
            unread += 1
            causes[facts.unknowns[-1].why] += 1
        else:
            shell.update({unknown.why for unknown in facts.unknowns})
    print(
        f"\n{unread} of {total} unread: {causes.most_common(12)}\ndoubts of the reader: {shell.most_common(12)}"
    )
    assert unread <= total * 0.01
    assert sum(shell.values()) <= total * 0.01
