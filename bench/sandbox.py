"""What the sandbox adds to starting a command, beside a plain spawn and a plain bubblewrap in the same run.

    python bench/sandbox.py [RUNS]

Once as it is, once with 400 MB held by the agent: the cost of a start must not grow with its memory.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable

from measure import rounds, table

from agent.process.environ import child_environment
from agent.process.spawn import run
from agent.sandbox.base import Launch
from agent.sandbox.select import select
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import SandboxMode

BALLAST_MB = 400
BWRAP = [
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-net",
    "--new-session",
    "--die-with-parent",
]


def pieces(runner: asyncio.Runner, workspace: str) -> dict[str, Callable[[], object]]:
    true = shutil.which("true") or "/bin/true"
    plain = Launch(argv=(true,), cwd=workspace, env=child_environment(os.environ))
    bwrap = shutil.which("bwrap") or "bwrap"
    bare = Launch(
        argv=(bwrap, *BWRAP, "--bind", workspace, workspace, "--", true), cwd=workspace, env=plain.env
    )
    sandbox = select(SandboxMode.WORKSPACE_WRITE)

    def confined(mode: SandboxMode) -> Callable[[], object]:
        spec = SandboxSpec(mode=mode, workspace=workspace)
        return lambda: runner.run(run(sandbox.wrap(plain, spec), timeout=10))

    return {
        "plain spawn": lambda: runner.run(run(plain, timeout=10)),
        "plain bubblewrap": lambda: runner.run(run(bare, timeout=10)),
        "read-only": confined(SandboxMode.READ_ONLY),
        "workspace-write": confined(SandboxMode.WORKSPACE_WRITE),
    }


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with (
        asyncio.Runner() as runner,
        tempfile.TemporaryDirectory(dir=os.path.expanduser("~"), prefix=".agent-bench-") as workspace,
    ):
        work = pieces(runner, workspace)
        table("one `true`", rounds(work, runs), "plain spawn")
        ballast = [os.urandom(1 << 20) for _ in range(BALLAST_MB)]
        table(f"one `true`, {len(ballast)} MB held", rounds(work, runs), "plain spawn")


if __name__ == "__main__":
    main()
