"""The weaker sandbox, really run: what it keeps away, what it lets through, and what it says about itself."""

# ruff: noqa: E501 - a probe is one line

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.process.environ import child_environment
from agent.process.spawn import Outcome, run
from agent.sandbox import landlock
from agent.sandbox.base import Launch
from agent.sandbox.secrets import default_hidden
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import SandboxMode

if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.skipif(
    landlock.version() < 3, reason="this kernel has no Landlock of version 3 or later"
)

REFUSED = [
    pytest.param('echo x > "$O/new"', id="create-outside"),
    pytest.param(': > "$O/file"', id="truncate-outside"),
    pytest.param('rm "$O/file"', id="delete-outside"),
    pytest.param('mkdir "$O/d"', id="folder-outside"),
    pytest.param('mv "$O/file" src/', id="take-from-outside"),
    pytest.param('ln "$O/file" src/l && echo x > src/l', id="hard-link"),
    pytest.param('ln -s "$O" src/l && echo x > src/l/new', id="link"),
    pytest.param('echo x > "/proc/self/root$O/new"', id="proc-root"),
    pytest.param('#py\nos.truncate(O + "/file", 0)', id="truncate-call"),
    pytest.param('#py\nd = os.open(O, os.O_PATH)\nos.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d)', id="openat"),
    pytest.param("echo x >> .git/config", id="git-config"),
    pytest.param("echo x > .git/hooks/pre-commit", id="git-hook"),
    pytest.param("mv .git g", id="git-moved"),
    pytest.param("mkdir .agent && echo x > .agent/x.rules", id="rules-made"),
    pytest.param("mv src .agent", id="rules-by-rename"),
    pytest.param('cat "$HOME/.netrc"', id="key-file"),
    pytest.param('cat "$HOME/.ssh/id"', id="key-folder"),
    pytest.param("cat .env", id="hidden"),
    pytest.param('#py\nsocket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 3)', id="tcp"),
    pytest.param('#py\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)', id="datagram"),
    pytest.param('#py\nsocket.socket(socket.AF_UNIX).connect("\\0" + os.environ["ABSTRACT"])', id="abstract-socket"),
    pytest.param('#py\nsocket.socket(socket.AF_UNIX).connect(os.environ["TMPSOCK"])', id="socket-by-path"),
    pytest.param('grep -q VICTIM_SECRET "/proc/$VICTIM/environ"', id="environment-of-another"),
    pytest.param('cat "/proc/$VICTIM/root/etc/passwd"', id="root-of-another"),
    pytest.param('#py\nos.open("/proc/%s/mem" % os.environ["VICTIM"], os.O_RDONLY)', id="memory-of-another"),
    pytest.param('prlimit --pid "$VICTIM" --core=0:0', id="limits-of-another"),
    pytest.param('renice -n 5 "$VICTIM"', id="priority-of-another"),
    pytest.param('#py\nworks(sc(101, 117, 0, 0, 0, 0))', id="trace"),
    pytest.param("unshare -U true", id="user-namespace"),
    pytest.param('#py\nworks(sc(425, 425, 1, ctypes.create_string_buffer(128)))', id="io-uring"),
    pytest.param('#py\nsys.exit(libc.shmget(int(os.environ["SHMKEY"]), 0, 0) == -1)', id="shared-segment"),
    pytest.param("cp /bin/true src/t && chmod u+s src/t && test -u src/t", id="set-user-id"),
    pytest.param("! grep -qE 'CapBnd:.*0000000000000000' /proc/self/status", id="capabilities"),
    pytest.param("grep -q 'NoNewPrivs:.*0' /proc/self/status", id="privileges"),
    pytest.param('v=$(cat /proc/sys/vm/swappiness) && echo "$v" > /proc/sys/vm/swappiness', id="kernel-setting"),
]  # fmt: skip

ALLOWED = [
    pytest.param("echo x > src/new && cat src/new && mv src/new src/n2 && rm src/n2", id="write-below"),
    pytest.param("echo x >> file && cat file", id="edit-at-the-top"),
    pytest.param("mkdir -p src/a/b && touch src/a/b/c && rm -r src/a", id="folders"),
    pytest.param("f=$(mktemp) && echo x > $f && rm $f", id="temporary-file"),
    pytest.param("git status && git log --oneline && git diff", id="git-reads"),
    pytest.param("ls / > /dev/null && ls && cat /etc/passwd > /dev/null && ls ~", id="look-around"),
    pytest.param("sleep 5 & p=$!; kill $p; wait $p || test $? = 143", id="signal-own-child"),
    pytest.param("head -c 4 /dev/urandom > /dev/null && nice true && timeout 5 true", id="tools"),
    pytest.param("#py\nimport subprocess, threading\nsubprocess.run(['true'], check=True)\nos.pipe()\na, b = socket.socketpair()", id="python"),
    pytest.param(f"'{sys.executable}' -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1]))'", id="multiprocessing"),
]  # fmt: skip


def weak(
    world: World, code: str, mode: SandboxMode = SandboxMode.WORKSPACE_WRITE, timeout: float = 30
) -> Outcome:
    (world.ws / "src").mkdir(exist_ok=True)
    home = str(world.home)
    sandbox = landlock.fallback(home, os.uname().machine, default_hidden(home), (str(world.ws),))
    argv = tuple(world._argv(code))
    env = child_environment(world._environment(), allowed=frozenset(world.extra) - {"MY_API_KEY"})
    spec = SandboxSpec(
        mode=mode, workspace=str(world.ws), hidden=world.hidden, network=Network.NONE, limits=world.limits
    )
    launch = sandbox.wrap(Launch(argv=argv, cwd=str(world.ws), env=env), spec)
    return asyncio.run(run(launch, timeout=timeout))


@pytest.mark.parametrize("code", REFUSED)
def test_it_keeps_away(world: World, twin: World, code: str) -> None:
    (world.ws / "src").mkdir()
    (twin.ws / "src").mkdir()
    if landlock.version() < 6 and "signal" in code:
        pytest.skip("signals are kept in from version 6 on")
    seen = weak(world, code)
    assert seen.exit_code != 0, seen.output
    assert "could not be built" not in seen.output
    assert not (world.outside / "new").exists()
    assert (world.outside / "file").read_text() == "outside\n"
    status = twin.bare(code)
    if status != 0 and os.geteuid() != 0:
        pytest.skip("only root gets through without a sandbox")
    assert status == 0, "the probe does not discriminate"


@pytest.mark.parametrize("code", ALLOWED)
def test_it_lets_work(world: World, code: str) -> None:
    seen = weak(world, f"set -e; {code}" if not code.startswith("#py") else code)
    assert seen.exit_code == 0, seen.output


def test_signals_stay_inside(world: World) -> None:
    if landlock.version() < 6:
        pytest.skip("from version 6 on")
    assert weak(world, 'kill -0 "$VICTIM"').exit_code != 0


def test_read_only(world: World) -> None:
    for place in ("$W/file", "$W/src/new", "/tmp/agent-probe-weak", "$HOME/new"):
        assert weak(world, f'echo x > "{place}"', SandboxMode.READ_ONLY).exit_code != 0, place
    assert not Path("/tmp/agent-probe-weak").exists()


def test_ends_as_a_shell_says(world: World) -> None:
    assert weak(world, "exit 7").exit_code == 7
    assert weak(world, "kill -KILL $$").exit_code == 137
    assert weak(world, "exec /no/such/program").exit_code == 127


@pytest.mark.parametrize(
    "code",
    [
        "setsid sleep 302.{m} & exit 0",
        "(setsid sh -c 'trap \"\" TERM; sleep 302.{m}; sleep 302.{m}' &); sleep 60",
    ],
)
def test_nothing_outlives_it(world: World, code: str) -> None:
    marker = f"{os.getpid()}{time.time_ns() % 10**6}"
    weak(world, code.replace("{m}", marker), timeout=0.6)
    for _ in range(100):
        if not subprocess.run(
            ["pgrep", "-f", f"sleep 302.{marker}"], capture_output=True, check=False
        ).stdout:
            return
        time.sleep(0.02)
    pytest.fail("something is still running")


def test_nothing_is_inherited(world: World) -> None:
    file = os.open(world.outside / "file", os.O_RDWR)
    os.set_inheritable(file, True)
    try:
        assert (
            weak(
                world, "#py\nsys.exit(any(os.path.exists(f'/proc/self/fd/{f}') for f in range(4, 64)))"
            ).exit_code
            == 0
        )
    finally:
        os.close(file)


def test_it_is_never_silent(world: World, tmp_path: Path) -> None:
    """Without the word nothing runs; with it the command runs and each weakness is told."""
    for name in ("bash", "git", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    env = {
        **os.environ,
        "AGENT_HOME": str(world.base / "state"),
        "HOME": str(world.home),
        "PATH": str(tmp_path),
    }

    def agent(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-m", "agent", *words], cwd=world.ws, env=env, capture_output=True, text=True,
            timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    refused = agent("sandbox", "bash", "-c", "echo ran")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not installed" in refused.stderr
    assert 'sandbox_fallback="landlock"' in refused.stderr
    ran = agent("sandbox", "--fallback", "landlock", "bash", "-c", 'echo ran; echo x > "$HOME/new"')
    assert ran.stdout == "ran\n"
    assert ran.stderr.count("weaker sandbox, landlock") >= 5
    assert "Permission denied" in ran.stderr
    started = agent("exec", "-c", 'sandbox_fallback="landlock"', "hello")
    assert "weaker sandbox, landlock" in started.stderr
    assert agent("exec", "hello").returncode != 0
