"""How commands end: by themselves, by time, by cancellation, and with children that hold on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.process.spawn import Outcome, run
from agent.sandbox.base import Launch


def launch(code: str, cwd: str = "/", **env: str) -> Launch:
    return Launch(
        argv=("/bin/bash", "--noprofile", "--norc", "-c", code),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **env},
    )


def go(code: str, timeout: float = 20, limit: int = 1 << 20, cwd: str = "/") -> Outcome:
    return asyncio.run(run(launch(code, cwd), timeout=timeout, limit=limit))


def alive(marker: str) -> bool:
    found = subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True, check=False)
    return found.returncode == 0


@pytest.fixture
def marker() -> str:
    return f"3{os.getpid()}.{time.time_ns() % 10**9}"


@pytest.mark.parametrize(
    ("code", "exit_code", "number", "output"),
    [
        pytest.param("echo out; echo err >&2; echo more", 0, None, "out\nerr\nmore\n", id="merged-in-order"),
        pytest.param("exit 7", 7, None, "", id="status"),
        pytest.param("kill -SEGV $$", None, 11, "", id="signal"),
        pytest.param("no-such-program 2>/dev/null", 127, None, "", id="missing-program"),
        pytest.param("cat; echo end", 0, None, "end\n", id="standard-input-is-empty"),
        pytest.param("printf 'a\\xff\\xfeb\\0c'", 0, None, "a��b\0c", id="binary"),
        pytest.param("printf '\\xe2\\x82'; sleep 0.05; printf '\\xac'", 0, None, "€", id="character-in-two-parts"),
        pytest.param("printf '\\xe2\\x82'", 0, None, "�", id="half-a-character"),
        pytest.param("read a b <<< \"$$ $(ps -o sid= -p $$)\"; test $a = $b; echo $?", 0, None, "0\n", id="session"),
    ],
)  # fmt: skip
def test_end(code: str, exit_code: int | None, number: int | None, output: str) -> None:
    seen = go(code)
    assert (seen.exit_code, seen.signal, seen.output) == (exit_code, number, output)
    assert (seen.timed_out, seen.omitted_bytes) == (False, 0)


def test_a_program_that_cannot_start_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            asyncio.run(run(Launch(argv=("/no/such",), cwd="/"), timeout=5))
        with pytest.raises(NotADirectoryError):
            asyncio.run(run(Launch(argv=("/bin/true",), cwd="/etc/passwd"), timeout=5))
    assert go("true").exit_code == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_the_end_cannot_be_watched(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    def forbidden(_pid: int, _flags: int = 0) -> int:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden, raising=False)
    assert go(f"sleep {marker} & exit 3").exit_code == 3
    assert not alive(marker)
    seen = go(f"sleep {marker}", timeout=0.2)
    assert (seen.timed_out, seen.signal) == (True, signal.SIGTERM)
    assert not alive(marker)


def test_time_out(marker: str) -> None:
    seen = go(f"echo before; sleep {marker}; echo after", timeout=0.3)
    assert (seen.timed_out, seen.exit_code, seen.signal, seen.output) == (
        True,
        None,
        signal.SIGTERM,
        "before\n",
    )
    assert seen.seconds < 1
    assert not alive(marker)


def test_time_out_of_what_does_not_listen(marker: str) -> None:
    seen = go(f"trap '' TERM INT HUP; sleep {marker} & while :; do sleep {marker}; done", timeout=0.3)
    assert (seen.timed_out, seen.signal) == (True, signal.SIGKILL)
    assert seen.seconds < 3
    assert not alive(marker)


def test_a_chance_to_end_well() -> None:
    seen = go("trap 'echo cleaned; exit 4' TERM; while :; do sleep 0.05; done", timeout=0.3)
    assert seen.timed_out
    assert seen.output.endswith("cleaned\n")


def test_background_children_end_with_the_command(marker: str) -> None:
    seen = go(f"sleep {marker} & echo started")
    assert (seen.exit_code, seen.output) == (0, "started\n")
    assert seen.seconds < 2
    assert not alive(marker)


def test_a_daemon_that_keeps_the_pipe_does_not_keep_us(marker: str) -> None:
    seen = go(f"setsid sleep {marker} & disown; echo started")
    assert (seen.exit_code, seen.output) == (0, "started\n")
    assert seen.seconds < 2
    subprocess.run(["pkill", "-f", f"sleep {marker}"], check=False)


def test_cancellation(marker: str) -> None:
    async def cancelled() -> float:
        task = asyncio.create_task(
            run(launch(f"trap '' TERM; sleep {marker} & wait; sleep {marker}"), timeout=60)
        )
        await asyncio.sleep(0.2)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    before = len(os.listdir("/proc/self/fd"))
    assert asyncio.run(cancelled()) < 3
    assert not alive(marker)
    assert len(os.listdir("/proc/self/fd")) == before


def test_cancelled_twice_is_killed_at_once_and_others_go_on(marker: str) -> None:
    async def twice() -> int:
        task = asyncio.create_task(
            run(launch(f"trap '' TERM; sleep {marker} & wait; sleep {marker}"), timeout=60)
        )
        await asyncio.sleep(0.2)
        task.cancel()
        ticks = 0
        for _ in range(10):
            await asyncio.sleep(0.02)
            ticks += 1
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ticks

    started = time.monotonic()
    assert asyncio.run(twice()) == 10
    assert time.monotonic() - started < 0.9
    assert not alive(marker)


def test_output_comes_as_it_is_made() -> None:
    times: list[tuple[str, float]] = []
    started = time.monotonic()
    asyncio.run(
        run(
            launch("echo one; sleep 0.4; echo two"),
            timeout=9,
            on_output=lambda text: times.append((text, time.monotonic() - started)),
        )
    )
    assert [text for text, _ in times] == ["one\n", "two\n"]
    assert times[0][1] < 0.3 < times[1][1]


def test_fifty_megabytes_in_bounded_memory() -> None:
    size = 50_000_000
    code = f"head -c {size} /dev/zero | tr '\\0' x; echo end"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = go(code, limit=1 << 20)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert seen.output_bytes == size + 4
    assert len(seen.output) <= (1 << 20) + 64
    assert seen.omitted_bytes == seen.output_bytes - (1 << 20)
    assert f"[... {seen.omitted_bytes} bytes omitted ...]" in seen.output
    assert seen.output.endswith("xend\n")
    assert seen.output_sha256 == hashlib.sha256(b"x" * size + b"end\n").hexdigest()
    assert grown < 20_000  # kilobytes


def test_several_at_once() -> None:
    async def many() -> list[Outcome]:
        return await asyncio.gather(*(run(launch(f"sleep 0.2; exit {n}"), timeout=9) for n in range(8)))

    started = time.monotonic()
    assert [seen.exit_code for seen in asyncio.run(many())] == list(range(8))
    assert time.monotonic() - started < 1.5


def test_what_is_handed_over_can_be_read() -> None:
    own = Launch(argv=("/bin/sh", "-c", 'cat <&"$1"', "sh", ""), cwd="/", handed=((4, b"text"),))
    program = (sys.executable, "-I", "-S", "-c", "import os, sys; print(os.read(int(sys.argv[1]), 9))", "")
    assert (
        asyncio.run(run(Launch(argv=program, cwd="/", handed=((5, b"text"),)), timeout=9)).output
        == "b'text'\n"
    )
    assert own.handed


def test_only_what_is_passed_is_inherited(tmp_path: Path) -> None:
    stray, passed = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(stray, True)
    try:
        code = f"test -e /proc/self/fd/{stray}; echo $?; test -e /proc/self/fd/{passed}; echo $?"
        own = Launch(argv=("/bin/bash", "-c", code), cwd="/", pass_fds=(passed,))
        assert asyncio.run(run(own, timeout=9)).output == "1\n0\n"
    finally:
        os.close(stray)
        os.close(passed)
