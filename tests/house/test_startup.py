"""Start-up is a feature: heavy packages are imported only where they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("openai", "opentelemetry", "textual", "tuf", "mcp", "prompt_toolkit", "pydantic", "httpx2", "rich")
RULES = 'prefix_rule(pattern=["git", "status"], decision="allow")\n'


def modules(home: Path, *args: str) -> set[str]:
    """Names in `sys.modules` after `agent ARGS`, in a fresh interpreter."""
    code = (
        "import sys, json, atexit\n"
        "out = sys.stderr\n"
        "atexit.register(lambda: print('MODULES' + json.dumps(sorted(sys.modules)), file=out))\n"
        f"sys.argv = ['agent', *{list(args)!r}]\n"
        "from agent.cli.main import main\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "AGENT_HOME": str(home)},
        check=False,
        timeout=60,
    )
    lines = [line for line in run.stderr.splitlines() if line.startswith("MODULES")]
    assert lines, run.stderr
    return set(json.loads(lines[-1].removeprefix("MODULES")))


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["policy", "--help"]])
def test_help_loads_nothing_heavy(tmp_path: Path, args: list[str]) -> None:
    assert modules(tmp_path, *args).isdisjoint((*HEAVY, "lark", "yaml", "sqlite3", "cerberus"))


def test_policy_check_loads_nothing_heavy(tmp_path: Path) -> None:
    rules = tmp_path / "team.rules"
    rules.write_text(RULES, encoding="utf-8")
    loaded = modules(tmp_path, "policy", "check", "--rules", str(rules), "--", "git", "status")
    assert loaded.isdisjoint((*HEAVY, "sqlite3", "asyncio"))


def test_a_second_policy_check_needs_no_parser(tmp_path: Path) -> None:
    rules = tmp_path / "team.rules"
    rules.write_text(RULES, encoding="utf-8")
    args = ("policy", "check", "--rules", str(rules), "--", "git", "status")
    modules(tmp_path, *args)
    slow = (
        "lark",
        "yaml",
        "dataclasses",
        "inspect",
        "pathlib",
        "hashlib",
        "tempfile",
        "subprocess",
        "execpolicy.lang.lower",
    )
    assert modules(tmp_path, *args).isdisjoint(slow)


def test_version_loads_no_command_line_library(tmp_path: Path) -> None:
    assert "typer" not in modules(tmp_path, "--version")
