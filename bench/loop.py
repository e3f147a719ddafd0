"""The agent against a local scripted model: time to the first request, and the cost of one tool call.

    python bench/loop.py [RUNS]

A run with N calls and a run with none differ by N calls: verdict, record, sandbox, command, record and one model
round trip each. Beside it, in the same run: the bare command, and the bare command in a plain bubblewrap.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import rounds, table

from agent.llm.scripted import Calls, Says, ScriptedServer, Step, respond
from agent.protocol.items import JsonObject

CALLS = 50
BWRAP = [
    "bwrap",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--unshare-all",
    "--die-with-parent",
]


class Timed:
    """A script of `calls` calls, and the moment each request arrived."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.arrivals: list[float] = []

    def __call__(self, request: JsonObject) -> Step:
        self.arrivals.append(time.perf_counter())
        if len(self.arrivals) <= self.calls:
            return respond(Calls("exec_command", {"cmd": "true"}))
        return respond(Says("done"))


def run_agent(folder: Path, calls: int, sandbox: str) -> tuple[float, float]:
    """Milliseconds from start to the first request, and of the whole run."""
    script = Timed(calls)
    with ScriptedServer(script) as server:
        env = {
            **os.environ,
            "AGENT_HOME": str(folder / "home"),
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": server.base_url,
        }
        agent = str(Path(sys.executable).with_name("agent"))
        start = time.perf_counter()
        subprocess.run(
            [
                agent,
                "exec",
                "--policy",
                str(folder / "a.rules"),
                "--cd",
                str(folder / "work"),
                "--sandbox",
                sandbox,
                "go",
            ],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        end = time.perf_counter()
    if len(script.arrivals) != calls + 1:
        raise SystemExit(f"expected {calls + 1} requests, got {len(script.arrivals)}")
    return (script.arrivals[0] - start) * 1000, (end - start) * 1000


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work").mkdir()
        (folder / "a.rules").write_text('prefix_rule(pattern=["true"], decision="allow")\n')
        modes = ["full-access"] + (["workspace-write"] if shutil.which("bwrap") else [])
        first: list[float] = []
        one: dict[str, list[float]] = {}
        run_agent(folder, 0, modes[0])
        for _ in range(runs):
            for mode in modes:
                request, empty = run_agent(folder, 0, mode)
                first.append(request)
                _, full = run_agent(folder, CALLS, mode)
                one.setdefault(f"one call, {mode}", []).append((full - empty) / CALLS)
        plain = {"bash -c true": lambda: subprocess.run(["bash", "-c", "true"], check=True)}
        if len(modes) > 1:
            plain["bwrap ... bash -c true"] = lambda: subprocess.run(
                [*BWRAP, "bash", "-c", "true"], check=True
            )
        bare = {"python -I -c pass": lambda: subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)}
        openai = "import openai; openai.AsyncOpenAI"
        bare["python -I -c 'import openai'"] = lambda: subprocess.run(
            [sys.executable, "-I", "-c", openai], check=True
        )
        table(
            "start to the first model request",
            {**rounds(bare, runs), "agent exec": first},
            "python -I -c pass",
        )
        table(f"one tool call, over {CALLS}", {**rounds(plain, runs * 3), **one}, "bash -c true")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
