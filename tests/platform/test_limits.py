"""What one command may use of the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

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


def test_processes(world: World) -> None:
    world.limits = Limits(processes=20)
    seen = world.confined("for n in {1..40}; do sleep 1 & done; jobs -p | wc -l")
    if os.geteuid() == 0:
        assert seen.exit_code == 0, "the kernel holds root to no number of processes"
    else:
        assert "Resource temporarily unavailable" in seen.output


def test_a_fork_bomb_ends_with_its_time(world: World) -> None:
    world.limits = Limits(processes=100)
    seen = world.confined(
        "f() { sleep 0.2; test $1 -gt 5 || { f $(($1 + 1)) & f $(($1 + 1)) & }; wait; }; f 0; sleep 9", 1
    )
    assert seen.timed_out
    assert seen.seconds < 5


def test_a_missing_program_is_127(world: World) -> None:
    assert world.confined("true").exit_code == 0
    assert world.confined("exec no-such-program").exit_code == 127
