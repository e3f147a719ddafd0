"""Killed two hundred times in the middle of its work, a session goes on each time and has lost nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import Calls, Says, ScriptedServer, Step, respond
from agent.protocol.items import JsonObject

DRIVE = Path(__file__).parent / "killed" / "drive.py"
AGENT = (sys.executable, "-I", "-m", "agent")
KILLS = int(os.environ.get("AGENT_TEST_KILLS", "200"))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_session_goes_on_and_has_lost_nothing(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    (home / "rules").mkdir(parents=True)
    home.chmod(0o700)
    project.mkdir()
    (home / "rules" / "a.rules").write_text('prefix_rule(pattern = ["echo"], decision = "allow")\n')
    asked = 0

    def script(request: JsonObject) -> Step:
        nonlocal asked
        asked += 1
        if "warm up" in json.dumps(request["input"]):
            return respond(Says("Warm."))
        words: Any = {"cmd": f"echo {asked} >> log"}
        return respond(Says(f"step {asked}"), Calls("exec_command", words))

    with ScriptedServer(script) as server:
        done = subprocess.run(
            [sys.executable, "-I", DRIVE, home, project, server.base_url, str(KILLS)],
            capture_output=True,
            text=True,
            timeout=230,
            cwd=project,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["wrong"] == []
    assert seen["kills"] == KILLS
    assert seen["in_turn"] > KILLS // 3, "most were killed before they worked"
    assert seen["acknowledged"] > KILLS // 2
    ran = Counter((project / "log").read_text().split())
    assert [number for number, times in ran.items() if times > 1] == [], "a call was run twice"
    with ScriptedServer(lambda _: respond(Says("The end."))) as server:
        done = subprocess.run(
            [*AGENT, "exec", "resume", seen["thread"], "end it", "--base-url", server.base_url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=project,
            env=os.environ | {"AGENT_HOME": str(home)},
        )
    assert (done.returncode, done.stdout) == (0, "The end.\n"), done.stderr
    checked = subprocess.run(
        [*AGENT, "audit", "verify"],
        capture_output=True,
        text=True,
        env=os.environ | {"AGENT_HOME": str(home)},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
