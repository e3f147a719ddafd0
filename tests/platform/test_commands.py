"""`agent sandbox` and `agent doctor` as a person calls them."""

# ruff: noqa: E501 - a case is one row

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World

AGENT = [sys.executable, "-I", "-m", "agent"]


def agent(world: World, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "AGENT_HOME": str(world.base / "state"), "HOME": str(world.home), **more}
    return subprocess.run(
        [*AGENT, *words],
        cwd=world.ws,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input="in\n",
    )


@pytest.mark.parametrize(
    ("words", "status", "out"),
    [
        pytest.param(["--", "bash", "-c", "echo out; echo err >&2; exit 7"], 7, "out\n", id="status-and-streams"),
        pytest.param(["cat"], 0, "in\n", id="standard-input"),
        pytest.param(["bash", "-c", "echo x > made && cat made"], 0, "x\n", id="writes-workspace"),
        pytest.param(["--", "bash", "-c", 'echo x > "$HOME/made"'], 1, "", id="not-home"),
        pytest.param(["-s", "read-only", "--", "bash", "-c", "echo x > made"], 1, "", id="read-only"),
        pytest.param(["--mode", "full-access", "--", "bash", "-c", "echo x > ~/made; cat ~/made"], 0, "x\n", id="full-access"),
        pytest.param(["--add-dir", "../outside", "--", "bash", "-c", "echo x > ../outside/made"], 0, "", id="one-more-folder"),
        pytest.param(["--hide", "file", "--", "cat", "file"], 1, "", id="hidden"),
        pytest.param(["bash", "-c", "echo ${MY_API_KEY-none}"], 0, "none\n", id="no-secret"),
        pytest.param(["--keep-env", "MY_API_KEY", "bash", "-c", "echo ${MY_API_KEY-none}"], 0, "k\n", id="secret-kept"),
        pytest.param(["bash", "-c", "kill -9 $$"], 137, "", id="signal"),
        pytest.param(["ls", "-l", "--", "file"], 0, None, id="options-of-the-command"),
    ],
)  # fmt: skip
def test_sandbox(world: World, words: list[str], status: int, out: str | None) -> None:
    done = agent(world, "sandbox", *words, MY_API_KEY="k")
    assert done.returncode == status, done.stderr
    assert out is None or done.stdout == out
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "see `agent sandbox --help`"),
        (["--no-such"], 2, "no such option"),
        (["--mode", "half", "true"], 2, "half"),
        (["--mode", "full-access", "/no/such"], 1, "no such program"),
        (["--cd", "/no/such", "true"], 2, "/no/such"),
        (["--cd", "/", "true"], 1, "home folder"),
    ],
)
def test_sandbox_used_wrongly(world: World, words: list[str], status: int, said: str) -> None:
    done = agent(world, "sandbox", *words)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_the_command_and_removes_the_guards(world: World, number: int) -> None:
    env = {**os.environ, "AGENT_HOME": str(world.base / "state"), "HOME": str(world.home)}
    marker = f"9{os.getpid()}.{time.time_ns() % 10**6}"
    process = subprocess.Popen(
        [*AGENT, "sandbox", "sleep", marker], cwd=world.ws, env=env, stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        if subprocess.run(["pgrep", "-f", f"^sleep {marker}"], capture_output=True, check=False).stdout:
            break
        time.sleep(0.02)
    assert (world.ws / ".agent").exists()
    process.send_signal(number)
    assert process.wait(10) != 0
    time.sleep(0.1)
    assert not subprocess.run(["pgrep", "-f", f"^sleep {marker}"], capture_output=True, check=False).stdout
    if number == signal.SIGKILL:
        assert list((world.ws / ".agent").iterdir()) == [], (
            "an empty folder is left; the next run takes it over"
        )
        assert world.confined("mkdir .agent/evil").exit_code != 0
    assert not (world.ws / ".agent").exists()


def test_doctor(world: World, tmp_path: Path) -> None:
    done = agent(world, "doctor", "--json")
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["sandbox"]["state"] == "works"
    assert rows["bash"]["state"] == "works"
    assert done.returncode == int(any(row["state"] == "missing" for row in rows.values()))
    text = agent(world, "doctor").stdout
    assert "ok      sandbox: bubblewrap confines commands on this machine" in text


def test_doctor_without_bubblewrap(world: World, tmp_path: Path) -> None:
    for name in ("bash", "git"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = agent(world, "doctor", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "MISSING sandbox: bubblewrap (`bwrap`) is not installed" in done.stdout
    assert "apt install bubblewrap" in done.stdout
    refused = agent(world, "sandbox", "true", PATH=str(tmp_path))
    assert refused.returncode == 1
    assert "not installed" in refused.stderr
    assert "full-access" in refused.stderr
