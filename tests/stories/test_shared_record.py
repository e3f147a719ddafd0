"""One log under ten agents, under kills between record and run, and under somebody who moves its folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import Calls, Says, ScriptedServer, Step, respond
from agent.protocol.events import Warned
from agent.protocol.items import JsonObject
from compliance.events import Refused
from compliance.log import LOOK_EVERY, AuditLog
from compliance.segments import snapshot, verify
from execpolicy.decision import SandboxMode

RULES = 'prefix_rule(pattern = ["touch"], decision = "allow")\n'
AGENTS = 10
CALLS = 4


def run(cmd: str) -> Calls:
    return Calls("exec_command", {"cmd": cmd})


def records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("records-*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)["event"]
            except ValueError:  # half a line
                continue


def decided(folder: Path) -> set[str]:
    return {one["subject"] for one in records(folder) if one["kind"] == "decided"}


def stepwise(request: JsonObject) -> Step:
    """Commands one after the other; the task is part of what they make."""
    text = json.dumps(request["input"])
    task = text.rpartition("task-")[2].partition('"')[0].partition("\\")[0]
    done = text.count('"function_call_output"')
    return respond(run(f"touch made/{task}-{done}") if done < CALLS else Says("Done."))


def start(home: Path, project: Path, url: str, task: str, program: str = "") -> subprocess.Popen[str]:
    how = ["-c", program] if program else ["-m", "agent"]
    words = ["exec", "--sandbox", "full-access", "--base-url", url, f"task-{task}"]
    return subprocess.Popen(
        [sys.executable, "-I", *how, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env={**os.environ, "AGENT_HOME": str(home), "OPENAI_API_KEY": "none"},
    )


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    home, project = tmp_path / "home", tmp_path / "project"
    (home / "rules").mkdir(parents=True)
    home.chmod(0o700)
    (home / "rules" / "a.rules").write_text(RULES)
    (project / "made").mkdir(parents=True)
    return home, project


@pytest.mark.slow
def test_ten_agents_write_one_log(places: tuple[Path, Path]) -> None:
    home, project = places
    with ScriptedServer(stepwise) as server:
        agents = [start(home, project, server.base_url, str(number)) for number in range(AGENTS)]
        for agent in agents:
            out, err = agent.communicate(timeout=120)
            assert (agent.returncode, out) == (0, "Done.\n"), err
    found = verify(snapshot(home / "audit"))
    assert found.intact, found.flaws
    kinds = Counter(one["kind"] for one in records(home / "audit"))
    assert kinds["session_started"] == kinds["session_ended"] == AGENTS
    assert kinds["decided"] == kinds["ran"] == AGENTS * CALLS
    assert len(list((project / "made").iterdir())) == AGENTS * CALLS


KILLED = """
import os, runpy, signal
import compliance.log
log, at, count = compliance.log.AuditLog, {at}, 0
def dying(real, early):
    def call(self, *words):
        global count
        if early and count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(self, *words)
        if not early:
            count += 1
            if count == at and not {early}:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return call
def counting(real):
    def call(self, *words):
        global count
        count += 1
        return real(self, *words)
    return call
if {early}:
    log._append, log._move_head = counting(log._append), dying(log._move_head, True)
else:
    log._append = dying(log._append, False)
runpy.run_module("agent", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("early", [True, False], ids=["before-the-head-moves", "between-record-and-run"])
def test_killed_at_each_append(tmp_path: Path, early: bool) -> None:
    at, killed = 0, True
    with ScriptedServer(stepwise) as server:
        while killed:
            at += 1
            home, project = tmp_path / f"home-{at}", tmp_path / f"project-{at}"
            (home / "rules").mkdir(parents=True)
            home.chmod(0o700)
            (home / "rules" / "a.rules").write_text(RULES)
            (project / "made").mkdir(parents=True)
            agent = start(home, project, server.base_url, "k", KILLED.format(at=at, early=early))
            _, err = agent.communicate(timeout=60)
            killed = agent.returncode == -signal.SIGKILL
            assert killed or agent.returncode == 0, err
            made = {f"touch made/{path.name}" for path in (project / "made").iterdir()}
            known = decided(home / "audit")
            assert made <= known, at
            last = list(records(home / "audit"))[-1:]
            if last and last[0]["kind"] == "decided" and killed:
                assert last[0]["subject"] not in made, "it ran before its record was done"
            log = AuditLog(home / "audit")
            log.record(Refused("s", "c", "no"))
            log.close()
            found = verify(snapshot(home / "audit"))
            assert found.intact, (at, found.flaws)
    assert at > 2 * CALLS


def away(folder: Path) -> None:
    folder.rename(folder.parent / "moved")


def replaced(folder: Path) -> None:
    away(folder)
    AuditLog(folder).record(Refused("s", "another", "no"))


def linked(folder: Path) -> None:
    away(folder)
    AuditLog(folder.parent / "other").record(Refused("s", "another", "no"))
    folder.symlink_to(folder.parent / "other")


@pytest.mark.parametrize("change", [away, replaced, linked, shutil.rmtree])
async def test_a_folder_that_is_changed_in_a_run_ends_what_runs(
    story: Any, change: Callable[[Path], object]
) -> None:
    told = story(sandbox=SandboxMode.FULL_ACCESS)
    told.policy(RULES)
    (told.project / "made").mkdir()
    many = LOOK_EVERY + 2

    def script(request: JsonObject) -> Step:
        done = json.dumps(request["input"]).count('"function_call_output"')
        if done == 1:
            change(told.settings.audit)
        return respond(run(f"touch made/{done}") if done < many else Says("Done."))

    told.server.script = script
    events = await told.tell()
    made = {f"touch made/{path.name}" for path in (told.project / "made").iterdir()}
    kept = told.settings.audit.parent / "moved"
    assert made - {"touch made/0"} <= (decided(kept) if kept.exists() else set())
    assert len(made) < many, "nobody looked whether the record is where it was"
    assert any("removed or replaced" in event.message for event in events if isinstance(event, Warned))
    if kept.exists():
        assert verify(snapshot(kept)).intact
