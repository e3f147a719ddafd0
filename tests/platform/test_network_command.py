"""`agent sandbox --allow-host`: the hosts that are named, and no others, for a command that somebody types."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.sandbox.proxied import PORT

AGENT = (sys.executable, "-I", "-m", "agent", "sandbox")


@pytest.fixture(autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")


@pytest.fixture
def port() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hello\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def agent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    folder = folder / "work"
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*AGENT, "--cd", str(folder), *words], capture_output=True, text=True, timeout=60, check=False
    )


def get(*addresses: str) -> tuple[str, ...]:
    return ("--", "curl", "-sS", "--noproxy", "", *addresses)


def test_a_host_that_is_named(tmp_path: Path, port: int) -> None:
    plain = ("--", "curl", "-sS", f"http://127.0.0.1:{port}/")
    done = agent(tmp_path, "--allow-host", f"127.0.0.1:{port}", *plain)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    socks = ("-x", f"socks5h://127.0.0.1:{PORT}", f"http://127.0.0.1:{port}/")
    done = agent(tmp_path, "--allow-host", "other.test", "--allow-host", "127.0.0.1", *get(*socks))
    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_another_host(tmp_path: Path, port: int) -> None:
    done = agent(tmp_path, "--allow-host", "*.ok.test", *get("http://ok.test/", f"http://127.0.0.1:{port}/"))
    assert "network: ok.test:80 (http) refused: no --allow-host names it" in done.stdout
    assert "hello" not in done.stdout
    assert f"network: 127.0.0.1:{port} (http) refused" in done.stderr
    assert "--allow-host ok.test:80" in done.stderr


def test_another_port(tmp_path: Path, port: int) -> None:
    done = agent(tmp_path, "--allow-host", "127.0.0.1:1", *get(f"http://127.0.0.1:{port}/"))
    assert "refused" in done.stdout


@pytest.mark.parametrize("words", [("exit 3", 3), ("kill -9 $$", 137)])
def test_the_status_is_the_command_s(tmp_path: Path, words: tuple[str, int]) -> None:
    done = agent(tmp_path, "--allow-host", "a.test", "--", "bash", "-c", words[0])
    assert done.returncode == words[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--allow-host", "a b"), "the host cannot hold white space", id="white-space"),
        pytest.param(("--allow-host", "http://a"), "without scheme or path", id="scheme"),
        pytest.param(("--allow-host", "*"), "`*` only as `*.` in front", id="everything"),
        pytest.param(("--allow-host", ""), "cannot be empty", id="empty"),
        pytest.param(("--allow-host", "a", "--network"), "leave out one of them", id="two-networks"),
        pytest.param(
            ("--allow-host", "a", "--mode", "full-access"), "leave out one of them", id="no-sandbox"
        ),
    ],
)
def test_words_that_do_not_fit(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = agent(tmp_path, *words, "--", "true")
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
