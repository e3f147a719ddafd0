"""`agent exec` whole: one answer, a loop of calls, a long stream. Beside it the least that can do the same.

    python bench/exec.py [RUNS]

The least is a loop on the `openai` package alone: the same requests and commands, no policy, no record, no
sandbox, no session. `codex exec` takes part where it is on the PATH. All take turns, against one kind of server.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.llm.scripted import Calls, Respond, Says, ScriptedServer, Step, Stream, respond, stream_of
from agent.protocol.items import JsonObject

CALLS = 50
DELTAS = 2000
LEAST = """
import subprocess, sys
from openai import OpenAI

client = OpenAI(max_retries=0)
history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}]
while True:
    stream = client.responses.create(model="gpt-5.5", input=history, store=False, stream=True)
    calls = []
    for event in stream:
        if event.type == "response.output_item.done":
            history.append(event.item.to_dict())
            if event.item.type == "function_call":
                calls.append(event.item)
    for call in calls:
        done = subprocess.run(["/bin/bash", "-c", "true"], capture_output=True, text=True)
        output = {"type": "function_call_output", "call_id": call.call_id, "output": done.stdout}
        history.append(output)
    if not calls:
        break
"""


@dataclass(frozen=True)
class Took:
    first: float  # ms from start to the first request
    wall: float  # ms
    stream: float  # ms from the last request to the end
    peak: int  # MB of the largest process


class Timed:
    """Answers with `calls` calls, then with `last`; keeps when each request came."""

    def __init__(self, calls: int, last: Step) -> None:
        self.calls = calls
        self.last = last
        self.arrivals: list[float] = []

    def __call__(self, request: JsonObject) -> Step:
        self.arrivals.append(time.perf_counter())
        if len(self.arrivals) <= self.calls:
            return respond(Calls("exec_command", {"cmd": "true"}))
        return self.last


Start = Callable[[str, Path], tuple[list[str], dict[str, str]]]  # base URL, state folder -> command


def run(start: Start, folder: Path, home: Path, calls: int, last: Step) -> Took:
    script = Timed(calls, last)
    with ScriptedServer(script) as server:
        argv, env = start(server.base_url, home)
        out = folder / "out"
        null = os.open(os.devnull, os.O_RDONLY)
        with out.open("wb") as log:
            files = [
                (os.POSIX_SPAWN_DUP2, null, 0),
                *((os.POSIX_SPAWN_DUP2, log.fileno(), n) for n in (1, 2)),
            ]
            begun = time.perf_counter()
            pid = os.posix_spawn(argv[0], argv, {**os.environ, **env}, file_actions=files)
            _, status, usage = os.wait4(pid, 0)
            end = time.perf_counter()
        os.close(null)
    if status or len(script.arrivals) != calls + 1:
        raise SystemExit(
            f"{argv[0]}: status {status}, {len(script.arrivals)} requests\n{out.read_text()[-2000:]}"
        )
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Took(
        (script.arrivals[0] - begun) * 1000,
        (end - begun) * 1000,
        (end - script.arrivals[-1]) * 1000,
        usage.ru_maxrss // unit,
    )


def starts(folder: Path) -> dict[str, Start]:
    """The commands by name. Each works in `folder`/work."""
    work = folder / "work"
    work.mkdir()
    rules = folder / "a.rules"
    rules.write_text('prefix_rule(pattern=["true"], decision="allow")\n')
    agent = str(Path(sys.executable).with_name("agent"))

    def ours(mode: str) -> Start:
        def start(url: str, home: Path) -> tuple[list[str], dict[str, str]]:
            env = {"AGENT_HOME": str(home), "OPENAI_API_KEY": "bench", "OPENAI_BASE_URL": url}
            return [agent, "exec", "--json", "--policy", str(rules), "-C", str(work), "-s", mode, "go"], env

        return start

    def least(url: str, home: Path) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-c", LEAST], {"OPENAI_API_KEY": "bench", "OPENAI_BASE_URL": url}

    def theirs(mode: str) -> Start:
        def start(url: str, home: Path) -> tuple[list[str], dict[str, str]]:
            home.mkdir(exist_ok=True)
            provider = f'{{name="bench",base_url="{url}",env_key="OPENAI_API_KEY",wire_api="responses"}}'
            settings = ["-c", 'model_provider="bench"', "-c", f"model_providers.bench={provider}"]
            words = ["exec", "--json", "--skip-git-repo-check", "-C", str(work), "-m", "gpt-5.5", "-s", mode]
            env = {"CODEX_HOME": str(home), "OPENAI_API_KEY": "bench"}
            return [shutil.which("codex") or "codex", *words, *settings, "go"], env

        return start

    found: dict[str, Start] = {"`openai` alone": least, "agent, no sandbox": ours("full-access")}
    if shutil.which("bwrap"):
        found["agent, sandboxed"] = ours("workspace-write")
    if shutil.which("codex"):
        found["codex, no sandbox"] = theirs("danger-full-access")
        found["codex, sandboxed"] = theirs("workspace-write")
    return found


def long_answer(deltas: int) -> Stream:
    """One message in so many pieces, made beforehand: the server is not what is timed."""
    return Stream(b"".join(stream_of(Respond((Says("x" * 24 * deltas),)), "long")))


def main(runs: int) -> None:
    hello, long, longer = respond(Says("done")), long_answer(DELTAS), long_answer(4 * DELTAS)
    rows: dict[str, dict[str, list[Took]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = starts(folder)
        for number in range(runs + 1):  # the first round warms up
            for at, (who, start) in enumerate(commands.items()):
                home = folder / f"warm-{at}"
                took = {
                    "fresh": run(start, folder, folder / f"fresh-{at}-{number}", 0, hello),
                    "warm": run(start, folder, home, 0, hello),
                    "loop": run(start, folder, home, CALLS, hello),
                    "long": run(start, folder, home, 0, long),
                    "longer": run(start, folder, home, 0, longer),
                }
                for what, one in took.items():
                    if number:
                        rows.setdefault(who, {}).setdefault(what, []).append(one)
    show(rows, runs)


def middle(took: Sequence[Took], value: Callable[[Took], float]) -> float:
    return statistics.median(map(value, took))


def show(rows: Mapping[str, Mapping[str, Sequence[Took]]], runs: int) -> None:
    print(f"\n### whole runs of `exec` (medians of {runs}; ms, MB)\n")
    names = ("one answer: first request", "run, fresh home", "run, warm home")
    names += (f"one of {CALLS} calls", "peak memory", f"{DELTAS} deltas", f"{4 * DELTAS} deltas")
    print(f"| | {' | '.join(names)} |")
    print("|---" + "|---:" * len(names) + "|")
    for who, took in rows.items():
        warm, loop = took["warm"], took["loop"]
        still = middle(warm, lambda one: one.stream)
        cells = (
            middle(warm, lambda one: one.first),
            middle(took["fresh"], lambda one: one.wall),
            middle(warm, lambda one: one.wall),
            (middle(loop, lambda one: one.wall) - middle(warm, lambda one: one.wall)) / CALLS,
            middle(loop, lambda one: one.peak),
            # what a run with a one-word answer takes after its request is taken off
            middle(took["long"], lambda one: one.stream) - still,
            middle(took["longer"], lambda one: one.stream) - still,
        )
        print(f"| {who} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
