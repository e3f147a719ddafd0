"""A stream that is cut at any byte: no call runs twice, none that came whole is lost, each is answered in order."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from fakes import Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.context import History
from agent.core.context import replay as replayed
from agent.llm.responses import ResponsesClient
from agent.llm.retry import Backoff, RetryingClient
from agent.llm.scripted import (
    Calls,
    Output,
    Respond,
    Says,
    ScriptedServer,
    Stream,
    replay,
    respond,
    stream_of,
)
from agent.protocol.events import TurnCompleted

OUTPUTS = st.lists(st.sampled_from(["say", "call"]), min_size=1, max_size=5)


def made(kinds: list[str]) -> tuple[Output, ...]:
    return tuple(
        Says("working")
        if kind == "say"
        else Calls("exec_command", {"cmd": f"echo {place} >> log; echo out{place}"})
        for place, kind in enumerate(kinds)
    )


@settings(max_examples=60, deadline=None)
@given(kinds=OUTPUTS, share=st.floats(0, 1), times=st.integers(1, 2))
def test_no_cut_repeats_or_loses_a_call(kinds: list[str], share: float, times: int) -> None:
    whole = b"".join(stream_of(Respond(made(kinds)), "a"))
    cut = whole[: round(len(whole) * share)]
    arrived = [
        n for n, kind in enumerate(kinds) if kind == "call" and b"done" in cut and _whole(cut, f"call_a_{n}")
    ]
    steps = [Stream(cut)] * times + [respond(Says("end"))]

    async def go(folder: Path, server: ScriptedServer) -> Rig:
        client = RetryingClient(
            ResponsesClient(base_url=server.base_url, api_key="k", idle_seconds=5), Backoff(first=0.001)
        )
        rig = Rig(client, folder)  # type: ignore[arg-type]
        events = await rig.turn()
        assert isinstance(events[-1], TurnCompleted)
        await rig.close()
        return rig

    with tempfile.TemporaryDirectory() as name, ScriptedServer(replay(steps)) as server:
        rig = asyncio.run(go(Path(name), server))
        log = Path(name, "log")
        ran = sorted(map(int, log.read_text().split())) if log.exists() else []
    assert ran == arrived
    final = server.requests[-1]["input"]
    assert isinstance(final, list)
    outputs = [item for item in final if isinstance(item, dict) and item["type"] == "function_call_output"]
    assert [item["call_id"] for item in outputs] == [f"call_a_{n}" for n in arrived]
    assert all(f"out{n}" in str(item["output"]) for n, item in zip(arrived, outputs, strict=True))
    again = History()
    replayed(rig.journal.entries, again)
    assert again.input() == rig.history.input()


def _whole(cut: bytes, call: str) -> bool:
    """The `done` event of the call came, with the empty line that ends it."""
    at = cut.find(b"event: response.output_item.done\n", 0)
    while at >= 0:
        end = cut.find(b"\n\n", at)
        if end >= 0 and f'"{call}"'.encode() in cut[at:end]:
            return True
        at = cut.find(b"event: response.output_item.done\n", at + 1)
    return False
