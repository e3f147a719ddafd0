"""The engine beside a dict lookup: decisions, loading, whole processes. One table a kind of work.

python bench/engine.py [RUNS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import command, rounds, table

from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.judge import decide
from execpolicy.engine.policy import Policy
from execpolicy.engine.quick import decide_words
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.lower import parse_rules
from execpolicy.shell.analyse import analyse
from execpolicy.source import NOWHERE

SIZES = (10, 1_000, 10_000, 100_000)
BATCH = 2_000  # decisions a run, so that the clock does not matter
SCRIPT = "cd x && git status | head -5 > out"
CONTEXT = CheckContext(cwd="/ws", workspace="/ws", home="/home/u", today="2026-06-01")
WORDS = ("tool3", "act0", "now", "--fast")
DECISIONS = ("allow", "ask", "deny")


def prefix_text(count: int) -> str:
    """`count` prefix rules about up to 500 programs."""
    programs = min(count, 500)
    return "\n".join(
        f'prefix_rule(pattern = ["tool{n % programs}", "act{n // programs}", "now"], '
        f'decision = "{DECISIONS[n % 3]}", justification = "rule {n}")'
        for n in range(count)
    )


def mixed_text(count: int) -> str:
    """Prefix, command, path and network rules, a quarter each, and the rules that the script needs."""
    lines = [
        'prefix_rule(pattern = ["git", "status"], decision = "allow")',
        'prefix_rule(pattern = [["cd", "head"]], decision = "allow")',
    ]
    for n in range(count // 4):
        decision = DECISIONS[n % 3]
        lines += [
            f'prefix_rule(pattern = ["git", "act{n}", ["a", "b"]], decision = "{decision}")',
            f'command_rule(program = "tool{n % 500}", subcommand = "act{n // 500}", flags = any_of("--force", "-f"),'
            f' decision = "{decision}")',
            f'path_rule(paths = ["**/secret{n}/**", "/srv/data{n}/*.key"], access = ["read", "write"],'
            ' decision = "deny")',
            f'network_rule(host = "host{n}.acme.com", protocol = "https", decision = "{decision}")',
        ]
    return "\n".join(lines)


def policy_of(text: str) -> Policy:
    parsed = parse_rules(text, "bench.rules", Layer.USER)
    assert not parsed.diagnostics
    return Policy.build([(Layer.USER, parsed.file)])


def many(piece: Callable[[], object]) -> Callable[[], object]:
    def batch() -> None:
        for _ in range(BATCH):
            piece()

    return batch


def micro(times: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [value * 1000 / BATCH for value in values] for name, values in times.items()}


def decisions(runs: int) -> None:
    rules = {("tool3", "act0", "now"): "allow"}
    work: dict[str, Callable[[], object]] = {"dict lookup": many(lambda: rules.get(WORDS[:3]))}
    facts = CommandFacts(argv=tuple(map(Word.literal, WORDS)), span=NOWHERE)
    for size in SIZES:
        policy = policy_of(prefix_text(size))
        work[f"decision only, {size:,} prefix rules"] = many(
            lambda policy=policy: decide_words(policy, WORDS, CONTEXT)
        )
        work[f"with its why, {size:,} prefix rules"] = many(
            lambda policy=policy: decide(policy, facts, CONTEXT)
        )
    table("decide one command", micro(rounds(work, runs)), "dict lookup", "us")


def scripts(runs: int) -> None:
    policy = policy_of(mixed_text(10_000))
    work = {
        "dict lookup": many(lambda: {}.get(SCRIPT)),
        "analysis alone": many(lambda: analyse(SCRIPT, cwd="/ws")),
        "analysis and verdict, 10,000 mixed rules": many(lambda: check(SCRIPT, policy, CONTEXT)),
    }
    assert check(SCRIPT, policy, CONTEXT).decision.word == "allow"
    table(f"decide `{SCRIPT}`", micro(rounds(work, runs)), "dict lookup", "us")


def loading(runs: int, folder: Path) -> None:
    for size in (10_000, 100_000):
        path = folder / f"{size}.rules"
        path.write_text(prefix_text(size), encoding="utf-8")
        sources = [PolicySource(path, Layer.USER)]
        cache = folder / f"cache{size}"
        start = time.perf_counter()
        load_policy(sources, cache_dir=cache)
        print(f"\nparse, compile and write {size:,} rules: {time.perf_counter() - start:.2f} s")
        work: dict[str, Callable[[], object]] = {
            "read the file": path.read_bytes,
            f"load {size:,} compiled rules": partial(load_policy, sources, cache_dir=cache),
        }
        table(f"load {size:,} rules", rounds(work, runs), "read the file")
        if sys.platform == "linux":
            print(f"\nmemory that a loaded policy adds: {_memory(path, cache):.0f} MB")


def _memory(path: Path, cache: Path) -> float:
    """Megabytes that loading adds to a fresh interpreter with the engine imported (Linux)."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from execpolicy.bundle.load import PolicySource, load_policy\n"
        "from execpolicy.decision import Layer\n"
        "def pages(): return int(open('/proc/self/statm').read().split()[1])\n"
        "import execpolicy.bundle.cache, execpolicy.engine.compiled\n"
        "before = pages()\n"
        "loaded = load_policy([PolicySource(Path(sys.argv[1]), Layer.USER)], cache_dir=Path(sys.argv[2]))\n"
        "print(pages() - before)\n"
    )
    argv = [sys.executable, "-c", code, str(path), str(cache)]
    grown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return int(grown) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def processes(runs: int, folder: Path) -> None:
    env = {**os.environ, "AGENT_HOME": str(folder / "home")}
    work = {
        "python -I -c pass": command([sys.executable, "-I", "-c", "pass"]),
        "python -I -c 'import json, typing'": command([sys.executable, "-I", "-c", "import json, typing"]),
    }
    script = folder / "script.rules"
    script.write_text(prefix_text(10), encoding="utf-8")
    base = [sys.executable, "-I", "-m", "execpolicy", "check", "--rules", str(script)]
    work["policy check --script, 10 rules, cache warm"] = command([*base, "--script", SCRIPT], env)
    for size in (10, 10_000, 100_000):
        path = folder / f"{size}.rules"
        path.write_text(prefix_text(size), encoding="utf-8")
        argv = [sys.executable, "-I", "-m", "execpolicy", "check", "--rules", str(path), "--", *WORDS]
        work[f"policy check, {size:,} rules, cache warm"] = command(argv, env)
    table("whole process", rounds(work, runs), "python -I -c pass")


def main(runs: int) -> None:
    decisions(runs)
    scripts(runs)
    with tempfile.TemporaryDirectory() as name:
        loading(runs, Path(name))
        processes(runs, Path(name))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
