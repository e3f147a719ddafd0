"""A world with an inside and an outside, and attempts made in it with and without a sandbox."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.errors import SandboxUnavailable
from agent.process.environ import child_environment
from agent.process.spawn import Outcome, run
from agent.sandbox.base import Launch, Sandbox
from agent.sandbox.bwrap import Bubblewrap
from agent.sandbox.secrets import default_hidden
from agent.sandbox.select import select
from agent.sandbox.spec import Limits, Network, SandboxSpec
from execpolicy.decision import SandboxMode

# For probes in Python: `sc` makes a system call and gives 0 or the error number.
PRELUDE = """
import ctypes, errno, fcntl, mmap, os, platform, signal, socket, struct, sys
W, O, H = os.environ["W"], os.environ["O"], os.environ["HOME"]
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
def sc(x86, arm, *args):
    ctypes.set_errno(0)
    args = [ctypes.c_void_p(a) if isinstance(a, int) else a for a in args]
    return ctypes.get_errno() if libc.syscall(x86 if X86 else arm, *args) == -1 else 0
def reached(number):  # the kernel looked at the call, whatever it thought of the arguments
    sys.exit(number in (errno.EPERM, errno.ENOSYS, errno.EACCES))
def works(number):
    sys.exit(number != 0)
"""


@dataclass(kw_only=True)
class World:
    """`ws` is the workspace; `outside` lies beside it on the same file system, out of every temp folder."""

    base: Path
    ws: Path
    outside: Path
    home: Path
    extra: dict[str, str]
    protected: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    mode: SandboxMode = SandboxMode.WORKSPACE_WRITE
    network: bool = False
    last: Outcome | None = field(default=None, init=False)

    def _environment(self) -> dict[str, str]:
        names = {"W": str(self.ws), "O": str(self.outside), "HOME": str(self.home), **self.extra}
        return {**os.environ, **names}

    @staticmethod
    def _argv(code: str) -> list[str]:
        if code.lstrip().startswith("#py"):
            return [sys.executable, "-I", "-S", "-c", PRELUDE + code]
        return ["/bin/bash", "--noprofile", "--norc", "-c", code]

    def bare(self, code: str) -> int:
        """Exit status without any sandbox, with every inheritable descriptor."""
        done = subprocess.run(
            self._argv(code), cwd=self.ws, env=self._environment(), capture_output=True, timeout=20, check=False,
            close_fds=False, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return done.returncode

    def launch(self, code: str) -> Launch:
        env = child_environment(self._environment(), allowed=frozenset(self.extra) - {"MY_API_KEY"})
        launch = Launch(argv=tuple(self._argv(code)), cwd=str(self.ws), env=env)
        spec = SandboxSpec(
            mode=self.mode,
            workspace=str(self.ws),
            writable=self.writable,
            protected=self.protected,
            hidden=self.hidden,
            network=Network.FULL if self.network else Network.NONE,
            readable=self.readable,
            limits=self.limits,
        )
        return self.sandbox().wrap(launch, spec)

    def sandbox(self) -> Sandbox:
        found = select(SandboxMode.WORKSPACE_WRITE)
        assert isinstance(found, Bubblewrap)
        return Bubblewrap(found.program, found.machine, str(self.home), default_hidden(str(self.home)))

    def confined(self, code: str, timeout: float = 30) -> Outcome:
        self.last = asyncio.run(run(self.launch(code), timeout=timeout))
        return self.last


@pytest.fixture(scope="session", autouse=True)
def _works() -> None:
    if sys.platform != "linux":
        pytest.skip("bubblewrap is the sandbox of Linux")
    try:
        select(SandboxMode.WORKSPACE_WRITE)
    except SandboxUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error}; {error.help}")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "ws"
    folder.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q", "."], ["add", "-A"], ["commit", "-qm", "one", "--allow-empty"]):
        (folder / "file").write_text("inside\n")
        subprocess.run([*git, *command], cwd=folder, check=True, env=child_environment(os.environ))
    return folder


@pytest.fixture(scope="session")
def _outsiders() -> Iterator[dict[str, str]]:
    """Things outside that a probe may try to reach: servers, a process, shared memory."""
    stop: list[Callable[[], object]] = []
    names: dict[str, str] = {"MY_API_KEY": "not-for-children"}

    def serve(family: int, address: object) -> socket.socket:
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen(64)
        stop.append(server.close)

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return server

    names["PORT"] = str(serve(socket.AF_INET, ("0.0.0.0", 0)).getsockname()[1])
    names["PORT6"] = str(serve(socket.AF_INET6, ("::1", 0)).getsockname()[1])
    names["ABSTRACT"] = f"agent-probe-{os.getpid()}"
    serve(socket.AF_UNIX, "\0" + names["ABSTRACT"])
    names["TMPSOCK"] = f"/tmp/agent-probe-{os.getpid()}.sock"
    serve(socket.AF_UNIX, names["TMPSOCK"])
    stop.append(lambda: os.unlink(names["TMPSOCK"]))

    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    names["UDP"] = str(udp.getsockname()[1])
    stop.append(udp.close)

    def echo() -> None:
        while True:
            try:
                data, sender = udp.recvfrom(512)
                udp.sendto(data, sender)
            except OSError:
                return

    threading.Thread(target=echo, daemon=True).start()

    victim = subprocess.Popen(["sleep", "600"], env={"VICTIM_SECRET": "yes", "PATH": "/usr/bin:/bin"})
    names["VICTIM"] = str(victim.pid)
    stop.append(victim.kill)

    names["SHM"] = f"/dev/shm/agent-probe-{os.getpid()}"
    Path(names["SHM"]).write_text("outside")
    stop.append(lambda: os.unlink(names["SHM"]))
    libc = ctypes.CDLL(None, use_errno=True)
    names["SHMKEY"] = str(0x5A000000 + os.getpid())
    segment = libc.shmget(int(names["SHMKEY"]), 4096, 0o1600)
    stop.append(lambda: libc.shmctl(segment, 0, None))
    yield names
    for action in reversed(stop):
        action()
    victim.wait()


@pytest.fixture
def world(_template: Path, _outsiders: dict[str, str]) -> Iterator[World]:
    yield from _world(_template, _outsiders)


@pytest.fixture
def twin(_template: Path, _outsiders: dict[str, str]) -> Iterator[World]:
    """A second world, for the try without a sandbox."""
    yield from _world(_template, _outsiders)


def _place_outside() -> Path:
    """A folder that no command of the sandbox may write: the home, or where that is a temporary folder, another."""
    temporary = [Path(name).resolve() for name in ("/tmp", "/var/tmp", tempfile.gettempdir())]
    for place in (Path.home(), Path("/opt"), Path("/var/lib"), Path("/usr/local")):
        real = place.resolve()
        if os.access(real, os.W_OK) and not any(real.is_relative_to(root) for root in temporary):
            return real
    pytest.skip("no folder outside the temporary ones can be written; name one in AGENT_TEST_DIR")


def _world(template: Path, outsiders: dict[str, str]) -> Iterator[World]:
    place = os.environ.get("AGENT_TEST_DIR") or _place_outside()
    base = Path(tempfile.mkdtemp(prefix=".agent-sandbox-test-", dir=place))
    try:
        shutil.copytree(template, base / "ws", symlinks=True)
        for name in ("outside", "home", "outside/folder", "home/.ssh"):
            (base / name).mkdir()
        (base / "outside/file").write_text("outside\n")
        (base / "home/.ssh/id").write_text("key\n")
        (base / "home/.netrc").write_text("key\n")
        (base / "ws/.env").write_text("PASSWORD=x\n")
        yield World(
            base=base,
            ws=base / "ws",
            outside=base / "outside",
            home=base / "home",
            extra=outsiders,
            hidden=(f"{base}/ws/.env",),
        )
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _refuses(world: World, twin: World, code: str, root: bool = False) -> None:
    """The code fails in the sandbox, and gets through without: so the probe says something."""
    seen = world.confined(code)
    assert seen.exit_code != 0, seen.output
    assert not seen.timed_out
    if root and os.geteuid() != 0:
        return
    status = twin.bare(code)
    if root and status != 0:
        pytest.skip("this machine refuses it to everybody: the probe says nothing here")
    assert status == 0, "the probe does not discriminate: it fails without a sandbox too"


@pytest.fixture(scope="session")
def refuses() -> Callable[..., None]:
    return _refuses
