"""What development needs works inside: each of these ends with 0 in the sandbox."""

# ruff: noqa: E501 - a probe is one line

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World

PYTHON = sys.executable

ACTIONS = [
    pytest.param(
        "echo x > new && cat new && mkdir -p a/b && mv new a/b/ && rm -r a", id="write-in-workspace"
    ),
    pytest.param("ln -s file l && cat l && ln file h && rm l h", id="links-in-workspace"),
    pytest.param("printf '#!/bin/sh\\nexit 0\\n' > run && chmod +x run && ./run", id="run-own-script"),
    pytest.param(
        'f=$(mktemp) && d=$(mktemp -d) && echo x > "$f" && mv "$f" "$d/" && rm -r "$d"', id="mktemp"
    ),
    pytest.param('f=$(mktemp -p /var/tmp) && rm "$f"', id="var-tmp"),
    pytest.param("cat <<< here && cat <(echo there) && echo x | tee /dev/null", id="shell-plumbing"),
    pytest.param(
        "test -r /etc/passwd && ls /usr/bin > /dev/null && head -c 8 /dev/urandom | wc -c", id="read"
    ),
    pytest.param(
        "git status && git log --oneline && git diff && git show HEAD && git ls-files", id="git-reads"
    ),
    pytest.param("git blame file && git grep inside && git branch -a && git stash list", id="git-more-reads"),
    pytest.param("mkdir -p sub && cd sub && git rev-parse --show-toplevel", id="git-from-below"),
    pytest.param("sleep 5 & p=$!; kill $p; wait $p || test $? = 143", id="signal-own-child"),
    pytest.param("(echo a; echo b) | sort -r | head -1; wait; jobs", id="jobs"),
    pytest.param("mkfifo p && (echo x > p &) && cat p && rm p", id="fifo"),
    pytest.param("ps aux > /dev/null && id && uname -a && date && nproc && df . && free", id="look-around"),
    pytest.param("tar -cf t.tar file && mkdir x && tar -xpf t.tar -C x && cmp file x/file", id="tar"),
    pytest.param(
        "cp -a file f2 && touch -d 2001-01-01 f2 && chmod 600 f2 && install -m 755 f2 f3", id="modes"
    ),
    pytest.param("mkdir d && chmod g+s d && cp -a d e && rmdir d e", id="set-group-id-folder"),
    pytest.param("flock lock true && rm lock", id="lock"),
    pytest.param(
        "timeout 1 true && nice true && env -i /bin/true && setsid true && nohup true", id="wrappers"
    ),
    pytest.param("ulimit -n 256 && ulimit -a > /dev/null", id="limits"),
]

PROGRAMS = [
    pytest.param(
        "import multiprocessing as m\nq = m.Queue()\np = m.Process(target=q.put, args=(1,))\np.start()\n"
        "assert q.get(timeout=9) == 1\np.join()\nassert m.Pool(2).map(abs, [-1, -2]) == [1, 2]\nm.Lock()\nm.Barrier(1).wait()",
        id="multiprocessing",
    ),
    pytest.param(
        "from multiprocessing import shared_memory as s\nm = s.SharedMemory(create=True, size=64)\n"
        "m.buf[0] = 1\nm.close()\nm.unlink()",
        id="shared-memory",
    ),
    pytest.param(
        "import concurrent.futures as f\nwith f.ThreadPoolExecutor(2) as e: assert list(e.map(abs, [-1])) == [1]",
        id="threads",
    ),
    pytest.param(
        "import socket, threading, http.server, urllib.request\n"
        "s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "assert urllib.request.urlopen(f'http://127.0.0.1:{s.server_port}/', timeout=5).status == 200\n"
        "s.shutdown()",
        id="own-server-on-loopback",
    ),
    pytest.param(
        "import socket\ns = socket.socket(socket.AF_INET6)\ns.bind(('::1', 0))\ns.listen()\n"
        "socket.create_connection(s.getsockname()[:2])\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('', 0))",
        id="own-loopback-6-and-datagrams",
    ),
    pytest.param(
        "import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(1) == b'x'", id="socket-pair"
    ),
    pytest.param("import asyncio\nasyncio.run(asyncio.sleep(0))", id="event-loop"),
    pytest.param(
        "import pty, os\np, m = pty.fork()\nif not p: os.execvp('echo', ['echo', 'hello'])\n"
        "assert b'hello' in os.read(m, 99)\nassert os.waitpid(p, 0)[1] == 0",
        id="terminal",
    ),
    pytest.param(
        "import sqlite3\nc = sqlite3.connect('x.db')\nc.execute('pragma journal_mode=wal')\n"
        "c.execute('create table t (a)')\nc.commit()",
        id="sqlite",
    ),
    pytest.param(
        "import mmap, os\nf = open('m', 'w+b')\nf.truncate(4096)\nmmap.mmap(f.fileno(), 0)[0:1] = b'x'\n"
        "os.memfd_create('x')\nos.eventfd(0)",
        id="memory-maps",
    ),
    pytest.param(
        "import tempfile\ntempfile.NamedTemporaryFile().write(b'x')\ntempfile.mkdtemp()", id="tempfile"
    ),
    pytest.param(
        "import getpass, pwd, os\npwd.getpwuid(os.getuid())\nos.sched_getaffinity(0)", id="who-am-i"
    ),
    pytest.param("import select\nselect.epoll().close()", id="epoll"),
    pytest.param(
        "import multiprocessing as m\nif __name__ == '__main__':\n    for how in ('fork', 'spawn'):\n"
        "        with m.get_context(how).Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]",
        id="pools-by-fork-and-spawn",
    ),
    pytest.param(
        "import concurrent.futures as f\nif __name__ == '__main__':\n"
        "    with f.ProcessPoolExecutor(2) as e: assert list(e.map(abs, [-1, -2])) == [1, 2]",
        id="process-pool",
    ),
    pytest.param(
        "import sqlite3, subprocess, sys\nc = sqlite3.connect('x.db', timeout=9)\nif len(sys.argv) > 1:\n"
        "    c.execute('insert into t values (2)')\n    c.commit()\n    sys.exit(0)\n"
        "c.execute('pragma journal_mode=wal')\nc.execute('create table t (a)')\nc.commit()\n"
        "c.execute('insert into t values (1)')\nc.commit()\n"
        "assert subprocess.run([sys.executable, __file__, 'other']).returncode == 0\n"
        "assert c.execute('select sum(a) from t').fetchone() == (3,)",
        id="sqlite-of-two-processes",
    ),
]


@pytest.mark.parametrize("code", ACTIONS)
def test_shell_work(world: World, code: str) -> None:
    seen = world.confined(f"set -e; {code}")
    assert seen.exit_code == 0, seen.output


@pytest.mark.parametrize("code", PROGRAMS)
def test_python_work(world: World, code: str) -> None:
    (world.ws / "program.py").write_text(code)
    seen = world.confined(f'"{PYTHON}" program.py')
    assert seen.exit_code == 0, seen.output


def test_pytest_with_processes(world: World) -> None:
    (world.ws / "test_it.py").write_text(
        "import multiprocessing as m, subprocess\n"
        "def test_pool(tmp_path):\n    (tmp_path / 'f').write_text('x')\n"
        "    with m.Pool(2) as p: assert p.map(len, ['a']) == [1]\n"
        "def test_child():\n    assert subprocess.run(['true']).returncode == 0\n"
    )
    seen = world.confined(f'"{PYTHON}" -m pytest -q test_it.py')
    assert seen.exit_code == 0, seen.output
    assert "2 passed" in seen.output


def test_pytest_on_two_workers(world: World) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    (world.ws / "test_it.py").write_text(
        "import os, pytest\n@pytest.mark.parametrize('n', range(6))\n"
        "def test_one(n): assert os.environ['PYTEST_XDIST_WORKER'] in ('gw0', 'gw1')\n"
    )
    seen = world.confined(f'"{PYTHON}" -m pytest -q -n 2 test_it.py', timeout=60)
    assert seen.exit_code == 0, seen.output
    assert "6 passed" in seen.output


def test_a_virtual_environment(world: World) -> None:
    seen = world.confined(
        f'"{PYTHON}" -m venv --without-pip v && v/bin/python -c "import sys; print(sys.prefix)"'
    )
    assert seen.exit_code == 0, seen.output


def _wheel(folder: Path) -> None:
    """A whole package, as small as one can be."""
    info = "thing-1.dist-info"
    files = {
        "thing.py": "def main() -> None:\n    print('it is installed')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nthing = thing:main\n",
    }
    with zipfile.ZipFile(folder / "thing-1-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))


def test_install_a_wheel(world: World) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python brings no pip")
    _wheel(world.ws)
    seen = world.confined(
        f'"{PYTHON}" -m venv v && v/bin/pip install -q --no-index ./thing-1-py3-none-any.whl && v/bin/thing',
        timeout=120,
    )
    assert seen.exit_code == 0, seen.output
    assert seen.output.endswith("it is installed\n")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_compile_and_make(world: World) -> None:
    (world.ws / "a.c").write_text('#include <stdio.h>\nint main(void) { return puts("hi") < 0; }\n')
    (world.ws / "Makefile").write_text("a: a.c\n\tgcc -O0 -o a a.c\n")
    seen = world.confined("make -j2 && ./a" if shutil.which("make") else "gcc -o a a.c && ./a")
    assert seen.exit_code == 0, seen.output


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_node(world: World) -> None:
    (world.ws / "a.js").write_text(
        "const {execFileSync, fork} = require('child_process'); const http = require('http');\n"
        "if (process.send) { process.send('x'); process.exit(0); }\n"
        "execFileSync('echo', ['hi']); require('fs').writeFileSync('out', 'x'); require('os').networkInterfaces();\n"
        "new (require('worker_threads').Worker)('1', {eval: true});\n"
        "fork(__filename).on('message', () => http.createServer((q, r) => r.end('ok')).listen(0, '127.0.0.1', function () {\n"
        "  http.get({port: this.address().port, host: '127.0.0.1'}, r => process.exit(r.statusCode === 200 ? 0 : 1)); }));\n"
    )
    seen = world.confined("node a.js", timeout=20)
    assert seen.exit_code == 0, seen.output


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_in_parallel(world: World) -> None:
    names = [f"t{n}" for n in range(8)]
    (world.ws / "Makefile").write_text(
        f"all: {' '.join(names)}\n\tcat {' '.join(names)} > all\nt%:\n\tsleep 0.01; echo $@ > $@\n"
    )
    seen = world.confined("make -s -j4 && make -s -j4 && wc -l < all")
    assert (seen.exit_code, seen.output.strip()) == (0, "8"), seen.output


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")
def test_npm(world: World) -> None:
    seen = world.confined(
        "npm init -y > /dev/null && npm pkg set scripts.hello='node -p 6*7' && npm run -s hello && npm run env | grep ^PATH=",
        timeout=90,
    )
    assert seen.exit_code == 0, seen.output
    assert "42" in seen.output.splitlines()


def _works_outside(*argv: str) -> bool:
    """Whether the tool is there: a stand-in that would have to fetch it first is none."""
    if shutil.which(argv[0]) is None:
        return False
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0


def test_cargo(world: World) -> None:
    if not _works_outside("cargo", "--version") or shutil.which("cc") is None:
        pytest.skip("no cargo that works, or no linker")
    source = world.ws / "src"
    source.mkdir()
    (world.ws / "Cargo.toml").write_text('[package]\nname = "thing"\nversion = "0.1.0"\nedition = "2021"\n')
    (source / "main.rs").write_text('fn main() { println!("built"); }\n')
    tools = Path(shutil.which("cargo") or "").resolve()
    real = Path.home()
    world.extra = {
        **world.extra,
        "CARGO_HOME": str(world.ws / ".cargo"),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(real / ".rustup")),
    }
    seen = world.confined(f'"{tools.parent / "cargo"}" build --offline -q && target/debug/thing', timeout=120)
    assert (seen.exit_code, seen.output) == (0, "built\n"), seen.output


def test_go(world: World) -> None:
    if not _works_outside("go", "version"):
        pytest.skip("no go that works")
    (world.ws / "go.mod").write_text("module thing\n\ngo 1.18\n")
    (world.ws / "main.go").write_text('package main\n\nfunc main() { println("built") }\n')
    seen = world.confined(
        "export GOCACHE=$PWD/.cache GOFLAGS=-mod=mod; go build -o thing . && ./thing", timeout=180
    )
    assert (seen.exit_code, seen.output) == (0, "built\n"), seen.output


def test_java(world: World) -> None:
    if not _works_outside("java", "-version"):
        pytest.skip("no java that works")
    if not _works_outside("javac", "-version"):
        seen = world.confined("java -Xshare:auto -version", timeout=60)
        assert seen.exit_code == 0, seen.output
        return
    (world.ws / "A.java").write_text(
        'class A { public static void main(String[] a) { System.out.println("built"); } }\n'
    )
    seen = world.confined("javac A.java && java A", timeout=120)
    assert (seen.exit_code, seen.output) == (0, "built\n"), seen.output


def test_exit_status_and_streams_come_through(world: World) -> None:
    assert world.confined("exit 7").exit_code == 7
    assert world.confined("kill -KILL $$").exit_code == 137
    assert world.confined("/no/such/program").exit_code == 127
    assert world.confined("echo out; echo err >&2").output == "out\nerr\n"
    assert world.confined("test ! -t 0 && ! read -r line && pwd").output == f"{world.ws}\n"


def test_network_when_asked_for(world: World) -> None:
    world.network = True
    assert world.confined('exec 3<> "/dev/tcp/127.0.0.1/$PORT"').exit_code == 0
    code = '#py\nsocket.socket(socket.AF_UNIX).connect("\\0" + os.environ["ABSTRACT"])'
    assert world.confined(code).exit_code == 1, "abstract sockets of the machine stay out of reach"


def test_named_writable_folders(world: World) -> None:
    assert world.confined('echo x > "$O/new"').exit_code != 0
    world.writable = (str(world.outside),)
    assert world.confined('echo x > "$O/new"').exit_code == 0
    assert (world.outside / "new").read_text() == "x\n"
    subprocess.run(["git", "init", "-q", world.outside], check=True)
    assert world.confined('echo x > "$O/.git/config"').exit_code != 0
