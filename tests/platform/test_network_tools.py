"""The tools that people use reach what a rule names, through the proxy and by themselves."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.network.base import Bounds, Connection, Ruling, Target
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms
from agent.process.environ import child_environment
from agent.process.spawn import Outcome, run
from agent.sandbox.base import Launch
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import Decision, SandboxMode

HOST = "files.test"


class OnlyFiles:
    def judge(self, target: Target) -> Ruling:
        fine = target.host == HOST
        return Ruling(decision=Decision.ALLOW if fine else Decision.DENY, reason="not the test's", exact=fine)

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        return ruling


class Kept:
    def __init__(self) -> None:
        self.seen: list[Connection] = []

    def saw(self, connection: Connection) -> None:
        self.seen.append(connection)


class Here:
    async def resolve(self, host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the servers show."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "page").write_text("hello\n")
    return folder


@pytest.fixture
def serve(served: Path) -> Iterator[Callable[..., int]]:
    """Starts a server of the folder, with TLS where a certificate is given; its port."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(certificate: Path | None = None) -> int:
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))
        )
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    path = tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", path),
            *(
                "-out",
                path.with_suffix(".crt"),
                "-subj",
                f"/CN={HOST}",
                "-addext",
                f"subjectAltName=DNS:{HOST}",
            ),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")


def ran(world: Any, *argv: str, **env: str) -> tuple[Outcome, list[str]]:
    """The end of a command as the agent would run it, and its connections."""
    kept = Kept()
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace=str(world.ws), network=Network.NAMED)
    about = child_environment({**os.environ, "HOME": str(world.ws), **env})
    launch = Launch(argv=argv, cwd=str(world.ws), env=about)

    async def once() -> Outcome:
        rooms = Rooms()
        door = ProxyDoor(rooms, Guard(OnlyFiles(), kept, Here(), Bounds()))
        try:
            return await run(world.sandbox().wrap(launch, spec), timeout=60, door=door)
        finally:
            rooms.close()

    outcome = asyncio.run(once())
    return outcome, [f"{one.outcome.value} {one.target.protocol}://{one.target.host}" for one in kept.seen]


def test_curl(world: Any, serve: Any, certificate: Path) -> None:
    needs("curl")
    plain, secure = serve(), serve(certificate)
    seen, lines = ran(world, "curl", "-sS", f"http://{HOST}:{plain}/page", f"http://{HOST}:{plain}/page")
    assert seen.output == "hello\nhello\n"
    assert lines == [f"opened http://{HOST}", f"closed http://{HOST}"]
    ca = ("--cacert", str(certificate))
    seen, lines = ran(world, "curl", "-sS", *ca, f"https://{HOST}:{secure}/page")
    assert seen.output == "hello\n"
    assert lines[0] == f"opened https://{HOST}"
    seen, lines = ran(
        world, "curl", "-sS", *ca, "-x", "socks5h://127.0.0.1:39128", f"https://{HOST}:{secure}/page"
    )
    assert seen.output == "hello\n"
    assert lines[0] == f"opened socks5_tcp://{HOST}"
    seen, _ = ran(world, "curl", "-sS", "https://evil.test/")
    assert seen.exit_code == 56
    assert "403" in seen.output
    # A name that stands in no certificate and no rule, to an address that does.
    seen, lines = ran(
        world, "curl", "-sSk", "--connect-to", f"evil.test:443:{HOST}:{secure}", "https://evil.test/"
    )
    assert seen.exit_code != 0
    assert lines[-1] == f"cut https://{HOST}"


def test_urllib(world: Any, serve: Any, certificate: Path) -> None:
    plain, secure = serve(), serve(certificate)
    code = (
        "import ssl, sys, urllib.request as r\n"
        "context = ssl.create_default_context(cafile=sys.argv[2])\n"
        "for scheme, port in (('http', sys.argv[3]), ('https', sys.argv[4])):\n"
        "    opener = r.build_opener(r.HTTPSHandler(context=context))\n"
        "    print(opener.open(f'{scheme}://{sys.argv[1]}:{port}/page').read())\n"
    )
    arguments = (HOST, str(certificate), str(plain), str(secure))
    seen, _ = ran(world, sys.executable, "-I", "-c", code, *arguments)
    assert seen.output == "b'hello\\n'\n" * 2


def test_git(world: Any, serve: Any, served: Path) -> None:
    needs("git")
    made = served / "made"
    run_git = functools.partial(subprocess.run, check=True, capture_output=True)
    run_git(["git", "init", "-q", str(made)])
    (made / "file").write_text("in git\n")
    for words in (["add", "file"], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "one"]):
        run_git(["git", "-C", str(made), *words])
    run_git(["git", "clone", "-q", "--bare", str(made), str(served / "bare.git")])
    run_git(["git", "-C", str(served / "bare.git"), "update-server-info"])
    port = serve()
    seen, lines = ran(world, "git", "clone", "-q", f"http://{HOST}:{port}/bare.git", str(world.ws / "cloned"))
    assert seen.exit_code == 0, seen.output
    assert (world.ws / "cloned" / "file").read_text() == "in git\n"
    assert set(lines) == {f"opened http://{HOST}", f"closed http://{HOST}"}
    seen, lines = ran(world, "git", "ls-remote", "http://evil.test/x.git")
    assert seen.exit_code == 128
    assert lines[0] == "refused http://evil.test"


def wheel(folder: Path) -> None:
    files = {
        "tinything.py": "VALUE = 41\n",
        "tinything-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n",
        "tinything-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    names = "".join(f"{name},,\n" for name in (*files, "tinything-1.0.dist-info/RECORD"))
    place = folder / "simple" / "tinything"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "tinything-1.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr("tinything-1.0.dist-info/RECORD", names)
    (place / "index.html").write_text('<a href="tinything-1.0-py3-none-any.whl">tinything</a>\n')


def test_pip(world: Any, serve: Any, served: Path) -> None:
    if subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("there is no pip")
    wheel(served)
    words = ("-m", "pip", "--isolated", "--disable-pip-version-check", "install", "-q", "--no-cache-dir")
    index = f"http://{HOST}:{serve()}/simple"
    seen, lines = ran(
        world,
        sys.executable,
        *words,
        "--target",
        "lib",
        "--index-url",
        index,
        "--trusted-host",
        HOST,
        "tinything",
    )
    assert seen.exit_code == 0, seen.output
    assert (world.ws / "lib" / "tinything.py").read_text() == "VALUE = 41\n"
    assert lines[0] == f"opened http://{HOST}"


def test_npm(world: Any, serve: Any, served: Path) -> None:
    needs("npm", "node")
    port = serve()
    with io.BytesIO() as memory:
        with tarfile.open(fileobj=memory, mode="w:gz") as archive:
            for name, text in (
                (
                    "package/package.json",
                    json.dumps({"name": "tinything", "version": "1.0.0", "main": "i.js"}),
                ),
                ("package/i.js", "module.exports = 41\n"),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        packed = memory.getvalue()
    (served / "tinything.tgz").write_bytes(packed)
    about = {
        "name": "tinything",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {
            "1.0.0": {
                "name": "tinything",
                "version": "1.0.0",
                "dist": {
                    "tarball": f"http://{HOST}:{port}/tinything.tgz",
                    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode(),
                },
            }
        },
    }
    (served / "tinything").write_text(json.dumps(about))
    (world.ws / "package.json").write_text('{"name": "here", "version": "1.0.0"}')
    registry = f"--registry=http://{HOST}:{port}/"
    seen, lines = ran(
        world, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", registry, "tinything"
    )
    assert seen.exit_code == 0, seen.output
    assert (world.ws / "node_modules" / "tinything" / "i.js").exists()
    assert lines[0] in (f"opened http://{HOST}", f"opened https://{HOST}")


def test_node(world: Any, serve: Any) -> None:
    needs("node")
    version = subprocess.run(
        ["node", "-p", "process.versions.node"], capture_output=True, text=True, check=True
    )
    if int(version.stdout.split(".")[0]) < 24:
        pytest.skip("this node does not heed NODE_USE_ENV_PROXY")
    code = f"fetch('http://{HOST}:{serve()}/page').then(r => r.text()).then(console.log)"
    seen, _ = ran(world, "node", "-e", code)
    assert "hello" in seen.output


def test_cargo(world: Any, serve: Any, served: Path) -> None:
    needs("cargo")
    cargo = subprocess.run(["cargo", "--version"], capture_output=True, check=False)
    if cargo.returncode:
        pytest.skip("cargo does not run")
    (served / "index").mkdir()
    (served / "index" / "config.json").write_text(json.dumps({"dl": f"http://{HOST}/never"}))
    port = serve()
    (world.ws / "src").mkdir()
    (world.ws / "src" / "lib.rs").write_text("")
    (world.ws / "Cargo.toml").write_text(
        '[package]\nname = "here"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dependencies]\ntinything = { version = "1", registry = "local" }\n'
    )
    (world.ws / ".cargo").mkdir()
    (world.ws / ".cargo" / "config.toml").write_text(
        f'[registries.local]\nindex = "sparse+http://{HOST}:{port}/index/"\n[net]\nretry = 0\n'
    )
    env = {name: os.environ[name] for name in ("RUSTUP_HOME", "RUSTUP_TOOLCHAIN") if name in os.environ}
    env.setdefault("RUSTUP_HOME", os.path.expanduser("~/.rustup"))
    seen, lines = ran(world, "cargo", "generate-lockfile", CARGO_HOME=str(world.ws / "cargo"), **env)
    assert f"opened http://{HOST}" in lines, seen.output
    assert "no matching package" in seen.output
