"""What one command may use of the machine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from agent.process.spawn import Outcome, run
from agent.sandbox.limits import chosen
from agent.sandbox.spec import Limits

if TYPE_CHECKING:
    from conftest import World


def test_defaults(world: World) -> None:
    seen = world.confined("ulimit -u; ulimit -c; cat /proc/self/oom_score_adj; ulimit -v")
    assert seen.output.split() == ["4096", "0", "500", "unlimited"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        pytest.param(Limits(file_bytes=1 << 20), "head -c 2000000 /dev/zero > big", id="file"),
        pytest.param(Limits(memory_bytes=1 << 29), "#py\nbytearray(1 << 30)", id="memory"),
        pytest.param(Limits(cpu_seconds=1), "while :; do :; done", id="processor"),
        pytest.param(Limits(file_bytes=1 << 20), "ulimit -f unlimited", id="cannot-be-lifted"),
    ],
)
def test_a_limit_ends_what_passes_it(world: World, limits: Limits, code: str) -> None:
    world.limits = limits
    seen = world.confined(code)
    assert seen.exit_code not in (0, None), seen.output
    if code.startswith("head"):
        assert (world.ws / "big").stat().st_size == 1 << 20
    if "while" not in code and "ulimit" not in code:
        world.limits = Limits()
        assert world.confined(code).exit_code == 0


BOMBS = [
    pytest.param(
        Limits(processes=20), "for n in {1..40}; do sleep 9 & done; wait", "more than 20 processes", id="processes"
    ),
    pytest.param(Limits(processes=99), "f() { sleep 0.1; f | f & }; f; sleep 9", "more than 99", id="fork-bomb"),
    pytest.param(
        Limits(tree_memory_bytes=200 << 20),
        "#py\nx = []\nwhile 1: x.append(bytearray(1 << 20))",
        "more than 200 MB of memory",
        id="memory-of-one",
    ),
    pytest.param(
        Limits(tree_memory_bytes=200 << 20),
        "#py\nfor n in range(6): os.fork() or (bytearray(b'x') * (60 << 20), signal.pause())\nsignal.pause()",
        "more than 200 MB of memory",
        id="memory-of-all",
    ),
    pytest.param(
        Limits(tree_memory_bytes=100 << 20),
        "head -c 300000000 /dev/zero > /dev/shm/x; sleep 20",
        "more than 100 MB of memory",
        id="memory-files",
    ),
    pytest.param(
        Limits(disk_bytes=50 << 20),
        "for n in 1 2 3 4 5 6 7 8; do head -c 20000000 /dev/zero > b$n; done; sleep 20",
        "sandbox_limits.disk_mb",
        id="disk-in-many-files",
    ),
    pytest.param(
        Limits(disk_bytes=50 << 20),
        "while :; do head -c 20000000 /dev/zero > b; sync b; rm b; done",
        "sandbox_limits.disk_mb",
        id="disk-removed-again",
    ),
    pytest.param(
        Limits(new_files=2000),
        "#py\nfor n in range(10**7): os.mknod(f'{W}/i{n}')",
        "sandbox_limits.new_files",
        id="files-without-end",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "code", "said"), BOMBS)
def test_a_bomb_is_ended_and_named(world: World, limits: Limits, code: str, said: str) -> None:
    """Also what root does: the kernel holds root to no number of processes."""
    world.limits = limits
    seen = world.confined(code, timeout=30)
    if "disk" in said and "stopped" not in seen.output and not _counts(world):
        pytest.skip("this file system tells neither what is written nor what is free")
    assert seen.exit_code is None, seen.output
    assert not seen.timed_out
    assert "[stopped: it" in seen.output
    assert said in seen.output


def _counts(world: World) -> bool:
    before = os.statvfs(world.ws).f_bavail
    (world.ws / "counted").write_bytes(bytes(8 << 20))
    os.sync()
    return os.statvfs(world.ws).f_bavail != before


def test_the_agent_stays_awake_while_a_bomb_goes_off(world: World) -> None:
    """Its loop turns while the command fills the output and forks."""
    world.limits = Limits(processes=60)

    async def both() -> tuple[int, Outcome]:
        turns = 0
        task = asyncio.create_task(
            run(world.launch("yes & f() { sleep 0.1; f | f & }; f; sleep 20"), timeout=30)
        )
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return turns, task.result()

    turns, seen = asyncio.run(both())
    assert turns > 5
    assert "60 processes" in seen.output
    assert len(seen.output) < 2 << 20


def test_what_is_usual_meets_no_limit(world: World) -> None:
    world.limits = chosen(
        processes=1024,
        memory_mb=-1,
        cpu_seconds=0,
        open_files=65536,
        file_mb=1024,
        disk_mb=1024,
        new_files=100_000,
    )
    seen = world.confined("for n in {1..30}; do (head -c 100000 /dev/zero > f$n) & done; wait; ulimit -Hn")
    assert (seen.exit_code, int(seen.output) <= 65536) == (0, True)


def test_open_files(world: World) -> None:
    world.limits = Limits(open_files=50)
    assert world.confined("#py\nf = [os.dup(0) for _ in range(60)]").exit_code != 0
    assert world.confined("ulimit -n 100").exit_code != 0


def test_a_missing_program_is_127(world: World) -> None:
    assert world.confined("true").exit_code == 0
    assert world.confined("exec no-such-program").exit_code == 127
