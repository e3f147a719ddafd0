"""Sessions: what they say, what they are given, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from agent.process.pty import Input, Session
from agent.sandbox.base import Launch

ENV = {"PATH": "/usr/bin:/bin"}


def start(
    script: str, folder: Path, *, seconds: float = 20, source: Input = Input.NOTHING, tty: bool = False
) -> Session:
    launch = Launch(argv=("/bin/bash", "-c", script), cwd=str(folder), env=ENV)
    return Session.start(launch, seconds=seconds, source=source, terminal=tty)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # gone between the two looks
        return False


async def test_output_is_told_once_and_kept_whole(tmp_path: Path) -> None:
    session = start("echo one; read -t 0.3 x <> <(:); echo two", tmp_path)
    for _ in range(200):
        if (first := session.fresh())[0]:
            break
        await asyncio.sleep(0.01)
    outcome = await session.wait(10)
    assert outcome is not None
    assert (first[0], session.fresh()[0]) == ("one\n", "two\n")
    assert (outcome.output, outcome.exit_code) == ("one\ntwo\n", 0)


async def test_input_by_pipe_and_its_end(tmp_path: Path) -> None:
    session = start("cat; echo end", tmp_path, source=Input.PIPE)
    assert await session.write(b"hello\n")
    session.close_input()
    outcome = await session.wait(10)
    assert outcome is not None
    assert outcome.output == "hello\nend\n"
    assert not await session.write(b"late")


async def test_a_terminal(tmp_path: Path) -> None:
    session = start(
        "test -t 0 && test -t 1 && read x && echo got $x", tmp_path, source=Input.TERMINAL, tty=True
    )
    assert await session.write(b"it\n")
    outcome = await session.wait(10)
    assert outcome is not None
    assert "got it\r\n" in outcome.output


@pytest.mark.parametrize("how", ["stop", "time", "twice", "at-once"])
async def test_nothing_is_left(tmp_path: Path, how: str) -> None:
    session = start(
        "trap '' TERM; sleep 60 & echo $!; wait" if how == "twice" else "sleep 60 & echo $!; wait",
        tmp_path,
        seconds=0.4 if how == "time" else 20,
    )
    if how == "at-once":
        await session.stop()
        assert session.outcome is not None
        return
    text = ""
    for _ in range(200):
        text += session.fresh()[0]
        if text.endswith("\n"):
            break
        await asyncio.sleep(0.01)
    pid = int(text)
    assert alive(pid)
    if how == "time":
        outcome = await session.wait(10)
    else:
        if how == "twice":
            session.kill()
            await asyncio.sleep(0.05)
        outcome = await session.stop()
    assert outcome is not None
    assert outcome.timed_out is (how == "time")
    for _ in range(200):  # a signal is sent at once and heeded a moment later
        if not alive(pid):
            break
        await asyncio.sleep(0.01)
    assert not alive(pid)


async def test_a_program_that_does_not_read_does_not_hold_us_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.process.pty._WRITE_SECONDS", 0.2)
    session = start("sleep 60", tmp_path, source=Input.PIPE)
    started = time.monotonic()
    assert not await session.write(b"x" * 2_000_000)
    assert time.monotonic() - started < 5
    await session.stop()


async def test_a_flood_is_bounded(tmp_path: Path) -> None:
    launch = Launch(argv=("/bin/bash", "-c", "yes | head -c 3000000"), cwd=str(tmp_path), env=ENV)
    session = Session.start(launch, seconds=20, limit=1000)
    await session.wait(20)
    text, omitted, size = session.fresh()
    assert size == 3_000_000
    assert len(text) < 1200
    assert omitted > 2_990_000


async def test_what_cannot_start_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for tty in (True, False):
        with pytest.raises(OSError):
            Session.start(
                Launch(argv=("/nowhere",), cwd=str(tmp_path), env=ENV),
                seconds=1,
                source=Input.PIPE,
                terminal=tty,
            )
    assert len(os.listdir("/proc/self/fd")) == before
