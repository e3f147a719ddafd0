"""Runs turns in forks of a process that has everything loaded, and kills them at random moments.

argv: state folder, project, address of the model, number of kills. Prints one JSON object: what was seen.
Each fork goes on with the thread where the last one was killed; every tenth begins a new one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.app.compose import compose
from agent.config.load import Flags, load_settings
from agent.core.context import History, replay
from agent.headless.jsonl import JsonLines
from agent.headless.run import End, run_task
from agent.sessions.store import SessionStore

HOME, PROJECT, URL, KILLS = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
ENVIRON = {"AGENT_HOME": str(HOME), "OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": URL}
CHANCE = random.Random(20261124)


def turn(thread: str | None, prompt: str, write: Callable[[str], object], *, ephemeral: bool = False) -> bool:
    """One turn, told to `write`: whether it was done."""
    flags = Flags(overrides=("sandbox_mode=full-access",), ephemeral=ephemeral)
    settings = load_settings(flags, ENVIRON, PROJECT, HOME / "none.toml")

    async def run() -> bool:
        host = compose(settings)
        conversation = await (host.open() if thread is None else host.resume(thread))
        return (await run_task(conversation, prompt, JsonLines(write))).end is End.DONE

    return asyncio.run(run())


def started(thread: str | None) -> tuple[int, int]:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            turn(thread, "go on", lambda line: os.write(write, line.encode()))
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the fork ends here
            os.write(write, json.dumps({"type": "broken", "error": repr(error)}).encode() + b"\n")
            os._exit(3)
    os.close(write)
    return pid, read


def follow(read: int, lines: int, seconds: float) -> bytes:
    """What is told until `lines` lines have come."""
    data = b""
    until = time.monotonic() + seconds
    while data.count(b"\n") < lines and select.select([read], [], [], max(until - time.monotonic(), 0))[0]:
        piece = os.read(read, 1 << 16)
        if not piece:
            break
        data += piece
    return data


def told(data: bytes, read: int) -> list[dict[str, Any]]:
    """Every whole line, those included that still lie in the pipe of the killed one."""
    while piece := os.read(read, 1 << 16):
        data += piece
    os.close(read)
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def look(store: SessionStore, thread: str, acknowledged: list[str]) -> list[str]:
    """What is wrong with the thread as it is stored."""
    events = store.events(thread)
    wrong = [] if [event.seq for event in events] == list(range(1, len(events) + 1)) else ["gap"]
    items = store.items(thread)
    said = [item["content"][0]["text"] for item in items if item.get("role") == "assistant"]  # type: ignore
    if said[: len(acknowledged)] != acknowledged:
        wrong.append(f"acknowledged {acknowledged[-3:]}, stored {said[-3:]}")
    if len(set(said)) != len(said):
        wrong.append("stored twice")
    history = History()
    replay(((event.kind, event.payload) for event in events), history)
    sent = history.input()
    calls = [item["call_id"] for item in sent if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in sent if item.get("type") == "function_call_output"]
    if calls != outputs:
        wrong.append("a call without its output")
    return wrong


# Everything is loaded before the first fork.
assert turn(None, "warm up", str, ephemeral=True)
seen: dict[str, Any] = {"kills": 0, "in_turn": 0, "acknowledged": 0, "wrong": []}
thread: str | None = None
acknowledged: list[str] = []
path = HOME / "sessions.db"
while seen["kills"] < KILLS:
    if seen["kills"] % 10 == 0:
        thread, acknowledged = None, []
    pid, read = started(thread)
    # Most in the middle of their work, however fast the machine is, and some before it.
    lines = CHANCE.randint(1, 10) if CHANCE.random() < 0.85 else 0
    data = follow(read, lines, 10)
    time.sleep(CHANCE.random() * 0.03)
    os.kill(pid, signal.SIGKILL)
    events = told(data, read)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        seen["wrong"].append(f"ended by itself: {events[-3:]}")
    seen["kills"] += 1
    seen["in_turn"] += any(event["type"] == "turn.started" for event in events)
    for event in events:
        if event["type"] == "thread.started":
            if thread is not None and event["thread_id"] != thread:
                seen["wrong"].append("another thread")
            thread = event["thread_id"]
        elif event["type"] in ("broken", "turn.failed"):
            seen["wrong"].append(str(event))
        elif event["type"] == "item.completed" and event["item"]["type"] == "agent_message":
            acknowledged.append(event["item"]["text"])
            seen["acknowledged"] += 1
    if thread is not None:
        with SessionStore.open(path) as store:
            if seen["kills"] % 20 == 0 and store.check() != "ok":
                seen["wrong"].append("the database is damaged")
            seen["wrong"] += look(store, thread, acknowledged)
            # What was stored and not told any more counts from now on.
            acknowledged = [
                item["content"][0]["text"]  # type: ignore
                for item in store.items(thread)
                if item.get("role") == "assistant"
            ]
print(json.dumps(seen | {"thread": thread}))
